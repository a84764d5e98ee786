/// As much of a DNS answer (RFC 1035 section 4) as TXT records need.
enum DNSMessage {
    private static let headerLength = 12
    private static let typeTXT: UInt16 = 16
    private static let classInternet: UInt16 = 1

    /// The TXT records of the answer section, the strings of each joined. Reading stops where the message is damaged.
    static func textRecords(in message: Span<UInt8>) -> [[UInt8]] {
        guard message.count >= headerLength else { return [] }
        let questions = read16(message, 4)
        let answers = read16(message, 6)
        var offset = headerLength
        for _ in 0..<questions {
            guard let end = skipName(message, offset), end + 4 <= message.count else { return [] }
            offset = end + 4
        }
        var records: [[UInt8]] = []
        for _ in 0..<answers {
            guard let end = skipName(message, offset), end + 10 <= message.count else { break }
            let type = read16(message, end)
            let recordClass = read16(message, end + 2)
            let start = end + 10
            let length = Int(read16(message, end + 8))
            guard length <= message.count - start else { break }
            offset = start + length
            guard type == typeTXT, recordClass == classInternet else { continue }
            if let text = joinedStrings(message, start..<offset) { records.append(text) }
        }
        return records
    }

    private static func read16(_ message: Span<UInt8>, _ offset: Int) -> UInt16 {
        UInt16(message[offset]) << 8 | UInt16(message[offset + 1])
    }

    /// Where a name ends. A pointer ends it; nothing is followed.
    private static func skipName(_ message: Span<UInt8>, _ start: Int) -> Int? {
        var offset = start
        while offset < message.count {
            let length = message[offset]
            switch length {
            case 0: return offset + 1
            case 0xc0...: return offset + 2 <= message.count ? offset + 2 : nil
            case 1...63: offset += 1 + Int(length)
            default: return nil
            }
        }
        return nil
    }

    private static func joinedStrings(_ message: Span<UInt8>, _ range: Range<Int>) -> [UInt8]? {
        var text: [UInt8] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            let length = Int(message[offset])
            offset += 1
            guard length <= range.upperBound - offset else { return nil }
            for index in offset..<offset + length { text.append(message[index]) }
            offset += length
        }
        return text
    }
}
