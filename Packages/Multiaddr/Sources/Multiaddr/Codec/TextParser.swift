/// Reads the text form into the binary form.
enum TextParser {
    private static let slash = UInt8(ascii: "/")

    static func parse(_ text: Span<UInt8>) throws(MultiaddrError) -> [UInt8] {
        guard text.count <= Multiaddr.maximumTextLength else {
            throw MultiaddrError(
                .tooLong,
                "\(text.count) bytes of text; at most \(Multiaddr.maximumTextLength) are parsed",
                offset: Multiaddr.maximumTextLength
            )
        }
        var end = text.count
        while end > 0, text[end - 1] == slash { end -= 1 }
        guard end > 0 else { throw MultiaddrError.noComponent }
        guard text[0] == slash else {
            throw MultiaddrError(.missingLeadingSlash, "an address begins with /", offset: 0)
        }
        var out: [UInt8] = []
        out.reserveCapacity(end / 2 + 24)
        var position = 0
        var count = 0
        // Invariant: text[position] is the slash before a protocol's name.
        while position < end {
            count += 1
            guard count <= Multiaddr.maximumComponentCount else {
                throw MultiaddrError.tooManyComponents(at: position)
            }
            let name = position + 1..<segmentEnd(text, position + 1, end)
            guard let info = ProtocolTable.info(name: text, name) else {
                throw unknownProtocol(text, name)
            }
            Varint.append(info.proto.rawValue, to: &out)
            position = name.upperBound
            if info.size == 0 { continue }
            guard position < end else {
                throw MultiaddrError(
                    .missingValue,
                    "/\(info.nameText) needs a value after it",
                    component: info.nameText,
                    offset: position
                )
            }
            // A path keeps the slash it begins with, and takes the rest.
            let value =
                info.kind == .unixPath
                ? position..<end
                : position + 1..<segmentEnd(text, position + 1, end)
            try ValueEncoder.encode(text, value, info, into: &out)
            position = value.upperBound
        }
        guard out.count <= Multiaddr.maximumByteCount else { throw MultiaddrError.tooManyBytes(out.count) }
        return out
    }

    private static func segmentEnd(_ text: Span<UInt8>, _ start: Int, _ end: Int) -> Int {
        var index = start
        while index < end, text[index] != slash { index += 1 }
        return index
    }

    @inline(never)
    private static func unknownProtocol(_ text: Span<UInt8>, _ name: Range<Int>) -> MultiaddrError {
        // Text from outside: shown only in part.
        var bytes: [UInt8] = []
        for index in name.prefix(32) { bytes.append(text[index]) }
        let shown = String(decoding: bytes, as: UTF8.self) + (name.count > 32 ? "…" : "")
        return MultiaddrError(
            .unknownProtocol,
            shown.isEmpty ? "an empty protocol name" : "there is no protocol called \"\(shown)\"",
            component: shown,
            offset: name.lowerBound
        )
    }
}
