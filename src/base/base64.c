// SPDX-License-Identifier: Apache-2.0
// Standard base64, as the data of Secrets uses it.
#include "base/text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str base64_encode(struct arena *arena, struct str data) {
    CHECK(data.n < SIZE_MAX / 2);
    char *out = arena_alloc(arena, (data.n + 2) / 3 * 4 + 1);
    char *to = out;
    for (size_t i = 0; i < data.n; i += 3) {
        size_t left = data.n - i;
        uint32_t bits = (uint32_t)(uint8_t)data.p[i] << 16;
        bits |= left > 1 ? (uint32_t)(uint8_t)data.p[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)(uint8_t)data.p[i + 2] : 0;
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        *to++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[bits & 63] : '=';
    }
    *to = '\0';
    return (struct str){out, (size_t)(to - out)};
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// The three bytes of four digits; `digits` of them were written, the rest is padding.
static char *put_group(char *to, uint32_t bits, unsigned digits) {
    *to++ = (char)(bits >> 16);
    if (digits > 2) {
        *to++ = (char)(bits >> 8);
    }
    if (digits > 3) {
        *to++ = (char)bits;
    }
    return to;
}

bool base64_decode(struct str text, struct arena *arena, struct str *out) {
    char *data = arena_alloc(arena, text.n / 4 * 3 + 4);
    char *to = data;
    uint32_t bits = 0;
    unsigned count = 0;  // characters of this group
    unsigned digits = 0; // of them, those that are not padding
    bool ended = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\r' || c == '\n') {
            continue;
        }
        int digit = base64_digit(c);
        // Padding stands only at the third and fourth place of the last group, and nothing follows it.
        if (ended || (digit < 0 && (c != '=' || count < 2)) || (digit >= 0 && digits != count)) {
            return false;
        }
        bits = bits << 6 | (digit < 0 ? 0 : (uint32_t)digit);
        count++;
        digits += digit >= 0;
        if (count == 4) {
            to = put_group(to, bits, digits);
            ended = digits < 4;
            bits = 0;
            count = 0;
            digits = 0;
        }
    }
    if (count != 0) {
        return false;
    }
    *to = '\0';
    *out = (struct str){data, (size_t)(to - data)};
    return true;
}

struct str hex_encode(struct arena *arena, struct str data) {
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(arena, 2 * data.n + 1);
    for (size_t i = 0; i < data.n; i++) {
        out[2 * i] = digits[(unsigned char)data.p[i] >> 4];
        out[2 * i + 1] = digits[(unsigned char)data.p[i] & 15];
    }
    out[2 * data.n] = '\0';
    return (struct str){out, 2 * data.n};
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool hex_decode(struct str text, struct arena *arena, struct str *out) {
    if (text.n % 2 != 0) {
        return false;
    }
    char *bytes = arena_alloc(arena, text.n / 2 + 1);
    for (size_t i = 0; i < text.n; i += 2) {
        int high = hex_digit(text.p[i]), low = hex_digit(text.p[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i / 2] = (char)(high * 16 + low);
    }
    bytes[text.n / 2] = '\0';
    *out = (struct str){bytes, text.n / 2};
    return true;
}
