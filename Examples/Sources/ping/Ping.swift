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

        @Option(help: "How many pings (default: 5).", transform: { try positive($0, "--count") })
        var count = 5

        @Option(help: "Seconds between two pings (default: 1).", transform: seconds)
        var interval: Duration = .seconds(1)

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
                    var report = PingReport(peer: peer, json: common.json)
                    defer { report.finish() }
                    for number in 1...count {
                        try report.add(await session.ping())
                        // lint:allow(sleep) because the interval is what the user asked for
                        if number < count { try await Task.sleep(for: interval) }
                    }
                    await session.close()
                }
            }
        }
    }
}
