import Synchronization
import Testing

@testable import QuicCore

@Suite struct ConnectionIDRegistryTests {
    typealias Registry = ConnectionIDRegistry<Int>

    private let home = NetworkAddress.ip4(192, 0, 2, 1, port: 4001)
    private let away = NetworkAddress.ip4(198, 51, 100, 7, port: 9)

    private func id(_ number: UInt8) -> ConnectionID { ConnectionID([number]) ?? .empty }

    @Test func findsTheClientsOwnIDForItsFirstPacketsOnly() {
        var registry = Registry()
        #expect(registry.registerInitial(id(1), for: 7, at: home) == true)
        #expect(registry.find(id(1), isInitial: true) == .init(connection: 7, phase: .initial))
        #expect(registry.find(id(1)) == nil)
    }

    @Test func promotesAPendingConnectionOnce() {
        var registry = Registry()
        registry.registerInitial(id(1), for: 7, at: home)
        registry.registerPending(id(2), for: 7, at: home)
        #expect(registry.find(id(2)) == .init(connection: 7, phase: .pending))
        #expect(registry.pendingConnections == [7])
        #expect(registry.promote(7) == true)
        #expect(registry.promote(7) == true)
        #expect(registry.find(id(2), isInitial: true) == .init(connection: 7, phase: .established))
        #expect(registry.find(id(1), isInitial: true) == nil)
        #expect(registry.establishedConnections == [7])
        #expect(registry.statistics.initialIDs == 0)
        #expect(registry.promote(8) == false)
    }

    @Test func doesNotPromoteWhatCouldNotBeFoundAfterwards() {
        var registry = Registry()
        registry.registerInitial(id(1), for: 7, at: home)
        #expect(registry.promote(7) == false)
        #expect(registry.find(id(1), isInitial: true)?.connection == 7)
    }

    @Test func givesNobodyAnothersID() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home)
        registry.registerInitial(id(2), for: 8, at: home)
        let before = registry.statistics
        #expect(registry.register(id(1), for: 8, at: home) == false)
        #expect(registry.registerPending(id(2), for: 7, at: home) == false)
        #expect(registry.registerInitial(id(1), for: 9, at: home) == false)
        #expect(registry.add(id(1), to: 8, sequence: 5) == false)
        #expect(registry.addByFallback(id(1), to: 8, at: away) == false)
        #expect(registry.statistics == before)
        #expect(!registry.contains(9))
    }

    @Test func keepsOneIDPerSequenceNumber() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home, sequence: 0)
        #expect(registry.add(id(2), to: 7, sequence: 0) == false)
        #expect(registry.add(id(1), to: 7, sequence: 0) == true)
        #expect(registry.add(id(1), to: 7, sequence: 3) == false)
        #expect(registry.sequence(of: id(1)) == 0)
    }

    @Test func routesByAddressToItsLatestID() {
        var registry = Registry()
        #expect(registry.find(at: home) == nil)
        registry.register(id(1), for: 7, at: home)
        registry.register(id(2), for: 8, at: home)
        #expect(registry.find(at: home) == .init(connection: 8, connectionID: id(2)))
        registry.add(id(3), to: 7, sequence: 1)
        #expect(registry.find(at: home)?.connection == 8)
        #expect(registry.addByFallback(id(4), to: 7, at: home) == true)
        #expect(registry.find(at: home) == .init(connection: 7, connectionID: id(4)))
        #expect(registry.statistics.fallbackRoutings == 3)
    }

    @Test func routesByAddressToAnyConnectionWhenTheLatestIsGone() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home)
        registry.register(id(2), for: 8, at: home)
        registry.remove(connection: 8)
        #expect(registry.find(at: home) == .init(connection: 7, connectionID: id(1)))
        registry.remove(connection: 7)
        #expect(registry.find(at: home) == nil)
        #expect(registry.statistics.addressMappings == 0)
    }

    @Test func movesAConnectionThatWasFoundElsewhere() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home)
        registry.addByFallback(id(2), to: 7, at: away)
        #expect(registry.address(of: 7) == away)
        #expect(registry.find(at: home) == nil)
        #expect(registry.find(at: away) == .init(connection: 7, connectionID: id(2)))
        #expect(registry.move(7, to: home) == true)
        #expect(registry.find(at: home) == .init(connection: 7, connectionID: id(1)))
        #expect(registry.find(at: away) == nil)
        #expect(registry.move(9, to: home) == false)
    }

    @Test func pointsToTheLowestRemainingSequence() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home, sequence: 0)
        registry.add(id(4), to: 7, sequence: 3)
        registry.add(id(3), to: 7, sequence: 2)
        registry.addByFallback(id(9), to: 7, at: home)
        #expect(registry.connectionIDs(of: 7) == [id(1), id(3), id(4), id(9)])
        #expect(registry.remove(id(9))?.wasLast == false)
        #expect(registry.find(at: home)?.connectionID == id(1))
        #expect(registry.remove(id(1)) == .init(connection: 7, address: home, wasLast: false))
        #expect(registry.primaryConnectionID(of: 7) == id(3))
        #expect(registry.find(at: home)?.connectionID == id(3))
        registry.remove(id(3))
        #expect(registry.remove(id(4))?.wasLast == true)
        #expect(registry.isEmpty)
        #expect(registry.remove(id(4)) == nil)
    }

    @Test func givesALearntIDItsNumberLater() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home)
        registry.addByFallback(id(3), to: 7, at: home)
        registry.add(id(4), to: 7, sequence: 4)
        #expect(registry.sequence(of: id(3)) == nil)
        #expect(registry.statistics.trackedSequences == 2)
        #expect(registry.add(id(3), to: 7, sequence: 2) == true)
        #expect(registry.connectionIDs(of: 7) == [id(1), id(3), id(4)])
        #expect(registry.statistics.trackedSequences == 3)
        #expect(registry.statistics.establishedIDs == 3)
    }

    @Test func retiresARangeInOrder() {
        var registry = Registry()
        registry.register(id(10), for: 7, at: home, sequence: 0)
        for sequence in [5, 2, 4, 1, 3] as [UInt64] {
            registry.add(id(UInt8(10 + sequence)), to: 7, sequence: sequence)
        }
        #expect(registry.retire(sequences: 1..<4, of: 7) == [id(11), id(12), id(13)])
        #expect(registry.find(id(12)) == nil)
        #expect(registry.retire(sequences: 0..<UInt64.max, of: 7) == [id(10), id(14), id(15)])
        #expect(!registry.contains(7))
        #expect(registry.retire(sequences: 0..<9, of: 7) == [])
    }

    @Test func removesByKind() {
        var registry = Registry()
        registry.registerInitial(id(1), for: 7, at: home)
        registry.registerPending(id(2), for: 7, at: home)
        registry.register(id(3), for: 8, at: home)
        #expect(registry.removePending(id(3)) == nil)
        #expect(registry.removePending(id(2)) == .init(connection: 7, address: home, wasLast: false))
        #expect(registry.removeInitial(id(2)) == nil)
        #expect(registry.removeInitial(id(1))?.wasLast == true)
        #expect(registry.remove(at: home) == [8])
        #expect(registry.isEmpty)
        #expect(registry.remove(at: home) == [])
    }

    @Test func boundsTheIDsOfAConnection() {
        var registry = Registry(maximumPerConnection: 3)
        registry.registerInitial(id(1), for: 7, at: home)
        registry.registerPending(id(2), for: 7, at: home)
        #expect(registry.add(id(3), to: 7, sequence: 1) == true)
        #expect(registry.add(id(4), to: 7, sequence: 2) == false)
        #expect(registry.addByFallback(id(4), to: 7, at: home) == false)
        registry.promote(7)
        #expect(registry.add(id(4), to: 7, sequence: 2) == true)
    }

    @Test func timesOperationsInDebugModeOnly() {
        var quiet = Registry()
        quiet.register(id(1), for: 7, at: home)
        #expect(quiet.statistics.timings.isEmpty)

        let clock = SteppingClock()
        var registry = Registry(timingClock: { clock.next() })
        registry.register(id(1), for: 7, at: home)
        _ = registry.find(id(1))
        _ = registry.find(id(2))
        let timing = registry.statistics.timings[.find]
        #expect(timing?.count == 2)
        #expect(timing?.totalNanoseconds == 20)
        #expect(timing?.maximumNanoseconds == 10)
        _ = registry.find(at: home)
        registry.resetStatistics()
        #expect(registry.statistics.timings.isEmpty)
        #expect(registry.statistics.fallbackRoutings == 0)
        #expect(registry.statistics.establishedIDs == 1)
        #expect(registry.statistics.trackedSequences == 1)
    }

    @Test func tellsHowSequenceNumbersAreSpread() {
        var registry = Registry()
        registry.register(id(1), for: 7, at: home)
        for (index, sequence) in ([1, 2, 3, 4, .max] as [UInt64]).enumerated() {
            registry.add(id(UInt8(10 + index)), to: 7, sequence: sequence)
        }
        let distribution = registry.statistics.sequenceDistribution
        #expect(distribution.count == 65)
        #expect(Array(distribution[..<4]) == [1, 1, 2, 1])
        #expect(distribution[64] == 1)
        registry.remove(connection: 7)
        #expect(registry.statistics.sequenceDistribution.allSatisfy { $0 == 0 })
    }
}

/// A clock that steps on by ten nanoseconds whenever it is looked at.
private final class SteppingClock: Sendable {
    private let time = Mutex<UInt64>(0)

    func next() -> UInt64 {
        time.withLock {
            $0 += 10
            return $0
        }
    }
}
