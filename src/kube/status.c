// SPDX-License-Identifier: Apache-2.0
// Kubernetes answers a refusal with a Status object. Its reason is the precise word, the HTTP status the rough one; both
// are outside input, so a reply that is no Status (a proxy's page, an empty body) still gives a usable error.
#include "base/limits.h"
#include "kube/client.h"

static const struct {
    const char *reason;
    enum err_code code;
} reasons[] = {
    {"Unauthorized", ERR_UNAUTHORIZED},
    {"Forbidden", ERR_FORBIDDEN},
    {"NotFound", ERR_NOT_FOUND},
    {"AlreadyExists", ERR_EXISTS},
    {"Conflict", ERR_CONFLICT},
    {"Gone", ERR_GONE},
    {"Expired", ERR_GONE},
    {"Invalid", ERR_INVALID},
    {"BadRequest", ERR_INVALID},
    {"NotAcceptable", ERR_UNSUPPORTED},
    {"UnsupportedMediaType", ERR_UNSUPPORTED},
    {"MethodNotAllowed", ERR_UNSUPPORTED},
    {"RequestEntityTooLarge", ERR_LIMIT},
    {"StorageReadError", ERR_UNAVAILABLE},
    {"Timeout", ERR_TIMEOUT},
    {"ServerTimeout", ERR_UNAVAILABLE},
    {"TooManyRequests", ERR_UNAVAILABLE},
    {"InternalError", ERR_UNAVAILABLE},
    {"ServiceUnavailable", ERR_UNAVAILABLE},
};

static enum err_code code_of_http(int status) {
    switch (status) {
    case 400:
    case 422:
        return ERR_INVALID;
    case 401:
        return ERR_UNAUTHORIZED;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 405:
    case 406:
    case 415:
    case 501:
        return ERR_UNSUPPORTED;
    case 408:
    case 504:
        return ERR_TIMEOUT;
    case 409:
    case 412:
        return ERR_CONFLICT;
    case 410:
        return ERR_GONE;
    case 413:
        return ERR_LIMIT;
    case 507:
        return ERR_FULL;
    default:
        return status == 429 || status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
    }
}

// What a proxy or an old server said instead of a Status: its first printable characters, on one line.
static void foreign_error(int http_status, struct str body, struct err *err) {
    char excerpt[161];
    size_t n = 0;
    body = str_trim(body);
    for (size_t i = 0; i < body.n && n + 1 < sizeof excerpt; i++) {
        unsigned char c = (unsigned char)body.p[i];
        if (c == '\r') {
            continue;
        }
        excerpt[n++] = c < 0x20 || c >= 0x7f ? ' ' : (char)c;
    }
    excerpt[n] = '\0';
    enum err_code code = code_of_http(http_status);
    if (n > 0) {
        err_set(err, code, "the server answered %d: %s", http_status, excerpt);
    } else {
        err_set(err, code, "the server answered %d without a message", http_status);
    }
}

void kube_status_error(int http_status, struct str body, struct err *err, char reason[64]) {
    if (reason) {
        reason[0] = '\0';
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value root;
    struct err ignored = {0};
    bool parsed = body.n > 0 && body.n <= (size_t)LIMIT_HTTP_BODY &&
                  doc_parse_json(body, arena, &root, &ignored);
    if (!parsed || !str_eq_c(doc_get_str(&root, "kind"), "Status")) {
        foreign_error(http_status, body, err);
        return;
    }
    struct str why = doc_get_str(&root, "reason");
    struct str message = doc_get_str(&root, "message");
    int64_t code = doc_int(doc_get(&root, "code"), 0);
    if (code >= 400 && code < 600 && http_status < 400) {
        http_status = (int)code; // a Status inside a watch comes with 200
    }
    enum err_code result = code_of_http(http_status);
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (str_eq_c(why, reasons[i].reason)) {
            result = reasons[i].code;
        }
    }
    if (reason && why.n < 64) {
        memcpy(reason, why.p ? why.p : "", why.n);
        reason[why.n] = '\0';
    }
    if (message.n > 0) {
        err_set(err, result, "%.*s", STR_ARG(message));
    } else if (why.n > 0) {
        err_set(err, result, "the server answered %d: %.*s", http_status, STR_ARG(why));
    } else {
        err_set(err, result, "the server answered %d without a message", http_status);
    }
}
