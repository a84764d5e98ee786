import Logging
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

@testable import Host

/// Every line that a host logs, with the keys that it bears: what "Watching a node" promises to those who search for them.
@Suite(.timeLimit(.minutes(2))) struct LogLineTests {
    private static let connection: Set<String> = ["peer", "connection", "direction", "address"]
    private static let stream = connection.union(["stream"])

    /// The beginning of each line, its level, and its keys beside `local`, which every line has.
    private static let lines: [String: (level: Logger.Level, keys: Set<String>)] = [
        "connection opened": (.debug, connection),
        "connection closed": (.debug, connection.union(["closeCode", "byPeer", "reason"])),
        "a connection was refused": (.debug, connection.union(["error"])),
        "a connection was not accepted": (.warning, ["localAddress", "error"]),
        "a dial failed": (.debug, ["peer", "direction", "address", "error"]),
        "stream opened": (.debug, stream.union(["protocol"])),
        "stream closed": (.debug, stream.union(["protocol"])),
        "a stream was refused": (.debug, stream.union(["protocol", "error"])),
        "a negotiation failed": (.debug, stream.union(["error"])),
        "a handler failed": (.info, stream.union(["protocol", "error"])),
        "identify failed": (.debug, connection.union(["error"])),
        "identify push failed": (.debug, connection.union(["error"])),
        "connections are trimmed": (.info, ["count"]),
        "black hole detection": (.info, ["kind", "state"]),
        "a protocol name cannot be used": (.error, ["protocol"]),
    ]

    /// Runs a scene with a host that listens, waits for lines of it, and looks at all there are.
    private func scene(
        on kind: TestNetwork,
        _ configuration: HostConfiguration = NegotiationTests.quiet,
        transport: (OpenNetwork, PrivateKey) async throws -> any Transport = { try $0.transport($1) },
        listens: Bool = true,
        expecting beginnings: Set<String>,
        _ body: (OpenNetwork, BasicHost, CapturedLog) async throws -> Void
    ) async throws {
        let log = CapturedLog()
        let key = PrivateKey.ed25519()
        try await kind.open { network in
            try await withHost(
                identity: key,
                transports: [transport(network, key)],
                listen: listens ? [kind.anywhere] : [],
                configuration: configuration,
                logger: log.logger
            ) { host in
                try await body(network, host, log)
                for beginning in beginnings { _ = try await log.line(beginning) }
            }
        }
        for line in log.lines {
            let known = Self.lines.first { line.message.hasPrefix($0.key) }
            let (_, expected) = try #require(known, "\(line) is a line that nobody knows")
            #expect(line.level == expected.level, "\(line)")
            #expect(Set(line.metadata.keys) == expected.keys.union(["local"]), "\(line)")
            #expect(line.metadata["local"] == "\(key.peerID)")
        }
    }

    /// Whether a line says these things.
    private func expect(_ line: CapturedLog.Line, _ values: [String: String]) {
        for (key, value) in values { #expect(line.metadata[key] == value, "\(line)") }
    }

    @Test(arguments: TestNetwork.allCases) func connections(_ kind: TestNetwork) async throws {
        let unwanted = PrivateKey.ed25519()
        var configuration = NegotiationTests.quiet
        configuration.gater = ConnectionGater(allowsConnection: { $0.peer != unwanted.peerID })
        let expected: Set = ["connection opened", "connection closed", "a connection was refused"]
        try await scene(on: kind, configuration, expecting: expected) { network, host, log in
            let peer = try await RawPeer(in: network, dialing: host)
            let (there, id) = (peer.connection.localAddress, "\(peer.peerID)")
            let opened = try await log.line("connection opened")
            expect(opened, ["peer": id, "direction": "inbound", "address": "\(there)"])
            await peer.connection.close(code: .gated, reason: "enough")
            let closed = try await log.line("connection closed")
            let number = try #require(opened.metadata["connection"])
            expect(closed, ["connection": number, "peer": id, "byPeer": "true", "reason": "enough"])
            expect(closed, ["closeCode": "\(ConnectionErrorCode.gated.rawValue)", "address": "\(there)"])
            _ = await closeCode { try await network.transport(unwanted).dial(host.address) }
            let refused = try await log.line("a connection was refused")
            expect(refused, ["peer": "\(unwanted.peerID)", "direction": "inbound"])
        }
    }

    @Test(arguments: TestNetwork.allCases) func listenersThatFail(_ kind: TestNetwork) async throws {
        let asked = Count()
        try await scene(
            on: kind,
            transport: { network, key in
                GatedTransport(
                    base: try network.transport(key),
                    beforeAccept: {
                        asked.add()
                        if asked.value == 1 { throw Contrived() }
                    }
                )
            },
            expecting: ["a connection was not accepted"]
        ) { _, host, log in
            let line = try await log.line("a connection was not accepted")
            expect(line, ["localAddress": "\(try host.address.withoutPeerID)", "error": "Contrived()"])
        }
    }

    @Test(arguments: TestNetwork.allCases) func dials(_ kind: TestNetwork) async throws {
        let stranger = PrivateKey.ed25519().peerID
        try await scene(on: kind, expecting: ["a dial failed"]) { network, host, log in
            try await network.host(NegotiationTests.quiet) { server in
                let address = try server.address.withPeerID(stranger)
                #expect(await code { try await host.connect(to: address) } == .dialFailed)
                let there = "\(address.withoutPeerID)"
                let line = try await log.line("a dial failed")
                expect(line, ["peer": "\(stranger)", "address": there, "direction": "outbound"])
            }
        }
    }

    @Test(arguments: TestNetwork.allCases) func streams(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.limits.protocols["/full"] = .init(inboundStreams: 0, outboundStreams: 0)
        let expected: Set = [
            "connection opened", "stream opened", "stream closed", "a stream was refused", "a negotiation failed",
            "a handler failed",
        ]
        try await scene(on: kind, configuration, expecting: expected) { network, host, log in
            await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            await host.handle("/full", handler: EchoProtocol.handler)
            await host.handle("/broken") { _ in throw Contrived() }
            let peer = try await RawPeer(in: network, dialing: host)
            let number = try #require(try await log.line("connection opened").metadata["connection"])
            func expectOne(_ beginning: String, on stream: any MuxedStream, _ values: [String: String]) async throws {
                let line = try await log.line(beginning)
                expect(line, ["stream": "\(stream.id)", "connection": number, "peer": "\(peer.peerID)"])
                expect(line, ["address": "\(peer.connection.localAddress)", "direction": "inbound"])
                expect(line, values)
            }
            let nonsense = try await peer.open(saying: [1, 1, 1, 1])
            try await expectOne("a negotiation failed", on: nonsense, [:])
            let full = try await peer.open(saying: RawPeer.opening("/full"))
            try await expectOne("a stream was refused", on: full, ["protocol": "/full"])
            let echo = try await peer.open(EchoProtocol.name)
            try await echo.closeWrite()
            try await expectOne("stream opened", on: echo, ["protocol": EchoProtocol.name])
            try await expectOne("stream closed", on: echo, ["protocol": EchoProtocol.name])
            let broken = try await peer.open(saying: RawPeer.opening("/broken"))
            try await expectOne("a handler failed", on: broken, ["protocol": "/broken", "error": "Contrived()"])
            // The direction is the stream's, not the connection's.
            async let accepted = peer.accept("/own")
            let own = try await host.newStream(to: peer.peerID, protocols: ["/own"])
            _ = try await accepted
            let line = log.lines.last { $0.message == "stream opened" && $0.metadata["protocol"] == "/own" }
            let outbound = ["direction": "outbound", "connection": number, "peer": "\(peer.peerID)"]
            expect(try #require(line), outbound.merging(["stream": "\(own.id)"]) { $1 })
            own.reset()
            let closed = log.lines.last { $0.message == "stream closed" && $0.metadata["direction"] == "outbound" }
            expect(try #require(closed), outbound.merging(["stream": "\(own.id)", "protocol": "/own"]) { $1 })
            // One that there is no agreement on was never open, and is not closed either.
            async let refused = code { _ = try await host.newStream(to: peer.peerID, protocols: ["/none"]) }
            let unwanted = try await peer.connection.acceptStream()
            try await unwanted.write(RawPeer.opening("na"))
            #expect(await refused == .protocolsNotSupported)
            let failed = log.lines.filter {
                $0.message == "a negotiation failed" && $0.metadata["direction"] == "outbound"
            }
            #expect(failed.count == 1)
            expect(try #require(failed.first), outbound.merging(["stream": "\(unwanted.id)"]) { $1 })
            #expect(
                log.lines.filter { $0.metadata["stream"] == "\(unwanted.id)" && $0.metadata["direction"] == "outbound" }
                    .count == 1
            )
        }
    }

    @Test(arguments: TestNetwork.allCases) func identify(_ kind: TestNetwork) async throws {
        let expected: Set = ["identify failed", "identify push failed"]
        try await scene(on: kind, .defaults, expecting: expected) { network, host, log in
            let silent = try await RawPeer(in: network, dialing: host)
            try await silent.connection.acceptStream().reset(code: .gated)
            expect(try await log.line("identify failed"), ["peer": "\(silent.peerID)", "direction": "inbound"])
            let deaf = try await RawPeer(in: network, dialing: host)
            let stream = try await deaf.accept(IdentifyProtocol.name)
            // All it says is that it wants to be told of changes.
            let name = Array(IdentifyProtocol.pushName.utf8)
            let message: [UInt8] = [3 << 3 | 2, UInt8(name.count)] + name
            try await stream.write([UInt8(message.count)] + message)
            try await stream.closeWrite()
            while host.peerStore.protocols(of: deaf.peerID) == nil { await Task.yield() }
            await host.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            try await deaf.connection.acceptStream().reset(code: .gated)
            expect(try await log.line("identify push failed"), ["peer": "\(deaf.peerID)", "direction": "inbound"])
        }
    }

    @Test(arguments: TestNetwork.allCases) func trimming(_ kind: TestNetwork) async throws {
        var configuration = NegotiationTests.quiet
        configuration.connections.trimming = .init(lowWater: 0, highWater: 1, gracePeriod: .zero)
        try await scene(on: kind, configuration, expecting: ["connections are trimmed"]) { network, host, log in
            for _ in 0..<2 { _ = try await RawPeer(in: network, dialing: host) }
            expect(try await log.line("connections are trimmed"), ["count": "2"])
        }
    }

    @Test(arguments: TestNetwork.allCases) func blackHoles(_ kind: TestNetwork) async throws {
        let address: Multiaddr = "/ip4/192.0.2.1/udp/1/quic-v1"
        var configuration = NegotiationTests.quiet
        configuration.connections.blackHoleDetection = .init(window: 1, minimumSuccesses: 1)
        try await scene(
            on: kind,
            configuration,
            transport: { network, _ in try await StuckTransport(in: network, failing: [address]) },
            listens: false,
            expecting: ["black hole detection", "a dial failed"]
        ) { _, host, log in
            let stranger = PrivateKey.ed25519().peerID
            #expect(await code { try await host.connect(to: stranger, addresses: [address]) } == .dialFailed)
            expect(try await log.line("black hole detection"), ["kind": "udp", "state": "blocked"])
        }
    }

    @Test(arguments: TestNetwork.allCases) func namesThatCannotBeUsed(_ kind: TestNetwork) async throws {
        try await scene(on: kind, expecting: ["a protocol name cannot be used"]) { _, host, log in
            await host.handle("/a\n", handler: EchoProtocol.handler)
            expect(try await log.line("a protocol name cannot be used"), ["protocol": "/a\n"])
        }
    }

    @Test func theArticleNamesEveryKeyAndNoOther() throws {
        let rows = try Articles.rows(below: "### Log lines", of: Articles.text("WatchingANode"))
        let levels: Set = ["error", "warning", "info", "debug"]
        let named = Set(rows.filter { !levels.contains($0[0]) }.flatMap { Articles.names(in: $0[0]) })
        #expect(named == Self.lines.values.reduce(["local"]) { $0.union($1.keys) })
        let namedLevels = Set(rows.map { $0[0] }).intersection(levels)
        #expect(namedLevels == Set(Self.lines.values.map { "\($0.level)" }))
    }
}
