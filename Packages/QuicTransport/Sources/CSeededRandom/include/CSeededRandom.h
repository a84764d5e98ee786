/// Randomness for GnuTLS that follows from a seed, for simulations.
///
/// This target defines `gnutls_rnd`, which GnuTLS and ngtcp2's GnuTLS helper call through the dynamic linker, so the
/// definition in the program stands before the library's. It hands every call on to GnuTLS's own generator, except on a
/// thread that has called `csim_random_begin` and not yet `csim_random_end`: there the bytes follow from the seed.
/// Only simulations link it. With GnuTLS linked statically it would not link at all.
#ifndef CSEEDED_RANDOM_H
#define CSEEDED_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// From now on GnuTLS's randomness on this thread follows from `seed`.
void csim_random_begin(uint64_t seed);

/// From now on GnuTLS's randomness on this thread is its own again.
void csim_random_end(void);

/// How many bytes were drawn on this thread since the seed was set. 0 after handshakes means that the definition here is
/// not the one that GnuTLS uses.
uint64_t csim_random_drawn(void);

/// 64 bits from `gnutls_rnd` as the rest of the program gets them.
uint64_t csim_library_word(void);

/// Bytes of heap memory in use in this process, as the C library counts them; 0 where it cannot tell.
uint64_t csim_heap_in_use(void);

#ifdef __cplusplus
}
#endif

#endif
