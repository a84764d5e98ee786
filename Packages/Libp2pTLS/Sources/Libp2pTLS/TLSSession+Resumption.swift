internal import CGnuTLS
internal import PeerID

/// What a client knows about a server before it has answered, when it offers early data.
public struct EarlySession: Sendable {
    /// The peer whose certificate was verified when it gave the ticket; it was verified again for this session. That the peer
    /// is there now is known only from its answer, but nobody else can read what is sent to it.
    public let peer: VerifiedPeer
    /// The application protocol that both ends agreed on then.
    public let alpn: String
    /// What was ``TLSSession/contextForEarlyData`` then.
    public let context: [UInt8]

    /// `nil` when the ticket is out of date, or the peer would not be accepted today.
    init?(
        _ terms: SessionTickets.EarlyTerms,
        expecting peer: PeerID?,
        _ configuration: TLSConfiguration,
        known: VerifiedCertificates
    ) {
        let now = configuration.clock()
        // GnuTLS drops a ticket that is out of date, and then fails for want of a key for early data.
        guard terms.validity.contains(now), configuration.alpn.contains(terms.alpn) else { return nil }
        let verified = try? CertificateVerifier.verify(
            certificateChain: [terms.certificateDER],
            at: now,
            expecting: peer,
            allowedKeyTypes: configuration.allowedKeyTypes,
            known: known
        )
        guard let verified else { return nil }
        self.peer = verified
        alpn = terms.alpn
        context = terms.context
    }
}

extension TLSSession {
    /// Judges the peer of a resumed handshake that has completed, and sets ``verifiedPeer`` or ``failure``. Call it before
    /// anything else is done with the session; it does nothing after a handshake with certificates.
    ///
    /// Who the peer is, follows from the certificate of the first handshake, which a client kept with the session and a server
    /// had sealed into the ticket; that the peer is the same, it has proved by the secret of that session. The certificate is
    /// judged anew, because it may have expired and the rules of this session may be others.
    public func judgeResumedPeer() {
        guard isResumed, verifiedPeer == nil else { return }
        _ = judgePeer()
    }

    /// Judges, on a server, the peer whose early data was accepted, while the handshake goes on.
    ///
    /// That the data is the peer's, the secret of the earlier session proves. Whether the peer is there and sent it now, the end
    /// of the handshake will: until then somebody else may have sent again, from elsewhere, what the peer once sent to another
    /// server that knows the same tickets. ``verifiedPeer`` is set only then.
    ///
    /// - Returns: The peer; `nil` if it does not pass. The early data must not be used then, and the handshake will fail.
    public func judgeEarlyPeer() -> VerifiedPeer? {
        guard role == .server, isResumed, isEarlyDataAccepted, failure == nil else { return nil }
        do throws(TLSError) {
            try requireALPN()
            let peer = try CertificateVerifier.verify(
                certificateChain: presentedChain(),
                at: configuration.clock(),
                expecting: nil,
                allowedKeyTypes: configuration.allowedKeyTypes,
                known: known
            )
            candidate = peer
            return peer
        } catch {
            // The end of the handshake comes to the same result, and says so.
            return nil
        }
    }

    /// Whether the server has accepted early data. A client knows it when the handshake is done.
    public var isEarlyDataAccepted: Bool {
        UInt32(gnutls_session_get_flags(handle)) & UInt32(GNUTLS_SFLAGS_EARLY_DATA.rawValue) != 0
    }

    /// Looks at a NewSessionTicket message before GnuTLS gets it, which does not tell what it says about early data.
    ///
    /// - Parameter message: the whole message with its header of four bytes, as QUIC's CRYPTO frames bear it.
    public func willReceive(ticket message: UnsafeRawBufferPointer) {
        arrivingTicket = NewSessionTicket(message)
    }

    /// The server's ticket arrived: it is for the next session with that peer.
    func keepTicket() {
        guard role == .client, let tickets, let verifiedPeer else { return }
        var session = gnutls_datum_t()
        guard gnutls_session_get_data2(handle, &session) == 0 else { return }
        var early: SessionTickets.EarlyTerms?
        if let ticket = arrivingTicket, ticket.allowsEarlyData, let contextForEarlyData, let negotiatedALPN {
            let now = configuration.clock()
            early = SessionTickets.EarlyTerms(
                validity: now..<now + Int64(ticket.lifetime),
                certificateDER: verifiedPeer.certificateDER,
                alpn: negotiatedALPN,
                context: contextForEarlyData
            )
        }
        arrivingTicket = nil
        tickets.store(SessionTickets.Remembered(session: takeDatum(session), early: early), of: verifiedPeer.peerID)
    }

    /// Sends a client a ticket for its next session with this host. Once the handshake is done; does nothing where tickets
    /// are not enabled.
    public func sendTicket() {
        guard role == .server, tickets != nil, verifiedPeer != nil else { return }
        hasSentTicket = true
        // Failing means that the client is given none, which does no harm.
        _ = gnutls_session_ticket_send(handle, 1, 0)
    }
}
