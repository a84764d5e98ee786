/// Unsigned varints of the multiformats project: seven bits a byte, least significant first.
///
/// At most nine bytes (values below 2^63) and always in the shortest form, see
/// <https://github.com/multiformats/unsigned-varint>.
public enum Varint {
    /// The largest number of bytes that ``decode(from:)-(Span<UInt8>)`` accepts.
    public static let maximumLength = 9

    /// The largest value that can be decoded again, 2^63 − 1.
    public static let maximumValue = UInt64(Int64.max)

    /// The varint of a value. Values above ``maximumValue`` take ten bytes, which no decoder accepts.
    public static func encode(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length(of: value))
        append(value, to: &bytes)
        return bytes
    }

    /// Appends the varint of a value.
    public static func append(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// How many bytes the varint of a value takes.
    public static func length(of value: UInt64) -> Int {
        max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7)
    }

    /// Reads the varint at the beginning of a span.
    ///
    /// - Returns: the value and the number of bytes it took.
    /// - Throws: ``MultiaddrError`` with `truncated`, `varintNotMinimal` or `varintTooLong`.
    public static func decode(from bytes: Span<UInt8>) throws(MultiaddrError) -> (value: UInt64, length: Int) {
        try decode(bytes, 0..<bytes.count)
    }

    /// Reads the varint at the beginning of a slice.
    ///
    /// - Throws: ``MultiaddrError`` with `truncated`, `varintNotMinimal` or `varintTooLong`.
    public static func decode(from bytes: ArraySlice<UInt8>) throws(MultiaddrError) -> (value: UInt64, length: Int) {
        try decode(bytes.span, 0..<bytes.count)
    }

    /// Reads the varint at the beginning of an array.
    ///
    /// - Throws: ``MultiaddrError`` with `truncated`, `varintNotMinimal` or `varintTooLong`.
    public static func decode(from bytes: [UInt8]) throws(MultiaddrError) -> (value: UInt64, length: Int) {
        try decode(bytes.span, 0..<bytes.count)
    }

    /// Reads the varint at the beginning of a range; the error's offset is relative to the whole span.
    static func decode(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>
    ) throws(MultiaddrError) -> (value: UInt64, length: Int) {
        var value: UInt64 = 0
        var index = range.lowerBound
        var shift: UInt64 = 0
        while index < range.upperBound {
            let byte = bytes[index]
            value |= UInt64(byte & 0x7f) << shift
            index += 1
            if byte < 0x80 {
                let length = index - range.lowerBound
                guard byte != 0 || length == 1 else {
                    throw MultiaddrError(
                        .varintNotMinimal,
                        "the varint ends in a zero byte; encode it in the fewest bytes",
                        offset: range.lowerBound
                    )
                }
                return (value, length)
            }
            shift += 7
            guard shift < 63 else {
                throw MultiaddrError(
                    .varintTooLong,
                    "the varint has more than \(maximumLength) bytes",
                    offset: range.lowerBound
                )
            }
        }
        throw MultiaddrError(.truncated, "the bytes end inside a varint", offset: range.upperBound)
    }
}
