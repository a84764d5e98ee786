import ArgumentParser
import Host
import Logging
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import QuicTransport

/// Runs a soak and says what came of it.
@main struct SoakCommand: AsyncParsableCommand {
    enum Network: String, ExpressibleByArgument {
        case quic, memory
    }

    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Hosts in one process that ask each other things while they are killed and started again."
    )

    @Option(help: "How long it goes on.") var minutes = 2.0
    @Option(help: "How many hosts there are.") var hosts = 50
    @Option(help: "What decides who does what; random if it is not given.") var seed: UInt64?
    @Option(help: "quic or memory.") var network = Network.quic

    func validate() throws {
        guard minutes > 0, minutes <= 10_000 else { throw ValidationError("--minutes must be above 0") }
        guard (2...1000).contains(hosts) else { throw ValidationError("--hosts must be from 2 to 1000") }
    }

    func run() async throws {
        // A thousand hosts that come and go would only fill the screen.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let seed = seed ?? UInt64.random(in: 0 ... .max)
        print("soak: \(hosts) hosts on \(network) for \(minutes) min, seed \(seed)")
        let memory = MemoryNetwork()
        let network = network
        let soak = Soak(
            hosts: hosts,
            seed: seed,
            duration: .seconds(minutes * 60),
            anywhere: network == .quic ? "/ip4/127.0.0.1/udp/0/quic-v1" : "/memory/0"
        ) { identity in
            switch network {
            case .quic: try QuicTransport(identity: identity)
            case .memory: MemoryTransport(identity: identity, network: memory)
            }
        }
        // Whatever is made once for the whole process is there before the first count.
        var warmUp = soak
        (warmUp.hosts, warmUp.duration, warmUp.requests) = (2, .milliseconds(100), 10)
        _ = try await warmUp.run()
        let before = Process.now()
        let figures = try await withDeadline(soak.duration + .seconds(300)) { try await soak.run() }
        let after = await settled(figures, descriptors: before.descriptors)
        report(figures, before, after)
        guard isClean(figures, before, after) else { throw ExitCode.failure }
        print("soak: pass")
    }

    /// Waits until what still runs to its end has let go of the rest, for 30 s at most.
    private func settled(_ figures: SoakFigures, descriptors: Int) async -> Process {
        let end = ContinuousClock.now.advanced(by: .seconds(30))
        while ContinuousClock.now < end {
            if figures.hostsAlive + figures.streams.alive == 0, Process.now().descriptors <= descriptors { break }
            await Task.yield()
        }
        return Process.now()
    }

    private func report(_ figures: SoakFigures, _ before: Process, _ after: Process) {
        let kinds = figures.requests.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        print("soak: requests \(figures.total) (\(kinds)), answered \(figures.answered), failed \(figures.failed)")
        for (failure, count) in figures.failures.sorted(by: { $0.key < $1.key }) {
            print("soak:   \(failure): \(count)")
        }
        print("soak: kills and restarts \(figures.kills), disconnects \(figures.disconnects)")
        print("soak: hosts made \(figures.started.count), left \(figures.hostsAlive)")
        print("soak: streams opened \(figures.streams.opened), left \(figures.streams.alive)")
        print("soak: descriptors \(before.descriptors) before, \(after.descriptors) after")
        print("soak: resident memory \(before.residentKiB) KiB before, \(after.residentKiB) KiB after")
        for surprise in figures.surprises.prefix(20) { print("soak: SURPRISE: \(surprise)") }
    }

    private func isClean(_ figures: SoakFigures, _ before: Process, _ after: Process) -> Bool {
        var problems: [String] = []
        if !figures.surprises.isEmpty { problems.append("\(figures.surprises.count) surprises") }
        if figures.answered + figures.failed != figures.total { problems.append("requests without an outcome") }
        if figures.answered * 2 < figures.total { problems.append("more than half of the requests failed") }
        if figures.hostsAlive > 0 { problems.append("hosts are left") }
        if figures.streams.alive > 0 { problems.append("streams are left") }
        if after.descriptors > before.descriptors { problems.append("descriptors are left") }
        if !problems.isEmpty { print("soak: FAIL: \(problems.joined(separator: ", "))") }
        return problems.isEmpty
    }
}
