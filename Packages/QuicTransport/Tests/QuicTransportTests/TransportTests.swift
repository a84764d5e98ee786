import Libp2pTLS
import Multiaddr
import NIOCore
import NIOPosix
import NetStream
import NetStreamTesting
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// Two transports and one connection between them over loopback, closed after the body.
struct QuicPair: Sendable {
    let server: QuicTransport
    let client: QuicTransport
    let listener: QuicListener
    let dialed: QuicConnection
    let accepted: QuicConnection

    static func with<Result: Sendable>(
        server: QuicConfiguration = .defaults,
        client: QuicConfiguration = .defaults,
        _ body: @Sendable (QuicPair) async throws -> Result
    ) async throws -> Result {
        let server = try QuicTransport(identity: .ed25519(), configuration: server)
        let client = try QuicTransport(identity: .ed25519(), configuration: client)
        do {
            let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
            let address = listener.addresses[0].withPeerID(server.localPeer)
            async let incoming = listener.acceptConnection()
            let dialed = try await client.dialQuic(address)
            let pair = QuicPair(
                server: server,
                client: client,
                listener: listener,
                dialed: dialed,
                accepted: try await incoming
            )
            let result = try await body(pair)
            await client.close()
            await server.close()
            return result
        } catch {
            await client.close()
            await server.close()
            throw error
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct TransportTests {
    @Test(arguments: TransportCompliance.allCases)
    func doesWhatEveryTransportMustDo(_ check: TransportCompliance) async throws {
        var fixture = TransportFixture(listenAddress: "/ip4/127.0.0.1/udp/0/quic-v1") {
            try QuicTransport(identity: $0)
        }
        fixture.streamsAtOnce = 100
        // Every suite runs at once, on a machine that may be busy beside.
        fixture.deadline = .seconds(120)
        try await check.run(on: fixture)
    }

    @Test func knowsTheConnectionItMade() async throws {
        try await QuicPair.with { pair in
            #expect(pair.dialed.remotePeer == pair.server.localPeer)
            #expect(pair.accepted.remotePeer == pair.client.localPeer)
            #expect(pair.dialed.alpn == "libp2p")
            #expect(pair.dialed.version == .v1)
            #expect(pair.accepted.remoteAddress.quicEndpoint?.version == .v1)
            #expect(pair.dialed.remoteAddress == pair.listener.addresses[0])
            let statistics = try #require(await pair.dialed.statistics())
            #expect(statistics.traffic.datagramsSent > 0)
            #expect(statistics.path.smoothedRoundTrip > .zero)
            let roundTripTime = try #require(pair.dialed.roundTripTime)
            #expect(roundTripTime > .zero && roundTripTime < .seconds(10))
        }
    }

    @Test func listensOnIPv6AndServesIPv4OnADualStackSocket() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: "/ip6/::/udp/0/quic-v1")
        let port = try #require(listener.addresses[0].quicEndpoint?.port)
        for host in ["::1", "127.0.0.1"] {
            async let incoming = listener.acceptConnection()
            let dialed = try await client.dialQuic(try .quic(host: host, port: port))
            let accepted = try await incoming
            #expect(accepted.remotePeer == client.localPeer)
            #expect(dialed.remotePeer == server.localPeer)
        }
        await client.close()
        await server.close()
    }

    @Test func saysThatAPortIsInUse() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let other = try QuicTransport(identity: .ed25519())
        let error = await #expect(throws: QuicError.self) { try await other.listenQuic(on: listener.addresses[0]) }
        #expect(error?.code == .listen)
        #expect(error?.message.contains("in use") == true)
        await server.close()
        await other.close()
    }

    @Test func refusesAddressesItCannotUse() async throws {
        let transport = try QuicTransport(identity: .ed25519())
        for address: Multiaddr in [
            "/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/udp/4001/quic-v1/webtransport", "/ip4/127.0.0.1/udp/4001",
        ] {
            #expect(!transport.canDial(address))
            let error = await #expect(throws: QuicError.self) { try await transport.dialQuic(address) }
            #expect(error?.code == .invalidAddress)
        }
        let error = await #expect(throws: QuicError.self) {
            try await transport.dialQuic("/ip4/127.0.0.1/udp/4001/quic")
        }
        #expect(error?.code == .unsupportedVersion)
        #expect(error?.message.contains("ngtcp2 \(QuicVersion.libraryVersion)") == true)
        await transport.close()
    }

    @Test func aBadDestinationFailsThatDialAndNothingElse() async throws {
        try await QuicPair.with { pair in
            for address: Multiaddr in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/255.255.255.255/udp/4001/quic-v1"] {
                let error = await #expect(throws: QuicError.self) { try await pair.client.dialQuic(address) }
                #expect(error?.code == .dial)
            }
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1, 2, 3])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1, 2, 3])
        }
    }

    @Test func aDialThatNobodyAnswersEndsInItsDeadline() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.dial = .milliseconds(300)
        let silent = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(silent.localAddress?.port)
        let client = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let error = await #expect(throws: QuicError.self) {
            try await client.dialQuic(try .quic(host: "127.0.0.1", port: port))
        }
        #expect(error?.code == .timeout)
        await client.close()
        try await silent.close()
    }

    @Test func aCancelledDialEndsAtOnce() async throws {
        let arrivals = Shared(0)
        let silent = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = DatagramHandler { _ in arrivals.withLock { $0 += 1 } }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(silent.localAddress?.port)
        var configuration = QuicConfiguration.defaults
        // The next Initials are due soon, and would be due often.
        configuration.initialRoundTrip = .milliseconds(10)
        let client = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let dial = Task { try await client.dialQuic(try .quic(host: "127.0.0.1", port: port)) }
        while arrivals.withLock({ $0 }) == 0 { await Task.yield() }
        let clock = ContinuousClock()
        let start = clock.now
        dial.cancel()
        let error = await #expect(throws: QuicError.self) { try await dial.value }
        #expect(error?.code == .cancelled)
        #expect(clock.now - start < .seconds(5))
        // Nothing is left of the attempt: no ID leads to it, and nobody sends for it.
        while case let now = await client.statistics(), now.connectionIDs + now.active + now.pending > 0 {
            await Task.yield()
        }
        #expect(arrivals.withLock { $0 } < 20)
        await client.close()
        try await silent.close()
    }

    @Test func anotherPeerThanExpectedComesUpOnNeitherSide() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let expected = PrivateKey.ed25519().peerID
        let error = await #expect(throws: QuicError.self) {
            try await client.dialQuic(listener.addresses[0].withPeerID(expected))
        }
        #expect(error?.code == .peerVerification)
        #expect(error?.expectedPeer == expected)
        #expect(error?.actualPeer == server.localPeer)
        // The next one to come up is the good one: the bad one was not handed up.
        async let incoming = listener.acceptConnection()
        let good = try await client.dialQuic(listener.addresses[0].withPeerID(server.localPeer))
        let accepted = try await incoming
        #expect(await listener.statistics().accepted == 1)
        await good.close(code: .none, reason: "")
        #expect(await accepted.waitUntilClosed().byPeer)
        await client.close()
        await server.close()
    }

    @Test func randomDatagramsLeaveTheListenerServing() async throws {
        try await QuicPair.with { pair in
            let seed = UInt64.random(in: 0 ... .max)
            var generator = SeededGenerator(seed: seed)
            let endpoint = try #require(pair.listener.addresses[0].quicEndpoint)
            let target = try SocketAddress(ipAddress: "127.0.0.1", port: Int(endpoint.port))
            let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: "127.0.0.1", port: 0).get()
            for index in 0..<10_000 {
                let count = index % 100 == 0 ? 0 : Int(generator.next() % 1400)
                var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                if count > 5, index % 2 == 0 { bytes.replaceSubrange(0..<5, with: [0xc1, 0, 0, 0, 1]) }
                let envelope = AddressedEnvelope(remoteAddress: target, data: ByteBuffer(bytes: bytes))
                if index % 50 == 49 {
                    try await channel.writeAndFlush(envelope)
                } else {
                    channel.write(envelope, promise: nil)
                }
            }
            try await channel.close()
            async let incoming = pair.listener.acceptConnection()
            let fresh = try await pair.client.dialQuic(pair.listener.addresses[0])
            _ = try await incoming
            #expect(fresh.remotePeer == pair.server.localPeer, "seed \(seed)")
        }
    }

    @Test func openingAStreamInACancelledTaskEndsAtOnce() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.streams.initialInboundCredit = 1
        configuration.streams.maxInbound = 1
        configuration.timeouts.streamOpen = nil
        try await QuicPair.with(server: configuration, client: configuration) { pair in
            let only = try await pair.dialed.openQuicStream()
            // There is no credit for another one, and no deadline.
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await pair.dialed.openQuicStream()
            }
            let error = await #expect(throws: QuicError.self) { try await task.value }
            #expect(error?.code == .cancelled)
            try await only.close()
        }
    }

    @Test func closingTellsThePeerAtOnceWithItsCode() async throws {
        try await QuicPair.with { pair in
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([1])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [1])
            async let waiting = Self.readError(other)
            await pair.dialed.close(code: ConnectionErrorCode(rawValue: 0x1234), reason: "enough")
            let error = try #require(await waiting)
            #expect(error.code == .connectionClosed)
            #expect(error.quicCode == 0x1234)
            #expect(error.isByPeer)
            let reason = await pair.accepted.waitUntilClosed()
            #expect(reason.code == 0x1234)
            #expect(reason.reason == "enough")
        }
    }

    private static func readError(_ stream: QuicStream) async -> QuicError? {
        do {
            _ = try await stream.read()
            return nil
        } catch {
            return error as? QuicError
        }
    }

    @Test func aPeerThatVanishesEndsReadsAndWritesWithinTheIdleTimeout() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.timeouts.idle = .seconds(2)
        configuration.keepAliveInterval = .milliseconds(500)
        let server = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let client = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        async let incoming = listener.acceptConnection()
        let dialed = try await client.dialQuic(listener.addresses[0])
        _ = try await incoming
        let stream = try await dialed.openQuicStream()
        try await stream.write([1])
        // The server's socket goes away without a word, as when its process is killed.
        let endpoint = listener.loops[0]
        try await endpoint.eventLoop.submit { endpoint.value.closeSocket() }.get()
        let clock = ContinuousClock()
        let start = clock.now
        let error = await #expect(throws: QuicError.self) { try await stream.read() }
        #expect(error?.code == .timeout)
        // The idle timeout is at least three probe timeouts (RFC 9000 §10.1), which grow on a busy machine.
        #expect(clock.now - start < .seconds(20))
        let failure = await #expect(throws: QuicError.self) { try await stream.write([2]) }
        #expect(failure?.code == .timeout)
        await client.close()
        await server.close()
    }

    @Test func aClosedListenerKeepsItsConnections() async throws {
        try await QuicPair.with { pair in
            await pair.listener.close()
            #expect(!pair.listener.isListening)
            let stream = try await pair.dialed.openQuicStream()
            try await stream.write([7])
            let other = try await pair.accepted.acceptQuicStream()
            #expect(try await other.read() == [7])
        }
    }

    @Test func oneHundredConnectionsAtOnceToOneListener() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let address = listener.addresses[0].withPeerID(server.localPeer)
        let client = try QuicTransport(identity: .ed25519())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for _ in 0..<100 { _ = try await listener.acceptConnection() }
            }
            for _ in 0..<100 {
                group.addTask { _ = try await client.dialQuic(address) }
            }
            try await group.waitForAll()
        }
        #expect(await listener.statistics().accepted == 100)
        await client.close()
        await server.close()
    }
}

@Suite(.timeLimit(.minutes(1))) struct TransportMemoryTests {
    /// What is seen of an object of an event loop from outside.
    private final class Witness: Sendable {
        private let bound: NIOLoopBound<Weak>

        private final class Weak {
            weak var driver: EndpointDriver?
        }

        init(_ driver: NIOLoopBound<EndpointDriver>) async throws {
            bound = try await driver.eventLoop.submit {
                let weak = Weak()
                weak.driver = driver.value
                return NIOLoopBound(weak, eventLoop: driver.eventLoop)
            }.get()
        }

        var isGone: Bool {
            get async throws { try await bound.eventLoop.submit { [bound] in bound.value.driver == nil }.get() }
        }
    }

    @Test func aConnectionThatNobodyTookHoldsNothingBack() async throws {
        let server = try QuicTransport(identity: .ed25519())
        let client = try QuicTransport(identity: .ed25519())
        // Nobody keeps the listener: its queue is not closed by it.
        let listen: () async throws -> (Multiaddr, Witness) = {
            let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
            return (listener.addresses[0].withPeerID(server.localPeer), try await Witness(listener.loops[0]))
        }
        let (address, witness) = try await listen()
        let dialed = try await client.dialQuic(address)
        // The answer to a stream's opening shows that the server has it up.
        try await dialed.openQuicStream().write([1])
        await client.close()
        await server.close()
        // What the loop still has to do for it, as timers that are due, is done within seconds.
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        var turns = 0
        while try await !witness.isGone, turns < 2000 {
            turns += 1
            try await loop.scheduleTask(in: .milliseconds(10)) {}.futureResult.get()
        }
        #expect(turns < 2000, "the endpoint of a closed transport is still there")
    }
}
