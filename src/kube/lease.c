// SPDX-License-Identifier: Apache-2.0
// The decisions of an election, without clock or network, and the fence. Two rules make it safe: a write of the Lease carries
// the version it was decided on, so of two candidates one wins; and a leader's time is counted from when it sent its last
// renewal, a follower's from when it saw it, so the leader's always ends first, by the difference of duration and deadline.
// Clocks of two machines are never compared.
#include "kube/lease.h"

#include "base/timefmt.h"

const struct lease_times lease_times_standard = {
    .duration_ns = 15 * NS_PER_SECOND,
    .deadline_ns = 10 * NS_PER_SECOND,
    .retry_ns = 2 * NS_PER_SECOND,
};

// ---- The fence ----

static bool is_before(const struct loop *loop, int64_t until_ns, int64_t until_wall_ns) {
    struct loop *clock = (struct loop *)(uintptr_t)loop;
    return loop_now(clock) < until_ns && loop_wall(clock) < until_wall_ns;
}

bool kube_fence_is_open(const struct kube_fence *fence) {
    return fence->is_open && is_before(fence->loop, fence->until_ns, fence->until_wall_ns);
}

bool kube_fence_enter(struct kube_fence *fence, int64_t *left_ns, struct err *err) {
    if (!kube_fence_is_open(fence)) {
        return err_set(err, ERR_CANCELLED, "this process does not lead: nothing is written");
    }
    *left_ns = fence->until_ns - loop_now(fence->loop);
    fence->writes++;
    return true;
}

void kube_fence_leave(struct kube_fence *fence) {
    CHECK(fence->writes > 0);
    fence->writes--;
}

// ---- The record ----

static void take_text(char *out, size_t max, struct str text) {
    size_t n = text.n < max ? text.n : max;
    memcpy(out, text.p ? text.p : "", n);
    out[n] = '\0';
}

bool lease_record_parse(struct str object, struct arena *arena, struct lease_record *out,
                        struct err *err) {
    struct doc_value root;
    if (!doc_parse_json(object, arena, &root, err)) {
        return err_wrap(err, "the Lease");
    }
    struct str version = doc_get_str(&root, "metadata", "resourceVersion");
    if (!str_eq(doc_get_str(&root, "kind"), STR("Lease")) || version.n == 0 ||
        version.n > LEASE_VERSION_MAX) {
        return err_set(err, ERR_INVALID, "the answer is no Lease");
    }
    const struct doc_value *spec = doc_get(&root, "spec");
    int64_t seconds = doc_int(doc_get(spec, "leaseDurationSeconds"), 0);
    struct lease_record record = {
        .exists = true,
        .duration_ns = (seconds > 0 && seconds < 1 << 30 ? seconds : 0) * NS_PER_SECOND,
        .transitions = doc_int(doc_get(spec, "leaseTransitions"), 0),
    };
    take_text(record.holder, LEASE_IDENTITY_MAX, doc_get_str(spec, "holderIdentity"));
    take_text(record.acquired, LEASE_TIME_MAX, doc_get_str(spec, "acquireTime"));
    take_text(record.renewed, LEASE_TIME_MAX, doc_get_str(spec, "renewTime"));
    take_text(record.address, LEASE_ADDRESS_MAX,
              doc_get_str(&root, "metadata", "annotations", LEASE_ADDRESS));
    take_text(record.version, LEASE_VERSION_MAX, version);
    *out = record;
    return true;
}

// Did its holder give a sign of life between the two? Labels and the like are none.
static bool is_same_spec(const struct lease_record *a, const struct lease_record *b) {
    return a->exists == b->exists && a->duration_ns == b->duration_ns &&
           a->transitions == b->transitions && strcmp(a->holder, b->holder) == 0 &&
           strcmp(a->acquired, b->acquired) == 0 && strcmp(a->renewed, b->renewed) == 0;
}

// ---- The machine ----

void lease_machine_init(struct lease_machine *m, const struct lease_times *times,
                        struct str identity) {
    *m = (struct lease_machine){.times = times->duration_ns ? *times : lease_times_standard};
    take_text(m->identity, LEASE_IDENTITY_MAX, identity);
}

static bool is_ours(const struct lease_machine *m) {
    return strcmp(m->seen.holder, m->identity) == 0;
}

void lease_observe(struct lease_machine *m, const struct lease_record *record, int64_t now_ns) {
    m->is_known = true;
    if (!record->exists) {
        // Somebody removed it. Its holder may not know yet: what we know of it stays in force.
        m->seen.exists = false;
        m->seen.version[0] = '\0';
        return;
    }
    if (is_same_spec(&m->seen, record)) {
        memcpy(m->seen.version, record->version, sizeof m->seen.version);
        memcpy(m->seen.address, record->address, sizeof m->seen.address);
        return;
    }
    m->seen = *record;
    m->seen_ns = now_ns;
    if (!is_ours(m)) {
        m->is_leading = false;
    }
}

bool lease_check(struct lease_machine *m, struct lease_clock now) {
    if (m->is_leading && (now.now_ns >= m->until.now_ns || now.wall_ns >= m->until.wall_ns)) {
        m->is_leading = false;
    }
    return m->is_leading;
}

enum lease_step lease_decide(const struct lease_machine *m, int64_t now_ns, int64_t *wait_ns) {
    if (now_ns < m->not_before_ns) {
        *wait_ns = m->not_before_ns - now_ns;
        return LEASE_WAIT;
    }
    if (!m->is_known) {
        return LEASE_READ;
    }
    int64_t end_ns = m->seen_ns + m->seen.duration_ns;
    if (m->seen.holder[0] && !is_ours(m) && now_ns < end_ns) {
        *wait_ns = end_ns - now_ns;
        return LEASE_WAIT;
    }
    return LEASE_WRITE;
}

static struct doc_value text_or_null(const char *text) {
    return text[0] ? doc_make_str(str_from(text)) : doc_null();
}

struct str lease_body(const struct lease_machine *m, struct str name, bool release, int64_t wall_ns,
                      struct arena *arena) {
    bool stays = m->seen.exists && is_ours(m);
    int64_t transitions = m->seen.exists ? m->seen.transitions + (stays ? 0 : 1) : 0;
    int64_t seconds = release ? 1 : m->times.duration_ns / NS_PER_SECOND;
    struct doc_value now = doc_make_str(time_format_micro(arena, wall_ns));
    struct doc_object metadata = doc_object_start(arena), spec = doc_object_start(arena),
                      out = doc_object_start(arena);
    if (m->address[0]) {
        struct doc_object annotations = doc_object_start(arena);
        doc_object_set_c(&annotations, LEASE_ADDRESS,
                         release ? doc_null() : doc_make_str(str_from(m->address)));
        doc_object_set_c(&metadata, "annotations", doc_object_done(&annotations));
    }
    doc_object_set_c(&metadata, "name", doc_make_str(name));
    if (m->seen.exists) {
        doc_object_set_c(&metadata, "resourceVersion", text_or_null(m->seen.version));
    }
    doc_object_set_c(&spec, "acquireTime",
                     stays && !release && m->seen.acquired[0] ? text_or_null(m->seen.acquired)
                                                              : now);
    doc_object_set_c(&spec, "holderIdentity",
                     release ? DOC_S("") : doc_make_str(str_from(m->identity)));
    doc_object_set_c(&spec, "leaseDurationSeconds", doc_make_int(seconds));
    doc_object_set_c(&spec, "leaseTransitions", doc_make_int(transitions));
    doc_object_set_c(&spec, "renewTime", now);
    doc_object_set_c(&out, "apiVersion", DOC_S("coordination.k8s.io/v1"));
    doc_object_set_c(&out, "kind", DOC_S("Lease"));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "spec", doc_object_done(&spec));
    struct doc_value root = doc_object_done(&out);
    return doc_to_json(arena, &root);
}

void lease_wrote(struct lease_machine *m, const struct lease_record *record,
                 struct lease_clock sent) {
    m->is_known = true;
    m->seen = *record;
    m->seen_ns = sent.now_ns;
    m->surprises = 0;
    m->is_leading = is_ours(m);
    m->until = (struct lease_clock){sent.now_ns + m->times.deadline_ns,
                                    sent.wall_ns + m->times.deadline_ns};
    m->not_before_ns = sent.now_ns + m->times.retry_ns;
}

void lease_failed(struct lease_machine *m, int status, int64_t now_ns, int64_t pause_ns) {
    bool surprise = status == 409 || status == 404;
    if (surprise) {
        m->is_known = false; // it is not what we thought: look at once, the first time
        m->surprises++;
    }
    m->not_before_ns = surprise && m->surprises == 1 ? now_ns : now_ns + pause_ns;
}
