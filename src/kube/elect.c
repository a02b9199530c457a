// SPDX-License-Identifier: Apache-2.0
// A candidate for a Lease: carries out what the machine of lease.c decides. One request at a time; while somebody else leads
// a watch shows each renewal and the end, so that a Lease given up is taken at once and a dead holder's as soon as it may be.
#include <unistd.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "kube/internal.h"
#include "kube/lease.h"

#define MODULE "lease"

enum { DRAIN_MS = 20 };
static const int64_t drain_ns =
    3 * NS_PER_SECOND; // for writes under way when the Lease is given up
static const int64_t longest_pause_ns = 30 * NS_PER_SECOND;
static const struct kube_gvr gvr_leases = {STR_INIT("coordination.k8s.io"), STR_INIT("v1"),
                                           STR_INIT("leases")};
static const struct kube_gvr gvr_events = {STR_INIT(""), STR_INIT("v1"), STR_INIT("events")};

// What an answer finds: nobody, when it was waited for no longer.
struct pending {
    struct kube_lease *owner;
    uint64_t id;
    enum lease_step step;
    struct lease_clock sent;
};

struct kube_lease {
    struct kube_lease_options options;
    struct loop *loop;
    struct kube_client *client;
    struct arena *arena;
    struct str ns, name;
    struct lease_machine machine;
    struct kube_fence fence;
    struct pending *attempt, *watch;
    struct loop_timer *next_timer, *attempt_timer, *end_timer, *drain_timer;
    bool is_told;               // the owner was told that we lead
    bool was_known, is_waiting; // for another's end; said once
    enum err_code last_error;   // logged once
    struct metric *gauge;
    // giving up
    bool is_releasing;
    int64_t drain_until_ns;
    loop_fn *released;
    void *released_ctx;
};

static void think(void *ctx);

static struct lease_clock clock_of(const struct kube_lease *lease) {
    return (struct lease_clock){loop_now(lease->loop), loop_wall(lease->loop)};
}

static int64_t jitter(struct kube_lease *lease, int64_t ns) { // as client-go: up to 1.2 times more
    return ns + (int64_t)loop_random_below(lease->loop, (uint64_t)ns * 12 / 10 + 1);
}

// ---- Telling ----

static void event_written(void *ctx, const struct kube_reply *reply) {
    (void)ctx;
    if (reply->error) {
        LOG(LOG_DEBUG, MODULE, "the event was not written", "error", reply->error->message);
    }
}

static void write_event(struct kube_lease *lease, const char *what) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_object about = doc_object_start(arena), source = doc_object_start(arena),
                      metadata = doc_object_start(arena), out = doc_object_start(arena);
    struct doc_value time = doc_make_str(time_format(arena, loop_wall(lease->loop)));
    doc_object_set_c(&about, "apiVersion", DOC_S("coordination.k8s.io/v1"));
    doc_object_set_c(&about, "kind", DOC_S("Lease"));
    doc_object_set_c(&about, "name", doc_make_str(lease->name));
    doc_object_set_c(&about, "namespace", doc_make_str(lease->ns));
    doc_object_set_c(&source, "component", doc_make_str(lease->name));
    doc_object_set_c(
        &metadata, "name",
        doc_make_str(arena_printf(arena, "%.*s.%016llx", STR_ARG(str_first(lease->name, 200)),
                                  (unsigned long long)loop_random(lease->loop))));
    doc_object_set_c(&metadata, "namespace", doc_make_str(lease->ns));
    doc_object_set_c(&out, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&out, "count", doc_make_int(1));
    doc_object_set_c(&out, "firstTimestamp", time);
    doc_object_set_c(&out, "involvedObject", doc_object_done(&about));
    doc_object_set_c(&out, "kind", DOC_S("Event"));
    doc_object_set_c(&out, "lastTimestamp", time);
    doc_object_set_c(&out, "message",
                     doc_make_str(arena_printf(arena, "%s %s", lease->machine.identity, what)));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "reason", DOC_S("LeaderElection"));
    doc_object_set_c(&out, "source", doc_object_done(&source));
    doc_object_set_c(&out, "type", DOC_S("Normal"));
    struct doc_value event = doc_object_done(&out);
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = gvr_events,
                                   .ns = lease->ns,
                                   .body = doc_to_json(arena, &event),
                                   .grace_seconds = -1,
                                   .timeout_ns = 5 * NS_PER_SECOND};
    lease->client->ops->call(lease->client, &request, event_written, NULL);
}

static void set_gauge(struct kube_lease *lease, bool is_leading) {
    if (lease->gauge) {
        metric_set(lease->gauge, &lease->name, is_leading ? 1 : 0);
    }
}

// Brings the fence, and then the owner, in step with the machine.
static void tell(struct kube_lease *lease) {
    struct lease_machine *m = &lease->machine;
    bool leads = lease_check(m, clock_of(lease));
    lease->fence.is_open = leads && !lease->is_releasing;
    lease->fence.until_ns = m->until.now_ns;
    lease->fence.until_wall_ns = m->until.wall_ns;
    if (leads) {
        loop_timer_start(lease->end_timer, m->until.now_ns - loop_now(lease->loop));
    } else {
        loop_timer_stop(lease->end_timer);
    }
    if (leads == lease->is_told) {
        return;
    }
    lease->is_told = leads;
    set_gauge(lease, leads);
    if (lease->is_releasing) {
        return;
    }
    LOG(leads ? LOG_INFO : LOG_WARN, MODULE, leads ? "this process leads" : "leadership is lost",
        "lease", lease->name.p, "identity", m->identity, "holder", m->seen.holder);
    if (leads) {
        write_event(lease, "became leader");
    }
    lease->options.on_change(lease->options.ctx, leads);
}

static void ended(void *ctx) { // the time of a leader that could not renew is over
    struct kube_lease *lease = ctx;
    tell(lease);
}

static void note_error(struct kube_lease *lease, const struct err *error) {
    if (error->code != lease->last_error) {
        LOG(LOG_WARN, MODULE, "the Lease cannot be read or written", "lease", lease->name.p,
            "error", error->message);
    }
    lease->last_error = error->code;
}

// ---- Asking ----

static struct pending *begin(struct kube_lease *lease, enum lease_step step) {
    struct pending *pending = NEW(struct pending);
    *pending = (struct pending){.owner = lease, .step = step, .sent = clock_of(lease)};
    return pending;
}

static void abandon(struct kube_lease *lease, struct pending **slot) {
    struct pending *pending = TAKE(*slot);
    if (pending) {
        pending->owner = NULL;
        lease->client->ops->cancel(lease->client, pending->id);
    }
}

static void failed(struct kube_lease *lease, int status, const struct err *error,
                   int64_t retry_after) {
    struct lease_machine *m = &lease->machine;
    // A leader has little time; the others have much.
    int64_t pause = m->is_leading ? m->times.retry_ns / 4 : jitter(lease, m->times.retry_ns);
    int64_t asked = retry_after < longest_pause_ns ? retry_after : longest_pause_ns;
    lease_failed(m, status, loop_now(lease->loop), pause > asked ? pause : asked);
    if ((status != 409 && status != 404) || m->surprises > 1) {
        note_error(lease, error);
    }
}

static void take_read(struct kube_lease *lease, const struct pending *pending,
                      const struct kube_reply *reply) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct lease_record record = {0};
    struct err err = {0};
    bool missing = reply->error && reply->status == 404;
    if (reply->error && !missing) {
        failed(lease, reply->status, reply->error, reply->retry_after_ns);
    } else if (!missing && !lease_record_parse(reply->body, arena, &record, &err)) {
        failed(lease, 0, &err, 0);
    } else if (pending->step == LEASE_WRITE) {
        lease->last_error = ERR_NONE;
        lease_wrote(&lease->machine, &record, pending->sent);
    } else {
        lease->last_error = ERR_NONE;
        lease_observe(&lease->machine, &record, loop_now(lease->loop));
    }
}

static void answered(void *ctx, const struct kube_reply *reply) {
    struct pending *pending = ctx;
    struct kube_lease *lease = pending->owner;
    if (lease) {
        lease->attempt = NULL;
        loop_timer_stop(lease->attempt_timer);
        if (pending->step == LEASE_WRITE && reply->error) {
            failed(lease, reply->status, reply->error, reply->retry_after_ns);
        } else {
            take_read(lease, pending, reply);
        }
        lease->was_known = lease->was_known || lease->machine.is_known;
        think(lease);
    }
    free(pending);
}

// No answer in time. A write may have happened: it carried a version, so what comes next finds out.
static void attempt_is_late(void *ctx) {
    struct kube_lease *lease = ctx;
    struct err err = {0};
    err_set(&err, ERR_TIMEOUT, "no answer in time");
    abandon(lease, &lease->attempt);
    failed(lease, 0, &err, 0);
    think(lease);
}

static int64_t attempt_time(const struct kube_lease *lease) {
    return lease->machine.times.deadline_ns * 3 / 10; // three fit into a leader's time
}

static void send(struct kube_lease *lease, enum lease_step step) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    bool exists = lease->machine.seen.exists;
    bool write = step == LEASE_WRITE;
    struct kube_request request = {
        .verb = !write   ? KUBE_GET
                : exists ? KUBE_PATCH
                         : KUBE_CREATE,
        .gvr = gvr_leases,
        .ns = lease->ns,
        .name = write && !exists ? (struct str){NULL, 0} : lease->name,
        .patch = KUBE_PATCH_MERGE,
        .grace_seconds = -1,
        .timeout_ns = attempt_time(lease),
    };
    if (write) {
        request.body = lease_body(&lease->machine, lease->name, lease->is_releasing,
                                  loop_wall(lease->loop), arena);
    }
    lease->attempt = begin(lease, step);
    loop_timer_start(lease->attempt_timer, attempt_time(lease));
    lease->attempt->id =
        lease->client->ops->call(lease->client, &request, answered, lease->attempt);
}

// ---- Watching who leads ----

static void on_event(void *ctx, enum kube_event event, struct str object, struct blob *blob) {
    (void)blob;
    struct kube_lease *lease = ((struct pending *)ctx)->owner;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct lease_record record = {0};
    if (!lease || event == KUBE_BOOKMARK) {
        return;
    }
    if (event == KUBE_ERROR ||
        (event != KUBE_DELETED && !lease_record_parse(object, arena, &record, NULL))) {
        abandon(lease, &lease->watch);
        lease->machine.is_known = false;
    } else {
        lease_observe(&lease->machine, &record, loop_now(lease->loop));
    }
    think(lease);
}

static void on_end(void *ctx, const struct err *error) {
    struct pending *pending = ctx;
    struct kube_lease *lease = pending->owner;
    free(pending);
    if (lease) {
        if (error) {
            LOG(LOG_DEBUG, MODULE, "the watch of the Lease ended", "error", error->message);
        }
        lease->watch = NULL;
        lease->machine.is_known = false; // read again, after a pause
        lease->machine.not_before_ns =
            loop_now(lease->loop) + jitter(lease, lease->machine.times.retry_ns);
        think(lease);
    }
}

static void start_watch(struct kube_lease *lease) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_watch_request request = {
        .gvr = gvr_leases,
        .ns = lease->ns,
        .field_selector = arena_printf(arena, "metadata.name=%.*s", STR_ARG(lease->name)),
        .resource_version = str_from(lease->machine.seen.version),
    };
    lease->watch = begin(lease, LEASE_READ);
    struct kube_watch_handler handler = {on_event, on_end, lease->watch};
    lease->watch->id = lease->client->ops->watch(lease->client, &request, &handler);
}

// ---- The next step ----

static void think(void *ctx) {
    struct kube_lease *lease = ctx;
    struct lease_machine *m = &lease->machine;
    tell(lease);
    if (lease->attempt || lease->is_releasing) {
        return;
    }
    int64_t wait = 0;
    enum lease_step step = lease_decide(m, loop_now(lease->loop), &wait);
    if (m->is_leading) {
        abandon(lease, &lease->watch);
    } else if (m->is_known && m->seen.exists && !lease->watch) {
        start_watch(lease);
    }
    bool waits = m->is_known && !m->is_leading && step == LEASE_WAIT;
    if (waits && !lease->is_waiting) {
        LOG(LOG_INFO, MODULE, "another process leads", "lease", lease->name.p, "identity",
            m->identity, "holder", m->seen.holder);
    }
    lease->is_waiting = lease->is_waiting ? !m->is_leading : waits;
    if (step == LEASE_WAIT) {
        loop_timer_start(lease->next_timer, wait);
    } else {
        loop_timer_stop(lease->next_timer);
        send(lease, step);
    }
}

// ---- Giving up ----

static void is_released(struct kube_lease *lease) {
    loop_fn *done = lease->released;
    lease->released = NULL;
    lease->machine.is_leading = false;
    tell(lease);
    if (done) {
        done(lease->released_ctx);
    }
}

static void release_answered(void *ctx, const struct kube_reply *reply) {
    struct pending *pending = ctx;
    struct kube_lease *lease = pending->owner;
    free(pending);
    if (lease) {
        lease->attempt = NULL;
        if (reply->error) {
            LOG(LOG_WARN, MODULE, "the Lease was not given up", "error", reply->error->message);
        } else {
            LOG(LOG_INFO, MODULE, "the Lease is given up", "lease", lease->name.p);
        }
        is_released(lease);
    }
}

static void drain(void *ctx) {
    struct kube_lease *lease = ctx;
    bool leads = lease_check(&lease->machine, clock_of(lease));
    bool drained = lease->fence.writes == 0 && !lease->attempt;
    if (leads && !drained && loop_now(lease->loop) < lease->drain_until_ns) {
        loop_timer_start(lease->drain_timer, DRAIN_MS * NS_PER_MS);
        return;
    }
    // With a write under way that may still happen the Lease runs out by itself: the next leader waits for that.
    if (!leads || !drained || !lease->machine.seen.exists) {
        is_released(lease);
        return;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    write_event(lease, "stopped leading");
    struct kube_request request = {
        .verb = KUBE_PATCH,
        .gvr = gvr_leases,
        .ns = lease->ns,
        .name = lease->name,
        .patch = KUBE_PATCH_MERGE,
        .body = lease_body(&lease->machine, lease->name, true, loop_wall(lease->loop), arena),
        .grace_seconds = -1,
        .timeout_ns = attempt_time(lease),
    };
    lease->attempt = begin(lease, LEASE_WRITE);
    lease->attempt->id =
        lease->client->ops->call(lease->client, &request, release_answered, lease->attempt);
}

void kube_lease_release(struct kube_lease *lease, loop_fn *done, void *ctx) {
    if (lease->is_releasing) {
        return;
    }
    lease->is_releasing = true;
    lease->fence.is_open = false;
    lease->released = done;
    lease->released_ctx = ctx;
    abandon(lease, &lease->watch);
    loop_timer_stop(lease->next_timer); // a renewal under way is waited for: it changes the version
    lease->drain_until_ns = loop_now(lease->loop) + drain_ns;
    loop_timer_start(lease->drain_timer, 0);
}

// ---- Life ----

struct str kube_lease_identity(struct loop *loop, struct arena *arena) {
    char host[64] = "";
    unsigned char b[16];
    if (gethostname(host, sizeof host - 1) != 0 || !host[0]) {
        memcpy(host, "localhost", sizeof "localhost");
    }
    loop_random_bytes(loop, b, sizeof b);
    return arena_printf(arena,
                        "%s_%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        host, b[0], b[1], b[2], b[3], b[4], b[5], (b[6] & 0x0f) | 0x40, b[7],
                        (b[8] & 0x3f) | 0x80, b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

struct kube_lease *kube_lease_create(const struct kube_lease_options *options) {
    static const char *const labels[] = {"name", NULL};
    struct kube_lease *lease = NEW(struct kube_lease);
    lease->options = *options;
    lease->loop = options->loop;
    lease->client = options->client;
    lease->arena = arena_create();
    lease->ns = arena_dup(lease->arena, options->ns);
    lease->name = arena_dup(lease->arena, options->name);
    lease_machine_init(&lease->machine, &options->times, options->identity);
    if (options->address.n <= LEASE_ADDRESS_MAX) {
        memcpy(lease->machine.address, options->address.p ? options->address.p : "",
               options->address.n);
    }
    lease->fence.loop = options->loop;
    lease->next_timer = loop_timer_create(lease->loop, think, lease);
    lease->attempt_timer = loop_timer_create(lease->loop, attempt_is_late, lease);
    lease->end_timer = loop_timer_create(lease->loop, ended, lease);
    lease->drain_timer = loop_timer_create(lease->loop, drain, lease);
    if (options->metrics) {
        lease->gauge = metrics_register(
            options->metrics, METRIC_GAUGE, "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease", labels, NULL);
        set_gauge(lease, false);
    }
    loop_timer_start(lease->next_timer, 0);
    return lease;
}

void kube_lease_destroy(struct kube_lease *lease) {
    if (!lease) {
        return;
    }
    abandon(lease, &lease->watch);
    abandon(lease, &lease->attempt);
    loop_timer_destroy(lease->next_timer);
    loop_timer_destroy(lease->attempt_timer);
    loop_timer_destroy(lease->end_timer);
    loop_timer_destroy(lease->drain_timer);
    arena_destroy(lease->arena);
    free(lease);
}

bool kube_lease_is_leading(const struct kube_lease *lease) {
    return lease->is_told && kube_fence_is_open(&lease->fence);
}

bool kube_lease_is_known(const struct kube_lease *lease) {
    return lease->was_known;
}

struct str kube_lease_leader_address(const struct kube_lease *lease) {
    const struct lease_machine *m = &lease->machine;
    bool other = !m->is_leading && m->seen.exists && m->seen.holder[0] &&
                 strcmp(m->seen.holder, m->identity) != 0;
    return other ? str_from(m->seen.address) : (struct str){NULL, 0};
}

struct kube_fence *kube_lease_fence(struct kube_lease *lease) {
    return &lease->fence;
}
