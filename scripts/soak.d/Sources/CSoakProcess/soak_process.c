#define _GNU_SOURCE
#include "soak_process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

size_t soak_heap_in_use(void) {
#if defined(__GLIBC__)
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

void soak_give_back_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

pid_t soak_start_again(const char *argument, int *input, int *output) {
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0) return -1;
    if (pipe2(from_child, O_CLOEXEC) != 0) {
        close(to_child[0]);
        close(to_child[1]);
        return -1;
    }
    char *arguments[] = {"soak", (char *)argument, NULL};
    pid_t child = fork();
    if (child == 0) {
        // Between fork and exec of a program with threads: only calls that a signal handler might make.
        if (dup2(to_child[0], STDIN_FILENO) < 0 || dup2(from_child[1], STDOUT_FILENO) < 0) _exit(127);
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    if (child < 0) {
        close(to_child[1]);
        close(from_child[0]);
        return -1;
    }
    *input = to_child[1];
    *output = from_child[0];
    return child;
}

void soak_kill(pid_t child) {
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (long long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

ssize_t soak_read_line(int file, char *buffer, size_t size, int milliseconds) {
    const long long end = now() + milliseconds;
    size_t count = 0;
    for (;;) {
        const long long left = end - now();
        struct pollfd waiting = {.fd = file, .events = POLLIN};
        const int ready = left > 0 ? poll(&waiting, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return -1;
        char byte;
        const ssize_t got = read(file, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        if (byte == '\n') return (ssize_t)count;
        if (count == size) return -1;
        buffer[count++] = byte;
    }
}
