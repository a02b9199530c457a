// SPDX-License-Identifier: Apache-2.0
// Custom kinds whose versions a webhook converts. What it made of a text is kept with the operation that asked, by the
// text and the version, so another execution of the request finds it. Watches ask for the events that wait, in order.
#include "apiserver/chain.h"

#include <stdio.h>

enum { CONVERT_SECONDS = 30, CONVERT_BATCH = 1000 };

static const struct str HEAD = STR_INIT("{\"apiVersion\":\"");

static struct str version_of(struct str text) {
    struct str rest = str_skip(text, HEAD.n);
    size_t end = str_find_char(rest, '"');
    return str_starts(text, HEAD) && end != STR_NPOS ? str_first(rest, end) : (struct str){NULL, 0};
}

bool api_convert_needed(const struct api_kind *to, struct str text) {
    if (!to->converter) {
        return false;
    }
    struct str has = version_of(text);
    return !(has.n == to->group.n + 1 + to->version.n && str_ends(has, to->version) &&
             has.p[to->group.n] == '/');
}

struct key {
    char text[64];
};

static struct str key_of(const struct api_kind *to, struct str text, struct key *key) {
    int n =
        snprintf(key->text, sizeof key->text, "%llx-%zx-%llx", (unsigned long long)str_hash(text),
                 text.n, (unsigned long long)str_hash(to->version));
    return (struct str){key->text, (size_t)n};
}

// ---- Question and answer ----
static struct str review_text(struct arena *arena, const struct api_kind *to, struct str uid,
                              struct blob *const *texts, size_t count) {
    struct buf out;
    buf_init(&out, LIMIT_JSON_BYTES);
    buf_add_str(&out, arena_printf(arena,
                                   "{\"kind\":\"ConversionReview\",\"apiVersion\":"
                                   "\"apiextensions.k8s.io/v1\",\"request\":{\"uid\":\"%.*s\","
                                   "\"desiredAPIVersion\":\"%.*s/%.*s\",\"objects\":[",
                                   STR_ARG(uid), STR_ARG(to->group), STR_ARG(to->version)));
    for (size_t i = 0; i < count; i++) {
        buf_add_c(&out, i ? "," : "");
        buf_add_str(&out, blob_str(texts[i]));
    }
    buf_add_c(&out, "]}}");
    struct str text = arena_dup(arena, buf_str(&out));
    buf_fini(&out);
    return text;
}

static bool failed(struct arena *arena, const struct api_kind *to, struct str text,
                   struct api_error *error, struct str why) {
    struct str from = version_of(text);
    return api_error_set(error, arena, 500, "",
                         "conversion webhook for %.*s, Kind=%.*s failed: %.*s", STR_ARG(from),
                         STR_ARG(to->kind), STR_ARG(why));
}

// The webhook may change labels and annotations; the rest of the metadata is the server's.
static bool restored(struct arena *arena, const struct doc_value *before,
                     const struct doc_value *after, struct doc_value *out, struct str *why) {
    static const char *const same[] = {"name", "namespace", "uid"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        struct str a = doc_get_str(before, "metadata", same[i]);
        struct str b = doc_get_str(after, "metadata", same[i]);
        if (!str_eq(a, b)) {
            *why = arena_printf(arena,
                                "invalid metadata in object at index 0: must have the same %s: "
                                "%.*s != %.*s",
                                same[i], STR_ARG(b), STR_ARG(a));
            return false;
        }
    }
    struct doc_object metadata = doc_object_copy(arena, doc_get(before, "metadata"));
    static const char *const theirs[] = {"labels", "annotations"};
    for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
        const struct doc_value *value = doc_get(after, "metadata", theirs[i]);
        if (doc_len(value)) {
            doc_object_set_c(&metadata, theirs[i], *value);
        } else {
            doc_object_remove(&metadata, str_from(theirs[i]));
        }
    }
    *out = doc_with(arena, after, doc_object_done(&metadata), "metadata");
    *out = api_ordered(arena, out);
    return true;
}

static bool read_objects(struct arena *arena, const struct api_kind *to, struct str body,
                         struct blob *const *texts, size_t count, struct blob **out,
                         struct str *why) {
    struct doc_value review;
    struct err err = {0};
    if (!doc_parse_json(body, arena, &review, &err)) {
        *why = arena_printf(arena, "the answer is not JSON: %s", err.message);
        return false;
    }
    const struct doc_value *response = doc_get(&review, "response");
    const struct doc_value *objects = doc_get(response, "convertedObjects");
    if (!str_eq(doc_get_str(response, "result", "status"), STR("Success"))) {
        *why = doc_get_str(response, "result", "message");
        *why = why->n ? *why : STR("the answer has no result");
        return false;
    }
    if (doc_len(objects) != count) {
        *why =
            arena_printf(arena, "expected %zu converted objects, got %zu", count, doc_len(objects));
        return false;
    }
    struct str wanted = api_group_version(arena, to->group, to->version);
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *object = doc_at(objects, i);
        struct doc_value before, value;
        if (!str_eq(doc_get_str(object, "apiVersion"), wanted) ||
            !str_eq(doc_get_str(object, "kind"), to->kind)) {
            *why =
                arena_printf(arena, "expected converted object at index %zu to be %.*s, Kind=%.*s",
                             i, STR_ARG(wanted), STR_ARG(to->kind));
            return false;
        }
        if (!doc_parse_json(blob_str(texts[i]), arena, &before, &err) ||
            !restored(arena, &before, object, &value, why)) {
            return false;
        }
        out[i] = blob_create(doc_to_json(arena, &value));
    }
    return true;
}

static bool read_answer(struct arena *arena, const struct api_kind *to,
                        const struct api_answer *answer, struct str url, struct blob *const *texts,
                        size_t count, struct blob **out, struct api_error *error) {
    struct str why = {NULL, 0}, text = blob_str(texts[0]);
    if (!answer->status) {
        why = arena_printf(
            arena, "Post \"%.*s\": %.*s", STR_ARG(url),
            STR_ARG(answer->timed_out ? STR("context deadline exceeded") : answer->error));
        return failed(arena, to, text, error, why);
    }
    if (answer->status < 200 || answer->status > 299) {
        return failed(arena, to, text, error,
                      STR("an error on the server (\"unknown\") has prevented the request from "
                          "succeeding"));
    }
    if (read_objects(arena, to, answer->body, texts, count, out, &why)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        blob_unref(out[i]);
        out[i] = NULL;
    }
    return failed(arena, to, text, error, why);
}

static bool prepare(struct apiserver *server, struct arena *arena, const struct api_kind *to,
                    struct str uid, struct blob *const *texts, size_t count,
                    struct apiserver_callout *call, struct api_error *error) {
    struct str problem;
    *call = (struct apiserver_callout){.timeout_ns = CONVERT_SECONDS * INT64_C(1000000000),
                                       .max_reply = LIMIT_JSON_BYTES};
    if (!hook_target(server, arena, doc_get(to->converter, "clientConfig"), call, &problem)) {
        return failed(arena, to, blob_str(texts[0]), error, problem);
    }
    call->url = arena_printf(arena, "%.*s?timeout=%ds", STR_ARG(call->url), CONVERT_SECONDS);
    call->body = review_text(arena, to, uid, texts, count);
    return true;
}

// ---- For operations ----
struct blob *api_converted(const struct api_op *op, const struct api_kind *to, struct blob *text) {
    struct key key;
    struct blob *found = op->park && op->park->converted
                             ? map_find(op->park->converted, key_of(to, blob_str(text), &key))
                             : NULL;
    return found ? blob_ref(found) : NULL;
}

static bool convert_batch(struct api_op *op, const struct api_kind *to, struct blob **texts,
                          size_t count) {
    struct api_park *park = api_park_of(op);
    struct arena *arena = op->arena;
    struct apiserver_callout call;
    struct key key;
    uint64_t question = str_hash(to->version) * 31 + 5;
    for (size_t i = 0; i < count; i++) {
        question = question * UINT64_C(0x100000001b3) ^ str_hash(blob_str(texts[i]));
    }
    struct str uid = arena_printf(arena, "%08x-0000-4000-8000-%012llx", (unsigned)question,
                                  (unsigned long long)(park->salt & UINT64_C(0xffffffffffff)));
    const struct api_answer *answer = api_park_find(op, question);
    if (!answer) {
        if (prepare(op->server, arena, to, uid, texts, count, &call, &op->error)) {
            api_park_ask(op, question, &call);
        }
        return false;
    }
    struct blob **out = ARENA_ARRAY(arena, count, struct blob *);
    if (!read_answer(arena, to, answer, doc_get_str(to->converter, "clientConfig", "url"), texts,
                     count, out, &op->error)) {
        return false;
    }
    if (!park->converted) {
        park->converted = map_create();
    }
    for (size_t i = 0; i < count; i++) {
        blob_unref(map_put(park->converted, key_of(to, blob_str(texts[i]), &key), out[i]));
    }
    return true;
}

bool api_convert_texts(struct api_op *op, const struct api_kind *to, struct blob *const *texts,
                       size_t count) {
    struct blob **missing = NULL;
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        if (!api_convert_needed(to, blob_str(texts[i]))) {
            continue;
        }
        struct blob *known = api_converted(op, to, texts[i]);
        blob_unref(known);
        if (known) {
            continue;
        }
        missing = missing ? missing : ARENA_ARRAY(op->arena, CONVERT_BATCH, struct blob *);
        missing[n++] = texts[i];
        if (n == CONVERT_BATCH) {
            ok = convert_batch(op, to, missing, n);
            n = 0;
        }
    }
    return ok && (n == 0 || convert_batch(op, to, missing, n));
}

void api_convert_remember(struct api_op *op, struct blob *stored, const struct doc_value *served) {
    if (!api_convert_needed(op->kind, blob_str(stored))) {
        return;
    }
    struct doc_value metadata, value;
    struct str text = api_metadata_text(blob_str(stored));
    if (!doc_parse_json_copy(text, op->arena, &metadata, NULL)) {
        return;
    }
    value = doc_with(op->arena, served, metadata, "metadata");
    value = api_ordered(op->arena, &value);
    struct api_park *park = api_park_of(op);
    struct key key;
    if (!park->converted) {
        park->converted = map_create();
    }
    blob_unref(map_put(park->converted, key_of(op->kind, blob_str(stored), &key),
                       blob_create(doc_to_json(op->arena, &value))));
}

void api_convert_follow(struct api_op *op, struct blob *before, struct blob *after) {
    struct blob *known = op->kind->converter ? api_converted(op, op->kind, before) : NULL;
    struct doc_value value;
    if (known && doc_parse_json_copy(blob_str(known), op->arena, &value, NULL)) {
        api_convert_remember(op, after, &value);
    }
    blob_unref(known);
}

// ---- For watches ----
struct api_convert_job {
    struct apiserver *server;
    struct arena *arena;
    uint64_t call;
    struct api_kind to; // texts copied: the registry may change meanwhile
    struct blob **texts;
    size_t count;
    void (*done)(void *ctx, struct blob **texts, size_t count, const struct api_error *error);
    void *ctx; // NULL: dropped
    struct api_error error;
};

static void job_free(struct api_convert_job *job) {
    for (size_t i = 0; i < job->count; i++) {
        blob_unref(job->texts[i]);
    }
    arena_destroy(job->arena);
}

static void job_answered(void *ctx, int status, struct str body, const struct err *error) {
    struct api_convert_job *job = ctx;
    if (job->ctx) {
        struct blob **out = ARENA_ARRAY(job->arena, job->count, struct blob *);
        struct api_answer answer = {.status = error ? 0 : status,
                                    .body = body,
                                    .error = error ? str_from(error->message) : STR(""),
                                    .timed_out = error && error->code == ERR_TIMEOUT};
        bool ok = read_answer(job->arena, &job->to, &answer, STR(""), job->texts, job->count, out,
                              &job->error);
        job->done(job->ctx, out, job->count, ok ? NULL : &job->error);
        for (size_t i = 0; i < job->count; i++) {
            blob_unref(out[i]);
        }
    }
    job_free(job);
}

static void job_refused(void *ctx) {
    struct api_convert_job *job = ctx;
    if (job->ctx) {
        job->done(job->ctx, NULL, 0, &job->error);
    }
    job_free(job);
}

struct api_convert_job *api_convert_start(struct apiserver *server, const struct api_kind *to,
                                          struct blob *const *texts, size_t count,
                                          void (*done)(void *ctx, struct blob **texts, size_t count,
                                                       const struct api_error *error),
                                          void *ctx) {
    struct arena *arena = arena_create();
    struct api_convert_job *job = ARENA_NEW(arena, struct api_convert_job);
    struct apiserver_callout call;
    *job = (struct api_convert_job){
        .server = server, .arena = arena, .count = count, .done = done, .ctx = ctx};
    job->to.group = arena_dup(arena, to->group);
    job->to.version = arena_dup(arena, to->version);
    job->to.kind = arena_dup(arena, to->kind);
    job->to.converter = to->converter;
    job->texts = ARENA_ARRAY(arena, count, struct blob *);
    for (size_t i = 0; i < count; i++) {
        job->texts[i] = blob_ref(texts[i]);
    }
    bool ok = prepare(server, arena, &job->to, STR("watch"), job->texts, count, &call, &job->error);
    job->to.converter = NULL;
    if (!ok) {
        loop_post(server->loop, job_refused, job);
        return job;
    }
    call.done = job_answered;
    call.ctx = job;
    job->call = server->callouts->start(server->callouts->ctx, &call);
    return job;
}

void api_convert_drop(struct api_convert_job *job) {
    if (job) {
        job->ctx = NULL;
        if (job->call) {
            job->server->callouts->cancel(job->server->callouts->ctx, job->call);
        }
    }
}
