// SPDX-License-Identifier: Apache-2.0
// GnuTLS comes with libmicrohttpd, so it is there when a session of its is; the one file that includes its headers.
#include "http/gnutls_peer.h"

#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#define GNUTLS_FUNCTIONS(X)      \
    X(certificate_verify_peers2) \
    X(certificate_get_peers)     \
    X(x509_crt_init)             \
    X(x509_crt_import)           \
    X(x509_crt_get_dn_by_oid)    \
    X(x509_crt_deinit)

struct gnutls_api {
#define X(name) __typeof__(gnutls_##name) *name;
    GNUTLS_FUNCTIONS(X)
#undef X
};

static bool load(struct gnutls_api *api) {
    void *handle = dlopen("libgnutls.so.30", RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (!handle) {
        return false;
    }
#define X(name)                                                              \
    api->name = (__typeof__(gnutls_##name) *)dlsym(handle, "gnutls_" #name); \
    if (!api->name) {                                                        \
        dlclose(handle);                                                     \
        return false;                                                        \
    }
    GNUTLS_FUNCTIONS(X)
#undef X
    dlclose(handle); // libmicrohttpd keeps it
    return true;
}

bool gnutls_peer_common_name(void *session, char *out, size_t size) {
    struct gnutls_api api;
    unsigned status = 0;
    unsigned count = 0;
    if (!load(&api) || api.certificate_verify_peers2(session, &status) != 0 || status != 0) {
        return false;
    }
    const gnutls_datum_t *certs = api.certificate_get_peers(session, &count);
    gnutls_x509_crt_t cert;
    if (!certs || count == 0 || api.x509_crt_init(&cert) != 0) {
        return false;
    }
    size_t n = size - 1;
    bool ok = api.x509_crt_import(cert, &certs[0], GNUTLS_X509_FMT_DER) == 0 &&
              api.x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out, &n) == 0;
    api.x509_crt_deinit(cert);
    if (ok) {
        out[n < size ? n : size - 1] = '\0';
        // A name with a NUL inside would be read as a shorter one.
        ok = strlen(out) == n || strlen(out) + 1 == n;
    }
    return ok;
}
