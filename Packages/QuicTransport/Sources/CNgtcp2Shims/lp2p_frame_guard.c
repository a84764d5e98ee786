#include "lp2p_frame_guard.h"

#include <string.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)
#define MAX_VARINT ((UINT64_C(1) << 62) - 1)
#define MAX_STREAM_COUNT (UINT64_C(1) << 60) /* RFC 9000 §19.11 */
#define MAX_CID_LENGTH 20
#define RESET_TOKEN_LENGTH 16
#define PATH_DATA_LENGTH 8
/* To what length packets with PATH_CHALLENGE and PATH_RESPONSE are padded (RFC 9000 §8.2.1). */
#define PATH_PACKET_LENGTH 1200
/* Nanoseconds after which an answer to PATH_CHALLENGE counts as lost. */
#define CHALLENGE_PATIENCE UINT64_C(1000000000)

enum {
  FRAME_PADDING = 0x00,
  FRAME_PING = 0x01,
  FRAME_ACK = 0x02,
  FRAME_ACK_ECN = 0x03,
  FRAME_RESET_STREAM = 0x04,
  FRAME_STOP_SENDING = 0x05,
  FRAME_CRYPTO = 0x06,
  FRAME_NEW_TOKEN = 0x07,
  FRAME_STREAM = 0x08,
  FRAME_STREAM_LAST = 0x0f,
  FRAME_MAX_DATA = 0x10,
  FRAME_MAX_STREAM_DATA = 0x11,
  FRAME_MAX_STREAMS_BIDI = 0x12,
  FRAME_MAX_STREAMS_UNI = 0x13,
  FRAME_DATA_BLOCKED = 0x14,
  FRAME_STREAM_DATA_BLOCKED = 0x15,
  FRAME_STREAMS_BLOCKED_BIDI = 0x16,
  FRAME_STREAMS_BLOCKED_UNI = 0x17,
  FRAME_NEW_CONNECTION_ID = 0x18,
  FRAME_RETIRE_CONNECTION_ID = 0x19,
  FRAME_PATH_CHALLENGE = 0x1a,
  FRAME_PATH_RESPONSE = 0x1b,
  FRAME_CONNECTION_CLOSE = 0x1c,
  FRAME_APPLICATION_CLOSE = 0x1d,
  FRAME_HANDSHAKE_DONE = 0x1e,
  FRAME_DATAGRAM = 0x30,
  FRAME_DATAGRAM_LENGTH = 0x31,
};

/* What is left of the packet. */
typedef struct cursor {
  uint8_t *at;
  uint8_t *end;
} cursor;

static size_t left(const cursor *c) { return (size_t)(c->end - c->at); }

/* Reads a variable-length integer (RFC 9000 §16). Returns 0 when the packet ends inside it. */
static int take_varint(cursor *c, uint64_t *value) {
  if (left(c) == 0) return 0;
  size_t length = (size_t)1 << (*c->at >> 6);
  if (left(c) < length) return 0;
  uint64_t v = *c->at & 0x3f;
  for (size_t i = 1; i < length; i++) v = v << 8 | c->at[i];
  c->at += length;
  *value = v;
  return 1;
}

static int skip(cursor *c, uint64_t length) {
  if (length > left(c)) return 0;
  c->at += (size_t)length;
  return 1;
}

static int skip_varints(cursor *c, int count) {
  uint64_t ignored;
  while (count-- > 0) {
    if (!take_varint(c, &ignored)) return 0;
  }
  return 1;
}

static void bucket_init(lp2p_bucket *bucket, const lp2p_rate *rate) {
  bucket->full_at = 0;
  bucket->cost = 0;
  bucket->tolerance = 0;
  if (rate->per_second == 0) return;
  bucket->cost = NANOSECONDS_PER_SECOND / rate->per_second;
  if (bucket->cost == 0) bucket->cost = 1;
  /* At most 2^32 × 10^9, which is below 2^62. */
  bucket->tolerance = bucket->cost * (rate->burst == 0 ? 1 : rate->burst);
}

void lp2p_frame_guard_init(lp2p_frame_guard *guard, const lp2p_frame_guard_limits *limits) {
  memset(guard, 0, sizeof *guard);
  for (int i = 0; i < LP2P_BUCKET_COUNT; i++) {
    const lp2p_rate *rate = &limits->stream_control;
    if (i <= LP2P_BUCKET_HANDSHAKE_DONE) rate = &limits->connection_control;
    if (i == LP2P_BUCKET_PING) rate = &limits->ping;
    bucket_init(&guard->buckets[i], rate);
  }
  guard->max_ack_ranges = limits->max_ack_ranges == 0 ? UINT32_MAX : limits->max_ack_ranges;
  guard->largest_acked = -1;
  lp2p_ack_log_init(&guard->acked);
  for (int i = 0; i < LP2P_WATCH_COUNT; i++) guard->watched[i] = -1;
  guard->seen[0] = 1; /* sequence number 0 is the ID of the handshake */
}

void lp2p_frame_guard_watch(lp2p_frame_guard *guard, int slot, int64_t packet_number) {
  if (slot < 0 || slot >= LP2P_WATCH_COUNT) return;
  guard->watched[slot] = packet_number;
  guard->watched_acked[slot] = 0;
}

static int fail(lp2p_frame_guard *guard, int verdict, uint64_t type, const char *text) {
  guard->verdict = verdict;
  guard->verdict_frame_type = type;
  guard->verdict_text = text;
  return verdict;
}

static int malformed(lp2p_frame_guard *guard, uint64_t type, const char *text) {
  return fail(guard, LP2P_VERDICT_FRAME_ENCODING_ERROR, type, text);
}

static int forbidden(lp2p_frame_guard *guard, uint64_t type, const char *text) {
  return fail(guard, LP2P_VERDICT_PROTOCOL_VIOLATION, type, text);
}

/* Takes one frame out of a bucket. Returns 0 when it has none left. */
static int spend(lp2p_frame_guard *guard, int index) {
  lp2p_bucket *bucket = &guard->buckets[index];
  if (bucket->cost == 0) return 1;
  uint64_t now = guard->last_now;
  if (bucket->full_at < now) bucket->full_at = now;
  if (bucket->full_at - now > bucket->tolerance - bucket->cost) return 0;
  /* Near the end of time the bucket stops refilling instead of wrapping round. */
  bucket->full_at = bucket->full_at > UINT64_MAX - bucket->cost ? UINT64_MAX : bucket->full_at + bucket->cost;
  return 1;
}

/* The spaces a frame type is permitted in, a bit for each of LP2P_SPACE_… (RFC 9000 table 3 and §12.5; DATAGRAM:
   RFC 9221 §4). 0: the type is unknown. */
static unsigned permitted_spaces(uint64_t type) {
  const unsigned initial = 1u << LP2P_SPACE_INITIAL, early = 1u << LP2P_SPACE_0RTT;
  const unsigned handshake = 1u << LP2P_SPACE_HANDSHAKE, data = 1u << LP2P_SPACE_1RTT;
  if (type >= FRAME_STREAM && type <= FRAME_STREAM_LAST) return early | data;
  switch (type) {
  case FRAME_PADDING:
  case FRAME_PING:
  case FRAME_CONNECTION_CLOSE:
    return initial | early | handshake | data;
  case FRAME_ACK:
  case FRAME_ACK_ECN:
  case FRAME_CRYPTO:
    return initial | handshake | data;
  case FRAME_RESET_STREAM:
  case FRAME_STOP_SENDING:
  case FRAME_MAX_DATA:
  case FRAME_MAX_STREAM_DATA:
  case FRAME_MAX_STREAMS_BIDI:
  case FRAME_MAX_STREAMS_UNI:
  case FRAME_DATA_BLOCKED:
  case FRAME_STREAM_DATA_BLOCKED:
  case FRAME_STREAMS_BLOCKED_BIDI:
  case FRAME_STREAMS_BLOCKED_UNI:
  case FRAME_NEW_CONNECTION_ID:
  case FRAME_PATH_CHALLENGE:
  case FRAME_APPLICATION_CLOSE:
  case FRAME_DATAGRAM:
  case FRAME_DATAGRAM_LENGTH:
    return early | data;
  case FRAME_NEW_TOKEN:
  case FRAME_RETIRE_CONNECTION_ID:
  case FRAME_PATH_RESPONSE:
  case FRAME_HANDSHAKE_DONE:
    return data;
  default:
    return 0;
  }
}

/* Packet numbers from `smallest` to `largest` of the 1-RTT space are acknowledged. */
static void note_acked(lp2p_frame_guard *guard, uint64_t smallest, uint64_t largest) {
  for (int i = 0; i < LP2P_WATCH_COUNT; i++) {
    /* No packet number reaches the bit that makes -1 a huge one. */
    uint64_t watched = (uint64_t)guard->watched[i];
    if (watched >= smallest && watched <= largest) guard->watched_acked[i] = 1;
  }
  lp2p_ack_log_note(&guard->acked, (int64_t)smallest, (int64_t)largest);
}

/* ACK (RFC 9000 §19.3): ranges must not reach below packet number 0. */
static int inspect_ack(lp2p_frame_guard *guard, cursor *c, uint64_t type, int space) {
  uint64_t largest, delay, count, range;
  if (!take_varint(c, &largest) || !take_varint(c, &delay) || !take_varint(c, &count) || !take_varint(c, &range)) {
    return malformed(guard, type, "ACK frame is cut short");
  }
  if (range > largest) return malformed(guard, type, "ACK frame acknowledges negative packet numbers");
  /* Each further range takes at least two bytes. */
  if (count > left(c) / 2) return malformed(guard, type, "ACK frame is cut short");
  if (count > guard->max_ack_ranges) return forbidden(guard, type, "ACK frame has too many ranges");
  uint64_t smallest = largest - range;
  if (space == LP2P_SPACE_1RTT) note_acked(guard, smallest, largest);
  for (; count > 0; count--) {
    uint64_t gap;
    if (!take_varint(c, &gap) || !take_varint(c, &range)) return malformed(guard, type, "ACK frame is cut short");
    /* The next range ends at smallest - gap - 2; all terms are below 2^62, so the sums do not wrap. */
    if (gap + 2 > smallest || range > smallest - gap - 2) {
      return malformed(guard, type, "ACK frame acknowledges negative packet numbers");
    }
    uint64_t end = smallest - gap - 2;
    smallest = end - range;
    if (space == LP2P_SPACE_1RTT) note_acked(guard, smallest, end);
  }
  if (type == FRAME_ACK_ECN && !skip_varints(c, 3)) return malformed(guard, type, "ACK frame is cut short");
  if (space == LP2P_SPACE_1RTT && (int64_t)largest > guard->largest_acked) {
    guard->largest_acked = (int64_t)largest;
    guard->challenges = 0;
  }
  return 0;
}

/* STREAM (RFC 9000 §19.8). */
static int inspect_stream(lp2p_frame_guard *guard, cursor *c, uint64_t type) {
  uint64_t offset = 0, length;
  if (!skip_varints(c, 1)) return malformed(guard, type, "STREAM frame is cut short");
  if ((type & 0x04) && !take_varint(c, &offset)) return malformed(guard, type, "STREAM frame is cut short");
  if (type & 0x02) {
    if (!take_varint(c, &length)) return malformed(guard, type, "STREAM frame is cut short");
  } else {
    length = left(c);
  }
  if (!skip(c, length)) return malformed(guard, type, "STREAM frame is cut short");
  if (length > MAX_VARINT - offset) return malformed(guard, type, "STREAM frame ends behind 2^62 - 1");
  if (length == 0 && !spend(guard, LP2P_BUCKET_EMPTY_STREAM)) {
    return forbidden(guard, type, "too many STREAM frames without data");
  }
  return 0;
}

/* Marks a sequence number as handed on. Returns whether it was so before; one that has left the window was. */
static int mark_seen(lp2p_frame_guard *guard, uint64_t sequence) {
  uint64_t *seen = guard->seen;
  if (sequence > guard->largest_sequence) {
    uint64_t shift = sequence - guard->largest_sequence;
    if (shift >= 128) {
      seen[0] = seen[1] = 0;
    } else if (shift >= 64) {
      seen[1] = seen[0] << (shift - 64);
      seen[0] = 0;
    } else {
      seen[1] = seen[1] << shift | seen[0] >> (64 - shift);
      seen[0] <<= shift;
    }
    guard->largest_sequence = sequence;
    seen[0] |= 1;
    return 0;
  }
  uint64_t age = guard->largest_sequence - sequence;
  if (age >= 128) return 1;
  uint64_t bit = UINT64_C(1) << (age & 63);
  int before = (seen[age >> 6] & bit) != 0;
  seen[age >> 6] |= bit;
  return before;
}

/* A frame that is `count` integers, or `bytes` bytes when `count` is 0, and draws on a bucket. */
static int inspect_fixed(lp2p_frame_guard *guard, cursor *c, uint64_t type, int count, size_t bytes, int bucket) {
  if (!skip_varints(c, count) || !skip(c, bytes)) return malformed(guard, type, "frame is cut short");
  if (!spend(guard, bucket)) return forbidden(guard, type, "too many control frames of one type");
  return 0;
}

/* Overwrites the frame that begins at `start`, ends before the cursor and is at least as long as a PATH_RESPONSE.
 *
 * The packet must still ask for an acknowledgement. It must also stay a probe if it was one (RFC 9000 §9.1), or what came to see
 * whether a path works would count as a move to it: so the frame becomes an answer to no challenge, which the library passes
 * over, and PING only where answers are not allowed. */
static void suppress(lp2p_frame_guard *guard, const cursor *c, uint8_t *start, int space) {
  memset(start, FRAME_PADDING, (size_t)(c->at - start));
  *start = space == LP2P_SPACE_1RTT ? FRAME_PATH_RESPONSE : FRAME_PING;
  guard->suppressed++;
}

/* NEW_CONNECTION_ID (RFC 9000 §19.15). `start` is where the frame begins. */
static int inspect_new_connection_id(lp2p_frame_guard *guard, cursor *c, uint8_t *start, int space) {
  const uint64_t type = FRAME_NEW_CONNECTION_ID;
  uint64_t sequence, retire_prior_to;
  if (!take_varint(c, &sequence) || !take_varint(c, &retire_prior_to) || left(c) == 0) {
    return malformed(guard, type, "NEW_CONNECTION_ID frame is cut short");
  }
  uint8_t length = *c->at++;
  if (length == 0 || length > MAX_CID_LENGTH) {
    return malformed(guard, type, "NEW_CONNECTION_ID frame has an ID of an invalid length");
  }
  if (!skip(c, (uint64_t)length + RESET_TOKEN_LENGTH)) {
    return malformed(guard, type, "NEW_CONNECTION_ID frame is cut short");
  }
  if (retire_prior_to > sequence) {
    return malformed(guard, type, "NEW_CONNECTION_ID frame retires the ID that it issues");
  }
  if (!spend(guard, LP2P_BUCKET_NEW_CONNECTION_ID)) {
    return forbidden(guard, type, "too many NEW_CONNECTION_ID frames");
  }
  if (retire_prior_to > guard->largest_retire_prior_to) guard->largest_retire_prior_to = retire_prior_to;
  int is_repeated = mark_seen(guard, sequence);
  if (!is_repeated) guard->connection_ids++;
  if (is_repeated && sequence < guard->largest_retire_prior_to) suppress(guard, c, start, space);
  return 0;
}

/* PATH_CHALLENGE (RFC 9000 §19.17).
 *
 * The packets that answer are 1,200 bytes long and count as in flight, but ngtcp2 has no probe timeout for them. When they fill
 * a congestion window that losses have made small, and their acknowledgements are lost, nothing is ever sent again. So in a
 * window of a few packets one of them is answered until something is acknowledged, or a second is over: the answer may be lost,
 * and the peer repeats its challenge. */
static int inspect_path_challenge(lp2p_frame_guard *guard, cursor *c, uint64_t type, uint8_t *start, int space) {
  int verdict = inspect_fixed(guard, c, type, 0, PATH_DATA_LENGTH, LP2P_BUCKET_PATH_CHALLENGE);
  if (verdict != 0 || guard->congestion_window == NULL) return verdict;
  if (guard->last_now - guard->challenged_at >= CHALLENGE_PATIENCE) guard->challenges = 0;
  uint64_t answers = (uint64_t)guard->challenges + 1;
  if (guard->challenges > 0 && 2 * PATH_PACKET_LENGTH * answers >= guard->congestion_window(guard->context)) {
    suppress(guard, c, start, space);
  } else {
    guard->challenges++;
    guard->challenged_at = guard->last_now;
  }
  return 0;
}

/* CONNECTION_CLOSE (RFC 9000 §19.19). */
static int inspect_close(lp2p_frame_guard *guard, cursor *c, uint64_t type) {
  uint64_t length;
  if (!skip_varints(c, type == FRAME_CONNECTION_CLOSE ? 2 : 1) || !take_varint(c, &length) || !skip(c, length)) {
    return malformed(guard, type, "CONNECTION_CLOSE frame is cut short");
  }
  return 0;
}

/* MAX_STREAMS and STREAMS_BLOCKED (RFC 9000 §19.11, §19.14). */
static int inspect_stream_count(lp2p_frame_guard *guard, cursor *c, uint64_t type, int bucket) {
  uint64_t count;
  if (!take_varint(c, &count)) return malformed(guard, type, "frame is cut short");
  if (count > MAX_STREAM_COUNT) return malformed(guard, type, "frame names more than 2^60 streams");
  if (!spend(guard, bucket)) return forbidden(guard, type, "too many control frames of one type");
  return 0;
}

static int inspect_frame(lp2p_frame_guard *guard, cursor *c, uint64_t type, int space, uint8_t *start) {
  uint64_t first, second;
  if (type >= FRAME_STREAM && type <= FRAME_STREAM_LAST) return inspect_stream(guard, c, type);
  switch (type) {
  case FRAME_PING:
    return inspect_fixed(guard, c, type, 0, 0, LP2P_BUCKET_PING);
  case FRAME_ACK:
  case FRAME_ACK_ECN:
    return inspect_ack(guard, c, type, space);
  case FRAME_RESET_STREAM:
    return inspect_fixed(guard, c, type, 3, 0, LP2P_BUCKET_RESET_STREAM);
  case FRAME_STOP_SENDING:
    if (!take_varint(c, &first) || !take_varint(c, &second)) return malformed(guard, type, "STOP_SENDING frame is cut short");
    if (guard->on_stop_sending != NULL) guard->on_stop_sending(guard->context, first, second);
    return inspect_fixed(guard, c, type, 0, 0, LP2P_BUCKET_STOP_SENDING);
  case FRAME_CRYPTO:
    if (!take_varint(c, &first) || !take_varint(c, &second) || !skip(c, second)) {
      return malformed(guard, type, "CRYPTO frame is cut short");
    }
    if (second > MAX_VARINT - first) return malformed(guard, type, "CRYPTO frame ends behind 2^62 - 1");
    return 0;
  case FRAME_NEW_TOKEN:
    if (!take_varint(c, &first) || !skip(c, first)) return malformed(guard, type, "NEW_TOKEN frame is cut short");
    if (first == 0) return malformed(guard, type, "NEW_TOKEN frame has no token");
    return inspect_fixed(guard, c, type, 0, 0, LP2P_BUCKET_NEW_TOKEN);
  case FRAME_MAX_DATA:
    return inspect_fixed(guard, c, type, 1, 0, LP2P_BUCKET_MAX);
  case FRAME_MAX_STREAM_DATA:
    return inspect_fixed(guard, c, type, 2, 0, LP2P_BUCKET_MAX);
  case FRAME_MAX_STREAMS_BIDI:
  case FRAME_MAX_STREAMS_UNI:
    return inspect_stream_count(guard, c, type, LP2P_BUCKET_MAX);
  case FRAME_DATA_BLOCKED:
    return inspect_fixed(guard, c, type, 1, 0, LP2P_BUCKET_BLOCKED);
  case FRAME_STREAM_DATA_BLOCKED:
    return inspect_fixed(guard, c, type, 2, 0, LP2P_BUCKET_BLOCKED);
  case FRAME_STREAMS_BLOCKED_BIDI:
  case FRAME_STREAMS_BLOCKED_UNI:
    return inspect_stream_count(guard, c, type, LP2P_BUCKET_BLOCKED);
  case FRAME_NEW_CONNECTION_ID:
    return inspect_new_connection_id(guard, c, start, space);
  case FRAME_RETIRE_CONNECTION_ID:
    return inspect_fixed(guard, c, type, 1, 0, LP2P_BUCKET_RETIRE_CONNECTION_ID);
  case FRAME_PATH_CHALLENGE:
    return inspect_path_challenge(guard, c, type, start, space);
  case FRAME_PATH_RESPONSE:
    return inspect_fixed(guard, c, type, 0, PATH_DATA_LENGTH, LP2P_BUCKET_PATH_RESPONSE);
  case FRAME_CONNECTION_CLOSE:
  case FRAME_APPLICATION_CLOSE:
    return inspect_close(guard, c, type);
  case FRAME_HANDSHAKE_DONE:
    return inspect_fixed(guard, c, type, 0, 0, LP2P_BUCKET_HANDSHAKE_DONE);
  case FRAME_DATAGRAM:
    c->at = c->end;
    return 0;
  case FRAME_DATAGRAM_LENGTH:
    if (!take_varint(c, &first) || !skip(c, first)) return malformed(guard, type, "DATAGRAM frame is cut short");
    return 0;
  default:
    return malformed(guard, type, "frame type is unknown");
  }
}

int lp2p_frame_guard_inspect(lp2p_frame_guard *guard, uint8_t *plaintext, size_t length, int space, uint64_t now) {
  if (now > guard->last_now) guard->last_now = now;
  if (space < LP2P_SPACE_INITIAL || space > LP2P_SPACE_1RTT) {
    return forbidden(guard, UINT64_MAX, "packet is of an unknown type");
  }
  /* RFC 9000 §12.4: a payload must have a frame. */
  if (length == 0) return forbidden(guard, UINT64_MAX, "packet has no frames");
  cursor c = {plaintext, plaintext + length};
  while (c.at < c.end) {
    if (*c.at == FRAME_PADDING) {
      c.at++;
      continue;
    }
    uint8_t *start = c.at;
    uint64_t type;
    if (!take_varint(&c, &type)) return malformed(guard, UINT64_MAX, "frame type is cut short");
    unsigned spaces = permitted_spaces(type);
    if (spaces == 0) return malformed(guard, type, "frame type is unknown");
    /* Every known type fits into one byte (RFC 9000 §12.4). */
    if (c.at - start != 1) return forbidden(guard, type, "frame type is not in its shortest form");
    if ((spaces >> space & 1) == 0) return forbidden(guard, type, "frame type is not permitted in this packet type");
    int verdict = inspect_frame(guard, &c, type, space, start);
    if (verdict != 0) return verdict;
  }
  return 0;
}
