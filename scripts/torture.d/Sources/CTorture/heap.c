#define _GNU_SOURCE
#include "CTorture.h"

size_t torture_heap_in_use(void) {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
