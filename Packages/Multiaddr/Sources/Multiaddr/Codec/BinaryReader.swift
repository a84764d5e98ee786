/// Reads and checks the binary form.
enum BinaryReader {
    /// Checks that the bytes are the canonical form of an address.
    static func validate(_ bytes: Span<UInt8>) throws(MultiaddrError) {
        guard bytes.count > 0 else { throw MultiaddrError.noComponent }
        guard bytes.count <= Multiaddr.maximumByteCount else { throw MultiaddrError.tooManyBytes(bytes.count) }
        var offset = 0
        var count = 0
        while offset < bytes.count {
            count += 1
            guard count <= Multiaddr.maximumComponentCount else { throw MultiaddrError.tooManyComponents(at: offset) }
            let raw = try readFrame(bytes, at: offset)
            try ValueValidator.validate(bytes, raw.value, raw.info)
            offset = raw.range.upperBound
            guard raw.info.kind != .unixPath || offset == bytes.count else {
                throw MultiaddrError.invalidValue(
                    raw.info,
                    at: offset,
                    "a unix path takes the rest of the address, but more components follow"
                )
            }
        }
    }

    /// Reads code and length and finds the value, without looking into it.
    static func readFrame(_ bytes: Span<UInt8>, at offset: Int) throws(MultiaddrError) -> RawComponent {
        let (code, codeLength) = try Varint.decode(bytes, offset..<bytes.count)
        guard let info = ProtocolTable.info(code: code) else {
            throw MultiaddrError(
                .unknownProtocol,
                "code \(code) is not in the protocol table",
                component: String(code),
                offset: offset
            )
        }
        var start = offset + codeLength
        var length = info.size
        if info.isVariable {
            let prefix: (value: UInt64, length: Int)
            do {
                prefix = try Varint.decode(bytes, start..<bytes.count)
            } catch {
                throw error.placed(in: info.nameText, at: 0)
            }
            guard prefix.value <= UInt64(bytes.count - start - prefix.length) else {
                throw MultiaddrError(
                    .truncated,
                    "the length says \(prefix.value) bytes, but \(bytes.count - start - prefix.length) follow",
                    component: info.nameText,
                    offset: start
                )
            }
            start += prefix.length
            length = Int(prefix.value)
        } else if length > bytes.count - start {
            throw MultiaddrError(
                .truncated,
                "the value takes \(length) bytes, but \(bytes.count - start) follow",
                component: info.nameText,
                offset: start
            )
        }
        return RawComponent(info: info, range: offset..<start + length, value: start..<start + length)
    }
}
