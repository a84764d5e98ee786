/// Which of the packets that were sent have been acknowledged, to know how many were lost: ngtcp2 does not tell.
///
/// A packet counts as lost while one that was sent three or more packets later is acknowledged and it is not (RFC 9002
/// §6.1.1). The log remembers the last 4,096 packet numbers below the largest that was acknowledged. Plain C without
/// allocation; every call takes bounded time whatever numbers it is given.
#ifndef LP2P_ACK_LOG_H
#define LP2P_ACK_LOG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LP2P_ACK_LOG_WORDS 64

typedef struct lp2p_ack_log {
  /// Bit `n % 4096` says whether packet n is acknowledged, for n from `base` on.
  uint64_t bits[LP2P_ACK_LOG_WORDS];
  /// The smallest packet number remembered, and the largest acknowledged; -1 before the first.
  int64_t base;
  int64_t largest;
  /// All packets up to here are acknowledged, or forgotten.
  int64_t settled;
  /// Packets that were forgotten without having been acknowledged.
  uint64_t forgotten;
} lp2p_ack_log;

void lp2p_ack_log_init(lp2p_ack_log *log);
/// Packets `smallest` to `largest` are acknowledged; numbers below 2^62, `smallest` not above `largest`.
void lp2p_ack_log_note(lp2p_ack_log *log, int64_t smallest, int64_t largest);
uint64_t lp2p_ack_log_lost(const lp2p_ack_log *log);

#ifdef __cplusplus
}
#endif

#endif
