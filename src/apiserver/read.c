// SPDX-License-Identifier: Apache-2.0
// GET and LIST. Both answer with the durable state. A list can be asked for at an older revision (a continued one is, so
// that its pages fit together): then what changed since is taken back with the help of the history.
#include "apiserver/core.h"

#include "base/text.h"

static bool read_failed(struct api_op *op, const struct err *err) {
    return api_error_set(&op->error, op->arena, 500, "InternalError",
                         "Internal error occurred: reading the store: %s", err->message);
}

static bool too_new(struct api_op *op, int64_t revision) {
    if (revision <= op->server->durable) {
        return true;
    }
    api_error_set(&op->error, op->arena, 504, "Timeout",
                  "Timeout: Too large resource version: %lld, current: %lld", (long long)revision,
                  (long long)op->server->durable);
    op->error.retry_after_seconds = 1;
    return false;
}

bool api_verb_get(struct api_op *op) {
    int64_t revision = 0;
    if (str_to_int64(op->request.resource_version, &revision) && !too_new(op, revision)) {
        return false;
    }
    struct api_entry *entry = api_entry_find(op->collection, op->request.ns, op->request.name);
    struct err err = {0};
    struct blob *blob = entry ? api_entry_durable(entry, &err) : NULL;
    if (!blob) {
        return err.code ? read_failed(op, &err)
                        : api_error_not_found(&op->error, op->arena, op->kind, op->request.name);
    }
    bool ok = api_reply_object(op, 200, blob);
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
    struct str next_key;        // where the next page starts; empty: the end
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
    if (op->request.limit > 0 && list->objects.len == (size_t)op->request.limit) {
        list->full = true;
        list->next_key = arena_dup(op->arena, key);
        list->left = 1;
        return api_selection_is_empty(&list->selection);
    }
    VEC_PUSH(&list->objects, blob_ref(text));
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

static bool read_continue(struct listing *list) {
    struct api_op *op = list->op;
    struct str text;
    struct doc_value token;
    struct str start;
    struct err err = {0};
    if (!base64_decode(op->request.continue_token, op->arena, &text) ||
        !doc_parse_json(text, op->arena, &token, &err) ||
        !(start = doc_get_str(&token, "start")).n || str_find_char(start, '/') == STR_NPOS) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "continue key is not valid: it was not made by this server");
    }
    if (op->request.resource_version.n && !str_eq(op->request.resource_version, STR("0"))) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "specifying resource version is not allowed when using continue");
    }
    list->start = start;
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
                "token in this response to retrieve the remainder of the results.");
    struct str again = arena_printf(
        op->arena, "{\"v\":\"meta.k8s.io/v1\",\"rv\":-1,\"start\":\"%.*s\"}", STR_ARG(start));
    op->request.continue_token = base64_encode(op->arena, again);
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
                             "invalid resource version \"%.*s\"",
                             STR_ARG(request->resource_version));
    }
    bool exact = str_eq(request->resource_version_match, STR("Exact"));
    const char *problem = api_request_match_problem(request);
    if (problem) {
        return api_error_set(&op->error, op->arena, 422, "Invalid",
                             "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: %s",
                             problem);
    }
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
static struct str continue_token(struct listing *list) {
    struct arena *arena = list->op->arena;
    struct str text =
        arena_printf(arena, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"start\":\"%.*s\"}",
                     (long long)list->revision, STR_ARG(list->next_key));
    return base64_encode(arena, text);
}

static struct doc_value list_metadata(struct listing *list) {
    struct arena *arena = list->op->arena;
    struct doc_object metadata = doc_object_start(arena);
    doc_object_set_c(&metadata, "resourceVersion",
                     doc_make_str(arena_printf(arena, "%lld", (long long)list->revision)));
    if (list->next_key.n) {
        doc_object_set_c(&metadata, "continue", doc_make_str(continue_token(list)));
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
        if (!doc_parse_json(blob_str(list->objects.items[i]), op->arena, value, &err)) {
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
                               : api_serve_text(op->server, op->kind, list->objects.items[i]));
    }
    blob_unref(comma);
    api_op_add_text(op, STR("]}\n"));
    return true;
}

bool api_verb_list(struct api_op *op) {
    struct listing list = {.op = op};
    const struct api_request *request = &op->request;
    if (!api_selection_parse(op->arena, op->kind, request->label_selector, request->field_selector,
                             &list.selection, &op->error)) {
        return false;
    }
    if (request->ns.n) {
        list.prefix = arena_concat(op->arena, request->ns, STR("/"));
    }
    list.start = list.prefix;
    bool ok = read_revision(&list) && collect(&list) &&
              (request->output == API_OUTPUT_TABLE ? list_as_table(&list) : list_as_objects(&list));
    for (size_t i = 0; i < list.objects.len; i++) {
        blob_unref(list.objects.items[i]);
    }
    VEC_FREE(&list.objects);
    api_cache_trim(op->server);
    return ok;
}
