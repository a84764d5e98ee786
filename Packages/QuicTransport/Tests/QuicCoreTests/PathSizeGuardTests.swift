import Testing

@testable import QuicCore

@Suite struct PathSizeGuardTests {
    private static let second: UInt64 = 1_000_000_000
    private var guardian = PathSizeGuard()

    private func pulse(acknowledged: Int64, inFlight: UInt64 = 1, full: Int = 1444, probe: Bool = false)
        -> PathSizeGuard.Pulse
    {
        PathSizeGuard.Pulse(
            full: full,
            bytesInFlight: inFlight,
            largestAcknowledged: acknowledged,
            probeTimeout: Self.second / 10,
            isProbeAcknowledged: probe
        )
    }

    @Test mutating func comesDownAfterThreeProbeTimeoutsWithoutNews() {
        guardian.look(pulse(acknowledged: 5), now: 0)
        guardian.look(pulse(acknowledged: 5), now: 3 * Self.second / 10 - 1)
        #expect(guardian.limit == nil)
        guardian.look(pulse(acknowledged: 5), now: 3 * Self.second / 10)
        #expect(guardian.limit == 1200)
        #expect(guardian.reductions == 1)
    }

    @Test mutating func newsAndIdlenessAreNoAlarm() {
        for index in 0..<100 {
            guardian.look(pulse(acknowledged: Int64(index)), now: UInt64(index) * Self.second / 5)
        }
        #expect(guardian.limit == nil)
        // Nothing in flight for a long time, then a packet.
        guardian.look(pulse(acknowledged: 99, inFlight: 0), now: 30 * Self.second)
        guardian.look(pulse(acknowledged: 99), now: 60 * Self.second)
        #expect(guardian.limit == nil)
        #expect(guardian.reductions == 0)
    }

    @Test mutating func aSmallPathHasNothingToComeDownFrom() {
        guardian.look(pulse(acknowledged: 5, full: 1200), now: 0)
        guardian.look(pulse(acknowledged: 5, full: 1200), now: Self.second)
        #expect(guardian.limit == nil)
        #expect(guardian.reductions == 0)
    }

    @Test mutating func comesUpSizeBySizeAndPausesLongerAfterEachFailure() {
        let sizes = [1280, 1342, 1406, 1444]
        guardian.look(pulse(acknowledged: 5), now: 0)
        guardian.look(pulse(acknowledged: 5), now: Self.second)
        var now = 2 * Self.second
        guardian.look(pulse(acknowledged: 6), now: now)
        #expect(guardian.probeSize(pulse(acknowledged: 6), among: sizes, now: now) == nil)
        // Each failure doubles the pause, up to ten minutes.
        now = Self.second
        for expected in [10, 20, 40, 80, 160, 320, 600, 600] as [UInt64] {
            let due = now + expected * Self.second
            guardian.look(pulse(acknowledged: 6, inFlight: 0), now: due - 1)
            #expect(guardian.probeSize(pulse(acknowledged: 6), among: sizes, now: due - 1) == nil)
            #expect(guardian.probeSize(pulse(acknowledged: 6), among: sizes, now: due) == 1280)
            guardian.probeSent(size: 1280, pulse(acknowledged: 6), now: due)
            #expect(guardian.probeSize(pulse(acknowledged: 6), among: sizes, now: due) == nil)
            now = due + 3 * Self.second / 10
            guardian.look(pulse(acknowledged: 6, inFlight: 0), now: now)
        }
        now += 600 * Self.second
        for (size, next) in [(1280, 1342), (1342, 1406), (1406, 1444)] {
            guardian.probeSent(size: size, pulse(acknowledged: 6), now: now)
            guardian.look(pulse(acknowledged: 6, inFlight: 0, probe: true), now: now + 1)
            #expect(guardian.limit == size)
            #expect(guardian.probeSize(pulse(acknowledged: 6), among: sizes, now: now + 1) == next)
        }
        guardian.probeSent(size: 1444, pulse(acknowledged: 6), now: now)
        guardian.look(pulse(acknowledged: 6, inFlight: 0, probe: true), now: now + 1)
        #expect(guardian.limit == nil)
        #expect(guardian.reductions == 1)
    }

    @Test mutating func comesDownAgainFromHalfTheWay() {
        guardian.look(pulse(acknowledged: 5), now: 0)
        guardian.look(pulse(acknowledged: 5), now: Self.second)
        guardian.look(pulse(acknowledged: 6), now: 12 * Self.second)
        guardian.probeSent(size: 1342, pulse(acknowledged: 6), now: 12 * Self.second)
        guardian.look(pulse(acknowledged: 7, probe: true), now: 12 * Self.second + 1)
        #expect(guardian.limit == 1342)
        guardian.look(pulse(acknowledged: 7), now: 13 * Self.second)
        #expect(guardian.limit == 1200)
        #expect(guardian.reductions == 2)
    }
}
