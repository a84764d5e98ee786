/* What a connection and its TLS session tell each other: bytes of the handshake, alerts, secrets and transport parameters. The
   helper library's functions for this leave no room for guard (g), which looks at a server's parameters first. */
#include <stdlib.h>

#include "lp2p_conn_internal.h"
#include "lp2p_packet_protection_internal.h"
#include "lp2p_qlog_guard.h"

/// The TLS extension of transport parameters (RFC 9001 §8.2).
#define EXTENSION 0x39
/// The longest parameters of our own; all that there are, at their largest, have less.
#define MAX_OWN_PARAMETERS 512

static lp2p_conn *connection_of(gnutls_session_t session) {
  ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(session);
  return reference->user_data;
}

/* Has the connection closed with what went wrong. */
static int verdict(lp2p_conn *self, int rv) {
  if (rv == 0) {
    return 0;
  }
  ngtcp2_conn_set_tls_error(self->conn, rv);
  return -1;
}

static int on_handshake_bytes(gnutls_session_t session, gnutls_record_encryption_level_t level,
                              gnutls_handshake_description_t type, const void *data, size_t length) {
  if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC) {
    return 0; /* QUIC has none (RFC 9001 §8.4) */
  }
  lp2p_conn *self = connection_of(session);
  lp2p_level same = ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level);
  return verdict(self, ngtcp2_conn_submit_crypto_data(self->conn, same, data, length));
}

static int on_alert(gnutls_session_t session, gnutls_record_encryption_level_t level, gnutls_alert_level_t severity,
                    gnutls_alert_description_t alert) {
  (void)level;
  (void)severity;
  ngtcp2_conn_set_tls_alert(connection_of(session)->conn, (uint8_t)alert);
  return 0;
}

static int on_parameters_received(gnutls_session_t session, const uint8_t *data, size_t length) {
  lp2p_conn *self = connection_of(session);
  uint8_t *copy = NULL;
  int rv = self->logs && !self->is_server ? lp2p_qlog_guard(&data, &length, &copy) : 0;
  if (rv == 0) {
    rv = lp2p_set_remote_parameters(self->conn, data, length);
  }
  free(copy);
  return verdict(self, rv);
}

static int on_parameters_wanted(gnutls_session_t session, gnutls_buffer_t destination) {
  uint8_t bytes[MAX_OWN_PARAMETERS];
  ngtcp2_ssize length =
      ngtcp2_conn_encode_local_transport_params(connection_of(session)->conn, bytes, sizeof(bytes));
  return length < 0 || gnutls_buffer_append_data(destination, bytes, (size_t)length) != 0 ? -1 : 0;
}

int lp2p_tls_attach(lp2p_conn *self) {
  self->reference.user_data = self;
  gnutls_session_set_ptr(self->session, &self->reference);
  gnutls_handshake_set_secret_function(self->session, lp2p_on_secrets);
  gnutls_handshake_set_read_function(self->session, on_handshake_bytes);
  gnutls_alert_set_read_function(self->session, on_alert);
  return gnutls_session_ext_register(self->session, "QUIC transport parameters", EXTENSION, GNUTLS_EXT_TLS,
                                     on_parameters_received, on_parameters_wanted, NULL, NULL, NULL,
                                     GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE);
}
