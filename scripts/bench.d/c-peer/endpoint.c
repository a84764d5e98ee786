/* The loop, and which datagram belongs to which connection. */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Receives this often before it answers: as much as a full socket buffer holds would let the sender wait. */
#define READS_PER_TURN 8

uint64_t read_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NGTCP2_SECONDS + (uint64_t)now.tv_nsec;
}

void give_up(const char *what) {
    perror(what);
    exit(1);
}

struct endpoint *endpoint_new(bool is_server, uint16_t port, const struct sockaddr_in *remote) {
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL) give_up("memory");
    endpoint->is_server = is_server;
    endpoint->is_connected = remote != NULL;
    endpoint->now = read_clock();
    endpoint->local = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    endpoint->local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    endpoint->socket = udp_open(&endpoint->local, remote);
    tls_prepare(endpoint);
    return endpoint;
}

/* MARK: timers, in a heap whose top comes first */

static void put(struct endpoint *endpoint, size_t index, struct conn *conn) {
    endpoint->heap[index] = conn;
    conn->heap_index = index;
}

static void sift(struct endpoint *endpoint, size_t index) {
    struct conn *conn = endpoint->heap[index];
    while (index > 0 && endpoint->heap[(index - 1) / 2]->expiry > conn->expiry) {
        put(endpoint, index, endpoint->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= endpoint->heap_count) break;
        if (child + 1 < endpoint->heap_count && endpoint->heap[child + 1]->expiry < endpoint->heap[child]->expiry) child++;
        if (endpoint->heap[child]->expiry >= conn->expiry) break;
        put(endpoint, index, endpoint->heap[child]);
        index = child;
    }
    put(endpoint, index, conn);
}

/* MARK: connections */

void adopt(struct conn *conn) {
    struct endpoint *endpoint = conn->endpoint;
    if (endpoint->free_count == 0) {
        const uint32_t before = endpoint->slot_count, after = before == 0 ? 64 : before * 2;
        endpoint->slots = realloc(endpoint->slots, after * sizeof *endpoint->slots);
        endpoint->heap = realloc(endpoint->heap, after * sizeof *endpoint->heap);
        endpoint->free_slots = realloc(endpoint->free_slots, after * sizeof *endpoint->free_slots);
        if (endpoint->slots == NULL || endpoint->heap == NULL || endpoint->free_slots == NULL) give_up("memory");
        for (uint32_t slot = before; slot < after; slot++) {
            endpoint->slots[slot] = NULL;
            endpoint->free_slots[endpoint->free_count++] = slot;
        }
        endpoint->slot_count = after;
    }
    conn->slot = endpoint->free_slots[--endpoint->free_count];
    endpoint->slots[conn->slot] = conn;
    put(endpoint, endpoint->heap_count++, conn);
}

static struct conn **bucket(struct endpoint *endpoint, const uint8_t *cid) {
    uint16_t hash;
    memcpy(&hash, cid, sizeof hash);
    return &endpoint->originals[hash % ORIGINAL_BUCKETS];
}

void forget(struct conn *conn) {
    struct endpoint *endpoint = conn->endpoint;
    endpoint->slots[conn->slot] = NULL;
    endpoint->free_slots[endpoint->free_count++] = conn->slot;
    struct conn *moved = endpoint->heap[--endpoint->heap_count];
    if (moved != conn) {
        put(endpoint, conn->heap_index, moved);
        sift(endpoint, moved->heap_index);
    }
    if (conn->original.datalen == 0) return;
    struct conn **place = bucket(endpoint, conn->original.data);
    while (*place != NULL && *place != conn) place = &(*place)->next_original;
    if (*place != NULL) *place = conn->next_original;
}

void mark_dirty(struct conn *conn) {
    if (conn->is_dirty) return;
    conn->is_dirty = true;
    conn->next_dirty = conn->endpoint->dirty;
    conn->endpoint->dirty = conn;
}

/* MARK: reading */

static struct conn *find(struct endpoint *endpoint, const uint8_t *cid, size_t length) {
    if (length == CID_LENGTH) {
        uint32_t slot;
        uint16_t tag;
        memcpy(&slot, cid, 4);
        memcpy(&tag, cid + 4, 2);
        struct conn *conn = slot < endpoint->slot_count ? endpoint->slots[slot] : NULL;
        return conn != NULL && conn->tag == tag ? conn : NULL;
    }
    if (length < 8) return NULL;
    for (struct conn *each = *bucket(endpoint, cid); each != NULL; each = each->next_original) {
        if (each->original.datalen == length && memcmp(each->original.data, cid, length) == 0) return each;
    }
    return NULL;
}

static void route(struct endpoint *endpoint, const struct sockaddr_in *from, const uint8_t *packet, size_t count) {
    ngtcp2_version_cid ids;
    if (ngtcp2_pkt_decode_version_cid(&ids, packet, count, CID_LENGTH) != 0) return;
    struct conn *conn = find(endpoint, ids.dcid, ids.dcidlen);
    if (conn == NULL && endpoint->is_server) {
        ngtcp2_pkt_hd header;
        if (ngtcp2_accept(&header, packet, count) != 0) return;
        conn = conn_accept(endpoint, &header, from);
        struct conn **place = bucket(endpoint, header.dcid.data);
        conn->next_original = *place;
        *place = conn;
    }
    if (conn != NULL && !conn->is_over) conn_read(conn, from, packet, count);
}

static bool receive(struct endpoint *endpoint) {
    struct sockaddr_in from;
    size_t segment;
    const size_t count = udp_receive(endpoint->socket, endpoint->input, &from, &segment);
    for (size_t start = 0; start < count; start += segment) {
        route(endpoint, &from, endpoint->input + start, count - start < segment ? count - start : segment);
    }
    return count > 0;
}

/* MARK: the loop */

static void flush(struct endpoint *endpoint) {
    while (endpoint->dirty != NULL) {
        struct conn *conn = endpoint->dirty;
        endpoint->dirty = conn->next_dirty;
        conn_flush(conn);
        if (conn->was_confirmed) {
            conn->was_confirmed = false;
            if (endpoint->events.ready != NULL) endpoint->events.ready(conn);
        }
        conn->is_dirty = false;
        if (conn->is_over) {
            conn_free(conn);
            continue;
        }
        conn->expiry = ngtcp2_conn_get_expiry(conn->quic);
        sift(endpoint, conn->heap_index);
    }
}

static void expire(struct endpoint *endpoint) {
    while (endpoint->heap_count > 0 && endpoint->heap[0]->expiry <= endpoint->now) {
        struct conn *conn = endpoint->heap[0];
        conn_expire(conn);
        conn->expiry = UINT64_MAX; /* until it is flushed */
        sift(endpoint, 0);
    }
}

void endpoint_run(struct endpoint *endpoint) {
    flush(endpoint);
    while (!endpoint->stop) {
        struct timespec wait = {0}, *limit = NULL;
        if (endpoint->heap_count > 0 && endpoint->heap[0]->expiry != UINT64_MAX) {
            const uint64_t due = endpoint->heap[0]->expiry, now = read_clock();
            const uint64_t left = due > now ? due - now : 0;
            wait = (struct timespec){.tv_sec = (time_t)(left / NGTCP2_SECONDS), .tv_nsec = (long)(left % NGTCP2_SECONDS)};
            limit = &wait;
        }
        struct pollfd both[] = {{.fd = endpoint->socket, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        (void)ppoll(both, endpoint->watches_input ? 2 : 1, limit, NULL);
        endpoint->now = read_clock();
        if (endpoint->watches_input && both[1].revents != 0) return;
        if (both[0].revents != 0) {
            for (int turn = 0; turn < READS_PER_TURN && receive(endpoint); turn++) {}
        }
        expire(endpoint);
        flush(endpoint);
    }
}
