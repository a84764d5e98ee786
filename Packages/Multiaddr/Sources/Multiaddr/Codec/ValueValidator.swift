/// Checks the bytes of a value, so that everything that is accepted prints as text that reads back as the same bytes.
enum ValueValidator {
    static func validate(_ bytes: Span<UInt8>, _ range: Range<Int>, _ info: ProtocolInfo) throws(MultiaddrError) {
        switch info.kind {
        case .none, .ip4, .ip6, .port, .cidr, .memory:
            break
        case .text:
            try validateText(bytes, range, info)
            for index in range {
                guard bytes[index] != UInt8(ascii: "/") else {
                    throw MultiaddrError.invalidValue(info, at: index, "the value may not contain a slash")
                }
                guard bytes[index] >= 0x20, bytes[index] != 0x7f else {
                    throw MultiaddrError.invalidValue(info, at: index, "the value contains a control character")
                }
            }
        case .unixPath:
            try validateText(bytes, range, info)
            guard range.count > 1, bytes[range.lowerBound] == UInt8(ascii: "/"),
                bytes[range.upperBound - 1] != UInt8(ascii: "/")
            else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "a unix path begins with a slash, does not end with one and names something"
                )
            }
        case .httpPath:
            guard !range.isEmpty else {
                throw MultiaddrError(
                    .missingValue,
                    "an HTTP path may not be empty",
                    component: info.nameText,
                    offset: range.lowerBound
                )
            }
            for index in range where bytes[index] == 0 {
                throw MultiaddrError.invalidValue(info, at: index, "an HTTP path may not contain a NUL")
            }
        case .peerID:
            try validatePeerID(bytes, range, info)
        case .certhash:
            do {
                _ = try Multihash.read(bytes, range)
            } catch {
                throw error.placed(in: info.nameText, at: 0)
            }
        case .onion, .onion3:
            guard bytes[range.upperBound - 2] != 0 || bytes[range.upperBound - 1] != 0 else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.upperBound - 2,
                    "the port of an onion address is from 1 to 65535"
                )
            }
        case .garlic64:
            guard (386...462).contains(range.count) else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "an I2P destination has 386 to 462 bytes (516 to 616 characters), not \(range.count)"
                )
            }
        case .garlic32:
            guard range.count == 32 || range.count >= 35 else {
                throw MultiaddrError.invalidValue(
                    info,
                    at: range.lowerBound,
                    "an I2P hash has 32 bytes (52 characters) or at least 35, not \(range.count)"
                )
            }
        }
    }

    /// The largest inline public key: longer ones are hashed, see the peer-ids specification of libp2p.
    static let maximumInlineKey = 42

    private static func validatePeerID(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>,
        _ info: ProtocolInfo
    ) throws(MultiaddrError) {
        let read: (code: UInt64, digest: Range<Int>)
        do {
            read = try Multihash.read(bytes, range)
        } catch {
            throw error.placed(in: info.nameText, at: 0)
        }
        switch (read.code, read.digest.count) {
        case (Multihash.sha2x256, 32), (Multihash.identity, 0...maximumInlineKey):
            break
        case (Multihash.sha2x256, _), (Multihash.identity, _):
            throw MultiaddrError(
                .invalidMultihash,
                "a peer ID is a SHA2-256 hash of 32 bytes or an inline key of at most \(maximumInlineKey)",
                component: info.nameText,
                offset: range.lowerBound
            )
        default:
            throw MultiaddrError(
                .invalidMultihash,
                "a peer ID uses SHA2-256 or identity, not the hash function \(read.code)",
                component: info.nameText,
                offset: range.lowerBound
            )
        }
    }

    private static func validateText(
        _ bytes: Span<UInt8>,
        _ range: Range<Int>,
        _ info: ProtocolInfo
    ) throws(MultiaddrError) {
        guard !range.isEmpty else {
            throw MultiaddrError(
                .missingValue,
                "the value may not be empty",
                component: info.nameText,
                offset: range.lowerBound
            )
        }
        var isASCII = true
        for index in range {
            let byte = bytes[index]
            guard byte != 0 else { throw MultiaddrError.invalidValue(info, at: index, "the value contains a NUL") }
            if byte >= 0x80 { isASCII = false }
        }
        if isASCII { return }
        do {
            _ = try UTF8Span(validating: bytes.extracting(range))
        } catch {
            throw MultiaddrError.invalidValue(
                info,
                at: range.lowerBound + error.byteOffsets.lowerBound,
                "the value is not UTF-8"
            )
        }
    }
}
