// SPDX-License-Identifier: Apache-2.0
// Log lines as text or JSON, with a level by module. Fields are name and value pairs.
#ifndef SKIFF_BASE_LOG_H
#define SKIFF_BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#define LOG_LEVELS(X)     \
    X(LOG_DEBUG, "debug") \
    X(LOG_INFO, "info")   \
    X(LOG_WARN, "warn")   \
    X(LOG_ERROR, "error") \
    X(LOG_OFF, "off")
enum log_level {
#define X(level, name) level,
    LOG_LEVELS(X)
#undef X
};
const char *log_level_name(enum log_level level);

// "info" or "info,vcs=debug,apiserver=warn". The configuration is the one piece of process-wide state outside main.c:
// it is set once before threads start.
bool log_configure(struct str levels, bool json, struct err *err) MUST_USE;
// Where lines go and what time they carry; NULL restores stderr and the system clock. For tests and the simulation.
void log_redirect(void (*sink)(void *ctx, struct str line), int64_t (*now_ns)(void *ctx),
                  void *ctx);
bool log_enabled(const char *module, enum log_level level);

// log_write("vcs", LOG_WARN, "fetch failed", "repo", url, "error", err.message, NULL): pairs of C strings, then NULL.
// Control characters are escaped; the caller keeps secrets out.
void log_write(const char *module, enum log_level level, const char *message, ...)
    __attribute__((sentinel));

#define LOG(level, module, message, ...)                                  \
    do {                                                                  \
        if (log_enabled((module), (level))) {                             \
            log_write((module), (level), (message), ##__VA_ARGS__, NULL); \
        }                                                                 \
    } while (0)

#endif
