import NetStream
import QuicCore
import QuicTransport
import TortureSupport
import UDPProxy

/// A number of transfers over one link, each with a proxy and a client of its own, in turn up and down. A transfer's time
/// begins before the dial and ends when every byte is known to have come.
struct Transfer {
    /// Bytes of one.
    var size: Int
    /// How many, at a divisor of 1.
    var runs = 1
    /// The most seconds that the median may take.
    var medianAtMost: Double
    /// The least seconds that one can take over such a link.
    var timeAtLeast = 0.0
    var rebindingEvery: Duration?
    /// Whether a rebinding changes the address, too.
    var changesAddress = false
    /// What happens to the link while the transfer runs: so long after its beginning.
    var steps: [(after: Duration, change: @Sendable (inout LinkConditions) -> Void)] = []
    /// Whether what the scenario is about happened at all.
    var happened: (UDPProxyStatistics) -> Bool = { _ in true }
    /// Given what the client knows of the path at the end of an upload, says what is wrong.
    var judge: (PathStatistics) -> String? = { _ in nil }
    var link = LinkConditions.usual

    func run(_ setting: Setting) async throws -> Outcome {
        var outcome = Outcome()
        var sum: UDPProxyStatistics?
        for run in 0..<max(1, runs / setting.divisor) {
            let isUpload = run.isMultiple(of: 2)
            let (time, statistics, path) = try await once(
                setting,
                seed: setting.seed &+ UInt64(run),
                isUpload: isUpload
            )
            outcome.figures.append(time)
            if isUpload, let path, let complaint = judge(path) { outcome.failures.append(complaint) }
            outcome.demand(
                happened(statistics) && time >= timeAtLeast,
                "run \(run) did not meet what it is about: \(statistics.summary), \(fixed(time)) s"
            )
            sum = statistics
        }
        let median = outcome.figures.median
        outcome.demand(median <= medianAtMost, "the median is \(fixed(median)) s")
        if let sum {
            outcome.note = "last run: \(sum.summary); \(fixed(Double(size) * 8e-6 / median)) Mbit/s"
        }
        return outcome
    }

    private func once(
        _ setting: Setting,
        seed: UInt64,
        isUpload: Bool
    ) async throws -> (time: Double, proxy: UDPProxyStatistics, path: PathStatistics?) {
        let loops = setting.loops
        let service = try await Service(setting.patient, on: loops.server)
        let proxy = try await loops.proxy(
            to: service,
            link,
            seed: seed,
            rebindingEvery: rebindingEvery,
            changesAddress: changesAddress
        )
        let client = try loops.dialer(setting.patient)
        let steps = steps
        let (time, path) = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ends with the proxy at the latest: the pauses are of the loop's own.
                for step in steps {
                    try await loops.pause(step.after)
                    try await proxy.change(step.change)
                }
            }
            let start = ContinuousClock.now
            let connection = try await client.dialQuic(try service.dialAddress(by: proxy.address))
            try await isUpload ? connection.upload(size) : connection.download(size)
            let time = (ContinuousClock.now - start).inSeconds
            let path = await connection.statistics()?.path
            try await group.waitForAll()
            return (time, path)
        }
        let statistics = try await proxy.statistics()
        await client.close()
        await service.close()
        try await proxy.close()
        return (time, statistics, path)
    }
}

extension Scenario {
    static let transfers = [
        Scenario(name: "transfer-loss", threshold: "2 MiB at 2 % loss: median of 5 at most 6 s") {
            var transfer = Transfer(size: 2 << 20, runs: 5, medianAtMost: 6, link: .usual { $0.loss = 0.02 })
            // 2 % of some 1,600 datagrams.
            transfer.happened = { $0.count(\.lost) >= 15 }
            return try await transfer.run($0)
        },
        Scenario(name: "transfer-corruption", threshold: "2 MiB at 2 % corruption: median of 5 at most 6 s") {
            var transfer = Transfer(size: 2 << 20, runs: 5, medianAtMost: 6, link: .usual { $0.corruption = 0.02 })
            transfer.happened = { $0.count(\.corrupted) >= 15 }
            return try await transfer.run($0)
        },
        Scenario(name: "heavy-loss", threshold: "1 MiB at 20 % loss arrives, within 240 s") {
            var transfer = Transfer(size: 1 << 20, medianAtMost: 240, link: .usual { $0.loss = 0.2 })
            // 20 % of 900 datagrams and more.
            transfer.happened = { $0.count(\.lost) >= 100 }
            return try await transfer.run($0)
        },
        Scenario(name: "goodput", threshold: "10 MiB at 80 % of the link: 10.5 s, median of 2") {
            try await Transfer(size: 10 << 20, runs: 2, medianAtMost: Double(10 << 20) * 8 / 10e6 / 0.8).run($0)
        },
        Scenario(name: "blackhole", threshold: "8 MiB, nothing for 2 s of every 5 s: arrives, within 60 s") {
            var transfer = Transfer(size: 8 << 20, medianAtMost: 60)
            transfer.link.blackhole = .init(start: .seconds(1), period: .seconds(5), length: .seconds(2))
            transfer.happened = { $0.up.swallowed + $0.down.swallowed > 0 }
            return try await transfer.run($0)
        },
        Scenario(name: "rebinding", threshold: "12 MiB, a new source port every 5 s: arrives, within 30 s") {
            var transfer = Transfer(size: 12 << 20, runs: 2, medianAtMost: 30, rebindingEvery: .seconds(5))
            transfer.happened = { $0.rebindings >= 2 }
            return try await transfer.run($0)
        },
        Scenario(
            name: "address-rebinding",
            threshold: "8 MiB, a new source address every 2 s: arrives, within 30 s"
        ) {
            var transfer = Transfer(size: 8 << 20, runs: 2, medianAtMost: 30, rebindingEvery: .seconds(2))
            transfer.changesAddress = true
            transfer.happened = { $0.rebindings >= 2 }
            return try await transfer.run($0)
        },
        Scenario(name: "long-rtt", threshold: "1 MiB at 750 ms each way arrives, within 60 s") {
            var transfer = Transfer(size: 1 << 20, medianAtMost: 60, link: .usual { $0.delay = .milliseconds(750) })
            // The handshake, the request and the last answer.
            transfer.timeAtLeast = 3
            return try await transfer.run($0)
        },
        Scenario(
            name: "mtu",
            threshold:
                "8 MiB, the path shrinks to 1252 bytes and grows again: arrives, within 60 s; the sender comes down"
        ) {
            var transfer = Transfer(size: 8 << 20, medianAtMost: 60)
            transfer.steps = [
                (.seconds(2), { $0.maximumPayload = 1252 }), (.seconds(3), { $0.maximumPayload = 1500 }),
            ]
            transfer.happened = { $0.up.tooLarge > 0 }
            // Once for the path, and once more at most for a machine that stood still.
            transfer.judge = {
                (1...2).contains($0.payloadSizeReductions)
                    ? nil : "the sender came down \($0.payloadSizeReductions) times"
            }
            return try await transfer.run($0)
        },
        Scenario(
            name: "disorder",
            threshold: "2 MiB, jitter 10 ms, 5 % doubled and 5 % held back: arrives, within 30 s"
        ) {
            var transfer = Transfer(
                size: 2 << 20,
                runs: 2,
                medianAtMost: 30,
                link: .usual {
                    $0.jitter = .milliseconds(10)
                    $0.duplication = 0.05
                    $0.reordering = 0.05
                }
            )
            transfer.happened = { $0.count(\.duplicated) >= 30 && $0.count(\.reordered) >= 30 }
            return try await transfer.run($0)
        },
    ]
}

extension LinkConditions {
    /// 15 ms each way and 10 Mbit/s, and something besides.
    static func usual(_ change: (inout LinkConditions) -> Void) -> LinkConditions {
        var link = LinkConditions.usual
        change(&link)
        return link
    }
}

extension UDPProxyStatistics {
    /// How often it happened in both directions together.
    func count(_ path: KeyPath<LinkStatistics, Int>) -> Int { up[keyPath: path] + down[keyPath: path] }

    /// What happened in both directions together, in words.
    var summary: String {
        var text = "\(count(\.received)) datagrams"
        let accidents: [(KeyPath<LinkStatistics, Int>, String)] = [
            (\.lost, "lost"), (\.corrupted, "damaged"), (\.swallowed, "in a blackhole"), (\.overflowed, "overflowed"),
            (\.tooLarge, "too large"), (\.duplicated, "doubled"), (\.reordered, "held back"), (\.marked, "marked"),
        ]
        for (path, name) in accidents where count(path) > 0 { text += ", \(count(path)) \(name)" }
        return rebindings > 0 ? text + ", \(rebindings) rebindings" : text
    }
}
