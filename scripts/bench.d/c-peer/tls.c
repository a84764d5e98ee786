/* GnuTLS as the Swift library sets it up: TLS 1.3, AES first, X25519, certificates on both sides; a plain self-signed one of
 * a P-256 key, and a protocol name of this program's own. */
#include "peer.h"

#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>
#include <time.h>

static const char priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:"
    "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:%DISABLE_TLS13_COMPAT_MODE";

static void must(int status, const char *what) {
    if (status < 0) give_up(what);
}

void tls_prepare(struct endpoint *endpoint) {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    const uint8_t serial[] = {1};
    const time_t now = time(NULL);
    must(gnutls_x509_privkey_init(&key), "key");
    must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), "key");
    must(gnutls_x509_crt_init(&certificate), "certificate");
    must(gnutls_x509_crt_set_version(certificate, 3), "certificate version");
    must(gnutls_x509_crt_set_serial(certificate, serial, sizeof serial), "serial");
    must(gnutls_x509_crt_set_activation_time(certificate, now - 3600), "activation");
    must(gnutls_x509_crt_set_expiration_time(certificate, now + 86400), "expiration");
    must(gnutls_x509_crt_set_dn(certificate, "CN=bench", NULL), "name");
    must(gnutls_x509_crt_set_key(certificate, key), "certificate key");
    must(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), "signature");
    must(gnutls_certificate_allocate_credentials(&endpoint->credentials), "credentials");
    must(gnutls_certificate_set_x509_key(endpoint->credentials, &certificate, 1, key), "credentials");
    must(gnutls_priority_init(&endpoint->priority, priorities, NULL), "priorities");
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

gnutls_session_t tls_session(struct endpoint *endpoint, ngtcp2_crypto_conn_ref *reference) {
    gnutls_session_t session;
    const gnutls_datum_t protocol = {.data = (uint8_t *)"bench", .size = 5};
    const unsigned common = GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_END_OF_EARLY_DATA;
    must(gnutls_init(&session, endpoint->is_server
                                   ? GNUTLS_SERVER | common
                                   : GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT | GNUTLS_KEY_SHARE_TOP | common),
         "session");
    must(gnutls_priority_set(session, endpoint->priority), "session priorities");
    must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, endpoint->credentials), "session credentials");
    must(gnutls_alpn_set_protocols(session, &protocol, 1, GNUTLS_ALPN_MANDATORY), "protocol name");
    gnutls_session_set_ptr(session, reference);
    if (endpoint->is_server) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        must(ngtcp2_crypto_gnutls_configure_server_session(session), "server session");
    } else {
        must(ngtcp2_crypto_gnutls_configure_client_session(session), "client session");
    }
    return session;
}
