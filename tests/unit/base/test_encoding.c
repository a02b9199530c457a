// SPDX-License-Identifier: Apache-2.0
// base64.c and utf8.c.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void base64(void **state) {
    static const struct {
        struct str data;
        const char *text;
    } cases[] = {
        {STR_INIT(""), ""},        {STR_INIT("f"), "Zg=="},        {STR_INIT("fo"), "Zm8="},
        {STR_INIT("foo"), "Zm9v"}, {STR_INIT("foob"), "Zm9vYg=="}, {STR_INIT("\0\xff\xfe"), "AP/+"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(base64_encode(arena, cases[i].data).p, cases[i].text);
        struct str out;
        assert_true(base64_decode(str_from(cases[i].text), arena, &out));
        assert_true(str_eq(out, cases[i].data));
    }
    struct str out;
    assert_true(base64_decode(STR("Zm9v\r\nYg=\n=\n"), arena, &out));
    assert_true(str_eq_c(out, "foob"));
    static const char *const wrong[] = {"Z",        "Zg",   "Zg=",   "Zm9vY", "====",  "Z===",
                                        "Zg==Zg==", "Zg=a", "Zm9 v", "-_-_",  "Zm9v=", "Zg==\n="};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (base64_decode(str_from(wrong[i]), arena, &out)) {
            fail_msg("accepted %s", wrong[i]);
        }
    }
}

// A decoder written the other way round: from the character to its only encoding.
static void utf8_agrees_with_its_definition(void **state) {
    char text[8];
    for (uint32_t rune = 0; rune < 0x110000; rune++) {
        size_t n = utf8_encode(rune, text);
        bool surrogate = rune >= 0xd800 && rune <= 0xdfff;
        if (surrogate) {
            assert_memory_equal(text, "\xef\xbf\xbd", 3);
        }
        size_t want = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
        assert_int_equal(n, want);
        assert_int_equal(utf8_sequence(str_make(text, n)), n);
        if (n > 1) {
            assert_int_equal(utf8_sequence(str_make(text, n - 1)), 0); // cut off
        }
    }
    assert_int_equal(utf8_encode(0x110000, text), 3);
    // All first bytes with all second bytes: as many valid pairs as there should be.
    unsigned pairs = 0;
    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            char two[2] = {(char)a, (char)b};
            pairs += utf8_sequence(str_make(two, 2)) == 2;
        }
    }
    assert_int_equal(pairs, 0x800 - 0x80);
    unsigned triples = 0;
    for (unsigned a = 0xe0; a < 0xf0; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            char three[3] = {(char)a, (char)b, (char)0x80};
            triples += utf8_sequence(str_make(three, 3)) == 3;
        }
    }
    assert_int_equal(triples, (0x10000 - 0x800 - 0x800) / 0x40);
}

static void utf8_checks_whole_texts(void **state) {
    assert_true(utf8_is_valid(str_make(NULL, 0)));
    assert_true(utf8_is_valid(STR("plain text of more than eight bytes")));
    assert_true(utf8_is_valid(STR("12345678\xc3\xa9 and \xe6\x97\xa5\xf0\x9f\x98\x80")));
    assert_false(utf8_is_valid(STR("12345678\xc3")));
    assert_false(utf8_is_valid(STR("123456789012345\xed\xa0\x80")));
    assert_false(utf8_is_valid(STR("\x80")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64),
        cmocka_unit_test(utf8_agrees_with_its_definition),
        cmocka_unit_test(utf8_checks_whole_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
