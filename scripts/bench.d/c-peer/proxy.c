#define _GNU_SOURCE
#include "proxy.h"

#include "peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_CLIENTS 64
/* Datagrams under way in each direction; what comes on top is dropped, as a router does. */
#define MOST_WAITING 16384
#define LARGEST 2048

struct datagram {
    uint64_t due;
    size_t length;
    int socket;
    struct sockaddr_in to;
    uint8_t bytes[LARGEST];
};

/* The delay is the same for all, so the oldest is always the next one. */
static struct datagram *ring;
static size_t oldest, waiting;
static uint64_t state, delay;
static double loss;

static double chance(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / (double)(1ull << 53);
}

const char *option(int count, char **options, const char *name, const char *otherwise) {
    const size_t length = strlen(name);
    for (int index = 0; index < count; index++) {
        if (strncmp(options[index], name, length) == 0 && options[index][length] == '=') return options[index] + length + 1;
    }
    return otherwise;
}

static int open_socket(struct sockaddr_in *at) {
    *at = (struct sockaddr_in){.sin_family = AF_INET};
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = 4 << 20;
    socklen_t length = sizeof *at;
    if (fd < 0 || bind(fd, (struct sockaddr *)at, length) != 0 || getsockname(fd, (struct sockaddr *)at, &length) != 0) {
        give_up("proxy socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    return fd;
}

/* Takes one datagram; false when there is none. */
static bool take(int from, int out, const struct sockaddr_in *to, struct sockaddr_in *sender) {
    struct datagram *next = &ring[(oldest + waiting) % MOST_WAITING];
    uint8_t spare[LARGEST];
    const bool has_room = waiting < MOST_WAITING;
    socklen_t length = sizeof *sender;
    const ssize_t count =
        recvfrom(from, has_room ? next->bytes : spare, LARGEST, MSG_DONTWAIT, (struct sockaddr *)sender, &length);
    if (count < 0) return false;
    if (!has_room || chance() < loss) return true;
    next->length = (size_t)count;
    next->due = read_clock() + delay;
    next->socket = out;
    if (to != NULL) next->to = *to;
    waiting++;
    return true;
}

int proxy(const char *port, int count, char **options) {
    const struct sockaddr_in server = {.sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)atoi(port)),
                                       .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in front, clients[MOST_CLIENTS], unused;
    struct pollfd sockets[MOST_CLIENTS + 1] = {{.fd = open_socket(&front), .events = POLLIN}};
    nfds_t known = 0;
    loss = atof(option(count, options, "loss", "0.01"));
    delay = (uint64_t)(atof(option(count, options, "delay", "25")) * 1e6);
    state = 0x9e3779b97f4a7c15ull * (strtoull(option(count, options, "seed", "1"), NULL, 10) + 1);
    ring = calloc(MOST_WAITING, sizeof *ring);
    if (ring == NULL) give_up("memory");
    printf("listening %u\n", ntohs(front.sin_port));
    fflush(stdout);
    for (;;) {
        struct timespec wait = {0}, *limit = NULL;
        if (waiting > 0) {
            const uint64_t now = read_clock(), left = ring[oldest].due > now ? ring[oldest].due - now : 0;
            wait = (struct timespec){.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
            limit = &wait;
        }
        (void)ppoll(sockets, known + 1, limit, NULL);
        for (;;) {
            /* Whose it is shows only when it is there: it is queued for the first client's socket, then for the right one. */
            struct sockaddr_in sender = {0};
            const size_t before = waiting;
            if (!take(sockets[0].fd, -1, &server, &sender)) break;
            if (waiting == before) continue;
            nfds_t index = 0;
            while (index < known && (clients[index].sin_port != sender.sin_port ||
                                     clients[index].sin_addr.s_addr != sender.sin_addr.s_addr)) {
                index++;
            }
            if (index == known) {
                if (known == MOST_CLIENTS) {
                    waiting--;
                    continue;
                }
                clients[known++] = sender;
                sockets[known] = (struct pollfd){.fd = open_socket(&unused), .events = POLLIN};
            }
            ring[(oldest + waiting - 1) % MOST_WAITING].socket = sockets[index + 1].fd;
        }
        for (nfds_t index = 0; index < known; index++) {
            while (take(sockets[index + 1].fd, sockets[0].fd, &clients[index], &unused)) {}
        }
        const uint64_t now = read_clock();
        while (waiting > 0 && ring[oldest].due <= now) {
            const struct datagram *next = &ring[oldest];
            (void)sendto(next->socket, next->bytes, next->length, 0, (const struct sockaddr *)&next->to, sizeof next->to);
            oldest = (oldest + 1) % MOST_WAITING;
            waiting--;
        }
    }
}
