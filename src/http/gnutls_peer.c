// SPDX-License-Identifier: Apache-2.0
// GnuTLS comes with libmicrohttpd, so it is there when a session of its is; the one file that includes its headers.
#include "http/gnutls_peer.h"

#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdint.h>
#include <string.h>

#define GNUTLS_FUNCTIONS(X)     \
    X(certificate_verify_peers) \
    X(certificate_get_peers)    \
    X(x509_crt_init)            \
    X(x509_crt_import)          \
    X(x509_crt_get_dn_by_oid)   \
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

static bool is_for_clients(struct gnutls_api *api, void *session) {
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned status = 0;
    return api->certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// The library gives the text as RFC 4514 escapes it, with a backslash before a comma or before two hex digits.
static size_t unescape(char *text, size_t n) {
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\' && i + 1 < n) {
            int high = hex_digit(text[i + 1]);
            int low = i + 2 < n ? hex_digit(text[i + 2]) : -1;
            bool pair = high >= 0 && low >= 0;
            text[out++] = pair ? (char)(high * 16 + low) : text[i + 1];
            i += pair ? 2 : 1;
        } else {
            text[out++] = text[i];
        }
    }
    text[out] = '\0';
    return out;
}

// One attribute of the subject. A text with a NUL inside would be read as a shorter one.
static bool read_text(struct gnutls_api *api, gnutls_x509_crt_t cert, const char *oid,
                      unsigned index, char out[GNUTLS_PEER_TEXT]) {
    size_t n = GNUTLS_PEER_TEXT - 1;
    if (api->x509_crt_get_dn_by_oid(cert, oid, index, 0, out, &n) != 0) {
        return false;
    }
    out[n < GNUTLS_PEER_TEXT ? n : GNUTLS_PEER_TEXT - 1] = '\0';
    n = strlen(out) + 1 == n ? n - 1 : n;
    n = strlen(out) == n ? unescape(out, n) : 0;
    return n > 0 && strlen(out) == n;
}

bool gnutls_peer_read(void *session, struct gnutls_peer *out) {
    struct gnutls_api api;
    unsigned count = 0;
    const gnutls_datum_t *certs = load(&api) ? api.certificate_get_peers(session, &count) : NULL;
    gnutls_x509_crt_t cert;
    out->group_count = 0;
    if (!certs || count == 0 || !is_for_clients(&api, session) || api.x509_crt_init(&cert) != 0) {
        return false;
    }
    bool ok = api.x509_crt_import(cert, &certs[0], GNUTLS_X509_FMT_DER) == 0 &&
              read_text(&api, cert, GNUTLS_OID_X520_COMMON_NAME, 0, out->name);
    while (ok && out->group_count < GNUTLS_PEER_GROUPS &&
           read_text(&api, cert, GNUTLS_OID_X520_ORGANIZATION_NAME, (unsigned)out->group_count,
                     out->groups[out->group_count])) {
        out->group_count++;
    }
    api.x509_crt_deinit(cert);
    return ok;
}
