#include <stdlib.h>
#include <string.h>

#include "lp2p_conn_internal.h"
#include "lp2p_packet_protection_internal.h"

/// Bytes of TLS messages a client accepts after the handshake, in all: session tickets are a few hundred each.
#define LP2P_MAX_POST_HANDSHAKE_BYTES 65536
#define LP2P_TLS_NEW_SESSION_TICKET 4
#define LP2P_ALERT_UNEXPECTED_MESSAGE 10
#define LP2P_ALERT_MISSING_EXTENSION 109

/// ngtcp2's encrypt and decrypt callbacks know no connection; they only run inside calls that set this.
static _Thread_local lp2p_conn *current_conn;

void lp2p_set_current(lp2p_conn *conn) { current_conn = conn; }

static int packet_space(const uint8_t *aad, size_t length) {
  if (length < 1 || (aad[0] & 0x80) == 0) {
    return 3;
  }
  int type = (aad[0] >> 4) & 3;
  if (length >= 5) {
    uint32_t version = (uint32_t)aad[1] << 24 | (uint32_t)aad[2] << 16 | (uint32_t)aad[3] << 8 | (uint32_t)aad[4];
    /* RFC 9369 §3.2 rotates the packet types; so did its draft. */
    if (version == 0x6b3343cfu || version == 0x709a50c4u) {
      type = (type + 3) & 3;
    }
  }
  return type; /* 0 Initial, 1 0-RTT, 2 Handshake */
}

/// Whether early data may be read. The owner is asked at the first packet of it: GnuTLS knows the peer of a resumed session
/// only when it is through with the ClientHello, later than it gives the keys.
static int admits_early(lp2p_conn *conn) {
  if (!conn->early_is_judged) {
    conn->early_is_judged = 1;
    conn->drops_early = conn->events.early_keys(conn->owner) != 0;
  }
  return !conn->drops_early;
}

static int on_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *aead_ctx,
                      const uint8_t *ciphertext, size_t ciphertextlen, const uint8_t *nonce, size_t noncelen,
                      const uint8_t *aad, size_t aadlen) {
  int rv = lp2p_protection_decrypt(dest, aead, aead_ctx, ciphertext, ciphertextlen, nonce, noncelen, aad, aadlen);
  lp2p_conn *conn = current_conn;
  if (rv != 0 || conn == NULL || ciphertextlen < aead->max_overhead) {
    return rv;
  }
  int space = packet_space(aad, aadlen);
  if (space == LP2P_SPACE_0RTT && !admits_early(conn)) {
    return NGTCP2_ERR_DECRYPT;
  }
  /* 0-RTT packets share the numbers of the 1-RTT ones. */
  if ((space == LP2P_SPACE_1RTT || space == LP2P_SPACE_0RTT) && aadlen > 0) {
    int64_t number = lp2p_receive_window_number(&conn->received, aad, aadlen);
    if (lp2p_receive_window_note(&conn->received, number) != LP2P_PACKET_NEW) {
      /* Dropped, as the library drops copies. It must not see one that we do not charge: it forgets the numbers of some
         packets that it refuses, so what we take for a copy may be another packet. */
      return NGTCP2_ERR_DECRYPT;
    }
  }
  int verdict =
      lp2p_frame_guard_inspect(&conn->guard, dest, ciphertextlen - aead->max_overhead, space, conn->last_now);
  if (verdict != 0) {
    /* NGTCP2_ERR_DECRYPT would only drop the packet, and the peer would send it for ever. */
    conn->violation = (uint64_t)verdict;
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

/// Reads the number of a 1-RTT packet out of its header, which stands before us unprotected (RFC 9000 §17.3.1): the
/// library does not tell it. Numbers only grow, and by less than what their shortened form can tell apart.
static void note_packet_number(lp2p_conn *conn, const uint8_t *aad, size_t length) {
  size_t number_length = (size_t)(aad[0] & 3) + 1;
  if (length < 1 + number_length) {
    return;
  }
  uint64_t number = 0;
  for (size_t i = length - number_length; i < length; i++) {
    number = number << 8 | aad[i];
  }
  uint64_t window = UINT64_C(1) << (8 * number_length);
  uint64_t next = (uint64_t)(conn->last_packet_number + 1);
  number |= next & ~(window - 1);
  if (number < next) {
    number += window;
  }
  conn->last_packet_number = (int64_t)number;
}

static int on_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *aead_ctx,
                      const uint8_t *plaintext, size_t plaintextlen, const uint8_t *nonce, size_t noncelen,
                      const uint8_t *aad, size_t aadlen) {
  lp2p_conn *conn = current_conn;
  if (conn != NULL && aadlen > 0 && (aad[0] & 0x80) == 0) {
    note_packet_number(conn, aad, aadlen);
  }
  return lp2p_protection_encrypt(dest, aead, aead_ctx, plaintext, plaintextlen, nonce, noncelen, aad, aadlen);
}

/// Takes the next bytes of a ticket, and hands it on when it is whole: GnuTLS need not cope with pieces.
static int collect_ticket(lp2p_conn *conn, const uint8_t *data, size_t length) {
  if (conn->ticket == NULL) {
    return 0;
  }
  memcpy(conn->ticket + conn->ticket_length, data, length);
  conn->ticket_length += length;
  if (conn->message_remaining > 0) {
    return 0;
  }
  conn->events.ticket(conn->owner, conn->ticket, conn->ticket_length);
  int rv = ngtcp2_crypto_read_write_crypto_data(conn->conn, LP2P_LEVEL_1RTT, conn->ticket, conn->ticket_length);
  free(conn->ticket);
  conn->ticket = NULL;
  if (rv != 0) {
    ngtcp2_conn_set_tls_alert(conn->conn, LP2P_ALERT_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
  }
  return 0;
}

/// The header of a ticket is there: makes room for the whole if it is wanted.
static void begin_ticket(lp2p_conn *conn) {
  conn->ticket_length = 0;
  if (conn->tickets_left == 0 || conn->message_remaining == 0 || conn->message_remaining > LP2P_MAX_TICKET_LENGTH) {
    return;
  }
  conn->tickets_left--;
  conn->ticket = malloc(sizeof(conn->message_header) + conn->message_remaining);
  if (conn->ticket != NULL) {
    memcpy(conn->ticket, conn->message_header, sizeof(conn->message_header));
    conn->ticket_length = sizeof(conn->message_header);
  }
}

/// TLS messages after the handshake: tickets are skipped unless they are wanted, everything else is refused and never
/// reaches GnuTLS.
static int post_handshake_message(lp2p_conn *conn, const uint8_t *data, size_t length) {
  if (conn->is_server) {
    ngtcp2_conn_set_tls_alert(conn->conn, LP2P_ALERT_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
  }
  if (length > LP2P_MAX_POST_HANDSHAKE_BYTES - conn->post_handshake_bytes) {
    ngtcp2_conn_set_tls_alert(conn->conn, LP2P_ALERT_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
  }
  conn->post_handshake_bytes += length;
  while (length > 0) {
    if (conn->message_remaining > 0) {
      size_t skipped = length < conn->message_remaining ? length : conn->message_remaining;
      conn->message_remaining -= (uint32_t)skipped;
      int rv = collect_ticket(conn, data, skipped);
      if (rv != 0) {
        return rv;
      }
      data += skipped;
      length -= skipped;
      continue;
    }
    conn->message_header[conn->message_header_length++] = *data++;
    --length;
    if (conn->message_header[0] != LP2P_TLS_NEW_SESSION_TICKET) {
      ngtcp2_conn_set_tls_alert(conn->conn, LP2P_ALERT_UNEXPECTED_MESSAGE);
      return NGTCP2_ERR_CRYPTO;
    }
    if (conn->message_header_length == 4) {
      conn->message_remaining = (uint32_t)conn->message_header[1] << 16 | (uint32_t)conn->message_header[2] << 8 |
                                (uint32_t)conn->message_header[3];
      conn->message_header_length = 0;
      begin_ticket(conn);
    }
  }
  return 0;
}

static int on_recv_crypto_data(ngtcp2_conn *conn, lp2p_level level, uint64_t offset, const uint8_t *data,
                               size_t datalen, void *user_data) {
  if (level == LP2P_LEVEL_1RTT) {
    return post_handshake_message(user_data, data, datalen);
  }
  if (((lp2p_conn *)user_data)->session == NULL) {
    /* The session went when the handshake was confirmed: nobody is there to read more of it. */
    ngtcp2_conn_set_tls_alert(conn, LP2P_ALERT_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
  }
  return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, datalen, user_data);
}

/// Keys are there. A peer without transport parameters would trip an assertion later (guard (c)).
static int on_key(ngtcp2_conn *conn, lp2p_level level, void *user_data) {
  lp2p_conn *self = user_data;
  lp2p_level decisive = self->is_server ? LP2P_LEVEL_HANDSHAKE : LP2P_LEVEL_1RTT;
  if (level == LP2P_LEVEL_0RTT) {
    if (!self->is_server) {
      (void)self->events.early_keys(self->owner);
    }
    return 0;
  }
  const void *parameters = ngtcp2_conn_get_remote_transport_params(conn);
  /* Those that a client remembers stand there until the server's come. */
  if (level == decisive && (parameters == NULL || parameters == self->early_parameters)) {
    self->forced_alert = LP2P_ALERT_MISSING_EXTENSION;
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

static void on_rand(uint8_t *dest, size_t destlen, const ngtcp2_rand_ctx *rand_ctx) {
  lp2p_conn *self = rand_ctx->native_handle;
  self->events.random(self->owner, dest, destlen);
}

static int on_path_challenge_data(ngtcp2_conn *conn, uint8_t *data, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->events.random(self->owner, data, NGTCP2_PATH_CHALLENGE_DATALEN);
  return 0;
}

static int on_new_connection_id(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t cidlen,
                                void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  lp2p_cid fresh = {.length = cidlen};
  if (cidlen > LP2P_MAX_CID_LENGTH || self->events.new_connection_id(self->owner, &fresh, token) != 0) {
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  *cid = lp2p_cid_out(&fresh);
  return 0;
}

static int on_remove_connection_id(ngtcp2_conn *conn, const ngtcp2_cid *cid, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  lp2p_cid retired;
  lp2p_cid_in(&retired, cid);
  self->events.connection_id_retired(self->owner, &retired);
  return 0;
}

static int on_handshake_completed(ngtcp2_conn *conn, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->needs_attention = 1;
  self->events.handshake_completed(self->owner);
  return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *conn, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->needs_attention = 1;
  self->events.handshake_confirmed(self->owner);
  return 0;
}

static int on_stream_open(ngtcp2_conn *conn, int64_t stream_id, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->events.stream_opened(self->owner, stream_id);
  return 0;
}

static int on_recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t stream_id, uint64_t offset,
                               const uint8_t *data, size_t datalen, void *user_data, void *stream_user_data) {
  (void)conn;
  (void)offset;
  lp2p_conn *self = user_data;
  self->events.stream_data(self->owner, stream_id, stream_user_data, data, datalen,
                            (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
  return 0;
}

static int on_acked_stream_data(ngtcp2_conn *conn, int64_t stream_id, uint64_t offset, uint64_t datalen,
                                void *user_data, void *stream_user_data) {
  (void)conn;
  (void)offset;
  lp2p_conn *self = user_data;
  /* One call for each packet that was acknowledged: the owner hears of them together. */
  if (self->acked_stream_data != stream_user_data) {
    lp2p_flush_acknowledged(self);
    self->acked_stream_data = stream_user_data;
    self->acked_stream = stream_id;
  }
  self->acked_length += datalen;
  return 0;
}

void lp2p_flush_acknowledged(lp2p_conn *self) {
  if (self->acked_length > 0 && self->acked_stream_data != NULL) {
    self->events.stream_acked(self->owner, self->acked_stream, self->acked_stream_data, self->acked_length);
  }
  self->acked_stream_data = NULL;
  self->acked_length = 0;
}

static int on_stream_reset(ngtcp2_conn *conn, int64_t stream_id, uint64_t final_size, uint64_t app_error_code,
                           void *user_data, void *stream_user_data) {
  (void)conn;
  (void)final_size;
  lp2p_conn *self = user_data;
  self->events.stream_reset(self->owner, stream_id, stream_user_data, app_error_code);
  return 0;
}

static int on_stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t stream_id, uint64_t app_error_code,
                           void *user_data, void *stream_user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  /* The owner's data of the stream does not outlive this. */
  lp2p_flush_acknowledged(self);
  self->events.stream_closed(self->owner, stream_id, stream_user_data,
                              (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0, app_error_code);
  return 0;
}

static int on_extend_max_stream_data(ngtcp2_conn *conn, int64_t stream_id, uint64_t max_data, void *user_data,
                                     void *stream_user_data) {
  (void)conn;
  (void)max_data;
  lp2p_conn *self = user_data;
  self->events.stream_writable(self->owner, stream_id, stream_user_data);
  return 0;
}

static int on_extend_local_bidi(ngtcp2_conn *conn, uint64_t max_streams, void *user_data) {
  (void)conn;
  (void)max_streams;
  lp2p_conn *self = user_data;
  self->events.streams_available(self->owner, 1);
  return 0;
}

static int on_extend_local_uni(ngtcp2_conn *conn, uint64_t max_streams, void *user_data) {
  (void)conn;
  (void)max_streams;
  lp2p_conn *self = user_data;
  self->events.streams_available(self->owner, 0);
  return 0;
}

static int on_datagram(ngtcp2_conn *conn, uint32_t flags, const uint8_t *data, size_t datalen, void *user_data) {
  (void)conn;
  (void)flags;
  lp2p_conn *self = user_data;
  self->events.datagram(self->owner, data, datalen);
  return 0;
}

static int on_datagram_acked(ngtcp2_conn *conn, uint64_t id, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->events.datagram_outcome(self->owner, id, 1);
  return 0;
}

static int on_datagram_lost(ngtcp2_conn *conn, uint64_t id, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->events.datagram_outcome(self->owner, id, 0);
  return 0;
}

#if LP2P_LEGACY_NGTCP2
static int on_path_validation(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                              ngtcp2_path_validation_result res, void *user_data) {
#else
static int on_path_validation(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                              const ngtcp2_path *old_path, ngtcp2_path_validation_result res, void *user_data) {
  (void)old_path;
#endif
  (void)conn;
  (void)flags;
  lp2p_conn *self = user_data;
  if (res == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
    lp2p_unproved_path_validated(&self->unproved, path);
  }
  self->needs_attention = 1;
  self->events.path_validated(self->owner, res == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS);
  return 0;
}

#if LP2P_LEGACY_NGTCP2
static int on_new_token(ngtcp2_conn *conn, const ngtcp2_vec *token, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->events.new_token(self->owner, token->base, token->len);
  return 0;
}
#else
static int on_new_token(ngtcp2_conn *conn, const uint8_t *token, size_t tokenlen, void *user_data) {
  (void)conn;
  lp2p_conn *self = user_data;
  self->events.new_token(self->owner, token, tokenlen);
  return 0;
}
#endif

static int on_stateless_reset(ngtcp2_conn *conn, const ngtcp2_pkt_stateless_reset *sr, void *user_data) {
  (void)conn;
  (void)sr;
  lp2p_conn *self = user_data;
  self->events.stateless_reset(self->owner);
  return 0;
}

#if !LP2P_LEGACY_NGTCP2
/* ngtcp2 1.11 goes on to count an ID that it has retired while a path is being validated: when a peer moves on request before a
 * move to another port, under the same ID, is validated. The ID that the peer then issues in place of that one is one too many
 * to it, and it would end the connection with CONNECTION_ID_LIMIT_ERROR. So once another ID than the first is in use, and the
 * peer has long read the limit, the library takes two more. It has no room for more than it had, and passes over what
 * does not fit. */
static void allow_for_retired_ids(ngtcp2_conn *conn, lp2p_conn *self) {
  if (self->allows_for_retired_ids) {
    return;
  }
  self->allows_for_retired_ids = 1;
  /* The parameters belong to the connection and are no constant; the library reads this one at every NEW_CONNECTION_ID. */
  ngtcp2_transport_params *parameters = (ngtcp2_transport_params *)ngtcp2_conn_get_local_transport_params(conn);
  parameters->active_connection_id_limit += 2;
}
#endif

#if LP2P_LEGACY_NGTCP2
static int on_dcid_status(ngtcp2_conn *conn, int type, uint64_t seq, const ngtcp2_cid *cid, const uint8_t *token,
                          void *user_data) {
#else
static int on_dcid_status(ngtcp2_conn *conn, ngtcp2_connection_id_status_type type, uint64_t seq,
                          const ngtcp2_cid *cid, const uint8_t *token, void *user_data) {
#endif
  (void)cid;
  lp2p_conn *self = user_data;
  if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
    self->activations++;
  }
#if LP2P_LEGACY_NGTCP2
  (void)conn;
  (void)seq;
#else
  if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE && seq > 0) {
    allow_for_retired_ids(conn, self);
  }
#endif
  if (token != NULL) {
    self->events.reset_token(self->owner, token, type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE);
  }
  return 0;
}

void lp2p_on_stop_sending(void *context, uint64_t stream, uint64_t code) {
  lp2p_conn *self = context;
  self->needs_attention = 1;
  self->events.stream_stopped(self->owner, (int64_t)stream, code);
}

void lp2p_fill_callbacks(ngtcp2_callbacks *callbacks, const lp2p_config *config, int is_server) {
  memset(callbacks, 0, sizeof(*callbacks));
  if (is_server) {
    callbacks->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  } else {
    callbacks->client_initial = ngtcp2_crypto_client_initial_cb;
    callbacks->recv_retry = ngtcp2_crypto_recv_retry_cb;
    callbacks->recv_new_token = on_new_token;
    callbacks->handshake_confirmed = on_handshake_confirmed;
  }
  callbacks->recv_crypto_data = on_recv_crypto_data;
  callbacks->handshake_completed = on_handshake_completed;
  callbacks->encrypt = on_encrypt;
  callbacks->decrypt = on_decrypt;
  callbacks->hp_mask = lp2p_protection_mask;
  callbacks->recv_stream_data = on_recv_stream_data;
  callbacks->acked_stream_data_offset = on_acked_stream_data;
  callbacks->stream_open = on_stream_open;
  callbacks->stream_close = on_stream_close;
  callbacks->recv_stateless_reset = on_stateless_reset;
  callbacks->extend_max_local_streams_bidi = on_extend_local_bidi;
  callbacks->extend_max_local_streams_uni = on_extend_local_uni;
  callbacks->rand = on_rand;
  callbacks->get_new_connection_id = on_new_connection_id;
  callbacks->remove_connection_id = on_remove_connection_id;
  callbacks->dcid_status = on_dcid_status;
  callbacks->update_key = lp2p_protection_update_key;
  callbacks->path_validation = on_path_validation;
  callbacks->stream_reset = on_stream_reset;
  callbacks->extend_max_stream_data = on_extend_max_stream_data;
  callbacks->delete_crypto_aead_ctx = lp2p_protection_delete_aead;
  callbacks->delete_crypto_cipher_ctx = lp2p_protection_delete_cipher;
  if (config->max_datagram_frame_size > 0) {
    callbacks->recv_datagram = on_datagram;
  }
  callbacks->ack_datagram = on_datagram_acked;
  callbacks->lost_datagram = on_datagram_lost;
  callbacks->get_path_challenge_data = on_path_challenge_data;
  callbacks->version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  callbacks->recv_rx_key = on_key;
  callbacks->recv_tx_key = on_key;
}
