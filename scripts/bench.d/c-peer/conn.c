/* One connection: the settings are those of the Swift library's defaults. */
#include "peer.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ngtcp2_conn *quic_of(ngtcp2_crypto_conn_ref *reference) { return ((struct conn *)reference->user_data)->quic; }

static void on_random(uint8_t *bytes, size_t count, const ngtcp2_rand_ctx *context) {
    (void)context;
    (void)gnutls_rnd(GNUTLS_RND_NONCE, bytes, count);
}

/* The slot and the tag find the connection again without any table; a counter makes the ID another one each time. */
static void make_cid(struct conn *conn, ngtcp2_cid *cid) {
    uint8_t bytes[CID_LENGTH];
    memcpy(bytes, &conn->slot, 4);
    memcpy(bytes + 4, &conn->tag, 2);
    memcpy(bytes + 6, &conn->cid_count, 2);
    conn->cid_count++;
    ngtcp2_cid_init(cid, bytes, sizeof bytes);
}

static int on_new_cid(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t length, void *user) {
    (void)quic;
    (void)length;
    make_cid(user, cid);
    return gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_confirmed(ngtcp2_conn *quic, void *user) {
    (void)quic;
    ((struct conn *)user)->was_confirmed = true;
    return 0;
}

static ngtcp2_callbacks callbacks(bool is_server) {
    ngtcp2_callbacks all = {
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .rand = on_random,
        .get_new_connection_id = on_new_cid,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    };
    if (is_server) {
        all.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    } else {
        all.client_initial = ngtcp2_crypto_client_initial_cb;
        all.recv_retry = ngtcp2_crypto_recv_retry_cb;
        /* As a dial of the Swift library does, a client counts only when the server has accepted its certificate. */
        all.handshake_confirmed = on_confirmed;
    }
    stream_callbacks(&all);
    return all;
}

static void fill(ngtcp2_settings *settings, ngtcp2_transport_params *parameters, uint64_t now) {
    static const uint16_t sizes[] = {1406, 1342, 1232, 1444, MAX_PAYLOAD};
    ngtcp2_settings_default(settings);
    settings->initial_ts = now;
    settings->initial_rtt = 100 * NGTCP2_MILLISECONDS;
    settings->handshake_timeout = 10 * NGTCP2_SECONDS;
    settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
    settings->max_window = 15 << 20;
    settings->max_stream_window = 2 << 20;
    settings->max_tx_udp_payload_size = MAX_PAYLOAD;
    settings->pmtud_probes = sizes;
    settings->pmtud_probeslen = sizeof sizes / sizeof *sizes;
    ngtcp2_transport_params_default(parameters);
    parameters->initial_max_stream_data_bidi_local = 64 << 10;
    parameters->initial_max_stream_data_bidi_remote = 64 << 10;
    parameters->initial_max_data = 1 << 20;
    parameters->initial_max_streams_bidi = 1000;
    parameters->max_idle_timeout = 600 * NGTCP2_SECONDS;
    parameters->active_connection_id_limit = 4;
    parameters->grease_quic_bit = 0;
}

static struct conn *make(struct endpoint *endpoint, const struct sockaddr_in *remote) {
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) give_up("memory");
    conn->endpoint = endpoint;
    conn->remote = *remote;
    conn->worker = -1;
    conn->heap_index = SIZE_MAX;
    conn->expiry = UINT64_MAX;
    conn->reference = (ngtcp2_crypto_conn_ref){.get_conn = quic_of, .user_data = conn};
    (void)gnutls_rnd(GNUTLS_RND_NONCE, &conn->tag, sizeof conn->tag);
    adopt(conn);
    conn->tls = tls_session(endpoint, &conn->reference);
    return conn;
}

static ngtcp2_path path_of(struct conn *conn) {
    return (ngtcp2_path){
        .local = {.addr = (ngtcp2_sockaddr *)&conn->endpoint->local, .addrlen = sizeof conn->endpoint->local},
        .remote = {.addr = (ngtcp2_sockaddr *)&conn->remote, .addrlen = sizeof conn->remote},
    };
}

struct conn *conn_dial(struct endpoint *endpoint, const struct sockaddr_in *remote) {
    struct conn *conn = make(endpoint, remote);
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    fill(&settings, &parameters, endpoint->now);
    const ngtcp2_callbacks table = callbacks(false);
    ngtcp2_cid destination, source;
    uint8_t random[18];
    (void)gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof random);
    ngtcp2_cid_init(&destination, random, sizeof random);
    make_cid(conn, &source);
    const ngtcp2_path path = path_of(conn);
    if (ngtcp2_conn_client_new(&conn->quic, &destination, &source, &path, NGTCP2_PROTO_VER_V1, &table, &settings,
                               &parameters, NULL, conn) != 0) {
        give_up("client connection");
    }
    ngtcp2_conn_set_tls_native_handle(conn->quic, conn->tls);
    mark_dirty(conn);
    return conn;
}

struct conn *conn_accept(struct endpoint *endpoint, const ngtcp2_pkt_hd *header, const struct sockaddr_in *remote) {
    struct conn *conn = make(endpoint, remote);
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    fill(&settings, &parameters, endpoint->now);
    parameters.original_dcid = header->dcid;
    parameters.original_dcid_present = 1;
    const ngtcp2_callbacks table = callbacks(true);
    ngtcp2_cid source;
    make_cid(conn, &source);
    const ngtcp2_path path = path_of(conn);
    if (ngtcp2_conn_server_new(&conn->quic, &header->scid, &source, &path, header->version, &table, &settings, &parameters,
                               NULL, conn) != 0) {
        give_up("server connection");
    }
    ngtcp2_conn_set_tls_native_handle(conn->quic, conn->tls);
    conn->original = header->dcid;
    return conn;
}

/* A client cannot go on without one of its connections; a server's come and go. */
static void conn_fail(struct conn *conn, const char *where, int status) {
    conn->is_over = true;
    if (conn->endpoint->is_server) return;
    fprintf(stderr, "c-peer: a connection was lost, %s: %s\n", where, ngtcp2_strerror(status));
    exit(1);
}

void conn_read(struct conn *conn, const struct sockaddr_in *from, const uint8_t *packet, size_t count) {
    (void)from; /* nobody moves here */
    const ngtcp2_path path = path_of(conn);
    const ngtcp2_pkt_info info = {.ecn = 0};
    const int status = ngtcp2_conn_read_pkt(conn->quic, &path, &info, packet, count, conn->endpoint->now);
    if (status != 0 && status != NGTCP2_ERR_DISCARD_PKT) conn_fail(conn, "reading", status);
    mark_dirty(conn);
}

void conn_expire(struct conn *conn) {
    const int status = ngtcp2_conn_handle_expiry(conn->quic, conn->endpoint->now);
    if (status != 0) conn_fail(conn, "a timer", status);
    mark_dirty(conn);
}

void conn_flush(struct conn *conn) {
    struct endpoint *endpoint = conn->endpoint;
    while (!conn->is_over) {
        const size_t quantum = ngtcp2_conn_get_send_quantum(conn->quic);
        size_t count = 0, segment = 0, segments = 0;
        while (segments < MAX_SEGMENTS && (count == 0 || count < quantum)) {
            const size_t room = segments == 0 ? MAX_PAYLOAD : segment;
            if (count + room > BATCH_CAPACITY) break;
            const ngtcp2_ssize length = stream_write_packet(conn, NULL, endpoint->output + count, room);
            if (length < 0) conn_fail(conn, "writing", (int)length);
            if (length <= 0) break;
            if (segments == 0) segment = (size_t)length;
            count += (size_t)length;
            segments++;
            if ((size_t)length < segment) break;
        }
        /* The next stream's turn. */
        struct stream *stream = conn->first;
        if (stream != NULL && stream->next != NULL) {
            conn->first = stream->next;
            conn->last->next = stream;
            conn->last = stream;
            stream->next = NULL;
        }
        if (count == 0) break;
        udp_send(endpoint->socket, endpoint->output, count, segment, endpoint->is_connected ? NULL : &conn->remote);
        ngtcp2_conn_update_pkt_tx_time(conn->quic, endpoint->now);
    }
}

void conn_close(struct conn *conn) {
    uint8_t packet[MAX_PAYLOAD];
    ngtcp2_ccerr error;
    ngtcp2_ccerr_default(&error);
    ngtcp2_ccerr_set_application_error(&error, 0, NULL, 0);
    ngtcp2_pkt_info info;
    const ngtcp2_ssize length =
        ngtcp2_conn_write_connection_close(conn->quic, NULL, &info, packet, sizeof packet, &error, conn->endpoint->now);
    if (length > 0) {
        udp_send(conn->endpoint->socket, packet, (size_t)length, (size_t)length,
                 conn->endpoint->is_connected ? NULL : &conn->remote);
    }
    conn->is_over = true;
}

void conn_free(struct conn *conn) {
    forget(conn);
    ngtcp2_conn_del(conn->quic);
    gnutls_deinit(conn->tls);
    free(conn);
}
