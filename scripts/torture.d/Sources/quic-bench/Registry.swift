import QuicCore
import TortureSupport
import UDPProxy

/// What every operation of the connection-ID registry costs, from 10 connections to 100,000, each at an address of its
/// own and all at one. Fails when an operation's cost grows with the number of connections: caches that become too small
/// make it some times as long, a search would make it thousands of times as long.
enum Registry {
    /// IDs of each connection: what a peer usually holds.
    private static let idsEach = 4
    private static let counts = [10, 100, 1000, 10_000, 100_000]
    /// How often each operation is measured in one round.
    private static let runs = 50_000
    /// The most that an operation may become slower by between the first count and the last …
    private static let allowed = 12.0
    /// … and between 1,000 and the last, where a search would make it a hundred times as long.
    private static let allowedFromThousand = 12.0

    static func print() throws {
        for isShared in [false, true] {
            Swift.print(isShared ? "\nall connections at one address" : "each connection at an address of its own")
            var costs: [[Double]] = []
            for count in counts {
                var populated = try Populated(count, isShared: isShared)
                // The least of the rounds: what other programs disturbed least.
                var best = [Double](repeating: .infinity, count: Populated.operations.count)
                for _ in 0..<(count < 10_000 ? 50 : 5) { best = zip(best, try populated.measure(runs)).map(min) }
                costs.append(best)
            }
            let last = costs[costs.count - 1]
            let growth = zip(last, costs[0]).map(/)
            let late = zip(last, costs[2]).map(/)
            var rows = [["connections"] + Populated.operations.map { "\($0), ns" }]
            for (count, cost) in zip(counts, costs) { rows.append(["\(count)"] + cost.map { fixed($0, 0) }) }
            rows.append(["last to first"] + growth.map { fixed($0, 1) + " ×" })
            rows.append(["last to third"] + late.map { fixed($0, 1) + " ×" })
            printTable(rows)
            for (operation, growth) in zip(Populated.operations, late) where growth > allowedFromThousand {
                throw Failed(
                    "\(operation) costs \(fixed(growth, 1)) times as much with the most connections as with 1,000"
                )
            }
            for (operation, growth) in zip(Populated.operations, growth) where growth > allowed {
                throw Failed("\(operation) costs \(fixed(growth, 1)) times as much with the most connections")
            }
        }
    }

    /// A registry with connections in it, and what is needed to ask it for any of them.
    private struct Populated {
        static let operations = [
            "find", "find unknown", "find at address", "add", "remove ID", "move", "retire", "register and promote",
            "remove connection", "register initial", "find initial", "remove initial", "remove pending", "IDs of",
            "sequence of",
            "address of",
        ]

        var registry = ConnectionIDRegistry<Int>()
        var ids: [ConnectionID] = []
        var generator: SeededGenerator
        let count: Int
        let isShared: Bool

        init(_ count: Int, isShared: Bool) throws {
            self.count = count
            self.isShared = isShared
            generator = SeededGenerator(seed: UInt64(count))
            for connection in 0..<count {
                for sequence in 0..<idsEach {
                    let id = try makeID()
                    let isAccepted =
                        sequence == 0
                        ? registry.register(id, for: connection, at: address(connection), sequence: 0)
                        : registry.add(id, to: connection, sequence: UInt64(sequence))
                    guard isAccepted else { throw Failed("the registry refused an ID") }
                    ids.append(id)
                }
            }
        }

        private func address(_ connection: Int) -> NetworkAddress {
            let number = isShared ? 0 : connection
            return .ip4(10, UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255), port: 4001)
        }

        private mutating func makeID() throws -> ConnectionID {
            let bytes = (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) }
            guard let id = ConnectionID(bytes) else { throw Failed("no connection ID of eight bytes") }
            return id
        }

        /// Nanoseconds of each operation, in the order of ``operations``, on connections in a random order. Leaves the
        /// registry as it was.
        mutating func measure(_ runs: Int) throws -> [Double] {
            let found = (0..<runs).map { _ in ids[Int.random(in: 0..<ids.count, using: &generator)] }
            let addresses = (0..<runs).map { _ in address(Int.random(in: 0..<count, using: &generator)) }
            let fresh = try (0..<runs).map { _ in try makeID() }
            // What changes a connection is done to each once, and undone.
            let changed = Array((0..<count).shuffled(using: &generator).prefix(runs))
            let homes = changed.map(address)
            let elsewhere = NetworkAddress.ip4(192, 0, 2, 1, port: 4001)
            let sequence = UInt64(idsEach)
            var costs = [
                try time(runs) { $0.find(found[$1]) != nil },
                try time(runs) { $0.find(fresh[$1]) == nil },
                try time(runs) { $0.find(at: addresses[$1]) != nil },
                try time(changed.count) { $0.add(fresh[$1], to: changed[$1], sequence: sequence) },
                try time(changed.count) { $0.remove(fresh[$1]) != nil },
                try time(changed.count) { $0.move(changed[$1], to: elsewhere) },
            ]
            _ = try time(changed.count) { $0.move(changed[$1], to: homes[$1]) }
            _ = try time(changed.count) { $0.add(fresh[$1], to: changed[$1], sequence: sequence) }
            costs += [
                try time(changed.count) { $0.retire(sequences: sequence..<sequence + 1, of: changed[$1]).count == 1 },
                try time(changed.count) {
                    $0.registerPending(fresh[$1], for: -1 - $1, at: homes[$1]) && $0.promote(-1 - $1)
                },
                try time(changed.count) { $0.remove(connection: -1 - $1).count == 1 },
                try time(changed.count) { $0.registerInitial(fresh[$1], for: -1 - $1, at: homes[$1]) },
                try time(changed.count) { $0.find(fresh[$1], isInitial: true) != nil },
                try time(changed.count) { $0.removeInitial(fresh[$1]) != nil },
            ]
            _ = try time(changed.count) {
                _ = $0.remove(connection: -1 - $1)
                return $0.registerPending(fresh[$1], for: -1 - $1, at: homes[$1])
            }
            costs += [
                try time(changed.count) { $0.removePending(fresh[$1]) != nil },
                try time(changed.count) { $0.connectionIDs(of: changed[$1]).count == idsEach },
                try time(runs) { $0.sequence(of: found[$1]) != nil },
                try time(changed.count) { $0.address(of: changed[$1]) == homes[$1] },
            ]
            return costs
        }

        /// Nanoseconds of one run of an operation.
        private mutating func time(
            _ runs: Int,
            _ operation: (inout ConnectionIDRegistry<Int>, Int) -> Bool
        ) throws -> Double {
            var done = 0
            let start = ContinuousClock.now
            for index in 0..<runs where operation(&registry, index) { done += 1 }
            let time = (ContinuousClock.now - start).inSeconds * 1e9
            guard done == runs else { throw Failed("\(done) of \(runs) operations did what they should") }
            return time / Double(runs)
        }
    }
}
