/// The callbacks of ngtcp2 that protect packets, for connections whose 1-RTT packets ipsec-mb seals and for all others.
///
/// The library owns the contexts of both kinds and hands them back through its callbacks. Those of the helper library
/// are GnuTLS's handles; ours bear a mark in the lowest bit of the pointer.
#ifndef LP2P_PACKET_PROTECTION_INTERNAL_H
#define LP2P_PACKET_PROTECTION_INTERNAL_H

#include "lp2p_compat.h"
#include "lp2p_packet_protection.h"

struct lp2p_conn;

/// What is done with the secrets of the TLS session: the library makes the keys of every level but 1-RTT and those of ChaCha20,
/// and all of them where `protects_packets` is not set.
int lp2p_on_secrets(gnutls_session_t session, gnutls_record_encryption_level_t level, const void *rx_secret,
                    const void *tx_secret, size_t length);

int lp2p_protection_encrypt(uint8_t *destination, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                            const uint8_t *plaintext, size_t length, const uint8_t *nonce, size_t nonce_length,
                            const uint8_t *associated, size_t associated_length);

int lp2p_protection_decrypt(uint8_t *destination, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                            const uint8_t *ciphertext, size_t length, const uint8_t *nonce, size_t nonce_length,
                            const uint8_t *associated, size_t associated_length);

int lp2p_protection_mask(uint8_t *destination, const ngtcp2_crypto_cipher *cipher,
                         const ngtcp2_crypto_cipher_ctx *context, const uint8_t *sample);

int lp2p_protection_update_key(ngtcp2_conn *conn, uint8_t *rx_secret, uint8_t *tx_secret,
                               ngtcp2_crypto_aead_ctx *rx_context, uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx_context,
                               uint8_t *tx_iv, const uint8_t *current_rx_secret, const uint8_t *current_tx_secret,
                               size_t secret_length, void *user_data);

void lp2p_protection_delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *context, void *user_data);
void lp2p_protection_delete_cipher(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *context, void *user_data);

/// Contexts of our own kind, for `lp2p_protection_encrypt` and the like. Nonzero fails.
int lp2p_protection_make_aead(ngtcp2_crypto_aead_ctx *context, const uint8_t *key, size_t length);
int lp2p_protection_make_cipher(ngtcp2_crypto_cipher_ctx *context, const uint8_t *key, size_t length);

#endif
