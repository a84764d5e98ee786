// A sendmsg of the program's own, which the linker takes before the C library's: a full buffer of the network card
// (ENOBUFS) or of the socket (EAGAIN) cannot be had on the loopback interface otherwise.
#define _GNU_SOURCE
#include "CSendFaults.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int every_nth;
static atomic_int error_code;
static atomic_long calls;
static atomic_long failures;

void send_faults_set(int every, int error) {
    atomic_store(&error_code, error);
    atomic_store(&every_nth, every);
}

long send_faults_count(void) { return atomic_load(&failures); }

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    int every = atomic_load(&every_nth);
    if (every > 0 && atomic_fetch_add(&calls, 1) % every == 0) {
        atomic_fetch_add(&failures, 1);
        errno = atomic_load(&error_code);
        return -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}
