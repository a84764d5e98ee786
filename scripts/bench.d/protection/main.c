/* What the protection of a packet costs with each library, behind the functions that the connections use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lp2p_packet_protection.h"

enum { ROUNDS = 11, PACKETS = 2000, LARGEST = 9000, TAG = 16, HEADER = 20 };

static double processor_time(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

typedef enum { SEAL, OPEN, MASK, KEYS } operation;

static uint8_t key[32], header[HEADER], nonce[12], packet[LARGEST + TAG], sealed[LARGEST + TAG];

/* Nanoseconds of one operation, over many. */
static double measure(operation what, lp2p_protection kind, size_t key_length, size_t size) {
  lp2p_packet_keys *keys = lp2p_packet_keys_new(kind, key, key, key_length);
  if (keys == NULL || lp2p_packet_keys_seal(keys, sealed, packet, size, nonce, header, HEADER) != 0) {
    exit(1);
  }
  int failures = 0;
  double begun = processor_time();
  for (int i = 0; i < PACKETS; i++) {
    switch (what) {
    case SEAL:
      nonce[11] = (uint8_t)i;
      failures += lp2p_packet_keys_seal(keys, packet, packet, size, nonce, header, HEADER) != 0;
      break;
    case OPEN:
      failures += lp2p_packet_keys_open(keys, packet, sealed, size + TAG, nonce, header, HEADER) != 0;
      break;
    case MASK: {
      uint8_t mask[16];
      failures += lp2p_packet_keys_mask(keys, mask, packet) != 0;
      packet[0] = mask[0];
      break;
    }
    case KEYS: {
      lp2p_packet_keys *more = lp2p_packet_keys_new(kind, key, key, key_length);
      failures += more == NULL || lp2p_packet_keys_seal(more, packet, packet, 16, nonce, header, HEADER) != 0;
      lp2p_packet_keys_delete(more);
      break;
    }
    }
  }
  double took = (processor_time() - begun) / PACKETS;
  lp2p_packet_keys_delete(keys);
  nonce[11] = 0;
  if (failures > 0) {
    fprintf(stderr, "protection: %d packets failed\n", failures);
    exit(1);
  }
  return took;
}

static void row(const char *name, operation what, size_t key_length, size_t size, int has_ipsec_mb) {
  double least[2] = {1e18, 1e18};
  for (int round = 0; round < ROUNDS; round++) {
    for (int kind = 0; kind <= has_ipsec_mb; kind++) {
      double took = measure(what, (lp2p_protection)kind, key_length, size);
      least[kind] = took < least[kind] ? took : least[kind];
    }
  }
  printf("| %s | %.0f |", name, least[0]);
  if (has_ipsec_mb) {
    printf(" %.0f | %.2f |", least[1], least[0] / least[1]);
  }
  printf("\n");
}

int main(void) {
  const char *obstacle = lp2p_ipsec_mb_obstacle();
  int has = obstacle == NULL;
  for (size_t i = 0; i < sizeof(packet); i++) {
    packet[i] = (uint8_t)(i * 7);
  }
  memcpy(key, packet + 100, sizeof(key));
  if (has) {
    printf("| ns of CPU | GnuTLS | ipsec-mb %s | × |\n|---|--:|--:|--:|\n", lp2p_ipsec_mb_version());
  } else {
    printf("ipsec-mb %s\n\n| ns of CPU | GnuTLS |\n|---|--:|\n", obstacle);
  }
  row("AES-128-GCM, seal 64 bytes", SEAL, 16, 64, has);
  row("AES-128-GCM, seal 1200 bytes", SEAL, 16, 1200, has);
  row("AES-128-GCM, seal 1420 bytes", SEAL, 16, 1420, has);
  row("AES-128-GCM, open 1420 bytes", OPEN, 16, 1420, has);
  row("AES-128-GCM, seal 8900 bytes", SEAL, 16, 8900, has);
  row("AES-256-GCM, seal 1420 bytes", SEAL, 32, 1420, has);
  row("AES-256-GCM, open 1420 bytes", OPEN, 32, 1420, has);
  row("header protection, AES-128", MASK, 16, 64, has);
  row("keys of one direction, with their first packet", KEYS, 16, 64, has);
  return 0;
}
