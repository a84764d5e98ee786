import TortureSupport
import UDPProxy

extension Scenario {
    /// The network itself: whether it does what the other scenarios rely on.
    static let link = Scenario(
        name: "link",
        threshold: "the proxy's link does what it is told, and the same for the same seed",
        run: { setting in
            var outcome = Outcome()
            outcome.demand(arrivals(setting.seed) == arrivals(setting.seed), "the same seed, other accidents")
            outcome.demand(arrivals(setting.seed) != arrivals(setting.seed &+ 1), "another seed, the same accidents")
            checkShares(setting.seed, &outcome)
            checkRate(&outcome)
            checkTimesAndSizes(&outcome)
            return outcome
        }
    )

    private static func arrivals(_ seed: UInt64) -> [[Int64]] {
        var conditions = LinkConditions.usual
        (conditions.loss, conditions.duplication, conditions.reordering) = (0.1, 0.1, 0.1)
        conditions.jitter = .milliseconds(3)
        var link = LinkModel(conditions, seed: seed)
        return (0..<2000).map { index in
            var payload = [UInt8](repeating: 7, count: 1000)
            return link.pass(&payload, now: Int64(index) * 1_000_000)
        }
    }

    /// Of ten thousand, each share is within a tenth of what was asked for: more than six standard deviations.
    private static func checkShares(_ seed: UInt64, _ outcome: inout Outcome) {
        var conditions = LinkConditions()
        (conditions.loss, conditions.corruption, conditions.duplication) = (0.3, 0.4, 0.5)
        var link = LinkModel(conditions, seed: seed)
        var damaged = 0
        for _ in 0..<10_000 {
            var payload = [UInt8](repeating: 0, count: 500)
            _ = link.pass(&payload, now: 0)
            let differing = payload.count { $0 != 0 }
            outcome.demand(payload.count == 500 && differing <= 3, "\(differing) bytes of one datagram changed")
            damaged += min(1, differing)
        }
        let statistics = link.statistics
        outcome.demand((2700...3300).contains(statistics.lost), "30 %: \(statistics.lost) of 10,000 lost")
        outcome.demand((2520...3080).contains(damaged), "40 % of 70 %: \(damaged) of 10,000 damaged")
        outcome.demand((3150...3850).contains(statistics.duplicated), "50 % of 70 %: \(statistics.duplicated) doubled")
    }

    /// A thousand bytes a millisecond with headers, and no more than ten thousand waiting.
    private static func checkRate(_ outcome: inout Outcome) {
        var conditions = LinkConditions(bitsPerSecond: 8e6)
        conditions.queueBytes = 10_000
        var link = LinkModel(conditions, seed: 1)
        var times: [Int64] = []
        for _ in 0..<100 {
            var payload = [UInt8](repeating: 0, count: 972)
            times += link.pass(&payload, now: 0)
        }
        outcome.demand(times == (1...11).map { $0 * 1_000_000 }, "the rate or its queue: \(times)")
        outcome.demand(link.statistics.overflowed == 89, "\(link.statistics.overflowed) overflowed")
    }

    private static func checkTimesAndSizes(_ outcome: inout Outcome) {
        var conditions = LinkConditions()
        conditions.blackhole = .init(start: .seconds(1), period: .seconds(5), length: .seconds(2))
        conditions.maximumPayload = 1252
        var link = LinkModel(conditions, seed: 1)
        let passing = (0..<12).filter { second in
            var payload: [UInt8] = [1]
            return !link.pass(&payload, now: Int64(second) * 1_000_000_000 + 1).isEmpty
        }
        outcome.demand(passing == [0, 3, 4, 5, 8, 9, 10], "the blackholes: \(passing)")
        for (size, passes) in [(1252, true), (1253, false)] {
            var payload = [UInt8](repeating: 0, count: size)
            outcome.demand(link.pass(&payload, now: 0).isEmpty != passes, "a datagram of \(size) bytes")
        }
    }
}
