// SPDX-License-Identifier: Apache-2.0
// Strict UTF-8 as RFC 3629 defines it: what Go calls valid.
#include "base/text.h"

static bool is_continuation(char c) {
    return ((uint8_t)c & 0xc0) == 0x80;
}

size_t utf8_sequence(struct str s) {
    if (s.n == 0) {
        return 0;
    }
    uint8_t first = (uint8_t)s.p[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4 || s.n < 2) {
        return 0; // a continuation byte, an overlong form of ASCII, past U+10FFFF, or cut off
    }
    uint8_t second = (uint8_t)s.p[1];
    if (first < 0xe0) {
        return is_continuation(s.p[1]) ? 2 : 0;
    }
    // The second byte decides about overlong forms, surrogates and the end of the range.
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high || s.n < 3 || !is_continuation(s.p[2])) {
        return 0;
    }
    if (first < 0xf0) {
        return 3;
    }
    return s.n >= 4 && is_continuation(s.p[3]) ? 4 : 0;
}

bool utf8_is_valid(struct str s) {
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        if (s.n - i >= sizeof word) {
            memcpy(&word, s.p + i, sizeof word);
            if ((word & 0x8080808080808080U) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t n = utf8_sequence(str_skip(s, i));
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

size_t utf8_encode(uint32_t rune, char *out) {
    if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) {
        rune = 0xfffd;
    }
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xc0 | rune >> 6);
        out[1] = (char)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (char)(0xe0 | rune >> 12);
        out[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        out[2] = (char)(0x80 | (rune & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | rune >> 18);
    out[1] = (char)(0x80 | (rune >> 12 & 0x3f));
    out[2] = (char)(0x80 | (rune >> 6 & 0x3f));
    out[3] = (char)(0x80 | (rune & 0x3f));
    return 4;
}
