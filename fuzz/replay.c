// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of a folder, so that every compiler replays the seeds in the normal test run.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    size_t cap = (size_t)1 << 22;
    uint8_t *data = malloc(cap);
    size_t n = data ? fread(data, 1, cap, file) : 0;
    fclose(file);
    // An exact-size copy, so that a sanitizer sees a read past the end.
    uint8_t *exact = malloc(n ? n : 1);
    if (data && exact) {
        memcpy(exact, data, n);
        LLVMFuzzerTestOneInput(exact, n);
    }
    free(exact);
    free(data);
    return 0;
}

int main(int argc, char **argv) {
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s FOLDER (of seeds)\n", argv[0]);
        return 2;
    }
    int count = 0;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        failed += run_file(path);
        count++;
    }
    closedir(dir);
    printf("%d seeds\n", count);
    return failed || count == 0;
}
