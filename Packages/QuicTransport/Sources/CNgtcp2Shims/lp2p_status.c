#include "lp2p_compat.h"
#include "lp2p_conn.h"

#define LP2P_STATUS_TABLE(X)                                                                                         \
  X(NGTCP2_ERR_INVALID_ARGUMENT, LP2P_INVALID_ARGUMENT, "invalid argument")                                          \
  X(NGTCP2_ERR_NOBUF, LP2P_NO_BUFFER, "buffer too small")                                                            \
  X(NGTCP2_ERR_PROTO, LP2P_PROTOCOL_VIOLATION, "protocol violation")                                                 \
  X(NGTCP2_ERR_INVALID_STATE, LP2P_INVALID_STATE, "invalid state")                                                   \
  X(NGTCP2_ERR_ACK_FRAME, LP2P_ACK_FRAME, "malformed ACK frame")                                                     \
  X(NGTCP2_ERR_STREAM_ID_BLOCKED, LP2P_STREAM_ID_BLOCKED, "no stream credit")                                        \
  X(NGTCP2_ERR_STREAM_IN_USE, LP2P_STREAM_IN_USE, "stream already in use")                                           \
  X(NGTCP2_ERR_STREAM_DATA_BLOCKED, LP2P_STREAM_DATA_BLOCKED, "no flow-control credit for the stream")               \
  X(NGTCP2_ERR_FLOW_CONTROL, LP2P_FLOW_CONTROL, "flow-control limit exceeded")                                       \
  X(NGTCP2_ERR_CONNECTION_ID_LIMIT, LP2P_CONNECTION_ID_LIMIT, "too many connection IDs")                             \
  X(NGTCP2_ERR_STREAM_LIMIT, LP2P_STREAM_LIMIT, "too many streams")                                                  \
  X(NGTCP2_ERR_FINAL_SIZE, LP2P_FINAL_SIZE, "final size of a stream changed")                                        \
  X(NGTCP2_ERR_CRYPTO, LP2P_CRYPTO, "TLS failed")                                                                    \
  X(NGTCP2_ERR_PKT_NUM_EXHAUSTED, LP2P_PACKET_NUMBER_EXHAUSTED, "packet numbers exhausted")                          \
  X(NGTCP2_ERR_REQUIRED_TRANSPORT_PARAM, LP2P_REQUIRED_TRANSPORT_PARAMETER, "transport parameter missing")           \
  X(NGTCP2_ERR_MALFORMED_TRANSPORT_PARAM, LP2P_MALFORMED_TRANSPORT_PARAMETER, "transport parameter malformed")       \
  X(NGTCP2_ERR_FRAME_ENCODING, LP2P_FRAME_ENCODING, "malformed frame")                                               \
  X(NGTCP2_ERR_DECRYPT, LP2P_DECRYPT, "packet could not be decrypted")                                               \
  X(NGTCP2_ERR_STREAM_SHUT_WR, LP2P_STREAM_SHUT_WRITE, "sending half of the stream is closed")                       \
  X(NGTCP2_ERR_STREAM_NOT_FOUND, LP2P_STREAM_NOT_FOUND, "no such stream")                                            \
  X(NGTCP2_ERR_STREAM_STATE, LP2P_STREAM_STATE, "frame not allowed in the state of the stream")                      \
  X(NGTCP2_ERR_RECV_VERSION_NEGOTIATION, LP2P_RECEIVED_VERSION_NEGOTIATION, "peer offers other versions")            \
  X(NGTCP2_ERR_CLOSING, LP2P_CLOSING, "connection is closing")                                                       \
  X(NGTCP2_ERR_DRAINING, LP2P_DRAINING, "connection was closed by the peer")                                         \
  X(NGTCP2_ERR_TRANSPORT_PARAM, LP2P_TRANSPORT_PARAMETER, "bad transport parameter")                                 \
  X(NGTCP2_ERR_DISCARD_PKT, LP2P_DISCARD_PACKET, "packet discarded")                                                 \
  X(NGTCP2_ERR_CONN_ID_BLOCKED, LP2P_CONNECTION_ID_BLOCKED, "no spare connection ID from the peer")                  \
  X(NGTCP2_ERR_INTERNAL, LP2P_INTERNAL, "internal error of the QUIC library")                                        \
  X(NGTCP2_ERR_CRYPTO_BUFFER_EXCEEDED, LP2P_CRYPTO_BUFFER_EXCEEDED, "handshake buffer exceeded")                     \
  X(NGTCP2_ERR_WRITE_MORE, LP2P_WRITE_MORE, "packet has room")                                                       \
  X(NGTCP2_ERR_RETRY, LP2P_RETRY, "address has to be validated")                                                     \
  X(NGTCP2_ERR_DROP_CONN, LP2P_DROP_CONNECTION, "connection dropped")                                                \
  X(NGTCP2_ERR_AEAD_LIMIT_REACHED, LP2P_AEAD_LIMIT_REACHED, "packet protection limit reached")                       \
  X(NGTCP2_ERR_NO_VIABLE_PATH, LP2P_NO_VIABLE_PATH, "no viable path")                                                \
  X(NGTCP2_ERR_VERSION_NEGOTIATION, LP2P_VERSION_NEGOTIATION, "version not supported")                               \
  X(NGTCP2_ERR_HANDSHAKE_TIMEOUT, LP2P_HANDSHAKE_TIMEOUT, "handshake took too long")                                 \
  X(NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE, LP2P_VERSION_NEGOTIATION_FAILURE, "version negotiation failed")          \
  X(NGTCP2_ERR_IDLE_CLOSE, LP2P_IDLE_CLOSE, "idle timeout")                                                          \
  X(NGTCP2_ERR_NOMEM, LP2P_OUT_OF_MEMORY, "out of memory")                                                           \
  X(NGTCP2_ERR_CALLBACK_FAILURE, LP2P_CALLBACK_FAILURE, "callback failed")

lp2p_status lp2p_status_from_library(int error) {
  switch (error) {
  case 0:
    return LP2P_OK;
#define X(number, status, text)                                                                                      \
  case number:                                                                                                       \
    return status;
    LP2P_STATUS_TABLE(X)
#undef X
  default:
    return LP2P_UNKNOWN;
  }
}

const char *lp2p_status_text(lp2p_status status) {
  switch (status) {
  case LP2P_OK:
    return "no error";
#define X(number, status, text)                                                                                      \
  case status:                                                                                                       \
    return text;
    LP2P_STATUS_TABLE(X)
#undef X
  case LP2P_GUARD_VIOLATION:
    return "peer sent a frame it may not send";
  case LP2P_UNKNOWN:
    break;
  }
  return "unknown error of the QUIC library";
}
