/// The one place that knows which ngtcp2 is installed.
///
/// `lp2p_conn` wraps one `ngtcp2_conn` with its callbacks and the guards that keep a hostile peer from making the C
/// library abort. Everything above speaks these types only, so that ngtcp2 0.12.1 and 1.x look alike to Swift.
#ifndef LP2P_CONN_H
#define LP2P_CONN_H

#include <stddef.h>
#include <stdint.h>

#include "lp2p_frame_guard.h"
#include "lp2p_packet_protection.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LP2P_MAX_CID_LENGTH 20
#define LP2P_RESET_TOKEN_LENGTH 16

/// What a call into the library came to. The library's own numbers change between its versions; these do not.
typedef enum lp2p_status {
  LP2P_OK = 0,
  LP2P_INVALID_ARGUMENT,
  LP2P_NO_BUFFER,
  LP2P_PROTOCOL_VIOLATION,
  LP2P_INVALID_STATE,
  LP2P_ACK_FRAME,
  LP2P_STREAM_ID_BLOCKED,
  LP2P_STREAM_IN_USE,
  LP2P_STREAM_DATA_BLOCKED,
  LP2P_FLOW_CONTROL,
  LP2P_CONNECTION_ID_LIMIT,
  LP2P_STREAM_LIMIT,
  LP2P_FINAL_SIZE,
  LP2P_CRYPTO,
  LP2P_PACKET_NUMBER_EXHAUSTED,
  LP2P_REQUIRED_TRANSPORT_PARAMETER,
  LP2P_MALFORMED_TRANSPORT_PARAMETER,
  LP2P_FRAME_ENCODING,
  LP2P_DECRYPT,
  LP2P_STREAM_SHUT_WRITE,
  LP2P_STREAM_NOT_FOUND,
  LP2P_STREAM_STATE,
  LP2P_RECEIVED_VERSION_NEGOTIATION,
  LP2P_CLOSING,
  LP2P_DRAINING,
  LP2P_TRANSPORT_PARAMETER,
  LP2P_DISCARD_PACKET,
  LP2P_CONNECTION_ID_BLOCKED,
  LP2P_INTERNAL,
  LP2P_CRYPTO_BUFFER_EXCEEDED,
  LP2P_WRITE_MORE,
  LP2P_RETRY,
  LP2P_DROP_CONNECTION,
  LP2P_AEAD_LIMIT_REACHED,
  LP2P_NO_VIABLE_PATH,
  LP2P_VERSION_NEGOTIATION,
  LP2P_HANDSHAKE_TIMEOUT,
  LP2P_VERSION_NEGOTIATION_FAILURE,
  LP2P_IDLE_CLOSE,
  LP2P_OUT_OF_MEMORY,
  LP2P_CALLBACK_FAILURE,
  /// The frame guard found a violation; `lp2p_conn_violation` says which.
  LP2P_GUARD_VIOLATION,
  /// A number the table does not have.
  LP2P_UNKNOWN
} lp2p_status;

/// The class of one of the library's own error numbers (negative), total.
lp2p_status lp2p_status_from_library(int error);

/// A static English text for a status.
const char *lp2p_status_text(lp2p_status status);

typedef struct lp2p_cid {
  size_t length;
  uint8_t bytes[LP2P_MAX_CID_LENGTH];
} lp2p_cid;

/// Same layout as `ngtcp2_vec`.
typedef struct lp2p_vec {
  uint8_t *base;
  size_t length;
} lp2p_vec;

typedef struct lp2p_conn lp2p_conn;

/// What the connection tells its owner. Called from inside `lp2p_conn_read_train` and the like: record and return; calling
/// back into the connection is not allowed, except for `lp2p_conn_set_stream_user_data`, and for
/// `lp2p_conn_early_parameters` and `lp2p_conn_reject_early_data` when the handshake completes.
typedef struct lp2p_events {
  void (*random)(void *owner, uint8_t *destination, size_t length);
  /// Fills in a fresh connection ID of `cid->length` bytes with its stateless reset token. Nonzero fails.
  int (*new_connection_id)(void *owner, lp2p_cid *cid, uint8_t *token);
  void (*connection_id_retired)(void *owner, const lp2p_cid *cid);
  void (*handshake_completed)(void *owner);
  void (*handshake_confirmed)(void *owner);
  /// The keys for early data are there: a client may send it, or the first of it has come to a server that has accepted it.
  /// Nonzero drops it.
  int (*early_keys)(void *owner);
  /// A session ticket that is wanted, as a whole TLS message, before GnuTLS gets it.
  void (*ticket)(void *owner, const uint8_t *message, size_t length);
  void (*stream_opened)(void *owner, int64_t stream);
  void (*stream_data)(void *owner, int64_t stream, void *stream_user_data, const uint8_t *data, size_t length,
                      int fin);
  void (*stream_acked)(void *owner, int64_t stream, void *stream_user_data, uint64_t length);
  void (*stream_reset)(void *owner, int64_t stream, void *stream_user_data, uint64_t code);
  /// The peer sent STOP_SENDING. The library, which resets the stream in answer, sees the frame after this call, and
  /// only if the packet is good.
  void (*stream_stopped)(void *owner, int64_t stream, uint64_t code);
  void (*stream_closed)(void *owner, int64_t stream, void *stream_user_data, int has_code, uint64_t code);
  void (*stream_writable)(void *owner, int64_t stream, void *stream_user_data);
  void (*streams_available)(void *owner, int bidirectional);
  void (*datagram)(void *owner, const uint8_t *data, size_t length);
  void (*datagram_outcome)(void *owner, uint64_t id, int acknowledged);
  void (*path_validated)(void *owner, int success);
  void (*new_token)(void *owner, const uint8_t *token, size_t length);
  void (*stateless_reset)(void *owner);
  /// A stateless reset token of the peer (16 bytes) is in use from now on, or no more.
  void (*reset_token)(void *owner, const uint8_t *token, int in_use);
  void (*qlog)(void *owner, int last, const void *data, size_t length);
} lp2p_events;

/// Durations and times are nanoseconds.
typedef struct lp2p_config {
  uint32_t version;
  uint64_t now;
  uint64_t idle_timeout;
  uint64_t initial_rtt; /* what the round trip is taken to be before it is measured */
  uint64_t handshake_timeout;
  uint64_t keep_alive; /* 0: off */
  uint64_t initial_max_data;
  uint64_t initial_max_stream_data_local;
  uint64_t initial_max_stream_data_remote;
  uint64_t initial_max_stream_data_uni;
  uint64_t initial_max_streams_bidi;
  uint64_t initial_max_streams_uni;
  uint64_t max_window;        /* 0: no auto-tuning */
  uint64_t max_stream_window; /* 0: no auto-tuning */
  uint64_t max_datagram_frame_size;
  uint64_t max_received_payload; /* the largest UDP payload that the peer may send, 1200 or more */
  uint64_t active_connection_id_limit;
  /* The size of UDP payloads; up to 1200: start there and discover what the path carries. */
  size_t udp_payload;
  /* The largest payload that discovery may try. ngtcp2 0.x tries none above 1444, whatever is said here. */
  size_t max_udp_payload;
  /* The sizes to try, in this order, each above 1200; copied. Not used by ngtcp2 0.x. */
  const uint16_t *path_sizes;
  size_t path_size_count;
  uint8_t pins_peer;  /* the peer may not move: datagrams from another address of it are dropped */
  uint8_t congestion; /* 0 CUBIC, 1 Reno, 2 BBR */
  /* A lp2p_protection. Where ipsec-mb cannot be used, GnuTLS is. */
  uint8_t protection;
  uint8_t has_retry_scid;
  uint8_t has_reset_token;
  uint8_t qlog;
  uint8_t takes_tickets; /* client: session tickets are handed to GnuTLS */
  uint8_t token_is_retry;
  const uint8_t *token; /* client: to send; server: that was verified. Copied. */
  size_t token_length;
  lp2p_cid original_dcid; /* server; a client gives its first destination ID, for the name of its qlog */
  lp2p_cid retry_scid;    /* server, after a Retry */
  uint8_t reset_token[LP2P_RESET_TOKEN_LENGTH];
  lp2p_frame_guard_limits guard;
} lp2p_config;

/// Addresses are `struct sockaddr`s, as pointers without a type: a Swift module must not take over the system's types.

/// Makes a client. `session` is a `gnutls_session_t` that must outlive the connection; its session pointer slot is
/// taken. `events` is copied, `owner` must outlive the connection. Returns NULL on failure with `*status` set.
lp2p_conn *lp2p_conn_client_new(const lp2p_config *config, const lp2p_cid *dcid, const lp2p_cid *scid,
                                const void *local, uint32_t local_length, const void *remote,
                                uint32_t remote_length, void *session, const lp2p_events *events, void *owner,
                                lp2p_status *status);

/// Makes a server for the client's first Initial; `dcid` is the client's source connection ID.
lp2p_conn *lp2p_conn_server_new(const lp2p_config *config, const lp2p_cid *dcid, const lp2p_cid *scid,
                                const void *local, uint32_t local_length, const void *remote,
                                uint32_t remote_length, void *session, const lp2p_events *events, void *owner,
                                lp2p_status *status);

/// Takes the TLS session away for good, so that its owner may free it. For a connection whose handshake is confirmed and
/// that wants no tickets: packets, key updates and the close need it no more (guard (b)).
void lp2p_conn_forget_session(lp2p_conn *conn);

void lp2p_conn_delete(lp2p_conn *conn);

/// Writes down what a client has to know of a server's transport parameters to send early data on its next connection
/// (RFC 9000 §7.4.1); 256 bytes are enough. Returns the length; 0 on a server, or before they are known.
size_t lp2p_conn_early_parameters(lp2p_conn *conn, uint8_t *destination, size_t capacity);
/// Gives them to the next connection, before anything else is done with it. Streams can be opened from then on.
lp2p_status lp2p_conn_set_early_parameters(lp2p_conn *conn, const uint8_t *parameters, size_t length);
/// The server has refused early data, or none was offered after all: every stream is forgotten, without
/// `stream_closed`, and their numbers begin anew. When the handshake completes.
lp2p_status lp2p_conn_reject_early_data(lp2p_conn *conn);

/// How far a train was read.
typedef struct lp2p_train_read {
  /// Of the last datagram that was read.
  lp2p_status status;
  /// The bytes of those that were read.
  size_t length;
} lp2p_train_read;

/// Feeds datagrams that came together, back to back, each of `segment` bytes but the last. One from another address of a
/// pinned peer is dropped, and on ngtcp2 0.x one from another path.
///
/// Stops behind one that is not good, or that tells of something the owner has to see to before the next: a STOP_SENDING
/// frame, a path that was validated or not, the end of the handshake. Acknowledgements of a stream are told together, at
/// the end.
lp2p_train_read lp2p_conn_read_train(lp2p_conn *conn, const void *local, uint32_t local_length, const void *remote,
                                     uint32_t remote_length, const uint8_t *datagrams, size_t length, size_t segment,
                                     uint8_t ecn, uint64_t now);

/// The result of one write.
typedef struct lp2p_written {
  lp2p_status status;
  /// Bytes put into the destination; 0: nothing to send now.
  size_t length;
  /// Bytes of stream data taken; -1: none, the stream's frame did not get into the packet.
  int64_t accepted;
  uint8_t ecn;
  /// The packet goes to another path than the one before it (since `lp2p_conn_begin_batch`).
  uint8_t other_path;
} lp2p_written;

void lp2p_conn_begin_batch(lp2p_conn *conn);

/// Writes one packet, with data of a stream (`stream` ≥ 0) or without (-1). The data must stay where it is until it is
/// acknowledged or the stream is closed. With `more` set, a packet that has room is kept open
/// (`LP2P_WRITE_MORE`) for another call.
lp2p_written lp2p_conn_write(lp2p_conn *conn, uint8_t *destination, size_t capacity, int64_t stream,
                             const lp2p_vec *data, size_t count, int fin, int more, uint64_t now);

/// What became of a train.
typedef struct lp2p_train_written {
  /// Why it ended, if not for want of room or of bytes: what `lp2p_conn_write` would have said of the packet that it ended
  /// with. `LP2P_WRITE_MORE`: that packet is open, and has taken its bytes.
  lp2p_status status;
  /// Packets, and the bytes of all of them. The last may be short.
  size_t packets;
  size_t length;
  /// Bytes of the stream that were taken, also by a packet that is open or stray.
  size_t accepted;
  /// The bytes of a further packet behind them that goes another way, or with other ECN bits. 0: there is none.
  size_t stray_length;
  uint8_t stray_ecn;
} lp2p_train_written;

/// Writes more packets behind the first of a batch, back to back, `segment` bytes each, out of the data of one stream. Ends
/// early where there are fewer bytes left than a packet is long: the last ones are for `lp2p_conn_write`, which knows of
/// the other streams and of the stream's end.
lp2p_train_written lp2p_conn_write_train(lp2p_conn *conn, uint8_t *destination, size_t segment, size_t most,
                                         int64_t stream, const lp2p_vec *data, size_t count, uint8_t ecn,
                                         uint64_t now);

/// Writes one packet with a DATAGRAM frame. `accepted` is 1 when the frame got in.
lp2p_written lp2p_conn_write_datagram(lp2p_conn *conn, uint8_t *destination, size_t capacity, uint64_t id,
                                      const uint8_t *data, size_t length, uint64_t now);

/// The path of the packet written last.
void lp2p_conn_last_path(lp2p_conn *conn, const void **local, uint32_t *local_length,
                         const void **remote, uint32_t *remote_length);

/// The path in use.
void lp2p_conn_current_path(lp2p_conn *conn, const void **local, uint32_t *local_length,
                            const void **remote, uint32_t *remote_length);

/// Tells the pacer that a burst left at `now`.
void lp2p_conn_burst_sent(lp2p_conn *conn, uint64_t now);
size_t lp2p_conn_send_quantum(lp2p_conn *conn);

/// How the path does: what tells a path that has shrunk.
typedef struct lp2p_pulse {
  /// The largest UDP payload that path MTU discovery has found, or that is used without it, and the peer takes.
  size_t max_udp_payload;
  uint64_t bytes_in_flight;
  /// The largest 1-RTT packet number that the peer has acknowledged; -1 before the first.
  int64_t largest_acked;
  /// The probe timeout in nanoseconds, without backoff (RFC 9002 §6.2.1).
  uint64_t pto;
} lp2p_pulse;

void lp2p_conn_get_pulse(lp2p_conn *conn, lp2p_pulse *pulse);

/// The largest UDP payload that the path in use is believed to carry and the peer takes.
size_t lp2p_conn_path_payload(lp2p_conn *conn);

/// Waits for the acknowledgement of the 1-RTT packet that was written last. `slot` is one of LP2P_WATCH_….
void lp2p_conn_watch(lp2p_conn *conn, int slot);
int lp2p_conn_watch_acked(lp2p_conn *conn, int slot);

/// The next time `lp2p_conn_handle_expiry` wants to be called; UINT64_MAX: never.
uint64_t lp2p_conn_expiry(lp2p_conn *conn);
lp2p_status lp2p_conn_handle_expiry(lp2p_conn *conn, uint64_t now);
uint64_t lp2p_conn_pto(lp2p_conn *conn);

typedef enum lp2p_close_kind {
  LP2P_CLOSE_APPLICATION = 0,
  LP2P_CLOSE_TRANSPORT = 1,
  LP2P_CLOSE_TLS_ALERT = 2,
  LP2P_CLOSE_IDLE = 3,
  LP2P_CLOSE_OTHER = 4
} lp2p_close_kind;

/// Writes a CONNECTION_CLOSE packet; the connection enters its closing period.
lp2p_written lp2p_conn_write_close(lp2p_conn *conn, uint8_t *destination, size_t capacity, lp2p_close_kind kind,
                                   uint64_t code, const uint8_t *reason, size_t reason_length, uint64_t now);

/// The close the peer sent (valid after `LP2P_DRAINING`). The reason points into the connection.
void lp2p_conn_remote_close(lp2p_conn *conn, lp2p_close_kind *kind, uint64_t *code, uint64_t *frame_type,
                            const uint8_t **reason, size_t *reason_length);

/// The transport error code with which a failed read or write has to be answered: the guard's verdict, the TLS
/// alert, or what the library infers from `status`.
uint64_t lp2p_conn_close_code(lp2p_conn *conn, lp2p_status status);

/// What the frame guard found, as a static English text; NULL if it found nothing. `*frame_type` is the type of the frame,
/// 0 if there was none.
const char *lp2p_conn_violation(const lp2p_conn *conn, uint64_t *frame_type);


lp2p_status lp2p_conn_open_stream(lp2p_conn *conn, int bidirectional, void *stream_user_data, int64_t *stream);
void lp2p_conn_set_stream_user_data(lp2p_conn *conn, int64_t stream, void *stream_user_data);
lp2p_status lp2p_conn_reset_stream(lp2p_conn *conn, int64_t stream, uint64_t code);
lp2p_status lp2p_conn_stop_sending(lp2p_conn *conn, int64_t stream, uint64_t code);
lp2p_status lp2p_conn_extend_stream_window(lp2p_conn *conn, int64_t stream, uint64_t length);
void lp2p_conn_extend_window(lp2p_conn *conn, uint64_t length);
void lp2p_conn_extend_streams(lp2p_conn *conn, int bidirectional, size_t count);
/// What the connection's flow control still lets out.
uint64_t lp2p_conn_max_data_left(lp2p_conn *conn);
uint64_t lp2p_conn_streams_left(lp2p_conn *conn, int bidirectional);

/// Whether the installed library can move connections to other paths safely: ngtcp2 0.x cannot.
int lp2p_library_migrates(void);
/// Whether the library can be trusted to let windows grow: ngtcp2 0.x cannot, and is never told to.
int lp2p_library_tunes_windows(void);
/// The last time that the connection was told, and its smoothed round-trip time, in nanoseconds.
uint64_t lp2p_conn_now(const lp2p_conn *conn);
uint64_t lp2p_conn_smoothed_rtt(lp2p_conn *conn);
/// Whether the peer asked not to be migrated to (RFC 9000 §18.2, disable_active_migration).
int lp2p_conn_peer_forbids_migration(lp2p_conn *conn);

/// Moves the connection of a client to another local address, once the path is validated. `LP2P_INVALID_STATE` on a
/// server, before the handshake is confirmed, where the peer forbids it or the installed library cannot do it safely.
lp2p_status lp2p_conn_migrate(lp2p_conn *conn, const void *local, uint32_t local_length, uint64_t now);

typedef struct lp2p_conn_stats {
  uint64_t latest_rtt;
  uint64_t min_rtt;
  uint64_t smoothed_rtt;
  uint64_t rtt_variance;
  uint64_t congestion_window;
  uint64_t bytes_in_flight;
  size_t max_udp_payload;
  /// 1-RTT packets without an acknowledgement although one sent three or more later has one.
  uint64_t lost_packets;
  /// Connection IDs of the peer: how often another one was put to use, and how many are spare.
  uint64_t peer_id_changes;
  uint64_t peer_ids_spare;
} lp2p_conn_stats;

void lp2p_conn_get_stats(lp2p_conn *conn, lp2p_conn_stats *stats);

/// The peer's limits, once known: largest datagram frame, UDP payload; 0 before.
uint64_t lp2p_conn_remote_max_datagram_frame_size(lp2p_conn *conn);
/// The idle timeout that the peer asks for; 0: none, or not known yet.
uint64_t lp2p_conn_remote_idle_timeout(lp2p_conn *conn);
uint32_t lp2p_conn_negotiated_version(lp2p_conn *conn);
/// Writes packets with another key from now on (RFC 9001 §6). `LP2P_INVALID_STATE` before the handshake is confirmed and
/// while the last update is not acknowledged.
lp2p_status lp2p_conn_update_keys(lp2p_conn *conn, uint64_t now);
/// What protects 1-RTT packets; GnuTLS until there are keys for them.
lp2p_protection lp2p_conn_protection(const lp2p_conn *conn);
/// Makes the next packet one that asks for an acknowledgement, until it is called with 0. For a PING on request.
void lp2p_conn_want_ping(lp2p_conn *conn, int wanted);
/// The number of the last 1-RTT packet that was written; -1 before the first.
int64_t lp2p_conn_last_packet_number(lp2p_conn *conn);
/// What a 1-RTT packet holds besides a DATAGRAM frame's bytes, at most: header, number, type, length, tag.
size_t lp2p_datagram_overhead(void);
void lp2p_conn_set_keep_alive(lp2p_conn *conn, uint64_t timeout);

/// What an unknown datagram that looks like a client's first Initial says.
typedef struct lp2p_accept {
  lp2p_cid dcid;
  lp2p_cid scid;
  uint32_t version;
  const uint8_t *token; /* points into the datagram */
  size_t token_length;
} lp2p_accept;

/// Checks whether a datagram can open a connection. The datagram must not be empty.
lp2p_status lp2p_accept_initial(const uint8_t *packet, size_t length, lp2p_accept *accept);

/// What the token in a client's first Initial looks like.
typedef enum lp2p_token_kind {
  LP2P_TOKEN_NONE = 0, /* none, or not one of ours */
  LP2P_TOKEN_RETRY,
  LP2P_TOKEN_ADDRESS
} lp2p_token_kind;

/// What kind of token an Initial bears. Says nothing about whether it is valid.
lp2p_token_kind lp2p_accept_token_kind(const lp2p_accept *accept);

/// What tokens are sealed and checked with. They are bound to the client's address: a Retry's token to its port too.
typedef struct lp2p_token_context {
  const uint8_t *secret;
  size_t secret_length;
  const void *remote; /* struct sockaddr */
  uint32_t remote_length;
  uint64_t now;
} lp2p_token_context;

/// Room for a Retry packet, and for a token, of ours.
#define LP2P_MAX_RETRY_LENGTH 256
#define LP2P_MAX_TOKEN_LENGTH 128

/// Writes a Retry packet (RFC 9000 §17.2.5) that asks the client to come back with a token, to the connection ID
/// `source`. Returns the length, 0 on failure.
size_t lp2p_write_retry(uint8_t *destination, size_t capacity, const lp2p_accept *accept, const lp2p_cid *source,
                        const lp2p_token_context *context);

/// Checks the token that a Retry gave out at most `lifetime` nanoseconds ago. Returns 1 and the client's first
/// destination connection ID if it is valid, else 0.
int lp2p_check_retry_token(const lp2p_accept *accept, const lp2p_token_context *context, uint64_t lifetime,
                           lp2p_cid *original);

/// Writes a token for a NEW_TOKEN frame. Returns the length, 0 on failure.
size_t lp2p_write_address_token(uint8_t *destination, size_t capacity, const lp2p_token_context *context);

/// Whether a NEW_TOKEN frame gave the token to this address at most `lifetime` nanoseconds ago.
int lp2p_check_address_token(const lp2p_accept *accept, const lp2p_token_context *context, uint64_t lifetime);

/// Has a server send a token in a NEW_TOKEN frame. The token is copied.
lp2p_status lp2p_conn_submit_token(lp2p_conn *conn, const uint8_t *token, size_t length);

/// Whether an Initial of version 1 or 2 and of at most 1,500 bytes opens under its keys: a client wrote it and nothing damaged it on the
/// way. Opens it by itself, for those who get no connection.
int lp2p_initial_is_intact(const uint8_t *packet, size_t length);

/// Writes a CONNECTION_CLOSE in an Initial packet in answer to a refused client. Returns the length, 0 on failure.
size_t lp2p_write_refusal(uint8_t *destination, size_t capacity, const lp2p_accept *accept, uint64_t code);


int lp2p_version_is_supported(uint32_t version);
/// The version of the library at run time, such as "1.11.0".
const char *lp2p_library_version(void);
/// Whether the library tells peers that they may clear the fixed bit (RFC 9287), whatever it is told: ngtcp2 0.x does.
int lp2p_peers_may_clear_fixed_bit(void);

#ifdef __cplusplus
}
#endif

#endif
