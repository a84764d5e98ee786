/// Guard (g): a server's transport parameters must fit where the library's qlog writes them.
#ifndef LP2P_QLOG_GUARD_H
#define LP2P_QLOG_GUARD_H

#include "lp2p_compat.h"

/// Before 1.22.1 (CVE-2026-40170) the library writes a peer's transport parameters into a buffer of 1,024 bytes without looking.
/// Nothing but a server's preferred_address, beside limits of many digits, makes the text longer. Such a server is taken to have
/// sent no preferred_address: nobody here moves there (RFC 9000 §9.6 leaves that to clients), and the connection and its log go on.
///
/// `data` and `length` are the parameters as they came, and what to tell the library afterwards. The caller frees `*copy`, which
/// is NULL where they stay as they are.
///
/// Returns 0 or an error of the library.
int lp2p_qlog_guard(const uint8_t **data, size_t *length, uint8_t **copy);

#endif
