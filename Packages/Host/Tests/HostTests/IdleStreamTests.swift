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
        on kind: TestNetwork,
        _ configuration: HostConfiguration = NegotiationTests.quiet,
        _ body: @Sendable (_ server: BasicHost, _ client: BasicHost, _ clock: ManualClock) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        let serverKey = PrivateKey.ed25519()
        try await kind.open { network in
            let timing = TimingTransport(base: try network.transport(serverKey), clock: clock)
            try await withHost(
                identity: serverKey,
                transports: [timing],
                listen: [network.anywhere],
                configuration: configuration
            ) { server in
                try await network.host(NegotiationTests.quiet, listens: false) { client in
                    try await body(server, client, clock)
                }
            }
        }
    }

    /// Ends the read that the server waits in, and waits for the next one.
    func endRead(_ clock: ManualClock) async throws {
        await clock.waitForSleepers()
        clock.advance(by: .seconds(30))
        try await withDeadline(.seconds(2)) { await clock.waitForSleepers() }
    }

    @Test(arguments: TestNetwork.allCases) func anIdleEchoStreamLivesOn(_ network: TestNetwork) async throws {
        try await withIdleServer(on: network) { server, client, clock in
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

    @Test(arguments: TestNetwork.allCases) func anIdlePingStreamLivesOn(_ network: TestNetwork) async throws {
        try await withIdleServer(on: network) { server, client, clock in
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

    @Test(arguments: TestNetwork.allCases)
    func aPingSessionOutlivesItsStream(_ network: TestNetwork) async throws {
        try await withTwoHosts(on: network, NegotiationTests.quiet, NegotiationTests.quiet) { server, client in
            // A peer that ends the stream after each ping, as go-libp2p does after 30 s.
            let (received, receive) = AsyncStream<Void>.makeStream()
            await server.handle(PingProtocol.name) { stream in
                let payload = try await stream.readExactly(PingProtocol.payloadSize)
                try await stream.write(payload)
                for await _ in received { break }
                stream.reset()
            }
            let peer = try await client.connect(to: server.address)
            let session = try await client.pingSession(with: peer)
            for _ in 0..<5 {
                #expect(try await session.ping() > .zero)
                // Not before the answer is here: a reset overtakes what was written.
                receive.yield()
            }
            await session.close()
            #expect(await code { _ = try await session.ping() } != nil)
        }
    }
}
