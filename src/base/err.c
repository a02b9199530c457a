// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

const char *err_code_name(enum err_code code) {
    switch (code) {
#define X(value, name) \
    case value:        \
        return name;
        ERR_CODES(X)
#undef X
    }
    return "unknown";
}

bool err_vset(struct err *err, enum err_code code, const char *format, va_list args) {
    if (err) {
        char message[ERR_MESSAGE_MAX]; // arguments may point into err
        vsnprintf(message, sizeof message, format, args);
        err->code = code;
        err->line = 0;
        err->column = 0;
        memcpy(err->message, message, sizeof message);
    }
    return false;
}

bool err_set(struct err *err, enum err_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    err_vset(err, code, format, args);
    va_end(args);
    return false;
}

bool err_set_at(struct err *err, enum err_code code, uint32_t line, uint32_t column,
                const char *format, ...) {
    va_list args;
    va_start(args, format);
    err_vset(err, code, format, args);
    va_end(args);
    if (err) {
        err->line = line;
        err->column = column;
    }
    return false;
}

static void put_before(struct err *err, const char *prefix) {
    char old[ERR_MESSAGE_MAX];
    memcpy(old, err->message, sizeof old);
    size_t n = strnlen(prefix, ERR_MESSAGE_MAX - 1);
    memcpy(err->message, prefix, n);
    size_t rest = strnlen(old, ERR_MESSAGE_MAX - 1);
    rest = rest > ERR_MESSAGE_MAX - 1 - n ? ERR_MESSAGE_MAX - 1 - n : rest;
    memcpy(err->message + n, old, rest);
    err->message[n + rest] = '\0';
}

bool err_wrap(struct err *err, const char *format, ...) {
    if (err) {
        char prefix[ERR_MESSAGE_MAX];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(prefix, sizeof prefix - 2, format, args);
        va_end(args);
        size_t end = n < 0 ? 0 : (size_t)n < sizeof prefix - 3 ? (size_t)n : sizeof prefix - 3;
        memcpy(prefix + end, ": ", 3);
        put_before(err, prefix);
    }
    return false;
}

bool err_wrap_file(struct err *err, struct str file) {
    if (err) {
        char prefix[ERR_MESSAGE_MAX];
        if (err->line) {
            snprintf(prefix, sizeof prefix, "%.*s:%u:%u: ", STR_ARG(file), err->line, err->column);
        } else {
            snprintf(prefix, sizeof prefix, "%.*s: ", STR_ARG(file));
        }
        put_before(err, prefix);
    }
    return false;
}

static enum err_code code_of_errno(int errnum) {
    switch (errnum) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_FORBIDDEN;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_UNAVAILABLE;
    default:
        return ERR_IO;
    }
}

bool err_errno(struct err *err, int errnum, const char *format, ...) {
    if (err) {
        char context[512];
        va_list args;
        va_start(args, format);
        vsnprintf(context, sizeof context, format, args);
        va_end(args);
        char text[128] = "";
        const char *reason = strerror_r(errnum, text, sizeof text);
        err_set(err, code_of_errno(errnum), "%s: %s", context, reason);
    }
    return false;
}
