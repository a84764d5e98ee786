/// The few calls into libsecp256k1 that PeerID needs, in a shape that Swift can use
/// without seeing any of the library's types or macros.
///
/// Every function returns 1 for success and 0 for "no"; none of them keeps a pointer,
/// allocates on the caller's behalf (except `_create`) or touches global state.
#ifndef LIBP2P_PEERID_HELPERS_H
#define LIBP2P_PEERID_HELPERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Largest DER encoding of a secp256k1 signature: two 33-byte integers and their headers.
#define PEERID_SECP256K1_MAX_SIGNATURE 72

/// A signing context whose blinding was randomised when it was made. It is only read
/// afterwards, so several threads may sign with one context at once.
typedef struct peerid_secp256k1_signer peerid_secp256k1_signer;

/// Makes a signing context, blinded with 32 random bytes. NULL when that fails.
peerid_secp256k1_signer *peerid_secp256k1_signer_create(const uint8_t random[32]);

/// Frees a context made by `peerid_secp256k1_signer_create`. NULL is allowed.
void peerid_secp256k1_signer_destroy(peerid_secp256k1_signer *signer);

/// Whether the 32 bytes are a private key: not zero and below the order of the group.
int peerid_secp256k1_is_private_key(const uint8_t key[32]);

/// Writes the compressed public key of a private key.
int peerid_secp256k1_public_key(const peerid_secp256k1_signer *signer, const uint8_t key[32], uint8_t out[33]);

/// Signs a 32-byte hash (RFC 6979 nonce, low S) and writes the DER form.
/// `length` is the size of `out` on entry, at least 72, and the signature's length on return.
int peerid_secp256k1_sign(const peerid_secp256k1_signer *signer, const uint8_t key[32], const uint8_t hash[32],
                          uint8_t *out, size_t *length);

/// Parses a public key of 33 bytes (compressed) or 65 bytes and writes its compressed form.
/// 0 for a point off the curve and for every malformed encoding.
int peerid_secp256k1_parse_public_key(const uint8_t *bytes, size_t length, uint8_t out[33]);

/// Verifies a strict-DER, low-S signature of a 32-byte hash. `key` is a compressed public key.
int peerid_secp256k1_verify(const uint8_t key[33], const uint8_t hash[32], const uint8_t *signature, size_t length);

#ifdef __cplusplus
}
#endif

#endif
