#include "CGroundBench.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <secp256k1.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct ground_key {
  ground_kind kind;
  uint8_t secret[64], public[32], signature[128];
  size_t signature_length;
  secp256k1_context *context;
  secp256k1_pubkey point;
  gnutls_privkey_t private_key;
  gnutls_pubkey_t public_key;
  gnutls_sign_algorithm_t algorithm;
  gnutls_datum_t gnutls_signature;
};

static int make_gnutls(ground_key *key, const gnutls_datum_t *message) {
  int rsa = key->kind == GROUND_RSA2048;
  gnutls_ecc_curve_t curve = key->kind == GROUND_P256   ? GNUTLS_ECC_CURVE_SECP256R1
                             : key->kind == GROUND_P384 ? GNUTLS_ECC_CURVE_SECP384R1
                                                        : GNUTLS_ECC_CURVE_SECP521R1;
  unsigned bits = rsa ? 2048 : GNUTLS_CURVE_TO_BITS(curve);
  key->algorithm = rsa ? GNUTLS_SIGN_RSA_SHA256 : GNUTLS_SIGN_ECDSA_SHA256;
  return gnutls_privkey_init(&key->private_key) >= 0 && gnutls_pubkey_init(&key->public_key) >= 0 &&
         gnutls_privkey_generate(key->private_key, rsa ? GNUTLS_PK_RSA : GNUTLS_PK_ECDSA, bits, 0) >= 0 &&
         gnutls_pubkey_import_privkey(key->public_key, key->private_key, 0, 0) >= 0 &&
         gnutls_privkey_sign_data2(key->private_key, key->algorithm, 0, message, &key->gnutls_signature) >= 0;
}

static int make_secp256k1(ground_key *key, const uint8_t *message, size_t length) {
  secp256k1_ecdsa_signature signature;
  uint8_t hash[32];
  key->context = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
  randombytes_buf(key->secret, 32);
  key->secret[0] = 1;
  crypto_hash_sha256(hash, message, length);
  key->signature_length = sizeof key->signature;
  return key->context && secp256k1_context_randomize(key->context, key->secret) &&
         secp256k1_ec_pubkey_create(key->context, &key->point, key->secret) &&
         secp256k1_ecdsa_sign(key->context, &signature, hash, key->secret, NULL, NULL) &&
         secp256k1_ecdsa_signature_serialize_der(key->context, key->signature, &key->signature_length, &signature);
}

ground_key *ground_key_make(ground_kind kind, const uint8_t *message, size_t length) {
  if (sodium_init() < 0) {
    return NULL;
  }
  ground_key *key = calloc(1, sizeof *key);
  if (!key) {
    return NULL;
  }
  key->kind = kind;
  gnutls_datum_t datum = {(unsigned char *)(uintptr_t)message, (unsigned)length};
  int made;
  switch (kind) {
  case GROUND_ED25519:
    crypto_sign_keypair(key->public, key->secret);
    made = crypto_sign_detached(key->signature, NULL, message, length, key->secret) == 0;
    break;
  case GROUND_SECP256K1:
    made = make_secp256k1(key, message, length);
    break;
  default:
    made = make_gnutls(key, &datum);
  }
  if (!made) {
    free(key);
    return NULL;
  }
  return key;
}

int ground_sign(const ground_key *key, const uint8_t *message, size_t length) {
  uint8_t out[128], hash[32];
  size_t size = sizeof out;
  if (key->kind == GROUND_ED25519) {
    return crypto_sign_detached(out, NULL, message, length, key->secret) == 0;
  }
  if (key->kind == GROUND_SECP256K1) {
    secp256k1_ecdsa_signature signature;
    crypto_hash_sha256(hash, message, length);
    return secp256k1_ecdsa_sign(key->context, &signature, hash, key->secret, NULL, NULL) &&
           secp256k1_ecdsa_signature_serialize_der(key->context, out, &size, &signature);
  }
  gnutls_datum_t datum = {(unsigned char *)(uintptr_t)message, (unsigned)length}, signature;
  if (gnutls_privkey_sign_data2(key->private_key, key->algorithm, 0, &datum, &signature) < 0) {
    return 0;
  }
  gnutls_free(signature.data);
  return 1;
}

int ground_verify(const ground_key *key, const uint8_t *message, size_t length) {
  uint8_t hash[32];
  if (key->kind == GROUND_ED25519) {
    return crypto_sign_verify_detached(key->signature, message, length, key->public) == 0;
  }
  if (key->kind == GROUND_SECP256K1) {
    secp256k1_ecdsa_signature signature;
    crypto_hash_sha256(hash, message, length);
    return secp256k1_ecdsa_signature_parse_der(key->context, &signature, key->signature, key->signature_length) &&
           secp256k1_ecdsa_verify(key->context, &signature, hash, &key->point);
  }
  gnutls_datum_t datum = {(unsigned char *)(uintptr_t)message, (unsigned)length};
  return gnutls_pubkey_verify_data2(key->public_key, key->algorithm, 0, &datum, &key->gnutls_signature) >= 0;
}
