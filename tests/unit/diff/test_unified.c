// SPDX-License-Identifier: Apache-2.0
// Some outputs in full, and generated pairs of texts: the hunks must turn one into the other, with as few edits as there can
// be, and equal lines around each change.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "diff/diff.h"

static void test_table(void **state) {
    static const struct {
        const char *from, *to;
        unsigned context;
        const char *expected;
    } cases[] = {
        {"a\n", "a\n", 3, ""},
        {"", "", 3, ""},
        {"a\n", "b\n", 3, "--- x\n+++ y\n@@ -1 +1 @@\n-a\n+b\n"},
        {"", "a\n", 3, "--- x\n+++ y\n@@ -0,0 +1 @@\n+a\n"},
        {"a\nb\n", "", 3, "--- x\n+++ y\n@@ -1,2 +0,0 @@\n-a\n-b\n"},
        {"a\nb\nc\n", "a\nc\n", 3, "--- x\n+++ y\n@@ -1,3 +1,2 @@\n a\n-b\n c\n"},
        {"a\nb\nc\n", "a\nB\nc\n", 0, "--- x\n+++ y\n@@ -2 +2 @@\n-b\n+B\n"},
        {"a\nc\n", "a\nb\nc\n", 0, "--- x\n+++ y\n@@ -1,0 +2 @@\n+b\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "0\n2\n3\n4\n5\n6\n7\n8\n0\n", 1,
         "--- x\n+++ y\n@@ -1,2 +1,2 @@\n-1\n+0\n 2\n@@ -8,2 +8,2 @@\n 8\n-9\n+0\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n", "0\n2\n3\n4\n5\n6\n7\n0\n", 3,
         "--- x\n+++ y\n@@ -1,8 +1,8 @@\n-1\n+0\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+0\n"},
        {"a\n", "a", 3, "--- x\n+++ y\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"},
        {"a\nb", "a\nb\n", 3,
         "--- x\n+++ y\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"},
        {"a\nz", "b\nz", 3,
         "--- x\n+++ y\n@@ -1,2 +1,2 @@\n-a\n+b\n z\n\\ No newline at end of file\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, MIB);
        assert_true(diff_unified(str_from(cases[i].from), str_from(cases[i].to), STR("x"), STR("y"),
                                 cases[i].context, &out));
        if (!str_eq_c(buf_str(&out), cases[i].expected)) {
            fail_msg("case %zu: expected\n%s\nbut got\n%.*s", i, cases[i].expected,
                     STR_ARG(buf_str(&out)));
        }
    }
}

// ---- Generated pairs ----
static uint32_t random_below(uint64_t *seed, uint32_t n) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % n;
}

enum { LINES_MAX = 40 };
struct text {
    char lines[LINES_MAX]; // one letter each
    size_t count;
};

static void make_pair(uint64_t *seed, struct text *a, struct text *b) {
    *a = *b = (struct text){0};
    a->count = random_below(seed, LINES_MAX / 2);
    uint32_t letters = 2 + random_below(seed, 8);
    for (size_t i = 0; i < a->count; i++) {
        a->lines[i] = (char)('a' + random_below(seed, letters));
    }
    for (size_t i = 0; i <= a->count && b->count < LINES_MAX - 2; i++) {
        uint32_t what = random_below(seed, 10);
        if (what == 0) {
            b->lines[b->count++] = (char)('a' + random_below(seed, letters));
        }
        if (what != 1 && i < a->count) {
            b->lines[b->count++] = what == 2 ? '#' : a->lines[i];
        }
    }
}

static struct str join(struct arena *arena, const struct text *text) {
    char *out = arena_alloc(arena, 2 * text->count + 1);
    for (size_t i = 0; i < text->count; i++) {
        out[2 * i] = text->lines[i];
        out[2 * i + 1] = '\n';
    }
    return str_make(out, 2 * text->count);
}

static size_t fewest_edits(const struct text *a, const struct text *b) {
    size_t row[LINES_MAX + 1] = {0}; // lengths of common subsequences
    for (size_t i = 0; i < a->count; i++) {
        size_t before = 0;
        for (size_t k = 0; k < b->count; k++) {
            size_t above = row[k + 1];
            row[k + 1] = a->lines[i] == b->lines[k] ? before + 1 : row[k] > above ? row[k] : above;
            before = above;
        }
    }
    return a->count + b->count - 2 * row[b->count];
}

struct hunk {
    unsigned long from, from_count, to, to_count;
};

static unsigned long number(struct str *text, unsigned long fallback) {
    unsigned long value = fallback;
    for (bool first = true; text->n && text->p[0] >= '0' && text->p[0] <= '9'; first = false) {
        value = (first ? 0 : value * 10) + (unsigned long)(text->p[0] - '0');
        *text = str_skip(*text, 1);
    }
    return value;
}

static struct hunk read_head(struct str line) {
    struct hunk hunk = {0};
    assert_true(str_starts(line, STR("@@ -")));
    line = str_skip(line, 4);
    hunk.from = number(&line, 0);
    hunk.from_count = 1;
    if (str_starts(line, STR(","))) {
        line = str_skip(line, 1);
        hunk.from_count = number(&line, 0);
    }
    assert_true(str_starts(line, STR(" +")));
    line = str_skip(line, 2);
    hunk.to = number(&line, 0);
    hunk.to_count = 1;
    if (str_starts(line, STR(","))) {
        line = str_skip(line, 1);
        hunk.to_count = number(&line, 0);
    }
    assert_true(str_eq(line, STR(" @@")));
    return hunk;
}

// Applies the patch as `patch` would, refusing everything that does not fit; the number of edits.
static size_t apply(struct str patch, const struct text *a, struct text *out, unsigned context) {
    struct str line;
    size_t edits = 0, at = 0;
    *out = (struct text){0};
    assert_true(str_next(&patch, '\n', &line) && str_starts(line, STR("--- ")));
    assert_true(str_next(&patch, '\n', &line) && str_starts(line, STR("+++ ")));
    while (patch.n) {
        assert_true(str_next(&patch, '\n', &line));
        struct hunk hunk = read_head(line);
        size_t start = hunk.from_count ? hunk.from - 1 : hunk.from;
        assert_true(start >= at && start <= a->count);
        while (at < start) {
            out->lines[out->count++] = a->lines[at++];
        }
        assert_int_equal(hunk.to_count ? hunk.to - 1 : hunk.to, out->count);
        size_t end = out->count + hunk.to_count, from_end = at + hunk.from_count, kept = 0;
        bool seen = false;
        while (patch.n && patch.p[0] != '@') {
            assert_true(str_next(&patch, '\n', &line) && line.n == 2);
            bool keep = line.p[0] == ' ';
            edits += !keep;
            kept = keep ? kept + 1 : 0;
            assert_true(kept <= (seen ? 2 * context : context));
            seen = seen || !keep;
            if (line.p[0] != '+') {
                assert_true(at < a->count && a->lines[at] == line.p[1]);
                at++;
            }
            if (line.p[0] != '-') {
                out->lines[out->count++] = line.p[1];
            }
        }
        assert_true(kept <= context && seen);
        assert_int_equal(out->count, end);
        assert_int_equal(at, from_end);
    }
    while (at < a->count) {
        out->lines[out->count++] = a->lines[at++];
    }
    return edits;
}

static void test_generated(void **state) {
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        struct arena *arena = arena_create();
        struct text a, b, got;
        make_pair(&seed, &a, &b);
        unsigned context = random_below(&seed, 5);
        AUTO_BUF struct buf out;
        buf_init(&out, MIB);
        assert_true(
            diff_unified(join(arena, &a), join(arena, &b), STR("a"), STR("b"), context, &out));
        if (out.len) {
            assert_int_equal(apply(buf_str(&out), &a, &got, context), fewest_edits(&a, &b));
        } else {
            got = a;
        }
        assert_int_equal(got.count, b.count);
        assert_memory_equal(got.lines, b.lines, b.count);
        arena_destroy(arena);
    }
}

// Beyond the limit of edits the whole text is replaced, which is right too, only longer.
static void test_far_apart(void **state) {
    AUTO_BUF struct buf from, to, out;
    buf_init(&from, MIB);
    buf_init(&to, MIB);
    buf_init(&out, MIB);
    for (int i = 0; i < 2000; i++) {
        assert_true(buf_printf(&from, "a%d\n", i) && buf_printf(&to, "b%d\n", i));
    }
    assert_true(diff_unified(buf_str(&from), buf_str(&to), STR("a"), STR("b"), 3, &out));
    assert_true(str_starts(buf_str(&out), STR("--- a\n+++ b\n@@ -1,2000 +1,2000 @@\n-a0\n")));
    assert_true(str_ends(buf_str(&out), STR("+b1999\n")));
}

static void test_full_buffer(void **state) {
    AUTO_BUF struct buf out;
    buf_init(&out, 16);
    assert_false(diff_unified(STR("a\n"), STR("b\n"), STR("x"), STR("y"), 3, &out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_generated),
        cmocka_unit_test(test_far_apart), cmocka_unit_test(test_full_buffer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
