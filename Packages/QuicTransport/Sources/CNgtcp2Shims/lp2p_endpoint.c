#include <string.h>

#include "lp2p_conn_internal.h"

lp2p_status lp2p_accept_initial(const uint8_t *packet, size_t length, lp2p_accept *accept) {
  if (length == 0) {
    return LP2P_DISCARD_PACKET;
  }
  ngtcp2_pkt_hd header;
  memset(&header, 0, sizeof(header));
  int rv = ngtcp2_accept(&header, packet, length);
  /* 0.12.1 would answer a 0-RTT packet with a Retry larger than what it answers: it is dropped instead. */
  if (rv != 0) {
    lp2p_status status = lp2p_status_from_library(rv);
    return status == LP2P_OK || status == LP2P_RETRY ? LP2P_DISCARD_PACKET : status;
  }
  if (header.type != NGTCP2_PKT_INITIAL) {
    return LP2P_DISCARD_PACKET;
  }
  lp2p_cid_in(&accept->dcid, &header.dcid);
  lp2p_cid_in(&accept->scid, &header.scid);
  accept->version = header.version;
#if LP2P_LEGACY_NGTCP2
  accept->token = header.token.base;
  accept->token_length = header.token.len;
#else
  accept->token = header.token;
  accept->token_length = header.tokenlen;
#endif
  return LP2P_OK;
}

/* MARK: tokens */

_Static_assert(NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN <= LP2P_MAX_TOKEN_LENGTH, "a Retry's token must fit");
_Static_assert(NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN <= LP2P_MAX_TOKEN_LENGTH, "a NEW_TOKEN's token must fit");

/* Both kinds are of one length. Tokens of others may start with the same byte: the length tells most of them apart. */
lp2p_token_kind lp2p_accept_token_kind(const lp2p_accept *accept) {
  if (accept->token_length == NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN &&
      accept->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
    return LP2P_TOKEN_RETRY;
  }
  if (accept->token_length == NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN &&
      accept->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR) {
    return LP2P_TOKEN_ADDRESS;
  }
  return LP2P_TOKEN_NONE;
}

size_t lp2p_write_retry(uint8_t *destination, size_t capacity, const lp2p_accept *accept, const lp2p_cid *source,
                        const lp2p_token_context *context) {
  ngtcp2_cid client = lp2p_cid_out(&accept->scid);
  ngtcp2_cid original = lp2p_cid_out(&accept->dcid);
  ngtcp2_cid server = lp2p_cid_out(source);
  uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
  ngtcp2_ssize length = ngtcp2_crypto_generate_retry_token(
      token, context->secret, context->secret_length, accept->version, context->remote,
      (ngtcp2_socklen)context->remote_length, &server, &original, context->now);
  if (length < 0) {
    return 0;
  }
  ngtcp2_ssize n = ngtcp2_crypto_write_retry(destination, capacity, accept->version, &client, &server, &original, token,
                                             (size_t)length);
  return n > 0 ? (size_t)n : 0;
}

int lp2p_check_retry_token(const lp2p_accept *accept, const lp2p_token_context *context, uint64_t lifetime,
                           lp2p_cid *original) {
  ngtcp2_cid server = lp2p_cid_out(&accept->dcid);
  ngtcp2_cid first;
  if (ngtcp2_crypto_verify_retry_token(&first, accept->token, accept->token_length, context->secret,
                                       context->secret_length, accept->version, context->remote,
                                       (ngtcp2_socklen)context->remote_length, &server, lifetime, context->now) != 0) {
    return 0;
  }
  lp2p_cid_in(original, &first);
  return 1;
}

size_t lp2p_write_address_token(uint8_t *destination, size_t capacity, const lp2p_token_context *context) {
  if (capacity < NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN) {
    return 0;
  }
  ngtcp2_ssize n =
      ngtcp2_crypto_generate_regular_token(destination, context->secret, context->secret_length, context->remote,
                                           (ngtcp2_socklen)context->remote_length, context->now);
  return n > 0 ? (size_t)n : 0;
}

int lp2p_check_address_token(const lp2p_accept *accept, const lp2p_token_context *context, uint64_t lifetime) {
  return ngtcp2_crypto_verify_regular_token(accept->token, accept->token_length, context->secret,
                                            context->secret_length, context->remote,
                                            (ngtcp2_socklen)context->remote_length, lifetime, context->now) == 0;
}

lp2p_status lp2p_conn_submit_token(lp2p_conn *self, const uint8_t *token, size_t length) {
  return lp2p_status_from_library(ngtcp2_conn_submit_new_token(self->conn, token, length));
}

/* MARK: refusing */

size_t lp2p_write_refusal(uint8_t *destination, size_t capacity, const lp2p_accept *accept, uint64_t code) {
  ngtcp2_cid client = lp2p_cid_out(&accept->scid);
  ngtcp2_cid server = lp2p_cid_out(&accept->dcid);
  ngtcp2_ssize n = ngtcp2_crypto_write_connection_close(destination, capacity, accept->version, &client, &server,
                                                        code, NULL, 0);
  return n > 0 ? (size_t)n : 0;
}

int lp2p_version_is_supported(uint32_t version) { return ngtcp2_is_supported_version(version); }

const char *lp2p_library_version(void) { return ngtcp2_version(0)->version_str; }

int lp2p_peers_may_clear_fixed_bit(void) { return LP2P_LEGACY_NGTCP2; }
