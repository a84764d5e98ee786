#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CSeededRandom.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

static _Thread_local int is_seeded;
static _Thread_local uint64_t state;
static _Thread_local uint64_t drawn;

void csim_random_begin(uint64_t seed) {
  is_seeded = 1;
  state = seed;
  drawn = 0;
}

void csim_random_end(void) { is_seeded = 0; }

uint64_t csim_random_drawn(void) { return drawn; }

uint64_t csim_heap_in_use(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  struct mallinfo2 info = mallinfo2();
  return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
#else
  return 0;
#endif
}

/* SplitMix64: a simulation needs repetition, not secrecy. */
static uint64_t next_word(void) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t word = state;
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
  word = (word ^ word >> 27) * 0x94d049bb133111ebu;
  return word ^ word >> 31;
}

typedef int (*rnd_function)(int level, void *data, size_t length);

/* The level is an enum in GnuTLS's header, which is passed as an int. */
int gnutls_rnd(int level, void *data, size_t length);

int gnutls_rnd(int level, void *data, size_t length) {
  if (!is_seeded) {
    static _Atomic(rnd_function) original;
    rnd_function function = atomic_load(&original);
    if (function == NULL) {
      void *symbol = dlsym(RTLD_NEXT, "gnutls_rnd");
      if (symbol == NULL) {
        return -206; /* GNUTLS_E_RANDOM_FAILED: never unseeded bytes that are not random */
      }
      memcpy(&function, &symbol, sizeof(function));
      atomic_store(&original, function);
    }
    return function(level, data, length);
  }
  uint8_t *bytes = data;
  for (size_t offset = 0; offset < length; offset += 8) {
    uint64_t word = next_word();
    memcpy(bytes + offset, &word, length - offset < 8 ? length - offset : 8);
  }
  drawn += length;
  return 0;
}

uint64_t csim_library_word(void) {
  uint64_t word = 0;
  return gnutls_rnd(0, &word, sizeof(word)) == 0 ? word : 0;
}
