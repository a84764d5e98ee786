#include "lp2p_packet_protection_internal.h"

#include <string.h>

#include <gnutls/crypto.h>

#include "lp2p_ipsec_mb.h"

enum { NONCE = 12, BLOCK = 16, MASK = 5 };

/* GnuTLS and malloc align what they give out to more than two bytes. */
#define MARK ((uintptr_t)1)

static inline int is_ours(const void *handle) { return ((uintptr_t)handle & MARK) != 0; }
static inline void *marked(void *pointer) { return (void *)((uintptr_t)pointer | MARK); }
static inline void *unmarked(const void *handle) { return (void *)((uintptr_t)handle & ~MARK); }

int lp2p_protection_encrypt(uint8_t *destination, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                            const uint8_t *plaintext, size_t length, const uint8_t *nonce, size_t nonce_length,
                            const uint8_t *associated, size_t associated_length) {
  if (!is_ours(context->native_handle)) {
    return ngtcp2_crypto_encrypt_cb(destination, aead, context, plaintext, length, nonce, nonce_length, associated,
                                    associated_length);
  }
  if (nonce_length != NONCE || lp2p_gcm_seal(unmarked(context->native_handle), destination, plaintext, length, nonce,
                                             associated, associated_length) != 0) {
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

int lp2p_protection_decrypt(uint8_t *destination, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context,
                            const uint8_t *ciphertext, size_t length, const uint8_t *nonce, size_t nonce_length,
                            const uint8_t *associated, size_t associated_length) {
  if (!is_ours(context->native_handle)) {
    return ngtcp2_crypto_decrypt_cb(destination, aead, context, ciphertext, length, nonce, nonce_length, associated,
                                    associated_length);
  }
  if (nonce_length != NONCE || lp2p_gcm_open(unmarked(context->native_handle), destination, ciphertext, length, nonce,
                                             associated, associated_length) != 0) {
    return NGTCP2_ERR_DECRYPT;
  }
  return 0;
}

int lp2p_protection_mask(uint8_t *destination, const ngtcp2_crypto_cipher *cipher,
                         const ngtcp2_crypto_cipher_ctx *context, const uint8_t *sample) {
  if (!is_ours(context->native_handle)) {
    return ngtcp2_crypto_hp_mask_cb(destination, cipher, context, sample);
  }
  uint8_t mask[BLOCK];
  lp2p_block_encrypt(unmarked(context->native_handle), mask, sample);
  memcpy(destination, mask, MASK);
  return 0;
}

int lp2p_protection_make_aead(ngtcp2_crypto_aead_ctx *context, const uint8_t *key, size_t length) {
  lp2p_gcm *gcm = lp2p_ipsec_mb_obstacle() == NULL ? lp2p_gcm_new(key, length) : NULL;
  context->native_handle = gcm == NULL ? NULL : marked(gcm);
  return gcm == NULL ? -1 : 0;
}

int lp2p_protection_make_cipher(ngtcp2_crypto_cipher_ctx *context, const uint8_t *key, size_t length) {
  lp2p_block *block = lp2p_ipsec_mb_obstacle() == NULL ? lp2p_block_new(key, length) : NULL;
  context->native_handle = block == NULL ? NULL : marked(block);
  return block == NULL ? -1 : 0;
}

void lp2p_protection_delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *context, void *user_data) {
  if (is_ours(context->native_handle)) {
    lp2p_gcm_delete(unmarked(context->native_handle));
    context->native_handle = NULL;
  } else {
    ngtcp2_crypto_delete_crypto_aead_ctx_cb(conn, context, user_data);
  }
}

void lp2p_protection_delete_cipher(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *context, void *user_data) {
  if (is_ours(context->native_handle)) {
    lp2p_block_delete(unmarked(context->native_handle));
    context->native_handle = NULL;
  } else {
    ngtcp2_crypto_delete_crypto_cipher_ctx_cb(conn, context, user_data);
  }
}

/* MARK: keys by themselves */

struct lp2p_packet_keys {
  ngtcp2_crypto_aead aead;
  ngtcp2_crypto_aead_ctx aead_context;
  ngtcp2_crypto_cipher cipher;
  ngtcp2_crypto_cipher_ctx cipher_context;
};

/* The helper library has no function that makes its context for header protection: its handle is GnuTLS's. */
static int make_helper_contexts(lp2p_packet_keys *keys, const uint8_t *key, const uint8_t *header_key, size_t length) {
  gnutls_cipher_hd_t block_cipher = NULL;
  gnutls_datum_t datum = {.data = (unsigned char *)header_key, .size = (unsigned int)length};
  gnutls_cipher_algorithm_t algorithm = (gnutls_cipher_algorithm_t)(intptr_t)keys->cipher.native_handle;
  if (ngtcp2_crypto_aead_ctx_encrypt_init(&keys->aead_context, &keys->aead, key, NONCE) != 0 ||
      gnutls_cipher_init(&block_cipher, algorithm, &datum, NULL) != 0) {
    return -1;
  }
  keys->cipher_context.native_handle = block_cipher;
  return 0;
}

lp2p_packet_keys *lp2p_packet_keys_new(lp2p_protection kind, const uint8_t *key, const uint8_t *header_key,
                                       size_t length) {
  lp2p_packet_keys *keys = length == 16 || length == 32 ? gnutls_calloc(1, sizeof(*keys)) : NULL;
  if (keys == NULL) {
    return NULL;
  }
  keys->aead.native_handle = (void *)(intptr_t)(length == 16 ? GNUTLS_CIPHER_AES_128_GCM : GNUTLS_CIPHER_AES_256_GCM);
  keys->aead.max_overhead = 16;
  keys->cipher.native_handle = (void *)(intptr_t)(length == 16 ? GNUTLS_CIPHER_AES_128_CBC : GNUTLS_CIPHER_AES_256_CBC);
  int rv = kind == LP2P_PROTECTION_GNUTLS ? make_helper_contexts(keys, key, header_key, length)
                                          : (lp2p_protection_make_aead(&keys->aead_context, key, length) != 0 ||
                                             lp2p_protection_make_cipher(&keys->cipher_context, header_key, length) != 0);
  if (rv != 0) {
    lp2p_packet_keys_delete(keys);
    return NULL;
  }
  return keys;
}

void lp2p_packet_keys_delete(lp2p_packet_keys *keys) {
  if (keys == NULL) {
    return;
  }
  lp2p_protection_delete_aead(NULL, &keys->aead_context, NULL);
  lp2p_protection_delete_cipher(NULL, &keys->cipher_context, NULL);
  gnutls_free(keys);
}

int lp2p_packet_keys_seal(lp2p_packet_keys *keys, uint8_t *destination, const uint8_t *plaintext, size_t length,
                          const uint8_t *nonce, const uint8_t *associated, size_t associated_length) {
  return lp2p_protection_encrypt(destination, &keys->aead, &keys->aead_context, plaintext, length, nonce, NONCE,
                                 associated, associated_length);
}

int lp2p_packet_keys_open(lp2p_packet_keys *keys, uint8_t *destination, const uint8_t *ciphertext, size_t length,
                          const uint8_t *nonce, const uint8_t *associated, size_t associated_length) {
  return lp2p_protection_decrypt(destination, &keys->aead, &keys->aead_context, ciphertext, length, nonce, NONCE,
                                 associated, associated_length);
}

int lp2p_packet_keys_mask(lp2p_packet_keys *keys, uint8_t *mask, const uint8_t *sample) {
  return lp2p_protection_mask(mask, &keys->cipher, &keys->cipher_context, sample);
}

size_t lp2p_packet_keys_expanded(const lp2p_packet_keys *keys) {
  const void *handle = keys->aead_context.native_handle;
  return is_ours(handle) ? lp2p_gcm_expanded(unmarked(handle)) : 0;
}
