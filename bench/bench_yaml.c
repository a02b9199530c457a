// SPDX-License-Identifier: Apache-2.0
// Reads a stream of pods, one document each, with our YAML reader and with libyaml's own document loader, in turns, and
// prints medians; then our printer's speed. Usage: bench_yaml [ROUNDS [FILE]]; with a FILE its text is read instead.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <yaml.h>

#include "base/limits.h"
#include "doc/yaml.h"
#include "gen_pods.h"

enum { PODS = 2000, ROUNDS = 9, ROUNDS_MAX = 1000 };

// Time of this process, so that what else the machine does counts less.
static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
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

static void make_stream(struct buf *out) {
    struct buf json;
    buf_init(&json, LIMIT_JSON_BYTES);
    gen_pods(PODS, &json);
    struct arena *arena = arena_create();
    struct doc_value list;
    CHECK(doc_parse_json(buf_str(&json), arena, &list, NULL));
    for (DOC_EACH_ITEM(doc_get(&list, "items"), pod)) {
        buf_add_c(out, "---\n");
        CHECK(yaml_print(pod, out));
    }
    arena_destroy(arena);
    buf_fini(&json);
}

static void read_file(const char *path, struct buf *out) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;) {
        CHECK(buf_add(out, chunk, n));
    }
    fclose(file);
}

static double run_ours(struct str text, bool places, double *print, size_t *used) {
    struct yaml_options options = {.profile = YAML_KUBERNETES, .strict = true, .places = places};
    struct arena *arena = arena_create();
    struct yaml_document *documents;
    size_t count;
    struct err err = {0};
    double start = now_ms();
    if (!yaml_parse(text, &options, arena, &documents, &count, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    double read = now_ms();
    struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    for (size_t i = 0; i < count; i++) {
        CHECK(yaml_print(&documents[i].root, &out));
    }
    *print = now_ms() - read;
    *used = arena_used(arena);
    buf_fini(&out);
    arena_destroy(arena);
    return read - start;
}

static double run_libyaml(struct str text) {
    yaml_parser_t parser;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    double start = now_ms();
    for (;;) {
        yaml_document_t document;
        CHECK(yaml_parser_load(&parser, &document));
        bool end = yaml_document_get_root_node(&document) == NULL;
        yaml_document_delete(&document);
        if (end) {
            break;
        }
    }
    double time = now_ms() - start;
    yaml_parser_delete(&parser);
    return time;
}

int main(int argc, char **argv) {
    size_t rounds = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : ROUNDS;
    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    struct buf buf;
    buf_init(&buf, LIMIT_YAML_BYTES);
    if (argc > 2) {
        read_file(argv[2], &buf);
    } else {
        make_stream(&buf);
    }
    struct str text = buf_str(&buf);
    static double ours[ROUNDS_MAX], placed[ROUNDS_MAX], theirs[ROUNDS_MAX], print[ROUNDS_MAX];
    size_t used = 0, ignored;
    double unused;
    for (size_t i = 0; i < rounds; i++) {
        ours[i] = run_ours(text, false, &print[i], &used);
        placed[i] = run_ours(text, true, &unused, &ignored);
        theirs[i] = run_libyaml(text);
    }
    double mb = (double)text.n / 1e6;
    double a = median(ours, rounds), b = median(theirs, rounds), c = median(placed, rounds);
    printf("text %.1f MB, %zu rounds, medians\n", mb, rounds);
    printf("read:              ours %.1f ms (%.0f MB/s), libyaml documents %.1f ms (%.0f MB/s), "
           "ratio %.2f\n",
           a, mb / a * 1e3, b, mb / b * 1e3, b / a);
    printf("read with places:  ours %.1f ms (%.0f MB/s), ratio %.2f\n", c, mb / c * 1e3, b / c);
    double p = median(print, rounds);
    printf("print:             ours %.1f ms (%.0f MB/s)\n", p, mb / p * 1e3);
    printf("tree: %.2f bytes a byte of text\n", (double)used / (double)text.n);
    buf_fini(&buf);
    return 0;
}
