public import PeerID
internal import Synchronization

/// What all connections of a host share: identity, certificate, credentials and priorities.
///
/// Make one per host and take a session from it for each connection. It may be used from any thread; a session may
/// not. The certificate is made here and renewed by itself: when a quarter of its time is left, the next session gets
/// a new one, while existing sessions keep theirs until they end.
public final class TLSContext: Sendable {
    /// What the context was made with.
    public let configuration: TLSConfiguration
    /// The peer ID of this host.
    public let localPeer: PeerID

    private let identity: PrivateKey
    private let priority: Priority
    private let keyLog: KeyLog?
    private let current: Mutex<Credentials>
    private let known = VerifiedCertificates()
    /// `nil` where sessions cannot be resumed.
    let tickets: SessionTickets?

    /// Makes the first certificate and opens the key log, if one is configured.
    ///
    /// - Parameters:
    ///   - identity: the host's key, of any of the four types.
    ///   - configuration: what to offer, accept and record.
    /// - Throws: ``TLSError`` with ``TLSError/Code/invalidConfiguration``, ``TLSError/Code/certificateGeneration``,
    ///   ``TLSError/Code/keyLog`` or ``TLSError/Code/gnutls``.
    public init(identity: PrivateKey, configuration: TLSConfiguration = .defaults) throws(TLSError) {
        try configuration.validate()
        self.configuration = configuration
        self.identity = identity
        localPeer = identity.peerID
        priority = try Priority(configuration.cipherSuites)
        if let path = configuration.keyLogFile { keyLog = try KeyLog(path: path) } else { keyLog = nil }
        tickets = configuration.sessionTickets ? SessionTickets(earlyData: configuration.earlyData) : nil
        let credentials = try Credentials(
            identity: identity,
            configuration: configuration,
            at: configuration.clock()
        )
        current = Mutex(credentials)
    }

    /// A session for dialling.
    ///
    /// - Parameters:
    ///   - expectedPeer: the peer that must answer, or `nil` to find out who does (``TLSSession/verifiedPeer``).
    ///   - offeringEarlyData: whether early data is to be offered, where ``TLSConfiguration/earlyData`` allows it and the
    ///     server's ticket does; ``TLSSession/earlySession`` tells.
    /// - Throws: ``TLSError`` with ``TLSError/Code/gnutls``.
    public func makeClientSession(
        expecting expectedPeer: PeerID? = nil,
        offeringEarlyData: Bool = false
    ) throws(TLSError) -> TLSSession {
        try makeSession(
            .client,
            expecting: expectedPeer,
            credentials: credentials(),
            offeringEarlyData: offeringEarlyData && configuration.earlyData
        )
    }

    /// A session for an accepted connection; it requires a certificate from the client.
    ///
    /// - Parameter purpose: what tickets are good for, if not for every session of the context: a ticket of a session with
    ///   another purpose is not known. A server that takes early data names the limits that clients remember (RFC 9000
    ///   §7.4.1): where these have changed, early data would be sent under the wrong ones.
    /// - Throws: ``TLSError`` with ``TLSError/Code/gnutls``.
    public func makeServerSession(ticketsBoundTo purpose: [UInt8] = []) throws(TLSError) -> TLSSession {
        try makeSession(.server, expecting: nil, credentials: credentials(), ticketPurpose: purpose)
    }

    /// The certificate that the next session will present, for debugging.
    public var certificateInformation: CertificateInformation {
        get throws(TLSError) { try information(about: credentials()) }
    }

    /// The certificate that the next session will present, in DER.
    public var certificateDER: [UInt8] { credentials().certificateDER }

    func information(about credentials: Credentials) throws(TLSError) -> CertificateInformation {
        try CertificateInformation(
            certificateDER: credentials.certificateDER,
            at: configuration.clock(),
            privateKeyInfo: credentials.publicKeyInfo
        )
    }

    func makeSession(
        _ role: TLSSession.Role,
        expecting expectedPeer: PeerID?,
        credentials: Credentials,
        offeringEarlyData: Bool = false,
        ticketPurpose: [UInt8] = []
    ) throws(TLSError) -> TLSSession {
        try TLSSession(
            role: role,
            expecting: expectedPeer,
            credentials: credentials,
            priority: priority,
            configuration: configuration,
            keyLog: keyLog,
            tickets: tickets,
            known: known,
            offeringEarlyData: offeringEarlyData,
            ticketPurpose: ticketPurpose
        )
    }

    /// The credentials for a new session, renewed when it is time.
    func credentials() -> Credentials {
        let now = configuration.clock()
        return current.withLock { current in
            if current.isFresh(at: now) { return current }
            // A renewal that fails (no randomness, no memory) is tried again by the next session; until then the old
            // certificate is the best there is.
            if let renewed = try? Credentials(identity: identity, configuration: configuration, at: now) {
                current = renewed
            }
            return current
        }
    }
}
