// SPDX-License-Identifier: Apache-2.0
// Everything a repository can be asked, against a real one on disk.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "git_fixture.h"

static struct str hex_of(const unsigned char *id, struct arena *arena) {
    struct str text = {0};
    for (size_t i = 0; i < 20; i++) {
        text = arena_concat(arena, text, arena_printf(arena, "%02x", id[i]));
    }
    return text;
}

static void test_resolve(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *revision, *git; // what git calls it; NULL: cannot be resolved
        enum err_code code;
    } cases[] = {
        {"HEAD", "main", 0},
        {"", "main", 0},
        {"main", "main", 0},
        {"refs/heads/main", "main", 0},
        {"feature/x", "feature/x", 0},
        {"v1.0.0", "v1.0.0", 0},
        {"v1.2.0", "v1.2.0^{commit}", 0},
        {"^1.0", "v1.2.0^{commit}", 0},
        {"~1.0.0", "v1.0.0", 0},
        {">=2.0.0-0", "v2.0.0-rc.1", 0},
        {"^3", NULL, ERR_NOT_FOUND},
        {"nope", NULL, ERR_NOT_FOUND},
        {"0123456789012345678901234567890123456789", NULL, ERR_NOT_FOUND},
        {"0123456", NULL, ERR_NOT_FOUND},
        {"--upload-pack=touch", NULL, ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = resolve_with(fixture, file_url(fixture), NULL, cases[i].revision, 0);
        const char *want = cases[i].git ? rev_parse(fixture, cases[i].git) : "";
        if (strcmp(answer.sha, want) != 0 || answer.err.code != cases[i].code) {
            fail_msg("%s: %s %s", cases[i].revision, answer.sha, answer.err.message);
        }
    }
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "nope", 0);
    assert_non_null(strstr(answer.err.message, "unable to resolve 'nope' to a commit SHA"));
}

static void test_sha(void **state) {
    struct fixture *fixture = *state;
    const char *first = rev_parse(fixture, "main~1");
    const char *tag = rev_parse(fixture, "v1.2.0"); // the tag object
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, first, 0);
    assert_string_equal(answer.sha, first);
    answer = resolve_with(fixture, file_url(fixture), NULL, tag, 0);
    assert_string_equal(answer.sha, rev_parse(fixture, "main"));
    // A short SHA of a commit that no ref names: only the whole history has it.
    commit_file(fixture->repo, "main", "z", "1");
    commit_file(fixture->repo, "main", "z", "2");
    const char *inner = rev_parse(fixture, "main~1");
    char shortened[11];
    snprintf(shortened, sizeof shortened, "%.10s", inner);
    answer = resolve_with(fixture, file_url(fixture), NULL, shortened, 0);
    assert_string_equal(answer.err.message, "");
    assert_string_equal(answer.sha, inner);
    const char *blob = rev_parse(fixture, "main:z");
    answer = resolve_with(fixture, file_url(fixture), NULL, blob, 0);
    assert_true(answer.err.code == ERR_INVALID || answer.err.code == ERR_NOT_FOUND);
}

static void test_tree(void **state) {
    struct fixture *fixture = *state;
    struct err err = {0};
    struct arena *arena = fixture->arena;
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    AUTO(file_tree_destroy)
    struct file_tree *tree = fixture->vcs->ops->open_tree(fixture->vcs, str_from(file_url(fixture)),
                                                          str_from(answer.sha), &err);
    assert_non_null(tree);
    struct file_entry *entries;
    size_t count;
    static const struct {
        const char *name;
        enum file_kind kind;
    } root[] = {{"apps", FILE_FOLDER},
                {"apps.yaml", FILE_REGULAR}, // in byte order, unlike in git
                {"link.yaml", FILE_SYMLINK},
                {"module", FILE_SUBMODULE},
                {"run.sh", FILE_REGULAR}};
    assert_true(tree->ops->list(tree, STR(""), arena, &entries, &count, &err));
    assert_int_equal(count, ARRAY_LEN(root));
    for (size_t i = 0; i < count; i++) {
        assert_true(str_eq_c(entries[i].name, root[i].name));
        assert_int_equal(entries[i].kind, root[i].kind);
        assert_int_equal(entries[i].id_len, 20);
    }
    struct file_entry entry;
    assert_true(tree->ops->stat(tree, STR("apps/a.yaml"), &entry, &err));
    assert_int_equal(entry.kind, FILE_REGULAR);
    assert_true(str_eq(hex_of(entry.id, arena), str_from(rev_parse(fixture, "main:apps/a.yaml"))));
    assert_true(tree->ops->stat(tree, STR(""), &entry, &err));
    assert_true(str_eq(hex_of(entry.id, arena), str_from(rev_parse(fixture, "main^{tree}"))));
    static const char *const absent[] = {"apps/z", "nope/x", "apps/a.yaml/x", "module/x",
                                         "link.yaml/x"};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        assert_true(tree->ops->stat(tree, str_from(absent[i]), &entry, &err));
        assert_int_equal(entry.kind, FILE_ABSENT);
    }
    static const struct {
        const char *path, *content;
        size_t max;
        enum err_code code;
    } reads[] = {
        {"apps/a.yaml", "a\n", 2, 0},          {"apps/b.yaml", "b\n", 100, 0},
        {"link.yaml", "/etc/passwd", 99, 0},   {"apps/a.yaml", NULL, 1, ERR_LIMIT},
        {"apps", NULL, 100, ERR_INVALID},      {"module", NULL, 100, ERR_UNSUPPORTED},
        {"nope", NULL, 100, ERR_NOT_FOUND},    {"../x", NULL, 100, ERR_INVALID},
        {"/etc/passwd", NULL, 9, ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        struct str text = {0};
        err = (struct err){0};
        bool ok = tree->ops->read(tree, str_from(reads[i].path), reads[i].max, arena, &text, &err);
        if (err.code != reads[i].code || (ok && !str_eq_c(text, reads[i].content))) {
            fail_msg("%s: %s", reads[i].path, err.message);
        }
    }
}

static void test_read_commit(void **state) {
    struct fixture *fixture = *state;
    struct err err = {0};
    struct vcs_commit commit;
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "v1.0.0", 0);
    assert_true(fixture->vcs->ops->read_commit(fixture->vcs, str_from(file_url(fixture)),
                                               str_from(answer.sha), fixture->arena, &commit,
                                               &err));
    assert_string_equal(commit.sha, answer.sha);
    assert_true(str_eq_c(commit.author, "Ann Author <ann@example.com>"));
    assert_true(str_eq_c(commit.message, "first"));
    assert_int_equal(commit.date_ns, INT64_C(1700000000) * NS_PER_SECOND);
    assert_false(fixture->vcs->ops->read_commit(fixture->vcs, str_from(file_url(fixture)),
                                                STR("0123456789012345678901234567890123456789"),
                                                fixture->arena, &commit, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

// A thousand at once cost one listing and one fetch.
static void test_shared(void **state) {
    struct fixture *fixture = *state;
    enum { N = 1000 };
    struct answer *answers = xcalloc(N, sizeof *answers);
    size_t waiting = N;
    for (size_t i = 0; i < N; i++) {
        answers[i] = (struct answer){.fixture = fixture, .waiting = &waiting};
        fixture->vcs->ops->resolve(fixture->vcs, str_from(file_url(fixture)), NULL,
                                   i % 2 ? STR("main") : STR("feature/x"), 0, on_answer,
                                   &answers[i]);
    }
    run_loop(fixture);
    for (size_t i = 0; i < N; i++) {
        assert_string_equal(answers[i].sha, answers[i % 2].sha);
    }
    assert_string_equal(answers[1].sha, rev_parse(fixture, "main"));
    assert_int_equal(count_metric(fixture, "\"ls-remote\""), 1);
    assert_int_equal(count_metric(fixture, "\"fetch\""), 1);
    free(answers);
}

static void test_age(void **state) {
    struct fixture *fixture = *state;
    const char *url = file_url(fixture);
    struct answer before = resolve_with(fixture, url, NULL, "main", 0);
    commit_file(fixture->repo, "main", "apps/a.yaml", "new");
    struct answer cached = resolve_with(fixture, url, NULL, "main", 3600 * 1000);
    assert_string_equal(cached.sha, before.sha);
    fixture->vcs->ops->invalidate(fixture->vcs, str_from(url));
    struct answer after = resolve_with(fixture, url, NULL, "main", 3600 * 1000);
    assert_string_equal(after.sha, rev_parse(fixture, "main"));
    struct err err = {0};
    assert_true(str_eq_c(read_path(fixture, url, after.sha, "apps/a.yaml", &err), "new"));
    assert_true(str_eq_c(read_path(fixture, url, before.sha, "apps/a.yaml", &err), "a\n"));
    // A forced push back: the old commit is the answer again, from the mirror.
    GIT(fixture->repo, NULL, "update-ref", "refs/heads/main", before.sha);
    int fetches = count_metric(fixture, "\"fetch\"");
    struct answer back = resolve_with(fixture, url, NULL, "main", 0);
    assert_string_equal(back.sha, before.sha);
    assert_int_equal(count_metric(fixture, "\"fetch\""), fetches);
}

static const char *mirror_path(struct fixture *fixture, const char *below) {
    struct git_url url;
    assert_true(git_url_parse(str_from(file_url(fixture)), &url, NULL));
    return arena_printf(fixture->arena, "%s%s",
                        git_mirror_dir(CONTAINER_OF(fixture->vcs, struct git_vcs, vcs), &url,
                                       fixture->arena),
                        below)
        .p;
}

static void test_mirror_vanishes(void **state) {
    struct fixture *fixture = *state;
    const char *url = file_url(fixture);
    struct err err = {0};
    struct answer first = resolve_with(fixture, url, NULL, "main", 0);
    assert_true(read_path(fixture, url, first.sha, "apps/a.yaml", &err).n > 0);
    folder_remove(mirror_path(fixture, ""));
    struct answer again = resolve_with(fixture, url, NULL, "main", 3600 * 1000);
    assert_string_equal(again.sha, first.sha);
    err = (struct err){0};
    assert_true(read_path(fixture, url, first.sha, "apps/a.yaml", &err).n > 0);
    // Vanished between resolve and read: an open handle may still have the content, or it is an error; in any case all
    // is whole again after the next resolve.
    folder_remove(mirror_path(fixture, ""));
    struct str text = read_path(fixture, url, first.sha, "apps/b.yaml", &err);
    assert_true(err.code != 0 || str_eq_c(text, "b\n"));
    resolve_with(fixture, url, NULL, first.sha, 0);
    err = (struct err){0};
    assert_true(read_path(fixture, url, first.sha, "apps/b.yaml", &err).n > 0);
}

static void test_everything_vanishes(void **state) {
    struct fixture *fixture = *state;
    struct err err = {0};
    struct answer first = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    struct git_vcs *vcs = CONTAINER_OF(fixture->vcs, struct git_vcs, vcs);
    folder_remove(vcs->root);
    folder_remove(vcs->context.secrets);
    struct answer again = resolve_with(fixture, file_url(fixture), NULL, "main", 3600 * 1000);
    assert_string_equal(again.sha, first.sha);
    assert_true(read_path(fixture, file_url(fixture), first.sha, "apps/a.yaml", &err).n > 0);
}

static void overwrite(const char *path, int depth) {
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    if (S_ISREG(st.st_mode)) {
        chmod(path, 0600);
        int fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        for (off_t at = 0; at < st.st_size; at++) {
            assert_int_equal(pwrite(fd, "?", 1, at), 1);
        }
        close(fd);
    } else {
        DIR *dir = opendir(path);
        for (struct dirent *entry; (entry = readdir(dir));) {
            char below[512];
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
            if (entry->d_name[0] != '.' && depth < 5) {
                overwrite(below, depth + 1);
            }
        }
        closedir(dir);
    }
}

static void test_mirror_damaged(void **state) {
    struct fixture *fixture = *state;
    const char *url = file_url(fixture);
    struct err err = {0};
    struct answer first = resolve_with(fixture, url, NULL, "main", 0);
    overwrite(mirror_path(fixture, "/objects"), 0);
    assert_true(read_path(fixture, url, first.sha, "apps/a.yaml", &err).n == 0);
    assert_int_not_equal(err.code, 0);
    struct answer again = resolve_with(fixture, url, NULL, "main", 3600 * 1000);
    assert_string_equal(again.sha, first.sha);
    err = (struct err){0};
    assert_true(str_eq_c(read_path(fixture, url, first.sha, "apps/a.yaml", &err), "a\n"));
}

static void test_errors(void **state) {
    struct fixture *fixture = *state;
    const struct {
        const char *url;
        enum err_code code;
    } cases[] = {
        {"file:///nonexistent/repo", ERR_NOT_FOUND},
        {arena_printf(fixture->arena, "file://%s", fixture->dir).p, ERR_NOT_FOUND},
        {"ext::sh -c id", ERR_INVALID},
        {"-x", ERR_INVALID},
        {"https://127.0.0.1:1/repo", ERR_UNAVAILABLE},
        {"http://user:CANARY@127.0.0.1:1/repo", ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer resolved = resolve_with(fixture, cases[i].url, NULL, "main", 0);
        struct answer checked = check_with(fixture, cases[i].url, NULL);
        if (resolved.err.code != cases[i].code || checked.err.code != cases[i].code) {
            fail_msg("%s: %s; %s", cases[i].url, resolved.err.message, checked.err.message);
        }
        assert_null(strstr(resolved.err.message, "CANARY"));
        assert_null(strstr(checked.err.message, "CANARY"));
    }
    struct answer checked = check_with(fixture, file_url(fixture), NULL);
    assert_int_equal(checked.err.code, 0);
    AUTO_BUF struct buf buf;
    buf_init(&buf, MIB);
    assert_true(metrics_print(fixture->metrics, &buf));
    assert_false(str_has(buf_str(&buf), STR("CANARY")));
}

static void test_empty_repository(void **state) {
    struct fixture *fixture = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/empty.git", fixture->dir);
    GIT(fixture->dir, NULL, "init", "-q", "--bare", path);
    struct answer answer = resolve_with(fixture, path, NULL, "HEAD", 0);
    assert_int_equal(answer.err.code, ERR_NOT_FOUND);
    answer = check_with(fixture, path, NULL);
    assert_int_equal(answer.err.code, 0);
}

// ---- Readers on workers ----

struct reading {
    struct fixture *fixture;
    const char *url;
    const char *sha;
    size_t *waiting;
    bool ok;
};

static void read_work(void *ctx) {
    struct reading *reading = ctx;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    reading->ok = true;
    for (int i = 0; i < 50; i++) {
        struct err err = {0};
        struct str text;
        struct vcs_commit commit;
        struct vcs *vcs = reading->fixture->vcs;
        AUTO(file_tree_destroy)
        struct file_tree *tree =
            vcs->ops->open_tree(vcs, str_from(reading->url), str_from(reading->sha), &err);
        reading->ok = reading->ok && tree &&
                      tree->ops->read(tree, STR("apps/a.yaml"), 10, arena, &text, &err) &&
                      vcs->ops->read_commit(vcs, str_from(reading->url), str_from(reading->sha),
                                            arena, &commit, &err);
    }
}

static void on_read(void *ctx) {
    struct reading *reading = ctx;
    if (--*reading->waiting == 0) {
        loop_stop(reading->fixture->loop);
    }
}

static void test_workers(void **state) {
    struct fixture *fixture = *state;
    struct answer answer = resolve_with(fixture, file_url(fixture), NULL, "main", 0);
    struct reading readings[16];
    struct answer answers[4];
    size_t waiting = ARRAY_LEN(readings) + ARRAY_LEN(answers);
    const char *url = file_url(fixture);
    for (size_t i = 0; i < ARRAY_LEN(readings); i++) {
        readings[i] = (struct reading){fixture, url, answer.sha, &waiting, false};
        loop_work(fixture->loop, 0, read_work, on_read, &readings[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) { // fetches at the same time
        answers[i] = (struct answer){.fixture = fixture, .waiting = &waiting};
        fixture->vcs->ops->resolve(fixture->vcs, str_from(url), NULL, STR("feature/x"), 0,
                                   on_answer, &answers[i]);
    }
    run_loop(fixture);
    for (size_t i = 0; i < ARRAY_LEN(readings); i++) {
        assert_true(readings[i].ok);
    }
}

// ---- Watching ----

struct seen {
    struct fixture *fixture;
    int count;
};

static void on_change(void *ctx, struct str url) {
    struct seen *seen = ctx;
    seen->count++;
    loop_stop(seen->fixture->loop);
}

static void test_watch(void **state) {
    struct fixture *fixture = *state;
    struct seen seen = {.fixture = fixture};
    const char *url = file_url(fixture);
    resolve_with(fixture, url, NULL, "main", 0);
    fixture->vcs->ops->watch(fixture->vcs, str_from(url), on_change, &seen);
    fixture->vcs->ops->watch(fixture->vcs, str_from(url), on_change, &seen); // counts once
    fixture->vcs->ops->watch(fixture->vcs, STR("https://example.com/x"), on_change, &seen);
    run_for(fixture, 100);
    assert_int_equal(seen.count, 0);
    commit_file(fixture->repo, "main", "apps/a.yaml", "pushed");
    run_loop(fixture);
    assert_int_equal(seen.count, 1);
    struct answer answer = resolve_with(fixture, url, NULL, "main", 3600 * 1000);
    assert_string_equal(answer.sha, rev_parse(fixture, "main"));
    // A branch in a folder that did not exist when watching began.
    GIT(fixture->repo, NULL, "update-ref", "refs/heads/team/a/b", "main");
    run_loop(fixture);
    run_for(fixture, 50);
    int before = seen.count;
    commit_file(fixture->repo, "team/a/b", "x", "y");
    run_loop(fixture);
    assert_true(seen.count > before);
    // What changes no ref is not told.
    resolve_with(fixture, url, NULL, "main", 0);
    run_for(fixture, 50);
    before = seen.count;
    GIT(fixture->repo, NULL, "config", "gc.auto", "0");
    GIT(fixture->repo, NULL, "pack-refs", "--all");
    run_for(fixture, 100);
    assert_int_equal(seen.count, before);
}

static void test_destroy_while_busy(void **state) {
    struct fixture *fixture = *state;
    size_t waiting = 1;
    struct answer answer = {.fixture = fixture, .waiting = &waiting};
    fixture->vcs->ops->resolve(fixture->vcs, str_from(file_url(fixture)), NULL, STR("main"), 0,
                               on_answer, &answer);
    fixture->vcs->ops->resolve(fixture->vcs, STR("https://127.0.0.1:1/x"), NULL, STR("main"), 0,
                               on_answer, &answer);
    fixture->vcs->ops->check(fixture->vcs, STR("https://127.0.0.1:1/x"), NULL, on_check, &answer);
    run_for(fixture, 1);
    struct vcs *old = fixture->vcs;
    fixture_start_vcs(fixture);
    old->ops->destroy(old);
    bool answered = answer.done;
    run_for(fixture, 300);
    assert_true(answer.done == answered); // nothing is called after destroy
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(int argc, char **argv) {
    if (vcs_is_askpass(argc, argv)) {
        return vcs_askpass_main(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_resolve),
        WITH_FIXTURE(test_sha),
        WITH_FIXTURE(test_tree),
        WITH_FIXTURE(test_read_commit),
        WITH_FIXTURE(test_shared),
        WITH_FIXTURE(test_age),
        WITH_FIXTURE(test_mirror_vanishes),
        WITH_FIXTURE(test_everything_vanishes),
        WITH_FIXTURE(test_mirror_damaged),
        WITH_FIXTURE(test_errors),
        WITH_FIXTURE(test_empty_repository),
        WITH_FIXTURE(test_workers),
        WITH_FIXTURE(test_watch),
        WITH_FIXTURE(test_destroy_while_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
