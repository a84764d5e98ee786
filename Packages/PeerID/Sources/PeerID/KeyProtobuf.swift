/// The `PublicKey` and `PrivateKey` messages of the libp2p peer-ids specification, which share one shape:
///
/// ```proto
/// syntax = "proto2";
/// message PublicKey { required KeyType Type = 1; required bytes Data = 2; }
/// ```
///
/// Encoding is deterministic: both fields, in this order, with minimal varints; the peer ID is a hash of it.
/// Decoding accepts what go-libp2p's protobuf library accepts: fields in any order, repeated fields (the last one
/// counts), unknown fields (skipped) and varints longer than necessary. It refuses what can only be damage: a missing
/// field, a known field with the wrong wire type, groups (which proto2 deprecated), field numbers 0 and above 2^29 - 1,
/// varints of more than 64 bits, and bytes that end inside a field. Groups, a wrong wire type beside a good field, and
/// key types above 2^32 (which Go truncates) are the three places where this is stricter than Go.
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
        var type: KeyType?
        var data: Range<Int>?
        var offset = 0
        while offset < bytes.byteCount {
            let start = offset
            let tag = try readVarint(bytes, at: &offset)
            let field = tag >> 3
            guard field >= 1, field < 1 << 29 else { throw malformed("has field number \(field) at byte \(start)") }
            switch (field, tag & 7) {
            case (1, 0):
                type = KeyType(rawValue: try readVarint(bytes, at: &offset))
            case (2, 2):
                data = try readRange(bytes, at: &offset)
            case (1, let wire), (2, let wire):
                throw malformed("has wire type \(wire) for field \(field) at byte \(start)")
            case (_, 0):
                _ = try readVarint(bytes, at: &offset)
            case (_, 1):
                try skip(8, bytes, at: &offset)
            case (_, 2):
                _ = try readRange(bytes, at: &offset)
            case (_, 5):
                try skip(4, bytes, at: &offset)
            case (_, let wire):
                throw malformed("has unsupported wire type \(wire) at byte \(start)")
            }
        }
        guard let type else { throw malformed("has no Type field") }
        guard let data else { throw malformed("has no Data field") }
        guard type.isSupported else {
            throw PeerIDError(
                code: .unsupportedKeyType,
                message: "\(type) is not known; use RSA (0), Ed25519 (1), Secp256k1 (2) or ECDSA (3)"
            )
        }
        return Fields(type: type, data: data)
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

    /// A protobuf varint. Unlike multiformats varints (package Multiaddr) it has up to 10 bytes and need not be minimal.
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
            if byte < 0x80 { return value }
            shift += 7
        }
        throw malformed("ends inside a number")
    }

    private static func readRange(_ bytes: RawSpan, at offset: inout Int) throws(PeerIDError) -> Range<Int> {
        let length = try readVarint(bytes, at: &offset)
        guard length <= UInt64(bytes.byteCount - offset) else {
            throw malformed("announces \(length) bytes where \(bytes.byteCount - offset) are left")
        }
        let start = offset
        offset += Int(length)
        return start..<offset
    }

    private static func skip(_ count: Int, _ bytes: RawSpan, at offset: inout Int) throws(PeerIDError) {
        guard bytes.byteCount - offset >= count else { throw malformed("ends inside a field") }
        offset += count
    }

    private static func malformed(_ what: String) -> PeerIDError {
        PeerIDError(code: .malformedProtobuf, message: "the key message \(what); it is damaged or not a libp2p key")
    }
}
