// SPDX-License-Identifier: Apache-2.0
// A line diff in the unified format (Myers, "An O(ND) Difference Algorithm and Its Variations", 1986).
#include "diff/diff.h"

#include "base/vec.h"

enum {
    // Beyond so many edits the texts are shown as replaced as a whole: the trace grows with the square of the edits.
    EDITS_MAX = 1500,
};

struct lines {
    struct str *items;
    size_t count;
};

static struct lines split(struct arena *arena, struct str text) {
    size_t count = 0;
    for (size_t i = 0; i < text.n; i++) {
        count += text.p[i] == '\n';
    }
    struct lines lines = {ARENA_ARRAY(arena, count + 1, struct str), 0};
    while (text.n) {
        // With its line end: a last line without one is another line.
        size_t end = str_find_char(text, '\n');
        size_t n = end == STR_NPOS ? text.n : end + 1;
        lines.items[lines.count++] = str_first(text, n);
        text = str_skip(text, n);
    }
    return lines;
}

enum op { KEEP = ' ', DELETE = '-', INSERT = '+' };
struct edit {
    char op;
    size_t a, b; // positions before this edit
};

struct trace {
    struct arena *arena;
    ptrdiff_t **rows;
};

// Fills trace->rows[0..d] with the furthest points of each round; returns the number of edits, or -1 beyond the limit.
static ptrdiff_t search(struct trace *trace, const struct lines *a, const struct lines *b) {
    ptrdiff_t n = (ptrdiff_t)a->count, m = (ptrdiff_t)b->count;
    ptrdiff_t max = n + m < EDITS_MAX ? n + m : EDITS_MAX;
    ptrdiff_t *v = arena_array(trace->arena, (size_t)(2 * max + 3), sizeof *v);
    ptrdiff_t zero = max + 1;
    for (ptrdiff_t d = 0; d <= max; d++) {
        for (ptrdiff_t k = -d; k <= d; k += 2) {
            bool down = k == -d || (k != d && v[zero + k - 1] < v[zero + k + 1]);
            ptrdiff_t x = down ? v[zero + k + 1] : v[zero + k - 1] + 1;
            ptrdiff_t y = x - k;
            while (x < n && y < m && str_eq(a->items[x], b->items[y])) {
                x++;
                y++;
            }
            v[zero + k] = x;
            if (x >= n && y >= m) {
                return d;
            }
        }
        trace->rows[d] = arena_alloc(trace->arena, (size_t)(2 * d + 1) * sizeof *v);
        memcpy(trace->rows[d], &v[zero - d], (size_t)(2 * d + 1) * sizeof *v);
    }
    return -1;
}

typedef VEC(struct edit) edits_vec;

static void backtrack(const struct trace *trace, ptrdiff_t d, ptrdiff_t x, ptrdiff_t y,
                      edits_vec *edits) {
    for (; d > 0; d--) {
        const ptrdiff_t *row = trace->rows[d - 1]; // index k + (d - 1)
        ptrdiff_t k = x - y;
        ptrdiff_t left = k - 1 >= -(d - 1) ? row[k - 1 + d - 1] : -1;
        ptrdiff_t right = k + 1 <= d - 1 ? row[k + 1 + d - 1] : -1;
        bool down = k == -d || (k != d && left < right);
        // Where the round's one edit ended and its run of equal lines began.
        ptrdiff_t start_x = down ? right : left + 1;
        ptrdiff_t start_y = start_x - k;
        while (x > start_x) {
            x--;
            y--;
            VEC_PUSH(edits, ((struct edit){KEEP, (size_t)x, (size_t)y}));
        }
        x = down ? start_x : start_x - 1;
        y = down ? start_y - 1 : start_y;
        VEC_PUSH(edits, ((struct edit){down ? INSERT : DELETE, (size_t)x, (size_t)y}));
    }
    while (x > 0 && y > 0) {
        x--;
        y--;
        VEC_PUSH(edits, ((struct edit){KEEP, (size_t)x, (size_t)y}));
    }
}

static void replace_all(const struct lines *a, const struct lines *b, edits_vec *edits) {
    for (size_t i = b->count; i > 0; i--) {
        VEC_PUSH(edits, ((struct edit){INSERT, a->count, i - 1}));
    }
    for (size_t i = a->count; i > 0; i--) {
        VEC_PUSH(edits, ((struct edit){DELETE, i - 1, 0}));
    }
}

static bool print_range(struct buf *out, size_t start, size_t count) {
    // An empty range names the line before it, and a count of one is left out, as diff -u does.
    if (count == 1) {
        return buf_printf(out, "%zu", start + 1);
    }
    return buf_printf(out, "%zu,%zu", count ? start + 1 : start, count);
}

// Edits are in reverse order: from `last` down to `first` is one hunk.
static bool print_hunk(const struct lines *a, const struct lines *b, const struct edit *edits,
                       size_t last, size_t first, struct buf *out) {
    size_t in_a = 0, in_b = 0;
    for (size_t i = last + 1; i-- > first;) {
        in_a += edits[i].op != INSERT;
        in_b += edits[i].op != DELETE;
    }
    bool ok = buf_add_c(out, "@@ -") && print_range(out, edits[last].a, in_a) &&
              buf_add_c(out, " +") && print_range(out, edits[last].b, in_b) &&
              buf_add_c(out, " @@\n");
    for (size_t i = last + 1; ok && i-- > first;) {
        struct str line = edits[i].op == INSERT ? b->items[edits[i].b] : a->items[edits[i].a];
        ok = buf_add_char(out, edits[i].op) && buf_add_str(out, line) &&
             (str_ends(line, STR("\n")) || buf_add_c(out, "\n\\ No newline at end of file\n"));
    }
    return ok;
}

static bool print_hunks(const struct lines *a, const struct lines *b, const edits_vec *edits,
                        unsigned context, struct buf *out) {
    size_t i = edits->len;
    while (i > 0) {
        size_t at = i - 1;
        if (edits->items[at].op == KEEP) {
            i--;
            continue;
        }
        size_t last = at + context < edits->len - 1 ? at + context : edits->len - 1;
        size_t first = at, kept = 0;
        for (size_t k = at; k-- > 0 && kept <= 2 * (size_t)context;) {
            if (edits->items[k].op == KEEP) {
                kept++;
            } else {
                kept = 0;
                first = k;
            }
        }
        size_t end = first > context ? first - context : 0;
        if (!print_hunk(a, b, edits->items, last, end, out)) {
            return false;
        }
        i = end;
    }
    return true;
}

bool diff_unified(struct str from, struct str to, struct str from_name, struct str to_name,
                  unsigned context, struct buf *out) {
    if (str_eq(from, to)) {
        return true;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct lines a = split(arena, from), b = split(arena, to);
    struct trace trace = {arena, ARENA_ARRAY(arena, EDITS_MAX + 1, ptrdiff_t *)};
    edits_vec edits = {0};
    ptrdiff_t d = search(&trace, &a, &b);
    if (d >= 0) {
        backtrack(&trace, d, (ptrdiff_t)a.count, (ptrdiff_t)b.count, &edits);
    } else {
        replace_all(&a, &b, &edits);
    }
    bool ok = buf_printf(out, "--- %.*s\n+++ %.*s\n", STR_ARG(from_name), STR_ARG(to_name)) &&
              print_hunks(&a, &b, &edits, context, out);
    VEC_FREE(&edits);
    return ok;
}
