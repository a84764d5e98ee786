/* One UDP socket: trains of datagrams in and out, one system call each. */
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static void set(int fd, int level, int name, int value) { (void)setsockopt(fd, level, name, &value, sizeof value); }

int udp_open(struct sockaddr_in *local, const struct sockaddr_in *remote) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) give_up("socket");
    /* As large as the Swift library asks for; FORCE needs a right, the other is capped by the system. */
    set(fd, SOL_SOCKET, SO_RCVBUF, 7 << 20);
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, 7 << 20);
    set(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20);
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20);
    set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set(fd, SOL_UDP, UDP_GRO, 1);
    if (bind(fd, (struct sockaddr *)local, sizeof *local) != 0) give_up("bind");
    if (remote != NULL && connect(fd, (const struct sockaddr *)remote, sizeof *remote) != 0) give_up("connect");
    socklen_t length = sizeof *local;
    if (getsockname(fd, (struct sockaddr *)local, &length) != 0) give_up("getsockname");
    return fd;
}

size_t udp_receive(int fd, uint8_t *buffer, struct sockaddr_in *from, size_t *segment) {
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {.iov_base = buffer, .iov_len = BATCH_CAPACITY};
    struct msghdr message = {.msg_name = from, .msg_namelen = sizeof *from, .msg_iov = &piece, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t count;
    do {
        count = recvmsg(fd, &message, MSG_DONTWAIT);
    } while (count < 0 && (errno == EINTR || errno == ECONNREFUSED));
    if (count <= 0) return 0;
    *segment = (size_t)count;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each != NULL; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_UDP || each->cmsg_type != UDP_GRO) continue;
        int size;
        memcpy(&size, CMSG_DATA(each), sizeof size);
        *segment = (size_t)size;
    }
    return (size_t)count;
}

void udp_send(int fd, const uint8_t *bytes, size_t count, size_t segment, const struct sockaddr_in *to) {
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (to != NULL) {
        message.msg_name = (void *)to;
        message.msg_namelen = sizeof *to;
    }
    if (count > segment) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        uint16_t size = (uint16_t)segment;
        header->cmsg_level = SOL_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(header), &size, sizeof size);
    }
    while (sendmsg(fd, &message, 0) < 0) {
        /* ECONNREFUSED tells of an earlier datagram. Anything else is a lost packet, which QUIC sends again. */
        if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            (void)poll(&room, 1, 10);
        } else if (errno != EINTR && errno != ECONNREFUSED) {
            return;
        }
    }
}
