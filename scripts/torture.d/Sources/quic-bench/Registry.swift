import QuicCore
import TortureSupport
import UDPProxy

/// What finding a connection by its ID costs, from 10 connections to 100,000.
enum Registry {
    /// IDs of each connection: what a peer usually holds.
    private static let idsEach = 4
    private static let lookups = 1_000_000

    static func print() throws {
        var rows = [["connections", "IDs", "find, ns", "find of an unknown ID, ns", "to the first row"]]
        var first: Double?
        for connections in [10, 100, 1000, 10_000, 100_000] {
            var generator = SeededGenerator(seed: UInt64(connections))
            var registry = ConnectionIDRegistry<Int>()
            var ids: [ConnectionID] = []
            for connection in 0..<connections {
                let address = NetworkAddress.ip4(
                    10,
                    UInt8(connection >> 16),
                    UInt8(connection >> 8 & 255),
                    UInt8(connection & 255),
                    port: 4001
                )
                for sequence in 0..<idsEach {
                    let id = try makeID(&generator)
                    let isAccepted =
                        sequence == 0
                        ? registry.register(id, for: connection, at: address, sequence: 0)
                        : registry.add(id, to: connection, sequence: UInt64(sequence))
                    guard isAccepted else { throw Failed("the registry refused an ID") }
                    ids.append(id)
                }
            }
            let known = try measure(
                &registry,
                (0..<65_536).map { _ in ids.randomElement(using: &generator) ?? .empty },
                isKnown: true
            )
            let unknown = try measure(&registry, try (0..<65_536).map { _ in try makeID(&generator) }, isKnown: false)
            first = first ?? known
            rows.append([
                "\(connections)", "\(ids.count)", fixed(known, 1), fixed(unknown, 1),
                fixed(known / (first ?? known)) + " ×",
            ])
        }
        printTable(rows)
    }

    private static func makeID(_ generator: inout SeededGenerator) throws -> ConnectionID {
        let bytes = (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) }
        guard let id = ConnectionID(bytes) else { throw Failed("no connection ID of eight bytes") }
        return id
    }

    /// Nanoseconds of one lookup, in a random order: the least of five rounds, which other programs disturbed least.
    private static func measure(
        _ registry: inout ConnectionIDRegistry<Int>,
        _ ids: [ConnectionID],
        isKnown: Bool
    ) throws -> Double {
        var best = Double.infinity
        for _ in 0..<5 {
            var found = 0
            let start = ContinuousClock.now
            for _ in 0..<(lookups / ids.count) {
                for id in ids where registry.find(id) != nil { found += 1 }
            }
            let count = lookups / ids.count * ids.count
            best = min(best, (ContinuousClock.now - start).inSeconds * 1e9 / Double(count))
            guard found == (isKnown ? count : 0) else { throw Failed("\(found) of \(count) were found") }
        }
        return best
    }
}
