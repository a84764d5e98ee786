#ifndef LP2P_CONN_INTERNAL_H
#define LP2P_CONN_INTERNAL_H

#include "lp2p_compat.h"
#include "lp2p_conn.h"
#include "lp2p_key_derivation.h"
#include "lp2p_receive_window.h"
#include "lp2p_unproved_path.h"

/// Session tickets that a client hands to GnuTLS on one connection, and the longest of them.
#define LP2P_MAX_TICKETS 4
#define LP2P_MAX_TICKET_LENGTH 8192

struct lp2p_conn {
  /// What GnuTLS's session pointer points to; the helper library's hooks find the connection by it.
  ngtcp2_crypto_conn_ref reference;
  ngtcp2_conn *conn;
  /// NULL once the connection can do without it.
  gnutls_session_t session;
  lp2p_events events;
  void *owner;

  lp2p_frame_guard guard;
  lp2p_receive_window received;
  /// Why a callback of ours failed: the transport error code the peer gets. 0: it did not.
  uint64_t violation;
  /// The alert GnuTLS has no chance to send (guard (c)). 0: none.
  uint8_t forced_alert;
  uint8_t is_server;
  /// Whether the library writes a qlog.
  uint8_t logs;
  /// Whether the packets are protected by us where the cipher suite allows it.
  uint8_t protects_packets;
  /// What the keys of 1-RTT packets are, once they are ours and not the helper library's; a length of 0 before.
  lp2p_suite suite;
  /// Whether the owner was asked about early data, and wants none of it because the sender did not pass.
  uint8_t early_is_judged;
  uint8_t drops_early;
  /// The parameters that a client remembered, as the library keeps them until it has the server's. NULL: none.
  const void *early_parameters;
  /// Guard (b): TLS messages after the handshake, as seen by a client.
  uint8_t message_header[4];
  uint8_t message_header_length;
  uint32_t message_remaining;
  size_t post_handshake_bytes;
  /// The session ticket that is arriving, and how many may still be handed on. NULL: none are wanted, or it is too long.
  uint8_t *ticket;
  size_t ticket_length;
  uint8_t tickets_left;

  /// The clock of this connection never runs backwards: 1.x asserts it.
  uint64_t last_now;

  /// The number of the last 1-RTT packet that was written; -1 before the first.
  int64_t last_packet_number;

  /// How often a connection ID of the peer was put to use.
  uint64_t activations;
  /// What keep-alive is set to while it stands in for a PING on request.
  uint64_t keep_alive;

  /// Set by callbacks: the owner has to look before the next datagram is read.
  uint8_t needs_attention;
  /// Acknowledged bytes of one stream that the owner was not told of. NULL: none.
  void *acked_stream_data;
  int64_t acked_stream;
  uint64_t acked_length;

  ngtcp2_path_storage written_path;
  ngtcp2_path_storage batch_path;
  uint8_t has_batch_path;
  /// The first path. With `pins_peer` set the peer's end stays there; on ngtcp2 0.x both ends do (guard (e)).
  ngtcp2_path_storage first_path;
  uint8_t pins_peer;
  /// Whether the library counts connection IDs more generously than the peer was told.
  uint8_t allows_for_retired_ids;
  lp2p_unproved_path unproved;
};

/// The callbacks of a connection, complete.
void lp2p_fill_callbacks(ngtcp2_callbacks *callbacks, const lp2p_config *config, int is_server);

/// What the frame guard tells of a STOP_SENDING frame.
void lp2p_on_stop_sending(void *context, uint64_t stream, uint64_t code);

/// The congestion window, for the frame guard.
uint64_t lp2p_congestion_window(void *context);

/// Joins the connection with its TLS session. Nonzero fails.
int lp2p_tls_attach(lp2p_conn *conn);

/// Reads one datagram. An empty one is dropped.
lp2p_status lp2p_conn_read(lp2p_conn *conn, const void *local, uint32_t local_length, const void *remote,
                           uint32_t remote_length, const uint8_t *packet, size_t length, uint8_t ecn, uint64_t now);

/// Tells the owner of the acknowledged bytes that were gathered.
void lp2p_flush_acknowledged(lp2p_conn *conn);

/// Marks the connection whose packets the encrypt and decrypt callbacks are about to see (this thread), or none.
void lp2p_set_current(lp2p_conn *conn);

static inline uint64_t lp2p_clamp(lp2p_conn *conn, uint64_t now) {
  if (now > conn->last_now) {
    conn->last_now = now;
  }
  return conn->last_now;
}

static inline ngtcp2_cid lp2p_cid_out(const lp2p_cid *cid) {
  ngtcp2_cid result;
  ngtcp2_cid_init(&result, cid->bytes, cid->length <= LP2P_MAX_CID_LENGTH ? cid->length : LP2P_MAX_CID_LENGTH);
  return result;
}

void lp2p_cid_in(lp2p_cid *destination, const ngtcp2_cid *source);

#endif
