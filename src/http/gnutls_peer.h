// SPDX-License-Identifier: Apache-2.0
// The name in a verified client certificate of a GnuTLS session.
#ifndef SKIFF_HTTP_GNUTLS_PEER_H
#define SKIFF_HTTP_GNUTLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

// False when the client sent none, or one that the server's client_ca did not sign or that is out of date.
bool gnutls_peer_common_name(void *session, char *out, size_t size);

#endif
