// SPDX-License-Identifier: Apache-2.0
// The shapes of OpenAPI version 3 against hashes of those of a real kube-apiserver 1.36, the protobuf form of version 2
// against its JSON form, and the headers' side of the documents.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/internal.h"
#include "base/limits.h"
#include "crypto/crypto.h"
#include "golden.h"

static struct api_kinds *kinds_with_crds(struct arena *arena) {
    struct api_kinds *kinds = api_kinds_create();
    struct doc_value crds;
    assert_true(golden_read(arena, "discovery", ".", "crds.json", &crds));
    for (DOC_EACH_ITEM(&crds, crd)) {
        struct doc_value status, stored = *crd;
        api_kinds_crd_changed(kinds, doc_get_str(crd, "metadata", "name"), crd);
        if (api_crd_status(arena, kinds, crd, 0, &status)) {
            stored = doc_with(arena, crd, status, "status");
        }
        api_kinds_crd_changed(kinds, doc_get_str(crd, "metadata", "name"), &stored);
    }
    return kinds;
}

static struct blob *get(const struct api_kinds *kinds, struct arena *arena, struct str url,
                        const char *accept, struct api_text *text) {
    struct str path, query;
    str_cut(url, '?', &path, &query);
    *text = (struct api_text){0};
    return api_discovery_page(kinds, path, query, str_from(accept), arena, text) ? text->body
                                                                                 : NULL;
}

static int compare_strings(const void *a, const void *b) {
    return str_cmp(doc_str(a), doc_str(b));
}

// As tools/record-discovery.py: no descriptions, lone references plain, names sorted.
static struct doc_value bare(struct arena *arena, const struct doc_value *value) {
    if (doc_is(value, DOC_ARRAY)) {
        struct doc_array list = doc_array_start(arena);
        for (DOC_EACH_ITEM(value, item)) {
            doc_array_add(&list, bare(arena, item));
        }
        return doc_array_done(&list);
    }
    if (!doc_is(value, DOC_OBJECT)) {
        return *value;
    }
    struct doc_object out = doc_object_start(arena);
    for (DOC_EACH_MEMBER(value, i)) {
        struct str key = doc_key_at(value, i);
        const struct doc_value *member = doc_value_at(value, i);
        if (str_eq(key, STR("description")) && doc_is(member, DOC_STRING)) {
            continue;
        }
        struct doc_value inner = bare(arena, member);
        if (str_eq(key, STR("required")) && doc_is(&inner, DOC_ARRAY)) {
            qsort((void *)(uintptr_t)inner.u.items, inner.len, sizeof(inner), compare_strings);
        }
        doc_object_set(&out, key, inner);
    }
    struct doc_value done = doc_object_done(&out);
    const struct doc_value *all = doc_get(&done, "allOf");
    return doc_len(&done) == 1 && doc_len(all) == 1 ? *doc_at(all, 0) : done;
}

static size_t compare_shapes(struct arena *arena, const struct doc_value *schemas,
                             const struct doc_value *expected, size_t *wrong) {
    size_t count = 0;
    for (DOC_EACH_MEMBER(schemas, i)) {
        struct str name = doc_key_at(schemas, i);
        const struct doc_value *want = doc_find(expected, name);
        if (str_ends(name, STR(".DeleteOptions"))) {
            continue;
        }
        struct doc_value shape = bare(arena, doc_value_at(schemas, i));
        AUTO_BUF struct buf text;
        buf_init(&text, 16 * MIB);
        assert_true(doc_print_canonical(&shape, &text));
        struct str hash = sha256_hex(arena, buf_str(&text));
        count++;
        if (!want || !str_eq(doc_str(want), str_first(hash, 16))) {
            fprintf(stderr, "%.*s is %s: %.*s\n", STR_ARG(name), want ? "different" : "unknown",
                    STR_ARG(buf_str(&text)));
            ++*wrong;
        }
    }
    return count;
}

static void test_shapes(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = kinds_with_crds(arena);
    struct doc_value expected, index, document;
    struct api_text text;
    struct err err = {0};
    size_t count = 0, wrong = 0;
    assert_true(golden_read(arena, "openapi", ".", "shapes.json", &expected));
    AUTO(blob_unref) struct blob *body = get(kinds, arena, STR("/openapi/v3"), "", &text);
    assert_true(doc_parse_json(blob_str(body), arena, &index, &err));
    const struct doc_value *paths = doc_get(&index, "paths");
    for (DOC_EACH_MEMBER(paths, i)) {
        struct str url = doc_get_str(doc_value_at(paths, i), "serverRelativeURL");
        AUTO(blob_unref) struct blob *one = get(kinds, arena, url, "", &text);
        assert_true(one && text.immutable && !text.location.n);
        assert_true(doc_parse_json_copy(blob_str(one), arena, &document, &err));
        count +=
            compare_shapes(arena, doc_get(&document, "components", "schemas"), &expected, &wrong);
    }
    assert_int_equal(wrong, 0);
    assert_true(count > 600);
}

// ---- Protobuf: lengths that fit into each other, and as many paths and definitions as the JSON form has ----

static bool read_varint(struct str *rest, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; rest->n > 0 && shift < 64; shift += 7) {
        unsigned char byte = (unsigned char)rest->p[0];
        *rest = str_skip(*rest, 1);
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            return true;
        }
    }
    return false;
}

// The next field; the content of fields with a length.
static bool read_field(struct str *rest, unsigned *field, struct str *content) {
    uint64_t tag, n;
    if (!read_varint(rest, &tag)) {
        return false;
    }
    *field = (unsigned)(tag >> 3);
    *content = (struct str){NULL, 0};
    switch (tag & 7) {
    case 0:
        return read_varint(rest, &n);
    case 1:
        assert_true(rest->n >= 8);
        *rest = str_skip(*rest, 8);
        return true;
    case 2:
        assert_true(read_varint(rest, &n) && n <= rest->n);
        *content = str_first(*rest, (size_t)n);
        *rest = str_skip(*rest, (size_t)n);
        return true;
    default:
        fail_msg("wire type %u", (unsigned)(tag & 7));
        return false;
    }
}

// The named values in all pieces of a repeated message; looks up one of them.
static size_t count_named(struct str all, unsigned message, unsigned entry, struct str wanted,
                          struct str *found) {
    struct str content, named, name;
    unsigned field;
    size_t count = 0;
    while (read_field(&all, &field, &content)) {
        if (field != message) {
            continue;
        }
        while (read_field(&content, &field, &named)) {
            assert_int_equal(field, entry);
            struct str value = {NULL, 0};
            assert_true(read_field(&named, &field, &name) && field == 1);
            assert_true(read_field(&named, &field, &value) && field == 2);
            count++;
            if (str_eq(name, wanted)) {
                *found = value;
            }
        }
    }
    return count;
}

static void test_protobuf(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = kinds_with_crds(arena);
    struct doc_value document;
    struct api_text text;
    struct err err = {0};
    AUTO(blob_unref) struct blob *json = get(kinds, arena, STR("/openapi/v2"), "", &text);
    assert_true(doc_parse_json(blob_str(json), arena, &document, &err));
    AUTO(blob_unref)
    struct blob *proto = get(kinds, arena, STR("/openapi/v2"),
                             "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", &text);
    assert_true(str_has(text.content_type, STR("protobuf")));
    struct str value = {NULL, 0}, content;
    unsigned field;
    assert_int_equal(count_named(blob_str(proto), 8, 2, STR("/api/v1/nodes/{name}"), &value),
                     doc_len(doc_get(&document, "paths")));
    size_t operations = 0;
    while (read_field(&value, &field, &content)) {
        operations += field >= 2 && field <= 8;
    }
    assert_int_equal(operations, 4);
    assert_int_equal(count_named(blob_str(proto), 9, 1, STR("com.example.oa.v1.Widget"), &value),
                     doc_len(doc_get(&document, "definitions")));
    bool extension = false;
    while (read_field(&value, &field, &content)) {
        extension = extension || field == 31;
    }
    assert_true(extension);
}

// ---- Tags ----

static void test_tags(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO(api_kinds_destroy) struct api_kinds *kinds = kinds_with_crds(arena);
    struct api_text first, again;
    AUTO(blob_unref)
    struct blob *a = get(kinds, arena, STR("/openapi/v3/apis/batch/v1?hash=1"), "", &first);
    assert_true(a && first.location.n && !first.immutable);
    AUTO(blob_unref) struct blob *b = get(kinds, arena, first.location, "", &again);
    assert_true(b == a && again.immutable && str_eq(first.etag, again.etag));
    api_pages_forget(api_kinds_pages(kinds));
    AUTO(blob_unref)
    struct blob *c = get(kinds, arena, STR("/openapi/v3/apis/batch/v1"), "", &again);
    assert_true(c != a && !again.immutable && str_eq(first.etag, again.etag));
    assert_true(str_eq(blob_str(c), blob_str(a)));
    // A definition that goes changes version 2 and takes its own document with it.
    AUTO(blob_unref) struct blob *before = get(kinds, arena, STR("/openapi/v2"), "", &first);
    api_kinds_crd_changed(kinds, STR("widgets.oa.example.com"), NULL);
    api_kinds_crd_changed(kinds, STR("gizmos.oa.example.com"), NULL);
    AUTO(blob_unref) struct blob *after = get(kinds, arena, STR("/openapi/v2"), "", &again);
    assert_false(str_eq(first.etag, again.etag));
    assert_true(before && after->len < before->len);
    assert_null(get(kinds, arena, STR("/openapi/v3/apis/oa.example.com/v1"), "", &again));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_protobuf),
                                       cmocka_unit_test(test_tags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
