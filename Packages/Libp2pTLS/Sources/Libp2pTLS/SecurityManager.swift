public import PeerID

/// Makes the TLS configurations of a host: one place that holds the identity and hands out what a dialler and a
/// listener need.
///
/// A thin view of ``TLSContext`` for those who want to look at a configuration (its certificate, its role) before a
/// session is made of it.
public struct SecurityManager: Sendable {
    /// The shared part under all configurations.
    public let context: TLSContext

    /// Makes a manager with a context of its own.
    ///
    /// - Parameters:
    ///   - identity: the host's key.
    ///   - configuration: what to offer, accept and record.
    /// - Throws: ``TLSError``, as `TLSContext.init` does.
    public init(identity: PrivateKey, configuration: TLSConfiguration = .defaults) throws(TLSError) {
        context = try TLSContext(identity: identity, configuration: configuration)
    }

    /// Makes a manager over an existing context.
    public init(context: TLSContext) { self.context = context }

    /// The configuration of a dialler.
    ///
    /// - Parameter expectedPeer: the peer that must answer, or `nil` to find out who does.
    public func makeClientConfiguration(expecting expectedPeer: PeerID? = nil) -> TLSSessionConfiguration {
        TLSSessionConfiguration(role: .client, expectedPeer: expectedPeer, context: context)
    }

    /// The configuration of a listener, which requires certificates of its clients.
    public func makeServerConfiguration() -> TLSSessionConfiguration {
        TLSSessionConfiguration(role: .server, expectedPeer: nil, context: context)
    }
}

/// Everything one kind of session is made of: a certificate, a role and an expectation.
///
/// It keeps the certificate that was current when it was made; a long-lived listener asks its ``SecurityManager`` again,
/// or uses ``TLSContext``, which renews.
public struct TLSSessionConfiguration: Sendable {
    /// Which end the sessions are.
    public let role: TLSSession.Role
    /// The peer that must be at the other end, or `nil` for anyone.
    public let expectedPeer: PeerID?
    private let context: TLSContext
    private let credentials: Credentials

    init(role: TLSSession.Role, expectedPeer: PeerID?, context: TLSContext) {
        self.role = role
        self.expectedPeer = expectedPeer
        self.context = context
        credentials = context.credentials()
    }

    /// The application protocols offered or accepted.
    public var alpn: [String] { context.configuration.alpn }
    /// The certificate that the sessions present, in DER.
    public var certificateDER: [UInt8] { credentials.certificateDER }
    /// What the certificate says, at the time of the context's clock.
    ///
    /// - Throws: ``TLSError/Code/malformedCertificate`` if it does not parse, which would be a defect of this package.
    public var certificateInformation: CertificateInformation {
        get throws(TLSError) { try context.information(about: credentials) }
    }

    /// Makes a session.
    ///
    /// - Throws: ``TLSError`` with ``TLSError/Code/gnutls``.
    public func makeSession() throws(TLSError) -> TLSSession {
        try context.makeSession(role, expecting: expectedPeer, credentials: credentials)
    }
}
