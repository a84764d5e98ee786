/// Keeps a server from using up what it may send to an address that has not answered yet.
///
/// After a client's address has changed, a server may send there three times what came from there until the new path is
/// validated (RFC 9000 §9.3). When ngtcp2 1.11 finds that allowance used up to the last byte it cancels the timer of loss
/// detection, and after the handshake nothing sets it again but an acknowledgement. If what was sent until then is lost and
/// fills the congestion window, nothing is ever sent again. So one byte of the allowance is always left.
#ifndef LP2P_UNPROVED_PATH_H
#define LP2P_UNPROVED_PATH_H

#include "lp2p_compat.h"

typedef struct lp2p_unproved_path {
  /// The last path that is known to be validated, and the one that is not.
  ngtcp2_path_storage proved;
  ngtcp2_path_storage path;
  /// Whether the connection is on `path`, what came from there and what went there, and when it stops to matter.
  uint8_t is_active;
  uint64_t received;
  uint64_t sent;
  uint64_t until;
} lp2p_unproved_path;

/// `path` is the first one, which the handshake validates.
void lp2p_unproved_path_init(lp2p_unproved_path *self, const ngtcp2_path *path);
/// A datagram of `length` bytes arrived on `path`, after which the connection is on `current`. `patience`: for how long a
/// validation may take, in nanoseconds.
void lp2p_unproved_path_received(lp2p_unproved_path *self, const ngtcp2_path *path, const ngtcp2_path *current,
                                 size_t length, uint64_t patience, uint64_t now);
/// `path` has answered.
void lp2p_unproved_path_validated(lp2p_unproved_path *self, const ngtcp2_path *path);
/// The largest packet that leaves a byte of the allowance; at most `capacity`.
size_t lp2p_unproved_path_room(lp2p_unproved_path *self, size_t capacity, uint64_t now);
/// A packet of `length` bytes was written for `path`.
void lp2p_unproved_path_sent(lp2p_unproved_path *self, const ngtcp2_path *path, size_t length);

#endif
