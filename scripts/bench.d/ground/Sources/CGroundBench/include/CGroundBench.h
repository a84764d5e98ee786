// What scripts/bench ground needs from C. A tool, never part of a library.
#pragma once
#include <stdint.h>
#include <stddef.h>

// Allocations of this process so far.
unsigned long ground_allocations(void);

// Callgrind counts from here …
void ground_region_begin(void);
// … to here, and writes what it counted under a name. Both do nothing outside of valgrind.
void ground_region_end(const char *name);

typedef enum {
  GROUND_ED25519, GROUND_SECP256K1, GROUND_P256, GROUND_P384, GROUND_P521, GROUND_RSA2048
} ground_kind;

// A key of the C library for a kind, and a signature by it. NULL when the library fails.
typedef struct ground_key ground_key;
ground_key *ground_key_make(ground_kind kind, const uint8_t *message, size_t length);
// Signs and verifies as a C program does that keeps its key loaded: one call and what belongs to it. 1 when it worked.
int ground_sign(const ground_key *key, const uint8_t *message, size_t length);
int ground_verify(const ground_key *key, const uint8_t *message, size_t length);
