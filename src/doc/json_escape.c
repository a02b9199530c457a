// SPDX-License-Identifier: Apache-2.0
#include "doc/json_escape.h"

#include "base/text.h"
#include "doc/doc_internal.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The code unit of "\uXXXX" at p, or -1.
static int32_t read_unit(const char *p, const char *end) {
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }
    int32_t unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

// The character of an escape that starts with \u; *p moves behind it. False when it is malformed.
static bool read_rune(const char **p, const char *end, uint32_t *rune) {
    int32_t high = read_unit(*p, end);
    if (high < 0) {
        return false;
    }
    *p += 6;
    *rune = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff) {
        return true;
    }
    int32_t low = high < 0xdc00 ? read_unit(*p, end) : -1;
    if (low >= 0xdc00 && low <= 0xdfff) {
        *p += 6;
        *rune = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    } else {
        *rune = 0xfffd; // half a pair; what follows is read for itself
    }
    return true;
}

static char simple_escape(char c) {
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

size_t json_unescape(struct str raw, char *out, const char **bad) {
    const char *p = raw.p;
    const char *end = raw.p + raw.n;
    char *to = out;
    while (p < end) {
        const char *plain = p;
        do {
            p = doc_skip_plain(p, end);
            // Only a backslash matters: the scan before has checked everything else.
        } while (p < end && *p != '\\' && ++p < end);
        memcpy(to, plain, (size_t)(p - plain));
        to += p - plain;
        if (p == end) {
            break;
        }
        char c = end - p >= 2 ? simple_escape(p[1]) : 0;
        if (c) {
            *to++ = c;
            p += 2;
            continue;
        }
        uint32_t rune;
        if (!read_rune(&p, end, &rune)) {
            *bad = p;
            return 0;
        }
        to += utf8_encode(rune, to); // at most 4 bytes for 6 or 12 of text
    }
    return (size_t)(to - out);
}

static bool put_control(struct buf *out, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '\b':
        return buf_add(out, "\\b", 2);
    case '\f':
        return buf_add(out, "\\f", 2);
    case '\n':
        return buf_add(out, "\\n", 2);
    case '\r':
        return buf_add(out, "\\r", 2);
    case '\t':
        return buf_add(out, "\\t", 2);
    default: {
        char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        return buf_add(out, text, sizeof text);
    }
    }
}

// With at least one byte that is not plain.
static bool put_special(struct buf *out, const char *p, const char *end) {
    bool ok = buf_add_char(out, '"');
    const char *run = p;
    while (ok) {
        p = doc_skip_plain(p, end);
        if (p == end) {
            break;
        }
        uint8_t c = (uint8_t)*p;
        size_t n = c >= 0x80 ? utf8_sequence(str_make(p, (size_t)(end - p))) : 0;
        if (n) {
            p += n;
            continue;
        }
        ok = buf_add(out, run, (size_t)(p - run));
        if (c >= 0x80) {
            ok = ok && buf_add(out, "\xef\xbf\xbd", 3);
        } else if (c < 0x20) {
            ok = ok && put_control(out, c);
        } else {
            char text[2] = {'\\', (char)c};
            ok = ok && buf_add(out, text, 2);
        }
        run = ++p;
    }
    return ok && buf_add(out, run, (size_t)(end - run)) && buf_add_char(out, '"');
}

bool json_put_string(struct buf *out, struct str s) {
    const char *p = s.p ? s.p : "";
    const char *end = p + s.n;
    if (doc_skip_plain(p, end) != end) {
        return put_special(out, p, end);
    }
    if (!buf_reserve(out, s.n + 2)) {
        return false;
    }
    char *to = out->data + out->len;
    *to++ = '"';
    memcpy(to, p, s.n);
    to[s.n] = '"';
    to[s.n + 1] = '\0';
    out->len += s.n + 2;
    return true;
}
