import ArgumentParser
import Dispatch
import Host
import Logging
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import QuicCore
import QuicTransport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs a soak and says what came of it.
@main struct SoakCommand: AsyncParsableCommand {
    enum Network: String, ExpressibleByArgument {
        case quic, memory
    }

    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Hosts in one process that ask each other things while they are killed and started again."
    )

    @Option(help: "How long each of the two networks goes on.") var minutes = 2.0
    @Option(help: "How many hosts there are.") var hosts = 50
    @Option(help: "How many more there are in processes of their own, which are killed by SIGKILL (quic only).")
    var outsiders = 4
    @Option(help: "What decides who does what; random if it is not given.") var seed: UInt64?
    @Option(help: "quic or memory.") var network = Network.quic
    @Option(help: .hidden) var outsider: String?

    func validate() throws {
        guard minutes > 0, minutes <= 10_000 else { throw ValidationError("--minutes must be above 0") }
        guard (2...1000).contains(hosts) else { throw ValidationError("--hosts must be from 2 to 1000") }
        guard (0...100).contains(outsiders) else { throw ValidationError("--outsiders must be from 0 to 100") }
    }

    static func quicTransport(_ identity: PrivateKey) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        // Nobody hears of a process that was killed: shorter than the 30 s of the default, so that more of them fit in.
        configuration.timeouts.idle = .seconds(5)
        configuration.keepAliveInterval = .seconds(2)
        return try QuicTransport(identity: identity, configuration: configuration)
    }

    func run() async throws {
        // A thousand hosts that come and go would only fill the screen.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        signal(SIGPIPE, SIG_IGN)
        if let outsider { return try await runOutsider(seed: outsider) }
        let seed = seed ?? UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let count = network == .quic ? outsiders : 0
        print("soak: \(hosts) hosts and \(count) processes on \(network), twice for \(minutes) min, seed \(seed)")
        var processes: [OutsiderProcess] = []
        for _ in 0..<count { processes.append(try await OutsiderProcess(&random)) }
        var soak = makeSoak(seed: seed)
        soak.outsiders = processes

        // Whatever is made once for the whole process is there before the first count.
        var warmUp = soak
        (warmUp.hosts, warmUp.duration, warmUp.requests) = (2, .milliseconds(100), 10)
        var figures = [try await watched(warmUp)]
        var states = [await settled(&figures[0])]
        // Two networks, one after the other, each with new hosts: what the second adds to what the first has left is a leak.
        soak.duration = .seconds(minutes * 60)
        for _ in 0..<2 {
            soak.seed = random.next()
            var came = try await watched(soak)
            states.append(await settled(&came, descriptors: states[0].descriptors))
            figures.append(came)
            SoakReport.tell(came, states[states.count - 1])
        }
        for process in processes { await process.kill() }
        guard SoakReport.judge(figures, states) else { throw ExitCode.failure }
        print("soak: pass")
    }

    private func makeSoak(seed: UInt64) -> Soak {
        let (memory, network) = (MemoryNetwork(), network)
        return Soak(
            hosts: hosts,
            seed: seed,
            duration: .zero,
            anywhere: network == .quic ? "/ip4/127.0.0.1/udp/0/quic-v1" : "/memory/0"
        ) { identity in
            switch network {
            case .quic: try Self.quicTransport(identity)
            case .memory: MemoryTransport(identity: identity, network: memory)
            }
        }
    }

    /// Runs it. What does not even end when it is cancelled ends the process, and is named.
    private func watched(_ soak: Soak) async throws -> SoakFigures {
        let record = SoakRecord()
        let watchdog = DispatchWorkItem {
            for line in record.withLock({ $0.running.described }) { print("soak: HANGS: \(line)") }
            print("soak: FAIL: does not end")
            Self.exit(withError: ExitCode.failure)
        }
        let limit = soak.duration + soak.patience * 2 + SoakRest.patience * 2 + .seconds(60)
        DispatchQueue.global().asyncAfter(deadline: .now() + limit / .seconds(1), execute: watchdog)
        defer { watchdog.cancel() }
        return try await soak.run(record)
    }

    /// Waits until what still runs to its end has let go of the rest: nothing of it is left, and for ten seconds no memory
    /// was given back; three minutes at most.
    ///
    /// Connections that were closed live on for a while to answer what still comes.
    private func settled(_ figures: inout SoakFigures, descriptors: Int? = nil) async -> Process {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(180)
        var state = Process.now()
        var (least, since) = (state.heapKiB, clock.now)
        while clock.now < end {
            try? await clock.sleep(for: .milliseconds(250))
            figures.hosts.forgetGone()
            figures.streams.forgetGone()
            figures.inboundStreams.forgetGone()
            state = Process.now()
            if state.heapKiB < least - 64 { (least, since) = (state.heapKiB, clock.now) }
            let left = figures.hosts.alive + figures.streams.alive + figures.inboundStreams.alive
            if left == 0, state.descriptors <= descriptors ?? .max, since.duration(to: clock.now) > .seconds(10) {
                break
            }
        }
        return state
    }
}
