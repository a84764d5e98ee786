import ArgumentParser
import CoreMetrics
import ExampleSupport
import Host
import HostService
import Logging
import Multiaddr
import NetStream
import PeerID
import QuicTransport
import ServiceLifecycle
import UnixSignals

/// A node as one would run it: identity and peers on disk, metrics for Prometheus, a graceful end.
@main
struct Node: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node that serves echo, ping and perf, with metrics over HTTP and its peers on disk.",
        discussion: """
              node run --key node.key --peers peers.sqlite --metrics 127.0.0.1:9090
              curl http://127.0.0.1:9090/metrics
            SIGINT and SIGTERM end it: nothing new is taken, handlers have a second to finish.
            """,
        subcommands: [Run.self]
    )

    static func main() async { await runExample(Node.self) }
}

extension Node {
    struct Run: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Run the node until a signal arrives.")

        @Option(help: "Where to serve metrics: HOST:PORT; port 0 lets the system choose.", transform: hostAndPort)
        var metrics: (host: String, port: Int)?

        @Option(help: "A file that keeps the peers for the next run.")
        var peers: String?

        @Option(
            name: .customLong("connect"),
            help: "A peer to connect to; may be given several times.",
            transform: quicAddress
        )
        var targets: [Multiaddr] = []

        @OptionGroup var listen: ListenOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let logger = makeLogger("node")
            // Before the first metric is made: those that were made earlier go nowhere.
            let prometheus = PrometheusMetrics()
            MetricsSystem.bootstrap(prometheus)

            let key = try common.identity()
            let host = try BasicHost(
                identity: key,
                transports: [makeTransport(identity: key, logger: logger)],
                logger: logger
            )
            await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            await host.handle(PerfProtocol.name, handler: PerfProtocol.handler())

            var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
            if let metrics {
                let server = try await MetricsServer(
                    host: metrics.host,
                    port: metrics.port,
                    metrics: prometheus,
                    logger: logger
                )
                services.append(.init(service: server))
                Output.line("metrics \(server.url)")
            }
            if let peers { services.append(.init(service: try await KnownPeers(path: peers, host: host))) }
            // Asked for before anything starts, so that no event is missed.
            let events = host.events()
            let watcher = Watcher(host: host, events: events, targets: targets, listen: listen, json: common.json)
            services.append(.init(service: watcher))
            // The last one is shut down first: then the others still see what it does at its end.
            let service = HostService(host, listen: listen.addresses, shutdownDeadline: .seconds(1))
            services.append(.init(service: service))
            let group = ServiceGroup(
                configuration: .init(
                    services: services,
                    gracefulShutdownSignals: [.sigint, .sigterm],
                    logger: Logger(label: "lifecycle", factory: { _ in SwiftLogNoOpLogHandler() })
                )
            )
            try await group.run()
        }
    }
}

/// Runs `body` until it ends, or the group shuts down, which cancels it. What it throws then is the way it stopped.
func untilGracefulShutdown(_ body: @escaping @Sendable () async throws -> Void) async throws {
    do {
        try await cancelWhenGracefulShutdown(body)
    } catch  where Task.isShuttingDownGracefully {}
}

/// Tells what happens to the host, and connects it to those that were named.
private struct Watcher: Service {
    let host: BasicHost
    let events: HostEvents
    let targets: [Multiaddr]
    let listen: ListenOptions
    let json: Bool

    func run() async throws {
        try await untilGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for target in targets { group.addTask { try await host.connect(to: target) } }
                for await event in events {
                    switch event {
                    case .listening(let address): try listen.announce([address], json: json)
                    case .connected(let connection): Output.line("connected \(connection.peer)")
                    case .disconnected(let connection, _): Output.line("disconnected \(connection.peer)")
                    default: break
                    }
                }
                try await group.waitForAll()
            }
            // The events end with the host, which is shut down first; a service stays until its own turn.
            try await gracefulShutdown()
        }
    }
}

/// Reads `HOST:PORT`, where the host is an IP address.
private func hostAndPort(_ text: String) throws -> (host: String, port: Int) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
        throw ValidationError("'\(text)' is not HOST:PORT, as in 127.0.0.1:9090")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return (String(host), Int(port))
}
