import CPeerIDHelpers

/// secp256k1 by bitcoin-core's libsecp256k1, over SHA-256, DER signatures with low S.
enum Secp256k1 {
    static let privateKeySize = 32
    static let publicKeySize = 33

    /// A new key from the system's random numbers.
    static func generate() throws(PeerIDError) -> SecretBytes {
        // A random number is outside 1..<order once in 2^128 times; four tries are beyond any doubt.
        for _ in 0..<4 {
            let key = SecretBytes(count: privateKeySize) { Sodium.fillRandom($0) }
            if key.withUnsafeBytes({ peerid_secp256k1_is_private_key($0.bound) }) == 1 { return key }
        }
        throw PeerIDError(code: .generationFailed, message: "the system's random numbers make no secp256k1 key")
    }

    /// Takes a key from a protobuf: 32 bytes, not zero, below the order of the group.
    static func importPrivate(_ bytes: UnsafeRawBufferPointer) throws(PeerIDError) -> SecretBytes {
        guard bytes.count == privateKeySize else {
            throw PeerIDError(
                code: .malformedKey,
                message: "a secp256k1 private key has 32 bytes, this one has \(bytes.count)"
            )
        }
        guard peerid_secp256k1_is_private_key(bytes.bound) == 1 else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the secp256k1 private key is zero or beyond the group's order"
            )
        }
        return SecretBytes(copying: bytes.bytes)
    }

    /// The compressed form (33 bytes) of a public key that is compressed or uncompressed (65 bytes).
    static func canonicalPublic(_ bytes: [UInt8]) throws(PeerIDError) -> [UInt8] {
        var isPoint = false
        let compressed = [UInt8](unsafeUninitializedCapacity: publicKeySize) { out, count in
            guard let base = out.baseAddress else { return }
            isPoint = peerid_secp256k1_parse_public_key(bytes, bytes.count, base) == 1
            count = isPoint ? publicKeySize : 0
        }
        guard isPoint else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the secp256k1 public key (\(bytes.count) bytes) is not a point of the curve in SEC 1 form"
            )
        }
        return compressed
    }

    static func isValid(_ signature: [UInt8], for message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard publicKey.count == publicKeySize, !signature.isEmpty else { return false }
        return peerid_secp256k1_verify(publicKey, Sodium.sha256(message), signature, signature.count) == 1
    }
}

/// Owner of one signing context of libsecp256k1, freed in `deinit`.
///
/// Sendable: the context is written only when it is made (and blinded); signing takes it as `const`, which the library
/// documents as safe from several threads at once. The pointer is a constant.
final class Secp256k1Signer: @unchecked Sendable {
    private let context: OpaquePointer

    /// Makes a context whose blinding is randomised for this owner.
    init() throws(PeerIDError) {
        let random = SecretBytes(count: 32) { Sodium.fillRandom($0) }
        guard let context = random.withUnsafeBytes({ peerid_secp256k1_signer_create($0.bound) }) else {
            throw PeerIDError(code: .generationFailed, message: "libsecp256k1 cannot make a signing context")
        }
        self.context = context
    }

    /// The compressed public key of a private key.
    func publicKey(of key: SecretBytes) throws(PeerIDError) -> [UInt8] {
        var made = false
        let point = [UInt8](unsafeUninitializedCapacity: Secp256k1.publicKeySize) { out, count in
            made = key.withUnsafeBytes { peerid_secp256k1_public_key(context, $0.bound, out.baseAddress) } == 1
            count = made ? Secp256k1.publicKeySize : 0
        }
        guard made else { throw PeerIDError(code: .malformedKey, message: "the secp256k1 private key is out of range") }
        return point
    }

    func sign(_ message: [UInt8], with key: SecretBytes) throws(PeerIDError) -> [UInt8] {
        let hash = Sodium.sha256(message)
        var made = false
        let signature = [UInt8](unsafeUninitializedCapacity: Int(PEERID_SECP256K1_MAX_SIGNATURE)) { out, count in
            var length = out.count
            made = key.withUnsafeBytes { peerid_secp256k1_sign(context, $0.bound, hash, out.baseAddress, &length) } == 1
            count = made ? length : 0
        }
        guard made else { throw PeerIDError(code: .signingFailed, message: "libsecp256k1 cannot sign with this key") }
        return signature
    }

    deinit { peerid_secp256k1_signer_destroy(context) }
}
