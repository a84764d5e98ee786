/// Encodings in which each character stands for a fixed number of bits: base16, base32, base64 (RFC 4648).
struct BitAlphabet: Sendable {
    let name: StaticString
    let characters: StaticString
    /// Bits per character: 4, 5 or 6.
    let bits: Int
    let digits: [UInt8]

    static let base16 = BitAlphabet("base16", "0123456789abcdef", bits: 4, foldsCase: true)
    static let base16upper = BitAlphabet("base16upper", "0123456789ABCDEF", bits: 4, foldsCase: true)
    static let base32 = BitAlphabet("base32", "abcdefghijklmnopqrstuvwxyz234567", bits: 5, foldsCase: true)
    static let base32upper = BitAlphabet("base32upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, foldsCase: true)
    static let base64 = BitAlphabet(
        "base64",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        bits: 6,
        foldsCase: false
    )
    static let base64url = BitAlphabet(
        "base64url",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        bits: 6,
        foldsCase: false
    )
    /// The base64 of I2P.
    static let garlic64 = BitAlphabet(
        "I2P base64",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~",
        bits: 6,
        foldsCase: false
    )

    private init(_ name: StaticString, _ characters: StaticString, bits: Int, foldsCase: Bool) {
        self.name = name
        self.characters = characters
        self.bits = bits
        digits = decodingTable(characters, foldsCase: foldsCase)
    }

    /// Characters that make whole bytes together: 2, 8 or 4.
    private var group: Int { bits == 4 ? 2 : bits == 5 ? 8 : 4 }

    /// Decodes a range and appends the bytes. Padding must be exactly what the length asks for when `padded`, and
    /// must be absent otherwise. Bits of the last character that belong to no byte are ignored, as Go does (RFC 4648 §3.5
    /// leaves it open); a whole character too many is an error.
    func decode(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        padded: Bool,
        into out: inout [UInt8]
    ) throws(MultiaddrError) {
        var end = range.upperBound
        if padded {
            while end > range.lowerBound, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
            guard range.count % group == 0, range.upperBound - end < group else {
                throw MultiaddrError(.invalidEncoding, "\(name) padding of the wrong length", offset: end)
            }
        }
        out.reserveCapacity(out.count + (end - range.lowerBound) * bits / 8)
        var pending: UInt32 = 0
        var count = 0
        var index = range.lowerBound
        while index < end {
            let digit = digits[Int(text[index])]
            guard digit != 0xff else {
                throw MultiaddrError(
                    .invalidEncoding,
                    "a character that is not in the \(name) alphabet",
                    offset: index
                )
            }
            pending = pending << UInt32(bits) | UInt32(digit)
            count += bits
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: pending >> UInt32(count)))
                pending &= (1 << UInt32(count)) - 1
            }
            index += 1
        }
        guard count < bits else {
            throw MultiaddrError(
                .invalidEncoding,
                "\(name) text of a length that no bytes have",
                offset: max(range.lowerBound, end - 1)
            )
        }
    }

    /// Encodes a range and appends the characters, with `=` up to a whole group when `padded`.
    func encode(_ bytes: Span<UInt8>, _ range: Range<Int>, padded: Bool, into out: inout [UInt8]) {
        let mark = out.count
        characters.withUTF8Buffer { alphabet in
            var pending: UInt32 = 0
            var count = 0
            let mask = UInt32(1) << UInt32(bits) - 1
            var index = range.lowerBound
            while index < range.upperBound {
                pending = pending << 8 | UInt32(bytes[index])
                count += 8
                while count >= bits {
                    count -= bits
                    out.append(alphabet[Int(pending >> UInt32(count) & mask)])
                }
                pending &= (1 << UInt32(count)) - 1
                index += 1
            }
            if count > 0 { out.append(alphabet[Int(pending << UInt32(bits - count) & mask)]) }
        }
        if padded {
            while (out.count - mark) % group != 0 { out.append(UInt8(ascii: "=")) }
        }
    }
}
