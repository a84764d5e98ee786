import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID
import QuicTransport

/// Answers libp2p pings (`ping listen`), or measures the round trip to somebody who does (`ping dial`).
@main
struct Ping: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ping over libp2p QUIC (/ipfs/ping/1.0.0).",
        subcommands: [Listen.self, Dial.self]
    )

    static func main() async { await runExample(Ping.self) }
}

extension Ping {
    struct Listen: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Listen, and answer pings.")

        @OptionGroup var listen: ListenOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let key = try common.identity()
            let logger = makeLogger("ping")
            try await stoppingOnSignals(logger: logger) {
                let quic = try makeTransport(identity: key, logger: logger)
                try await withHost(
                    identity: key,
                    transports: [quic],
                    listen: listen.addresses,
                    logger: logger
                ) { host in
                    // Every host answers pings: there is nothing to add.
                    try listen.announce(host.listenAddresses, json: common.json)
                    try await host.run()
                }
            }
        }
    }

    struct Dial: AsyncParsableCommand, Sendable {
        static let configuration = CommandConfiguration(abstract: "Dial, and measure the round trip.")

        @OptionGroup var pings: PingOptions
        @OptionGroup var dial: DialOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let key = try common.identity()
            let logger = makeLogger("ping")
            try await stoppingOnSignals(logger: logger) {
                let quic = try makeTransport(identity: key, logger: logger)
                try await withHost(identity: key, transports: [quic], logger: logger) { host in
                    let peer = try await host.connect(to: dial.address)
                    let session = try await host.pingSession(with: peer)
                    try await pings.run(PingReport(peer: peer, json: common.json)) { try await session.ping() }
                    await session.close()
                }
            }
        }
    }
}
