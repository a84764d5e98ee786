import Multiaddr
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct EarlyDataTests {
    private func transport(
        _ identity: PrivateKey = .ed25519(),
        _ resumption: QuicConfiguration.Resumption = .earlyData,
        loops: Int = 1
    ) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        configuration.resumption = resumption
        configuration.udp.loops = loops
        return try QuicTransport(identity: identity, configuration: configuration)
    }

    /// Echoes every stream of every connection, after the handshake unless told otherwise; counts the early ones.
    private func echo(_ listener: QuicListener, early: Bool = true) -> Task<Int, Never> {
        Task {
            var count = 0
            await withTaskGroup(of: Int.self) { group in
                while let connection = try? await listener.acceptConnection() {
                    group.addTask {
                        var count = 0
                        while let stream = try? await connection.acceptQuicStream() {
                            if stream.isEarly { count += 1 }
                            while let bytes = try? await stream.read() { try? await stream.write(bytes) }
                            try? await stream.closeWrite()
                        }
                        return count
                    }
                }
                for await each in group { count += each }
            }
            return count
        }
    }

    private func ask(_ connection: QuicConnection, _ byte: UInt8) async throws -> [UInt8]? {
        let stream = try await connection.openQuicStream()
        try await stream.write([byte])
        try await stream.closeWrite()
        return try await stream.read()
    }

    /// Dials once, so that the client has a ticket; it comes before the server's answer.
    private func takeTicket(_ client: QuicTransport, _ address: Multiaddr) async throws {
        let connection = try await client.dialQuic(address)
        #expect(!connection.isEarly)
        #expect(try await ask(connection, 1) == [1])
        #expect(connection.isEarlyDataAccepted == false)
        await connection.close(code: .none, reason: "")
    }

    @Test func anEarlyDialIsThereAtOnceAndItsStreamsAreMarkedOnTheOtherSide() async throws {
        let (server, client) = (try transport(), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1", handingUpEarly: true)
        let served = echo(listener)
        let address = listener.addresses[0].withPeerID(server.localPeer)
        try await takeTicket(client, address)
        for round in 2..<5 as Range<UInt8> {
            let connection = try await client.dialQuicEarly(address)
            #expect(connection.isEarly)
            #expect(connection.remotePeer == server.localPeer)
            #expect(try await ask(connection, round) == [round])
            #expect(try await connection.waitForHandshake())
            #expect(connection.isEarlyDataAccepted == true && connection.isResumed)
            #expect(connection.cipherSuite != nil && connection.alpn == "libp2p")
            // The next ticket comes before this answer.
            #expect(try await ask(connection, 9) == [9])
            await connection.close(code: .none, reason: "")
        }
        #expect(await server.statistics().earlyDataAccepted == 3)
        await client.close()
        await server.close()
        // On a busy machine the handshake may be done before the first stream is opened.
        #expect(await served.value <= 3)
    }

    @Test func aListenerThatWasNotAskedHandsUpNoConnectionBeforeItsHandshake() async throws {
        let (server, client) = (try transport(), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let address = listener.addresses[0].withPeerID(server.localPeer)
        async let first = listener.acceptConnection()
        let connection = try await client.dialQuic(address)
        let stream = try await connection.openQuicStream()
        try await stream.write([1])
        let other = try await first.acceptQuicStream()
        try await other.write([2])
        #expect(try await stream.read() == [2])
        let early = try await client.dialQuicEarly(address)
        let question = try await early.openQuicStream()
        try await question.write([3])
        let accepted = try await listener.acceptConnection()
        #expect(!accepted.isEarly && accepted.isEarlyDataAccepted == true)
        #expect(try await accepted.waitForHandshake())
        #expect(try await accepted.acceptQuicStream().read() == [3])
        await client.close()
        await server.close()
    }

    @Test func refusedEarlyDataFailsTheStreamsThatWereOpenedEarlyAndNothingElse() async throws {
        let identity = PrivateKey.ed25519()
        let (server, client) = (try transport(identity), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1", handingUpEarly: true)
        let served = echo(listener)
        let address = listener.addresses[0].withPeerID(identity.peerID)
        try await takeTicket(client, address)
        await server.close()
        // The same peer, started anew: it does not know the ticket.
        let restarted = try transport(identity)
        let again = try await restarted.listenQuic(on: listener.addresses[0], handingUpEarly: true)
        let servedAgain = echo(again)
        let connection = try await client.dialQuicEarly(address)
        let stream = try await connection.openQuicStream()
        let isEarly = stream.isEarly
        let failure = await #expect(throws: QuicError.self) {
            try await stream.write([1])
            if !isEarly {
                // The handshake was faster, and this is a stream like others: the server must not wait for its end.
                stream.reset(code: .none)
                throw QuicError.earlyDataRejected
            }
            _ = try await stream.read()
        }
        #expect(failure?.code == .earlyDataRejected)
        #expect(try await !connection.waitForHandshake())
        #expect(connection.isEarlyDataAccepted == false && !connection.isResumed)
        #expect(!connection.isClosed)
        for byte in 5..<8 as Range<UInt8> { #expect(try await ask(connection, byte) == [byte]) }
        await client.close()
        await restarted.close()
        #expect(await served.value == 0)
        #expect(await servedAgain.value == 0)
    }

    @Test func withoutATicketAnEarlyDialWaitsForTheHandshake() async throws {
        let (server, client) = (try transport(), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1", handingUpEarly: true)
        let served = echo(listener)
        let connection = try await client.dialQuicEarly(listener.addresses[0].withPeerID(server.localPeer))
        #expect(!connection.isEarly && connection.isEarlyDataAccepted == false)
        #expect(try await !connection.waitForHandshake())
        #expect(try await ask(connection, 1) == [1])
        await client.close()
        await server.close()
        #expect(await served.value == 0)
    }

    @Test func aTransportWithoutItDialsAndListensForNoEarlyData() async throws {
        let plain = try transport(.ed25519(), .sessions)
        let dial = await #expect(throws: QuicError.self) {
            try await plain.dialQuicEarly("/ip4/127.0.0.1/udp/1/quic-v1")
        }
        let listen = await #expect(throws: QuicError.self) {
            try await plain.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1", handingUpEarly: true)
        }
        for error in [dial, listen] { #expect(error?.code == .invalidConfiguration && error?.field == "resumption") }
        await plain.close()
    }

    @Test func severalLoopsShareTheirTickets() async throws {
        let (server, client) = (try transport(loops: 2), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1", handingUpEarly: true)
        let served = echo(listener)
        let address = listener.addresses[0].withPeerID(server.localPeer)
        try await takeTicket(client, address)
        let connection = try await client.dialQuicEarly(address)
        #expect(try await ask(connection, 4) == [4])
        #expect(try await connection.waitForHandshake())
        await client.close()
        await server.close()
        _ = await served.value
    }

    @Test func waitingForTheHandshakeOfADeadServerEndsWithTheConnection() async throws {
        var configuration = QuicConfiguration.defaults
        configuration.resumption = .earlyData
        configuration.timeouts.dial = .seconds(2)
        let client = try QuicTransport(identity: .ed25519(), configuration: configuration)
        let server = try transport()
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1", handingUpEarly: true)
        let served = echo(listener)
        let address = listener.addresses[0].withPeerID(server.localPeer)
        try await takeTicket(client, address)
        await server.close()
        _ = await served.value
        let connection = try await client.dialQuicEarly(address)
        #expect(connection.isEarly)
        let waiting = Task { try await connection.waitForHandshake() }
        let cancelled = Task { try await connection.waitForHandshake() }
        cancelled.cancel()
        let given = await #expect(throws: QuicError.self) { try await cancelled.value }
        #expect(given?.code == .cancelled)
        // Nobody waits for the dial any more, but its deadline counts.
        let error = await #expect(throws: QuicError.self) { try await waiting.value }
        #expect(error?.code == .timeout)
        #expect(connection.isClosed)
        await client.close()
    }
}
