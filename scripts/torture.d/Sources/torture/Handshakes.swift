import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

extension Scenario {
    static let handshakes = [
        Scenario(name: "handshake-loss", threshold: "50 of 50 within 30 s, median 1.5 s") { setting in
            try await handshakes(setting, meeting: \.lost) { $0.loss = 0.3 }
        },
        Scenario(name: "handshake-corruption", threshold: "50 of 50 within 30 s") { setting in
            try await handshakes(setting, meeting: \.corrupted, medianAtMost: 30) { $0.corruption = 0.3 }
        },
    ]

    /// Fifty handshakes, five at a time, each of a client of its own, so that nothing is remembered.
    private static func handshakes(
        _ setting: Setting,
        meeting accident: KeyPath<LinkStatistics, Int>,
        medianAtMost limit: Double = 1.5,
        _ change: (inout LinkConditions) -> Void
    ) async throws -> Outcome {
        var link = LinkConditions.usual
        change(&link)
        let loops = setting.loops
        let service = try await Service(setting.patient, on: loops.server)
        let proxy = try await loops.proxy(to: service, link, seed: setting.seed)
        let address = try service.dialAddress(by: proxy.address)
        let count = max(5, 50 / setting.divisor)
        let times = try await withThrowingTaskGroup(of: Double.self) { group in
            var times: [Double] = []
            for started in 0..<count {
                if started >= 5, let time = try await group.next() { times.append(time) }
                let client = try loops.dialer(setting.patient)
                group.addTask {
                    let start = ContinuousClock.now
                    do {
                        _ = try await client.dialQuic(address)
                        let time = (ContinuousClock.now - start).inSeconds
                        await client.close()
                        return time
                    } catch {
                        note("handshake: \(error)")
                        await client.close()
                        return .infinity
                    }
                }
            }
            for try await time in group { times.append(time) }
            return times
        }
        var outcome = Outcome(figures: times.filter(\.isFinite))
        let within = times.count { $0 <= 30 }
        outcome.demand(within == count, "\(within) of \(count) within 30 s")
        let median = outcome.figures.median
        outcome.demand(median <= limit, "the median is \(fixed(median)) s")
        let statistics = try await proxy.statistics()
        // Three in ten of no fewer than six datagrams each.
        outcome.demand(statistics.count(accident) >= count, "the handshakes did not meet what they are about")
        outcome.note = "\(statistics.count(\.lost)) datagrams lost, \(statistics.count(\.corrupted)) damaged"
        try await proxy.close()
        await service.close()
        return outcome
    }
}

extension LinkConditions {
    /// 15 ms each way and 10 Mbit/s.
    static var usual: LinkConditions { LinkConditions(delay: .milliseconds(15), bitsPerSecond: 10e6) }
}
