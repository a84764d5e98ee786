import QuicCore
import QuicSimulation
import Testing

@Suite struct ScenarioTests {
    @Test(arguments: Scenario.all.filter { $0.name != "random" && $0.unsupported == nil }.map(\.name))
    func namedScenarioHolds(_ name: String) throws {
        let scenario = try #require(Scenario.named(name))
        let report = try scenario.run(seed: 1, size: .small)
        #expect(report.problems.isEmpty, "seed 1: \(report.problems.joined(separator: "\n"))")
        #expect(report.statistics.sent > 0 || !report.figures.isEmpty)
    }

    @Test(arguments: 1...40) func randomScenarioHolds(_ seed: UInt64) throws {
        let report = try Scenario.random.run(seed: seed, size: .small)
        let repeats = "scripts/simulate --small --seeds \(seed) repeats it: \(report.problems.joined(separator: "\n"))"
        #expect(report.problems.isEmpty, "\(repeats)")
    }

    @Test func everyUnsupportedScenarioSaysWhy() {
        for scenario in Scenario.all { #expect(scenario.unsupported?.isEmpty != true) }
        #expect(Set(Scenario.all.map(\.name)).count == Scenario.all.count)
    }
}
