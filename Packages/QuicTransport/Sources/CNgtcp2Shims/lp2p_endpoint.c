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
