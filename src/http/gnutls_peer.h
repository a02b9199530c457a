// SPDX-License-Identifier: Apache-2.0
// Who a verified client certificate of a GnuTLS session names.
#ifndef SKIFF_HTTP_GNUTLS_PEER_H
#define SKIFF_HTTP_GNUTLS_PEER_H

#include <stdbool.h>
#include <stddef.h>

enum { GNUTLS_PEER_TEXT = 256, GNUTLS_PEER_GROUPS = 64 };
struct gnutls_peer {
    char name[GNUTLS_PEER_TEXT]; // subject CN
    size_t group_count;          // subject O's
    char groups[GNUTLS_PEER_GROUPS][GNUTLS_PEER_TEXT];
};
// False when the client sent none, or one that the server's client_ca did not sign, that is out of date or not made for
// clients.
bool gnutls_peer_read(void *session, struct gnutls_peer *out);

#endif
