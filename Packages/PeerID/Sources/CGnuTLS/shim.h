#ifndef LIBP2P_CGNUTLS_SHIM_H
#define LIBP2P_CGNUTLS_SHIM_H

#include <gnutls/gnutls.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <gnutls/x509-ext.h>

/* What Swift cannot use directly: `gnutls_free` is a mutable global function pointer,
 * and the curve conversions are function-like macros. */

/* Frees a datum that GnuTLS allocated and forgets its pointer. */
static inline void cgnutls_datum_free(gnutls_datum_t *datum) {
    gnutls_free(datum->data);
    datum->data = 0;
    datum->size = 0;
}

/* Wipes and frees a datum that GnuTLS allocated and that holds secret bytes. */
static inline void cgnutls_secret_datum_free(gnutls_datum_t *datum) {
    if (datum->data != 0) {
        gnutls_memset(datum->data, 0, datum->size);
    }
    cgnutls_datum_free(datum);
}

/* The `bits` argument that makes gnutls_privkey_generate choose a curve. */
static inline unsigned int cgnutls_curve_to_bits(gnutls_ecc_curve_t curve) {
    return (unsigned int)GNUTLS_CURVE_TO_BITS(curve);
}

#endif
