import TortureSupport

// Runs one scenario and prints one line for scripts/torture, separated by tabs: name, runs, median, worst, verdict,
// threshold, note. A process each, so that a scenario that ends the process fails alone.

@main
enum Torture {
    static func main() async throws {
        var arguments = Array(CommandLine.arguments.dropFirst())
        if arguments == ["--list"] {
            for scenario in Scenario.all { print(scenario.name) }
            return
        }
        func option(_ name: String) -> Int? {
            guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
            defer { arguments.removeSubrange(index...(index + 1)) }
            return Int(arguments[index + 1])
        }
        let seed = option("--seed") ?? 1
        let divisor = option("--divisor") ?? 1
        guard arguments.count == 1, divisor > 0, let scenario = Scenario.all.first(where: { $0.name == arguments[0] })
        else { throw Failed("torture: NAME [--seed N] [--divisor N], or --list") }
        let setting = Setting(seed: UInt64(truncatingIfNeeded: seed), divisor: divisor)
        var outcome: Outcome
        do {
            outcome = try await scenario.run(setting)
        } catch {
            outcome = Outcome(failures: ["\(error)"])
        }
        let shows = !outcome.figures.isEmpty
        let row = [
            scenario.name,
            shows ? String(outcome.figures.count) : "-",
            shows ? fixed(outcome.figures.median) + " " + outcome.unit : "-",
            shows ? fixed(outcome.worst) + " " + outcome.unit : "-",
            outcome.failures.isEmpty ? "pass" : "FAIL",
            scenario.threshold,
            (outcome.failures + [outcome.note]).filter { !$0.isEmpty }.joined(separator: "; "),
        ]
        print(row.map { $0.split(whereSeparator: \.isNewline).joined(separator: " ") }.joined(separator: "\t"))
    }
}

extension Outcome {
    /// The slowest; for shares and rates the least.
    var worst: Double { (unit == "s" ? figures.max() : figures.min()) ?? 0 }
}
