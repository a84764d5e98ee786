import CGnuTLS
import Testing

@testable import Libp2pTLS

/// A TLS peer that keeps to none of libp2p's rules: any certificate or none, any ALPN or none, any version.
final class RawPeer {
    let session: gnutls_session_t
    private let credentials: gnutls_certificate_credentials_t

    init(
        _ role: TLSSession.Role,
        certificates: [[UInt8]],
        key: TestKey? = nil,
        alpn: [String] = ["libp2p"],
        priority: String = Priority.text,
        flags: UInt32 = 0
    ) throws {
        var madeCredentials: gnutls_certificate_credentials_t?
        gnutls_certificate_allocate_credentials(&madeCredentials)
        credentials = try #require(madeCredentials)
        // Even a certificate that says it is for something else is sent.
        gnutls_certificate_set_flags(
            credentials,
            UInt32(GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH.rawValue)
        )
        if let key, !certificates.isEmpty {
            var parsed: [gnutls_x509_crt_t?] = []
            for der in certificates {
                var certificate: gnutls_x509_crt_t?
                gnutls_x509_crt_init(&certificate)
                let result = withDatum(der) { gnutls_x509_crt_import(certificate, $0, GNUTLS_X509_FMT_DER) }
                try #require(result == 0)
                parsed.append(certificate)
            }
            let result = gnutls_certificate_set_x509_key(credentials, &parsed, Int32(parsed.count), key.handle)
            try #require(result >= 0)
            for certificate in parsed { gnutls_x509_crt_deinit(certificate) }
        }
        var made: gnutls_session_t?
        let side =
            role == .client
            ? GNUTLS_CLIENT.rawValue | GNUTLS_FORCE_CLIENT_CERT.rawValue : GNUTLS_SERVER.rawValue
        try #require(gnutls_init(&made, side | GNUTLS_NO_TICKETS.rawValue | flags) == 0)
        session = try #require(made)
        try #require(gnutls_priority_set_direct(session, priority, nil) == 0)
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials))
        if role == .server { gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE) }
        for name in alpn {
            let result = withDatum(Array(name.utf8)) { gnutls_alpn_set_protocols(session, $0, 1, 0) }
            try #require(result == 0)
        }
    }

    deinit {
        gnutls_deinit(session)
        gnutls_certificate_free_credentials(credentials)
    }
}
