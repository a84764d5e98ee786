import CGnuTLS
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct ResumptionTests {
    private let alice = PrivateKey.ed25519()
    private let bob = PrivateKey.ed25519()

    private func context(
        _ identity: PrivateKey,
        clock: @escaping @Sendable () -> Int64 = TLSConfiguration.systemTime,
        types: Set<KeyType> = CertificateVerifier.allKeyTypes
    ) throws -> TLSContext {
        try TLSContext(
            identity: identity,
            configuration: TLSConfiguration(allowedKeyTypes: types, sessionTickets: true, clock: clock)
        )
    }

    /// Connects, and lets the client have a ticket.
    private func connect(
        _ here: TLSContext,
        _ there: TLSContext,
        expecting peer: PeerID?
    ) throws -> (client: TLSSession, server: TLSSession, succeeded: Bool) {
        let client = try here.makeClientSession(expecting: peer)
        let server = try there.makeServerSession()
        var ends = handshake(client, server)
        guard ends.client.result == 0, ends.server.result == 0 else { return (client, server, false) }
        for session in [client, server] { session.judgeResumedPeer() }
        let succeeded = client.verifiedPeer != nil && server.verifiedPeer != nil
        if succeeded {
            server.sendTicket()
            _ = ends.client.readAlert()
        }
        return (client, server, succeeded)
    }

    @Test func theSecondHandshakeIsResumedAndTheThirdWithTheTicketOfTheSecond() throws {
        let (client, server) = (try context(alice), try context(bob))
        for isResumed in [false, true, true] {
            let ends = try connect(client, server, expecting: bob.peerID)
            #expect(ends.succeeded)
            #expect(ends.client.isResumed == isResumed && ends.server.isResumed == isResumed)
            #expect(ends.client.verifiedPeer?.peerID == bob.peerID)
            #expect(ends.server.verifiedPeer?.peerID == alice.peerID)
            #expect(ends.server.verifiedPeer?.certificateDER == client.certificateDER)
        }
    }

    @Test func aResumedHandshakeAgreesOnFreshKeysAllTheSame() throws {
        let (client, server) = (try context(alice), try context(bob))
        _ = try connect(client, server, expecting: bob.peerID)
        let session = try client.makeClientSession(expecting: bob.peerID)
        let accepted = try server.makeServerSession()
        var ends = (client: End(session.handle, of: session), server: End(accepted.handle, of: accepted))
        ends.client.wire.other = ends.server.wire
        ends.server.wire.other = ends.client.wire
        ends.client.step()
        ends.server.step()
        #expect(accepted.isResumed)
        // The client's Finished is missing: the peer is not verified yet.
        #expect(accepted.verifiedPeer == nil)
        // The key share of X25519 in the ServerHello (RFC 8446 §4.2.8), and the choice of the ticket (§4.2.11).
        let hello = Array(ends.client.wire.arrived.prefix(200))
        for extensionHeader in [
            [0x00, 0x33, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20], [0x00, 0x29, 0x00, 0x02, 0x00, 0x00],
        ] {
            let wanted = extensionHeader.map(UInt8.init)
            #expect(hello.indices.contains { hello[$0...].starts(with: wanted) })
        }
    }

    @Test func aTicketIsUsedOnceAndOnlyForItsPeer() throws {
        let (client, server) = (try context(alice), try context(bob))
        _ = try connect(client, server, expecting: bob.peerID)
        let tickets = try #require(client.tickets)
        #expect(tickets.count == 1)
        #expect(tickets.take(for: alice.peerID) == nil)
        #expect(try !client.makeClientSession(expecting: nil).isResumed)
        #expect(tickets.count == 1)
        _ = try client.makeClientSession(expecting: bob.peerID)
        #expect(tickets.count == 0)
    }

    @Test func theTicketOfOnePeerIsNoProofForAnother() throws {
        let (client, server) = (try context(alice), try context(bob))
        _ = try connect(client, server, expecting: bob.peerID)
        // Bob's ticket in the place of Carol's.
        let carol = PrivateKey.ed25519().peerID
        let tickets = try #require(client.tickets)
        let session = try #require(tickets.take(for: bob.peerID))
        tickets.store(session, of: carol)
        let ends = try connect(client, server, expecting: carol)
        #expect(!ends.succeeded && ends.client.isResumed)
        #expect(ends.client.failure?.code == .peerIDMismatch)
        #expect(ends.client.failure?.actual == bob.peerID)
        #expect(ends.client.verifiedPeer == nil)
    }

    @Test func theCertificateOfTheFirstHandshakeIsJudgedAnew() throws {
        let later = TLSConfiguration.systemTime() + 366 * 86_400
        let (client, server) = (try context(alice), try context(bob))
        _ = try connect(client, server, expecting: bob.peerID)
        let tickets = try #require(client.tickets)
        let session = try #require(tickets.take(for: bob.peerID))
        // A client whose clock says that Bob's certificate has expired.
        let old = try context(alice, clock: { later })
        try #require(old.tickets).store(session, of: bob.peerID)
        let ends = try connect(old, server, expecting: bob.peerID)
        #expect(!ends.succeeded)
        #expect(ends.client.failure?.code == .expired, "\(ends.client.failure as Any)")
    }

    @Test func aKeyForTicketsLastsSixHours() throws {
        let tickets = SessionTickets()
        let first = try tickets.key(at: 1_000_000)
        #expect(first.bytes.count == 64)
        #expect(try tickets.key(at: 1_000_000 + SessionTickets.keyLifetime - 1) === first)
        let second = try tickets.key(at: 1_000_000 + SessionTickets.keyLifetime)
        #expect(second.bytes != first.bytes)
        // A handshake that looked at the clock a moment before the key was made has the same key.
        let made = 1_000_000 + SessionTickets.keyLifetime
        #expect(try tickets.key(at: made - SessionTickets.clockSlack) === second)
        // A clock that was set back by more makes no key live longer.
        #expect(try tickets.key(at: made - SessionTickets.clockSlack - 1) !== second)
    }

    @Test func theOldestPeerMakesRoom() throws {
        let tickets = SessionTickets()
        let session = SessionTickets.Remembered(session: [1])
        let peers = (0...SessionTickets.limit).map { _ in PrivateKey.ed25519().peerID }
        for peer in peers { tickets.store(session, of: peer) }
        #expect(tickets.count == SessionTickets.limit)
        #expect(tickets.take(for: peers[0]) == nil)
        #expect(tickets.take(for: peers[1]) == session)
        let large = [UInt8](repeating: 0, count: SessionTickets.maximumSize + 1)
        tickets.store(SessionTickets.Remembered(session: large), of: peers[2])
        #expect(tickets.take(for: peers[2]) == session)
    }
}
