import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID
import QuicTransport

/// Our node of `scripts/interop`: serves what other implementations try (`listen`), or tries what they
/// serve (`dial`). The nodes of the other implementations take the same two commands.
@main
struct InteropNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "interop-node",
        abstract: "Proves that this implementation and another understand each other; see scripts/interop.",
        subcommands: [Listen.self, Dial.self, Versions.self]
    )

    static func main() async { await runExample(InteropNode.self) }
}

/// What the node tells others about itself.
struct IdentifyOptions: ParsableArguments {
    @Option(help: "The protocol version that identify announces: some networks accept only their own.")
    var protocolVersion: String?

    @Option(help: "The agent version that identify announces.")
    var agentVersion: String?

    func makeConfiguration() -> HostConfiguration {
        var configuration = HostConfiguration.defaults
        if let protocolVersion { configuration.identify.protocolVersion = protocolVersion }
        if let agentVersion { configuration.identify.agentVersion = agentVersion }
        return configuration
    }
}

extension InteropNode {
    struct Listen: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Serve identify, ping, echo, perf and interop-control."
        )

        @OptionGroup var listen: ListenOptions
        @OptionGroup var identify: IdentifyOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let key = try common.identity()
            let logger = makeLogger("interop-node")
            try await stoppingOnSignals(logger: logger) {
                let quic = try makeTransport(identity: key, logger: logger)
                try await withHost(
                    identity: key,
                    transports: [quic],
                    listen: listen.addresses,
                    configuration: identify.makeConfiguration(),
                    logger: logger
                ) { host in
                    await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
                    await host.handle(PerfProtocol.name, handler: PerfProtocol.handler())
                    await host.handle(ControlProtocol.name, handler: ControlProtocol.handler())
                    try listen.announce(host.listenAddresses, json: common.json)
                    try await host.run()
                }
            }
        }
    }

    struct Dial: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(
            abstract: "Use every feature of a peer, and print one JSON object with what came of each."
        )

        @OptionGroup var dial: DialOptions

        @Option(help: "How many bytes go each way in 'large'; a multiple of 8.", transform: byteCount)
        var large = 16 << 20

        @Flag(help: "The peer's identify has no signed record; without this it must have one.")
        var noRecord = false

        @OptionGroup var identify: IdentifyOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard large % 8 == 0 else { throw ValidationError("--large has to be a multiple of 8, not \(large)") }
        }

        func run() async throws {
            let key = try common.identity()
            let logger = makeLogger("interop-node")
            try await stoppingOnSignals(logger: logger) {
                let quic = try makeTransport(identity: key, logger: logger)
                let configuration = identify.makeConfiguration()
                let results = try await withHost(
                    identity: key,
                    transports: [quic],
                    configuration: configuration,
                    logger: logger
                ) { host in
                    await tryFeatures(
                        of: dial.address,
                        from: host,
                        large: large,
                        hasRecord: !noRecord,
                        identify: configuration.identify
                    )
                }
                try Output.json(results)
                guard results.passed else { throw ExampleError("not everything works with \(dial.address)") }
            }
        }
    }
}
