#include <stdlib.h>
#include <string.h>

#include "lp2p_conn_internal.h"
#include "lp2p_packet_protection_internal.h"

_Static_assert(sizeof(lp2p_vec) == sizeof(ngtcp2_vec), "lp2p_vec must look like ngtcp2_vec");
_Static_assert(offsetof(lp2p_vec, length) == offsetof(ngtcp2_vec, len), "lp2p_vec must look like ngtcp2_vec");

void lp2p_cid_in(lp2p_cid *destination, const ngtcp2_cid *source) {
  destination->length = source->datalen <= LP2P_MAX_CID_LENGTH ? source->datalen : LP2P_MAX_CID_LENGTH;
  memcpy(destination->bytes, source->data, destination->length);
}

static ngtcp2_conn *connection_of(ngtcp2_crypto_conn_ref *reference) {
  return ((lp2p_conn *)reference->user_data)->conn;
}

static void on_qlog(void *user_data, uint32_t flags, const void *data, size_t length) {
  lp2p_conn *self = user_data;
  self->events.qlog(self->owner, (flags & NGTCP2_QLOG_WRITE_FLAG_FIN) != 0, data, length);
}

static void fill_payload_sizes(ngtcp2_settings *settings, const lp2p_config *config) {
  const int is_fixed = config->udp_payload > NGTCP2_MAX_UDP_PAYLOAD_SIZE;
  if (is_fixed) {
    settings->max_tx_udp_payload_size = config->udp_payload;
    settings->no_tx_udp_payload_size_shaping = 1;
  }
#if LP2P_LEGACY_NGTCP2
  if (is_fixed || config->max_udp_payload <= NGTCP2_MAX_UDP_PAYLOAD_SIZE) {
    settings->no_pmtud = 1;
  } else if (config->max_udp_payload < settings->max_tx_udp_payload_size) {
    /* The first congestion window follows from this one: leave it as it is, or below. */
    settings->max_tx_udp_payload_size = config->max_udp_payload;
  }
#else
  /* Guard (f): no_pmtud stays clear. A server whose peer comes back to the address that it has just left starts discovery
     whatever was set, and asserts that it may. Where nothing is to be discovered, no probe is within the largest size:
     discovery is over as it starts. The default probes are all above 1200; a fixed size needs one that is above any. */
  static const uint16_t beyond_any_size[] = {UINT16_MAX};
  if (is_fixed) {
    settings->pmtud_probes = beyond_any_size;
    settings->pmtud_probeslen = 1;
  } else {
    settings->max_tx_udp_payload_size = config->max_udp_payload;
    settings->pmtud_probes = config->path_sizes;
    settings->pmtud_probeslen = config->path_size_count;
  }
#endif
}

static void fill_settings(lp2p_conn *self, ngtcp2_settings *settings, const lp2p_config *config) {
  ngtcp2_settings_default(settings);
  settings->initial_ts = config->now;
  settings->initial_rtt = config->initial_rtt;
  settings->handshake_timeout = config->handshake_timeout;
  settings->max_window = LP2P_LEGACY_NGTCP2 ? 0 : config->max_window;
  settings->max_stream_window = LP2P_LEGACY_NGTCP2 ? 0 : config->max_stream_window;
  fill_payload_sizes(settings, config);
  switch (config->congestion) {
  case 1:
    settings->cc_algo = NGTCP2_CC_ALGO_RENO;
    break;
  case 2:
    settings->cc_algo = NGTCP2_CC_ALGO_BBR;
    break;
  default:
    settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
  }
  settings->rand_ctx.native_handle = self;
#if LP2P_LEGACY_NGTCP2
  if (config->qlog) {
    settings->qlog.write = on_qlog;
    settings->qlog.odcid = lp2p_cid_out(&config->original_dcid);
  }
  settings->token.base = (uint8_t *)config->token;
  settings->token.len = config->token_length;
#else
  if (config->qlog) {
    settings->qlog_write = on_qlog;
  }
  settings->token = config->token;
  settings->tokenlen = config->token_length;
  if (config->token_length > 0) {
    settings->token_type = config->token_is_retry ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  }
#endif
}

static void fill_parameters(ngtcp2_transport_params *parameters, const lp2p_config *config, int is_server) {
  ngtcp2_transport_params_default(parameters);
  /* The header parser takes a clear fixed bit for no QUIC at all (RFC 9000 §17.2): do not invite peers to clear it. */
  parameters->grease_quic_bit = 0;
  parameters->initial_max_stream_data_bidi_local = config->initial_max_stream_data_local;
  parameters->initial_max_stream_data_bidi_remote = config->initial_max_stream_data_remote;
  parameters->initial_max_stream_data_uni = config->initial_max_stream_data_uni;
  parameters->initial_max_data = config->initial_max_data;
  parameters->initial_max_streams_bidi = config->initial_max_streams_bidi;
  parameters->initial_max_streams_uni = config->initial_max_streams_uni;
  parameters->max_idle_timeout = config->idle_timeout;
  parameters->active_connection_id_limit = config->active_connection_id_limit;
  parameters->max_datagram_frame_size = config->max_datagram_frame_size;
  parameters->max_udp_payload_size = config->max_received_payload;
  parameters->disable_active_migration = LP2P_LEGACY_NGTCP2 || config->pins_peer;
  if (!is_server) {
    return;
  }
  parameters->original_dcid = lp2p_cid_out(&config->original_dcid);
#if !LP2P_LEGACY_NGTCP2
  parameters->original_dcid_present = 1;
#endif
  if (config->has_retry_scid) {
    parameters->retry_scid = lp2p_cid_out(&config->retry_scid);
    parameters->retry_scid_present = 1;
  }
  if (config->has_reset_token) {
    memcpy(parameters->stateless_reset_token, config->reset_token, LP2P_RESET_TOKEN_LENGTH);
    parameters->stateless_reset_token_present = 1;
  }
}

static lp2p_conn *make(const lp2p_config *config, const lp2p_cid *dcid, const lp2p_cid *scid,
                       const void *local, uint32_t local_length, const void *remote,
                       uint32_t remote_length, void *session, const lp2p_events *events, void *owner,
                       lp2p_status *status, int is_server) {
  lp2p_conn *self = calloc(1, sizeof(*self));
  if (self == NULL) {
    *status = LP2P_OUT_OF_MEMORY;
    return NULL;
  }
  self->session = session;
  self->events = *events;
  self->owner = owner;
  self->is_server = (uint8_t)is_server;
  self->logs = config->qlog;
  self->protects_packets = config->protection == LP2P_PROTECTION_IPSEC_MB && lp2p_ipsec_mb_obstacle() == NULL;
  self->tickets_left = config->takes_tickets && !is_server ? LP2P_MAX_TICKETS : 0;
  self->last_now = config->now;
  self->last_packet_number = -1;
  lp2p_frame_guard_init(&self->guard, &config->guard);
  lp2p_receive_window_init(&self->received);
  self->guard.on_stop_sending = lp2p_on_stop_sending;
  self->guard.congestion_window = lp2p_congestion_window;
  self->guard.context = self;
  ngtcp2_path_storage_zero(&self->written_path);
  ngtcp2_path_storage_zero(&self->batch_path);

  ngtcp2_callbacks callbacks;
  lp2p_fill_callbacks(&callbacks, config, is_server);
  ngtcp2_settings settings;
  fill_settings(self, &settings, config);
  ngtcp2_transport_params parameters;
  fill_parameters(&parameters, config, is_server);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_init(&path, local, local_length, remote, remote_length, NULL);
  ngtcp2_path_storage_init(&self->first_path, local, local_length, remote, remote_length, NULL);
  lp2p_unproved_path_init(&self->unproved, &self->first_path.path);
  self->pins_peer = config->pins_peer;
  ngtcp2_cid peer_cid = lp2p_cid_out(dcid);
  ngtcp2_cid own_cid = lp2p_cid_out(scid);

  int rv = is_server ? ngtcp2_conn_server_new(&self->conn, &peer_cid, &own_cid, &path.path, config->version,
                                              &callbacks, &settings, &parameters, NULL, self)
                     : ngtcp2_conn_client_new(&self->conn, &peer_cid, &own_cid, &path.path, config->version,
                                              &callbacks, &settings, &parameters, NULL, self);
  if (rv != 0) {
    *status = lp2p_status_from_library(rv);
    free(self);
    return NULL;
  }
  self->reference.get_conn = connection_of;
  if (lp2p_tls_attach(self) != 0) {
    *status = LP2P_INTERNAL;
    lp2p_conn_delete(self);
    return NULL;
  }
  ngtcp2_conn_set_tls_native_handle(self->conn, self->session);
  lp2p_conn_set_keep_alive(self, config->keep_alive);
  *status = LP2P_OK;
  return self;
}

lp2p_conn *lp2p_conn_client_new(const lp2p_config *config, const lp2p_cid *dcid, const lp2p_cid *scid,
                                const void *local, uint32_t local_length, const void *remote,
                                uint32_t remote_length, void *session, const lp2p_events *events, void *owner,
                                lp2p_status *status) {
  return make(config, dcid, scid, local, local_length, remote, remote_length, session, events, owner, status, 0);
}

lp2p_conn *lp2p_conn_server_new(const lp2p_config *config, const lp2p_cid *dcid, const lp2p_cid *scid,
                                const void *local, uint32_t local_length, const void *remote,
                                uint32_t remote_length, void *session, const lp2p_events *events, void *owner,
                                lp2p_status *status) {
  return make(config, dcid, scid, local, local_length, remote, remote_length, session, events, owner, status, 1);
}

void lp2p_conn_forget_session(lp2p_conn *self) {
  if (self->session == NULL) {
    return;
  }
  gnutls_session_set_ptr(self->session, NULL);
  ngtcp2_conn_set_tls_native_handle(self->conn, NULL);
  self->session = NULL;
}

void lp2p_conn_delete(lp2p_conn *self) {
  if (self == NULL) {
    return;
  }
  lp2p_conn_forget_session(self);
  ngtcp2_conn_del(self->conn);
  lp2p_receive_window_free(&self->received);
  free(self->ticket);
  free(self);
}

/* MARK: reading */

/* Whether a datagram came by a path that it may come by. */
static int is_permitted(const lp2p_conn *self, const ngtcp2_path *path) {
  ngtcp2_path expected = *path;
#if LP2P_LEGACY_NGTCP2
  /* Guard (e): migration retires a connection ID twice and aborts. */
  expected = self->first_path.path;
#else
  if (!self->pins_peer) {
    return 1;
  }
  expected.remote = self->first_path.path.remote;
#endif
  return ngtcp2_path_eq(path, &expected);
}

lp2p_status lp2p_conn_read(lp2p_conn *self, const void *local, uint32_t local_length,
                           const void *remote, uint32_t remote_length, const uint8_t *packet,
                           size_t length, uint8_t ecn, uint64_t now) {
  if (length == 0) {
    return LP2P_DISCARD_PACKET; /* guard (d): the header decoder asserts a byte */
  }
  ngtcp2_path path = {
      .local = {.addr = (struct sockaddr *)local, .addrlen = local_length},
      .remote = {.addr = (struct sockaddr *)remote, .addrlen = remote_length},
  };
  if (!is_permitted(self, &path)) {
    return LP2P_DISCARD_PACKET;
  }
  ngtcp2_pkt_info info = {.ecn = ecn};
  now = lp2p_clamp(self, now);
  lp2p_set_current(self);
  int rv = ngtcp2_conn_read_pkt(self->conn, &path, &info, packet, length, now);
  lp2p_set_current(NULL);
  if (rv == 0 && self->is_server) {
    const ngtcp2_path *current = ngtcp2_conn_get_path(self->conn);
    if (self->unproved.is_active || !ngtcp2_path_eq(current, &self->unproved.proved.path)) {
      uint64_t pto = ngtcp2_conn_get_pto(self->conn);
      uint64_t patience = 3 * (pto > NGTCP2_SECONDS ? pto : NGTCP2_SECONDS);
      lp2p_unproved_path_received(&self->unproved, &path, current, length, patience, now);
    }
  }
  if (rv != 0 && self->violation != 0) {
    return LP2P_GUARD_VIOLATION;
  }
  return lp2p_status_from_library(rv);
}

/* MARK: writing */

void lp2p_conn_begin_batch(lp2p_conn *self) { self->has_batch_path = 0; }

static lp2p_written written(lp2p_conn *self, ngtcp2_ssize n, int64_t accepted, uint8_t ecn) {
  lp2p_written result = {.status = LP2P_OK, .length = 0, .accepted = accepted, .ecn = ecn, .other_path = 0};
  if (n < 0) {
    result.status = lp2p_status_from_library((int)n);
    return result;
  }
  result.length = (size_t)n;
  if (n > 0) {
    lp2p_unproved_path_sent(&self->unproved, &self->written_path.path, (size_t)n);
    if (!self->has_batch_path) {
      ngtcp2_path_copy(&self->batch_path.path, &self->written_path.path);
      self->has_batch_path = 1;
    } else if (!ngtcp2_path_eq(&self->batch_path.path, &self->written_path.path)) {
      result.other_path = 1;
    }
  }
  return result;
}

lp2p_written lp2p_conn_write(lp2p_conn *self, uint8_t *destination, size_t capacity, int64_t stream,
                             const lp2p_vec *data, size_t count, int fin, int more, uint64_t now) {
  ngtcp2_pkt_info info = {.ecn = 0};
  ngtcp2_ssize accepted = -1;
  uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
  if (fin) {
    flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
  }
  if (more) {
    flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
  }
  now = lp2p_clamp(self, now);
  capacity = lp2p_unproved_path_room(&self->unproved, capacity, now);
  lp2p_set_current(self);
  ngtcp2_ssize n =
      ngtcp2_conn_writev_stream(self->conn, &self->written_path.path, &info, destination, capacity, &accepted, flags,
                                stream, (const ngtcp2_vec *)data, count, now);
  lp2p_set_current(NULL);
  return written(self, n, (int64_t)accepted, (uint8_t)info.ecn);
}

lp2p_written lp2p_conn_write_datagram(lp2p_conn *self, uint8_t *destination, size_t capacity, uint64_t id,
                                      const uint8_t *data, size_t length, uint64_t now) {
  ngtcp2_pkt_info info = {.ecn = 0};
  int accepted = 0;
  /* An empty datagram is no vector: the library asserts that none is empty. */
  ngtcp2_vec vector = {.base = (uint8_t *)data, .len = length};
  now = lp2p_clamp(self, now);
  capacity = lp2p_unproved_path_room(&self->unproved, capacity, now);
  lp2p_set_current(self);
  ngtcp2_ssize n =
      ngtcp2_conn_writev_datagram(self->conn, &self->written_path.path, &info, destination, capacity, &accepted,
                                  NGTCP2_WRITE_DATAGRAM_FLAG_NONE, id, &vector, length > 0 ? 1 : 0, now);
  lp2p_set_current(NULL);
  return written(self, n, accepted, (uint8_t)info.ecn);
}

static void give_path(const ngtcp2_path *path, const void **local, uint32_t *local_length,
                      const void **remote, uint32_t *remote_length) {
  *local = path->local.addr;
  *local_length = (uint32_t)path->local.addrlen;
  *remote = path->remote.addr;
  *remote_length = (uint32_t)path->remote.addrlen;
}

void lp2p_conn_last_path(lp2p_conn *self, const void **local, uint32_t *local_length,
                         const void **remote, uint32_t *remote_length) {
  give_path(&self->written_path.path, local, local_length, remote, remote_length);
}

void lp2p_conn_current_path(lp2p_conn *self, const void **local, uint32_t *local_length,
                            const void **remote, uint32_t *remote_length) {
  give_path(ngtcp2_conn_get_path(self->conn), local, local_length, remote, remote_length);
}

void lp2p_conn_burst_sent(lp2p_conn *self, uint64_t now) {
  ngtcp2_conn_update_pkt_tx_time(self->conn, lp2p_clamp(self, now));
}

size_t lp2p_conn_send_quantum(lp2p_conn *self) { return ngtcp2_conn_get_send_quantum(self->conn); }

#if LP2P_LEGACY_NGTCP2
typedef ngtcp2_conn_stat library_info;
#else
typedef ngtcp2_conn_info library_info;
#endif

/* What the library tells of round trips and of congestion: a copy, under the name that its version has for it. */
static library_info read_info(lp2p_conn *self) {
  library_info info;
#if LP2P_LEGACY_NGTCP2
  ngtcp2_conn_get_conn_stat(self->conn, &info);
#else
  ngtcp2_conn_get_conn_info(self->conn, &info);
#endif
  return info;
}

size_t lp2p_conn_path_payload(lp2p_conn *self) {
  size_t size = ngtcp2_conn_get_path_max_tx_udp_payload_size(self->conn);
  /* A size that is fixed by this side is cut to what the peer takes, which the library does not say. */
  const ngtcp2_transport_params *parameters = ngtcp2_conn_get_remote_transport_params(self->conn);
  if (parameters != NULL && parameters->max_udp_payload_size < size) {
    size = (size_t)parameters->max_udp_payload_size;
  }
  return size;
}

uint64_t lp2p_congestion_window(void *context) {
  lp2p_conn *self = context;
  library_info info = read_info(self);
  return info.cwnd;
}

void lp2p_conn_get_pulse(lp2p_conn *self, lp2p_pulse *pulse) {
  library_info info = read_info(self);
  pulse->max_udp_payload = lp2p_conn_path_payload(self);
  pulse->bytes_in_flight = info.bytes_in_flight;
  pulse->largest_acked = self->guard.largest_acked;
  pulse->pto = ngtcp2_conn_get_pto(self->conn);
}

void lp2p_conn_watch(lp2p_conn *self, int slot) {
  lp2p_frame_guard_watch(&self->guard, slot, self->last_packet_number);
}

int lp2p_conn_watch_acked(lp2p_conn *self, int slot) {
  return slot >= 0 && slot < LP2P_WATCH_COUNT && self->guard.watched_acked[slot];
}

/* MARK: time */

uint64_t lp2p_conn_expiry(lp2p_conn *self) { return ngtcp2_conn_get_expiry(self->conn); }

lp2p_status lp2p_conn_handle_expiry(lp2p_conn *self, uint64_t now) {
  return lp2p_status_from_library(ngtcp2_conn_handle_expiry(self->conn, lp2p_clamp(self, now)));
}

uint64_t lp2p_conn_pto(lp2p_conn *self) { return ngtcp2_conn_get_pto(self->conn); }

/* MARK: closing */

lp2p_written lp2p_conn_write_close(lp2p_conn *self, uint8_t *destination, size_t capacity, lp2p_close_kind kind,
                                   uint64_t code, const uint8_t *reason, size_t reason_length, uint64_t now) {
  lp2p_ccerr error;
  lp2p_ccerr_default(&error);
  switch (kind) {
  case LP2P_CLOSE_APPLICATION:
    lp2p_ccerr_set_application(&error, code, (uint8_t *)reason, reason_length);
    break;
  case LP2P_CLOSE_TLS_ALERT:
    lp2p_ccerr_set_alert(&error, (uint8_t)code, (uint8_t *)reason, reason_length);
    break;
  default:
    lp2p_ccerr_set_transport(&error, code, (uint8_t *)reason, reason_length);
  }
  ngtcp2_pkt_info info = {.ecn = 0};
  ngtcp2_ssize n = ngtcp2_conn_write_connection_close(self->conn, &self->written_path.path, &info, destination,
                                                      capacity, &error, lp2p_clamp(self, now));
  return written(self, n, -1, (uint8_t)info.ecn);
}

void lp2p_conn_remote_close(lp2p_conn *self, lp2p_close_kind *kind, uint64_t *code, uint64_t *frame_type,
                            const uint8_t **reason, size_t *reason_length) {
#if LP2P_LEGACY_NGTCP2
  lp2p_ccerr copy;
  ngtcp2_conn_get_connection_close_error(self->conn, &copy);
  const lp2p_ccerr *error = &copy;
#else
  const lp2p_ccerr *error = ngtcp2_conn_get_ccerr(self->conn);
#endif
  switch (error->type) {
  case LP2P_CCERR_APPLICATION:
    *kind = LP2P_CLOSE_APPLICATION;
    break;
  case LP2P_CCERR_TRANSPORT:
    *kind = LP2P_CLOSE_TRANSPORT;
    break;
  case LP2P_CCERR_IDLE:
    *kind = LP2P_CLOSE_IDLE;
    break;
  default:
    *kind = LP2P_CLOSE_OTHER;
  }
  *code = error->error_code;
  *frame_type = error->frame_type;
  *reason = error->reason;
  *reason_length = error->reasonlen;
}

const char *lp2p_conn_violation(const lp2p_conn *self, uint64_t *frame_type) {
  *frame_type = 0;
  if (self->violation == 0) {
    return NULL;
  }
  if (self->guard.verdict_frame_type != UINT64_MAX) {
    *frame_type = self->guard.verdict_frame_type;
  }
  return self->guard.verdict_text;
}

uint64_t lp2p_conn_close_code(lp2p_conn *self, lp2p_status status) {
  if (self->violation != 0) {
    return self->violation;
  }
  if (self->forced_alert != 0) {
    return 0x100u + self->forced_alert;
  }
  uint8_t alert = ngtcp2_conn_get_tls_alert(self->conn);
  if (alert != 0 && (status == LP2P_CRYPTO || status == LP2P_CALLBACK_FAILURE)) {
    return 0x100u + alert;
  }
  switch (status) {
  case LP2P_PROTOCOL_VIOLATION:
  case LP2P_ACK_FRAME:
    return status == LP2P_ACK_FRAME ? NGTCP2_FRAME_ENCODING_ERROR : NGTCP2_PROTOCOL_VIOLATION;
  case LP2P_FLOW_CONTROL:
    return NGTCP2_FLOW_CONTROL_ERROR;
  case LP2P_CONNECTION_ID_LIMIT:
    return NGTCP2_CONNECTION_ID_LIMIT_ERROR;
  case LP2P_STREAM_LIMIT:
    return NGTCP2_STREAM_LIMIT_ERROR;
  case LP2P_FINAL_SIZE:
    return NGTCP2_FINAL_SIZE_ERROR;
  case LP2P_REQUIRED_TRANSPORT_PARAMETER:
  case LP2P_MALFORMED_TRANSPORT_PARAMETER:
  case LP2P_TRANSPORT_PARAMETER:
    return NGTCP2_TRANSPORT_PARAMETER_ERROR;
  case LP2P_FRAME_ENCODING:
    return NGTCP2_FRAME_ENCODING_ERROR;
  case LP2P_STREAM_STATE:
    return NGTCP2_STREAM_STATE_ERROR;
  case LP2P_CRYPTO_BUFFER_EXCEEDED:
    return NGTCP2_CRYPTO_BUFFER_EXCEEDED;
  case LP2P_AEAD_LIMIT_REACHED:
    return NGTCP2_AEAD_LIMIT_REACHED;
  case LP2P_NO_VIABLE_PATH:
    return NGTCP2_NO_VIABLE_PATH;
  case LP2P_VERSION_NEGOTIATION_FAILURE:
    return NGTCP2_VERSION_NEGOTIATION_ERROR;
  default:
    return NGTCP2_INTERNAL_ERROR;
  }
}

/* MARK: streams */

lp2p_status lp2p_conn_open_stream(lp2p_conn *self, int bidirectional, void *stream_user_data, int64_t *stream) {
  int rv = bidirectional ? ngtcp2_conn_open_bidi_stream(self->conn, stream, stream_user_data)
                         : ngtcp2_conn_open_uni_stream(self->conn, stream, stream_user_data);
  return lp2p_status_from_library(rv);
}

void lp2p_conn_set_stream_user_data(lp2p_conn *self, int64_t stream, void *stream_user_data) {
  ngtcp2_conn_set_stream_user_data(self->conn, stream, stream_user_data);
}

lp2p_status lp2p_conn_reset_stream(lp2p_conn *self, int64_t stream, uint64_t code) {
  return lp2p_status_from_library(lp2p_shutdown_write(self->conn, stream, code));
}

lp2p_status lp2p_conn_stop_sending(lp2p_conn *self, int64_t stream, uint64_t code) {
  return lp2p_status_from_library(lp2p_shutdown_read(self->conn, stream, code));
}

lp2p_status lp2p_conn_extend_stream_window(lp2p_conn *self, int64_t stream, uint64_t length) {
  return lp2p_status_from_library(ngtcp2_conn_extend_max_stream_offset(self->conn, stream, length));
}

void lp2p_conn_extend_window(lp2p_conn *self, uint64_t length) {
  ngtcp2_conn_extend_max_offset(self->conn, length);
}

void lp2p_conn_extend_streams(lp2p_conn *self, int bidirectional, size_t count) {
  if (bidirectional) {
    ngtcp2_conn_extend_max_streams_bidi(self->conn, count);
  } else {
    ngtcp2_conn_extend_max_streams_uni(self->conn, count);
  }
}

uint64_t lp2p_conn_max_data_left(lp2p_conn *self) { return ngtcp2_conn_get_max_data_left(self->conn); }

uint64_t lp2p_conn_streams_left(lp2p_conn *self, int bidirectional) {
  return bidirectional ? ngtcp2_conn_get_streams_bidi_left(self->conn)
                       : ngtcp2_conn_get_streams_uni_left(self->conn);
}

/* MARK: paths and figures */

int lp2p_library_migrates(void) { return !LP2P_LEGACY_NGTCP2; }

int lp2p_library_tunes_windows(void) { return !LP2P_LEGACY_NGTCP2; }

uint64_t lp2p_conn_now(const lp2p_conn *self) { return self->last_now; }

uint64_t lp2p_conn_smoothed_rtt(lp2p_conn *self) {
  lp2p_conn_stats stats;
  lp2p_conn_get_stats(self, &stats);
  return stats.smoothed_rtt;
}

int lp2p_conn_peer_forbids_migration(lp2p_conn *self) {
  const ngtcp2_transport_params *parameters = ngtcp2_conn_get_remote_transport_params(self->conn);
  return parameters != NULL && parameters->disable_active_migration;
}

lp2p_status lp2p_conn_migrate(lp2p_conn *self, const void *local, uint32_t local_length, uint64_t now) {
#if LP2P_LEGACY_NGTCP2
  (void)self;
  (void)local;
  (void)local_length;
  (void)now;
  return LP2P_INVALID_STATE;
#else
  if (self->is_server) {
    return LP2P_INVALID_STATE; /* the library asserts a client */
  }
  const ngtcp2_path *current = ngtcp2_conn_get_path(self->conn);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_init(&path, local, local_length, current->remote.addr, current->remote.addrlen, NULL);
  return lp2p_status_from_library(ngtcp2_conn_initiate_migration(self->conn, &path.path, lp2p_clamp(self, now)));
#endif
}

void lp2p_conn_get_stats(lp2p_conn *self, lp2p_conn_stats *stats) {
  library_info info = read_info(self);
  stats->latest_rtt = info.latest_rtt;
  stats->min_rtt = info.min_rtt;
  stats->smoothed_rtt = info.smoothed_rtt;
  stats->rtt_variance = info.rttvar;
  stats->congestion_window = info.cwnd;
  stats->bytes_in_flight = info.bytes_in_flight;
  stats->peer_id_changes = self->activations > 0 ? self->activations - 1 : 0;
  uint64_t issued = self->guard.connection_ids;
  stats->peer_ids_spare = issued > stats->peer_id_changes ? issued - stats->peer_id_changes : 0;
  stats->lost_packets = lp2p_ack_log_lost(&self->guard.acked);
  stats->max_udp_payload = lp2p_conn_path_payload(self);
}

uint64_t lp2p_conn_remote_max_datagram_frame_size(lp2p_conn *self) {
  const ngtcp2_transport_params *parameters = ngtcp2_conn_get_remote_transport_params(self->conn);
  return parameters == NULL ? 0 : parameters->max_datagram_frame_size;
}

uint64_t lp2p_conn_remote_idle_timeout(lp2p_conn *self) {
  const ngtcp2_transport_params *parameters = ngtcp2_conn_get_remote_transport_params(self->conn);
  return parameters == NULL ? 0 : parameters->max_idle_timeout;
}

uint32_t lp2p_conn_negotiated_version(lp2p_conn *self) { return ngtcp2_conn_get_negotiated_version(self->conn); }

void lp2p_conn_set_keep_alive(lp2p_conn *self, uint64_t timeout) {
  self->keep_alive = timeout == 0 ? LP2P_NO_KEEP_ALIVE : timeout;
  ngtcp2_conn_set_keep_alive_timeout(self->conn, self->keep_alive);
}

void lp2p_conn_want_ping(lp2p_conn *self, int wanted) {
  /* A keep-alive that is due is the library's only way to a PING. */
  ngtcp2_conn_set_keep_alive_timeout(self->conn, wanted ? 1 : self->keep_alive);
}

int64_t lp2p_conn_last_packet_number(lp2p_conn *self) { return self->last_packet_number; }

size_t lp2p_datagram_overhead(void) { return 1 + LP2P_MAX_CID_LENGTH + 4 + 1 + 4 + 16; }

lp2p_status lp2p_conn_update_keys(lp2p_conn *self, uint64_t now) {
  return lp2p_status_from_library(ngtcp2_conn_initiate_key_update(self->conn, lp2p_clamp(self, now)));
}
