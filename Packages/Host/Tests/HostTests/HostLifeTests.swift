import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Synchronization
import Testing

@testable import Host

/// The life of a host as a whole.
@Suite(.timeLimit(.minutes(1))) struct HostLifeTests {
    @Test(arguments: TestNetwork.allCases) func aHostRunsAsATaskOfItsOwn(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let key = PrivateKey.ed25519()
            let host = try BasicHost(identity: key, transports: [network.transport(key)])
            let running = Task { try await host.run() }
            try await host.listen(on: network.anywhere)
            let connection = try await network.peer(dialing: host)
            running.cancel()
            try await running.value
            let reason = await connection.waitUntilClosed()
            #expect(reason.code == ConnectionErrorCode.shutdown.rawValue && reason.byPeer)
            #expect(await code { try await host.run() } == .closed)
            #expect(await code { try await host.connect(to: kind.foreign) } == .closed)
            #expect(await code { try await host.listen(on: network.anywhere) } == .closed)
            for await _ in host.events() { Issue.record("an event after the end") }
            await host.close()
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aDialUnderWayIsToldThatTheHostIsClosedNotThatItWasCancelled(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let transport = try await StuckTransport(in: network)
            let host = try BasicHost(identity: .ed25519(), transports: [transport])
            let running = Task { try await host.run() }
            let stranger = PrivateKey.ed25519().peerID
            let dial = Task {
                await code {
                    try await host.connect(to: stranger, addresses: ["/ip4/192.0.2.1/udp/1/quic-v1"])
                }
            }
            await transport.waitFor(1)
            running.cancel()
            #expect(await dial.value == .closed)
            try await running.value
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func aHandlerThatHeedsNoCancellationDoesNotKeepTheHostOpen(_ kind: TestNetwork) async throws {
        try await kind.open { network in
            let (gate, opener) = AsyncStream.makeStream(of: Void.self)
            defer { opener.finish() }
            let key = PrivateKey.ed25519()
            let host = try BasicHost(
                identity: key,
                transports: [network.transport(key)],
                configuration: NegotiationTests.quiet
            )
            let hasBegun = Flag()
            await host.handle("/stubborn") { _ in
                hasBegun.set()
                await uncancelled { for await _ in gate {} }
            }
            let isOver = Flag()
            let running = Task {
                try await host.run()
                isOver.set()
            }
            try await host.listen(on: network.anywhere)
            let peer = try await RawPeer(in: network, dialing: host)
            _ = try await peer.open("/stubborn")
            while !hasBegun.isSet { await Task.yield() }
            running.cancel()
            let reason = try await withDeadline(.seconds(30)) { await peer.connection.waitUntilClosed() }
            #expect(reason.code == ConnectionErrorCode.shutdown.rawValue && reason.byPeer)
            for await _ in host.events() {}
            #expect(await code { try await host.listen(on: network.anywhere) } == .closed)
            // The handler is still at it.
            #expect(!isOver.isSet)
            opener.finish()
            try await running.value
        }
    }

    @Test(arguments: TestNetwork.allCases) func leavingTheScopeClosesEverything(_ kind: TestNetwork) async throws {
        struct Left: Error {}
        let ports = Mutex<[Multiaddr]>([])
        try await kind.open { network in
            let peer = try network.transport()
            let ends = Mutex<[any MuxedConnection]>([])
            await #expect(throws: Left.self) {
                try await network.host { host in
                    let address = try host.address.withoutPeerID
                    ports.withLock { $0.append(address) }
                    await host.handle("/hang/1") { stream in _ = try await stream.read() }
                    let connection = try await peer.dial(host.address)
                    ends.withLock { $0.append(connection) }
                    throw Left()
                }
            }
            let connection = try #require(ends.withLock { $0.first })
            #expect(await connection.waitUntilClosed().byPeer)
            // The address is free again.
            let address = try #require(ports.withLock { $0.first })
            _ = try await peer.listen(on: address)
        }
    }

    @Test(arguments: TestNetwork.allCases)
    func runInsideTheScopeWaitsForTheClose(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network) { server, _ in
            async let running: Void = server.run()
            await server.close()
            try await running
        }
    }

    @Test func foolishConfigurationsAreRefused() async throws {
        let changes: [(String, (inout HostConfiguration) -> Void)] = [
            ("connections.limit ", { $0.connections.limit = 0 }),
            ("connections.limitPerPeer", { $0.connections.limitPerPeer = 0 }),
            ("connections.dialsPerPeer", { $0.connections.dialsPerPeer = 0 }),
            ("connections.dialTimeout", { $0.connections.dialTimeout = .zero }),
            ("connections.dialStagger", { $0.connections.dialStagger = .seconds(-1) }),
            ("connections.privateDialStagger", { $0.connections.privateDialStagger = .seconds(-1) }),
            ("streams.inboundNegotiations", { $0.streams.inboundNegotiations = 0 }),
            ("streams.outboundNegotiations", { $0.streams.outboundNegotiations = 0 }),
            ("streams.inboundHandlers", { $0.streams.inboundHandlers = 0 }),
            ("streams.negotiationTimeout", { $0.streams.negotiationTimeout = .zero }),
            ("identify.timeout", { $0.identify.timeout = .zero }),
            ("identify.agentVersion", { $0.identify.agentVersion = String(repeating: "x", count: 257) }),
            ("identify.protocolVersion", { $0.identify.protocolVersion = String(repeating: "x", count: 257) }),
            ("connections.trimming", { $0.connections.trimming = .init(lowWater: 3, highWater: 2) }),
            ("connections.dialBackOff", { $0.connections.dialBackOff = .seconds(-1) }),
            ("connections.longestDialBackOff", { $0.connections.longestDialBackOff = .seconds(-1) }),
            ("pingStreamsPerPeer", { $0.pingStreamsPerPeer = 0 }),
            ("rememberedPeers", { $0.rememberedPeers = 0 }), ("rememberedBytes", { $0.rememberedBytes = 0 }),
        ]
        for (field, change) in changes {
            var configuration = HostConfiguration()
            change(&configuration)
            let error = #expect(throws: HostError.self) {
                try BasicHost(identity: .ed25519(), transports: [], configuration: configuration)
            }
            #expect(error?.code == .invalidConfiguration && error?.message.contains(field) == true, "\(field)")
        }
    }
}
