#include "CMultiaddrResolver.h"

// The types of <arpa/nameser.h> that <resolv.h> needs come from these on every system.
#include <sys/types.h>
#include <netinet/in.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <string.h>

enum { class_internet = 1, type_txt = 16 };

int c_multiaddr_query_txt(const char *name, unsigned char *answer, int capacity) {
    int length;
    int problem;
#if defined(__GLIBC__) || defined(__APPLE__)
    // A state of our own: the shared one is not safe everywhere.
    struct __res_state state;
    memset(&state, 0, sizeof state);
    if (res_ninit(&state) != 0) return -NO_RECOVERY;
    length = res_nquery(&state, name, class_internet, type_txt, answer, capacity);
    problem = state.res_h_errno;
    res_nclose(&state);
#else
    // musl keeps no state and has no res_nquery.
    length = res_query(name, class_internet, type_txt, answer, capacity);
    problem = h_errno;
#endif
    if (length < 0) return problem > 0 ? -problem : -NO_RECOVERY;
    return length > capacity ? capacity : length;
}
