#include "lp2p_key_derivation.h"

#include <string.h>

#include <gnutls/crypto.h>

int lp2p_expand_label(gnutls_mac_algorithm_t mac, const uint8_t *secret, size_t secret_length, const char *label,
                      uint8_t *out, size_t length) {
  uint8_t info[32];
  size_t label_length = strlen(label);
  if (10 + label_length > sizeof(info) || length > 255) {
    return -1;
  }
  info[0] = 0;
  info[1] = (uint8_t)length;
  info[2] = (uint8_t)(6 + label_length);
  memcpy(info + 3, "tls13 ", 6);
  memcpy(info + 9, label, label_length);
  info[9 + label_length] = 0;
  gnutls_datum_t key = {.data = (unsigned char *)secret, .size = (unsigned int)secret_length};
  gnutls_datum_t text = {.data = info, .size = (unsigned int)(10 + label_length)};
  return gnutls_hkdf_expand(mac, &key, &text, out, length) == 0 ? 0 : -1;
}

const lp2p_key_labels *lp2p_key_labels_of(uint32_t version) {
  static const lp2p_key_labels version_1 = {"quic key", "quic iv", "quic hp", "quic ku"};
  static const lp2p_key_labels version_2 = {"quicv2 key", "quicv2 iv", "quicv2 hp", "quicv2 ku"};
  /* RFC 9369, and its draft, which ngtcp2 0.12.1 has. */
  return version == 0x6b3343cfu || version == 0x709a50c4u ? &version_2 : &version_1;
}
