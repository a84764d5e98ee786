/// Prints components in their canonical text form.
enum ValuePrinter {
    /// Appends `/name` and, where there is one, `/value`.
    static func appendComponent(_ bytes: Span<UInt8>, _ raw: RawComponent, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "/"))
        raw.info.appendName(to: &out)
        guard raw.info.size != 0 else { return }
        // A path brings its own slash.
        if raw.info.kind != .unixPath { out.append(UInt8(ascii: "/")) }
        appendValue(bytes, raw.value, raw.info.kind, to: &out)
    }

    static func appendValue(_ bytes: Span<UInt8>, _ range: Range<Int>, _ kind: ValueKind, to out: inout [UInt8]) {
        switch kind {
        case .none: break
        case .ip4: IPText.appendIPv4(bytes, range, to: &out)
        case .ip6: IPText.appendIPv6(bytes, range, to: &out)
        case .port: appendPort(bytes, range, to: &out)
        case .memory: appendDecimal(readBigEndian(bytes, range), to: &out)
        case .cidr: appendDecimal(UInt64(bytes[range.lowerBound]), to: &out)
        case .text, .unixPath:
            for index in range { out.append(bytes[index]) }
        case .httpPath: PercentText.encode(bytes, range, into: &out)
        case .peerID: RadixAlphabet.base58btc.encode(bytes, range, into: &out)
        case .certhash: Multibase.base64url.append(bytes, range, to: &out)
        case .onion, .onion3:
            let host = range.lowerBound..<range.upperBound - 2
            BitAlphabet.base32.encode(bytes, host, padded: false, into: &out)
            out.append(UInt8(ascii: ":"))
            appendPort(bytes, host.upperBound..<range.upperBound, to: &out)
        case .garlic64: BitAlphabet.garlic64.encode(bytes, range, padded: true, into: &out)
        case .garlic32: BitAlphabet.base32.encode(bytes, range, padded: false, into: &out)
        }
    }

    private static func appendPort(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        appendDecimal(UInt64(bytes[range.lowerBound]) << 8 | UInt64(bytes[range.lowerBound + 1]), to: &out)
    }

    private static func readBigEndian(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        var value: UInt64 = 0
        for index in range { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    static func appendDecimal(_ value: UInt64, to out: inout [UInt8]) {
        var scale: UInt64 = 1
        while value / scale >= 10 { scale *= 10 }
        while scale > 0 {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / scale % 10))
            scale /= 10
        }
    }
}
