#include "lp2p_receive_window.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY (LP2P_RECEIVE_WINDOW_WORDS * 64)
#define FIRST_CAPACITY (LP2P_RECEIVE_WINDOW_FIRST_WORDS * 64)

void lp2p_receive_window_init(lp2p_receive_window *window) {
  memset(window, 0, sizeof *window);
  window->largest = -1;
}

void lp2p_receive_window_free(lp2p_receive_window *window) {
  free(window->bits);
  window->bits = NULL;
}

int64_t lp2p_receive_window_number(const lp2p_receive_window *window, const uint8_t *header, size_t header_length) {
  size_t length = (size_t)(header[0] & 3) + 1;
  if (header_length < 1 + length) {
    return 0;
  }
  int64_t truncated = 0;
  for (size_t i = header_length - length; i < header_length; i++) {
    truncated = truncated << 8 | header[i];
  }
  int64_t range = INT64_C(1) << (8 * length);
  int64_t expected = window->largest + 1;
  if ((expected & (range - 1)) == truncated) {
    return expected;
  }
  int64_t number = (expected & ~(range - 1)) | truncated;
  if (number <= expected - range / 2 && number < (INT64_C(1) << 62) - range) {
    return number + range;
  }
  return number > expected + range / 2 && number >= range ? number - range : number;
}

/* The first numbers have the same places among all bits. Nonzero without memory. */
static int grow(lp2p_receive_window *window) {
  window->bits = calloc(LP2P_RECEIVE_WINDOW_WORDS, sizeof window->bits[0]);
  if (window->bits == NULL) {
    return -1;
  }
  memcpy(window->bits, window->first, sizeof window->first);
  return 0;
}

lp2p_packet_novelty lp2p_receive_window_note(lp2p_receive_window *window, int64_t number) {
  if (window->bits == NULL && number >= FIRST_CAPACITY && grow(window) != 0) {
    return LP2P_PACKET_TOO_OLD;
  }
  uint64_t *bits = window->bits != NULL ? window->bits : window->first;
  uint64_t *word = &bits[(uint64_t)number / 64 % LP2P_RECEIVE_WINDOW_WORDS];
  uint64_t bit = UINT64_C(1) << (number % 64);
  if (number == window->largest + 1) {
    /* What its place says is of a packet that is too old. */
    window->largest = number;
    *word |= bit;
    return LP2P_PACKET_NEW;
  }
  if (number > window->largest) {
    int64_t from = window->largest + 1;
    if (number - from >= CAPACITY) {
      memset(bits, 0, LP2P_RECEIVE_WINDOW_WORDS * sizeof bits[0]);
    } else {
      for (int64_t at = from; at <= number; at++) {
        bits[(at / 64) % LP2P_RECEIVE_WINDOW_WORDS] &= ~(UINT64_C(1) << (at % 64));
      }
    }
    window->largest = number;
  } else if (window->largest - number >= CAPACITY) {
    return LP2P_PACKET_TOO_OLD;
  }
  if (*word & bit) {
    return LP2P_PACKET_COPY;
  }
  *word |= bit;
  return LP2P_PACKET_NEW;
}
