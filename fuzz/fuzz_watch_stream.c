// SPDX-License-Identifier: Apache-2.0
// A watch stream cut at places that the input chooses (its first byte), and the same bytes as an object, a list and a
// Status. What the scanner finds must agree with the document model wherever that reads the text too.
#include "base/limits.h"
#include "kube/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_object(struct str text) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_scan scan;
    struct err err = {0};
    struct doc_value root;
    bool scanned = kube_scan_object(text, arena, &scan, &err);
    bool parsed = doc_parse_json(text, arena, &root, &err) && doc_is(&root, DOC_OBJECT);
    if (!parsed) {
        return;
    }
    // Escaped keys are not recognised by the scanner; servers do not write them.
    if (!scanned || str_find_char(text, '\\') != STR_NPOS) {
        CHECK(scanned || err.code == ERR_LIMIT || str_find_char(text, '\\') != STR_NPOS);
        return;
    }
    CHECK(str_eq(doc_get_str(&root, "kind"), scan.kind));
    AUTO_BUF struct buf out;
    buf_init(&out, LIMIT_HTTP_REPLY);
    struct str trimmed = kube_scan_trimmed(&scan, STR("K"), STR("v1"), &out);
    struct doc_value again;
    CHECK(doc_parse_json(trimmed, arena, &again, &err));
}

static bool on_line(void *ctx, struct str line) {
    enum kube_event type;
    struct str object;
    struct err err = {0};
    if (kube_scan_event(line, &type, &object, &err)) {
        check_object(object);
    }
    (*(size_t *)ctx)++;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    size_t step = (size_t)data[0] + 1, lines[2] = {0};
    struct str text = {(const char *)data + 1, size - 1};
    for (int whole = 0; whole < 2; whole++) {
        struct kube_line_splitter splitter;
        struct err err = {0};
        kube_lines_init(&splitter, MIB);
        for (struct str rest = text; rest.n; rest = str_skip(rest, whole ? rest.n : step)) {
            struct str chunk = whole ? rest : str_first(rest, step);
            if (!kube_lines_feed(&splitter, chunk, on_line, &lines[whole], &err)) {
                break;
            }
        }
        kube_lines_fini(&splitter);
    }
    CHECK(lines[0] == lines[1]); // wherever it is cut
    check_object(text);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_list_head head;
    struct err err = {0};
    if (kube_scan_list(text, arena, &head, &err)) {
        size_t at = 0;
        struct str item;
        while (kube_scan_item(head.items, &at, &item)) {
            check_object(item);
        }
    }
    char reason[64];
    kube_status_error(500, text, &err, reason);
    CHECK(err.code != ERR_NONE);
    return 0;
}
