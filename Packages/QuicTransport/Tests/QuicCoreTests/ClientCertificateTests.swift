import CGnuTLS
import Libp2pTLS
import PeerID
import Testing

@testable import QuicCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Clients whose certificate is not a libp2p one, made by changing the credentials of a session before its first packet.
@Suite struct ClientCertificateTests {
    /// Runs a handshake of a client with other credentials; returns how it ended on both sides.
    private func handshake(
        credentials: gnutls_certificate_credentials_t
    ) throws -> (client: ConnectionTermination?, server: ConnectionTermination?, cameUp: Bool) {
        let client = try CoreNode(port: 1001, seed: 21, accepts: false)
        let server = try CoreNode(port: 1002, seed: 22)
        let network = CoreNetwork(client, server)
        let core = try client.endpoint.connect(
            to: server.address,
            from: client.address,
            expecting: nil,
            now: network.now
        )
        gnutls_credentials_set(core.session?.handle, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials))
        network.service(core, of: client)
        network.run(seconds: 10) { client.events(of: core).termination != nil }
        let accepted = try #require(server.opened.first)
        network.run(seconds: 1)
        let events = server.events(of: accepted)
        return (client.events(of: core).termination, events.termination, events.handshake != nil)
    }

    @Test func aClientWithoutCertificateIsRefusedWithAnAlert() throws {
        var credentials: gnutls_certificate_credentials_t?
        gnutls_certificate_allocate_credentials(&credentials)
        let empty = try #require(credentials)
        defer { gnutls_certificate_free_credentials(empty) }
        let end = try handshake(credentials: empty)
        #expect(!end.cameUp)
        let told = try #require(end.client)
        #expect(told.byPeer)
        // certificate_required
        #expect(QuicErrorCode(rawValue: told.code).tlsAlert == 116)
        #expect(end.server?.byPeer == false)
    }

    @Test func aClientWhoseCertificateLacksTheExtensionIsRefusedWithAnAlert() throws {
        let credentials = try plainCertificate()
        defer { gnutls_certificate_free_credentials(credentials) }
        let end = try handshake(credentials: credentials)
        #expect(!end.cameUp)
        let told = try #require(end.client)
        #expect(told.byPeer)
        // bad_certificate
        #expect(QuicErrorCode(rawValue: told.code).tlsAlert == 42)
        let reason = try #require(end.server?.error.cause as? TLSError)
        #expect(reason.code == .missingExtension)
    }

    /// A valid self-signed certificate as any web server might have.
    private func plainCertificate() throws -> gnutls_certificate_credentials_t {
        var key: gnutls_x509_privkey_t?
        var certificate: gnutls_x509_crt_t?
        gnutls_x509_privkey_init(&key)
        gnutls_x509_crt_init(&certificate)
        defer {
            gnutls_x509_privkey_deinit(key)
            gnutls_x509_crt_deinit(certificate)
        }
        // 256 bits of ECDSA: NIST P-256.
        try #require(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, 256, 0) == 0)
        gnutls_x509_crt_set_version(certificate, 3)
        var serial: UInt8 = 7
        gnutls_x509_crt_set_serial(certificate, &serial, 1)
        gnutls_x509_crt_set_activation_time(certificate, time(nil) - 3600)
        gnutls_x509_crt_set_expiration_time(certificate, time(nil) + 3600)
        gnutls_x509_crt_set_dn_by_oid(certificate, "2.5.4.3", 0, "plain", 5)
        gnutls_x509_crt_set_key(certificate, key)
        try #require(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0) == 0)
        var credentials: gnutls_certificate_credentials_t?
        gnutls_certificate_allocate_credentials(&credentials)
        var chain = [certificate]
        try #require(gnutls_certificate_set_x509_key(credentials, &chain, 1, key) == 0)
        return try #require(credentials)
    }
}
