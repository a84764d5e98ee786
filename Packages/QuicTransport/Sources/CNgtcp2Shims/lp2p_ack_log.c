#include "lp2p_ack_log.h"

#include <string.h>

#define CAPACITY (LP2P_ACK_LOG_WORDS * 64)
/* RFC 9002 §6.1.1, kPacketThreshold. */
#define PACKET_THRESHOLD 3

void lp2p_ack_log_init(lp2p_ack_log *log) {
  memset(log, 0, sizeof *log);
  log->largest = -1;
  log->settled = -1;
}

static uint64_t *word(lp2p_ack_log *log, int64_t number) { return &log->bits[(number / 64) % LP2P_ACK_LOG_WORDS]; }

/* The bits of `number`'s word from `number` up to `last`, both in it. */
static uint64_t mask(int64_t number, int64_t last) {
  uint64_t bits = UINT64_MAX << (number % 64);
  return bits & (UINT64_MAX >> (63 - last % 64));
}

static int64_t end_of_word(int64_t number, int64_t last) {
  int64_t end = number | 63;
  return end < last ? end : last;
}

/* How many of `from` to `to` are not acknowledged. */
static uint64_t count_missing(const lp2p_ack_log *log, int64_t from, int64_t to) {
  uint64_t missing = 0;
  for (int64_t at = from; at <= to;) {
    int64_t end = end_of_word(at, to);
    uint64_t bits = log->bits[(at / 64) % LP2P_ACK_LOG_WORDS];
    missing += (uint64_t)__builtin_popcountll(~bits & mask(at, end));
    at = end + 1;
  }
  return missing;
}

static void mark(lp2p_ack_log *log, int64_t from, int64_t to) {
  for (int64_t at = from; at <= to;) {
    int64_t end = end_of_word(at, to);
    *word(log, at) |= mask(at, end);
    at = end + 1;
  }
}

/* Makes room up to `largest`, whole words at a time. Packets from `smallest` on are acknowledged: where they are forgotten
   at once they are no losses. */
static void advance(lp2p_ack_log *log, int64_t smallest, int64_t largest) {
  int64_t base = (largest | 63) + 1 - CAPACITY;
  if (base <= log->base) return;
  int64_t end = log->base + CAPACITY; /* the first number beyond what is remembered */
  mark(log, smallest > log->base ? smallest : log->base, end - 1);
  if (base - log->base >= CAPACITY) {
    log->forgotten += count_missing(log, log->base, log->base + CAPACITY - 1);
    int64_t unknown = smallest < base ? smallest : base;
    if (unknown > end) log->forgotten += (uint64_t)(unknown - end);
    memset(log->bits, 0, sizeof log->bits);
  } else {
    log->forgotten += count_missing(log, log->base, base - 1);
    for (int64_t at = log->base; at < base; at += 64) *word(log, at) = 0;
  }
  log->base = base;
  if (log->settled < base - 1) log->settled = base - 1;
}

void lp2p_ack_log_note(lp2p_ack_log *log, int64_t smallest, int64_t largest) {
  if (largest > log->largest) {
    advance(log, smallest, largest);
    log->largest = largest;
  }
  int touches = smallest <= log->settled + 1;
  int64_t from = smallest > log->settled ? smallest : log->settled + 1;
  mark(log, from, largest);
  if (touches && largest > log->settled) log->settled = largest;
}

uint64_t lp2p_ack_log_lost(const lp2p_ack_log *log) {
  int64_t last = log->largest - PACKET_THRESHOLD;
  int64_t from = log->settled + 1 > log->base ? log->settled + 1 : log->base;
  return log->forgotten + (last < from ? 0 : count_missing(log, from, last));
}
