public import Multiaddr

/// The name of a peer: a multihash of its public key.
///
/// A key message (``PublicKey/protobuf``) of at most 42 bytes is the ID itself, under the identity code, so that the key
/// can be read back (``inlinePublicKey``); a longer one is hashed with SHA-256 (peer-ids specification, "Peer IDs").
/// No other multihash is a peer ID. Text is base58btc (`12D3Koo…`, `16Uiu2…`, `Qm…`), or a CIDv1 with the `libp2p-key`
/// codec in any multibase (`bafz…`, `k51…`); both parse to the same value.
public struct PeerID: Sendable, Hashable {
    /// The multihash: code, length, digest.
    public let bytes: [UInt8]

    /// Longest key message that becomes an identity multihash, in bytes.
    static let maximumInlineSize = 42

    /// Longest text that is looked at, in UTF-8 bytes. The longest valid one, a base2 CID, has 385.
    static let maximumTextSize = 512

    /// Takes a binary peer ID: the multihash `identity` of at most 42 bytes, or `sha2-256` of 32 bytes.
    /// - Throws: ``PeerIDError`` with code `malformedMultihash`.
    public init(bytes: [UInt8]) throws(PeerIDError) {
        // Both codes and all allowed lengths are varints of one byte; anything longer is not a peer ID.
        guard bytes.count >= 2 else {
            throw PeerID.malformed("it has \(bytes.count) bytes; a multihash has a code, a length and a digest")
        }
        switch bytes[0] {
        case 0x00:
            guard bytes[1] <= PeerID.maximumInlineSize else {
                throw PeerID.malformed("its identity digest is longer than \(PeerID.maximumInlineSize) bytes")
            }
        case 0x12:
            guard bytes[1] == 32 else { throw PeerID.malformed("its sha2-256 digest is not 32 bytes long") }
        default:
            throw PeerID.malformed("its multihash is neither identity (0x00) nor sha2-256 (0x12)")
        }
        guard Int(bytes[1]) == bytes.count - 2 else {
            throw PeerID.malformed("it announces \(bytes[1]) bytes of digest and holds \(bytes.count - 2)")
        }
        self.bytes = bytes
    }

    /// The ID of the holder of a key.
    public init(publicKey: PublicKey) {
        let message = publicKey.protobuf
        if message.count <= PeerID.maximumInlineSize {
            bytes = [0x00, UInt8(message.count)] + message
        } else {
            bytes = [0x12, 32] + Sodium.sha256(message)
        }
    }

    /// The public key, if the ID contains it: Ed25519 and secp256k1 keys do, RSA and ECDSA keys are only hashed.
    ///
    /// `nil` also when an identity digest is not a key. The key is checked each time, so keep it.
    public var inlinePublicKey: PublicKey? {
        guard bytes[0] == 0x00, let key = try? PublicKey(protobuf: [UInt8](bytes[2...])) else { return nil }
        // An encoding other than the deterministic one would be a second ID of the same key.
        return key.peerID == self ? key : nil
    }

    /// Whether this is the ID of the holder of `publicKey`.
    public func matches(_ publicKey: PublicKey) -> Bool { publicKey.peerID == self }

    private static func malformed(_ what: String) -> PeerIDError {
        PeerIDError(code: .malformedMultihash, message: "this is not a peer ID: \(what)")
    }
}

extension PeerID: LosslessStringConvertible {
    /// Parses the text of a peer ID: base58btc when it starts with `1` or `Qm`, else a CIDv1 in any multibase.
    /// - Throws: ``PeerIDError`` with code `malformedText`, `wrongCodec` (a CID of something else) or
    ///   `malformedMultihash`.
    public init(parsing text: String) throws(PeerIDError) {
        let utf8 = text.utf8
        guard utf8.count <= PeerID.maximumTextSize else {
            throw PeerID.malformedText("it has \(utf8.count) bytes of text, more than \(PeerID.maximumTextSize)")
        }
        if utf8.first == UInt8(ascii: "1") || utf8.starts(with: "Qm".utf8) {
            let bytes: [UInt8]
            do { bytes = try Base58BTC.decode(text) } catch {
                throw PeerID.malformedText("bad base58btc", cause: error)
            }
            try self.init(bytes: bytes)
        } else {
            let cid: CIDv1
            do { cid = try CIDv1(parsing: text) } catch {
                throw PeerID.malformedText(
                    "it starts with neither 1 nor Qm (base58btc), and it is no CIDv1 either",
                    cause: error
                )
            }
            guard cid.codec == PeerID.keyCodec else {
                throw PeerIDError(
                    code: .wrongCodec,
                    message:
                        "the CID has codec \(cid.codec), not libp2p-key (\(PeerID.keyCodec)): it names something else"
                )
            }
            try self.init(bytes: cid.multihash.bytes)
        }
    }

    /// Parses as ``init(parsing:)`` does; `nil` where that throws.
    public init?(_ description: String) {
        guard let id = try? PeerID(parsing: description) else { return nil }
        self = id
    }

    /// The canonical text: base58btc of the multihash.
    public var description: String { Base58BTC.encode(bytes) }

    /// The multicodec `libp2p-key`.
    private static let keyCodec: UInt64 = 0x72

    private static func malformedText(_ what: String, cause: (any Error)? = nil) -> PeerIDError {
        PeerIDError(code: .malformedText, message: "this text is not a peer ID: \(what)", cause: cause)
    }
}

extension PeerID {
    /// The ID as a CIDv1 in base32 (`bafz…`), as the specification recommends for new uses.
    public var cid: String { cid(in: .base32) }

    /// The ID as a CIDv1 in the given multibase, for instance `.base36` for DNS labels (`k51…`).
    public func cid(in base: Multibase) -> String {
        // CID version 1 and the codec libp2p-key, then the multihash.
        Multibase.encode([0x01, 0x72] + bytes, as: base)
    }
}

extension PeerID: Comparable {
    /// Orders by the bytes of the multihash.
    public static func < (left: PeerID, right: PeerID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension PeerID: Codable {
    /// Decodes either text form from a single string.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do { try self.init(parsing: text) } catch {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: error.message, underlyingError: error)
            )
        }
    }

    /// Encodes the base58btc text as a single string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
