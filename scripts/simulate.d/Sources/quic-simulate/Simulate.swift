import ArgumentParser
import QuicSimulation

@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quic-simulate",
        abstract: "Plays scenarios through the QUIC core on a simulated network. The same seed gives the same packets."
    )

    @Option(help: "The seeds: one number, or FIRST..LAST. Default: 1..1000 of the random scenario, 1 of a named one.")
    var seeds: SeedRange?

    @Option(help: "A scenario by its name, 'named' for all but the random one, or 'all'.")
    var scenario = "random"

    @Option(help: "Stop after so many minutes, however many seeds are left.")
    var minutes: Double?

    @Flag(help: "Print the names of the scenarios and what they do.")
    var list = false

    @Flag(help: "Play the small versions that the tests play.")
    var small = false

    @Flag(name: .shortAndLong, help: "Print a line for each run, with the hash over its packets and its figures.")
    var verbose = false

    @Flag(help: "Play every run twice and fail if the packets differ.")
    var twice = false

    @Flag(help: "Print every datagram and every event.")
    var trace = false

    func validate() throws {
        if chosen.isEmpty { throw ValidationError("no scenario called '\(scenario)'; --list prints the names") }
        if let minutes, !(minutes > 0) { throw ValidationError("--minutes takes a number above 0") }
    }

    private var chosen: [Scenario] {
        switch scenario {
        case "all": Scenario.all
        case "named": Scenario.all.filter { $0.name != "random" }
        default: [Scenario.named(scenario)].compactMap(\.self)
        }
    }

    func run() throws {
        if list { return printList() }
        var run = Run(
            size: small ? .small : .full,
            minutes: minutes,
            isVerbose: verbose,
            isTracing: trace,
            plays: twice ? 2 : 1
        )
        for scenario in chosen {
            let seeds = seeds?.seeds ?? (scenario.name == "random" ? 1...1000 : 1...1)
            try run.play(scenario, seeds: seeds)
        }
        run.printSummary()
        if run.failures > 0 { throw ExitCode(1) }
    }

    private func printList() {
        let width = Scenario.all.map(\.name.count).max() ?? 0
        for scenario in Scenario.all {
            let name = scenario.name + String(repeating: " ", count: width - scenario.name.count)
            let why = scenario.unsupported.map { " (not played: \($0))" } ?? ""
            print("\(name)  \(scenario.summary)\(why)")
        }
    }
}
