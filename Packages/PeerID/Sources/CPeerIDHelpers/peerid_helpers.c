#include "peerid_helpers.h"

#include <secp256k1.h>
#include <string.h>

/* The handle is the library's own context under a name that does not leak its header. */
static const secp256k1_context *context_of(const peerid_secp256k1_signer *signer) {
    return (const secp256k1_context *)(const void *)signer;
}

/* Wipes a buffer in a way that the compiler may not drop. */
static void wipe(void *bytes, size_t length) {
    volatile uint8_t *cursor = bytes;
    while (length-- > 0) {
        *cursor++ = 0;
    }
}

peerid_secp256k1_signer *peerid_secp256k1_signer_create(const uint8_t random[32]) {
    /* The SIGN flag is what versions before 0.2.0 need; later ones ignore it. */
    secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_SIGN);
    if (context == NULL) {
        return NULL;
    }
    if (!secp256k1_context_randomize(context, random)) {
        secp256k1_context_destroy(context);
        return NULL;
    }
    return (peerid_secp256k1_signer *)(void *)context;
}

void peerid_secp256k1_signer_destroy(peerid_secp256k1_signer *signer) {
    if (signer != NULL) {
        secp256k1_context_destroy((secp256k1_context *)(void *)signer);
    }
}

int peerid_secp256k1_is_private_key(const uint8_t key[32]) {
    return secp256k1_ec_seckey_verify(secp256k1_context_static, key);
}

int peerid_secp256k1_public_key(const peerid_secp256k1_signer *signer, const uint8_t key[32], uint8_t out[33]) {
    secp256k1_pubkey point;
    size_t length = 33;
    if (!secp256k1_ec_pubkey_create(context_of(signer), &point, key)) {
        return 0;
    }
    return secp256k1_ec_pubkey_serialize(context_of(signer), out, &length, &point, SECP256K1_EC_COMPRESSED);
}

int peerid_secp256k1_sign(const peerid_secp256k1_signer *signer, const uint8_t key[32], const uint8_t hash[32],
                          uint8_t *out, size_t *length) {
    secp256k1_ecdsa_signature signature;
    int ok = secp256k1_ecdsa_sign(context_of(signer), &signature, hash, key, NULL, NULL) &&
             secp256k1_ecdsa_signature_serialize_der(context_of(signer), out, length, &signature);
    wipe(&signature, sizeof signature);
    return ok;
}

int peerid_secp256k1_parse_public_key(const uint8_t *bytes, size_t length, uint8_t out[33]) {
    secp256k1_pubkey point;
    size_t compressed = 33;
    if (bytes == NULL || !secp256k1_ec_pubkey_parse(secp256k1_context_static, &point, bytes, length)) {
        return 0;
    }
    return secp256k1_ec_pubkey_serialize(secp256k1_context_static, out, &compressed, &point, SECP256K1_EC_COMPRESSED);
}

int peerid_secp256k1_verify(const uint8_t key[33], const uint8_t hash[32], const uint8_t *signature, size_t length) {
    secp256k1_pubkey point;
    secp256k1_ecdsa_signature parsed;
    if (signature == NULL || !secp256k1_ec_pubkey_parse(secp256k1_context_static, &point, key, 33) ||
        !secp256k1_ecdsa_signature_parse_der(secp256k1_context_static, &parsed, signature, length)) {
        return 0;
    }
    /* secp256k1_ecdsa_verify itself refuses a high S. */
    return secp256k1_ecdsa_verify(secp256k1_context_static, &parsed, hash, &point);
}
