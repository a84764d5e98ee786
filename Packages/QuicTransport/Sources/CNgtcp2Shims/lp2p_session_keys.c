/* The keys of 1-RTT packets, from the secrets that the TLS session tells to what the connection uses. */
#include <string.h>

#include "lp2p_conn_internal.h"
#include "lp2p_key_derivation.h"
#include "lp2p_packet_protection_internal.h"

enum { IV = 12, MAX_KEY = 32 };

static int suite_of(gnutls_session_t session, lp2p_suite *result) {
  switch (gnutls_cipher_get(session)) {
  case GNUTLS_CIPHER_AES_128_GCM:
    result->key_length = 16;
    break;
  case GNUTLS_CIPHER_AES_256_GCM:
    result->key_length = 32;
    break;
  default:
    return -1;
  }
  result->mac = (gnutls_mac_algorithm_t)gnutls_prf_hash_get(session);
  return result->mac == GNUTLS_MAC_SHA256 || result->mac == GNUTLS_MAC_SHA384 ? 0 : -1;
}

/* The key and the initialization vector of a secret. */
static int make_aead(const lp2p_suite *agreed, const lp2p_key_labels *labels, const uint8_t *secret, size_t length,
                     ngtcp2_crypto_aead_ctx *context, uint8_t *iv) {
  uint8_t key[MAX_KEY];
  int rv = lp2p_expand_label(agreed->mac, secret, length, labels->key, key, agreed->key_length);
  if (rv == 0) {
    rv = lp2p_expand_label(agreed->mac, secret, length, labels->iv, iv, IV);
  }
  if (rv == 0) {
    rv = lp2p_protection_make_aead(context, key, agreed->key_length);
  }
  gnutls_memset(key, 0, sizeof(key));
  return rv;
}

static int make_cipher(const lp2p_suite *agreed, const lp2p_key_labels *labels, const uint8_t *secret, size_t length,
                       ngtcp2_crypto_cipher_ctx *context) {
  uint8_t key[MAX_KEY];
  int rv = lp2p_expand_label(agreed->mac, secret, length, labels->header, key, agreed->key_length);
  if (rv == 0) {
    rv = lp2p_protection_make_cipher(context, key, agreed->key_length);
  }
  gnutls_memset(key, 0, sizeof(key));
  return rv;
}

typedef int (*install_function)(ngtcp2_conn *, const uint8_t *, size_t, const ngtcp2_crypto_aead_ctx *, const uint8_t *,
                                size_t, const ngtcp2_crypto_cipher_ctx *);

static int install(lp2p_conn *self, const lp2p_suite *agreed, const uint8_t *secret, size_t length,
                   install_function give_to_library) {
  const lp2p_key_labels *labels = lp2p_key_labels_of(ngtcp2_conn_get_negotiated_version(self->conn));
  ngtcp2_crypto_aead_ctx aead = {0};
  ngtcp2_crypto_cipher_ctx cipher = {0};
  uint8_t iv[IV];
  int rv = make_aead(agreed, labels, secret, length, &aead, iv);
  if (rv == 0) {
    rv = make_cipher(agreed, labels, secret, length, &cipher);
  }
  if (rv == 0) {
    rv = give_to_library(self->conn, secret, length, &aead, iv, sizeof(iv), &cipher);
  }
  gnutls_memset(iv, 0, sizeof(iv));
  if (rv != 0) {
    /* The library does not keep what it refuses. */
    lp2p_protection_delete_aead(self->conn, &aead, self);
    lp2p_protection_delete_cipher(self->conn, &cipher, self);
  }
  return rv;
}

/* The library makes the keys, and GnuTLS protects the packets. */
static int leave_to_library(lp2p_conn *self, gnutls_record_encryption_level_t level, const void *rx_secret,
                           const void *tx_secret, size_t length) {
  lp2p_level same = ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(level);
  if (rx_secret != NULL &&
      ngtcp2_crypto_derive_and_install_rx_key(self->conn, NULL, NULL, NULL, same, rx_secret, length) != 0) {
    return -1;
  }
  if (tx_secret != NULL &&
      ngtcp2_crypto_derive_and_install_tx_key(self->conn, NULL, NULL, NULL, same, tx_secret, length) != 0) {
    return -1;
  }
  return 0;
}

int lp2p_on_secrets(gnutls_session_t session, gnutls_record_encryption_level_t level, const void *rx_secret,
                    const void *tx_secret, size_t length) {
  ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(session);
  lp2p_conn *self = reference->user_data;
  lp2p_suite agreed;
  /* The keys of the handshake, before these, told the library which algorithm it is. */
  if (!self->protects_packets || level != GNUTLS_ENCRYPTION_LEVEL_APPLICATION || suite_of(session, &agreed) != 0) {
    return leave_to_library(self, level, rx_secret, tx_secret, length);
  }
  if (rx_secret != NULL && install(self, &agreed, rx_secret, length, ngtcp2_conn_install_rx_key) != 0) {
    return -1;
  }
  if (tx_secret != NULL && install(self, &agreed, tx_secret, length, ngtcp2_conn_install_tx_key) != 0) {
    return -1;
  }
  /* The session may be gone when the keys are updated. */
  self->suite = agreed;
  return 0;
}

int lp2p_protection_update_key(ngtcp2_conn *conn, uint8_t *rx_secret, uint8_t *tx_secret,
                               ngtcp2_crypto_aead_ctx *rx_context, uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx_context,
                               uint8_t *tx_iv, const uint8_t *current_rx_secret, const uint8_t *current_tx_secret,
                               size_t secret_length, void *user_data) {
  lp2p_conn *self = user_data;
  if (self->suite.key_length == 0) {
    return ngtcp2_crypto_update_key_cb(conn, rx_secret, tx_secret, rx_context, rx_iv, tx_context, tx_iv,
                                       current_rx_secret, current_tx_secret, secret_length, user_data);
  }
  const lp2p_key_labels *labels = lp2p_key_labels_of(ngtcp2_conn_get_negotiated_version(conn));
  const lp2p_suite *agreed = &self->suite;
  ngtcp2_crypto_aead_ctx rx = {0}, tx = {0};
  if (lp2p_expand_label(agreed->mac, current_rx_secret, secret_length, labels->update, rx_secret, secret_length) != 0 ||
      lp2p_expand_label(agreed->mac, current_tx_secret, secret_length, labels->update, tx_secret, secret_length) != 0 ||
      make_aead(agreed, labels, rx_secret, secret_length, &rx, rx_iv) != 0 ||
      make_aead(agreed, labels, tx_secret, secret_length, &tx, tx_iv) != 0) {
    lp2p_protection_delete_aead(conn, &rx, self);
    lp2p_protection_delete_aead(conn, &tx, self);
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  *rx_context = rx;
  *tx_context = tx;
  return 0;
}

lp2p_protection lp2p_conn_protection(const lp2p_conn *self) {
  return self->suite.key_length > 0 ? LP2P_PROTECTION_IPSEC_MB : LP2P_PROTECTION_GNUTLS;
}
