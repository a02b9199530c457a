// SPDX-License-Identifier: Apache-2.0
#include "http/client_internal.h"

#include "base/limits.h"

// ---- Targets ----

static struct str copy_text(struct str text) {
    return text.n ? (struct str){xstrdup(text), text.n} : (struct str){NULL, 0};
}

struct http_target *http_target_create(const struct http_tls *tls, struct str proxy,
                                       unsigned max_connections) {
    struct http_target *target = NEW(struct http_target);
    target->refs = 1;
    target->max_connections = max_connections;
    target->proxy = copy_text(proxy);
    if (tls) {
        target->tls = (struct http_tls){.ca = copy_text(tls->ca),
                                        .cert = copy_text(tls->cert),
                                        .key = copy_text(tls->key),
                                        .server_name = copy_text(tls->server_name),
                                        .insecure = tls->insecure};
    }
    return target;
}

void http_target_destroy(struct http_target *target) {
    if (!target || --target->refs > 0) {
        return;
    }
    struct str texts[] = {target->tls.ca, target->tls.cert, target->tls.key,
                          target->tls.server_name, target->proxy};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].p) {
            // Keys and passwords do not stay in freed memory.
            explicit_bzero((void *)(uintptr_t)texts[i].p, texts[i].n);
            free((void *)(uintptr_t)texts[i].p);
        }
    }
    free(target);
}

// ---- Asking ----

struct call *call_create(struct loop *loop, const struct http_call *spec) {
    struct call *call = NEW(struct call);
    call->loop = loop;
    call->arena = arena_create();
    call->target = (struct http_target *)(uintptr_t)spec->target;
    if (call->target) {
        call->target->refs++;
    }
    call->method = arena_dup(call->arena, spec->method.n ? spec->method : STR("GET"));
    call->url = arena_dup(call->arena, spec->url);
    call->body = arena_dup(call->arena, spec->body);
    call->headers = ARENA_ARRAY(call->arena, spec->header_count, struct http_header);
    call->header_count = spec->header_count;
    for (size_t i = 0; i < spec->header_count; i++) {
        call->headers[i].name = arena_dup(call->arena, spec->headers[i].name);
        call->headers[i].value = arena_dup(call->arena, spec->headers[i].value);
    }
    call->max_reply = spec->max_reply ? spec->max_reply
                      : spec->on_data ? SIZE_MAX
                                      : LIMIT_HTTP_REPLY;
    call->timeout_ns = spec->timeout_ns;
    call->idle_timeout_ns = spec->idle_timeout_ns;
    call->stream = spec->stream;
    call->follow_redirects = spec->follow_redirects;
    call->on_head = spec->on_head;
    call->on_data = spec->on_data;
    call->done = spec->done;
    call->ctx = spec->ctx;
    buf_init(&call->reply, call->max_reply == SIZE_MAX ? LIMIT_HTTP_REPLY : call->max_reply);
    return call;
}

static bool is_token(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c)) {
            return false;
        }
    }
    return text.n > 0;
}

static bool is_visible(struct str text, bool spaces) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == 0x7f || (c < ' ' && !(c == '\t' && spaces)) || (c == ' ' && !spaces)) {
            return false;
        }
    }
    return true;
}

struct url_parts {
    struct str scheme, userinfo, host, port, rest;
};

static bool split_url(struct str url, struct url_parts *out) {
    size_t at = str_find(url, STR("://"));
    if (at == STR_NPOS) {
        return false;
    }
    struct str authority = str_skip(url, at + 3);
    size_t end = 0;
    while (end < authority.n && !strchr("/?#", authority.p[end])) {
        end++;
    }
    *out = (struct url_parts){.scheme = str_first(url, at), .rest = str_skip(authority, end)};
    authority = str_first(authority, end);
    size_t user = str_rfind_char(authority, '@');
    if (user != STR_NPOS) {
        out->userinfo = str_first(authority, user);
        authority = str_skip(authority, user + 1);
    }
    size_t colon = str_rfind_char(authority, ':');
    size_t bracket = str_rfind_char(authority, ']');
    bool has_port = colon != STR_NPOS && (bracket == STR_NPOS || colon > bracket);
    out->host = has_port ? str_first(authority, colon) : authority;
    out->port = has_port ? str_skip(authority, colon + 1) : STR("");
    return out->host.n > 0;
}

// Asks for the target's server name, at the URL's host: name and address part ways as with --tls-server-name.
static void apply_server_name(struct call *call, const struct url_parts *url) {
    struct str name = call->target->tls.server_name;
    struct str port = url->port.n                      ? url->port
                      : str_eq_c(url->scheme, "https") ? STR("443")
                                                       : STR("80");
    bool v6 = str_find_char(name, ':') != STR_NPOS;
    struct str host = v6 ? arena_printf(call->arena, "[%.*s]", STR_ARG(name)) : name;
    call->host_header = arena_printf(call->arena, "Host: %.*s%s%.*s", STR_ARG(url->host),
                                     url->port.n ? ":" : "", STR_ARG(url->port))
                            .p;
    call->connect_route = arena_printf(call->arena, "%.*s:%.*s:%.*s:%.*s", STR_ARG(host),
                                       STR_ARG(port), STR_ARG(url->host), STR_ARG(port))
                              .p;
    call->url = arena_printf(call->arena, "%.*s://%.*s%s%.*s:%.*s%.*s", STR_ARG(url->scheme),
                             STR_ARG(url->userinfo), url->userinfo.n ? "@" : "", STR_ARG(host),
                             STR_ARG(port), STR_ARG(url->rest));
}

bool call_prepare(struct call *call) {
    if (call->cancelled) {
        call_fail(call, ERR_CANCELLED, "the call was cancelled");
        return false;
    }
    if (call->prepared) {
        return true;
    }
    call->prepared = true;
    struct url_parts url;
    if (call->url.n > URL_MAX || !is_visible(call->url, false) || !split_url(call->url, &url) ||
        !(str_eq_c(url.scheme, "http") || str_eq_c(url.scheme, "https"))) {
        call_fail(call, ERR_INVALID, "the URL is not a valid http or https address");
        return false;
    }
    call->origin = str_first(call->url, (size_t)(url.rest.p - call->url.p));
    if (!is_token(call->method)) {
        call_fail(call, ERR_INVALID, "the method has characters that are not allowed");
        return false;
    }
    for (size_t i = 0; i < call->header_count; i++) {
        if (!is_token(call->headers[i].name) || !is_visible(call->headers[i].value, true)) {
            call_fail(call, ERR_INVALID, "a header has characters that are not allowed");
            return false;
        }
    }
    if (call->target && call->target->tls.server_name.n > 0 &&
        !str_eq_nocase(call->target->tls.server_name, url.host)) {
        apply_server_name(call, &url);
    }
    return true;
}

// ---- Time ----

static void arm(struct call *call, int64_t now) {
    int64_t at = INT64_MAX;
    if (call->deadline) {
        at = call->deadline;
    }
    if (call->idle_timeout_ns > 0 && call->last_activity + call->idle_timeout_ns < at) {
        at = call->last_activity + call->idle_timeout_ns;
    }
    if (at != INT64_MAX) {
        loop_timer_start(call->timer, at - now);
    }
}

void call_start_timer(struct call *call, loop_fn *on_deadline) {
    int64_t now = loop_now(call->loop);
    call->last_activity = now;
    call->deadline = call->timeout_ns > 0 ? now + call->timeout_ns : 0;
    if (call->timeout_ns > 0 || call->idle_timeout_ns > 0) {
        call->timer = loop_timer_create(call->loop, on_deadline, call);
        arm(call, now);
    }
}

bool call_is_late(struct call *call) {
    // Bytes do not touch the timer, which would be dear; they leave a mark that counts here.
    int64_t now = loop_now(call->loop);
    if (call->deadline && now >= call->deadline) {
        call_fail(call, ERR_TIMEOUT, "no complete reply within the time allowed");
        return true;
    }
    if (call->idle_timeout_ns > 0 && now - call->last_activity >= call->idle_timeout_ns) {
        call_fail(call, ERR_TIMEOUT, "the server sent nothing for too long");
        return true;
    }
    arm(call, now);
    return false;
}

// ---- Receiving ----

static void fill_result(const struct call *call, struct http_result *out) {
    *out = (struct http_result){.status = call->status,
                                .headers = call->reply_headers.items,
                                .header_count = call->reply_headers.len,
                                .body = buf_str(&call->reply),
                                .error = call->error.code == ERR_NONE ? NULL : &call->error};
}

struct str http_result_header(const struct http_result *result, struct str name) {
    for (size_t i = 0; i < result->header_count; i++) {
        if (str_eq_nocase(result->headers[i].name, name)) {
            return result->headers[i].value;
        }
    }
    return (struct str){NULL, 0};
}

static bool head_complete(struct call *call) {
    struct http_result head;
    fill_result(call, &head);
    if (call->status < 200) {
        return true; // 100 Continue and its like; another head follows
    }
    if (call->follow_redirects && call->status >= 300 && call->status < 400 &&
        http_result_header(&head, STR("Location")).n > 0) {
        return true;
    }
    call->head_done = true;
    if (call->on_head) {
        head.body = STR("");
        call->on_head(call->ctx, call->status, &head);
    }
    return true;
}

// "HTTP/1.1 200 OK" or "HTTP/2 200".
static int parse_status(struct str line) {
    struct str version;
    struct str rest;
    int64_t status;
    str_cut(line, ' ', &version, &rest);
    return str_to_int64(str_first(rest, 3), &status) && status >= 100 ? (int)status : 0;
}

bool call_take_head_line(struct call *call, struct str line) {
    call->last_activity = loop_now(call->loop);
    line = str_trim(line);
    if (str_starts(line, STR("HTTP/")) && !call->head_done) {
        call->status = parse_status(line);
        call->http_version = str_starts(line, STR("HTTP/1")) ? 1 : 2;
        call->reply_headers.len = 0;
        return true;
    }
    if (call->head_done) {
        return true; // trailers
    }
    if (line.n == 0) {
        return head_complete(call);
    }
    struct str name;
    struct str value;
    if (call->reply_headers.len == REPLY_HEADERS_MAX) {
        call_fail(call, ERR_LIMIT, "the reply has too many headers");
        return false;
    }
    if (str_cut(line, ':', &name, &value)) {
        struct http_header header = {arena_dup(call->arena, str_trim(name)),
                                     arena_dup(call->arena, str_trim(value))};
        VEC_PUSH(&call->reply_headers, header);
    }
    return true;
}

bool call_take_body(struct call *call, struct str data) {
    call->last_activity = loop_now(call->loop);
    if (!call->head_done) {
        return true; // of a redirect that is followed
    }
    call->received += data.n;
    if (call->received > call->max_reply) {
        call_fail(call, ERR_LIMIT, "the reply is larger than is allowed");
        return false;
    }
    if (!call->on_data) {
        return buf_add_str(&call->reply, data);
    }
    if (!call->on_data(call->ctx, data)) {
        call_fail(call, ERR_CANCELLED, "the receiver wanted no more");
        return false;
    }
    return true;
}

// ---- Ending ----

void call_fail(struct call *call, enum err_code code, const char *message) {
    if (call->error.code != ERR_NONE) {
        return;
    }
    // Passwords and tokens in URLs stay out of messages.
    struct url_parts url;
    if (split_url(call->url, &url)) {
        size_t end = 0;
        while (end < url.rest.n && url.rest.p[end] != '?' && url.rest.p[end] != '#') {
            end++;
        }
        err_set(&call->error, code, "%.*s %.*s://%.*s%s%.*s%.*s: %s", STR_ARG(call->method),
                STR_ARG(url.scheme), STR_ARG(url.host), url.port.n ? ":" : "", STR_ARG(url.port),
                STR_ARG(str_first(url.rest, end < 300 ? end : 300)), message);
    } else {
        err_set(&call->error, code, "%s", message);
    }
}

void call_finish(struct call *call) {
    struct http_result result;
    loop_timer_destroy(call->timer);
    fill_result(call, &result);
    if (call->done) {
        call->done(call->ctx, &result);
    }
    VEC_FREE(&call->reply_headers);
    buf_fini(&call->reply);
    arena_destroy(call->arena);
    http_target_destroy(call->target);
    free(call);
}
