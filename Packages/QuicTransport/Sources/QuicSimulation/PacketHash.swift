public import QuicCore

/// A 64-bit hash over every datagram that was sent: when, from where, to where, with which ECN bits, and its bytes.
///
/// Two runs with the same hash sent the same packets at the same times. It is no cryptographic hash.
public struct PacketHash: Sendable, Hashable, CustomStringConvertible {
    /// The hash so far.
    public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325
    /// How many datagrams went in.
    public private(set) var count = 0

    /// The hash of nothing.
    public init() {}

    /// Adds one datagram.
    public mutating func add(
        _ bytes: UnsafeRawBufferPointer,
        time: UInt64,
        from: NetworkAddress,
        to: NetworkAddress,
        ecn: UInt8
    ) {
        count += 1
        mix(time)
        mix(UInt64(bytes.count) << 8 | UInt64(ecn))
        mix(from)
        mix(to)
        var offset = 0
        while offset + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.count {
            rest = rest << 8 | UInt64(bytes[offset])
            offset += 1
        }
        mix(rest)
    }

    private mutating func mix(_ address: NetworkAddress) {
        var word = UInt64(address.port)
        for byte in address.ipBytes { word = word &* 257 &+ UInt64(byte) }
        mix(word)
    }

    private mutating func mix(_ word: UInt64) {
        value = (value ^ word) &* 0x9e37_79b9_7f4a_7c15
        value ^= value >> 29
    }

    /// The hash in hexadecimal.
    public var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
