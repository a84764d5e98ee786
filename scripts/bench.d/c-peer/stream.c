/* Streams: bytes are counted, not looked at, and all that is sent comes from one block. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

/* Where every byte that is sent comes from: it stays, so it may be sent again at any time. */
static uint8_t block[BLOCK_SIZE];

static void enqueue(struct stream *stream) {
    struct conn *conn = stream->conn;
    mark_dirty(conn);
    if (stream->is_queued) return;
    stream->is_queued = true;
    stream->next = NULL;
    if (conn->last != NULL) {
        conn->last->next = stream;
    } else {
        conn->first = stream;
    }
    conn->last = stream;
}

static void dequeue(struct stream *stream) {
    struct conn *conn = stream->conn;
    if (!stream->is_queued) return;
    struct stream *before = NULL;
    for (struct stream *each = conn->first; each != stream; each = each->next) before = each;
    if (before != NULL) {
        before->next = stream->next;
    } else {
        conn->first = stream->next;
    }
    if (conn->last == stream) conn->last = before;
    stream->is_queued = false;
}

struct stream *stream_open(struct conn *conn, uint64_t header) {
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) give_up("memory");
    stream->conn = conn;
    if (ngtcp2_conn_open_bidi_stream(conn->quic, &stream->id, stream) != 0) {
        free(stream);
        return NULL;
    }
    stream->header_length = 8;
    for (int index = 0; index < 8; index++) stream->header[index] = (uint8_t)(header >> (8 * (7 - index)));
    enqueue(stream);
    return stream;
}

void stream_send(struct stream *stream, uint64_t count, bool is_end) {
    stream->to_send += count;
    if (is_end) stream->wants_end = true;
    enqueue(stream);
}

/* Fills one packet from the streams in turn. */
ngtcp2_ssize stream_write_packet(struct conn *conn, ngtcp2_path *path, uint8_t *buffer, size_t room) {
    const bool is_server = conn->endpoint->is_server;
    ngtcp2_pkt_info info;
    while (conn->first != NULL) {
        struct stream *stream = conn->first;
        const size_t header = is_server ? 0 : stream->header_length;
        const size_t ready = stream->to_send < BLOCK_SIZE ? (size_t)stream->to_send : BLOCK_SIZE;
        const bool is_end = stream->wants_end && ready == stream->to_send;
        if (header + ready == 0 && (!is_end || stream->end_sent)) {
            dequeue(stream);
            continue;
        }
        ngtcp2_vec pieces[2];
        size_t count = 0;
        if (header > 0) pieces[count++] = (ngtcp2_vec){.base = stream->header + 8 - header, .len = header};
        if (ready > 0) pieces[count++] = (ngtcp2_vec){.base = block, .len = ready};
        ngtcp2_ssize taken = -1;
        const uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (is_end ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        const ngtcp2_ssize length = ngtcp2_conn_writev_stream(conn->quic, path, &info, buffer, room, &taken, flags,
                                                              stream->id, pieces, count, conn->endpoint->now);
        if (taken >= 0) {
            const size_t of_header = (size_t)taken < header ? (size_t)taken : header;
            if (!is_server) stream->header_length -= (uint8_t)of_header;
            stream->to_send -= (uint64_t)taken - of_header;
            if (is_end && (size_t)taken == header + ready) stream->end_sent = true;
        }
        if (length == NGTCP2_ERR_WRITE_MORE) continue;
        if (length == NGTCP2_ERR_STREAM_DATA_BLOCKED || length == NGTCP2_ERR_STREAM_SHUT_WR ||
            length == NGTCP2_ERR_STREAM_NOT_FOUND) {
            dequeue(stream); /* extend_max_stream_data puts it back */
            continue;
        }
        if (length == 0 && taken < 0 && ngtcp2_conn_get_max_data_left(conn->quic) == 0) break;
        return length;
    }
    return ngtcp2_conn_writev_stream(conn->quic, path, &info, buffer, room, NULL, NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL,
                                     0, conn->endpoint->now);
}

static int on_open(ngtcp2_conn *quic, int64_t id, void *user) {
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NGTCP2_ERR_CALLBACK_FAILURE;
    stream->id = id;
    stream->conn = user;
    return ngtcp2_conn_set_stream_user_data(quic, id, stream);
}

static void serve(struct stream *stream, const uint8_t *data, size_t count, bool is_end) {
    while (count > 0 && stream->header_length < 8) {
        stream->header[stream->header_length++] = *data++;
        count--;
    }
    uint64_t wanted = 0;
    for (int index = 0; index < 8; index++) wanted = wanted << 8 | stream->header[index];
    if (wanted == ECHO_HEADER) {
        if (count > 0 || is_end) stream_send(stream, count, is_end);
    } else if (is_end) {
        stream_send(stream, wanted, true);
    }
}

static int on_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data, size_t count,
                   void *user, void *stream_user) {
    (void)offset;
    (void)user;
    struct stream *stream = stream_user;
    const bool is_end = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    ngtcp2_conn_extend_max_stream_offset(quic, id, count);
    ngtcp2_conn_extend_max_offset(quic, count);
    if (stream == NULL) return 0;
    stream->received += count;
    if (stream->conn->endpoint->is_server) {
        serve(stream, data, count, is_end);
    } else {
        stream->conn->endpoint->events.data(stream, count, is_end);
    }
    return 0;
}

static int on_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream_user) {
    (void)flags;
    (void)id;
    (void)code;
    struct conn *conn = user;
    struct stream *stream = stream_user;
    if (stream == NULL) return 0;
    dequeue(stream);
    if (conn->endpoint->is_server) {
        ngtcp2_conn_extend_max_streams_bidi(quic, 1);
    } else if (conn->endpoint->events.stream_closed != NULL) {
        conn->endpoint->events.stream_closed(stream);
    }
    free(stream);
    return 0;
}

static int on_credit(ngtcp2_conn *quic, int64_t id, uint64_t most, void *user, void *stream_user) {
    (void)quic;
    (void)id;
    (void)most;
    (void)user;
    if (stream_user != NULL) enqueue(stream_user);
    return 0;
}

void stream_callbacks(ngtcp2_callbacks *callbacks) {
    callbacks->stream_open = on_open;
    callbacks->recv_stream_data = on_data;
    callbacks->stream_close = on_close;
    callbacks->extend_max_stream_data = on_credit;
}
