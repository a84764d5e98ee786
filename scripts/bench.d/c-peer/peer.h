/* The bare C peer of scripts/bench: what ngtcp2 and GnuTLS can do with nothing above them.
 *
 * One thread, one UDP socket. A turn of the loop reads everything that is there (GRO), lets timers expire, and writes each
 * connection's packets in batches (GSO), with one look at the clock. Stream bytes all come from one block that never
 * moves, so nothing is copied on the way out, and what arrives is counted and forgotten. */
#ifndef BENCH_C_PEER_H
#define BENCH_C_PEER_H

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_CAPACITY 65536
#define MAX_SEGMENTS 44
#define MAX_PAYLOAD 1452
#define BLOCK_SIZE 65536
#define CID_LENGTH 8
#define ORIGINAL_BUCKETS 4096
/* The header of a stream on which every byte is answered by one. Any other header is the number of bytes that the client
 * wants once it has sent what it has. */
#define ECHO_HEADER UINT64_MAX

struct endpoint;
struct conn;

struct stream {
    int64_t id;
    struct conn *conn;
    uint8_t header[8];
    uint8_t header_length; /* received by a server, or still to be sent by a client */
    bool is_queued, wants_end, end_sent;
    uint64_t to_send;
    uint64_t received;
    struct stream *next;
    /* A client's own: which worker it belongs to, and what it waits for. */
    int worker;
    uint64_t awaited;
    uint64_t asked_at;
};

struct conn {
    struct endpoint *endpoint;
    ngtcp2_conn *quic;
    gnutls_session_t tls;
    ngtcp2_crypto_conn_ref reference;
    struct sockaddr_in remote;
    uint32_t slot;
    uint16_t tag, cid_count;
    bool is_dirty, is_over, was_confirmed;
    struct conn *next_dirty;
    struct stream *first, *last; /* streams with something to send, in turn */
    size_t heap_index;
    uint64_t expiry;
    /* Server: the ID that the client made up, until the connection is gone. */
    ngtcp2_cid original;
    struct conn *next_original;
    int worker;
};

/* What a client does next; a server has none. `ready` is called between the library's calls, and may close the connection;
 * the others are called from inside. */
struct events {
    void (*ready)(struct conn *conn);
    void (*data)(struct stream *stream, size_t count, bool is_end);
    void (*stream_closed)(struct stream *stream);
};

struct endpoint {
    int socket;
    bool is_server, is_connected, stop;
    uint64_t now;
    struct sockaddr_in local;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    struct events events;
    struct conn **slots;
    uint32_t slot_count, *free_slots, free_count;
    struct conn **heap;
    size_t heap_count;
    struct conn *dirty;
    struct conn *originals[ORIGINAL_BUCKETS];
    /* Also wake up for standard input, which ends `run`. */
    bool watches_input;
    uint8_t input[BATCH_CAPACITY], output[BATCH_CAPACITY];
};

/* endpoint.c: nanoseconds of the monotonic clock. */
uint64_t read_clock(void);
_Noreturn void give_up(const char *what);

/* tls.c */
void tls_prepare(struct endpoint *endpoint);
gnutls_session_t tls_session(struct endpoint *endpoint, ngtcp2_crypto_conn_ref *reference);

/* udp.c */
int udp_open(struct sockaddr_in *local, const struct sockaddr_in *remote);
/* Bytes received, 0 when there is nothing; `*segment` is the size of each datagram in it but the last. */
size_t udp_receive(int socket, uint8_t *buffer, struct sockaddr_in *from, size_t *segment);
void udp_send(int socket, const uint8_t *bytes, size_t count, size_t segment, const struct sockaddr_in *to);

/* conn.c */
struct conn *conn_dial(struct endpoint *endpoint, const struct sockaddr_in *remote);
struct conn *conn_accept(struct endpoint *endpoint, const ngtcp2_pkt_hd *header, const struct sockaddr_in *remote);
void conn_read(struct conn *conn, const struct sockaddr_in *from, const uint8_t *packet, size_t count);
void conn_expire(struct conn *conn);
/* Writes and sends everything that may leave now. */
void conn_flush(struct conn *conn);
void conn_close(struct conn *conn);
void conn_free(struct conn *conn);

/* stream.c */
struct stream *stream_open(struct conn *conn, uint64_t header);
void stream_send(struct stream *stream, uint64_t count, bool is_end);
ngtcp2_ssize stream_write_packet(struct conn *conn, ngtcp2_path *path, uint8_t *buffer, size_t room);
void stream_callbacks(ngtcp2_callbacks *callbacks);

/* endpoint.c */
struct endpoint *endpoint_new(bool is_server, uint16_t port, const struct sockaddr_in *remote);
void endpoint_run(struct endpoint *endpoint);
void mark_dirty(struct conn *conn);
void adopt(struct conn *conn);
void forget(struct conn *conn);

/* cases.c */
int dial_case(const char *address, const char *name, int count, char **options);

#endif
