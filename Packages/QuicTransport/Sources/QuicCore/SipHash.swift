/// SipHash-2-4: a keyed pseudo-random function of short inputs (Aumasson and Bernstein, 2012).
///
/// `Hasher` has the same shape but no fixed key: what is derived here must be the same in every process that shares
/// the key.
struct SipHash: Sendable {
    private let key: (UInt64, UInt64)

    /// Takes a key of 128 bits.
    init(_ key0: UInt64, _ key1: UInt64) {
        key = (key0, key1)
    }

    /// The 64-bit hash of a sequence of bytes.
    func callAsFunction(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var state = State(key)
        var word: UInt64 = 0
        var count: UInt64 = 0
        for byte in bytes {
            word |= UInt64(byte) << (8 * (count & 7))
            count += 1
            if count & 7 == 0 {
                state.compress(word)
                word = 0
            }
        }
        state.compress(word | count << 56)
        return state.finish()
    }

    private struct State {
        private var v0, v1, v2, v3: UInt64

        init(_ key: (UInt64, UInt64)) {
            v0 = key.0 ^ 0x736f_6d65_7073_6575
            v1 = key.1 ^ 0x646f_7261_6e64_6f6d
            v2 = key.0 ^ 0x6c79_6765_6e65_7261
            v3 = key.1 ^ 0x7465_6462_7974_6573
        }

        mutating func compress(_ word: UInt64) {
            v3 ^= word
            round()
            round()
            v0 ^= word
        }

        mutating func finish() -> UInt64 {
            v2 ^= 0xff
            for _ in 0..<4 { round() }
            return v0 ^ v1 ^ v2 ^ v3
        }

        private mutating func round() {
            v0 &+= v1
            v2 &+= v3
            v1 = Self.rotated(v1, 13) ^ v0
            v3 = Self.rotated(v3, 16) ^ v2
            v0 = Self.rotated(v0, 32)
            v2 &+= v1
            v0 &+= v3
            v1 = Self.rotated(v1, 17) ^ v2
            v3 = Self.rotated(v3, 21) ^ v0
            v2 = Self.rotated(v2, 32)
        }

        private static func rotated(_ word: UInt64, _ by: UInt64) -> UInt64 { word &<< by | word &>> (64 - by) }
    }
}
