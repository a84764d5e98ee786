/// Percent-encoding (RFC 3986 section 2.1) of the value of `http-path`.
enum PercentText {
    static func decode(_ text: Span<UInt8>, _ range: Range<Int>, into out: inout [UInt8]) throws(MultiaddrError) {
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = text[index]
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                index += 1
                continue
            }
            guard range.upperBound - index > 2, let high = IPText.hexDigit(text[index + 1]),
                let low = IPText.hexDigit(text[index + 2])
            else {
                throw MultiaddrError(.invalidEncoding, "% needs two hexadecimal digits after it", offset: index)
            }
            out.append(UInt8(truncatingIfNeeded: high << 4 | low))
            index += 3
        }
    }

    static func encode(_ bytes: Span<UInt8>, _ range: Range<Int>, into out: inout [UInt8]) {
        for index in range {
            let byte = bytes[index]
            if isUnreserved(byte) {
                out.append(byte)
            } else {
                out.append(UInt8(ascii: "%"))
                out.append(upperHex(byte >> 4))
                out.append(upperHex(byte & 15))
            }
        }
    }

    /// RFC 3986 section 2.3.
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func upperHex(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10
    }
}
