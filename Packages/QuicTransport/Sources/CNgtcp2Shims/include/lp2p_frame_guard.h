/// The frame guard: looks at every decrypted packet before ngtcp2 does.
///
/// ngtcp2 aborts the process on some sequences of frames that a peer may send (a NEW_CONNECTION_ID that is repeated
/// after it was retired), takes some malformed ones, and puts no bound on floods of control frames. The guard parses
/// the frames strictly (RFC 9000 §12.4 and §19), takes repeated NEW_CONNECTION_ID frames out, counts control frames,
/// and fails closed. It is plain C without allocation, clock or globals.
#ifndef LP2P_FRAME_GUARD_H
#define LP2P_FRAME_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "lp2p_ack_log.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Frames per second in the long run, and at once. A rate of 0 a second is no limit.
typedef struct lp2p_rate {
  uint32_t per_second;
  uint32_t burst;
} lp2p_rate;

typedef struct lp2p_frame_guard_limits {
  /// PATH_CHALLENGE, PATH_RESPONSE, NEW_CONNECTION_ID, RETIRE_CONNECTION_ID, NEW_TOKEN, HANDSHAKE_DONE.
  lp2p_rate connection_control;
  /// RESET_STREAM, STOP_SENDING, STREAM without data, MAX_…, …_BLOCKED.
  lp2p_rate stream_control;
  lp2p_rate ping;
  /// The most ranges in one ACK frame, the first one not counted; 0 is no limit.
  uint32_t max_ack_ranges;
} lp2p_frame_guard_limits;

/// The packet number spaces and 0-RTT, as `lp2p_frame_guard_inspect` takes them.
enum {
  LP2P_SPACE_INITIAL = 0,
  LP2P_SPACE_0RTT = 1,
  LP2P_SPACE_HANDSHAKE = 2,
  LP2P_SPACE_1RTT = 3
};

/// The transport error codes (RFC 9000 §20.1) that the guard gives as verdicts.
enum {
  LP2P_VERDICT_PASS = 0x00,
  LP2P_VERDICT_FRAME_ENCODING_ERROR = 0x07,
  LP2P_VERDICT_PROTOCOL_VIOLATION = 0x0a
};

/// What is counted by itself.
enum {
  LP2P_BUCKET_PATH_CHALLENGE = 0,
  LP2P_BUCKET_PATH_RESPONSE,
  LP2P_BUCKET_NEW_CONNECTION_ID,
  LP2P_BUCKET_RETIRE_CONNECTION_ID,
  LP2P_BUCKET_NEW_TOKEN,
  LP2P_BUCKET_HANDSHAKE_DONE,
  LP2P_BUCKET_RESET_STREAM,
  LP2P_BUCKET_STOP_SENDING,
  LP2P_BUCKET_EMPTY_STREAM,
  LP2P_BUCKET_MAX,
  LP2P_BUCKET_BLOCKED,
  LP2P_BUCKET_PING,
  LP2P_BUCKET_COUNT
};

/// Packets with pings that can be on their way at a time.
#define LP2P_PING_SLOTS 8

/// Packets whose acknowledgement is waited for, one at a time of each kind but pings.
enum {
  LP2P_WATCH_PATH_SIZE = 0,
  LP2P_WATCH_PING,
  LP2P_WATCH_COUNT = LP2P_WATCH_PING + LP2P_PING_SLOTS
};

/// A token bucket in its "virtual scheduling" form: one time instead of tokens and a time.
typedef struct lp2p_bucket {
  /// Nanoseconds that one frame costs; 0 is no limit.
  uint64_t cost;
  /// How far, in nanoseconds, `full_at` may lie ahead of now.
  uint64_t tolerance;
  /// When the bucket is full again.
  uint64_t full_at;
} lp2p_bucket;

/// The state of one connection. A plain value; read the fields, do not write them.
typedef struct lp2p_frame_guard {
  lp2p_bucket buckets[LP2P_BUCKET_COUNT];
  uint64_t last_now;
  uint32_t max_ack_ranges;
  /// The largest packet number that an ACK in a 1-RTT packet named; -1 before the first.
  int64_t largest_acked;
  /// All of them.
  lp2p_ack_log acked;
  /// The packet numbers (1-RTT) whose acknowledgement is waited for, -1 for none, and whether it has come.
  int64_t watched[LP2P_WATCH_COUNT];
  uint8_t watched_acked[LP2P_WATCH_COUNT];
  /// The largest Retire Prior To of all NEW_CONNECTION_ID frames.
  uint64_t largest_retire_prior_to;
  /// The largest sequence number of a NEW_CONNECTION_ID frame, and which of the 128 up to it were seen: bit n of
  /// seen[0] is `largest_sequence - n`, bit n of seen[1] is `largest_sequence - 64 - n`.
  uint64_t largest_sequence;
  uint64_t seen[2];
  /// Told of each STOP_SENDING frame, which ngtcp2 answers without a word to us; NULL after init. The packet may still
  /// turn out to be a duplicate, or bad.
  void (*on_stop_sending)(void *context, uint64_t stream, uint64_t code);
  /// The congestion window in bytes, asked for at each PATH_CHALLENGE frame; NULL after init, which passes them all.
  uint64_t (*congestion_window)(void *context);
  void *context;
  /// PATH_CHALLENGE frames handed on since an acknowledgement came for something new, and when the last one was.
  uint32_t challenges;
  uint64_t challenged_at;
  /// Connection IDs that the peer has issued, apart from that of the handshake.
  uint64_t connection_ids;
  /// NEW_CONNECTION_ID and PATH_CHALLENGE frames taken out.
  uint64_t suppressed;
  /// What the connection was closed for, when `lp2p_frame_guard_inspect` said so: the code, the type of the frame
  /// (UINT64_MAX when there was none), and a static English text.
  int verdict;
  uint64_t verdict_frame_type;
  const char *verdict_text;
} lp2p_frame_guard;

/// Waits for the acknowledgement of a packet; -1 for none any more.
void lp2p_frame_guard_watch(lp2p_frame_guard *guard, int slot, int64_t packet_number);

void lp2p_frame_guard_init(lp2p_frame_guard *guard, const lp2p_frame_guard_limits *limits);

/// Looks at the frames of one decrypted packet.
///
/// A repeated NEW_CONNECTION_ID frame whose sequence number lies below the largest Retire Prior To is overwritten with
/// an answer to no challenge (in 0-RTT packets PING) and PADDING, and so is a PATH_CHALLENGE whose answer could fill a congestion window that is nearly empty of anything
/// else; nothing else is changed. Returns 0 when the packet may be handed on, else the transport error code
/// to close the connection with; `guard->verdict_text` then says why. `space` is one of LP2P_SPACE_…; `now` is in
/// nanoseconds, and time that goes backwards counts as standing still.
int lp2p_frame_guard_inspect(lp2p_frame_guard *guard, uint8_t *plaintext, size_t length, int space, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
