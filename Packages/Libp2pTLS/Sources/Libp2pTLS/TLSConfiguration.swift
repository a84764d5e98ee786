public import PeerID

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// What a ``TLSContext`` offers, accepts and records. Checked by `TLSContext.init`.
public struct TLSConfiguration: Sendable {
    /// The application protocols offered and accepted, in order of preference; each 1 to 255 bytes of UTF-8.
    /// Default `["libp2p"]`, which is what QUIC needs (libp2p specs, `quic`).
    public var alpn: [String]
    /// How long a certificate of ours is valid, in days, 1 to 36,500. Default 365. A host that runs longer renews its
    /// certificate by itself when a quarter of the time is left.
    public var validityDays: Int
    /// How long before its creation a certificate of ours is already valid, in seconds, 0 or more. Default one day:
    /// peers whose clocks lag, or count in the wrong time zone, still accept it.
    public var backdateSeconds: Int64
    /// The identity key types accepted from peers. Default: all four of libp2p.
    public var allowedKeyTypes: Set<KeyType>
    /// The kind of key in our certificate. Default P-256, which every other implementation accepts.
    public var certificateKey: CertificateKeyKind
    /// The cipher suites offered and accepted, the preferred one first; a server's order counts. Default: all three, AES
    /// before ChaCha20, which is several times slower on processors that have AES.
    public var cipherSuites: [CipherSuite]
    /// Whether sessions can be resumed: servers give tickets, clients keep one for each peer and use it once. A resumed
    /// handshake has no certificates; the peer is the one whose certificate was verified when the ticket was given, and that
    /// certificate is verified again. GnuTLS calls none of our checks in it: a driver calls
    /// ``TLSSession/judgeResumedPeer()`` when the handshake is done, and gives the connection up if
    /// ``TLSSession/verifiedPeer`` is not set then. Wants a GnuTLS without CVE-2025-6395. Default `false`.
    public var sessionTickets: Bool
    /// Whether resumed sessions may bring early data (0-RTT, RFC 8446 §2.3), for which ``sessionTickets`` has to be set.
    /// Servers say so in their tickets and take early data, which no handshake has protected against being sent again: that of
    /// each ClientHello once, as long as this context lives, from 65,536 of them in the six hours of a key for tickets; what
    /// is beyond is refused, and the handshake goes on without. Clients offer it only where
    /// ``TLSContext/makeClientSession(expecting:offeringEarlyData:)`` is told to. Default `false`.
    public var earlyData: Bool
    /// The file to which TLS secrets are appended in NSS format, for Wireshark; `nil` (the default) records nothing.
    /// Whoever reads this file can decrypt the recorded connections. See ``keyLogFileFromEnvironment``.
    public var keyLogFile: String?
    /// The time that certificates are made and judged by, in seconds since 1970 (UTC). Default: the system's clock.
    public var clock: @Sendable () -> Int64

    /// The configuration that libp2p over QUIC wants.
    public static let defaults = TLSConfiguration()

    /// Creates a configuration; each parameter has the default described at the property of its name.
    public init(
        alpn: [String] = ["libp2p"],
        validityDays: Int = 365,
        backdateSeconds: Int64 = 86_400,
        allowedKeyTypes: Set<KeyType> = CertificateVerifier.allKeyTypes,
        certificateKey: CertificateKeyKind = .p256,
        cipherSuites: [CipherSuite] = CipherSuite.allCases,
        sessionTickets: Bool = false,
        earlyData: Bool = false,
        keyLogFile: String? = nil,
        clock: @escaping @Sendable () -> Int64 = TLSConfiguration.systemTime
    ) {
        self.alpn = alpn
        self.validityDays = validityDays
        self.backdateSeconds = backdateSeconds
        self.allowedKeyTypes = allowedKeyTypes
        self.certificateKey = certificateKey
        self.cipherSuites = cipherSuites
        self.sessionTickets = sessionTickets
        self.earlyData = earlyData
        self.keyLogFile = keyLogFile
        self.clock = clock
    }

    /// The system's time in whole seconds since 1970.
    public static func systemTime() -> Int64 { Int64(time(nil)) }

    /// The value of the environment variable `SSLKEYLOGFILE`, or `nil` when it is unset or empty: what a program
    /// passes as ``keyLogFile`` if it wants to honour the variable.
    public static var keyLogFileFromEnvironment: String? {
        guard let value = getenv("SSLKEYLOGFILE") else { return nil }
        let path = String(cString: value)
        return path.isEmpty ? nil : path
    }

    /// Throws ``TLSError/Code/invalidConfiguration`` naming the first field with an impossible value.
    func validate() throws(TLSError) {
        func refuse(_ field: String, _ rule: String) -> TLSError {
            TLSError(.invalidConfiguration, "\(field) \(rule).")
        }
        guard !alpn.isEmpty else { throw refuse("alpn", "must name at least one protocol, normally \"libp2p\"") }
        guard alpn.allSatisfy({ (1...255).contains($0.utf8.count) }) else {
            throw refuse("alpn", "must have names of 1 to 255 bytes")
        }
        guard (1...36_500).contains(validityDays) else { throw refuse("validityDays", "must be from 1 to 36500") }
        guard (0...3_153_600_000).contains(backdateSeconds) else {
            throw refuse("backdateSeconds", "must be from 0 to 100 years")
        }
        guard !allowedKeyTypes.isEmpty else { throw refuse("allowedKeyTypes", "must not be empty") }
        guard !cipherSuites.isEmpty, Set(cipherSuites).count == cipherSuites.count else {
            throw refuse("cipherSuites", "must name at least one, and none twice")
        }
        if earlyData, !sessionTickets { throw refuse("earlyData", "needs sessionTickets, which resume the session") }
        if let keyLogFile, keyLogFile.isEmpty { throw refuse("keyLogFile", "must be a path, or nil for no key log") }
    }
}

/// The kind of the ephemeral key in a host's own certificate.
public struct CertificateKeyKind: Sendable, Hashable, CustomStringConvertible {
    /// The name of the kind.
    public var description: String

    /// ECDSA on NIST P-256, signed with SHA-256: understood everywhere.
    public static let p256 = CertificateKeyKind(description: "p256")
    /// Ed25519: a quarter more handshakes per second, but not every implementation accepts it in certificates.
    public static let ed25519 = CertificateKeyKind(description: "ed25519")
}
