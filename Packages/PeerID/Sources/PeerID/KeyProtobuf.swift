/// The `PublicKey` and `PrivateKey` messages of the libp2p peer-ids specification, which share one shape:
///
/// ```proto
/// syntax = "proto2";
/// message PublicKey { required KeyType Type = 1; required bytes Data = 2; }
/// ```
///
/// The specification wants one encoding of a key only, since the peer ID is a hash of it: both fields, in this order, with
/// minimal varints, and nothing else. That is what is written, and all that is read: repeated, reordered, missing and
/// unknown fields, wrong wire types, varints longer than necessary and trailing bytes are refused, so that no key has two
/// encodings. (Protobuf libraries read some of these, go-libp2p's among them; none of the implementations writes them.)
enum KeyProtobuf {
    /// The largest message that is looked at. An RSA private key of 8192 bits takes less than 5 KiB.
    static let maximumSize = 16 * 1024

    /// What a message holds: the key's type, and where in the message its bytes are.
    struct Fields {
        var type: KeyType
        var data: Range<Int>
    }

    /// Finds both fields. The key's bytes are not copied, because they may be secret.
    static func decode(_ bytes: RawSpan) throws(PeerIDError) -> Fields {
        guard bytes.byteCount <= maximumSize else {
            throw malformed("is \(bytes.byteCount) bytes long; at most \(maximumSize) are accepted")
        }
        var offset = 0
        try readTag(0x08, "Type", bytes, at: &offset)
        let type = KeyType(rawValue: try readVarint(bytes, at: &offset))
        try readTag(0x12, "Data", bytes, at: &offset)
        let length = try readVarint(bytes, at: &offset)
        let rest = bytes.byteCount - offset
        guard length <= UInt64(rest) else { throw malformed("announces \(length) bytes where \(rest) are left") }
        guard length == UInt64(rest) else { throw malformed("has \(UInt64(rest) - length) bytes after its Data field") }
        guard type.isSupported else {
            throw PeerIDError(
                code: .unsupportedKeyType,
                message: "\(type) is not known; use RSA (0), Ed25519 (1), Secp256k1 (2) or ECDSA (3)"
            )
        }
        return Fields(type: type, data: offset..<bytes.byteCount)
    }

    /// The bytes before the key's own: tag and type, tag and length. The type is one of the supported four.
    static func header(type: KeyType, dataCount: Int) -> [UInt8] {
        var header: [UInt8] = [0x08, UInt8(truncatingIfNeeded: type.rawValue), 0x12]
        var rest = dataCount
        while rest >= 0x80 {
            header.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        header.append(UInt8(rest))
        return header
    }

    /// Steps over the one byte that says which field follows, and as what.
    private static func readTag(
        _ tag: UInt8,
        _ name: String,
        _ bytes: RawSpan,
        at offset: inout Int
    ) throws(PeerIDError) {
        guard offset < bytes.byteCount else { throw malformed("has no \(name) field") }
        let found = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
        guard found == tag else {
            throw malformed("has the tag \(found) at byte \(offset), where the \(name) field (\(tag)) belongs")
        }
        offset += 1
    }

    /// A protobuf varint of at most 64 bits, no longer than it has to be. Unlike multiformats varints (package Multiaddr)
    /// it may have 10 bytes.
    private static func readVarint(_ bytes: RawSpan, at offset: inout Int) throws(PeerIDError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.byteCount {
            let byte = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            offset += 1
            // The tenth byte has room for one bit only.
            guard shift < 63 || byte <= 1 else {
                throw malformed("has a number of more than 64 bits at byte \(offset)")
            }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 {
                guard byte != 0 || shift == 0 else {
                    throw malformed("has a number that is longer than necessary at byte \(offset)")
                }
                return value
            }
            shift += 7
        }
        throw malformed("ends inside a number")
    }

    private static func malformed(_ what: String) -> PeerIDError {
        PeerIDError(code: .malformedProtobuf, message: "the key message \(what); it is damaged or not a libp2p key")
    }
}
