/* One UDP socket with segmentation offload both ways, ECN, and a chosen source address.
 *
 * C because control messages and socket addresses are unions and macros: here they stay out of Swift, nothing is
 * allocated per datagram, and Swift sees plain structs. Every function returns a negative errno on failure.
 */
#ifndef CQUIC_UDP_H
#define CQUIC_UDP_H

#include <stddef.h>
#include <stdint.h>

/* An IP address with a port. `family` is 0 (none), 4 or 6; IPv4 uses the first four bytes of `bytes`. IPv4-mapped IPv6
 * addresses never appear: they are IPv4 on this side of the interface, whatever the socket's family is. */
struct cquic_addr {
    uint8_t bytes[16];
    uint32_t scope; /* interface index of a link-local IPv6 address, host byte order */
    uint16_t port;  /* host byte order */
    uint8_t family;
};

/* Whether several sockets share the port, among which the kernel spreads what arrives by the addresses of both ends. The
 * first one is bound alone, so that a port in use is found out, and lets the others in afterwards. */
enum cquic_port_sharing { CQUIC_PORT_ALONE, CQUIC_PORT_FIRST, CQUIC_PORT_FURTHER };

struct cquic_socket_options {
    int receive_buffer; /* bytes; 0 keeps the system's value */
    int send_buffer;    /* bytes; 0 keeps the system's value */
    int no_gso;         /* never send several datagrams in one call */
    int no_gro;         /* never receive several datagrams in one piece */
    int v6_only;        /* an IPv6 socket refuses IPv4 */
    enum cquic_port_sharing port_sharing;
};

/* What the socket can do, found out when it was opened. */
struct cquic_socket_features {
    int family;         /* 4 or 6 */
    int gso;            /* UDP_SEGMENT is known to the kernel */
    int gro;            /* UDP_GRO is switched on */
    int dont_fragment;  /* datagrams leave with DF set */
    int receive_buffer; /* bytes as the kernel counts them */
    int send_buffer;
};

/* Opens, configures and binds a non-blocking UDP socket. Returns the descriptor or a negative errno. */
int cquic_socket_open(const struct cquic_addr *local, const struct cquic_socket_options *options,
                      struct cquic_socket_features *features);

/* A second descriptor of the same socket. */
int cquic_duplicate(int fd);

int cquic_local_address(int fd, struct cquic_addr *out);

/* Sends `length` bytes in one call; with `segment_size` > 0 the kernel cuts them into datagrams of that size.
 * `source` may be null or without family. `ecn` is the two ECN bits. Returns 0 or a negative errno. */
int cquic_send(int fd, int socket_family, const void *bytes, size_t length, uint16_t segment_size,
               const struct cquic_addr *destination, const struct cquic_addr *source, uint8_t ecn);

/* One message as the kernel delivered it: one datagram, or several of one flow glued together by GRO. */
struct cquic_received {
    const uint8_t *bytes;
    size_t length;
    size_t segment_size; /* length of every datagram but the last, which may be shorter */
    struct cquic_addr from;
    struct cquic_addr to; /* without port; family 0 when unknown */
    uint8_t ecn;
    uint8_t truncated;
};

/* Buffers for one recvmmsg call. */
struct cquic_batch;
struct cquic_batch *cquic_batch_create(unsigned messages);
void cquic_batch_destroy(struct cquic_batch *batch);

/* Reads up to `limit` messages. Returns how many (their contents are valid until the next call) or a negative errno. */
int cquic_receive(int fd, struct cquic_batch *batch, unsigned limit);

/* The message at `index`, below what the last cquic_receive returned. */
void cquic_batch_message(const struct cquic_batch *batch, unsigned index, struct cquic_received *out);

/* Waits until the descriptor can be written. 1: it can; 0: the time is over; negative errno. */
int cquic_wait_writable(int fd, int timeout_ms);

/* Reads a `struct sockaddr` of `length` bytes. 0, or -EAFNOSUPPORT. */
int cquic_addr_from_sockaddr(const void *sockaddr, size_t length, struct cquic_addr *out);

/* The most segments the kernel takes in one call. */
#define CQUIC_MAX_SEGMENTS 64
/* The most bytes of UDP payload in one call, for both address families. */
#define CQUIC_MAX_PAYLOAD 65487

#endif
