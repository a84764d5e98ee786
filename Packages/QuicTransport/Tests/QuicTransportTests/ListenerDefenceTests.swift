import Multiaddr
import NIOCore
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

/// Over loopback sockets, what QuicCoreTests show in memory.
@Suite(.timeLimit(.minutes(5))) struct ListenerDefenceTests {
    private func transport(
        _ identity: PrivateKey = .ed25519(),
        _ change: (inout QuicConfiguration) -> Void = { _ in }
    ) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        // What is tested here is not the speed of a busy machine.
        configuration.timeouts.dial = .seconds(60)
        configuration.timeouts.inboundHandshake = .seconds(60)
        change(&configuration)
        return try QuicTransport(identity: identity, configuration: configuration)
    }

    /// Both ends of a new connection.
    private func connect(
        _ client: QuicTransport,
        to listener: QuicListener
    ) async throws -> (dialed: QuicConnection, accepted: QuicConnection) {
        async let incoming = listener.acceptConnection()
        let dialed = try await client.dialQuic(listener.addresses[0])
        return (dialed, try await incoming)
    }

    @Test func aRetryIsAnsweredOnceAndNotNeededAgain() async throws {
        let server = try transport { $0.endpoint.retry = .always }
        let client = try transport()
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        for _ in 0..<3 {
            let (dialed, accepted) = try await connect(client, to: listener)
            await dialed.close(code: .none, reason: "")
            _ = await accepted.waitUntilClosed()
        }
        let counts = await server.statistics()
        #expect(counts.accepted == 3)
        #expect(counts.validatedByToken == 3)
        // A Retry may be lost or late on a busy machine, and is then sent again; the second and third dial need none.
        #expect(counts.retries >= 1)
        let later = await listener.statistics()
        #expect(later.retries == counts.retries)
        // A stranger is asked.
        let stranger = try transport()
        _ = try await connect(stranger, to: listener)
        #expect(await server.statistics().retries > counts.retries)
        await stranger.close()
        await client.close()
        await server.close()
    }

    @Test func aReturningClientNeedsNoRetryAfterTheServersRestart() async throws {
        let identity = PrivateKey.ed25519()
        let key = (0..<32).map { UInt8($0) }
        let client = try transport()
        let before = try transport(identity) {
            $0.endpoint.statelessResetKey = key
            $0.endpoint.retry = .always
        }
        let first = try await before.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        _ = try await connect(client, to: first)
        await before.close()
        let server = try transport(identity) {
            $0.endpoint.statelessResetKey = key
            $0.endpoint.retry = .always
        }
        let second = try await server.listenQuic(on: first.addresses[0])
        _ = try await connect(client, to: second)
        let counts = await server.statistics()
        #expect(counts.retries == 0)
        #expect(counts.validatedByToken == 1)
        await client.close()
        await server.close()
    }

    @Test func aRestartedServerTellsItsFormerPeers() async throws {
        let identity = PrivateKey.ed25519()
        let key = (0..<32).map { UInt8($0) }
        let client = try transport()
        let killed = try transport(identity) { $0.endpoint.statelessResetKey = key }
        let listener = try await killed.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let address = listener.addresses[0]
        let (dialed, _) = try await connect(client, to: listener)
        let stream = try await dialed.openQuicStream()
        // The server's socket goes away without a word, as when its process is killed.
        let endpoint = listener.loops[0]
        try await endpoint.eventLoop.submit { endpoint.value.closeSocket() }.get()
        let server = try transport(identity) { $0.endpoint.statelessResetKey = key }
        _ = try await server.listenQuic(on: address)
        // Fails if the reset comes first, in answer to an earlier packet.
        _ = try? await stream.write([UInt8](repeating: 1, count: 500))
        let end = await dialed.waitUntilClosed()
        #expect(end.byPeer)
        #expect(await client.statistics().statelessResetsReceived == 1)
        #expect(await server.statistics().statelessResets >= 1)
        await client.close()
        await server.close()
        await killed.close()
    }

    @Test func theLimitOnConnectionsIsThatOfTheWholeTransport() async throws {
        let server = try transport { $0.endpoint.maxConnections = 3 }
        let client = try transport()
        let one = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let two = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        for listener in [one, two, one] { _ = try await connect(client, to: listener) }
        for listener in [one, two] {
            let failure = await #expect(throws: QuicError.self) { try await client.dialQuic(listener.addresses[0]) }
            #expect(failure?.code == .connectionLimit)
        }
        #expect(await server.statistics().rejected >= 2)
        #expect(await server.statistics().active == 3)
        // It counts for dials too.
        let failure = await #expect(throws: QuicError.self) { try await server.dialQuic(one.addresses[0]) }
        #expect(failure?.code == .connectionLimit)
        await client.close()
        await server.close()
    }

    @Test func theTransportCountsOverAllItsSocketsAndRemembers() async throws {
        let server = try transport()
        let client = try transport()
        #expect(await server.statistics() == QuicTransportStatistics())
        for address in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip6/::1/udp/0/quic-v1"] as [Multiaddr] {
            let listener = try await server.listenQuic(on: address)
            _ = try await connect(client, to: listener)
        }
        let during = await server.statistics()
        #expect(during.accepted == 2)
        #expect(during.active == 2)
        #expect(during.pending == 0)
        #expect(during.bytesReceived >= 2400 && during.packetsReceived >= 2)
        #expect(during.bytesSent > 0 && during.packetsSent > 0)
        #expect(await client.statistics().dialed == 2)
        await client.close()
        await server.close()
        let after = await server.statistics()
        #expect(after.accepted == 2)
        #expect(after.active == 0)
        #expect(after.bytesReceived >= during.bytesReceived)
    }
}
