#include "lp2p_ipsec_mb.h"

#include "lp2p_packet_protection.h"

/* Optional when this is built: without its header everything stays with GnuTLS. LP2P_WITHOUT_IPSEC_MB leaves it out where
   it is there. Version 1.3 is the first that tests itself. */
#if defined(__x86_64__) && defined(__linux__) && !defined(LP2P_WITHOUT_IPSEC_MB) && __has_include(<intel-ipsec-mb.h>)
#  include <intel-ipsec-mb.h>
#  if IMB_VERSION_NUM >= IMB_VERSION(1, 3, 0) && IMB_VERSION_NUM < IMB_VERSION(3, 0, 0)
#    define HAS_IPSEC_MB 1
#  endif
#endif

#ifdef HAS_IPSEC_MB

#  include <cpuid.h>
#  include <dlfcn.h>
#  include <pthread.h>
#  include <stdlib.h>
#  include <string.h>

#  include <gnutls/crypto.h>
#  include <gnutls/gnutls.h>
#  include <wmmintrin.h>

#  if IMB_VERSION_NUM >= IMB_VERSION(2, 0, 0)
#    define LIBRARY "libIPSec_MB.so.2"
#  else
#    define LIBRARY "libIPSec_MB.so.1"
#  endif

enum { TAG = 16, NONCE = 12, MAX_KEY = 32, ALIGNMENT = 64, BLOCK = 16, MAX_ROUNDS = 14 };

/* What is taken of the library. Functions of their arguments alone: the manager they come from is not kept. */
static struct {
  const char *obstacle;
  const char *version;
  aes_gcm_pre_t expand_128, expand_256;
  aes_gcm_enc_dec_t seal_128, seal_256, open_128, open_256;
  keyexp_t schedule_128, schedule_256;
} library = {.obstacle = "was not loaded yet"};

static pthread_once_t loading = PTHREAD_ONCE_INIT;

struct lp2p_gcm {
  /* Aligned to 64 bytes; NULL before the first packet. */
  struct gcm_key_data *expanded;
  aes_gcm_enc_dec_t seal, open;
  aes_gcm_pre_t expand;
  uint8_t key[MAX_KEY]; /* wiped once it is expanded */
};

struct lp2p_block {
  uint32_t rounds;
  /* One more than there are rounds. */
  _Alignas(16) uint8_t keys[];
};

/* The library asks the processor what it can do, but not the system whether its wide registers are saved: where they are
   not, the first wide instruction would be the last. */
static const char *processor_obstacle(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("aes") || !__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("avx2")) {
    return "needs a processor with AES, PCLMULQDQ and AVX2";
  }
  unsigned int a, b, c, d;
  int shows_avx512 = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F) != 0;
  if (shows_avx512 && !__builtin_cpu_supports("avx512f")) {
    return "would use AVX-512, which this processor has and its operating system does not let be used";
  }
  return NULL;
}

/* Encrypts one block both ways. */
static int block_agrees_with_gnutls(const uint8_t *key, size_t key_length, const uint8_t *text) {
  uint8_t zero[BLOCK] = {0}, expected[BLOCK], block[BLOCK];
  gnutls_datum_t datum = {.data = (unsigned char *)key, .size = (unsigned int)key_length};
  gnutls_datum_t vector = {.data = zero, .size = sizeof(zero)};
  gnutls_cipher_hd_t cipher;
  if (gnutls_cipher_init(&cipher, key_length == 16 ? GNUTLS_CIPHER_AES_128_CBC : GNUTLS_CIPHER_AES_256_CBC, &datum,
                         &vector) != 0) {
    return 0;
  }
  int rv = gnutls_cipher_encrypt2(cipher, text, BLOCK, expected, sizeof(expected));
  gnutls_cipher_deinit(cipher);
  lp2p_block *ours = lp2p_block_new(key, key_length);
  if (rv != 0 || ours == NULL) {
    lp2p_block_delete(ours);
    return 0;
  }
  lp2p_block_encrypt(ours, block, text);
  lp2p_block_delete(ours);
  return memcmp(block, expected, sizeof(block)) == 0;
}

/* Seals one packet with both libraries: whatever this one is, it must do what GnuTLS does. */
static int agrees_with_gnutls(size_t key_length, gnutls_cipher_algorithm_t algorithm) {
  uint8_t key[MAX_KEY], text[333], expected[sizeof(text) + TAG], sealed[sizeof(text) + TAG];
  for (size_t i = 0; i < sizeof(text); i++) {
    text[i] = (uint8_t)(7 * i + 1);
  }
  memcpy(key, text + 40, sizeof(key));
  gnutls_datum_t datum = {.data = key, .size = (unsigned int)key_length};
  gnutls_aead_cipher_hd_t cipher;
  if (gnutls_aead_cipher_init(&cipher, algorithm, &datum) != 0) {
    return 0;
  }
  size_t length = sizeof(expected);
  int rv = gnutls_aead_cipher_encrypt(cipher, text, NONCE, text + 20, 21, TAG, text, sizeof(text), expected, &length);
  gnutls_aead_cipher_deinit(cipher);
  lp2p_gcm *gcm = lp2p_gcm_new(key, key_length);
  int agrees = rv == 0 && gcm != NULL && lp2p_gcm_seal(gcm, sealed, text, sizeof(text), text, text + 20, 21) == 0 &&
               memcmp(sealed, expected, sizeof(sealed)) == 0 &&
               lp2p_gcm_open(gcm, sealed, sealed, sizeof(sealed), text, text + 20, 21) == 0 &&
               memcmp(sealed, text, sizeof(text)) == 0;
  lp2p_gcm_delete(gcm);
  return agrees && block_agrees_with_gnutls(key, key_length, text);
}

static const char *take_functions(void *handle) {
  unsigned (*version)(void) = (unsigned (*)(void))dlsym(handle, "imb_get_version");
  const char *(*version_text)(void) = (const char *(*)(void))dlsym(handle, "imb_get_version_str");
  IMB_MGR *(*allocate)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(handle, "alloc_mb_mgr");
  void (*release)(IMB_MGR *) = (void (*)(IMB_MGR *))dlsym(handle, "free_mb_mgr");
  void (*initialize)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(handle, "init_mb_mgr_auto");
  int (*error)(IMB_MGR *) = (int (*)(IMB_MGR *))dlsym(handle, "imb_get_errno");
  if (!version || !version_text || !allocate || !release || !initialize || !error) {
    return "lacks functions it should have (" LIBRARY ")";
  }
  /* Where its structures have which member is only sure between libraries of one minor version. */
  if (version() >> 8 != IMB_VERSION_NUM >> 8) {
    return "is there in another version than this was built with (" IMB_VERSION_STR ")";
  }
  IMB_MGR *manager = allocate(0);
  if (manager == NULL) {
    return "has no memory";
  }
  IMB_ARCH architecture = IMB_ARCH_NONE;
  initialize(manager, &architecture);
  uint64_t wanted = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;
  int usable = error(manager) == 0 && architecture != IMB_ARCH_NONE && (manager->features & wanted) == wanted;
  library.expand_128 = manager->gcm128_pre;
  library.expand_256 = manager->gcm256_pre;
  library.seal_128 = manager->gcm128_enc;
  library.seal_256 = manager->gcm256_enc;
  library.open_128 = manager->gcm128_dec;
  library.open_256 = manager->gcm256_dec;
  library.schedule_128 = manager->keyexp_128;
  library.schedule_256 = manager->keyexp_256;
  library.version = version_text();
  release(manager);
  return usable ? NULL : "fails its own tests";
}

static void load(void) {
  library.obstacle = processor_obstacle();
  if (library.obstacle != NULL) {
    return;
  }
  void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    library.obstacle = "is not installed (" LIBRARY ")";
    return;
  }
  library.obstacle = take_functions(handle);
  if (library.obstacle == NULL && (!agrees_with_gnutls(16, GNUTLS_CIPHER_AES_128_GCM) ||
                                   !agrees_with_gnutls(32, GNUTLS_CIPHER_AES_256_GCM))) {
    library.obstacle = "seals packets in another way than GnuTLS";
  }
  if (library.obstacle != NULL) {
    const char *obstacle = library.obstacle;
    memset(&library, 0, sizeof(library));
    library.obstacle = obstacle;
    dlclose(handle);
  }
}

const char *lp2p_ipsec_mb_obstacle(void) {
  pthread_once(&loading, load);
  return library.obstacle;
}

const char *lp2p_ipsec_mb_version(void) {
  pthread_once(&loading, load);
  return library.version;
}

/* Called while the library is being loaded too: does not ask whether it is. */
lp2p_gcm *lp2p_gcm_new(const uint8_t *key, size_t length) {
  if (library.seal_128 == NULL || (length != 16 && length != 32)) {
    return NULL;
  }
  lp2p_gcm *gcm = calloc(1, sizeof(*gcm));
  if (gcm == NULL) {
    return NULL;
  }
  gcm->seal = length == 16 ? library.seal_128 : library.seal_256;
  gcm->open = length == 16 ? library.open_128 : library.open_256;
  gcm->expand = length == 16 ? library.expand_128 : library.expand_256;
  memcpy(gcm->key, key, length);
  return gcm;
}

void lp2p_gcm_delete(lp2p_gcm *gcm) {
  if (gcm == NULL) {
    return;
  }
  if (gcm->expanded != NULL) {
    gnutls_memset(gcm->expanded, 0, sizeof(*gcm->expanded));
    free(gcm->expanded);
  }
  gnutls_memset(gcm, 0, sizeof(*gcm));
  free(gcm);
}

static int expand(lp2p_gcm *gcm) {
  void *memory = NULL;
  if (posix_memalign(&memory, ALIGNMENT, (sizeof(struct gcm_key_data) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT) != 0) {
    return -1;
  }
  gcm->expanded = memory;
  gcm->expand(gcm->key, gcm->expanded);
  gnutls_memset(gcm->key, 0, sizeof(gcm->key));
  return 0;
}

/* The library's functions return nothing, and do nothing when an argument is amiss: no pointer that they check is NULL
   here, and no length is beyond what GCM allows. */
int lp2p_gcm_seal(lp2p_gcm *gcm, uint8_t *destination, const uint8_t *plaintext, size_t length, const uint8_t *nonce,
                  const uint8_t *associated, size_t associated_length) {
  static const uint8_t nothing;
  if ((gcm->expanded == NULL && expand(gcm) != 0) || length > UINT32_MAX || destination == NULL || nonce == NULL) {
    return -1;
  }
  if ((plaintext == NULL && length > 0) || (associated == NULL && associated_length > 0)) {
    return -1;
  }
  struct gcm_context_data context;
  gcm->seal(gcm->expanded, &context, destination, plaintext != NULL ? plaintext : &nothing, length, nonce,
            associated != NULL ? associated : &nothing, associated_length, destination + length, TAG);
  gnutls_memset(&context, 0, sizeof(context));
  return 0;
}

int lp2p_gcm_open(lp2p_gcm *gcm, uint8_t *destination, const uint8_t *ciphertext, size_t length, const uint8_t *nonce,
                  const uint8_t *associated, size_t associated_length) {
  static const uint8_t nothing;
  if ((gcm->expanded == NULL && expand(gcm) != 0) || length < TAG || length > UINT32_MAX || ciphertext == NULL ||
      nonce == NULL || (associated == NULL && associated_length > 0)) {
    return -1;
  }
  length -= TAG;
  if (destination == NULL && length > 0) {
    return -1;
  }
  uint8_t tag[TAG], unused;
  struct gcm_context_data context;
  gcm->open(gcm->expanded, &context, destination != NULL ? destination : &unused, ciphertext, length, nonce,
            associated != NULL ? associated : &nothing, associated_length, tag, TAG);
  gnutls_memset(&context, 0, sizeof(context));
  /* In constant time. */
  if (gnutls_memcmp(tag, ciphertext + length, TAG) != 0) {
    gnutls_memset(tag, 0, sizeof(tag));
    if (length > 0) {
      /* Nobody may look at what nobody has sealed. */
      memset(destination, 0, length);
    }
    return -1;
  }
  return 0;
}

/* Called while the library is being loaded too, as `lp2p_gcm_new`. */
lp2p_block *lp2p_block_new(const uint8_t *key, size_t length) {
  if (library.schedule_128 == NULL || library.schedule_256 == NULL || (length != 16 && length != 32)) {
    return NULL;
  }
  uint32_t rounds = length == 16 ? 10 : MAX_ROUNDS;
  lp2p_block *block = calloc(1, sizeof(*block) + (rounds + 1) * BLOCK);
  if (block == NULL) {
    return NULL;
  }
  block->rounds = rounds;
  /* The keys of decryption come with the others. */
  _Alignas(16) uint8_t unused[(MAX_ROUNDS + 1) * BLOCK];
  (length == 16 ? library.schedule_128 : library.schedule_256)(key, block->keys, unused);
  gnutls_memset(unused, 0, sizeof(unused));
  return block;
}

void lp2p_block_delete(lp2p_block *block) {
  if (block == NULL) {
    return;
  }
  gnutls_memset(block, 0, sizeof(*block) + (block->rounds + 1) * BLOCK);
  free(block);
}

/* The processor was asked whether it has these instructions before there could be a key. */
__attribute__((target("aes"))) void lp2p_block_encrypt(const lp2p_block *block, uint8_t *destination,
                                                       const uint8_t *source) {
  const __m128i *keys = (const __m128i *)(const void *)block->keys;
  __m128i state = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)source), keys[0]);
  for (uint32_t round = 1; round < block->rounds; round++) {
    state = _mm_aesenc_si128(state, keys[round]);
  }
  state = _mm_aesenclast_si128(state, keys[block->rounds]);
  _mm_storeu_si128((__m128i *)(void *)destination, state);
}

size_t lp2p_gcm_expanded(const lp2p_gcm *gcm) { return gcm->expanded == NULL ? 0 : sizeof(*gcm->expanded); }

#else

const char *lp2p_ipsec_mb_obstacle(void) {
#  if defined(__x86_64__) && defined(__linux__)
  return "was not there when this was built (its header intel-ipsec-mb.h, of version 1.3 or later)";
#  else
  return "is only used on Linux on x86-64";
#  endif
}

const char *lp2p_ipsec_mb_version(void) { return NULL; }

lp2p_gcm *lp2p_gcm_new(const uint8_t *key, size_t length) {
  (void)key;
  (void)length;
  return NULL;
}

void lp2p_gcm_delete(lp2p_gcm *gcm) { (void)gcm; }

int lp2p_gcm_seal(lp2p_gcm *gcm, uint8_t *destination, const uint8_t *plaintext, size_t length, const uint8_t *nonce,
                  const uint8_t *associated, size_t associated_length) {
  (void)gcm, (void)destination, (void)plaintext, (void)length, (void)nonce, (void)associated, (void)associated_length;
  return -1;
}

int lp2p_gcm_open(lp2p_gcm *gcm, uint8_t *destination, const uint8_t *ciphertext, size_t length, const uint8_t *nonce,
                  const uint8_t *associated, size_t associated_length) {
  (void)gcm, (void)destination, (void)ciphertext, (void)length, (void)nonce, (void)associated, (void)associated_length;
  return -1;
}

size_t lp2p_gcm_expanded(const lp2p_gcm *gcm) {
  (void)gcm;
  return 0;
}

lp2p_block *lp2p_block_new(const uint8_t *key, size_t length) {
  (void)key;
  (void)length;
  return NULL;
}

void lp2p_block_delete(lp2p_block *block) { (void)block; }

void lp2p_block_encrypt(const lp2p_block *block, uint8_t *destination, const uint8_t *source) {
  (void)block, (void)destination, (void)source;
}

#endif
