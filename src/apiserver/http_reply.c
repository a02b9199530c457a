// SPDX-License-Identifier: Apache-2.0
// Replies: headers, compression, the audit log.
#include "apiserver/http_internal.h"
#include "http/gzip.h"
#include "http/query.h"

#include <stdio.h>

enum { AUDIT_ID_MAX = 64, WARNING_MAX = 2 * KIB, WARNINGS_MAX = 32 };

// ---- Headers ----
static bool is_plain_id(struct str id) {
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && c != '-') {
            return false;
        }
    }
    return id.n > 0 && id.n <= AUDIT_ID_MAX;
}

static struct str make_id(struct front_call *call) {
    struct loop *loop = call->front->server->loop;
    uint64_t a = loop_random(loop), b = loop_random(loop);
    return arena_printf(call->op->arena, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
                        (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
                        (unsigned)(b >> 48 & 0x3fff) | 0x8000,
                        (unsigned long long)b & 0xffffffffffff);
}

static void add_header(struct front_call *call, struct str name, struct str value) {
    http_exchange_add_header(call->exchange, (struct http_header){name, value});
}

void front_headers(struct front_call *call) {
    struct str id = http_exchange_header(call->exchange, STR("Audit-ID"));
    call->id = is_plain_id(id) ? arena_dup(call->op->arena, id) : make_id(call);
    add_header(call, STR("Audit-Id"), call->id);
    call->cache = STR("no-cache, private");
}

void front_cache_header(struct front_call *call) {
    add_header(call, STR("Cache-Control"), call->cache);
}

// RFC 7234: 299 - "text", with quotes and backslashes escaped and nothing that could end the header.
static struct str warning_header(struct arena *arena, struct str text) {
    struct buf out;
    buf_init(&out, 2 * WARNING_MAX);
    buf_add_c(&out, "299 - \"");
    for (size_t i = 0; i < text.n && out.len < WARNING_MAX; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') {
            buf_add_char(&out, '\\');
        }
        buf_add_char(&out, c < ' ' || c == 127 ? ' ' : (char)c);
    }
    buf_add_char(&out, '"');
    struct str copy = arena_dup(arena, buf_str(&out));
    buf_fini(&out);
    return copy;
}

static void add_op_headers(struct front_call *call) {
    struct api_op *op = call->op;
    if (op->error.retry_after_seconds > 0) {
        add_header(call, STR("Retry-After"),
                   arena_printf(op->arena, "%lld", (long long)op->error.retry_after_seconds));
    }
    if (op->error.status == 403) {
        add_header(call, STR("X-Content-Type-Options"), STR("nosniff"));
    }
    if (op->error.status == 401) {
        add_header(call, STR("WWW-Authenticate"), STR("Bearer"));
    }
    for (size_t i = 0; i < op->warning_count && i < WARNINGS_MAX; i++) {
        add_header(call, STR("Warning"), warning_header(op->arena, op->warnings[i]));
    }
}

// ---- Audit ----
// A refusal by rules, not by admission.
static bool is_forbidden(const struct api_error *error) {
    return error->status == 403 && str_has(error->message, STR("forbidden: User \"")) &&
           str_has(error->message, STR("\" cannot "));
}

void front_audit_info(const struct front_call *call, struct arena *arena, struct audit_info *out) {
    const struct http_request *request = http_exchange_request(call->exchange);
    const struct api_request *parsed = &call->op->request;
    *out = (struct audit_info){
        .id = call->id,
        .uri = request->query.n ? arena_printf(arena, "%.*s?%.*s", STR_ARG(request->path),
                                               STR_ARG(request->query))
                                : request->path,
        .remote = request->remote,
        .agent = http_exchange_header(call->exchange, STR("User-Agent")),
        .user = call->known ? &call->who : NULL,
        .impersonated = call->impersonates ? &call->op->user : NULL,
        .is_resource = call->is_resource,
        .received = call->received,
        .allowed = call->allowed && !is_forbidden(&call->op->error),
    };
    if (!call->is_resource) {
        char *verb = arena_cstr(arena, request->method);
        for (size_t i = 0; i < request->method.n; i++) {
            verb[i] = verb[i] >= 'A' && verb[i] <= 'Z' ? (char)(verb[i] + 32) : verb[i];
        }
        out->verb = (struct str){verb, request->method.n};
        return;
    }
    struct authz_question question;
    authz_question_of(parsed, arena, &question);
    out->verb = question.verb;
    out->group = question.group;
    out->version = parsed->gvr.version;
    out->resource = question.resource;
    out->subresource = question.subresource;
    out->ns = question.ns;
    out->name = question.name;
    if (out->allowed) {
        authz_decide(call->front->server, &call->op->user, &question, arena, &out->reason);
    }
}

void front_audit(struct front_call *call, const char *stage, int code,
                 const struct api_error *error) {
    if (!call->front->audit || !call->exchange) {
        return;
    }
    struct audit_info info;
    front_audit_info(call, call->op->arena, &info);
    struct audit_outcome outcome = {.stage = stage, .code = code};
    if (error && error->status) {
        outcome.status = STR("Failure");
        outcome.reason = str_from(error->reason);
        outcome.message = error->message;
    }
    audit_log_add(call->front->audit, &info, &outcome);
}

// ---- Compression ----
struct front_squeeze { // a reply on its way through a worker
    struct front_squeeze *next, **link;
    struct http_exchange *exchange; // NULL: nobody waits any more
    int status;
    char type[128];
    size_t count;
    struct blob *packed;
    struct blob *parts[];
};

static void squeeze(void *ctx) {
    struct front_squeeze *job = ctx;
    job->packed = gzip_pack(job->parts, job->count);
}

static void squeezed(void *ctx) {
    struct front_squeeze *job = ctx;
    if (job->link) {
        *job->link = job->next;
        if (job->next) {
            job->next->link = job->link;
        }
    }
    if (job->exchange) {
        http_reply(job->exchange, job->status, str_from(job->type), NULL, 0, job->packed);
    }
    for (size_t i = 0; i < job->count; i++) {
        blob_unref(job->parts[i]);
    }
    blob_unref(job->packed);
    free(job);
}

static void squeeze_left(void *ctx) {
    ((struct front_squeeze *)ctx)->exchange = NULL;
}

static void start_squeeze(struct front_call *call, int status, struct str type,
                          struct blob *const *parts, size_t count) {
    struct apiserver_http *front = call->front;
    struct front_squeeze *job =
        xcalloc(1, sizeof(struct front_squeeze) + count * sizeof(struct blob *));
    job->exchange = call->exchange;
    job->status = status;
    snprintf(job->type, sizeof job->type, "%.*s", STR_ARG(type));
    for (size_t i = 0; i < count; i++) {
        job->parts[job->count++] = blob_ref(parts[i]);
    }
    job->next = front->squeezes;
    job->link = &front->squeezes;
    if (job->next) {
        job->next->link = &job->next;
    }
    front->squeezes = job;
    add_header(call, STR("Content-Encoding"), STR("gzip"));
    http_exchange_on_abort(call->exchange, squeeze_left, job);
    loop_work(front->server->loop, 0, squeeze, squeezed, job);
}

void front_squeezes_end(struct apiserver_http *front) {
    while (front->squeezes) {
        struct front_squeeze *job = front->squeezes;
        front->squeezes = job->next;
        job->link = NULL;
        job->next = NULL;
    }
}

static void send(struct front_call *call, int status, struct str type, struct blob *const *parts,
                 size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += parts[i]->len;
    }
    front_cache_header(call);
    if (total > FRONT_GZIP_LEAST) {
        add_header(call, STR("Vary"), STR("Accept-Encoding"));
        if (gzip_is_accepted(http_exchange_header(call->exchange, STR("Accept-Encoding")))) {
            start_squeeze(call, status, type, parts, count);
            return;
        }
    }
    http_reply_parts(call->exchange, status, type, parts, count);
}

// ---- Replies ----
void front_reply_blob(struct front_call *call, int status, struct str type, struct blob *body) {
    front_audit(call, "ResponseComplete", status, NULL);
    send(call, status, type, &body, body ? 1 : 0);
}

static bool wants_pretty(struct api_op *op) {
    struct query_pair *pairs;
    size_t n;
    if (!str_has(op->request.query, STR("pretty")) ||
        !query_parse(op->request.query, op->arena, &pairs, &n, NULL)) {
        return false;
    }
    struct str value = query_find(pairs, n, "pretty");
    return value.n > 0 && !str_eq(value, STR("false")) && !str_eq(value, STR("0"));
}

// With two spaces a level, kind and apiVersion first, and no line feed at the end.
static void lay_out(struct api_op *op) {
    size_t total = 0;
    for (size_t i = 0; i < op->part_count; i++) {
        total += op->parts[i]->len;
    }
    if (total > FRONT_PRETTY) {
        return;
    }
    AUTO_BUF struct buf text, out;
    buf_init(&text, FRONT_PRETTY);
    buf_init(&out, LIMIT_JSON_BYTES);
    for (size_t i = 0; i < op->part_count; i++) {
        buf_add_str(&text, blob_str(op->parts[i]));
    }
    struct doc_value value;
    if (!doc_parse_json(buf_str(&text), op->arena, &value, NULL) || !doc_is(&value, DOC_OBJECT)) {
        return;
    }
    static const char *const first[] = {"kind", "apiVersion"};
    struct doc_object sorted = doc_object_start(op->arena);
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        const struct doc_value *member = doc_find(&value, str_from(first[i]));
        if (member) {
            doc_object_set_c(&sorted, first[i], *member);
        }
    }
    for (DOC_EACH_MEMBER(&value, i)) {
        struct str key = doc_key_at(&value, i);
        if (!str_eq_c(key, first[0]) && !str_eq_c(key, first[1])) {
            doc_object_set(&sorted, key, *doc_value_at(&value, i));
        }
    }
    struct doc_value laid = doc_object_done(&sorted);
    if (doc_print_json_indent(&laid, 2, &out)) {
        for (size_t i = 0; i < op->part_count; i++) {
            blob_unref(op->parts[i]);
        }
        op->part_count = 0;
        api_op_add_text(op, buf_str(&out));
    }
}

// JSON of the API ends with a line feed, as Go's encoder writes it.
static void finish_json(struct api_op *op) {
    if (op->content_type.n || op->part_count == 0) {
        return;
    }
    if (wants_pretty(op)) {
        lay_out(op);
        return;
    }
    const struct blob *last = op->parts[op->part_count - 1];
    if (last->len && blob_str(last).p[last->len - 1] != '\n') {
        api_op_add_text(op, STR("\n"));
    }
}

void front_reply(struct front_call *call) {
    struct api_op *op = call->op;
    finish_json(op);
    front_audit(call, "ResponseComplete", op->status, &op->error);
    add_op_headers(call);
    send(call, op->status, op->content_type.n ? op->content_type : STR("application/json"),
         op->parts, op->part_count);
}

void front_reply_error(struct front_call *call) {
    api_op_fill_error(call->op);
    front_reply(call);
}
