// SPDX-License-Identifier: Apache-2.0
// Repositories made to hurt: nothing of them runs, nothing outside them is read, and what is wrong is said.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "git_fixture.h"

static const char *path_of(struct fixture *fixture, const char *below) {
    return arena_printf(fixture->arena, "%s/%s", fixture->dir, below).p;
}

static void write_text(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, mode);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

static void test_refs_like_options(void **state) {
    struct fixture *fixture = *state;
    static const char *const names[] = {
        "refs/heads/--upload-pack=touch", "refs/heads/-x",  "refs/tags/--exec=id",
        "refs/heads/$(touch pwned)",      "refs/heads/;id",
    };
    const char *sha = rev_parse(fixture, "main");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        // Written by hand: git itself refuses some of them.
        char line[64];
        snprintf(line, sizeof line, "%s\n", sha);
        write_text(arena_printf(fixture->arena, "%s/%s", fixture->repo, names[i]).p, line, 0644);
    }
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    assert_string_equal(answer.sha, sha);
    answer = resolve_with(fixture, file_url(fixture), NULL, "--upload-pack=touch", 0);
    assert_int_equal(answer.err.code, ERR_INVALID);
    answer = resolve_with(fixture, file_url(fixture), NULL, "refs/heads/-x", 0);
    assert_true(answer.err.code == 0 || answer.err.code == ERR_NOT_FOUND);
    answer = resolve_with(fixture, file_url(fixture), NULL, ";id", 0);
    assert_true(answer.err.code == 0 || answer.err.code == ERR_NOT_FOUND);
}

// Hooks and configured programs of the source do not run.
static void test_programs(void **state) {
    struct fixture *fixture = *state;
    const char *mark = path_of(fixture, "pwned");
    const char *program = path_of(fixture, "program");
    write_text(program, arena_printf(fixture->arena, "#!/bin/sh\ntouch %s\nexec \"$@\"\n", mark).p,
               0755);
    const char *config = arena_printf(fixture->arena,
                                      "[uploadpack]\n\tpackObjectsHook = %s\n[core]\n"
                                      "\tfsmonitor = %s\n\tsshCommand = %s\n\tgitProxy = %s\n"
                                      "\taskPass = %s\n[credential]\n\thelper = !%s\n"
                                      "[diff]\n\texternal = %s\n",
                                      program, program, program, program, program, program, program)
                             .p;
    write_text(arena_printf(fixture->arena, "%s/config", fixture->repo).p, config, 0644);
    static const char *const hooks[] = {"post-checkout", "reference-transaction", "pre-auto-gc",
                                        "post-update"};
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        const char *hook = arena_printf(fixture->arena, "%s/hooks/%s", fixture->repo, hooks[i]).p;
        remove(hook);
        assert_int_equal(symlink(program, hook), 0);
    }
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    assert_int_equal(answer.err.code, 0);
    assert_int_equal(access(mark, F_OK), -1);
}

static void test_alternates(void **state) {
    struct fixture *fixture = *state;
    write_text(arena_printf(fixture->arena, "%s/objects/info/alternates", fixture->repo).p,
               "/nonexistent/objects\n/etc\n../../../../etc\n", 0644);
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    struct err err = {0};
    assert_int_equal(answer.err.code, 0);
    assert_true(
        str_eq_c(read_path(fixture, file_url(fixture), answer.sha, "apps/a.yaml", &err), "a\n"));
    struct git_url url;
    assert_true(git_url_parse(str_from(file_url(fixture)), &url, NULL));
    const char *mirror =
        git_mirror_dir(CONTAINER_OF(fixture->vcs, struct git_vcs, vcs), &url, fixture->arena);
    assert_int_equal(
        access(arena_printf(fixture->arena, "%s/objects/info/alternates", mirror).p, F_OK), -1);
}

static void test_huge_blob(void **state) {
    struct fixture *fixture = *state;
    size_t size = LIMIT_GIT_BLOB + 1;
    char *content = xmalloc(size + 512);
    int n = snprintf(content, 512,
                     "commit refs/heads/main\ncommitter C <c@example.com> 1700000009 +0000\n"
                     "data 1\nh\nfrom refs/heads/main^0\nM 100644 inline huge.yaml\ndata %zu\n",
                     size);
    memset(content + n, 'y', size);
    const char *argv[] = {"git", "-C", fixture->repo, "fast-import", "--quiet", NULL};
    assert_int_equal(run_program(argv, str_make(content, (size_t)n + size), NULL), 0);
    free(content);
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    struct err err = {0};
    assert_int_equal(answer.err.code, 0);
    assert_true(
        str_eq_c(read_path(fixture, file_url(fixture), answer.sha, "apps/a.yaml", &err), "a\n"));
    assert_true(read_path(fixture, file_url(fixture), answer.sha, "huge.yaml", &err).n == 0);
    assert_int_equal(err.code, ERR_LIMIT);
}

// A tree whose entry is called "..": the fetch refuses it and says why.
static void test_evil_tree(void **state) {
    static const struct {
        const char *name;
        size_t len;
    } names[] = {{"..", 2}, {".git", 4}, {"a/b", 3}};
    struct fixture *fixture = *state;
    char blob[64];
    GIT(fixture->repo, blob, "rev-parse", "main:apps/a.yaml");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char raw[64] = "100644 ";
        size_t n = 7;
        memcpy(raw + n, names[i].name, names[i].len + 1);
        n += names[i].len + 1;
        for (size_t b = 0; b < 20; b++) {
            char digits[3] = {blob[2 * b], blob[2 * b + 1], '\0'};
            raw[n++] = (char)strtol(digits, NULL, 16);
        }
        const char *hash[] = {"git",  "-C",          fixture->repo, "hash-object", "-t",
                              "tree", "--literally", "-w",          "--stdin",     NULL};
        char tree[64];
        char commit[64];
        assert_int_equal(run_program(hash, str_make(raw, n), tree), 0);
        GIT(fixture->repo, commit, "commit-tree", "-m", "evil", tree);
        GIT(fixture->repo, NULL, "update-ref", "refs/heads/evil", commit);
        struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "evil", 0);
        if (answer.err.code != ERR_INVALID) {
            fail_msg("%s: %s", names[i].name, answer.err.message);
        }
        answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0); // the others go on
        assert_int_equal(answer.err.code, 0);
    }
}

static void damage(const char *path) {
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    if (S_ISREG(st.st_mode)) {
        chmod(path, 0600);
        int fd = open(path, O_WRONLY);
        for (off_t at = st.st_size / 3; at < st.st_size; at += 7) {
            assert_int_equal(pwrite(fd, "\x5a", 1, at), 1);
        }
        close(fd);
        return;
    }
    DIR *dir = opendir(path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char below[512];
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            damage(below);
        }
    }
    closedir(dir);
}

static void test_corrupt_source(void **state) {
    struct fixture *fixture = *state;
    const char *old = rev_parse(fixture, "main");
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    assert_string_equal(answer.sha, old);
    commit_file(fixture->repo, "main", "apps/a.yaml", "lost");
    const char *lost = rev_parse(fixture, "main");
    damage(arena_printf(fixture->arena, "%s/objects", fixture->repo).p);
    answer = resolve_with(fixture, file_url(fixture), NULL, lost, 0);
    assert_int_not_equal(answer.err.code, 0);
    assert_true(strlen(answer.err.message) > 0);
    // What was fetched before is still there.
    struct err err = {0};
    answer = resolve_with(fixture, file_url(fixture), NULL, old, 0);
    assert_string_equal(answer.sha, old);
    assert_true(str_eq_c(read_path(fixture, file_url(fixture), old, "apps/a.yaml", &err), "a\n"));
}

static int count_packs(const char *path) {
    DIR *dir = opendir(path);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        count += str_ends(str_from(entry->d_name), STR(".pack"));
    }
    closedir(dir);
    return count;
}

// Many small pushes: the mirror is repacked and stays small, and what is read meanwhile stays readable.
static void test_growth(void **state) {
    struct fixture *fixture = *state;
    const char *url = file_url(fixture);
    for (int i = 0; i < 80; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", i);
        commit_file(fixture->repo, "main", "apps/a.yaml", text);
        struct answer answer = resolve_with(fixture, url, NULL, "main", 0);
        assert_int_equal(answer.err.code, 0);
    }
    struct git_url parsed;
    assert_true(git_url_parse(str_from(url), &parsed, NULL));
    const char *mirror =
        git_mirror_dir(CONTAINER_OF(fixture->vcs, struct git_vcs, vcs), &parsed, fixture->arena);
    DIR *dir = opendir(arena_printf(fixture->arena, "%s/refs/skiff", mirror).p);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    assert_in_range(count, 1, 64);
    GIT(mirror, NULL, "fsck", "--connectivity-only");

    // Many packs: repacked to few after an answer, with nobody waiting for it.
    const char *packs = arena_printf(fixture->arena, "%s/objects/pack", mirror).p;
    struct answer answer = {0};
    for (int i = 0; i < 33; i++) {
        commit_file(fixture->repo, "main", "apps/b.yaml", i % 2 ? "odd" : "even");
        answer = resolve_with(fixture, url, NULL, "main", 0);
        assert_int_equal(answer.err.code, 0);
        GIT(mirror, NULL, "repack", "-q");
    }
    commit_file(fixture->repo, "main", "apps/b.yaml", "last");
    answer = resolve_with(fixture, url, NULL, "main", 0);
    run_for(fixture, 100);
    assert_in_range(count_packs(packs), 1, 80); // of about 150 made
    struct err err = {0};
    assert_true(str_eq_c(read_path(fixture, url, answer.sha, "apps/b.yaml", &err), "last"));
    assert_true(str_eq_c(read_path(fixture, url, answer.sha, "apps.yaml", &err), "x\n"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_refs_like_options),
        WITH_FIXTURE(test_programs),
        WITH_FIXTURE(test_alternates),
        WITH_FIXTURE(test_huge_blob),
        WITH_FIXTURE(test_evil_tree),
        WITH_FIXTURE(test_corrupt_source),
        WITH_FIXTURE(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
