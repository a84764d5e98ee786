#include <stdlib.h>
#include <string.h>

#include "lp2p_qlog_guard.h"

/// The first version that has room for whatever can come.
#define FIRST_SOUND_VERSION 0x011601
#define ROOM 1024

#define PREFERRED_ADDRESS 0x0d

#define TEXT(literal) (sizeof(literal) - 1)
#define HEX(bytes) (2 * (size_t)(bytes))

enum {
  /* The record, but for what differs from server to server. Booleans count as `false`. */
  FRAME = TEXT("\x1e{\"time\":,\"name\":\"transport:parameters_set\",\"data\":{\"owner\":\"remote\","
               "\"initial_source_connection_id\":\"\",\"original_destination_connection_id\":\"\","
               "\"disable_active_migration\":false,\"max_idle_timeout\":,\"max_udp_payload_size\":,"
               "\"ack_delay_exponent\":,\"max_ack_delay\":,\"active_connection_id_limit\":,\"initial_max_data\":,"
               "\"initial_max_stream_data_bidi_local\":,\"initial_max_stream_data_bidi_remote\":,"
               "\"initial_max_stream_data_uni\":,\"initial_max_streams_bidi\":,\"initial_max_streams_uni\":,"
               "\"max_datagram_frame_size\":,\"grease_quic_bit\":false}}\n"),
  RETRY = TEXT("\"retry_source_connection_id\":\"\","),
  RESET_TOKEN = TEXT("\"stateless_reset_token\":{\"data\":\"\"},") + HEX(NGTCP2_STATELESS_RESET_TOKENLEN),
  /* With both addresses and the longest ports. */
  PREFERRED = TEXT(",\"preferred_address\":{\"ip_v4\":\"\",\"port_v4\":65535,\"ip_v6\":\"\",\"port_v6\":65535,"
                   "\"connection_id\":\"\",\"stateless_reset_token\":{\"data\":\"\"}}") +
              HEX(4) + HEX(16) + HEX(NGTCP2_STATELESS_RESET_TOKENLEN),
  /* Milliseconds of a time that the library holds in 64 bits of nanoseconds. */
  TIME_DIGITS = 14,
  /* Below 2^62. */
  DIGITS = 19,
};

/* Without a preferred address the largest values of all others fit: three connection IDs, ten numbers of any size (one of them
   a time), and the two delays, which are bounded. */
_Static_assert(FRAME + RETRY + RESET_TOKEN + 3 * HEX(NGTCP2_MAX_CIDLEN) + 2 * TIME_DIGITS + 9 * DIGITS +
                       TEXT("20") + TEXT("16383") <=
                   ROOM,
               "parameters without preferred_address must fit");

static size_t digits(uint64_t number) {
  size_t count = 1;
  while (number >= 10) {
    number /= 10;
    count++;
  }
  return count;
}

/* Bytes of the record of these parameters, at most. */
static size_t record_length(const ngtcp2_transport_params *parameters) {
  const uint64_t numbers[] = {
      parameters->max_idle_timeout / NGTCP2_MILLISECONDS,
      parameters->max_udp_payload_size,
      parameters->ack_delay_exponent,
      parameters->max_ack_delay / NGTCP2_MILLISECONDS,
      parameters->active_connection_id_limit,
      parameters->initial_max_data,
      parameters->initial_max_stream_data_bidi_local,
      parameters->initial_max_stream_data_bidi_remote,
      parameters->initial_max_stream_data_uni,
      parameters->initial_max_streams_bidi,
      parameters->initial_max_streams_uni,
      parameters->max_datagram_frame_size,
  };
  size_t length = FRAME + TIME_DIGITS + RESET_TOKEN;
  length += HEX(parameters->initial_scid.datalen) + HEX(parameters->original_dcid.datalen);
  if (parameters->retry_scid_present) {
    length += RETRY + HEX(parameters->retry_scid.datalen);
  }
  if (parameters->lp2p_preferred_present) {
    length += PREFERRED + HEX(parameters->lp2p_preferred.cid.datalen);
  }
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    length += digits(numbers[i]);
  }
  return length;
}

/* Reads a variable-length integer (RFC 9000 §16) and returns what is behind it; NULL when the bytes end inside it. */
static const uint8_t *take_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
  size_t length = at < end ? (size_t)1 << (*at >> 6) : 1;
  if ((size_t)(end - at) < length) {
    return NULL;
  }
  *value = *at & 0x3f;
  for (size_t i = 1; i < length; i++) {
    *value = *value << 8 | at[i];
  }
  return at + length;
}

/* Copies the parameters but for preferred_address; returns how many bytes that makes. */
static size_t without_preferred_address(uint8_t *destination, const uint8_t *data, size_t length) {
  const uint8_t *end = data + length;
  size_t kept = 0;
  while (data < end) {
    uint64_t id = 0, size = 0;
    const uint8_t *next = take_varint(data, end, &id);
    next = next == NULL ? NULL : take_varint(next, end, &size);
    next = next == NULL || size > (uint64_t)(end - next) ? end : next + size;
    if (id != PREFERRED_ADDRESS) {
      memcpy(destination + kept, data, (size_t)(next - data));
      kept += (size_t)(next - data);
    }
    data = next;
  }
  return kept;
}

int lp2p_qlog_guard(const uint8_t **data, size_t *length, uint8_t **copy) {
  *copy = NULL;
  if (ngtcp2_version(0)->version_num >= FIRST_SOUND_VERSION) {
    return 0;
  }
  ngtcp2_transport_params parameters;
  int rv = lp2p_decode_server_parameters(&parameters, *data, *length);
  if (rv != 0 || !parameters.lp2p_preferred_present || record_length(&parameters) <= ROOM) {
    return rv;
  }
  *copy = malloc(*length);
  if (*copy == NULL) {
    return NGTCP2_ERR_NOMEM;
  }
  *length = without_preferred_address(*copy, *data, *length);
  *data = *copy;
  return 0;
}
