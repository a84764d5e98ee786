#ifndef LIBP2P_CSECP256K1_SHIM_H
#define LIBP2P_CSECP256K1_SHIM_H

#include <secp256k1.h>

#endif
