#ifndef C_ALLOCATION_COUNT_H
#define C_ALLOCATION_COUNT_H

/// How many times malloc, calloc, realloc and the aligned forms were called so far (glibc only).
unsigned long allocation_count(void);

#endif
