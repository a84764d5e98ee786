#ifndef C_TORTURE_H
#define C_TORTURE_H

#include <stddef.h>
#include <stdint.h>
// Swift's module of the C library leaves malloc_trim out.
#include <malloc.h>

/// A non-blocking UDP socket on an IPv4 address, in the byte order of the machine, and a free port, which is stored.
/// Returns a negative errno on failure.
int torture_udp_open(uint32_t ip, uint16_t *port);

/// Sends a datagram to a port of 127.0.0.1. Returns 0 or an errno.
int torture_udp_send(int fd, const void *bytes, size_t count, uint16_t port);

/// Bytes that are allocated and not freed.
size_t torture_heap_in_use(void);

#endif
