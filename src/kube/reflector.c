// SPDX-License-Identifier: Apache-2.0
// Keeps one (resource, namespace, selector) in step with a server: lists in pages, then watches from the list's version.
// It does one of four things at a time: waits for its turn to list, lists, watches, or rests before the next attempt.
// A watch that ends resumes from the last version seen; a list is only taken again when the server says that the version
// is gone, when it sent nonsense, or when resuming fails over and over.
#include "base/limits.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "kube/internal.h"

#define MODULE "kube"

static const int64_t first_delay_ns = 800 * NS_PER_MS;
static const int64_t longest_delay_ns = 30 * NS_PER_SECOND;
// A kind we may not read, or that is not served: looked at again, but soon seldom. (At first not: a server that starts refuses
// what it does not know yet to be allowed, and definitions are replaced.)
static const int64_t refused_delay_ns = 60 * NS_PER_SECOND;
// A watch that lived so long counts as success, though it brought nothing.
static const int64_t good_watch_ns = 5 * NS_PER_SECOND;
enum {
    RESUMES_BEFORE_LIST = 6, // a version of the future (a restored server) is refused for ever
    FAILURES_BEFORE_REPORT = 3,
};

// What an answer of the client finds: the reflector may be gone by then, this stays until the answer came.
struct pending {
    struct kube_reflector *owner; // NULL: nobody listens any more
    uint64_t id;
};

enum phase { PHASE_REST, PHASE_QUEUED, PHASE_LIST, PHASE_WATCH };

struct kube_reflector {
    struct loop *loop;
    struct kube_client *client;
    struct kube_gate *gate;
    struct kube_reflector *gate_next;
    struct kube_gvr gvr;     // in arena
    struct str ns, selector; // in arena
    struct arena *arena;
    struct kube_reflector_sink sink;
    void *ctx;
    enum phase phase;
    bool list_next; // what to do after the rest
    bool reported;  // the sink was told of an error
    struct pending *pending;
    struct loop_timer *timer;      // the rest
    struct loop_timer *good_timer; // a quiet watch turns out well
    char *version;                 // to watch from
    char *continue_token;
    unsigned failures; // in a row
    unsigned resumes;  // failed watches in a row from the same version
    unsigned expired;  // lists or watches in a row that ended with "gone"
};

static void start_list(struct kube_reflector *r);
static void start_watch(struct kube_reflector *r);

// ---- The gate ----

static void gate_enter(struct kube_reflector *r) {
    struct kube_gate *gate = r->gate;
    r->phase = PHASE_QUEUED;
    if (gate->running < gate->max) {
        gate->running++;
        start_list(r);
        return;
    }
    r->gate_next = NULL;
    if (gate->last) {
        gate->last->gate_next = r;
    } else {
        gate->first = r;
    }
    gate->last = r;
}

static void gate_leave(struct kube_gate *gate) {
    gate->running--;
    struct kube_reflector *next = gate->first;
    if (next && gate->running < gate->max) {
        gate->first = next->gate_next;
        gate->last = gate->first ? gate->last : NULL;
        gate->running++;
        start_list(next);
    }
}

static void gate_forget(struct kube_reflector *r) {
    struct kube_reflector **link = &r->gate->first, *before = NULL;
    while (*link && *link != r) {
        before = *link;
        link = &(*link)->gate_next;
    }
    if (*link) {
        *link = r->gate_next;
        r->gate->last = r->gate->last == r ? before : r->gate->last;
    }
}

// ---- States ----

static void say(const struct kube_reflector *r, enum log_level level, const char *message,
                const char *error) {
    if (log_enabled(MODULE, level)) {
        AUTO(arena_destroy) struct arena *arena = arena_create();
        char *resource = arena_cstr(arena, kube_gvr_text(arena, &r->gvr));
        char *server = arena_cstr(arena, r->client->server);
        log_write(MODULE, level, message, "server", server, "resource", resource, "error", error,
                  NULL);
    }
}

static void report(struct kube_reflector *r, const struct err *error) {
    if (!r->reported) {
        say(r, LOG_WARN, "cannot follow a kind", error->message);
    }
    r->reported = true;
    r->sink.state(r->ctx, error);
}

static void is_well(struct kube_reflector *r) {
    r->failures = 0;
    r->resumes = 0;
    if (r->reported) {
        r->reported = false;
        r->sink.state(r->ctx, NULL);
    }
}

static int64_t backoff_up_to(struct kube_reflector *r, unsigned failures, int64_t longest_ns) {
    int64_t delay = first_delay_ns;
    for (unsigned i = 1; i < failures && delay < longest_ns; i++) {
        delay *= 2;
    }
    delay = delay < longest_ns ? delay : longest_ns;
    return delay / 2 + (int64_t)loop_random_below(r->loop, (uint64_t)delay);
}

static int64_t backoff(struct kube_reflector *r, unsigned failures) {
    return backoff_up_to(r, failures, longest_delay_ns);
}

static void rest(struct kube_reflector *r, int64_t delay_ns, bool list_next) {
    r->phase = PHASE_REST;
    r->list_next = list_next;
    loop_timer_stop(r->good_timer);
    loop_timer_start(r->timer, delay_ns);
}

static void rested(void *ctx) {
    struct kube_reflector *r = ctx;
    if (r->list_next) {
        gate_enter(r);
    } else {
        start_watch(r);
    }
}

static bool is_refusal(const struct err *error) {
    return error->code == ERR_FORBIDDEN || error->code == ERR_NOT_FOUND ||
           error->code == ERR_UNSUPPORTED;
}

static struct pending *begin(struct kube_reflector *r) {
    struct pending *pending = NEW(struct pending);
    pending->owner = r;
    r->pending = pending;
    return pending;
}

// Lets go of what is under way; its answer will find nobody.
static void abandon(struct kube_reflector *r) {
    struct pending *pending = TAKE(r->pending);
    if (pending) {
        pending->owner = NULL;
        r->client->ops->cancel(r->client, pending->id);
    }
}

static void set_version(struct kube_reflector *r, struct str version) {
    if (version.n && !str_eq_c(version, r->version ? r->version : "")) {
        free(r->version);
        r->version = xstrdup(version);
    }
}

// ---- Listing ----

static void list_failed(struct kube_reflector *r, const struct err *error, int64_t retry_after) {
    r->failures++;
    int64_t delay = backoff(r, r->failures);
    if (error->code == ERR_GONE) {
        // The pages took longer than the server keeps history: once at once, then with patience.
        r->expired++;
        delay = r->expired <= 1 ? 0 : backoff(r, r->expired);
    } else if (is_refusal(error)) {
        delay = backoff_up_to(r, r->failures, refused_delay_ns);
        if (error->code == ERR_NOT_FOUND) {
            r->sink.lost(r->ctx);
        }
    }
    delay = delay > retry_after ? delay : retry_after;
    rest(r, delay, true);
    if (error->code != ERR_GONE || r->expired > FAILURES_BEFORE_REPORT) {
        report(r, error);
    }
}

static bool is_plain_word(struct str s) { // needs no JSON escape
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '"' || c == '\\' || c >= 0x7f) {
            return false;
        }
    }
    return s.n <= LIMIT_NAME * 2;
}

static bool take_page(struct kube_reflector *r, const struct kube_reply *reply,
                      struct kube_list_head *head, struct arena *arena, struct err *err) {
    if (!kube_scan_list(reply->body, arena, head, err)) {
        return false;
    }
    struct str kind = head->kind, version = head->api_version;
    if (str_ends(kind, STR("List")) && is_plain_word(kind) && is_plain_word(version)) {
        kind = str_first(kind, kind.n - 4);
    } else {
        kind = version = (struct str){NULL, 0};
    }
    kind = str_eq(head->kind, STR("List")) ? (struct str){NULL, 0} : kind;
    size_t at = 0;
    struct str text;
    while (kube_scan_item(head->items, &at, &text)) {
        struct kube_scan item;
        if (!kube_scan_object(text, arena, &item, err)) {
            return err_wrap(err, "an item of the list");
        }
        if (item.name.n == 0) {
            return err_set(err, ERR_INVALID, "an item of the list has no metadata.name");
        }
        r->sink.list_item(r->ctx, &item, kind, version, NULL);
    }
    return true;
}

static void list_done(struct kube_reflector *r) {
    free(TAKE(r->continue_token));
    r->sink.list_end(r->ctx, str_from(r->version));
    r->reported = true; // is_well tells the sink, always after a list
    is_well(r);
}

static void request_page(struct kube_reflector *r);

static void on_page(void *ctx, const struct kube_reply *reply) {
    struct pending *pending = ctx;
    struct kube_reflector *r = pending->owner;
    free(pending);
    if (!r) {
        return;
    }
    r->pending = NULL;
    struct err err = {0};
    struct kube_list_head head = {0};
    AUTO(arena_destroy) struct arena *arena = arena_create();
    if (reply->error) {
        err = *reply->error;
    } else if (!take_page(r, reply, &head, arena, &err)) {
        err_wrap(&err, "the list of %.*s", STR_ARG(r->gvr.resource));
    }
    if (err.code != ERR_NONE) {
        free(TAKE(r->continue_token));
        r->phase = PHASE_REST;
        gate_leave(r->gate);
        list_failed(r, &err, reply->retry_after_ns);
        return;
    }
    set_version(r, head.resource_version);
    free(TAKE(r->continue_token));
    if (head.continue_token.n) {
        r->continue_token = xstrdup(head.continue_token);
        request_page(r);
        return;
    }
    list_done(r);
    gate_leave(r->gate);
    start_watch(r);
}

static void request_page(struct kube_reflector *r) {
    struct kube_request request = {
        .verb = KUBE_LIST,
        .gvr = r->gvr,
        .ns = r->ns,
        .label_selector = r->selector,
        .limit = LIMIT_LIST_PAGE,
        .continue_token = str_from(r->continue_token),
        .grace_seconds = -1,
    };
    struct pending *pending = begin(r);
    pending->id = r->client->ops->call(r->client, &request, on_page, pending);
}

static void start_list(struct kube_reflector *r) {
    r->phase = PHASE_LIST;
    free(TAKE(r->version));
    free(TAKE(r->continue_token));
    r->sink.list_begin(r->ctx);
    request_page(r);
}

// ---- Watching ----

static void list_again(struct kube_reflector *r, const struct err *why) {
    r->expired++;
    say(r, LOG_DEBUG, "lists again", why->message);
    int64_t spread = (int64_t)loop_random_below(r->loop, 100 * NS_PER_MS);
    rest(r, r->expired <= 1 ? spread : backoff(r, r->expired - 1), true);
}

static void watch_failed(struct kube_reflector *r, const struct err *error) {
    r->failures++;
    if (error->code == ERR_GONE) {
        list_again(r, error);
        return;
    }
    r->resumes++;
    bool refused = is_refusal(error) || error->code == ERR_INVALID;
    if (refused || r->resumes >= RESUMES_BEFORE_LIST) {
        r->resumes = 0;
        rest(r, backoff(r, r->failures), true); // the list tells what is wrong
    } else {
        rest(r, backoff(r, r->failures), false);
    }
    if (r->failures >= FAILURES_BEFORE_REPORT || error->code == ERR_UNAUTHORIZED) {
        report(r, error);
    }
}

static void on_error_event(struct kube_reflector *r, struct str object) {
    struct err err = {0};
    kube_status_error(200, object, &err, NULL);
    abandon(r);
    watch_failed(r, &err);
}

static void watch_is_good(void *ctx) {
    struct kube_reflector *r = ctx;
    r->expired = 0;
    is_well(r);
}

static void on_event(void *ctx, enum kube_event event, struct str object, struct blob *blob) {
    struct kube_reflector *r = ((struct pending *)ctx)->owner;
    if (!r) {
        return;
    }
    if (event == KUBE_ERROR) {
        on_error_event(r, object);
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_scan scan;
    struct err err = {0};
    bool ok = kube_scan_object(object, arena, &scan, &err);
    if (ok && event != KUBE_BOOKMARK && scan.name.n == 0) {
        ok = err_set(&err, ERR_INVALID, "an object without metadata.name");
    }
    if (!ok) {
        err_wrap(&err, "an event of the watch of %.*s", STR_ARG(r->gvr.resource));
        abandon(r);
        watch_failed(r, &err);
        return;
    }
    loop_timer_stop(r->good_timer);
    watch_is_good(r);
    set_version(r, scan.resource_version);
    r->sink.event(r->ctx, event, &scan, blob);
}

static void on_end(void *ctx, const struct err *error) {
    struct pending *pending = ctx;
    struct kube_reflector *r = pending->owner;
    free(pending);
    if (!r) {
        return;
    }
    r->pending = NULL;
    if (error) {
        watch_failed(r, error);
    } else if (loop_timer_is_active(r->good_timer)) {
        // An end right after the start: not in a tight circle.
        struct err err = {0};
        err_set(&err, ERR_UNAVAILABLE, "the server ended the watch at once");
        watch_failed(r, &err);
    } else {
        rest(r, (int64_t)loop_random_below(r->loop, 100 * NS_PER_MS), false);
    }
}

static void start_watch(struct kube_reflector *r) {
    r->phase = PHASE_WATCH;
    struct kube_watch_request request = {
        .gvr = r->gvr,
        .ns = r->ns,
        .label_selector = r->selector,
        .resource_version = str_from(r->version),
    };
    struct pending *pending = begin(r);
    struct kube_watch_handler handler = {.on_event = on_event, .on_end = on_end, .ctx = pending};
    pending->id = r->client->ops->watch(r->client, &request, &handler);
    loop_timer_start(r->good_timer, good_watch_ns);
}

// ---- Life ----

struct kube_reflector *kube_reflector_create(struct loop *loop, struct kube_client *client,
                                             struct kube_gate *gate, const struct kube_gvr *gvr,
                                             struct str ns, struct str label_selector,
                                             const struct kube_reflector_sink *sink, void *ctx) {
    struct kube_reflector *r = NEW(struct kube_reflector);
    r->loop = loop;
    r->client = client;
    r->gate = gate;
    r->arena = arena_create();
    r->gvr = (struct kube_gvr){arena_dup(r->arena, gvr->group), arena_dup(r->arena, gvr->version),
                               arena_dup(r->arena, gvr->resource)};
    r->ns = arena_dup(r->arena, ns);
    r->selector = arena_dup(r->arena, label_selector);
    r->sink = *sink;
    r->ctx = ctx;
    r->timer = loop_timer_create(loop, rested, r);
    r->good_timer = loop_timer_create(loop, watch_is_good, r);
    rest(r, 0, true);
    return r;
}

void kube_reflector_destroy(struct kube_reflector *r) {
    if (!r) {
        return;
    }
    abandon(r);
    if (r->phase == PHASE_QUEUED) {
        gate_forget(r);
    } else if (r->phase == PHASE_LIST) {
        gate_leave(r->gate);
    }
    loop_timer_destroy(r->timer);
    loop_timer_destroy(r->good_timer);
    free(r->version);
    free(r->continue_token);
    arena_destroy(r->arena);
    free(r);
}
