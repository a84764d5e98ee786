/// A private key: the identity of a host.
///
/// The bytes are in memory of libsodium's guarded allocator: locked where the process may lock memory, kept out of core
/// dumps and wiped when the last copy of the value is gone (copies share it). RSA and ECDSA keys are also loaded into
/// GnuTLS, which wipes its copy when it frees it. Comparison takes a time that does not depend on where keys differ.
/// Printing or dumping a private key shows its peer ID only.
public struct PrivateKey: Sendable {
    /// Which kind of key this is.
    public var type: KeyType { publicKey.type }

    /// The public half.
    public let publicKey: PublicKey

    /// The `Data` field of the protobuf.
    let secret: SecretBytes
    private let engine: Engine

    /// What signs.
    private enum Engine: Sendable {
        case ed25519
        case secp256k1(Secp256k1Signer)
        case gnutls(GnuTLSPrivateKey)
    }

    /// The peer ID of the holder of this key.
    public var peerID: PeerID { publicKey.peerID }

    // MARK: Making keys

    /// A new Ed25519 key: small, fast, understood by every implementation.
    ///
    /// Stops the process if the system has no random numbers or no memory, where nothing can go on.
    public static func ed25519() -> PrivateKey { PrivateKey(ed25519: Ed25519.generate()) }

    /// The Ed25519 key of a seed of 32 bytes (RFC 8032 §5.1.5). The caller wipes its own copy of the seed.
    /// - Throws: ``PeerIDError`` with code `malformedKey` when the seed has another length.
    public static func ed25519(seed: [UInt8]) throws(PeerIDError) -> PrivateKey {
        guard seed.count == Ed25519.seedSize else {
            throw PeerIDError(code: .malformedKey, message: "an Ed25519 seed has 32 bytes, this one has \(seed.count)")
        }
        return PrivateKey(ed25519: seed.withUnsafeBytes { Ed25519.expand(seed: $0) })
    }

    /// A new secp256k1 key.
    /// - Throws: ``PeerIDError`` with code `generationFailed`.
    public static func secp256k1() throws(PeerIDError) -> PrivateKey { try PrivateKey(secp256k1: Secp256k1.generate()) }

    /// A new ECDSA key on a NIST curve.
    /// - Throws: ``PeerIDError`` with code `generationFailed`.
    public static func ecdsa(_ curve: ECDSACurve = .p256) throws(PeerIDError) -> PrivateKey {
        try PrivateKey(ecdsa: ECDSA.generate(curve))
    }

    /// A new RSA key of 2048 to 8192 bits. Takes from a tenth of a second (2048 bits) to minutes (8192 bits).
    /// - Throws: ``PeerIDError`` with code `keySizeNotAllowed` or `generationFailed`.
    public static func rsa(bits: Int = 2048) throws(PeerIDError) -> PrivateKey {
        try PrivateKey(rsa: RSA.generate(bits: bits))
    }

    // MARK: Encoding

    /// Decodes the `PrivateKey` message of the peer-ids specification. The caller wipes its own copy of the bytes.
    ///
    /// The `Data` field is: 64 bytes, seed ‖ public key, for Ed25519 (96 bytes of old go-libp2p keys are accepted and
    /// stored as 64); 32 bytes for secp256k1; a DER ECPrivateKey (SEC 1, RFC 5915) with its public key for ECDSA; a DER
    /// RSAPrivateKey (PKCS#1) for RSA. Public and private halves must belong together.
    /// - Throws: ``PeerIDError`` with code `malformedProtobuf`, `unsupportedKeyType`, `malformedKey`,
    ///   `keySizeNotAllowed` or `keyMismatch`.
    public init(protobuf: [UInt8]) throws(PeerIDError) {
        self = try protobuf.span.bytes.withUnsafeBytes { bytes throws(PeerIDError) in try PrivateKey(protobuf: bytes) }
    }

    /// Decodes from memory that the caller owns, so that secret bytes need not pass through an array.
    init(protobuf: UnsafeRawBufferPointer) throws(PeerIDError) {
        let fields = try KeyProtobuf.decode(protobuf.bytes)
        try self.init(type: fields.type, secretBytes: UnsafeRawBufferPointer(rebasing: protobuf[fields.data]))
    }

    /// Takes the `Data` field of a key of a known type, as ``init(protobuf:)`` describes it. The caller wipes its copy.
    /// - Throws: ``PeerIDError`` as ``init(protobuf:)`` does.
    public init(type: KeyType, rawBytes: [UInt8]) throws(PeerIDError) {
        self = try rawBytes.span.bytes.withUnsafeBytes { bytes throws(PeerIDError) in
            try PrivateKey(type: type, secretBytes: bytes)
        }
    }

    private init(type: KeyType, secretBytes bytes: UnsafeRawBufferPointer) throws(PeerIDError) {
        switch type {
        case .ed25519: self.init(ed25519: try Ed25519.importPrivate(bytes))
        case .secp256k1: try self.init(secp256k1: Secp256k1.importPrivate(bytes))
        case .ecdsa: try self.init(ecdsa: ECDSA.importPrivate(bytes))
        case .rsa: try self.init(rsa: RSA.importPrivate(bytes))
        default:
            throw PeerIDError(code: .unsupportedKeyType, message: "\(type) is not one of the four libp2p key types")
        }
    }

    /// The `PrivateKey` message of the peer-ids specification, deterministic: a **copy of the secret** in ordinary
    /// memory, which nobody wipes. To store a key, ``KeyFile`` does without this copy.
    public var protobuf: [UInt8] { withProtobuf { [UInt8]($0) } }

    /// Lends the `PrivateKey` message in guarded memory, which is wiped when `body` returns.
    /// The pointer may not leave `body`.
    public func withProtobuf<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        let header = KeyProtobuf.header(type: type, dataCount: secret.count)
        let message = SecretBytes(count: header.count + secret.count) { out in
            out.copyBytes(from: header)
            secret.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: out[header.count...]).copyMemory(from: $0)
            }
        }
        return try message.withUnsafeBytes(body)
    }

    // MARK: Signing

    /// Signs a message, which is hashed here: pass the message itself.
    ///
    /// Ed25519 gives 64 bytes; secp256k1 and ECDSA an ASN.1 DER signature over SHA-256; RSA PKCS#1 v1.5 over SHA-256.
    /// - Throws: ``PeerIDError`` with code `signingFailed`. Ed25519 never throws.
    public func sign(_ message: [UInt8]) throws(PeerIDError) -> [UInt8] {
        switch engine {
        case .ed25519: Ed25519.sign(message, with: secret)
        case .secp256k1(let signer): try signer.sign(message, with: secret)
        case .gnutls(let key): try key.sign(hash: Sodium.sha256(message))
        }
    }

    // MARK: One initializer per engine

    private init(ed25519 key: SecretBytes) {
        secret = key
        publicKey = PublicKey(type: .ed25519, checked: Ed25519.publicKey(of: key))
        engine = .ed25519
    }

    private init(secp256k1 key: SecretBytes) throws(PeerIDError) {
        let signer = try Secp256k1Signer()
        secret = key
        publicKey = PublicKey(type: .secp256k1, checked: try signer.publicKey(of: key))
        engine = .secp256k1(signer)
    }

    private init(ecdsa parts: GnuTLSKeyParts) throws(PeerIDError) {
        secret = parts.secret
        publicKey = PublicKey(type: .ecdsa, checked: parts.publicKey)
        engine = .gnutls(parts.key)
    }

    private init(rsa parts: GnuTLSKeyParts) throws(PeerIDError) {
        secret = parts.secret
        publicKey = PublicKey(type: .rsa, checked: parts.publicKey)
        engine = .gnutls(parts.key)
    }
}

extension PrivateKey: Equatable {
    /// Whether both are the same key, found out in constant time for keys of one type and length.
    public static func == (left: PrivateKey, right: PrivateKey) -> Bool {
        left.type == right.type && left.secret.isEqual(to: right.secret)
    }
}

extension PrivateKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The type and the peer ID; nothing secret.
    public var description: String { "private \(type) key of \(peerID)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// A mirror without children, so that `dump` shows nothing secret.
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
