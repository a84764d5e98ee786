#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cquic_udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __linux__
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#endif

#define RECEIVE_CAPACITY 65536
/* Twice as much stays in a heap. */
#define LARGEST_IN_USE (2 << 20)
#define CONTROL_CAPACITY 256

union any_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* ---- addresses ---- */

/* Fills `out` for a socket of `socket_family` (4 or 6); returns its length, or 0 when the families do not go together. */
static socklen_t to_sockaddr(const struct cquic_addr *addr, int socket_family, union any_sockaddr *out) {
    if (socket_family == 4) {
        if (addr->family != 4) return 0;
        memset(&out->in4, 0, sizeof out->in4);
        out->in4.sin_family = AF_INET;
        out->in4.sin_port = htons(addr->port);
        memcpy(&out->in4.sin_addr, addr->bytes, 4);
        return sizeof out->in4;
    }
    memset(&out->in6, 0, sizeof out->in6);
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(addr->port);
    if (addr->family == 6) {
        memcpy(&out->in6.sin6_addr, addr->bytes, 16);
        out->in6.sin6_scope_id = addr->scope;
    } else if (addr->family == 4) {
        memcpy(&out->in6.sin6_addr, mapped_prefix, 12);
        memcpy((uint8_t *)&out->in6.sin6_addr + 12, addr->bytes, 4);
    } else {
        return 0;
    }
    return sizeof out->in6;
}

static void from_ipv6(const struct in6_addr *ip, uint32_t scope, struct cquic_addr *out) {
    const uint8_t *bytes = (const uint8_t *)ip;
    if (memcmp(bytes, mapped_prefix, 12) == 0) {
        out->family = 4;
        out->scope = 0;
        memset(out->bytes, 0, 16);
        memcpy(out->bytes, bytes + 12, 4);
    } else {
        out->family = 6;
        /* The kernel reports a scope for link-local addresses only where it means something. */
        out->scope = IN6_IS_ADDR_LINKLOCAL(ip) ? scope : 0;
        memcpy(out->bytes, bytes, 16);
    }
}

int cquic_addr_from_sockaddr(const void *sockaddr, size_t length, struct cquic_addr *out) {
    union any_sockaddr any;
    memset(out, 0, sizeof *out);
    if (length < sizeof(struct sockaddr_in)) return -EAFNOSUPPORT;
    memset(&any, 0, sizeof any);
    memcpy(&any, sockaddr, length < sizeof any ? length : sizeof any);
    if (any.sa.sa_family == AF_INET) {
        out->family = 4;
        out->port = ntohs(any.in4.sin_port);
        memcpy(out->bytes, &any.in4.sin_addr, 4);
        return 0;
    }
    if (any.sa.sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        out->port = ntohs(any.in6.sin6_port);
        from_ipv6(&any.in6.sin6_addr, any.in6.sin6_scope_id, out);
        return 0;
    }
    return -EAFNOSUPPORT;
}

int cquic_local_address(int fd, struct cquic_addr *out) {
    union any_sockaddr any;
    socklen_t length = sizeof any;
    memset(&any, 0, sizeof any);
    if (getsockname(fd, &any.sa, &length) != 0) return -errno;
    return cquic_addr_from_sockaddr(&any, length, out);
}

/* ---- opening ---- */

static int set_int(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

static int get_int(int fd, int level, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) == 0 ? value : 0;
}

static void set_buffer(int fd, int name, int force_name, int size) {
    if (size <= 0) return;
    /* FORCE goes past the system's limit and needs CAP_NET_ADMIN; without it the kernel caps the size silently. */
    if (force_name != 0 && set_int(fd, SOL_SOCKET, force_name, size) == 0) return;
    (void)set_int(fd, SOL_SOCKET, name, size);
}

/* Whether datagrams for any address of the machine come to a socket bound there. */
static int is_unspecified(const struct cquic_addr *address) {
    size_t length = address->family == 4 ? 4 : 16;
    for (size_t i = 0; i < length; i++) {
        if (address->bytes[i] != 0) return 0;
    }
    return 1;
}

static int configure(int fd, const struct cquic_addr *local, const struct cquic_socket_options *options,
                     struct cquic_socket_features *features) {
    int family = local->family;
    int status;
    if (family == 6 && (status = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only ? 1 : 0)) != 0) return status;
    if (options->port_sharing == CQUIC_PORT_FURTHER && (status = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) != 0) {
        return status;
    }
#ifdef __linux__
    set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, options->receive_buffer);
    set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, options->send_buffer);

    /* PROBE: DF is set, and the kernel's own idea of the path MTU is not applied: QUIC finds that out itself. */
    features->dont_fragment = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) == 0;
    if (family == 6) {
        features->dont_fragment = set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) == 0
                                  && (options->v6_only || features->dont_fragment);
    }
    /* A dual-stack socket takes the IPv4 options too, for the IPv4 datagrams that pass through it. */
    (void)set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
    if (family == 6) (void)set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    /* What comes to a socket that is bound to one address was sent there: nobody has to be told for each datagram. */
    if (is_unspecified(local)) {
        /* The one for IPv6 reports the address of IPv4 datagrams too, mapped. IP_PKTINFO besides would be one control message
         * more than SwiftNIO has room for, and the ones behind it (ECN, GRO) would be lost. */
        if (family == 6) {
            (void)set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        } else {
            (void)set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
        }
    }
    features->gro = !options->no_gro && set_int(fd, SOL_UDP, UDP_GRO, 1) == 0;
    features->gso = !options->no_gso && set_int(fd, SOL_UDP, UDP_SEGMENT, 0) == 0;
#else
    set_buffer(fd, SO_RCVBUF, 0, options->receive_buffer);
    set_buffer(fd, SO_SNDBUF, 0, options->send_buffer);
#endif
    features->receive_buffer = get_int(fd, SOL_SOCKET, SO_RCVBUF);
    features->send_buffer = get_int(fd, SOL_SOCKET, SO_SNDBUF);
    return 0;
}

int cquic_socket_open(const struct cquic_addr *local, const struct cquic_socket_options *options,
                      struct cquic_socket_features *features) {
    union any_sockaddr any;
    memset(features, 0, sizeof *features);
    features->family = local->family;
    socklen_t length = to_sockaddr(local, local->family, &any);
    if (length == 0) return -EAFNOSUPPORT;

    int fd = socket(local->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0) return -errno;
    int status = configure(fd, local, options, features);
    if (status == 0 && bind(fd, &any.sa, length) != 0) status = -errno;
    if (status == 0 && options->port_sharing == CQUIC_PORT_FIRST) status = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (status != 0) {
        close(fd);
        return status;
    }
    return fd;
}

int cquic_duplicate(int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

/* ---- sending ---- */

static void append_control(struct msghdr *message, int level, int type, const void *value, size_t size) {
    struct cmsghdr *header = (struct cmsghdr *)((uint8_t *)message->msg_control + message->msg_controllen);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), value, size);
    message->msg_controllen += CMSG_SPACE(size);
}

int cquic_send(int fd, int socket_family, const void *bytes, size_t length, uint16_t segment_size,
               const struct cquic_addr *destination, const struct cquic_addr *source, uint8_t ecn) {
    union any_sockaddr address;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_CAPACITY] = {0};
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_name = &address;
    message.msg_namelen = to_sockaddr(destination, socket_family, &address);
    if (message.msg_namelen == 0) return -EAFNOSUPPORT;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = 0;

    if (ecn != 0) {
        int value = ecn & 3;
        /* An IPv4 datagram reads IPv4 control messages, on a dual-stack socket too. */
        if (destination->family == 4) {
            append_control(&message, IPPROTO_IP, IP_TOS, &value, sizeof value);
        } else {
            append_control(&message, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
        }
    }
    if (source != NULL && source->family == destination->family) {
        if (source->family == 4) {
            struct in_pktinfo info;
            memset(&info, 0, sizeof info);
            memcpy(&info.ipi_spec_dst, source->bytes, 4);
            append_control(&message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
        } else {
            struct in6_pktinfo info;
            memset(&info, 0, sizeof info);
            memcpy(&info.ipi6_addr, source->bytes, 16);
            info.ipi6_ifindex = source->scope;
            append_control(&message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        }
    }
#ifdef __linux__
    if (segment_size > 0 && length > segment_size) {
        append_control(&message, SOL_UDP, UDP_SEGMENT, &segment_size, sizeof segment_size);
    }
#else
    if (segment_size > 0 && length > segment_size) return -EIO;
#endif
    if (message.msg_controllen == 0) message.msg_control = NULL;

    for (;;) {
        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
        if (errno != EINTR) return -errno;
    }
}

int cquic_wait_writable(int fd, int timeout_ms) {
    struct pollfd entry = {.fd = fd, .events = POLLOUT, .revents = 0};
    int count = poll(&entry, 1, timeout_ms);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    return count > 0;
}

/* ---- receiving ---- */

struct cquic_batch {
    unsigned capacity;
    struct mmsghdr *headers;
    struct iovec *vectors;
    union any_sockaddr *names;
    uint8_t *control;
    uint8_t *payload; /* capacity * RECEIVE_CAPACITY; pages are touched only as far as datagrams reach */
};

void cquic_batch_destroy(struct cquic_batch *batch) {
    if (batch == NULL) return;
    free(batch->headers);
    free(batch->vectors);
    free(batch->names);
    free(batch->control);
    free(batch->payload);
    free(batch);
}

/* What a stream reads is allocated where datagrams arrive and freed by whoever reads it, megabytes on their way between
 * the two. glibc gives free memory at the end of a heap back to the system from 128 KiB on, and the next bytes fault it in
 * again page by page: up to a fifth of a receiver's time. It learns from the largest block of its own mapping that was
 * freed, and keeps twice as much from then on. Other allocators do nothing about this, or nothing bad. */
static void teach_allocator(void) {
    static atomic_flag is_taught = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&is_taught)) return;
    volatile uint8_t *block = malloc(LARGEST_IN_USE);
    if (block == NULL) return;
    block[0] = 0;
    free((void *)block);
}

struct cquic_batch *cquic_batch_create(unsigned messages) {
    if (messages == 0 || messages > 1024) return NULL;
    teach_allocator();
    struct cquic_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return NULL;
    batch->capacity = messages;
    batch->headers = calloc(messages, sizeof *batch->headers);
    batch->vectors = calloc(messages, sizeof *batch->vectors);
    batch->names = calloc(messages, sizeof *batch->names);
    batch->control = calloc(messages, CONTROL_CAPACITY);
    batch->payload = malloc((size_t)messages * RECEIVE_CAPACITY);
    if (!batch->headers || !batch->vectors || !batch->names || !batch->control || !batch->payload) {
        cquic_batch_destroy(batch);
        return NULL;
    }
    for (unsigned i = 0; i < messages; i++) {
        batch->vectors[i].iov_base = batch->payload + (size_t)i * RECEIVE_CAPACITY;
        batch->vectors[i].iov_len = RECEIVE_CAPACITY;
        struct msghdr *header = &batch->headers[i].msg_hdr;
        header->msg_iov = &batch->vectors[i];
        header->msg_iovlen = 1;
        header->msg_name = &batch->names[i];
        header->msg_control = batch->control + (size_t)i * CONTROL_CAPACITY;
    }
    return batch;
}

int cquic_receive(int fd, struct cquic_batch *batch, unsigned limit) {
    if (limit > batch->capacity) limit = batch->capacity;
    for (unsigned i = 0; i < limit; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        header->msg_namelen = sizeof(union any_sockaddr);
        header->msg_controllen = CONTROL_CAPACITY;
        header->msg_flags = 0;
    }
    for (;;) {
        int count = recvmmsg(fd, batch->headers, limit, MSG_DONTWAIT, NULL);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

void cquic_batch_message(const struct cquic_batch *batch, unsigned index, struct cquic_received *out) {
    struct msghdr *header = &batch->headers[index].msg_hdr;
    memset(out, 0, sizeof *out);
    out->bytes = batch->vectors[index].iov_base;
    out->length = batch->headers[index].msg_len;
    out->segment_size = out->length;
    out->truncated = (header->msg_flags & MSG_TRUNC) != 0;
    (void)cquic_addr_from_sockaddr(header->msg_name, header->msg_namelen, &out->from);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        const void *data = CMSG_DATA(c);
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            /* Linux writes one byte here. */
            out->ecn = *(const uint8_t *)data & 3;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS && c->cmsg_len >= CMSG_LEN(sizeof(int))) {
            int value;
            memcpy(&value, data, sizeof value);
            out->ecn = (uint8_t)value & 3;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO
                   && c->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo))) {
            struct in_pktinfo info;
            memcpy(&info, data, sizeof info);
            out->to.family = 4;
            memcpy(out->to.bytes, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO
                   && c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
            struct in6_pktinfo info;
            memcpy(&info, data, sizeof info);
            from_ipv6(&info.ipi6_addr, info.ipi6_ifindex, &out->to);
        }
#ifdef __linux__
        else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && c->cmsg_len >= CMSG_LEN(sizeof(int))) {
            int value;
            memcpy(&value, data, sizeof value);
            if (value > 0) out->segment_size = (size_t)value;
        }
#endif
    }
}
