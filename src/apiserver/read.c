// SPDX-License-Identifier: Apache-2.0
// GET and LIST. Both answer with the durable state. A list can be asked for at an older revision (a continued one is, so
// that its pages fit together): then what changed since is taken back with the help of the history.
#include "apiserver/core.h"

#include "base/text.h"

static bool read_failed(struct api_op *op, const struct err *err) {
    return api_error_set(&op->error, op->arena, 500, "InternalError",
                         "Internal error occurred: reading the store: %s", err->message);
}

bool api_error_too_new(const struct apiserver *server, struct arena *arena, int64_t revision,
                       struct api_error *error) {
    api_error_set(error, arena, 504, "Timeout",
                  "Timeout: Too large resource version: %lld, current: %lld", (long long)revision,
                  (long long)server->durable);
    error->retry_after_seconds = 1;
    struct doc_object cause = doc_object_start(arena), details = doc_object_start(arena);
    struct doc_array causes = doc_array_start(arena);
    doc_object_set_c(&cause, "reason", DOC_S("ResourceVersionTooLarge"));
    doc_object_set_c(&cause, "message", DOC_S("Too large resource version"));
    doc_array_add(&causes, doc_object_done(&cause));
    doc_object_set_c(&details, "causes", doc_array_done(&causes));
    error->details = doc_object_done(&details);
    return false;
}

static bool too_new(struct api_op *op, int64_t revision) {
    return revision <= op->server->durable ||
           api_error_too_new(op->server, op->arena, revision, &op->error);
}

// The words of Go's parser, which clients see.
static struct str not_a_revision(struct arena *arena, struct str text) {
    return arena_printf(arena,
                        "resourceVersion: Invalid value: \"%.*s\": strconv.ParseUint: parsing "
                        "\"%.*s\": invalid syntax",
                        STR_ARG(text), STR_ARG(text));
}

bool api_error_revision(struct arena *arena, struct str text, struct api_error *error) {
    return api_error_set(error, arena, 500, "", "%.*s", STR_ARG(not_a_revision(arena, text)));
}

bool api_verb_get(struct api_op *op) {
    int64_t revision = 0;
    struct str version = op->request.resource_version;
    if (version.n && (!str_to_int64(version, &revision) || revision < 0)) {
        return api_error_revision(op->arena, version, &op->error);
    }
    if (!too_new(op, revision)) {
        return false;
    }
    struct api_entry *entry = api_entry_find(op->collection, op->request.ns, op->request.name);
    struct err err = {0};
    struct blob *blob = entry ? api_entry_durable(entry, &err) : NULL;
    if (!blob) {
        return err.code ? read_failed(op, &err)
                        : api_error_not_found(&op->error, op->arena, op->kind, op->request.name);
    }
    bool ok = api_convert_texts(op, op->kind, &blob, 1) && api_reply_object(op, 200, blob);
    blob_unref(blob);
    return ok;
}

// ---- Lists ----
struct past { // what an object was at the revision of the list
    struct str key;
    struct blob *text; // NULL: it was not there
    size_t order;      // the oldest event wins
};

struct listing {
    struct api_op *op;
    struct api_selection selection;
    int64_t revision;
    struct str prefix; // "ns/" or empty
    struct str start;  // first key
    struct past *past; // sorted, one a key
    size_t past_count, past_next;
    VEC(struct blob *) objects; // references
    size_t left;                // after the last one of the page, when nothing is selected
    struct str last_key;        // of the newest object taken
    struct str next_key;        // behind which the next page starts; empty: the end
    int64_t limit;              // 0: none
    bool full;
};

static int compare_past(const void *a, const void *b) {
    const struct past *x = a;
    const struct past *y = b;
    int order = str_cmp(x->key, y->key);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static void load_past(struct listing *list) {
    struct apiserver *server = list->op->server;
    const struct api_history *history = &server->history;
    if (list->revision >= list->op->collection->changed) {
        return;
    }
    size_t first = api_history_after(history, list->revision);
    list->past = ARENA_ARRAY(list->op->arena, history->len - first + 1, struct past);
    size_t n = 0;
    for (size_t i = first; i < history->len; i++) {
        const struct api_event *event = api_history_at(history, i);
        struct str key = {event->key, event->key_len};
        if (event->collection == list->op->collection && str_starts(key, list->prefix)) {
            list->past[n++] = (struct past){.key = key, .text = event->before, .order = i};
        }
    }
    qsort(list->past, n, sizeof(struct past), compare_past);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !str_eq(list->past[kept - 1].key, list->past[i].key)) {
            list->past[kept++] = list->past[i];
        }
    }
    list->past_count = kept;
    while (list->past_next < kept && str_cmp(list->past[list->past_next].key, list->start) < 0) {
        list->past_next++;
    }
}

// Takes one object in, or notes where the next page starts. False: the page is full and nothing more has to be counted.
static bool list_take(struct listing *list, struct str key, struct blob *text) {
    struct api_op *op = list->op;
    if (list->full) {
        list->left++;
        return api_selection_is_empty(&list->selection);
    }
    arena_reset(op->server->scratch);
    if (!api_selection_is_empty(&list->selection) &&
        !api_selection_matches(&list->selection, op->kind, blob_str(text), op->server->scratch)) {
        return true;
    }
    if (list->limit > 0 && list->objects.len == (size_t)list->limit) {
        list->full = true;
        list->next_key = arena_dup(op->arena, list->last_key);
        list->left = 1;
        return api_selection_is_empty(&list->selection);
    }
    VEC_PUSH(&list->objects, blob_ref(text));
    list->last_key = key; // lives in the index or in the history
    return true;
}

static bool take_past(struct listing *list, struct str until, bool *more) {
    while (list->past_next < list->past_count &&
           (until.p == NULL || str_cmp(list->past[list->past_next].key, until) < 0)) {
        const struct past *past = &list->past[list->past_next++];
        if (past->text && !list_take(list, past->key, past->text)) {
            *more = false;
            return true;
        }
    }
    return true;
}

static bool take_entry(struct listing *list, struct api_entry *entry, bool *more) {
    struct str key = api_entry_key(entry);
    if (list->past_next < list->past_count && str_eq(list->past[list->past_next].key, key)) {
        const struct past *past = &list->past[list->past_next++];
        *more = !past->text || list_take(list, key, past->text);
        return true;
    }
    if (!api_entry_is_durable(entry)) {
        return true;
    }
    if (list->full) { // counted only: no need for the text
        list->left++;
        return true;
    }
    struct err err = {0};
    struct blob *text = api_entry_durable(entry, &err);
    if (!text) {
        return read_failed(list->op, &err);
    }
    *more = list_take(list, key, text);
    blob_unref(text);
    return true;
}

static bool collect(struct listing *list) {
    load_past(list);
    struct api_cursor cursor = api_cursor_at(list->op->collection, list->start);
    bool more = true;
    for (struct api_entry *entry; more && (entry = api_cursor_next(&cursor));) {
        struct str key = api_entry_key(entry);
        if (!str_starts(key, list->prefix)) {
            break;
        }
        if (!take_past(list, key, &more) || (more && !take_entry(list, entry, &more))) {
            return false;
        }
    }
    return !more || take_past(list, (struct str){NULL, 0}, &more);
}

// ---- Which revision ----
static bool expired(struct api_op *op, const char *what) {
    return api_error_set(&op->error, op->arena, 410, "Expired", "%s", what);
}

// A token is base64 of {"v","rv","start"}; start is "/name" or "/namespace/name" with a NUL behind it, so that it comes
// right after that object.
static struct str token_text(struct arena *arena, int64_t revision, struct str start) {
    struct doc_object token = doc_object_start(arena);
    doc_object_set_c(&token, "v", DOC_S("meta.k8s.io/v1"));
    doc_object_set_c(&token, "rv", doc_make_int(revision));
    doc_object_set_c(&token, "start", doc_make_str(start));
    struct doc_value value = doc_object_done(&token);
    struct str text = base64_encode(arena, doc_to_json(arena, &value));
    char *out = arena_cstr(arena, text);
    size_t n = text.n;
    for (size_t i = 0; i < n; i++) { // for URLs, without padding
        out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i]);
    }
    while (n && out[n - 1] == '=') {
        n--;
    }
    return (struct str){out, n};
}

static bool token_parse(struct arena *arena, struct str text, struct doc_value *token,
                        struct err *err) {
    char *copy = arena_alloc(arena, text.n + 4);
    size_t n = text.n;
    if (n == 0) {
        return false;
    }
    memcpy(copy, text.p, n);
    for (size_t i = 0; i < n; i++) {
        copy[i] = (char)(copy[i] == '-' ? '+' : copy[i] == '_' ? '/' : copy[i]);
    }
    while (n % 4) {
        copy[n++] = '=';
    }
    struct str json;
    return base64_decode((struct str){copy, n}, arena, &json) &&
           doc_parse_json(json, arena, token, err);
}

static bool bad_token(struct api_op *op, struct str why) {
    return api_error_set(&op->error, op->arena, 400, "BadRequest",
                         "invalid continue token: continue key is not valid: %.*s", STR_ARG(why));
}

static bool read_continue(struct listing *list) {
    struct api_op *op = list->op;
    struct doc_value token;
    struct err err = {0};
    struct str start;
    if (op->request.resource_version.n && !str_eq(op->request.resource_version, STR("0"))) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "specifying resource version is not allowed when using continue");
    }
    if (!token_parse(op->arena, op->request.continue_token, &token, &err)) {
        return bad_token(op, err.code ? str_from(err.message) : STR("illegal base64 data"));
    }
    start = doc_get_str(&token, "start");
    if (!start.n || str_starts(start, STR("../")) || str_has(start, STR("/../")) ||
        start.n > 2 * LIMIT_NAME + 8) {
        return bad_token(op, start);
    }
    start = str_starts(start, STR("/")) ? start : arena_concat(op->arena, STR("/"), start);
    // Keys of the index are "namespace/name", and "/name" without a namespace.
    list->start = op->kind->namespaced && list->prefix.n
                      ? arena_concat(op->arena, list->prefix, str_skip(start, 1))
                  : op->kind->namespaced ? str_skip(start, 1)
                                         : start;
    int64_t revision = doc_int(doc_get(&token, "rv"), -1);
    if (revision < 0) { // "continue inconsistently": what an expired token was answered with
        return true;
    }
    list->revision = revision;
    if (revision >= op->collection->changed || revision >= op->server->history.compacted) {
        return revision <= op->server->durable ||
               expired(op, "The provided continue parameter is from another server.");
    }
    expired(op, "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter, or use the continue "
                "token in this response to retrieve the remainder of the results. Continuing with "
                "the provided token results in an inconsistent list - objects that were created, "
                "modified, or deleted between the time the first chunk was returned and now may "
                "show up in the list.");
    op->request.continue_token = token_text(op->arena, -1, start);
    return false;
}

static bool read_revision(struct listing *list) {
    struct api_op *op = list->op;
    const struct api_request *request = &op->request;
    list->revision = op->server->durable;
    if (request->continue_token.n) {
        return read_continue(list);
    }
    int64_t revision = 0;
    if (request->resource_version.n &&
        (!str_to_int64(request->resource_version, &revision) || revision < 0)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "invalid resource version: %.*s",
                             STR_ARG(not_a_revision(op->arena, request->resource_version)));
    }
    bool exact = str_eq(request->resource_version_match, STR("Exact"));
    if (!too_new(op, revision)) {
        return false;
    }
    if (exact) {
        list->revision = revision;
        if (revision < op->collection->changed && revision < op->server->history.compacted) {
            return expired(op, "The resourceVersion for the provided list is too old.");
        }
    }
    return true;
}

// ---- Replies ----
struct str api_continue_token(struct arena *arena, int64_t revision, struct str prefix,
                              struct str last) {
    struct str key = str_skip(last, prefix.n);
    if (str_starts(key, STR("/"))) {
        key = str_skip(key, 1);
    }
    struct str start =
        arena_concat(arena, arena_concat(arena, STR("/"), key), (struct str){"", 1}); // the NUL
    return token_text(arena, revision, start);
}

static struct doc_value list_metadata(struct listing *list) {
    struct arena *arena = list->op->arena;
    struct doc_object metadata = doc_object_start(arena);
    doc_object_set_c(&metadata, "resourceVersion",
                     doc_make_str(arena_printf(arena, "%lld", (long long)list->revision)));
    if (list->next_key.n) {
        doc_object_set_c(
            &metadata, "continue",
            doc_make_str(api_continue_token(arena, list->revision, list->prefix, list->next_key)));
        if (api_selection_is_empty(&list->selection)) {
            doc_object_set_c(&metadata, "remainingItemCount", doc_make_int((int64_t)list->left));
        }
    }
    return doc_object_done(&metadata);
}

static bool list_as_table(struct listing *list) {
    struct api_op *op = list->op;
    const struct doc_value **objects =
        ARENA_ARRAY(op->arena, list->objects.len + 1, const struct doc_value *);
    for (size_t i = 0; i < list->objects.len; i++) {
        struct doc_value *value = ARENA_NEW(op->arena, struct doc_value);
        struct err err = {0};
        struct blob *served = api_op_serve(op, list->objects.items[i]);
        bool parsed = served == list->objects.items[i]
                          ? doc_parse_json(blob_str(served), op->arena, value, &err)
                          : doc_parse_json_copy(blob_str(served), op->arena, value, &err);
        blob_unref(served);
        if (!parsed) {
            return read_failed(op, &err);
        }
        objects[i] = value;
    }
    struct doc_value metadata = list_metadata(list);
    AUTO_BUF struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    if (!api_table_print(op->arena, op->kind, objects, list->objects.len, op->request.include, true,
                         &metadata, loop_wall(op->server->loop), &out)) {
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "the table is too large: use limit");
    }
    op->status = 200;
    api_op_add_text(op, buf_str(&out));
    return true;
}

static bool list_as_objects(struct listing *list) {
    struct api_op *op = list->op;
    bool partial = op->request.output == API_OUTPUT_PARTIAL;
    struct doc_value metadata = list_metadata(list);
    struct str meta_text = doc_to_json(op->arena, &metadata);
    struct str version = partial ? STR("meta.k8s.io/v1")
                                 : api_group_version(op->arena, op->kind->group, op->kind->version);
    struct str kind = partial ? STR("PartialObjectMetadataList") : op->kind->list_kind;
    op->status = 200;
    api_op_add_text(op, arena_printf(op->arena,
                                     "{\"kind\":\"%.*s\",\"apiVersion\":\"%.*s\",\"metadata\":"
                                     "%.*s,\"items\":[",
                                     STR_ARG(kind), STR_ARG(version), STR_ARG(meta_text)));
    struct blob *comma = blob_create(STR(","));
    for (size_t i = 0; i < list->objects.len; i++) {
        if (i) {
            api_op_add(op, blob_ref(comma));
        }
        api_op_add(op, partial ? api_partial_text(op->arena, list->objects.items[i])
                               : api_op_serve(op, list->objects.items[i]));
    }
    blob_unref(comma);
    api_op_add_text(op, STR("]}\n"));
    return true;
}

bool api_verb_list(struct api_op *op) {
    struct listing list = {.op = op};
    const struct api_request *request = &op->request;
    // What a cache may answer comes in one piece.
    list.limit = str_eq(request->resource_version, STR("0")) ? 0 : request->limit;
    if (!api_request_check_list(op->arena, request, &op->error) ||
        !api_selection_parse(op->arena, op->kind, request->label_selector, request->field_selector,
                             &list.selection, &op->error)) {
        return false;
    }
    if (request->ns.n) {
        list.prefix = arena_concat(op->arena, request->ns, STR("/"));
    }
    list.start = list.prefix;
    bool ok = read_revision(&list) && collect(&list) &&
              (request->output == API_OUTPUT_PARTIAL ||
               api_convert_texts(op, op->kind, list.objects.items, list.objects.len)) &&
              (request->output == API_OUTPUT_TABLE ? list_as_table(&list) : list_as_objects(&list));
    for (size_t i = 0; i < list.objects.len; i++) {
        blob_unref(list.objects.items[i]);
    }
    VEC_FREE(&list.objects);
    api_cache_trim(op->server);
    return ok;
}
