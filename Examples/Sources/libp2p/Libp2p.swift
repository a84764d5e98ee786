import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID
import QuicTransport

/// The tool for looking at peers, keys, addresses and certificates.
@main
struct Libp2p: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "libp2p",
        abstract: "Looks at libp2p peers, keys, addresses and certificates.",
        subcommands: [
            Identify.self, Ping.self, Echo.self, Perf.self, Key.self, Address.self, Certificate.self,
        ]
    )

    static func main() async { await runExample(Libp2p.self) }
}

/// Connects to the peer at an address for as long as `body` runs.
func withPeer(
    _ dial: DialOptions,
    _ common: CommonOptions,
    _ body: @escaping @Sendable (BasicHost, PeerID) async throws -> Void
) async throws {
    let key = try common.identity()
    let logger = makeLogger("libp2p")
    try await stoppingOnSignals(logger: logger) {
        let quic = try makeTransport(identity: key, logger: logger)
        try await withHost(identity: key, transports: [quic], logger: logger) { host in
            try await body(host, host.connect(to: dial.address))
        }
    }
}

/// Bytes in hexadecimal.
func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
