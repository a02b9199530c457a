// SPDX-License-Identifier: Apache-2.0
// Both trees answer the same questions alike; the folder tree must also not be led outside.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_tree.h"

static char folder[] = "/tmp/skiff-tree-XXXXXX";

static void write_file(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int setup(void **state) {
    char path[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/apps", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("apps/b.yaml", "b");
    write_file("apps/a.yaml", "aa");
    write_file("apps.yaml", "x");
    write_file("README", "");
    return 0;
}

static int teardown(void **state) {
    static const char *const names[] = {"apps/b.yaml", "apps/a.yaml", "apps.yaml", "README",
                                        "out",         "link.yaml",   "pipe",      "apps"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

static struct file_tree *memory_tree(void) {
    struct file_tree *tree = file_tree_create_memory();
    file_tree_memory_put(tree, STR("apps.yaml"), STR("old"));
    file_tree_memory_put(tree, STR("apps/b.yaml"), STR("b"));
    file_tree_memory_put(tree, STR("README"), STR(""));
    file_tree_memory_put(tree, STR("apps/a.yaml"), STR("aa"));
    file_tree_memory_put(tree, STR("apps.yaml"), STR("x"));
    return tree;
}

static void check_tree(struct file_tree *tree) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct err err = {0};
    struct file_entry entry;
    struct file_entry *entries;
    size_t count;
    struct str text;

    assert_true(tree->ops->list(tree, STR(""), arena, &entries, &count, &err));
    assert_int_equal(count, 3);
    assert_true(str_eq_c(entries[0].name, "README"));
    assert_true(str_eq_c(entries[1].name, "apps"));
    assert_int_equal(entries[1].kind, FILE_FOLDER);
    assert_true(str_eq_c(entries[2].name, "apps.yaml"));
    assert_true(tree->ops->list(tree, STR("apps"), arena, &entries, &count, &err));
    assert_int_equal(count, 2);
    assert_true(str_eq_c(entries[0].name, "a.yaml"));
    assert_int_equal(entries[0].size, 2);

    assert_true(tree->ops->stat(tree, STR(""), &entry, &err));
    assert_int_equal(entry.kind, FILE_FOLDER);
    assert_true(tree->ops->stat(tree, STR("apps/a.yaml"), &entry, &err));
    assert_int_equal(entry.kind, FILE_REGULAR);
    assert_true(str_eq_c(entry.name, "a.yaml"));
    static const char *const absent[] = {"app", "apps/c", "apps/a.yaml/x", "nope/x"};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        assert_true(tree->ops->stat(tree, str_from(absent[i]), &entry, &err));
        assert_int_equal(entry.kind, FILE_ABSENT);
        err = (struct err){0};
        assert_false(tree->ops->read(tree, str_from(absent[i]), 10, arena, &text, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
    }

    err = (struct err){0};
    assert_true(tree->ops->read(tree, STR("apps/a.yaml"), 2, arena, &text, &err));
    assert_true(str_eq_c(text, "aa"));
    assert_true(tree->ops->read(tree, STR("apps.yaml"), 2, arena, &text, &err));
    assert_true(str_eq_c(text, "x"));
    assert_false(tree->ops->read(tree, STR("apps/a.yaml"), 1, arena, &text, &err));
    assert_int_equal(err.code, ERR_LIMIT);

    static const char *const bad[] = {"/etc/passwd",  "..",     "apps/../README",
                                      "apps//a.yaml", "./apps", "apps/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err = (struct err){0};
        assert_false(tree->ops->read(tree, str_from(bad[i]), 10, arena, &text, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_memory(void **state) {
    AUTO(file_tree_destroy) struct file_tree *tree = memory_tree();
    check_tree(tree);
}

static void test_folder(void **state) {
    struct err err = {0};
    AUTO(file_tree_destroy) struct file_tree *tree = file_tree_open_folder(str_from(folder), &err);
    assert_non_null(tree);
    check_tree(tree);
    assert_null(file_tree_open_folder(STR("/nonexistent/x"), &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_links_stay_inside(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    char path[256];
    struct err err = {0};
    struct file_entry entry;
    struct str text;
    snprintf(path, sizeof path, "%s/out", folder);
    assert_int_equal(symlink("/etc", path), 0);
    snprintf(path, sizeof path, "%s/link.yaml", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    AUTO(file_tree_destroy) struct file_tree *tree = file_tree_open_folder(str_from(folder), &err);

    assert_true(tree->ops->stat(tree, STR("out"), &entry, &err));
    assert_int_equal(entry.kind, FILE_SYMLINK);
    assert_true(tree->ops->stat(tree, STR("out/passwd"), &entry, &err));
    assert_int_equal(entry.kind, FILE_ABSENT);
    assert_true(tree->ops->read(tree, STR("link.yaml"), 100, arena, &text, &err));
    assert_true(str_eq_c(text, "/etc/passwd")); // the target's text, not its content
    assert_false(tree->ops->read(tree, STR("out/passwd"), 100000, arena, &text, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    err = (struct err){0};
    assert_false(tree->ops->read(tree, STR("pipe"), 100, arena, &text, &err)); // does not wait
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_clean(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {{"a//b/./c", "a/b/c"}, {"", ""},      {".", ""},        {"./a/", "a"},
                 {"/a", NULL},          {"..", NULL},  {"a/../b", NULL}, {"a\\b", NULL},
                 {"a/..b", "a/..b"},    {"...", "..."}};
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct str out;
        bool ok = file_path_clean(str_from(cases[i].in), arena, &out, &err);
        if (ok != (cases[i].out != NULL) || (ok && !str_eq_c(out, cases[i].out))) {
            fail_msg("%s", cases[i].in);
        }
    }
    struct err err = {0};
    struct str out;
    assert_false(file_path_clean(STR("a\0b"), arena, &out, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_links_stay_inside),
        cmocka_unit_test(test_clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
