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

            A peer of --connect that cannot be reached is told on standard error at once. The node goes on without it, \
            and ends with status 1 when its time has come. So it does when the peers could not be saved at the end.
            """,
        subcommands: [Run.self]
    )

    static func main() async { await runExample(Node.self) }
}

extension Node {
    struct Run: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Run the node until a signal arrives.")

        @Option(
            help: ArgumentHelp("Where to serve metrics; port 0 lets the system choose.", valueName: "host:port"),
            transform: hostAndPort
        )
        var metrics: (host: String, port: Int)?

        @Option(help: ArgumentHelp("A file that keeps the peers for the next run.", valueName: "file"))
        var peers: String?

        @Option(
            name: .customLong("connect"),
            help: ArgumentHelp("A peer to connect to; may be given several times.", valueName: "address"),
            transform: quicAddress
        )
        var targets: [Multiaddr] = []

        @Option(
            help: ArgumentHelp(
                "The protocol version that identify tells (default: ipfs/0.1.0). Some networks take only their own.",
                valueName: "text"
            )
        )
        var protocolVersion: String?

        @Option(
            help: ArgumentHelp(
                "The agent version that identify tells: the name and version of the software.",
                valueName: "text"
            )
        )
        var agentVersion: String?

        @OptionGroup var listen: ListenOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let logger = makeLogger("node")
            // Before the first metric is made: those that were made earlier go nowhere.
            let prometheus = PrometheusMetrics()
            MetricsSystem.bootstrap(prometheus)

            let key = try common.identity()
            let report = NodeReport(json: common.json)
            let host = try makeHost(key, logger)
            await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            await host.handle(PerfProtocol.name, handler: PerfProtocol.handler())

            tellPrometheus(about: host)
            var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
            if let metrics {
                let server = try await MetricsServer(
                    host: metrics.host,
                    port: metrics.port,
                    metrics: prometheus,
                    logger: logger
                )
                services.append(.init(service: server))
                try report.tell("metrics", url: server.url)
            }
            if let peers {
                let known = try await KnownPeers(path: peers, host: host, report: report, logger: logger)
                services.append(.init(service: known))
            }
            let watcher = Watcher(host: host, targets: targets, report: report)
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
            try watcher.requireAllReached()
        }

        /// Which node it is, in labels of a figure that is always 1: what Prometheus joins to the others.
        private func tellPrometheus(about host: BasicHost) {
            let identify = host.configuration.identify
            let dimensions = [
                ("peer", "\(host.peerID)"), ("protocol_version", identify.protocolVersion),
                ("agent_version", identify.agentVersion),
            ]
            Meter(label: "node_info", dimensions: dimensions).set(1)
        }

        private func makeHost(_ key: PrivateKey, _ logger: Logger) throws -> BasicHost {
            var configuration = HostConfiguration()
            if let protocolVersion { configuration.identify.protocolVersion = protocolVersion }
            if let agentVersion { configuration.identify.agentVersion = agentVersion }
            let quic = try makeTransport(identity: key, logger: logger)
            do {
                return try BasicHost(identity: key, transports: [quic], configuration: configuration, logger: logger)
            } catch let error as HostError where error.code == .invalidConfiguration {
                // Everything else in there is as it comes.
                throw ValidationError(error.message)
            }
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
