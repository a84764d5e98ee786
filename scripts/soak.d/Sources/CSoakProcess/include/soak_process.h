#ifndef SOAK_PROCESS_H
#define SOAK_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/// Bytes that the program holds of the allocator, in all arenas and in mappings of their own: what is not free.
size_t soak_heap_in_use(void);

/// Gives memory that is free back to the system, as far as the allocator can.
void soak_give_back_memory(void);

/// Starts this program again with one argument. Its standard input and output are pipes, whose other ends are returned
/// through `input` and `output`; the child sees the end of its input when this process ends, however it does.
/// Returns the child, or -1 with errno.
pid_t soak_start_again(const char *argument, int *input, int *output);

/// Ends a child by SIGKILL and waits until it is gone.
void soak_kill(pid_t child);

/// Reads a line of at most `size` bytes, its end not counted, within so many milliseconds. Returns its length, or -1 at the
/// end, at a line too long or when time is over.
ssize_t soak_read_line(int file, char *buffer, size_t size, int milliseconds);

#endif
