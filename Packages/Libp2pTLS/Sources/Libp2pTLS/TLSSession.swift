internal import CGnuTLS
public import PeerID

/// One TLS 1.3 session: the one owner of a `gnutls_session_t`.
///
/// Not `Sendable`: a session belongs to the loop that drives its connection. It drives nothing by itself: hand
/// ``handle`` to ngtcp2's GnuTLS helper, or set transport functions on it and call `gnutls_handshake`.
///
/// What happens inside a full handshake, before any application data: the peer's certificate is judged by
/// ``CertificateVerifier`` as soon as its message arrives, even before GnuTLS parses it; when GnuTLS has checked that the
/// peer holds the certificate's key, ALPN is required and ``verifiedPeer`` is set. Every failure is put into
/// ``failure`` and makes GnuTLS send the alert that belongs to it.
///
/// A resumed handshake has no certificates and calls none of this: with ``TLSConfiguration/sessionTickets`` the driver calls
/// ``judgeResumedPeer()`` when the handshake is done, and before it uses early data it asks for ``earlySession`` on a client,
/// and calls ``judgeEarlyPeer()`` on a server.
///
/// Slots of the C session that this class uses, and its driver must not: `gnutls_db_set_ptr`,
/// `gnutls_session_set_verify_function`, `gnutls_handshake_set_hook_function`,
/// `gnutls_session_set_keylog_function`. The slot of `gnutls_session_set_ptr` belongs to the driver.
public final class TLSSession {
    /// Which end of the connection a session is.
    public enum Role: Sendable, Hashable {
        /// The end that dialled.
        case client
        /// The end that accepted; it requires a certificate from the client.
        case server
    }

    /// The `gnutls_session_t`. Valid while this object lives: keep the object for as long as C code knows the pointer.
    public let handle: OpaquePointer
    /// Which end this is.
    public let role: Role
    /// The peer that must be at the other end, or `nil` for anyone.
    public let expectedPeer: PeerID?
    /// Who the other end is: set inside the handshake, once every check has passed.
    public private(set) var verifiedPeer: VerifiedPeer?
    /// What a client knows before the handshake that offers early data; `nil` where it offers none.
    public private(set) var earlySession: EarlySession?
    /// What a client wants to know again when it offers early data to this peer the next time: QUIC's transport parameters
    /// (RFC 9000 §7.4.1). It is kept with the ticket; to be set before that arrives. Without it, none will be offered.
    public var contextForEarlyData: [UInt8]?
    /// Why the handshake failed, or `nil`. The first reason stays.
    public private(set) var failure: TLSError?

    let configuration: TLSConfiguration
    private let keyLog: KeyLog?
    let tickets: SessionTickets?
    let known: VerifiedCertificates
    /// Retained because GnuTLS keeps only pointers to them.
    private let credentials: Credentials
    private let priority: Priority
    /// A server's. Retained because GnuTLS keeps only a pointer to what is in it.
    private var ticketKey: TicketKey?
    /// A server has given its client a ticket.
    var hasSentTicket = false
    /// The ticket that is about to reach GnuTLS.
    var arrivingTicket: NewSessionTicket?
    /// A peer whose certificate was judged good, but that has not yet proved to hold the certificate's key.
    var candidate: VerifiedPeer?

    init(
        role: Role,
        expecting expectedPeer: PeerID?,
        credentials: Credentials,
        priority: Priority,
        configuration: TLSConfiguration,
        keyLog: KeyLog?,
        tickets: SessionTickets?,
        known: VerifiedCertificates,
        offeringEarlyData: Bool = false,
        ticketPurpose: [UInt8] = []
    ) throws(TLSError) {
        self.role = role
        self.known = known
        self.expectedPeer = expectedPeer
        self.credentials = credentials
        self.priority = priority
        self.configuration = configuration
        self.keyLog = keyLog
        self.tickets = tickets
        var remembered: SessionTickets.Remembered?
        if role == .client, let expectedPeer { remembered = tickets?.take(for: expectedPeer) }
        if offeringEarlyData, let terms = remembered?.early {
            earlySession = EarlySession(terms, expecting: expectedPeer, configuration, known: known)
        }
        let earlyData = earlySession != nil || role == .server && tickets != nil && configuration.earlyData
        var made: gnutls_session_t?
        let flags = Self.flags(role, resumes: tickets != nil, earlyData: earlyData)
        try check(gnutls_init(&made, flags), "Making a TLS session")
        guard let made else { throw TLSError(.gnutls, "GnuTLS made no session.") }
        handle = made
        // From here on `deinit` frees the session when a step throws.
        try configure()
        if role == .server { try enableTickets(purpose: ticketPurpose) }
        if let remembered { resume(remembered.session) }
    }

    deinit { gnutls_deinit(handle) }

    /// The application protocol that both ends agreed on, or `nil` before that.
    public var negotiatedALPN: String? {
        var selected = gnutls_datum_t()
        guard gnutls_alpn_get_selected_protocol(handle, &selected) >= 0 else { return nil }
        return String(decoding: copyDatum(selected), as: UTF8.self)
    }

    /// The name of the cipher suite, such as `TLS_AES_128_GCM_SHA256`, or `nil` before it is agreed on.
    public var cipherSuite: String? { gnutls_ciphersuite_get(handle).map { String(cString: $0) } }

    /// Whether the session resumed an earlier one, with ``TLSConfiguration/sessionTickets``.
    public var isResumed: Bool { gnutls_session_is_resumed(handle) != 0 }

    /// Whether a client's session keeps the tickets that the server gives.
    public var takesTickets: Bool { role == .client && tickets != nil }

    /// Whether the session still has work when the handshake is confirmed: with ``TLSConfiguration/sessionTickets`` a client takes
    /// tickets, and a server gives one (``sendTicket()``). Otherwise a driver that hands it no bytes any more may let it go, and
    /// had better: a server's session has the key of its tickets.
    public var isNeededAfterHandshake: Bool { tickets != nil && !hasSentTicket }

    /// Whether a client's session keeps with its ticket what it has to know for early data: ``contextForEarlyData``.
    public var keepsContextForEarlyData: Bool { takesTickets && configuration.earlyData }

    /// The certificate that this session presents, in DER.
    public var localCertificateDER: [UInt8] { credentials.certificateDER }

    /// Notes that the handshake failed below the checks of this class, and returns the reason to report: the first
    /// failure where there was one, else one made of the GnuTLS error.
    ///
    /// - Parameter result: the negative value that a GnuTLS handshake function returned.
    @discardableResult
    public func recordFailure(gnutlsResult result: Int32) -> TLSError {
        var level: Int32 = 0
        let mapped = gnutls_error_to_alert(result, &level)
        if result == GNUTLS_E_FATAL_ALERT_RECEIVED || result == GNUTLS_E_WARNING_ALERT_RECEIVED {
            return recordFailure(receivedAlert: UInt8(truncatingIfNeeded: gnutls_alert_get(handle).rawValue))
        }
        var error = TLSError(.handshakeFailed, gnutls: result, "The TLS handshake")
        if result == GNUTLS_E_CERTIFICATE_REQUIRED {
            error = TLSError(.noCertificate, gnutls: result, "The TLS handshake")
        } else if result == GNUTLS_E_NO_APPLICATION_PROTOCOL {
            error = TLSError(.alpnMismatch, gnutls: result, "The TLS handshake")
        }
        error.alertOverride = UInt8(exactly: mapped)
        return record(error)
    }

    /// Notes that our side ended the handshake with an alert, and returns the reason to report. For a QUIC layer, which
    /// learns the alert (`ngtcp2_conn_get_tls_alert`) and not GnuTLS's error.
    ///
    /// - Parameter alert: the alert number.
    @discardableResult
    public func recordFailure(sentAlert alert: UInt8) -> TLSError {
        let name = gnutls_alert_get_name(gnutls_alert_description_t(UInt32(alert))).map { String(cString: $0) }
        let code: TLSError.Code =
            switch alert {
            case TLSError.Alert.certificateRequired: .noCertificate
            case TLSError.Alert.noApplicationProtocol: .alpnMismatch
            default: .handshakeFailed
            }
        var error = TLSError(
            code,
            "The TLS handshake was ended from this side with alert \(alert) (\(name ?? "unknown"))."
        )
        error.alertOverride = alert
        return record(error)
    }

    /// Notes that the peer ended the handshake with an alert, and returns the reason to report.
    ///
    /// - Parameter alert: the alert number; in QUIC, the CRYPTO_ERROR code minus `0x100`.
    @discardableResult
    public func recordFailure(receivedAlert alert: UInt8) -> TLSError { record(TLSError(receivedAlert: alert)) }

    private func record(_ error: TLSError) -> TLSError {
        if let failure { return failure }
        failure = error
        return error
    }
}

// MARK: - Setting up

extension TLSSession {
    private static func flags(_ role: Role, resumes: Bool, earlyData: Bool) -> UInt32 {
        // No tickets unless they are wanted, and none by itself; no EndOfEarlyData (QUIC has none, RFC 9001 §8.3), no SIGPIPE handling.
        let common =
            (resumes ? 0 : GNUTLS_NO_TICKETS.rawValue) | GNUTLS_NO_AUTO_SEND_TICKET.rawValue
            | (earlyData ? GNUTLS_ENABLE_EARLY_DATA.rawValue : 0)
            | GNUTLS_NO_END_OF_EARLY_DATA.rawValue
            | GNUTLS_NO_SIGNAL.rawValue
        switch role {
        case .server: return GNUTLS_SERVER.rawValue | common
        case .client:
            // The client's one certificate goes out whatever issuers the server names; one key share is enough.
            return GNUTLS_CLIENT.rawValue | GNUTLS_FORCE_CLIENT_CERT.rawValue | GNUTLS_KEY_SHARE_TOP.rawValue | common
        }
    }

    private func configure() throws(TLSError) {
        try check(gnutls_priority_set(handle, priority.handle), "Setting the TLS priorities")
        let pointer = UnsafeMutableRawPointer(credentials.handle)
        try check(gnutls_credentials_set(handle, GNUTLS_CRD_CERTIFICATE, pointer), "Setting the credentials")
        try setALPN()
        if role == .server { gnutls_certificate_server_set_request(handle, GNUTLS_CERT_REQUIRE) }
        // One certificate and its frame is the largest message there can be.
        gnutls_handshake_set_max_packet_length(handle, CertificateVerifier.maximumCertificateSize + 4096)
        // No session cache is configured, so the slot meant for one is free to lead callbacks back to this object. It is
        // unretained: GnuTLS calls back only from calls on `handle`, whose caller keeps this object alive.
        gnutls_db_set_ptr(handle, Unmanaged.passUnretained(self).toOpaque())
        gnutls_session_set_verify_function(handle, verifyCallback)
        gnutls_handshake_set_hook_function(handle, .max, GNUTLS_HOOK_BOTH, messageCallback)
        if keyLog != nil { gnutls_session_set_keylog_function(handle, keyLogCallback) }
    }

    private func enableTickets(purpose: [UInt8]) throws(TLSError) {
        guard let tickets else { return }
        let key = try tickets.key(at: configuration.clock())
        ticketKey = key
        let status = withDatum(try key.bytes(boundTo: purpose)) { gnutls_session_ticket_enable_server(handle, $0) }
        try check(status, "Enabling session tickets")
        guard let antiReplay = key.antiReplay else { return }
        gnutls_anti_replay_enable(handle, antiReplay)
        // Flow control bounds the bytes, and QUIC has no other value for tickets that allow any (RFC 9001 §4.6.1).
        try check(gnutls_record_set_max_early_data_size(handle, Int(UInt32.max)), "Allowing early data")
    }

    private func resume(_ session: [UInt8]) {
        // A session that GnuTLS does not take is no loss: the handshake is a full one, and early data is not offered.
        if gnutls_session_set_data(handle, session, session.count) < 0 { earlySession = nil }
        // The certificate need not be judged twice.
        candidate = earlySession?.peer
    }

    private func setALPN() throws(TLSError) {
        // GnuTLS copies the names.
        let names = configuration.alpn.map { Array($0.utf8) }
        let storage = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: names.reduce(0) { $0 + $1.count })
        defer { storage.deallocate() }
        _ = storage.initialize(from: names.joined())
        var offset = 0
        var datums: [gnutls_datum_t] = []
        for name in names {
            datums.append(
                gnutls_datum_t(data: storage.baseAddress.map { $0 + offset }, size: UInt32(name.count))
            )
            offset += name.count
        }
        var flags = GNUTLS_ALPN_MANDATORY.rawValue
        if role == .server { flags |= GNUTLS_ALPN_SERVER_PRECEDENCE.rawValue }
        try check(
            gnutls_alpn_set_protocols(handle, &datums, UInt32(datums.count), flags),
            "Setting the application protocols"
        )
    }
}

// MARK: - Called back by GnuTLS

extension TLSSession {
    /// The peer's Certificate message arrived and GnuTLS has not looked at it yet.
    ///
    /// Judging it here keeps hostile certificates and keys away from GnuTLS's parser and arithmetic, and gives each
    /// failure its own error where GnuTLS would only say that DER is wrong.
    func judge(certificateMessage message: [UInt8]) -> Int32 {
        do throws(TLSError) {
            let chain = try CertificateMessage(message).chain
            candidate = try CertificateVerifier.verify(
                certificateChain: chain,
                at: configuration.clock(),
                expecting: expectedPeer,
                allowedKeyTypes: configuration.allowedKeyTypes,
                known: known
            )
            return 0
        } catch {
            return record(error).gnutlsReturnValue
        }
    }

    /// The peer has proved to hold its certificate's key; the last word before the handshake is accepted.
    func judgePeer() -> Int32 {
        do throws(TLSError) {
            // A driver that goes on after a failure gets no further.
            if let failure { throw failure }
            try requireALPN()
            let chain = presentedChain()
            if let candidate, chain == [candidate.certificateDER] {
                verifiedPeer = candidate
            } else {
                // A GnuTLS that did not show the message first: the checks are made now.
                verifiedPeer = try CertificateVerifier.verify(
                    certificateChain: chain,
                    at: configuration.clock(),
                    expecting: expectedPeer,
                    allowedKeyTypes: configuration.allowedKeyTypes,
                    known: known
                )
            }
            return 0
        } catch {
            return record(error).gnutlsReturnValue
        }
    }

    /// Appends one secret to the key log.
    func log(label: String, secret: [UInt8]) {
        var clientRandom = gnutls_datum_t()
        var serverRandom = gnutls_datum_t()
        gnutls_session_get_random(handle, &clientRandom, &serverRandom)
        keyLog?.append(label: label, clientRandom: copyDatum(clientRandom), secret: secret)
    }

    /// GnuTLS lets a peer pass that does not use the ALPN extension at all; libp2p does not.
    func requireALPN() throws(TLSError) {
        if let negotiatedALPN, configuration.alpn.contains(where: { $0.utf8.elementsEqual(negotiatedALPN.utf8) }) {
            return
        }
        throw TLSError(
            .alpnMismatch,
            "The peer agreed on none of the application protocols \(configuration.alpn): it does not speak libp2p here."
        )
    }

    func presentedChain() -> [[UInt8]] {
        var count: UInt32 = 0
        guard let first = gnutls_certificate_get_peers(handle, &count) else { return [] }
        return UnsafeBufferPointer(start: first, count: Int(count)).map(copyDatum)
    }
}
