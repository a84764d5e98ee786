import QuicSimulation

/// What was played so far.
struct Run {
    let size: ScenarioSize
    let isVerbose: Bool
    let isTracing: Bool
    /// How often each seed is played; the packets must not differ.
    let plays: Int
    private(set) var failures = 0
    private var played = 0
    private var datagrams = 0
    /// Of the random scenario.
    private var randomlyPlayed = 0
    private var tally = SimulationTally()
    private var virtual = Duration.zero
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private let deadline: ContinuousClock.Instant?
    private var heap = HeapWatch()

    init(size: ScenarioSize, minutes: Double?, isVerbose: Bool, isTracing: Bool, plays: Int) {
        self.size = size
        self.isVerbose = isVerbose
        self.isTracing = isTracing
        self.plays = plays
        start = clock.now
        deadline = minutes.map { [start] in start + .seconds($0 * 60) }
    }

    mutating func play(_ scenario: Scenario, seeds: ClosedRange<UInt64>) throws {
        if let why = scenario.unsupported { return print("\(scenario.name): not played: \(why)") }
        for seed in seeds {
            if let deadline, clock.now >= deadline { return }
            try play(scenario, seed: seed)
            if failures >= 20 { return print("simulate: twenty failures are enough") }
        }
    }

    private mutating func play(_ scenario: Scenario, seed: UInt64) throws {
        let begun = clock.now
        let report = try scenario.run(seed: seed, size: size, trace: isTracing ? { print($0) } : nil)
        var problems = report.problems
        for _ in 1..<plays {
            let again = try scenario.run(seed: seed, size: size)
            if again.hash != report.hash { problems.append("other packets the second time: \(again.hash)") }
        }
        played += 1
        datagrams += report.statistics.sent
        virtual += report.elapsed
        if scenario.name == Scenario.random.name {
            randomlyPlayed += 1
            tally.add(report.tally)
        }
        problems += heap.check(after: played)
        if isVerbose || scenario.name != "random" || !problems.isEmpty {
            print(line(scenario, report, isGood: problems.isEmpty, took: clock.now - begun))
        }
        guard !problems.isEmpty else { return }
        failures += 1
        for problem in problems { print("  \(problem)") }
        let small = size == .small ? " --small" : ""
        print("  to repeat: scripts/simulate --scenario \(scenario.name) --seeds \(seed) --verbose\(small)")
    }

    /// Dials of a wrong peer, of a node that has gone, and over networks that lose every fifth datagram are among them.
    private static let leastHandshakes = 0.88
    private static let leastWholeStreams = 0.88

    private mutating func judge(_ what: String, _ count: Int, of all: Int, least: Double) {
        guard Double(count) < least * Double(all) else { return }
        failures += 1
        print("FAILED random: only \(count) of \(all) \(what), less than \(Int(least * 100)) %")
    }

    private func line(_ scenario: Scenario, _ report: SimulationReport, isGood: Bool, took: Duration) -> String {
        let figures = report.figures.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
        let statistics = report.statistics
        return "\(isGood ? "ok    " : "FAILED") \(scenario.name) seed \(report.seed): packets \(report.hash)"
            + ", \(statistics.sent) sent, \(statistics.delivered) delivered, \(report.connections) connections"
            + ", \(rounded(report.elapsed)) s in \(rounded(took)) s" + (figures.isEmpty ? "" : "; \(figures)")
    }

    /// Prints what came of all of it. Of a hundred random scenarios and more, excuses must not have become the rule.
    mutating func printSummary() {
        if randomlyPlayed > 0 {
            print(
                "random: \(tally.handshakes) of \(tally.dials) dials connected, \(tally.wholeStreams) of \(tally.streams) streams"
                    + " that nobody cut brought everything, \(tally.excusedEnds) connections ended otherwise than by a close"
            )
        }
        if randomlyPlayed >= 100 {
            judge("dials connected", tally.handshakes, of: tally.dials, least: Self.leastHandshakes)
            judge("streams brought everything", tally.wholeStreams, of: tally.streams, least: Self.leastWholeStreams)
        }
        let took = clock.now - start
        let rate = Double(played) / max(took / .seconds(1), 0.001)
        print(
            "simulate: \(played) scenarios, \(failures) failed, \(datagrams) datagrams, \(Int(virtual / .seconds(1))) virtual s"
                + " in \(rounded(took)) s: \(Int(rate.rounded())) scenarios per second"
        )
    }

    private func rounded(_ duration: Duration) -> String {
        let hundredths = Int((duration / .seconds(1) * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
