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
                message: bytes.count == seedSize
                    ? "the Ed25519 private key is a bare seed, as py-libp2p writes it; use PrivateKey.ed25519(seed:)"
                    : "an Ed25519 private key has 64 bytes (seed and public key), this one has \(bytes.count)"
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

    /// Accepts 32 bytes that are the one encoding of a point of the curve, small-order points excepted: with those, one
    /// signature fits every message.
    ///
    /// Points with a small-order part besides a large one pass, as they do in other implementations: they weaken
    /// nothing but their own holder, and the full check would cost as much as verifying a signature.
    static func checkPublic(_ bytes: [UInt8]) throws(PeerIDError) {
        guard bytes.count == publicKeySize else {
            throw PeerIDError(
                code: .malformedKey,
                message: "an Ed25519 public key has 32 bytes, this one has \(bytes.count)"
            )
        }
        Sodium.requireReady()
        // Adding the neutral element gives the point back in its canonical encoding; -1 for what is no point.
        var isPoint = false
        let canonical = [UInt8](unsafeUninitializedCapacity: publicKeySize) { out, count in
            guard let base = out.baseAddress else { return }
            isPoint = crypto_core_ed25519_add(base, bytes, smallOrder[1]) == 0
            count = isPoint ? publicKeySize : 0
        }
        guard isPoint, canonical == bytes else {
            throw PeerIDError(code: .malformedKey, message: "the Ed25519 public key is not a point of the curve")
        }
        var withoutSign = bytes
        withoutSign[publicKeySize - 1] &= 0x7f
        guard !smallOrder.contains(withoutSign) else {
            throw PeerIDError(
                code: .malformedKey,
                message: "the Ed25519 public key is a point of small order; no honest peer has such a key"
            )
        }
    }

    /// The y coordinates of the eight points whose order divides 8 (points with the same y differ in the sign bit):
    /// 0 has order 4, 1 is the neutral element, -1 has order 2, the last two have order 8.
    private static let smallOrder: [[UInt8]] = [
        [UInt8](repeating: 0, count: 32),
        [1] + [UInt8](repeating: 0, count: 31),
        [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ]

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
