import CSodium

/// libsodium's parts that are not about one kind of key: start, random numbers, SHA-256.
enum Sodium {
    /// The result of starting libsodium, which happens once, on first use.
    private static let isReady = sodium_init() >= 0

    /// Starts libsodium. It fails only where the system has no random numbers; no key can be had there.
    static func requireReady() {
        precondition(isReady, "libsodium cannot start: the system has no source of random numbers")
    }

    /// Fills memory with random bytes fit for keys.
    static func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {
        requireReady()
        guard let base = bytes.baseAddress else { return }
        randombytes_buf(base, bytes.count)
    }

    /// SHA-256 of the bytes, 32 bytes.
    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            if let base = out.baseAddress {
                crypto_hash_sha256(base, bytes, UInt64(bytes.count))
                count = 32
            }
        }
    }
}
