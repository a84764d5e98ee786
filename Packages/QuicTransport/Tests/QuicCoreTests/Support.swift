import Foundation
import QuicCore

/// A generator whose whole sequence follows from its seed (SplitMix64), so that a failing run can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }
}

/// The seeds of a property test: the one in LIBP2P_TEST_SEED alone, or a few random ones. They are printed.
func propertySeeds(_ count: Int = 4, _ name: String = #function) -> [UInt64] {
    let given = ProcessInfo.processInfo.environment["LIBP2P_TEST_SEED"].flatMap { UInt64($0) }
    let seeds = given.map { [$0] } ?? (0..<count).map { _ in UInt64.random(in: 0 ... .max) }
    print("\(name): seeds \(seeds); repeat one with LIBP2P_TEST_SEED=N")
    return seeds
}

/// The bytes of a hexadecimal text.
func bytes(_ hex: String) -> [UInt8] {
    var result: [UInt8] = []
    var rest = hex[...]
    while rest.count >= 2 {
        result.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
    }
    return result
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// The QUIC vectors of this repository.
struct QuicVectors: Decodable {
    struct Packet: Decodable {
        var name: String
        var hex: String
        var form: String?
        var type: String?
        var version: UInt32?
        var dcid: String?
        var scid: String?
        var tokenHex: String?
    }

    struct Negotiation: Decodable {
        var name: String
        var clientDcid: String?
        var clientScid: String?
        var supported: [String]?
        var hexWithFirstByteF0: String?
    }

    struct Retry: Decodable {
        var packet: String
        var token: String
        var sourceConnectionId: String
    }

    struct Keys: Decodable {
        var key: String
        var iv: String
        var hp: String
    }

    struct ProtectedPacket: Decodable {
        var cryptoFrame: String?
        var plainPayloadLength: Int?
        var payload: String?
        var packetNumber: UInt8
        var unprotectedHeader: String
        var protectedPacket: String
    }

    struct InitialProtection: Decodable {
        var client: Keys
        var server: Keys
        var clientInitial: ProtectedPacket
        var serverInitial: ProtectedPacket
        var retry: Retry
    }

    var packetParsing: [Packet]
    var versionNegotiation: [Negotiation]
    var initialProtection: InitialProtection

    static let all: QuicVectors? = {
        guard
            let url = Bundle.module.url(forResource: "quic_vectors", withExtension: "json", subdirectory: "Vectors"),
            let data = try? Data(contentsOf: url)
        else { return nil }
        return try? JSONDecoder().decode(QuicVectors.self, from: data)
    }()
}

// Spans cannot pass through the testing macros.

func parse(_ datagram: [UInt8], idLength: Int) throws(QuicError) -> PacketHeader {
    try PacketHeader(parsing: datagram.span.bytes, shortHeaderIDLength: idLength)
}

/// As endpoints parse that have told their peers that they may clear the fixed bit.
func parseWithoutFixedBit(_ datagram: [UInt8], idLength: Int) -> PacketHeader? {
    datagram.withUnsafeBytes {
        try? PacketHeader(parsing: $0, shortHeaderIDLength: idLength, requiringFixedBit: false)
    }
}

func negotiate(_ header: PacketHeader, _ datagram: [UInt8], supported: [QuicVersion], random: UInt8) -> [UInt8]? {
    VersionNegotiation.reply(to: header, datagram: datagram.span.bytes, supported: supported, random: random)
}

func offered(_ header: PacketHeader, _ datagram: [UInt8]) -> [QuicVersion]? {
    VersionNegotiation.versions(offeredBy: header, datagram: datagram.span.bytes)
}
