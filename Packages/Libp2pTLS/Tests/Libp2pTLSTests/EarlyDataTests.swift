import CGnuTLS
import PeerID
import Testing

@testable import Libp2pTLS

@Suite struct EarlyDataTests {
    private let alice = PrivateKey.ed25519()
    private let bob = PrivateKey.ed25519()

    private func configuration(clock: @escaping @Sendable () -> Int64 = TLSConfiguration.systemTime) -> TLSConfiguration
    {
        TLSConfiguration(sessionTickets: true, earlyData: true, clock: clock)
    }

    /// A NewSessionTicket message with the extensions.
    private func ticket(lifetime: UInt8 = 100, _ extensions: [UInt8]) -> [UInt8] {
        let body: [UInt8] =
            [0, 0, 0, lifetime, 1, 2, 3, 4, 2, 7, 7, 0, 3, 9, 9, 9, 0, UInt8(extensions.count)] + extensions
        return [4, 0, 0, UInt8(body.count)] + body
    }

    private let allowance: [UInt8] = [0, 42, 0, 4, 0xff, 0xff, 0xff, 0xff]

    /// Connects, and gives the client a ticket with which it may send early data.
    private func connect(_ here: TLSContext, _ there: TLSContext, context: [UInt8]? = [1, 2, 3]) throws {
        let client = try here.makeClientSession(expecting: bob.peerID)
        let server = try there.makeServerSession()
        var ends = handshake(client, server)
        try #require(ends.client.result == 0 && ends.server.result == 0)
        for session in [client, server] { session.judgeResumedPeer() }
        client.contextForEarlyData = context
        // TLS records hide the message that a QUIC layer would show; what GnuTLS reads is the server's own.
        ticket(allowance).withUnsafeBytes { client.willReceive(ticket: $0) }
        server.sendTicket()
        _ = ends.client.readAlert()
    }

    @Test func readsWhatATicketSaysAboutEarlyData() {
        #expect(NewSessionTicket(ticket(allowance))?.allowsEarlyData == true)
        #expect(NewSessionTicket(ticket(allowance))?.lifetime == 100)
        #expect(NewSessionTicket(ticket([]))?.allowsEarlyData == false)
        // Other sizes are for TCP (RFC 9001 §4.6.1).
        #expect(NewSessionTicket(ticket([0, 42, 0, 4, 0, 0, 0x40, 0]))?.allowsEarlyData == false)
        #expect(NewSessionTicket(ticket([0, 9, 0, 1, 5] + allowance))?.allowsEarlyData == true)
        for count in 0..<ticket(allowance).count { #expect(NewSessionTicket(ticket(allowance).prefix(count)) == nil) }
        #expect(NewSessionTicket(ticket([0, 42, 0, 9, 1])) == nil)
        #expect(NewSessionTicket([8, 0, 0, 0]) == nil)
        #expect(NewSessionTicket(ticket(allowance) + [0]) == nil)
    }

    @Test func earlyDataNeedsTickets() {
        let error = #expect(throws: TLSError.self) {
            try TLSContext(identity: alice, configuration: TLSConfiguration(earlyData: true))
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("earlyData") == true)
    }

    @Test func aClientOffersItWithTheTicketOfBeforeAndOnlyWhenAsked() throws {
        let client = try TLSContext(identity: alice, configuration: configuration())
        let server = try TLSContext(identity: bob, configuration: configuration())
        try connect(client, server)
        let offering = try client.makeClientSession(expecting: bob.peerID, offeringEarlyData: true)
        #expect(offering.earlySession?.context == [1, 2, 3])
        #expect(offering.earlySession?.alpn == "libp2p")
        #expect(offering.earlySession?.peer.peerID == bob.peerID)
        #expect(offering.earlySession?.peer.certificateDER == server.certificateDER)
        #expect(offering.verifiedPeer == nil)
        // The ticket is used up.
        #expect(try client.makeClientSession(expecting: bob.peerID, offeringEarlyData: true).earlySession == nil)
        try connect(client, server)
        #expect(try client.makeClientSession(expecting: bob.peerID).earlySession == nil)
        // Without what the layer above needs there is none.
        try connect(client, server, context: nil)
        #expect(try client.makeClientSession(expecting: bob.peerID, offeringEarlyData: true).earlySession == nil)
    }

    @Test func aTicketThatIsOutOfDateOffersNone() throws {
        let now = TLSConfiguration.systemTime()
        let server = try TLSContext(identity: bob, configuration: configuration())
        for (later, isOffered) in [(0, true), (99, true), (100, false), (-1, false)] as [(Int64, Bool)] {
            let first = try TLSContext(identity: alice, configuration: configuration(clock: { now }))
            try connect(first, server)
            let session = try #require(first.tickets?.take(for: bob.peerID))
            let second = try TLSContext(identity: alice, configuration: configuration(clock: { now + later }))
            second.tickets?.store(session, of: bob.peerID)
            let offering = try second.makeClientSession(expecting: bob.peerID, offeringEarlyData: true)
            #expect((offering.earlySession != nil) == isOffered, "after \(later) s")
        }
    }

    @Test func theTicketOfAnotherPeerOffersNone() throws {
        let client = try TLSContext(identity: alice, configuration: configuration())
        try connect(client, TLSContext(identity: bob, configuration: configuration()))
        let session = try #require(client.tickets?.take(for: bob.peerID))
        client.tickets?.store(session, of: alice.peerID)
        #expect(try client.makeClientSession(expecting: alice.peerID, offeringEarlyData: true).earlySession == nil)
    }

    @Test func aKeyNotesEachHandshakeOnceAndNotWithoutEnd() throws {
        let key = try TicketKey(earlyData: true, at: 0, limit: 2)
        let names = (0..<3).map { number in [UInt8](repeating: 9, count: 12) + [UInt8](repeating: number, count: 32) }
        #expect(key.isNew(names[0]))
        #expect(!key.isNew(names[0]))
        // GnuTLS puts the beginning of its own window before the binder.
        #expect(!key.isNew([UInt8](repeating: 8, count: 12) + names[0].dropFirst(12)))
        #expect(key.isNew(names[1]))
        #expect(!key.isNew(names[2]))
        #expect(key.count == 2)
        #expect(key.antiReplay != nil)
        #expect(try TicketKey(earlyData: false, at: 0).antiReplay == nil)
    }

    @Test func aKeyThatIsReplacedForgetsWhatItNotedAndLetsNothingIn() throws {
        let tickets = SessionTickets(earlyData: true)
        let key = try tickets.key(at: 100)
        let names = (0..<2).map { number in [UInt8](repeating: 9, count: 12) + [UInt8](repeating: number, count: 32) }
        #expect(key.isNew(names[0]))
        #expect(try tickets.key(at: 100 + SessionTickets.keyLifetime - 1) === key)
        #expect(key.count == 1)
        let next = try tickets.key(at: 100 + SessionTickets.keyLifetime)
        #expect(next !== key && key.count == 0)
        // Not even what was not let in before: nobody could tell any more.
        #expect(!key.isNew(names[0]) && !key.isNew(names[1]))
        #expect(next.isNew(names[1]))
    }

    @Test func aServersSessionIsDoneWhenItHasGivenItsTicket() throws {
        let client = try TLSContext(identity: alice, configuration: configuration())
        let server = try TLSContext(identity: bob, configuration: configuration())
        let here = try client.makeClientSession(expecting: bob.peerID)
        let there = try server.makeServerSession()
        _ = handshake(here, there)
        #expect(there.isNeededAfterHandshake)
        there.sendTicket()
        #expect(!there.isNeededAfterHandshake)
        #expect(here.isNeededAfterHandshake)
    }

    @Test func ticketsBoundToAPurposeHaveAKeyOfTheirOwn() throws {
        let key = try TicketKey(earlyData: true, at: 0)
        let (one, other) = (try key.bytes(boundTo: [1]), try key.bytes(boundTo: [2]))
        #expect(one.count == 64 && one != other && one != key.bytes)
        #expect(try key.bytes(boundTo: [1]) == one)
        #expect(try key.bytes(boundTo: []) == key.bytes)
        let server = try TLSContext(identity: bob, configuration: configuration())
        let client = try TLSContext(identity: alice, configuration: configuration())
        for (purpose, isResumed) in [([5], false), ([5], true), ([6], false), ([6], true)] as [([UInt8], Bool)] {
            let here = try client.makeClientSession(expecting: bob.peerID)
            let there = try server.makeServerSession(ticketsBoundTo: purpose)
            var ends = handshake(here, there)
            for session in [here, there] { session.judgeResumedPeer() }
            #expect(there.isResumed == isResumed && here.isResumed == isResumed)
            there.sendTicket()
            _ = ends.client.readAlert()
        }
    }
}
