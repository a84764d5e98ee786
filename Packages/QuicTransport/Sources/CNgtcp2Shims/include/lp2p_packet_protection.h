/// Packet protection (RFC 9001 §5) by GnuTLS, or by Intel's ipsec-mb where it is there: wider AES for 1-RTT packets.
#ifndef LP2P_PACKET_PROTECTION_H
#define LP2P_PACKET_PROTECTION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Who seals and opens 1-RTT packets, and masks their headers. Everything else is GnuTLS's in either case: ChaCha20, and the
/// packets of the handshake.
typedef enum lp2p_protection {
  LP2P_PROTECTION_GNUTLS = 0,
  LP2P_PROTECTION_IPSEC_MB = 1
} lp2p_protection;

/// Why ipsec-mb cannot be used here, to follow its name in a sentence; NULL if it can. The first call loads the library
/// and has it test itself, which takes about a millisecond. From any thread.
const char *lp2p_ipsec_mb_obstacle(void);

/// The version of ipsec-mb that is in use, such as "1.3.0"; NULL where it is not.
const char *lp2p_ipsec_mb_version(void);

/// The keys of one direction by themselves, behind the same functions that the connections use: for those who prove or
/// measure them.
typedef struct lp2p_packet_keys lp2p_packet_keys;

/// Both keys have `length` bytes: 16 or 32, for AES-128 and AES-256 in GCM. Copied. NULL where that kind cannot be used.
lp2p_packet_keys *lp2p_packet_keys_new(lp2p_protection kind, const uint8_t *key, const uint8_t *header_key, size_t length);
/// Wipes the keys.
void lp2p_packet_keys_delete(lp2p_packet_keys *keys);

/// Seals `length` bytes into `length` + 16; `destination` and `plaintext` may be one. The nonce has 12 bytes. 0, or negative.
int lp2p_packet_keys_seal(lp2p_packet_keys *keys, uint8_t *destination, const uint8_t *plaintext, size_t length,
                          const uint8_t *nonce, const uint8_t *associated, size_t associated_length);

/// Opens `length` bytes, of which the last 16 are the tag. Negative if they were not sealed like this; what is at the
/// destination is then undefined.
int lp2p_packet_keys_open(lp2p_packet_keys *keys, uint8_t *destination, const uint8_t *ciphertext, size_t length,
                          const uint8_t *nonce, const uint8_t *associated, size_t associated_length);

/// The mask of header protection for a sample of 16 bytes; 5 bytes of it are in use, `mask` has 16. 0, or negative.
int lp2p_packet_keys_mask(lp2p_packet_keys *keys, uint8_t *mask, const uint8_t *sample);

/// Bytes of heap that the expanded key of ipsec-mb takes; 0 before its first packet. For measurements.
size_t lp2p_packet_keys_expanded(const lp2p_packet_keys *keys);

#ifdef __cplusplus
}
#endif

#endif
