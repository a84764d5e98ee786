/// AES-GCM by Intel's ipsec-mb, which is loaded at run time: nothing links to it.
#ifndef LP2P_IPSEC_MB_H
#define LP2P_IPSEC_MB_H

#include <stddef.h>
#include <stdint.h>

/// A key in one direction. Its hash keys, about 1 KiB, are made for its first packet: most connections have keys in reserve
/// (for the next key update) that never see one.
typedef struct lp2p_gcm lp2p_gcm;

/// `length` is 16 or 32. NULL without memory, or where ipsec-mb cannot be used.
lp2p_gcm *lp2p_gcm_new(const uint8_t *key, size_t length);
/// Wipes the key.
void lp2p_gcm_delete(lp2p_gcm *gcm);

/// 0, or negative. In place, if the pointers are equal. The nonce has 12 bytes, the tag 16.
int lp2p_gcm_seal(lp2p_gcm *gcm, uint8_t *destination, const uint8_t *plaintext, size_t length, const uint8_t *nonce,
                  const uint8_t *associated, size_t associated_length);
int lp2p_gcm_open(lp2p_gcm *gcm, uint8_t *destination, const uint8_t *ciphertext, size_t length, const uint8_t *nonce,
                  const uint8_t *associated, size_t associated_length);

/// Bytes of heap that the expanded key takes now.
size_t lp2p_gcm_expanded(const lp2p_gcm *gcm);

/// A key of AES by itself, for header protection: the round keys, 192 or 256 bytes with what goes with them, where a cipher of GnuTLS takes 800.
typedef struct lp2p_block lp2p_block;

/// `length` is 16 or 32. NULL without memory, or where ipsec-mb, which expands the key, cannot be used.
lp2p_block *lp2p_block_new(const uint8_t *key, size_t length);
/// Wipes the key.
void lp2p_block_delete(lp2p_block *block);
/// Encrypts 16 bytes.
void lp2p_block_encrypt(const lp2p_block *block, uint8_t *destination, const uint8_t *source);

#endif
