internal import CGnuTLS
public import PeerID

/// Why a certificate was refused, a handshake failed or a TLS object could not be made.
///
/// Two errors are equal when their codes are equal, so that a test or a `switch` compares causes and not wording.
public struct TLSError: Error, Sendable {
    /// What went wrong; every check of the verification has a code of its own.
    public var code: Code
    /// What happened and what to do about it, in one sentence or two.
    public var message: String
    /// The peer that was dialled; set with ``Code/peerIDMismatch`` only.
    public var expected: PeerID?
    /// The peer that answered instead; set with ``Code/peerIDMismatch`` only.
    public var actual: PeerID?
    /// The return value of the GnuTLS call that failed, or `nil` when no GnuTLS call was involved.
    public var gnutlsCode: Int32?
    /// The error underneath, where there is one.
    public var cause: (any Error)?
    /// The alert that GnuTLS names for a failure of its own, or that the peer sent.
    var alertOverride: UInt8?

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: what went wrong.
    ///   - message: what happened and what to do about it.
    ///   - cause: the error underneath.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The TLS alert (RFC 8446 §6.2) that tells the peer about this failure; QUIC carries it as the transport error
    /// `0x100 + alert` (RFC 9001 §4.8). For an error built from an alert that was received, that alert.
    public var alert: UInt8 { alertOverride ?? code.alert }
}

extension TLSError {
    /// The kind of a ``TLSError``: an open set, so that new checks can be added without breaking a `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The stable name of the code.
        public var description: String
        /// The alert that belongs to the failure.
        let alert: UInt8

        private init(_ name: String, alert: UInt8 = Alert.badCertificate) {
            description = name
            self.alert = alert
        }

        /// The peer presented no certificate at all.
        public static let noCertificate = Code("noCertificate", alert: Alert.certificateRequired)
        /// The peer presented more than the one certificate that libp2p allows.
        public static let chainLength = Code("chainLength")
        /// The certificate is larger than ``CertificateVerifier/maximumCertificateSize``.
        public static let certificateTooLarge = Code("certificateTooLarge")
        /// The certificate is not a strictly DER encoded X.509 version 3 certificate.
        public static let malformedCertificate = Code("malformedCertificate")
        /// The certificate is signed with an algorithm that is unknown or too weak (MD5, SHA-1).
        public static let unsupportedSignatureAlgorithm = Code(
            "unsupportedSignatureAlgorithm",
            alert: Alert.unsupportedCertificate
        )
        /// The key of the certificate itself is of an unknown kind, a curve without a name, or an RSA key of unsafe size.
        public static let unsupportedCertificateKey = Code(
            "unsupportedCertificateKey",
            alert: Alert.unsupportedCertificate
        )
        /// The certificate becomes valid only later.
        public static let notYetValid = Code("notYetValid", alert: Alert.certificateExpired)
        /// The certificate is no longer valid.
        public static let expired = Code("expired", alert: Alert.certificateExpired)
        /// The certificate is not signed by its own key.
        public static let selfSignature = Code("selfSignature")
        /// The certificate has a critical extension that this package does not process.
        public static let unknownCriticalExtension = Code("unknownCriticalExtension")
        /// The certificate lacks the libp2p extension, so nobody is authenticated by it.
        public static let missingExtension = Code("missingExtension")
        /// An extension stands in the certificate twice.
        public static let duplicateExtension = Code("duplicateExtension")
        /// The libp2p extension is not the strict DER of `SEQUENCE { OCTET STRING, OCTET STRING }`.
        public static let malformedExtension = Code("malformedExtension")
        /// The libp2p extension carries bytes that are not a valid public key.
        public static let badKey = Code("badKey")
        /// The peer's identity key is of a type that the configuration does not allow.
        public static let keyTypeNotAllowed = Code("keyTypeNotAllowed", alert: Alert.unsupportedCertificate)
        /// The signature in the libp2p extension was not made by the key beside it over this certificate's key.
        public static let badExtensionSignature = Code("badExtensionSignature")
        /// Somebody else than the dialled peer answered; ``TLSError/expected`` and ``TLSError/actual`` name both.
        public static let peerIDMismatch = Code("peerIDMismatch")
        /// The peer offered no application protocol, or none of ours.
        public static let alpnMismatch = Code("alpnMismatch", alert: Alert.noApplicationProtocol)
        /// The peer ended the handshake with an alert; ``TLSError/alert`` is the one that it sent.
        public static let refusedByPeer = Code("refusedByPeer", alert: Alert.closeNotify)
        /// The handshake failed for a reason of the TLS layer itself.
        public static let handshakeFailed = Code("handshakeFailed", alert: Alert.handshakeFailure)
        /// A field of ``TLSConfiguration`` has an impossible value; the message names the field.
        public static let invalidConfiguration = Code("invalidConfiguration", alert: Alert.internalError)
        /// Our own certificate could not be made.
        public static let certificateGeneration = Code("certificateGeneration", alert: Alert.internalError)
        /// The key log file could not be opened or written.
        public static let keyLog = Code("keyLog", alert: Alert.internalError)
        /// A GnuTLS call failed that does not fail on a healthy system.
        public static let gnutls = Code("gnutls", alert: Alert.internalError)
    }

    /// The alert numbers of RFC 8446 §6 that this package sends.
    enum Alert {
        static let closeNotify: UInt8 = 0
        static let handshakeFailure: UInt8 = 40
        static let badCertificate: UInt8 = 42
        static let unsupportedCertificate: UInt8 = 43
        static let certificateExpired: UInt8 = 45
        static let internalError: UInt8 = 80
        static let certificateRequired: UInt8 = 116
        static let noApplicationProtocol: UInt8 = 120
    }
}

extension TLSError: Hashable {
    /// Whether both errors have the same code.
    public static func == (left: TLSError, right: TLSError) -> Bool { left.code == right.code }

    /// Feeds the code to the hasher.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension TLSError: CustomStringConvertible {
    /// The code and the message.
    public var description: String {
        if let cause { return "\(code): \(message) (\(cause))" }
        return "\(code): \(message)"
    }
}

extension TLSError {
    /// The error of a handshake that the peer ended with an alert.
    ///
    /// - Parameter alert: the alert number; in QUIC, the CRYPTO_ERROR code minus `0x100` (RFC 9001 §4.8).
    public init(receivedAlert alert: UInt8) {
        let meaning: String
        switch alert {
        case Alert.badCertificate, 46: meaning = "it did not accept our certificate or our peer ID"
        case Alert.unsupportedCertificate: meaning = "it does not support our certificate's or identity's key type"
        case Alert.certificateExpired: meaning = "our certificate is outside its validity: compare both clocks"
        case Alert.certificateRequired: meaning = "it requires a certificate and received none"
        case Alert.noApplicationProtocol: meaning = "it speaks none of our application protocols (ALPN)"
        case Alert.handshakeFailure: meaning = "there is no common cipher, group or signature algorithm"
        case 70: meaning = "it does not speak TLS 1.3"
        case Alert.internalError: meaning = "it had an internal error"
        default: meaning = "its log should say why"
        }
        let name = gnutls_alert_get_name(gnutls_alert_description_t(UInt32(alert))).map { String(cString: $0) }
        self.init(
            .refusedByPeer,
            "The peer refused the handshake with alert \(alert) (\(name ?? "unknown")): \(meaning)."
        )
        alertOverride = alert
    }

    /// The value that a GnuTLS callback returns so that GnuTLS sends ``alert``, or the nearest alert it has an error for.
    var gnutlsReturnValue: Int32 {
        switch alert {
        case Alert.certificateRequired: GNUTLS_E_CERTIFICATE_REQUIRED
        case Alert.noApplicationProtocol: GNUTLS_E_NO_APPLICATION_PROTOCOL
        case Alert.unsupportedCertificate: GNUTLS_E_UNSUPPORTED_CERTIFICATE_TYPE
        // GnuTLS has no error that it turns into certificate_expired (45): the peer gets bad_certificate (42), unless
        // the QUIC layer puts `alert` into its close.
        default: GNUTLS_E_CERTIFICATE_ERROR
        }
    }
}
