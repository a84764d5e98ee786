#ifndef C_MULTIADDR_RESOLVER_H
#define C_MULTIADDR_RESOLVER_H

/// Asks the system's name servers for the TXT records of a name. Blocks; may be called from many threads at once.
///
/// Returns the length of the answer, a whole DNS message, or the negative of netdb.h's h_errno
/// (1 host not found, 2 try again, 3 no recovery, 4 no data).
int c_multiaddr_query_txt(const char *name, unsigned char *answer, int capacity);

#endif
