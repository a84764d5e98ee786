internal import CGnuTLS
internal import PeerID

/// A certificate in the form GnuTLS sessions use it: the one owner of a `gnutls_certificate_credentials_t`.
///
/// Each session retains the credentials it was made with, so renewing a certificate never touches a running session.
///
/// Why `@unchecked Sendable` is true: every stored property is a `let` that is set in `init`, and nothing changes the
/// C object between the end of `init` and `deinit`. GnuTLS allows sessions of several threads to share credentials
/// that are only read (manual, "Thread safety"); signing with the key in them keeps its state on the stack.
final class Credentials: @unchecked Sendable {
    /// Valid while this object lives.
    let handle: gnutls_certificate_credentials_t
    let certificateDER: [UInt8]
    /// SubjectPublicKeyInfo of the private key that belongs to the certificate.
    let publicKeyInfo: [UInt8]
    let notBefore: Int64
    let notAfter: Int64
    /// From this time on new sessions get a new certificate.
    let renewAfter: Int64

    /// Makes a certificate for the identity and wraps it.
    init(identity: PrivateKey, configuration: TLSConfiguration, at now: Int64) throws(TLSError) {
        let certificate = try HostCertificate(identity: identity, configuration: configuration, at: now)
        certificateDER = certificate.der
        publicKeyInfo = certificate.key.publicKeyInfo
        notBefore = certificate.notBefore
        notAfter = certificate.notAfter
        renewAfter = certificate.notAfter - (certificate.notAfter - now) / 4
        handle = try Self.makeHandle(certificate)
    }

    deinit { gnutls_certificate_free_credentials(handle) }

    /// Whether new sessions should still use this certificate.
    ///
    /// A clock that was set back to before the certificate's validity asks for a new one too.
    func isFresh(at now: Int64) -> Bool { now >= notBefore && now < renewAfter }

    private static func makeHandle(
        _ certificate: HostCertificate
    ) throws(TLSError) -> gnutls_certificate_credentials_t {
        var made: gnutls_certificate_credentials_t?
        try check(gnutls_certificate_allocate_credentials(&made), "Making room for credentials")
        guard let handle = made else { throw TLSError(.gnutls, "GnuTLS made no credentials.") }
        do throws(TLSError) {
            var parsed: gnutls_x509_crt_t?
            try check(gnutls_x509_crt_init(&parsed), "Making room for a certificate")
            defer { gnutls_x509_crt_deinit(parsed) }
            try check(
                withDatum(certificate.der) { gnutls_x509_crt_import(parsed, $0, GNUTLS_X509_FMT_DER) },
                "Reading our own certificate",
                code: .certificateGeneration
            )
            // Also checks that the key belongs to the certificate.
            try check(
                gnutls_certificate_set_x509_key(handle, &parsed, 1, certificate.key.handle),
                "Putting our certificate to use",
                code: .certificateGeneration
            )
            return handle
        } catch {
            gnutls_certificate_free_credentials(handle)
            throw error
        }
    }
}

/// The ciphers, groups and versions of every session, parsed once: the one owner of a `gnutls_priority_t`.
///
/// Why `@unchecked Sendable` is true: the pointer is a `let`, and GnuTLS only reads a priority cache after making it;
/// it even counts references to it atomically, because sharing is its purpose.
final class Priority: @unchecked Sendable {
    /// The priorities of the default cipher suites.
    static let text = text(CipherSuite.allCases)

    /// TLS 1.3 only; X25519 first; no signature that the certificate checks would refuse; the legacy session id stays empty
    /// as QUIC demands (RFC 9001 §8.4).
    static func text(_ cipherSuites: [CipherSuite]) -> String {
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL" + cipherSuites.map { ":+" + $0.priorityName }.joined()
            + ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"
            + ":-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:-SIGN-EDDSA-ED448:%SERVER_PRECEDENCE:%DISABLE_TLS13_COMPAT_MODE"
    }

    /// Valid while this object lives.
    let handle: gnutls_priority_t

    init(_ cipherSuites: [CipherSuite]) throws(TLSError) {
        var made: gnutls_priority_t?
        try check(gnutls_priority_init(&made, Self.text(cipherSuites), nil), "Parsing the TLS priorities")
        guard let made else { throw TLSError(.gnutls, "GnuTLS made no priority cache.") }
        handle = made
    }

    deinit { gnutls_priority_deinit(handle) }
}
