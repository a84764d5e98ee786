/// Early data (0-RTT): the transport parameters that a client remembers, and what becomes of a refusal.
#include "lp2p_conn_internal.h"

#if LP2P_LEGACY_NGTCP2
/* What RFC 9000 §7.4.1 has a client remember, and nothing of one connection alone. */
static void remember(ngtcp2_transport_params *kept, const ngtcp2_transport_params *told) {
  ngtcp2_transport_params_default(kept);
  kept->initial_max_streams_bidi = told->initial_max_streams_bidi;
  kept->initial_max_streams_uni = told->initial_max_streams_uni;
  kept->initial_max_stream_data_bidi_local = told->initial_max_stream_data_bidi_local;
  kept->initial_max_stream_data_bidi_remote = told->initial_max_stream_data_bidi_remote;
  kept->initial_max_stream_data_uni = told->initial_max_stream_data_uni;
  kept->initial_max_data = told->initial_max_data;
  kept->active_connection_id_limit = told->active_connection_id_limit;
  kept->max_idle_timeout = told->max_idle_timeout;
  kept->max_udp_payload_size = told->max_udp_payload_size;
  kept->disable_active_migration = told->disable_active_migration;
  kept->max_datagram_frame_size = told->max_datagram_frame_size;
}
#endif

size_t lp2p_conn_early_parameters(lp2p_conn *self, uint8_t *destination, size_t capacity) {
  const ngtcp2_transport_params *told = ngtcp2_conn_get_remote_transport_params(self->conn);
  if (self->is_server || told == NULL) {
    return 0;
  }
#if LP2P_LEGACY_NGTCP2
  ngtcp2_transport_params kept;
  remember(&kept, told);
  ngtcp2_ssize length = ngtcp2_encode_transport_params(
      destination, capacity, NGTCP2_TRANSPORT_PARAMS_TYPE_ENCRYPTED_EXTENSIONS, &kept);
#else
  ngtcp2_ssize length = ngtcp2_conn_encode_0rtt_transport_params(self->conn, destination, capacity);
#endif
  return length > 0 ? (size_t)length : 0;
}

lp2p_status lp2p_conn_set_early_parameters(lp2p_conn *self, const uint8_t *parameters, size_t length) {
  if (self->is_server || ngtcp2_conn_get_remote_transport_params(self->conn) != NULL) {
    return LP2P_INVALID_STATE; /* the library asserts both */
  }
#if LP2P_LEGACY_NGTCP2
  ngtcp2_transport_params decoded, kept;
  int rv = ngtcp2_decode_transport_params(&decoded, NGTCP2_TRANSPORT_PARAMS_TYPE_ENCRYPTED_EXTENSIONS, parameters,
                                          length);
  if (rv == 0) {
    remember(&kept, &decoded);
    ngtcp2_conn_set_early_remote_transport_params(self->conn, &kept);
  }
#else
  int rv = ngtcp2_conn_decode_and_set_0rtt_transport_params(self->conn, parameters, length);
#endif
  self->early_parameters = ngtcp2_conn_get_remote_transport_params(self->conn);
  return lp2p_status_from_library(rv);
}

lp2p_status lp2p_conn_reject_early_data(lp2p_conn *self) {
  /* The owner's data of the streams does not outlive this. */
  lp2p_flush_acknowledged(self);
#if LP2P_LEGACY_NGTCP2
  return lp2p_status_from_library(ngtcp2_conn_early_data_rejected(self->conn));
#else
  return lp2p_status_from_library(ngtcp2_conn_tls_early_data_rejected(self->conn));
#endif
}
