// SPDX-License-Identifier: Apache-2.0
// Reads (and prints) a list of 4,000 pods with our JSON reader and with jansson, in turns, and prints medians.
// Usage: bench_json [ROUNDS [FILE]]; with a FILE its text is read instead.
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "doc/doc.h"
#include "gen_pods.h"

enum { PODS = 4000, ROUNDS = 15, ROUNDS_MAX = 1000 };

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

struct times {
    double read[ROUNDS_MAX], print[ROUNDS_MAX], release[ROUNDS_MAX];
};

static size_t run_ours(struct str text, struct times *times, size_t round) {
    double start = now_ms();
    struct arena *arena = arena_create();
    struct doc_value v;
    struct err err = {0};
    if (!doc_parse_json(text, arena, &v, &err)) {
        fprintf(stderr, "line %u, column %u: %s\n", err.line, err.column, err.message);
        exit(1);
    }
    double read = now_ms();
    struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    CHECK(doc_print_json(&v, &out));
    double print = now_ms();
    buf_fini(&out);
    size_t used = arena_used(arena);
    double before = now_ms();
    arena_destroy(arena);
    times->read[round] = read - start;
    times->print[round] = print - read;
    times->release[round] = now_ms() - before;
    return used;
}

static void run_jansson(struct str text, struct times *times, size_t round) {
    double start = now_ms();
    json_error_t error;
    json_t *v = json_loadb(text.p, text.n, 0, &error);
    if (!v) {
        fprintf(stderr, "jansson: %s\n", error.text);
        exit(1);
    }
    double read = now_ms();
    char *out = json_dumps(v, JSON_COMPACT);
    double print = now_ms();
    free(out);
    double before = now_ms();
    json_decref(v);
    times->read[round] = read - start;
    times->print[round] = print - read;
    times->release[round] = now_ms() - before;
}

static void print_row(const char *what, struct str text, double *ours, double *theirs,
                      size_t rounds) {
    double a = median(ours, rounds);
    double b = median(theirs, rounds);
    double mb = (double)text.n / 1e6;
    printf("%-8s ours %7.2f ms %7.1f MB/s   jansson %7.2f ms %7.1f MB/s   ratio %.1f\n", what, a,
           mb / a * 1e3, b, mb / b * 1e3, b / a);
}

static void read_file(const char *path, struct buf *out) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) {
        CHECK(buf_add(out, piece, n));
    }
    fclose(file);
}

int main(int argc, char **argv) {
    size_t rounds = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : ROUNDS;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    AUTO_BUF struct buf text;
    buf_init(&text, LIMIT_JSON_BYTES);
    if (argc > 2) {
        read_file(argv[2], &text);
    } else {
        gen_pods(PODS, &text);
    }
    static struct times ours, theirs; // too large for the stack
    size_t tree = 0;
    for (size_t i = 0; i < rounds; i++) {
        // Both begin with a clean heap: what the one leaves to be tidied up must not be paid by the other.
        malloc_trim(0);
        tree = run_ours(buf_str(&text), &ours, i);
        malloc_trim(0);
        run_jansson(buf_str(&text), &theirs, i);
    }
    printf("text %zu bytes, %zu rounds in turns, medians\n", text.len, rounds);
    print_row("read", buf_str(&text), ours.read, theirs.read, rounds);
    print_row("print", buf_str(&text), ours.print, theirs.print, rounds);
    print_row("release", buf_str(&text), ours.release, theirs.release, rounds);
    printf("tree     %.2f bytes for a byte of text\n", (double)tree / (double)text.len);
    return 0;
}
