internal import Libp2pTLS
internal import PeerID
internal import QuicCore

extension Scenario {
    /// Cases about getting connected.
    static let handshakes: [Scenario] = [
        Scenario("handshake", "one handshake takes one round trip, with either kind of certificate") { simulation, _ in
            for kind in [CertificateKeyKind.ed25519, .p256] {
                var settings = NodeSettings()
                settings.certificateKey = kind
                settings.uplink.latency = .milliseconds(15)
                settings.downlink.latency = .milliseconds(15)
                let server = try simulation.addNode("server", settings)
                var near = NodeSettings()
                near.certificateKey = kind
                near.uplink.latency = .zero
                let client = try simulation.addNode("client", near)
                let connection = try simulation.connect(from: client, to: server)
                simulation.note("\(kind)", seconds(connection.handshakeTime))
                simulation.expect(
                    connection.handshakeTime.map { $0 < .milliseconds(31) } ?? false,
                    "the handshake took \(seconds(connection.handshakeTime)) at a round trip of 30 ms"
                )
            }
        },
        Scenario("many-connections", "connections one after the other and all at once, each with 1 KiB each way") {
            simulation,
            size in
            let (client, server) = try simulation.makePair()
            let count = size == .full ? 200 : 20
            for _ in 0..<count / 2 {
                let connection = try simulation.connect(from: client, to: server)
                simulation.carry([StreamPlan(request: 1024, response: 1024)], on: connection, within: .seconds(5))
                simulation.close(connection, code: 0, reason: "")
            }
            let together = try (0..<count / 2).map { _ in try simulation.dial(from: client, to: server) }
            for connection in together { simulation.open(StreamPlan(request: 1024, response: 1024), on: connection) }
            simulation.expect(
                simulation.run(for: .seconds(10)) { together.allSatisfy { $0.confirmedAt != nil && $0.isIdle } },
                "not all connections at once are done"
            )
            simulation.note("connections", count)
        },
        Scenario("handshake-loss", "50 of 50 handshakes at 30 % loss within 30 s each, the median within 1.5 s") {
            try lossyHandshakes($0, size: $1) { $0.loss = 0.3 }
        },
        Scenario("handshake-corruption", "50 of 50 handshakes with 30 % damaged datagrams within 30 s each") {
            try lossyHandshakes($0, size: $1) { $0.corruption = 0.3 }
        },
        Scenario(
            "retry",
            "a server that asks for proof costs one more round trip; the token of the first time saves it"
        ) {
            simulation,
            _ in
            var configuration = QuicConfiguration.defaults
            configuration.endpoint.retry = .always
            let (client, server) = try simulation.makePair(configuration: configuration)
            for (trips, retries) in [(2, 1), (1, 1), (1, 1)] {
                let connection = try simulation.connect(from: client, to: server)
                let time = connection.handshakeTime ?? .zero
                simulation.note("handshake", seconds(time))
                simulation.expect(
                    time >= .milliseconds(30 * trips) && time < .milliseconds(30 * trips + 10),
                    "\(trips) round trips of 30 ms took \(seconds(time))"
                )
                simulation.expect(server.endpoint.statistics.retries == retries, "not \(retries) Retry packets")
                simulation.carry([StreamPlan(request: 1000, response: 1000)], on: connection, within: .seconds(5))
                simulation.run(for: .seconds(1))
                simulation.close(connection, code: 0, reason: "")
            }
            simulation.expect(server.endpoint.statistics.invalidTokens == 0, "a token was refused")
        },
        Scenario("retry-loss", "20 handshakes with Retry at 20 % loss within 30 s each") { simulation, size in
            var configuration = QuicConfiguration.defaults
            configuration.endpoint.retry = .always
            let (client, server) = try simulation.makePair(configuration: configuration) { $0.loss = 0.2 }
            simulation.isImpaired = true
            for _ in 0..<(size == .full ? 20 : 5) {
                let connection = try simulation.connect(from: client, to: server)
                simulation.close(connection, code: 0, reason: "")
                simulation.run(for: .seconds(60)) { client.endpoint.connectionCount == 0 }
                // Another address for each, so that no token saves the Retry.
                simulation.rebindAddress(of: client)
            }
            simulation.note("retries", server.endpoint.statistics.retries)
            simulation.expect(server.endpoint.statistics.retries >= 5, "too few Retry packets")
        },
        Scenario("version-negotiation", "a server that lacks the client's version says so, and the client gives up") {
            simulation,
            _ in
            guard QuicVersion.v2.isInstalled else { return simulation.note("skipped", "one version is installed") }
            let server = try simulation.addNode("server")
            var settings = NodeSettings()
            settings.configuration.versions = [.v2, .v1]
            let client = try simulation.addNode("client", settings)
            let connection = try simulation.dial(from: client, to: server)
            connection.allowed = [.versionNegotiation]
            simulation.run(for: .seconds(5)) { connection.isOver }
            simulation.expect(connection.termination?.cause == .versionNegotiation, "no version negotiation")
            simulation.expect(server.endpoint.statistics.versionNegotiations == 1, "not one answer")
            simulation.expect(server.connections.isEmpty, "the server has opened a connection")
        },
        Scenario("version-2", "both sides speak QUIC version 2 and carry 100 KiB each way") { simulation, _ in
            guard QuicVersion.v2.isInstalled else { return simulation.note("skipped", "one version is installed") }
            var configuration = QuicConfiguration.defaults
            configuration.versions = [.v2, .v1]
            let (client, server) = try simulation.makePair(configuration: configuration)
            let connection = try simulation.connect(from: client, to: server)
            simulation.expect(connection.handshake?.version == QuicVersion.v2.rawValue, "another version was used")
            simulation.carry(
                [StreamPlan(request: 100 << 10, response: 100 << 10)],
                on: connection,
                within: .seconds(10)
            )
        },
        Scenario("chacha20", "a client that offers ChaCha20-Poly1305 alone gets it, and carries 1 MiB each way") {
            simulation,
            size in
            let server = try simulation.addNode("server")
            var settings = NodeSettings()
            settings.cipherSuites = [.chaCha20]
            let client = try simulation.addNode("client", settings)
            let connection = try simulation.connect(from: client, to: server)
            let bytes = size == .full ? 1 << 20 : 64 << 10
            simulation.carry([StreamPlan(request: bytes, response: bytes)], on: connection, within: .seconds(10))
            for end: SimulatedConnection? in [connection, server.connections.first] {
                let cipher = end?.handshake?.cipherSuite
                simulation.expect(cipher == CipherSuite.chaCha20.rawValue, "\(cipher ?? "no cipher") was agreed on")
            }
            simulation.note("cipher", connection.handshake?.cipherSuite ?? "-")
        },
        Scenario("amplification-limit", "a silent client's address gets at most three times what came from it") {
            simulation,
            _ in
            let (client, server) = try simulation.makePair()
            var first = true
            simulation.network.filter = { datagram in
                guard datagram.from == client.address else { return true }
                defer { first = false }
                return first
            }
            let connection = try simulation.dial(from: client, to: server)
            connection.mayEndEarly = true
            server.onAccept = { $0.mayEndEarly = true }
            simulation.run(for: .seconds(20))
            let counts = server.amplification[client.address]
            let (sent, received) = (counts?.sent ?? 0, counts?.received ?? 0)
            simulation.note("bytes", "\(sent) for \(received)")
            // The server's probe timeouts would have it send many times as much.
            simulation.expect(sent > received && sent <= 3 * received, "\(sent) bytes for \(received)")
            simulation.network.filter = nil
            let next = try simulation.connect(from: client, to: server)
            simulation.carry([StreamPlan(request: 1000, response: 1000)], on: next, within: .seconds(5))
        },
        Scenario("wrong-peer", "a server that is not the expected peer is refused by the client, with a TLS alert") {
            simulation,
            _ in
            let (client, server) = try simulation.makePair()
            let connection = try simulation.dial(from: client, to: server, expecting: client.identity.peerID)
            connection.allowed = [.transport]
            server.onAccept = { $0.allowed = [.transport] }
            simulation.run(for: .seconds(5)) { connection.isOver && server.connections.first?.isOver == true }
            simulation.expect(connection.termination?.error.code == .peerVerification, "another error")
            simulation.expect(server.connections.first?.handshake == nil, "the server has accepted it")
        },
    ]

    private static func lossyHandshakes(
        _ simulation: Simulation,
        size: ScenarioSize,
        impair: (inout LinkConditions) -> Void
    ) throws {
        let (client, server) = try simulation.makePair(impair: impair)
        simulation.isImpaired = true
        let count = size == .full ? 50 : 10
        var times: [Duration] = []
        for _ in 0..<count {
            let connection = try simulation.connect(from: client, to: server)
            if let confirmed = connection.confirmedAt {
                times.append(.nanoseconds(Int64(clamping: confirmed - connection.begun)))
            }
            simulation.close(connection, code: 0, reason: "")
            simulation.run(for: .seconds(60)) { client.endpoint.connectionCount == 0 }
        }
        simulation.note("done", "\(times.count) of \(count)")
        simulation.note("median", seconds(median(times)))
        simulation.note("longest", seconds(times.max()))
        guard size == .full else { return }
        simulation.expect(median(times).map { $0 <= .milliseconds(1500) } ?? false, "the median is above 1.5 s")
    }
}
