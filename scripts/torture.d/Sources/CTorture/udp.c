#define _GNU_SOURCE
#include "CTorture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in make_address(uint32_t ip, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
    return address;
}

int torture_udp_open(uint32_t ip, uint16_t *port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    // Answers wait until somebody counts them. As much as the system allows.
    int size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct sockaddr_in address = make_address(ip, 0);
    socklen_t length = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, length) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int torture_udp_send(int fd, const void *bytes, size_t count, uint16_t port) {
    struct sockaddr_in address = make_address(INADDR_LOOPBACK, port);
    return sendto(fd, bytes, count, 0, (struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
}
