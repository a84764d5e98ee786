#ifndef LIBP2P_CNGTCP2_SHIM_H
#define LIBP2P_CNGTCP2_SHIM_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#endif
