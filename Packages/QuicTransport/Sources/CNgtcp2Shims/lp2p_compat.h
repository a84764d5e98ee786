/// Names that changed between ngtcp2 0.12.1 and 1.x, and nothing else.
#ifndef LP2P_COMPAT_H
#define LP2P_COMPAT_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <gnutls/gnutls.h>

/* It would compile, but what guards against aborts of the library was tried on 0.12.1 and 1.11 only, and no distribution
   that is supported has 1.0. */
#if NGTCP2_VERSION_NUM >= 0x010000 && NGTCP2_VERSION_NUM < 0x010100
#  error "ngtcp2 1.0 is not supported: install 1.11 or later, or 0.12.1 (scripts/setup does)"
#endif

#if NGTCP2_VERSION_NUM < 0x010000
#  define LP2P_LEGACY_NGTCP2 1
#else
#  define LP2P_LEGACY_NGTCP2 0
#endif

/* The keep-alive timeout that sends nothing. The other version's value would mean a PING in every packet. */
#if LP2P_LEGACY_NGTCP2
#  define LP2P_NO_KEEP_ALIVE 0
#else
#  define LP2P_NO_KEEP_ALIVE UINT64_MAX
#endif

#if LP2P_LEGACY_NGTCP2
typedef ngtcp2_crypto_level lp2p_level;
#  define LP2P_LEVEL_0RTT NGTCP2_CRYPTO_LEVEL_EARLY
#  define LP2P_LEVEL_HANDSHAKE NGTCP2_CRYPTO_LEVEL_HANDSHAKE
#  define LP2P_LEVEL_1RTT NGTCP2_CRYPTO_LEVEL_APPLICATION
typedef ngtcp2_connection_close_error lp2p_ccerr;
#  define lp2p_ccerr_default ngtcp2_connection_close_error_default
#  define lp2p_ccerr_set_application ngtcp2_connection_close_error_set_application_error
#  define lp2p_ccerr_set_transport ngtcp2_connection_close_error_set_transport_error
#  define lp2p_ccerr_set_alert ngtcp2_connection_close_error_set_transport_error_tls_alert
#  define LP2P_CCERR_APPLICATION NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION
#  define LP2P_CCERR_TRANSPORT NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_TRANSPORT
#  define LP2P_CCERR_IDLE NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_TRANSPORT_IDLE_CLOSE
#  define lp2p_shutdown_write(conn, id, code) ngtcp2_conn_shutdown_stream_write(conn, id, code)
#  define lp2p_shutdown_read(conn, id, code) ngtcp2_conn_shutdown_stream_read(conn, id, code)
#  define NGTCP2_VERSION_NEGOTIATION_ERROR NGTCP2_VERSION_NEGOTIATION_ERROR_DRAFT
#  define lp2p_set_remote_parameters ngtcp2_conn_decode_remote_transport_params
#  define lp2p_decode_server_parameters(parameters, data, length) \
    ngtcp2_decode_transport_params(parameters, NGTCP2_TRANSPORT_PARAMS_TYPE_ENCRYPTED_EXTENSIONS, data, length)
#  define lp2p_preferred_present preferred_address_present
#  define lp2p_preferred preferred_address
#else
typedef ngtcp2_encryption_level lp2p_level;
#  define LP2P_LEVEL_0RTT NGTCP2_ENCRYPTION_LEVEL_0RTT
#  define LP2P_LEVEL_HANDSHAKE NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE
#  define LP2P_LEVEL_1RTT NGTCP2_ENCRYPTION_LEVEL_1RTT
typedef ngtcp2_ccerr lp2p_ccerr;
#  define lp2p_ccerr_default ngtcp2_ccerr_default
#  define lp2p_ccerr_set_application ngtcp2_ccerr_set_application_error
#  define lp2p_ccerr_set_transport ngtcp2_ccerr_set_transport_error
#  define lp2p_ccerr_set_alert ngtcp2_ccerr_set_tls_alert
#  define LP2P_CCERR_APPLICATION NGTCP2_CCERR_TYPE_APPLICATION
#  define LP2P_CCERR_TRANSPORT NGTCP2_CCERR_TYPE_TRANSPORT
#  define LP2P_CCERR_IDLE NGTCP2_CCERR_TYPE_IDLE_CLOSE
#  define lp2p_shutdown_write(conn, id, code) ngtcp2_conn_shutdown_stream_write(conn, 0, id, code)
#  define lp2p_shutdown_read(conn, id, code) ngtcp2_conn_shutdown_stream_read(conn, 0, id, code)
#  define lp2p_set_remote_parameters ngtcp2_conn_decode_and_set_remote_transport_params
#  define lp2p_decode_server_parameters ngtcp2_transport_params_decode
#  define lp2p_preferred_present preferred_addr_present
#  define lp2p_preferred preferred_addr
#endif

#endif
