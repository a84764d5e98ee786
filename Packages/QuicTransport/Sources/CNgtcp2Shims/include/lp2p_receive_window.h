/// Which of the peer's 1-RTT packets have been read, to tell a packet from its copies.
///
/// ngtcp2 looks for copies after it has decrypted a packet, which is after the frame guard has seen it. Copies must not draw
/// on the guard's limits: whoever sees packets can send them again. So copies are dropped before. The window remembers 4,096
/// packet numbers; what is older is dropped, too. The first numbers have room in the structure itself, the rest is allocated
/// with the first packet beyond them: most connections of a node that has many never get so far.
#ifndef LP2P_RECEIVE_WINDOW_H
#define LP2P_RECEIVE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define LP2P_RECEIVE_WINDOW_WORDS 64
#define LP2P_RECEIVE_WINDOW_FIRST_WORDS 4

typedef struct lp2p_receive_window {
  /// Bit `n % 4096` says whether packet n was read, for the last 4,096 numbers up to `largest`. NULL while `largest` is below
  /// 256: then `first` has these bits.
  uint64_t *bits;
  uint64_t first[LP2P_RECEIVE_WINDOW_FIRST_WORDS];
  /// -1 before the first.
  int64_t largest;
} lp2p_receive_window;

typedef enum { LP2P_PACKET_NEW, LP2P_PACKET_COPY, LP2P_PACKET_TOO_OLD } lp2p_packet_novelty;

void lp2p_receive_window_init(lp2p_receive_window *window);
void lp2p_receive_window_free(lp2p_receive_window *window);
/// The number that the last `length` bytes of an unprotected short header stand for (RFC 9000 §A.3).
int64_t lp2p_receive_window_number(const lp2p_receive_window *window, const uint8_t *header, size_t header_length);
/// Notes that a packet was read, and says whether it was before. `number` is below 2^62. Without memory for it a packet counts
/// as too old.
lp2p_packet_novelty lp2p_receive_window_note(lp2p_receive_window *window, int64_t number);

#endif
