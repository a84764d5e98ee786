import Libp2pTLS
import Multiaddr
import NetStream
import PeerID
import QuicCore
import Testing

@testable import QuicTransport

@Suite(.timeLimit(.minutes(1))) struct ResumptionTests {
    private func transport(
        _ identity: PrivateKey = .ed25519(),
        _ resumption: QuicConfiguration.Resumption = .sessions
    ) throws -> QuicTransport {
        var configuration = QuicConfiguration.defaults
        configuration.resumption = resumption
        return try QuicTransport(identity: identity, configuration: configuration)
    }

    /// Connects, carries a byte each way, and waits for the ticket, which comes before the server's answer.
    private func connect(
        _ client: QuicTransport,
        _ listener: QuicListener,
        naming peer: PeerID?
    ) async throws -> (dialed: QuicConnection, accepted: QuicConnection) {
        async let incoming = listener.acceptConnection()
        let address = listener.addresses[0]
        let dialed = try await client.dialQuic(peer.map { address.withPeerID($0) } ?? address)
        let accepted = try await incoming
        let stream = try await dialed.openQuicStream()
        try await stream.write([1])
        let other = try await accepted.acceptQuicStream()
        #expect(try await other.read() == [1])
        try await other.write([2])
        #expect(try await stream.read() == [2])
        return (dialed, accepted)
    }

    @Test func aDialThatNamesAPeerOfBeforeResumesAndBothKnowWhoTheOtherIs() async throws {
        let (server, client) = (try transport(), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        var certificates: Set<[UInt8]> = []
        for isResumed in [false, true, true] {
            let (dialed, accepted) = try await connect(client, listener, naming: server.localPeer)
            #expect(dialed.isResumed == isResumed && accepted.isResumed == isResumed)
            #expect(dialed.remotePeer == server.localPeer)
            #expect(accepted.remotePeer == client.localPeer)
            #expect(dialed.alpn == "libp2p" && accepted.alpn == "libp2p")
            certificates.insert(accepted.peerCertificate)
            await dialed.close(code: .none, reason: "")
        }
        #expect(certificates.count == 1)
        // A dial that names nobody takes whoever answers, and that needs a certificate.
        let (dialed, _) = try await connect(client, listener, naming: nil)
        #expect(!dialed.isResumed)
        await client.close()
        await server.close()
    }

    @Test func nothingIsResumedUnlessBothSidesWantIt() async throws {
        let cases: [(QuicConfiguration.Resumption, QuicConfiguration.Resumption)] = [
            (.off, .sessions), (.sessions, .off), (.off, .off),
        ]
        for (here, there) in cases {
            let (server, client) = (try transport(.ed25519(), there), try transport(.ed25519(), here))
            let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
            for _ in 0..<2 {
                let (dialed, accepted) = try await connect(client, listener, naming: server.localPeer)
                #expect(!dialed.isResumed && !accepted.isResumed)
                await dialed.close(code: .none, reason: "")
            }
            await client.close()
            await server.close()
        }
        #expect(QuicConfiguration.defaults.resumption == .off)
    }

    @Test func aServerThatDoesNotKnowTheTicketHasAFullHandshake() async throws {
        let identity = PrivateKey.ed25519()
        let (server, client) = (try transport(identity), try transport())
        let listener = try await server.listenQuic(on: "/ip4/127.0.0.1/udp/0/quic-v1")
        let (first, _) = try await connect(client, listener, naming: identity.peerID)
        await first.close(code: .none, reason: "")
        await server.close()
        // The same peer, started anew.
        let restarted = try transport(identity)
        let again = try await restarted.listenQuic(on: listener.addresses[0])
        let (second, accepted) = try await connect(client, again, naming: identity.peerID)
        #expect(!second.isResumed && !accepted.isResumed)
        #expect(accepted.remotePeer == client.localPeer)
        await second.close(code: .none, reason: "")
        await restarted.close()
        // Another peer at the same address, which got the ticket of the first.
        let other = try transport()
        let impostor = try await other.listenQuic(on: listener.addresses[0])
        let error = await #expect(throws: QuicError.self) {
            try await client.dialQuic(impostor.addresses[0].withPeerID(identity.peerID))
        }
        #expect(error?.code == .peerVerification)
        await client.close()
        await other.close()
    }
}
