import Multiaddr

/// Makes addresses of every protocol with random values that fit it.
struct AddressMaker {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(state: seed) }

    mutating func address() throws -> Multiaddr {
        var components: [Multiaddr.Component] = []
        for _ in 0..<Int.random(in: 1...5, using: &random) {
            guard let proto = MultiaddrProtocol.all.randomElement(using: &random) else { break }
            components.append(try Multiaddr.Component(proto, value: value(of: proto)))
            // A path takes the rest.
            if proto == .unix { break }
        }
        return try Multiaddr(components)
    }

    private mutating func value(of proto: MultiaddrProtocol) -> [UInt8] {
        switch proto {
        case .ip6: (0..<8).flatMap { _ in Bool.random(using: &random) ? [0, 0] : bytes(2) }
        case .onion: bytes(11) + [1]
        case .onion3: bytes(36) + [1]
        // Python refuses a zone that is called like a protocol.
        case .ip6zone: word(1...8) + [UInt8(ascii: "0")]
        case .dns, .dns4, .dns6, .dnsaddr, .sni:
            Array([word(1...12), word(1...12), word(2...5)].joined(separator: [UInt8(ascii: ".")]))
        case .unix: [UInt8(ascii: "/")] + word(1...8) + [UInt8(ascii: "/")] + word(1...8)
        case .httpPath: word(1...10) + [UInt8(ascii: "/"), UInt8(ascii: " "), UInt8(ascii: "%")] + word(1...10)
        case .p2p: Bool.random(using: &random) ? [0x12, 0x20] + bytes(32) : [0x00, 36, 8, 1, 0x12, 0x20] + bytes(32)
        case .certhash: [0x12, 0x20] + bytes(32)
        case .garlic64: bytes(Int.random(in: 386...462, using: &random))
        case .garlic32: bytes(Bool.random(using: &random) ? 32 : Int.random(in: 35...60, using: &random))
        default:
            switch proto.size {
            case .fixed(let bits)?: bytes(bits / 8)
            case .variable?, nil: word(1...12)
            }
        }
    }

    private mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    private mutating func word(_ length: ClosedRange<Int>) -> [UInt8] {
        (0..<Int.random(in: length, using: &random)).map { _ in
            UInt8.random(in: UInt8(ascii: "a")...UInt8(ascii: "z"), using: &random)
        }
    }
}

/// The same numbers for the same seed everywhere.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
