/// Turns the text of a value into its bytes, with a length before them where the protocol has one.
enum ValueEncoder {
    static func encode(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        _ info: ProtocolInfo,
        into out: inout [UInt8]
    ) throws(MultiaddrError) {
        switch info.kind {
        case .none:
            guard range.isEmpty else {
                throw MultiaddrError.invalidValue(info, at: range.lowerBound, "/\(info.name) has no value")
            }
        case .ip4:
            guard let value = IPText.parseIPv4(text, range) else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "an IPv4 address is four decimal numbers from 0 to 255 with dots, without leading zeros"
                )
            }
            appendBigEndian(UInt64(value), count: 4, to: &out)
        case .ip6:
            guard let value = IPText.parseIPv6(text, range) else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "not an IPv6 address (RFC 4291 section 2.2); a zone goes before it as /ip6zone/NAME"
                )
            }
            appendBigEndian(value.high, count: 8, to: &out)
            appendBigEndian(value.low, count: 8, to: &out)
        case .port:
            guard let port = parseDecimal(text, range, digits: 5, limit: 65535) else {
                throw MultiaddrError.invalidValue(info, at: range.lowerBound, "a port is a number from 0 to 65535")
            }
            appendBigEndian(UInt64(port), count: 2, to: &out)
        case .cidr:
            guard let bits = parseDecimal(text, range, digits: 3, limit: 255) else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "the length of a network prefix is a number from 0 to 255"
                )
            }
            out.append(UInt8(truncatingIfNeeded: bits))
        case .memory:
            guard let number = parseDecimal(text, range) else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "an in-memory address is a number from 0 to 2^64 - 1"
                )
            }
            appendBigEndian(number, count: 8, to: &out)
        case .onion:
            try encodeOnion(text, range, info, characters: 16, into: &out)
        case .onion3:
            try encodeOnion(text, range, info, characters: 56, into: &out)
        default:
            try encodeVariable(text, range, info, into: &out)
        }
    }

    /// Appends the value after a place for its length, then checks it as binary and fills the length in.
    private static func encodeVariable(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        _ info: ProtocolInfo,
        into out: inout [UInt8]
    ) throws(MultiaddrError) {
        let mark = out.count
        out.append(0)
        do {
            switch info.kind {
            case .peerID: try PeerIDText.decode(text, range, into: &out)
            case .certhash: _ = try Multibase.decode(text, range, into: &out)
            case .httpPath: try PercentText.decode(text, range, into: &out)
            case .garlic64: try decodeGarlic64(text, range, into: &out)
            case .garlic32: try BitAlphabet.base32.decode(text, range, padded: false, into: &out)
            default:
                for index in range { out.append(text[index]) }
            }
        } catch {
            throw error.placed(in: info.nameText, at: 0)
        }
        let count = out.count - mark - 1
        do {
            try ValueValidator.validate(out.span, mark + 1..<out.count, info)
        } catch {
            // Its offset is one in the bytes; the text's is that of the value.
            throw MultiaddrError(error.code, error.message, component: info.nameText, offset: range.lowerBound)
        }
        if count < 0x80 {
            out[mark] = UInt8(count)
        } else {
            out.replaceSubrange(mark...mark, with: Varint.encode(UInt64(count)))
        }
    }

    private static func decodeGarlic64(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        into out: inout [UInt8]
    ) throws(MultiaddrError) {
        guard range.count <= 616 else {
            throw MultiaddrError(
                .invalidValue,
                "an I2P destination has 516 to 616 characters",
                offset: range.lowerBound
            )
        }
        try BitAlphabet.garlic64.decode(text, range, padded: true, into: &out)
    }

    private static func encodeOnion(
        _ text: Span<UInt8>,
        _ range: Range<Int>,
        _ info: ProtocolInfo,
        characters: Int,
        into out: inout [UInt8]
    ) throws(MultiaddrError) {
        let colon = range.lowerBound + characters
        guard colon < range.upperBound, text[colon] == UInt8(ascii: ":") else {
            throw MultiaddrError.invalidValue(
                info,
                at: range.lowerBound,
                "an onion address is \(characters) characters of base32, a colon and a port"
            )
        }
        do {
            try BitAlphabet.base32.decode(text, range.lowerBound..<colon, padded: false, into: &out)
        } catch {
            throw error.placed(in: info.nameText, at: 0)
        }
        guard let port = parseDecimal(text, colon + 1..<range.upperBound, digits: 5, limit: 65535), port > 0 else {
            throw MultiaddrError.invalidValue(info, at: colon + 1, "the port of an onion address is from 1 to 65535")
        }
        appendBigEndian(UInt64(port), count: 2, to: &out)
    }

    static func parseDecimal(_ text: Span<UInt8>, _ range: Range<Int>, digits: Int, limit: UInt32) -> UInt32? {
        guard !range.isEmpty, range.count <= digits else { return nil }
        var value: UInt32 = 0
        var index = range.lowerBound
        while index < range.upperBound {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + UInt32(digit)
            index += 1
        }
        return value <= limit ? value : nil
    }

    /// A number of at most 64 bits, without a sign.
    static func parseDecimal(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        var value: UInt64 = 0
        var index = range.lowerBound
        while index < range.upperBound {
            let digit = text[index] &- UInt8(ascii: "0")
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(UInt64(digit))
            guard digit <= 9, !overflow, !carry else { return nil }
            value = sum
            index += 1
        }
        return value
    }

    static func appendBigEndian(_ value: UInt64, count: Int, to out: inout [UInt8]) {
        var shift = UInt64(count) * 8
        while shift > 0 {
            shift -= 8
            out.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
