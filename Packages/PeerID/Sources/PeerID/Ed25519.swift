import CSodium

/// Ed25519 by libsodium. A private key is 64 bytes, seed ‖ public key, in memory and in the protobuf.
enum Ed25519 {
    static let seedSize = 32
    static let publicKeySize = 32
    static let privateKeySize = 64
    static let signatureSize = 64

    /// A new key from the system's random numbers.
    static func generate() -> SecretBytes {
        let seed = SecretBytes(count: seedSize) { Sodium.fillRandom($0) }
        return seed.withUnsafeBytes { expand(seed: $0) }
    }

    /// The key that belongs to a seed of 32 bytes.
    static func expand(seed: UnsafeRawBufferPointer) -> SecretBytes {
        precondition(seed.count == seedSize)
        return SecretBytes(count: privateKeySize) { out in
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: publicKeySize) { publicKey in
                guard let publicKey = publicKey.baseAddress, let key = out.bound, let seed = seed.bound else { return }
                crypto_sign_seed_keypair(publicKey, key, seed)
            }
        }
    }

    /// Takes a key from a protobuf: 64 bytes, or the 96 bytes of old go-libp2p keys, whose last 32 repeat the public
    /// key. The public half must be the seed's own: a signature made with another one gives the seed away.
    static func importPrivate(_ bytes: UnsafeRawBufferPointer) throws(PeerIDError) -> SecretBytes {
        guard bytes.count == privateKeySize || bytes.count == privateKeySize + publicKeySize else {
            throw PeerIDError(
                code: .malformedKey,
                message: "an Ed25519 private key has 64 bytes (seed and public key), this one has \(bytes.count)"
            )
        }
        let key = expand(seed: UnsafeRawBufferPointer(rebasing: bytes.prefix(seedSize)))
        let matches = key.withUnsafeBytes { key in
            stride(from: seedSize, to: bytes.count, by: publicKeySize).allSatisfy { offset in
                sodium_memcmp(key.bound?.advanced(by: seedSize), bytes.bound?.advanced(by: offset), publicKeySize) == 0
            }
        }
        guard matches else {
            throw PeerIDError(
                code: .keyMismatch,
                message: "the public half of the Ed25519 key does not belong to its seed; the key is damaged"
            )
        }
        return key
    }

    /// The public half of a 64-byte key.
    static func publicKey(of key: SecretBytes) -> [UInt8] {
        key.withUnsafeBytes { [UInt8]($0.suffix(publicKeySize)) }
    }

    /// Accepts 32 bytes that are a point of the prime-order group: small-order points, with which one signature fits
    /// every message, and bytes that are no point at all are refused.
    static func checkPublic(_ bytes: [UInt8]) throws(PeerIDError) {
        guard bytes.count == publicKeySize else {
            throw PeerIDError(
                code: .malformedKey,
                message: "an Ed25519 public key has 32 bytes, this one has \(bytes.count)"
            )
        }
        Sodium.requireReady()
        guard crypto_core_ed25519_is_valid_point(bytes) == 1 else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the Ed25519 public key is not a point of the prime-order group; no honest peer has such a key"
            )
        }
    }

    static func sign(_ message: [UInt8], with key: SecretBytes) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: signatureSize) { out, count in
            key.withUnsafeBytes { key in
                guard let signature = out.baseAddress, let key = key.bound else { return }
                crypto_sign_detached(signature, nil, message, UInt64(message.count), key)
                count = signatureSize
            }
        }
    }

    static func isValid(_ signature: [UInt8], for message: [UInt8], publicKey: [UInt8]) -> Bool {
        guard signature.count == signatureSize, publicKey.count == publicKeySize else { return false }
        return crypto_sign_verify_detached(signature, message, UInt64(message.count), publicKey) == 0
    }
}

extension UnsafeRawBufferPointer {
    /// The start of the buffer as C's byte pointer.
    var bound: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawBufferPointer {
    /// The start of the buffer as C's byte pointer.
    var bound: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
