#ifndef LIBP2P_CGNUTLS_SHIM_H
#define LIBP2P_CGNUTLS_SHIM_H

#include <gnutls/gnutls.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <gnutls/x509-ext.h>

#endif
