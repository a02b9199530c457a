// SPDX-License-Identifier: Apache-2.0
// The folders of tests/data/render/: source.yaml (spec.source), files/ (the repository) and expected.txt (the objects with
// their places, or the error). UPDATE=1 in the environment writes expected.txt anew. Below: what a folder cannot hold.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/limits.h"
#include "doc/yaml.h"
#include "render/render.h"

static bool read_text(struct arena *arena, const char *path, struct str *out) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return false;
    }
    char *text = arena_alloc(arena, 1 << 16);
    *out = str_make(text, fread(text, 1, 1 << 16, file));
    fclose(file);
    return true;
}

static struct doc_value parse(struct arena *arena, struct str text) {
    struct yaml_document *documents;
    size_t count = 0;
    struct err err = {0};
    struct yaml_options options = {.profile = YAML_KUBERNETES};
    if (!yaml_parse(text, &options, arena, &documents, &count, &err) || count != 1) {
        fail_msg("%.*s: %s", STR_ARG(text), err.message);
    }
    return documents[0].root;
}

static void describe(struct arena *arena, struct file_tree *tree, const struct doc_value *source,
                     struct buf *out) {
    struct render_request request = {
        .tree = tree, .source = source, .app_name = STR("shop"), .revision = STR("abc123")};
    struct render_result result;
    struct err err = {0};
    if (!render_run(&request, arena, &result, &err)) {
        assert_true(buf_printf(out, "%s: %s\n", err_code_name(err.code), err.message));
        return;
    }
    assert_true(buf_printf(out, "%.*s\n", STR_ARG(result.source_type)));
    for (size_t i = 0; i < result.object_count; i++) {
        const struct render_object *object = &result.objects[i];
        struct str name = doc_get_str(&object->object, "metadata", "name");
        assert_true(buf_printf(out, "%.*s:%u %.*s %.*s\n", STR_ARG(object->file), object->line,
                               STR_ARG(doc_get_str(&object->object, "kind")), STR_ARG(name)));
    }
}

static bool run_case(const char *folder) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str text = {NULL, 0}, expected = {NULL, 0};
    struct err err = {0};
    if (!read_text(arena, arena_printf(arena, "%s/source.yaml", folder).p, &text)) {
        fail_msg("%s: source.yaml is missing", folder);
    }
    struct doc_value source = parse(arena, text);
    struct str files = arena_printf(arena, "%s/files", folder);
    AUTO(file_tree_destroy) struct file_tree *tree = file_tree_open_folder(files, &err);
    assert_non_null(tree);
    AUTO_BUF struct buf out;
    buf_init(&out, MIB);
    describe(arena, tree, &source, &out);
    struct str path = arena_printf(arena, "%s/expected.txt", folder);
    if (getenv("UPDATE")) {
        FILE *file = fopen(path.p, "wb");
        assert_non_null(file);
        fwrite(out.data, 1, out.len, file);
        fclose(file);
    } else if (!read_text(arena, path.p, &expected) || !str_eq(expected, buf_str(&out))) {
        print_error("%s: expected\n%.*sbut got\n%.*s", folder, STR_ARG(expected),
                    STR_ARG(buf_str(&out)));
        return false;
    }
    return true;
}

static void test_folders(void **state) {
    char root[4000];
    snprintf(root, sizeof root, "%s/render", getenv("SKIFF_TEST_DATA"));
    DIR *dir = opendir(root);
    assert_non_null(dir);
    int count = 0, bad = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.') {
            char folder[4300];
            snprintf(folder, sizeof folder, "%s/%s", root, entry->d_name);
            bad += !run_case(folder);
            count++;
        }
    }
    closedir(dir);
    print_message("%d cases\n", count);
    assert_true(count > 30);
    assert_int_equal(bad, 0);
}

// ---- What a folder cannot hold: submodules, ids, and more than the limits ----
struct fake_tree {
    struct file_tree tree;
    enum file_kind kind; // of the one entry, "thing" or "thing.yaml"
    size_t entries;
    size_t size;
    unsigned char id;
};

static bool fake_stat(struct file_tree *tree, struct str path, struct file_entry *out,
                      struct err *err) {
    struct fake_tree *fake = (struct fake_tree *)tree;
    *out = (struct file_entry){.kind = path.n == 0 || str_eq(path, STR("app")) ? FILE_FOLDER
                                                                               : FILE_ABSENT};
    if (out->kind == FILE_FOLDER && fake->id) {
        out->id_len = 20;
        out->id[0] = fake->id;
    }
    return true;
}

static bool fake_list(struct file_tree *tree, struct str path, struct arena *arena,
                      struct file_entry **out, size_t *count, struct err *err) {
    struct fake_tree *fake = (struct fake_tree *)tree;
    *out = ARENA_ARRAY(arena, fake->entries, struct file_entry);
    *count = fake->entries;
    for (size_t i = 0; i < fake->entries; i++) {
        bool file = fake->kind == FILE_REGULAR;
        (*out)[i] = (struct file_entry){
            .name = arena_printf(arena, file ? "thing%06zu.yaml" : "thing%06zu", i),
            .kind = fake->kind};
    }
    return true;
}

static bool fake_read(struct file_tree *tree, struct str path, size_t max, struct arena *arena,
                      struct str *out, struct err *err) {
    struct fake_tree *fake = (struct fake_tree *)tree;
    char *text = arena_alloc(arena, fake->size + 1);
    memset(text, '#', fake->size);
    *out = str_make(text, fake->size);
    return true;
}

static void fake_destroy(struct file_tree *tree) {
}

static const struct file_tree_ops fake_ops = {fake_stat, fake_list, fake_read, fake_destroy};

static void expect(struct fake_tree *fake, const char *source_text, enum err_code code,
                   const char *part) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    fake->tree.ops = &fake_ops;
    struct doc_value source = parse(arena, str_from(source_text));
    struct render_request request = {.tree = &fake->tree, .source = &source};
    struct render_result result;
    struct err err = {0};
    bool ok = render_run(&request, arena, &result, &err);
    assert_int_equal(ok, code == ERR_NONE);
    assert_int_equal(err.code, code);
    if (!str_has(str_from(err.message), str_from(part))) {
        fail_msg("%s: \"%s\"", source_text, err.message);
    }
}

static void test_submodules(void **state) {
    struct fake_tree fake = {.kind = FILE_SUBMODULE, .entries = 1};
    expect(&fake, "path: app", ERR_NONE, ""); // not looked into
    expect(&fake, "{path: app, directory: {recurse: true}}", ERR_UNSUPPORTED,
           "app/thing000000 is a Git submodule");
    expect(&fake, "{path: app, directory: {recurse: true, exclude: 'thing*'}}", ERR_NONE, "");
    expect(&fake, "{path: app, directory: {recurse: true, exclude: 'thing000000/*'}}", ERR_NONE,
           "");
}

static void test_limits(void **state) {
    struct fake_tree many = {.kind = FILE_REGULAR, .entries = LIMIT_RENDER_FILES};
    expect(&many, "path: app", ERR_NONE, "");
    many.entries++;
    expect(&many, "path: app", ERR_LIMIT, "LIMIT_RENDER_FILES");
    struct fake_tree large = {.kind = FILE_REGULAR, .entries = 5, .size = LIMIT_GIT_BLOB};
    expect(&large, "path: app", ERR_LIMIT, "64 MiB");
    struct fake_tree deep = {.kind = FILE_FOLDER, .entries = 1};
    expect(&deep, "{path: app, directory: {recurse: true}}", ERR_LIMIT, "deeper than");
}

static void test_current(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct fake_tree fake = {.tree = {&fake_ops}, .kind = FILE_REGULAR, .entries = 1, .id = 1};
    struct doc_value source = parse(arena, STR("path: app"));
    struct render_request request = {.tree = &fake.tree, .source = &source};
    struct render_result result;
    struct err err = {0};
    assert_true(render_run(&request, arena, &result, &err));
    assert_true(render_is_current(&result, &fake.tree));
    fake.id = 2;
    assert_false(render_is_current(&result, &fake.tree));
    fake.id = 0; // a tree that has no ids says nothing
    assert_false(render_is_current(&result, &fake.tree));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders), cmocka_unit_test(test_submodules),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_current)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
