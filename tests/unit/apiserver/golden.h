// SPDX-License-Identifier: Apache-2.0
// Golden folders of the API server's tests: one folder a case, JSON files in it. Expected files were written down from a
// real kube-apiserver 1.36.
#ifndef SKIFF_TESTS_APISERVER_GOLDEN_H
#define SKIFF_TESTS_APISERVER_GOLDEN_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doc/doc.h"

static inline bool golden_read(struct arena *arena, const char *folder, const char *name,
                               const char *file, struct doc_value *out) {
    char path[1024];
    snprintf(path, sizeof(path), "%s/apiserver/%s/%s/%s", getenv("SKIFF_TEST_DATA"), folder, name,
             file);
    FILE *f = fopen(path, "rb");
    if (!f) {
        return false;
    }
    struct buf text;
    buf_init(&text, 16 * 1024 * 1024);
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0) {
        buf_add(&text, chunk, n);
    }
    fclose(f);
    struct err err = {0};
    bool ok = doc_parse_json_copy(buf_str(&text), arena, out, &err);
    if (!ok) {
        fprintf(stderr, "%s: %s\n", path, err.message);
    }
    buf_fini(&text);
    return ok;
}

// Runs `check` on every case; returns how many failed.
static inline size_t golden_each(const char *folder, bool (*check)(const char *name),
                                 size_t *count) {
    char path[1024];
    snprintf(path, sizeof(path), "%s/apiserver/%s", getenv("SKIFF_TEST_DATA"), folder);
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, alphasort);
    size_t failed = 0;
    *count = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            (*count)++;
            failed += check(entries[i]->d_name) ? 0 : 1;
        }
        free(entries[i]);
    }
    free(entries);
    return failed;
}

static inline bool golden_compare(struct arena *arena, const char *name,
                                  const struct doc_value *got, const struct doc_value *want) {
    if (doc_equal(got, want)) {
        return true;
    }
    struct doc_value diff = doc_merge_diff(arena, want, got);
    struct str text = doc_to_json(arena, &diff);
    fprintf(stderr, "%s: differs from the expected: %.*s\n", name, STR_ARG(text));
    return false;
}

#endif
