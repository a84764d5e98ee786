/// A public key: what a peer is known by, and what its signatures are checked with.
///
/// Every value has been checked when it was made: the bytes are a well-formed key of an allowed size, in the one
/// canonical form of its type. So two keys are equal when their bytes are, and equal keys have equal peer IDs.
public struct PublicKey: Sendable, Hashable {
    /// Which kind of key this is.
    public let type: KeyType

    /// The key itself, the `Data` field of the protobuf, in the form the peer-ids specification gives the type:
    /// 32 bytes for Ed25519, the 33 bytes of the compressed point for secp256k1, a DER SubjectPublicKeyInfo for RSA and
    /// ECDSA.
    public let rawBytes: [UInt8]

    /// Checks and takes the bytes of a key of a known type.
    ///
    /// A secp256k1 key may also come uncompressed (65 bytes), as go-libp2p accepts it; it is stored compressed.
    /// - Throws: ``PeerIDError`` with code `malformedKey`, `keySizeNotAllowed` (RSA outside 2048…8192 bits) or
    ///   `unsupportedKeyType`.
    public init(type: KeyType, rawBytes: [UInt8]) throws(PeerIDError) {
        switch type {
        case .ed25519:
            try Ed25519.checkPublic(rawBytes)
            self.init(type: type, checked: rawBytes)
        case .secp256k1:
            self.init(type: type, checked: try Secp256k1.canonicalPublic(rawBytes))
        case .ecdsa:
            try ECDSA.checkPublic(rawBytes)
            self.init(type: type, checked: rawBytes)
        case .rsa:
            try RSA.checkPublic(rawBytes)
            self.init(type: type, checked: rawBytes)
        default:
            throw PeerIDError(code: .unsupportedKeyType, message: "\(type) is not one of the four libp2p key types")
        }
    }

    /// Takes bytes that this package made or has checked.
    init(type: KeyType, checked rawBytes: [UInt8]) {
        self.type = type
        self.rawBytes = rawBytes
    }

    /// Decodes the `PublicKey` message of the peer-ids specification.
    /// - Throws: ``PeerIDError`` with code `malformedProtobuf`, or what ``init(type:rawBytes:)`` throws.
    public init(protobuf: [UInt8]) throws(PeerIDError) {
        let fields = try KeyProtobuf.decode(protobuf.span.bytes)
        try self.init(type: fields.type, rawBytes: [UInt8](protobuf[fields.data]))
    }

    /// The `PublicKey` message of the peer-ids specification in its deterministic encoding: what peer IDs are made of
    /// and what the TLS certificate extension carries.
    public var protobuf: [UInt8] {
        let header = KeyProtobuf.header(type: type, dataCount: rawBytes.count)
        return [UInt8](unsafeUninitializedCapacity: header.count + rawBytes.count) { out, count in
            _ = out[..<header.count].update(fromContentsOf: header)
            _ = out[header.count...].update(fromContentsOf: rawBytes)
            count = header.count + rawBytes.count
        }
    }

    /// Whether `signature` was made over exactly `message` by the private half of this key.
    ///
    /// Malformed signatures are invalid, not errors: wrong lengths, a high S or anything but strict DER for secp256k1.
    public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        switch type {
        case .ed25519: Ed25519.isValid(signature, for: message, publicKey: rawBytes)
        case .secp256k1: Secp256k1.isValid(signature, for: message, publicKey: rawBytes)
        case .ecdsa: ECDSA.isValid(signature, for: message, publicKey: rawBytes)
        case .rsa: RSA.isValid(signature, for: message, publicKey: rawBytes)
        default: false
        }
    }

    /// The peer ID of the holder of this key.
    public var peerID: PeerID { PeerID(publicKey: self) }
}

extension PublicKey: CustomStringConvertible {
    /// The type and the peer ID, for logs.
    public var description: String { "\(type) key of \(peerID)" }
}
