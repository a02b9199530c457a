// SPDX-License-Identifier: Apache-2.0
// Log lines in the two layouts that Argo CD's users know (logrus): `time="..." level=info msg="..." module=vcs key=value`
// and JSON with the same names. One line is one write, so lines of several threads do not mix.
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    LOG_LINE_MAX = 16 * 1024,
    LOG_VALUE_MAX = 4 * 1024, // a longer value is cut, so that one field cannot push out the rest
    LOG_MODULES_MAX = 32,
    LOG_MODULE_NAME = 24,
};

// The one piece of process-wide state outside main.c: set before threads start, only read afterwards.
static struct {
    enum log_level standard;
    bool json;
    size_t module_count;
    struct {
        char name[LOG_MODULE_NAME];
        enum log_level level;
    } modules[LOG_MODULES_MAX];
    void (*sink)(void *ctx, struct str line);
    int64_t (*now_ns)(void *ctx);
    void *ctx;
} config = {.standard = LOG_INFO};

const char *log_level_name(enum log_level level) {
    switch (level) {
#define X(value, name) \
    case value:        \
        return name;
        LOG_LEVELS(X)
#undef X
    }
    return "unknown";
}

static bool parse_level(struct str text, enum log_level *out, struct err *err) {
#define X(value, name)          \
    if (str_eq_c(text, name)) { \
        *out = value;           \
        return true;            \
    }
    LOG_LEVELS(X)
#undef X
    if (str_eq_c(text, "warning")) { // logrus' own spelling
        *out = LOG_WARN;
        return true;
    }
    return err_set(err, ERR_INVALID,
                   "log level \"%.*s\" is unknown: use debug, info, warn, error or off",
                   STR_ARG(text));
}

bool log_configure(struct str levels, bool json, struct err *err) {
    __typeof__(config) next = config;
    next.standard = LOG_INFO;
    next.module_count = 0;
    next.json = json;
    struct str rest = levels;
    struct str part;
    while (str_next(&rest, ',', &part)) {
        struct str name;
        struct str text;
        enum log_level level = LOG_INFO;
        part = str_trim(part);
        bool pair = str_cut(part, '=', &name, &text);
        if (!parse_level(pair ? text : part, &level, err)) {
            return false;
        }
        if (!pair) {
            next.standard = level;
            continue;
        }
        if (name.n == 0 || name.n >= LOG_MODULE_NAME || next.module_count == LOG_MODULES_MAX) {
            return err_set(err, ERR_INVALID, "log level for module \"%.*s\": bad name or too many",
                           STR_ARG(name));
        }
        memcpy(next.modules[next.module_count].name, name.p, name.n);
        next.modules[next.module_count].name[name.n] = '\0';
        next.modules[next.module_count++].level = level;
    }
    config = next;
    return true;
}

void log_redirect(void (*sink)(void *ctx, struct str line), int64_t (*now_ns)(void *ctx),
                  void *ctx) {
    config.sink = sink;
    config.now_ns = now_ns;
    config.ctx = ctx;
}

bool log_enabled(const char *module, enum log_level level) {
    for (size_t i = config.module_count; i > 0; i--) { // the last word counts
        if (strcmp(config.modules[i - 1].name, module) == 0) {
            return level >= config.modules[i - 1].level;
        }
    }
    return level >= config.standard;
}

// The length of a valid UTF-8 sequence at `p`, or 0.
static size_t utf8_length(const unsigned char *p, size_t n) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if ((p[0] & forms[i].mask) != forms[i].lead) {
            continue;
        }
        uint32_t value = p[0] & (unsigned char)~forms[i].mask;
        for (size_t k = 1; k < i + 2; k++) {
            if (k >= n || (p[k] & 0xc0) != 0x80) {
                return 0;
            }
            value = value << 6 | (p[k] & 0x3f);
        }
        bool fine =
            value >= forms[i].least && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
        return fine ? i + 2 : 0;
    }
    return 0;
}

// Quoted text that both layouts understand; a byte that is not UTF-8 becomes U+FFFD, control characters are escaped.
static void add_quoted(struct buf *out, struct str text) {
    const unsigned char *p = (const unsigned char *)text.p;
    size_t n = text.n < LOG_VALUE_MAX ? text.n : LOG_VALUE_MAX;
    buf_add_char(out, '"');
    for (size_t i = 0; i < n;) {
        unsigned char c = p[i];
        size_t step = 1;
        if (c == '"' || c == '\\') {
            buf_add_char(out, '\\');
            buf_add_char(out, (char)c);
        } else if (c == '\n' || c == '\t' || c == '\r') {
            buf_add_c(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\u%04x", c);
        } else if (c < 0x80) {
            buf_add_char(out, (char)c);
        } else if ((step = utf8_length(p + i, text.n - i)) > 0) {
            // C1 control characters move a terminal's cursor as well as their ASCII forms do.
            if (c == 0xc2 && p[i + 1] < 0xa0) {
                buf_printf(out, "\\u%04x", p[i + 1]);
            } else {
                buf_add(out, p + i, step);
            }
        } else {
            buf_add_c(out, "\xef\xbf\xbd");
            step = 1;
        }
        i += step;
    }
    buf_add_c(out, n < text.n ? "...\"" : "\"");
}

// logrus leaves simple words bare.
static bool is_bare(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool simple = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      strchr("-._/@^+", c) != NULL;
        if (!simple || c == '\0') {
            return false;
        }
    }
    return text.n > 0 && text.n <= LOG_VALUE_MAX;
}

static void add_pair(struct buf *out, const char *name, struct str value, bool quote) {
    // A field that does not fit is left out whole.
    size_t before = out->len;
    if (config.json) {
        if (before > 1) { // after the brace
            buf_add_char(out, ',');
        }
        add_quoted(out, str_from(name));
        buf_add_char(out, ':');
        add_quoted(out, value);
    } else {
        if (before > 0) {
            buf_add_char(out, ' ');
        }
        buf_add_c(out, name);
        buf_add_char(out, '=');
        if (quote || !is_bare(value)) {
            add_quoted(out, value);
        } else {
            buf_add_str(out, value);
        }
    }
    if (out->overflow) {
        out->len = before;
        out->data[before] = '\0';
        out->overflow = false;
    }
}

static void add_time(struct buf *out) {
    int64_t ns;
    if (config.now_ns) {
        ns = config.now_ns(config.ctx);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    char text[64];
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(text + n, sizeof text - n, ".%03dZ", (int)(ns / 1000000 % 1000));
    add_pair(out, "time", (struct str){text, n}, true);
}

void log_write(const char *module, enum log_level level, const char *message, ...) {
    AUTO_BUF struct buf line;
    buf_init(&line, LOG_LINE_MAX);
    if (config.json) {
        buf_add_char(&line, '{');
    }
    add_time(&line);
    add_pair(&line, "level", str_from(level == LOG_WARN ? "warning" : log_level_name(level)),
             false);
    add_pair(&line, "msg", str_from(message), true);
    add_pair(&line, "module", str_from(module), false);
    va_list args;
    va_start(args, message);
    for (const char *name; (name = va_arg(args, const char *));) {
        const char *value = va_arg(args, const char *);
        add_pair(&line, name, value ? str_from(value) : STR("(none)"), false);
    }
    va_end(args);
    line.max += 2; // the end always fits
    buf_add_c(&line, config.json ? "}\n" : "\n");
    if (config.sink) {
        config.sink(config.ctx, buf_str(&line));
        return;
    }
    // Nothing can be done about a log that cannot be written.
    ssize_t unused = write(STDERR_FILENO, line.data, line.len);
    (void)unused;
}
