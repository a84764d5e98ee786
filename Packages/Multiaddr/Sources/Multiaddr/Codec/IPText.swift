/// Text forms of IP addresses: RFC 4291 section 2.2 to read, RFC 5952 to print.
enum IPText {
    static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// Four decimal octets without leading zeros.
    static func parseIPv4(_ text: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
        guard (7...15).contains(range.count) else { return nil }
        var result: UInt32 = 0
        var octet: UInt32 = 0
        var digits = 0
        var dots = 0
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = text[index]
            index += 1
            if byte == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                result = result << 8 | octet
                octet = 0
                digits = 0
                dots += 1
                continue
            }
            let digit = UInt32(byte &- UInt8(ascii: "0"))
            guard digit <= 9, digits == 0 || octet != 0 else { return nil }
            octet = octet * 10 + digit
            digits += 1
            guard octet <= 255 else { return nil }
        }
        guard digits > 0, dots == 3 else { return nil }
        return result << 8 | octet
    }

    static func parseIPv6(_ text: Span<UInt8>, _ range: Range<Int>) -> (high: UInt64, low: UInt64)? {
        guard (2...45).contains(range.count) else { return nil }
        let colon = UInt8(ascii: ":")
        let end = range.upperBound
        var groups = InlineArray<8, UInt32>(repeating: 0)
        var count = 0
        var gap = -1
        var index = range.lowerBound
        if text[index] == colon {
            guard text[index + 1] == colon else { return nil }
            gap = 0
            index += 2
        }
        while index < end {
            guard count < 8 else { return nil }
            let start = index
            var group: UInt32 = 0
            while index < end, let digit = hexDigit(text[index]) {
                guard index - start < 4 else { return nil }
                group = group << 4 | digit
                index += 1
            }
            if index < end, text[index] == UInt8(ascii: ".") {
                guard count <= 6, let tail = parseIPv4(text, start..<end) else { return nil }
                groups[count] = tail >> 16
                groups[count + 1] = tail & 0xffff
                count += 2
                break
            }
            guard index > start else { return nil }
            groups[count] = group
            count += 1
            if index == end { break }
            guard text[index] == colon, index + 1 < end else { return nil }
            index += 1
            if text[index] == colon {
                guard gap < 0 else { return nil }
                gap = count
                index += 1
            }
        }
        guard gap < 0 ? count == 8 : count < 8 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for position in 0..<8 {
            var group: UInt32 = 0
            if gap < 0 || position < gap {
                group = groups[position]
            } else if position >= gap + 8 - count {
                group = groups[position - (8 - count)]
            }
            if position < 4 { high = high << 16 | UInt64(group) } else { low = low << 16 | UInt64(group) }
        }
        return (high, low)
    }

    static func appendIPv4(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        for index in range {
            if index > range.lowerBound { out.append(UInt8(ascii: ".")) }
            ValuePrinter.appendDecimal(UInt64(bytes[index]), to: &out)
        }
    }

    static func appendIPv6(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        let start = range.lowerBound
        func group(_ index: Int) -> UInt32 {
            UInt32(bytes[start + 2 * index]) << 8 | UInt32(bytes[start + 2 * index + 1])
        }
        // RFC 5952 section 5: IPv4-mapped addresses keep their dots.
        if group(5) == 0xffff, (0..<5).allSatisfy({ group($0) == 0 }) {
            out.append(contentsOf: "::ffff:".utf8)
            appendIPv4(bytes, start + 12..<start + 16, to: &out)
            return
        }
        // Section 4.2: the longest run of at least two zero groups, the first of equals.
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, group(end) == 0 { end += 1 }
            if end - index > max(1, best.count) { best = index..<end }
            index = max(end, index + 1)
        }
        index = 0
        while index < 8 {
            if !best.isEmpty, index == best.lowerBound {
                out.append(UInt8(ascii: ":"))
                out.append(UInt8(ascii: ":"))
                index = best.upperBound
                continue
            }
            if index > 0, index != best.upperBound || best.isEmpty { out.append(UInt8(ascii: ":")) }
            appendHex(group(index), to: &out)
            index += 1
        }
    }

    private static func appendHex(_ value: UInt32, to out: inout [UInt8]) {
        var shift: UInt32 = 12
        while shift > 0, value >> shift == 0 { shift -= 4 }
        while true {
            let digit = UInt8(truncatingIfNeeded: value >> shift & 15)
            out.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            if shift == 0 { return }
            shift -= 4
        }
    }
}
