// SPDX-License-Identifier: Apache-2.0
// Errors are values: the last parameter of what can fail. Nothing is printed deep down; the top logs or shows it once.
#ifndef SKIFF_BASE_ERR_H
#define SKIFF_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define ERR_CODES(X)                                                                   \
    X(ERR_NONE, "none")                                                                \
    X(ERR_INVALID, "invalid") /* the input is wrong; the same again fails the same */  \
    X(ERR_NOT_FOUND, "not found")                                                      \
    X(ERR_EXISTS, "already exists")                                                    \
    X(ERR_CONFLICT, "conflict") /* somebody else changed it: read again */             \
    X(ERR_FORBIDDEN, "forbidden")                                                      \
    X(ERR_UNAUTHORIZED, "unauthorized")                                                \
    X(ERR_LIMIT, "limit exceeded") /* a named limit of base/limits.h */                \
    X(ERR_TIMEOUT, "timeout")                                                          \
    X(ERR_UNAVAILABLE, "unavailable") /* worth trying again later */                   \
    X(ERR_GONE, "gone")               /* a watch or continue position was compacted */ \
    X(ERR_IO, "i/o")                                                                   \
    X(ERR_FULL, "storage full")                                                        \
    X(ERR_CANCELLED, "cancelled")                                                      \
    X(ERR_UNSUPPORTED, "unsupported")                                                  \
    X(ERR_USAGE, "usage") /* command line used wrongly: exit code 2 */                 \
    X(ERR_INTERNAL, "internal")

enum err_code {
#define X(code, name) code,
    ERR_CODES(X)
#undef X
};
const char *err_code_name(enum err_code code);

// Longer messages are cut; Kubernetes cuts condition messages of controllers at about the same size.
enum { ERR_MESSAGE_MAX = 1024 };

// Start with `struct err err = {0};`. Plain data: copying is fine, nothing to free.
struct err {
    enum err_code code;
    uint32_t line;   // 1-based place in the input where one is known, else 0
    uint32_t column; // 1-based, in characters
    char message[ERR_MESSAGE_MAX];
};

// Sets and returns false, so that `return err_set(err, ERR_INVALID, "...")` reads well. `err` may be NULL.
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool err_vset(struct err *err, enum err_code code, const char *format, va_list args);
// As err_set, with a place; the message gets the prefix "line L, column C: " when shown by err_wrap_file.
bool err_set_at(struct err *err, enum err_code code, uint32_t line, uint32_t column,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
// Puts "context: " before the message, as Go's %w does. Returns false. Keeps code and place.
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Puts "FILE:LINE:COLUMN: " before the message (without the place: "FILE: "). Returns false.
bool err_wrap_file(struct err *err, struct str file);
// From errno: code by its value, message "context: strerror".
bool err_errno(struct err *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool err_is(const struct err *err, enum err_code code) {
    return err && err->code == code;
}

#define MUST_USE __attribute__((warn_unused_result))

#endif
