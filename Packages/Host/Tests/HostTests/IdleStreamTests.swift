import Host
import Multiaddr
import NetStream
import NetStreamTesting
import PeerID
import Testing

/// Streams on which nothing happens for longer than the transport waits for a read.
@Suite(.timeLimit(.minutes(1))) struct IdleStreamTests {
    /// Two hosts without identify. The reads of the server's streams end after 30 s of the clock handed out.
    func withIdleServer(
        _ configuration: HostConfiguration = NegotiationTests.quiet,
        _ body: @Sendable (_ server: BasicHost, _ client: BasicHost, _ clock: ManualClock) async throws -> Void
    ) async throws {
        let network = MemoryNetwork()
        let clock = ManualClock()
        let (serverKey, clientKey) = (PrivateKey.ed25519(), PrivateKey.ed25519())
        let timing = TimingTransport(base: MemoryTransport(identity: serverKey, network: network), clock: clock)
        try await withHost(
            identity: serverKey,
            transports: [timing],
            listen: ["/memory/0"],
            configuration: configuration
        ) { server in
            try await withHost(
                identity: clientKey,
                transports: [MemoryTransport(identity: clientKey, network: network)],
                configuration: NegotiationTests.quiet
            ) { client in
                try await body(server, client, clock)
            }
        }
    }

    /// Ends the read that the server waits in, and waits for the next one.
    func endRead(_ clock: ManualClock) async throws {
        await clock.waitForSleepers()
        clock.advance(by: .seconds(30))
        try await withDeadline(.seconds(2)) { await clock.waitForSleepers() }
    }

    @Test func anIdleEchoStreamLivesOn() async throws {
        try await withIdleServer { server, client, clock in
            await server.handle(EchoProtocol.name, handler: EchoProtocol.handler)
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [EchoProtocol.name])
            for round in 1...3 as ClosedRange<UInt8> {
                try await stream.write([round])
                #expect(try await stream.readExactly(1) == [round])
                try await endRead(clock)
            }
            try await stream.write([7])
            try await stream.closeWrite()
            #expect(try await stream.readToEnd(limit: 10) == [7])
        }
    }

    @Test func anIdlePingStreamLivesOn() async throws {
        try await withIdleServer { server, client, clock in
            let peer = try await client.connect(to: server.address)
            let stream = try await client.newStream(to: peer, protocols: [PingProtocol.name])
            for round in 1...3 as ClosedRange<UInt8> {
                let payload = [UInt8](repeating: round, count: PingProtocol.payloadSize)
                try await stream.write(payload)
                #expect(try await stream.readExactly(payload.count) == payload)
                try await endRead(clock)
            }
            // In the middle of a message the peer is too slow.
            try await stream.write([1])
            await clock.waitForSleepers()
            while stream.isOperational {
                clock.advance(by: .seconds(30))
                do {
                    _ = try await withDeadline(.milliseconds(10)) { try await stream.read() }
                } catch let error as NetStreamError where error.code == .timeout || error.code == .cancelled {
                    continue
                } catch { break }
            }
            #expect(stream.state == .reset)
        }
    }

    @Test func aPingSessionOutlivesItsStream() async throws {
        try await withTwoHosts(NegotiationTests.quiet, NegotiationTests.quiet) { server, client in
            // A peer that ends the stream after each ping, as go-libp2p does after 30 s.
            await server.handle(PingProtocol.name) { stream in
                let payload = try await stream.readExactly(PingProtocol.payloadSize)
                try await stream.write(payload)
                stream.reset()
            }
            let peer = try await client.connect(to: server.address)
            let session = try await client.pingSession(with: peer)
            for _ in 0..<5 {
                // The reset may overtake an answer; then that one ping fails, and the next one works.
                let first = await code { _ = try await session.ping() }
                if first != nil { #expect(try await session.ping() > .zero) }
            }
            await session.close()
            #expect(await code { _ = try await session.ping() } != nil)
        }
    }
}
