#ifndef LIBP2P_CSODIUM_SHIM_H
#define LIBP2P_CSODIUM_SHIM_H

#include <sodium.h>

#endif
