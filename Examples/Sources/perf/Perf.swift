import ArgumentParser
import ExampleSupport
import Host
import Multiaddr
import NetStream
import PeerID
import QuicCore
import QuicTransport

/// Measures throughput by libp2p's perf protocol, with the command line that libp2p's test plans use.
@main
struct Perf: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure throughput over libp2p QUIC (/perf/1.0.0).",
        discussion: """
            A server and a client, each in its own process:
              perf --run-server --server-address 127.0.0.1:4001
              perf --server-address 127.0.0.1:4001 --upload-bytes 1000000 --download-bytes 1000000
            The client prints a JSON line a second with what moved since the last one, then the sums.
            """
    )

    @Flag(help: "Serve until a signal arrives.")
    var runServer = false

    @Option(help: "Where the server listens: HOST:PORT.", transform: hostAndPort)
    var serverAddress: Multiaddr

    @Option(help: "The transport; quic-v1 is the only one.")
    var transport = "quic-v1"

    @Option(help: "How many bytes to send.")
    var uploadBytes: UInt64 = 0

    @Option(help: "How many bytes to ask for.")
    var downloadBytes: UInt64 = 0

    @Option(help: "The largest UDP payload to try, 1200 to 65000; 8952 for jumbo frames, 65000 for the loopback.")
    var maxPayload: Int?

    @Option(help: "What protects the packets: automatic, gnutls or ipsecMB.", transform: protection)
    var packetProtection = QuicConfiguration.PacketProtection.automatic

    static func main() async { await runExample(Perf.self) }

    func validate() throws {
        guard transport == "quic-v1" else {
            throw ValidationError("there is no transport '\(transport)' here: --transport quic-v1 is the only one")
        }
    }

    func run() async throws {
        // Everybody knows the server's identity, so the client can name it without being told.
        let serverKey = try PrivateKey.ed25519(seed: [UInt8](repeating: 0, count: 32))
        if runServer {
            try await serve(with: serverKey)
        } else {
            try await measure(against: serverKey.peerID)
        }
    }
}

extension Perf {
    /// What the options change about the transport.
    private var adjustment: @Sendable (inout QuicConfiguration) -> Void {
        { [maxPayload, packetProtection] configuration in
            if let maxPayload { configuration.udp.maxPayloadSize = maxPayload }
            configuration.packetProtection = packetProtection
        }
    }

    private func serve(with key: PrivateKey) async throws {
        let logger = makeLogger("perf")
        let address = serverAddress
        let adjust = adjustment
        try await stoppingOnSignals(logger: logger) {
            let quic = try makeTransport(identity: key, logger: logger, adjusting: adjust)
            try await withHost(identity: key, transports: [quic], listen: [address], logger: logger) { host in
                await host.handle(PerfProtocol.name, runsOnTransport: true, handler: PerfProtocol.handler())
                for address in host.listenAddresses { Output.line("listening \(address)") }
                try await host.run()
            }
        }
    }

    private func measure(against server: PeerID) async throws {
        let logger = makeLogger("perf")
        let key = PrivateKey.ed25519()
        let address = serverAddress.withPeerID(server)
        let (upload, download, adjust) = (uploadBytes, downloadBytes, adjustment)
        try await stoppingOnSignals(logger: logger) {
            let quic = try makeTransport(identity: key, logger: logger, adjusting: adjust)
            try await withHost(identity: key, transports: [quic], logger: logger) { host in
                let report = PerfReport(upload: upload, download: download)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { await report.everySecond() }
                    group.addTask { await report.drawing() }
                    defer { group.cancelAll() }
                    let peer = try await host.connect(to: address)
                    _ = try await host.perf(peer, upload: upload, download: download) { report.add($0) }
                }
                report.finish()
            }
        }
    }
}

private func protection(_ text: String) throws -> QuicConfiguration.PacketProtection {
    guard let protection = QuicConfiguration.PacketProtection(rawValue: text) else {
        throw ValidationError("'\(text)' is none of automatic, gnutls and ipsecMB")
    }
    return protection
}

/// Reads `HOST:PORT` as the test plans write it; an IPv6 address stands in brackets, a name is resolved.
private func hostAndPort(_ text: String) throws -> Multiaddr {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
        throw ValidationError("'\(text)' is not HOST:PORT, as in 127.0.0.1:4001")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    if let address = try? Multiaddr.quic(host: String(host), port: port) { return address }
    do {
        return try Multiaddr.quic(name: String(host), port: port)
    } catch {
        throw ValidationError("'\(host)' is neither an IP address nor a name: \(error.message)")
    }
}
