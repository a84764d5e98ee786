/// What the keys of packet protection derive from secrets by (RFC 9001 §5.1, RFC 9369 §3.3).
#ifndef LP2P_KEY_DERIVATION_H
#define LP2P_KEY_DERIVATION_H

#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>

/// What the TLS session has agreed on, of what ipsec-mb can do.
typedef struct lp2p_suite {
  gnutls_mac_algorithm_t mac;
  size_t key_length;
} lp2p_suite;

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1). The label has at most 18 bytes. 0, or negative.
int lp2p_expand_label(gnutls_mac_algorithm_t mac, const uint8_t *secret, size_t secret_length, const char *label,
                      uint8_t *out, size_t length);

/// The labels of a version's keys.
typedef struct lp2p_key_labels {
  const char *key, *iv, *header, *update;
} lp2p_key_labels;

const lp2p_key_labels *lp2p_key_labels_of(uint32_t version);

#endif
