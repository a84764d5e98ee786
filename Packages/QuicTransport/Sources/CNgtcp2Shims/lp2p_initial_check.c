#include <string.h>

#include <gnutls/crypto.h>

#include "lp2p_conn_internal.h"
#include "lp2p_key_derivation.h"

#define VERSION_2 0x6b3343cfu

/* What the keys of first packets derive from (RFC 9001 §5.2, RFC 9369 §3.3). */
static const uint8_t salt_1[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                   0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
static const uint8_t salt_2[20] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                                   0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};

enum { KEY = 16, IV = 12, SAMPLE = 16, TAG = 16, SECRET = 32, MAX_NUMBER = 4, MAX_PACKET = 1500 };

static int expand_label(const uint8_t *secret, const char *label, uint8_t *out, size_t length) {
  return lp2p_expand_label(GNUTLS_MAC_SHA256, secret, SECRET, label, out, length) == 0;
}

/* The keys under which a client seals its first packets. */
static int client_keys(uint32_t version, const ngtcp2_cid *destination, uint8_t *key, uint8_t *iv, uint8_t *protection) {
  const lp2p_key_labels *labels = lp2p_key_labels_of(version);
  uint8_t initial[SECRET], client[SECRET];
  gnutls_datum_t id = {.data = (unsigned char *)destination->data, .size = (unsigned int)destination->datalen};
  gnutls_datum_t salt = {.data = (unsigned char *)(version == VERSION_2 ? salt_2 : salt_1), .size = sizeof(salt_1)};
  return gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &id, &salt, initial) == 0 &&
         expand_label(initial, "client in", client, SECRET) && expand_label(client, labels->key, key, KEY) &&
         expand_label(client, labels->iv, iv, IV) && expand_label(client, labels->header, protection, KEY);
}

/* One block of AES: CBC from a vector of zeros. */
static int mask_of(const uint8_t *key, const uint8_t *sample, uint8_t *mask) {
  uint8_t zero[SAMPLE] = {0};
  gnutls_datum_t cipher_key = {.data = (unsigned char *)key, .size = KEY};
  gnutls_datum_t vector = {.data = zero, .size = sizeof(zero)};
  gnutls_cipher_hd_t cipher;
  if (gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &cipher_key, &vector) != 0) {
    return 0;
  }
  int rv = gnutls_cipher_encrypt2(cipher, sample, SAMPLE, mask, SAMPLE);
  gnutls_cipher_deinit(cipher);
  return rv == 0;
}

static int opens(const uint8_t *key, const uint8_t *nonce, const uint8_t *header, size_t header_length,
                 const uint8_t *sealed, size_t sealed_length) {
  uint8_t plain[MAX_PACKET];
  size_t plain_length = sizeof(plain);
  gnutls_datum_t cipher_key = {.data = (unsigned char *)key, .size = KEY};
  gnutls_aead_cipher_hd_t cipher;
  if (gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_GCM, &cipher_key) != 0) {
    return 0;
  }
  int rv = gnutls_aead_cipher_decrypt(cipher, nonce, IV, header, header_length, TAG, sealed, sealed_length, plain,
                                      &plain_length);
  gnutls_aead_cipher_deinit(cipher);
  return rv == 0;
}

int lp2p_initial_is_intact(const uint8_t *packet, size_t length) {
  ngtcp2_pkt_hd header;
  memset(&header, 0, sizeof(header));
  ngtcp2_ssize n = ngtcp2_pkt_decode_hd_long(&header, packet, length);
  if (n <= 0 || header.type != NGTCP2_PKT_INITIAL ||
      (header.version != NGTCP2_PROTO_VER_V1 && header.version != VERSION_2)) {
    return 0;
  }
  size_t at = (size_t)n;
  /* The length field counts packet number, ciphertext and tag; the sample starts where a number of four bytes would end. */
  if (header.len > length - at || header.len < MAX_NUMBER + SAMPLE || at + header.len > MAX_PACKET) {
    return 0;
  }
  uint8_t key[KEY], iv[IV], protection[KEY], mask[SAMPLE], clear[MAX_PACKET];
  if (!client_keys(header.version, &header.dcid, key, iv, protection) || !mask_of(protection, packet + at + MAX_NUMBER, mask)) {
    return 0;
  }
  size_t number_length = (size_t)((packet[0] ^ mask[0]) & 3) + 1;
  memcpy(clear, packet, at + number_length);
  clear[0] ^= mask[0] & 0x0f;
  for (size_t i = 0; i < number_length; ++i) {
    clear[at + i] ^= mask[1 + i];
    /* A client's first numbers are small: what is not sent of them is zero. */
    iv[IV - number_length + i] ^= clear[at + i];
  }
  return opens(key, iv, clear, at + number_length, packet + at + number_length, header.len - number_length);
}
