// SPDX-License-Identifier: Apache-2.0
// The simulated scheduler: which node may take a pod, and why none does. It looks at node names and labels (nodeSelector,
// node affinity), taints and what the nodes have room for; not at other pods (pod affinity, spreading).
#include "apiserver/workloads/plan.h"

#include "base/text.h"

// ---- What a pod asks for ----
static int64_t suffix_factor(struct str suffix, int64_t *divisor) {
    static const struct {
        const char *text;
        int64_t factor;
    } suffixes[] = {
        {"", 1},
        {"k", 1000},
        {"M", 1000 * 1000},
        {"G", 1000 * 1000 * 1000},
        {"T", INT64_C(1000000000000)},
        {"P", INT64_C(1000000000000000)},
        {"Ki", 1 << 10},
        {"Mi", 1 << 20},
        {"Gi", 1 << 30},
        {"Ti", INT64_C(1) << 40},
        {"Pi", INT64_C(1) << 50},
    };
    *divisor = str_eq_c(suffix, "m") ? 1000 : 1;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (str_eq_c(suffix, suffixes[i].text)) {
            return suffixes[i].factor;
        }
    }
    return 1;
}

int64_t wl_quantity(struct str text, int64_t scale) {
    size_t n = 0;
    while (n < text.n && ((text.p[n] >= '0' && text.p[n] <= '9') || text.p[n] == '.')) {
        n++;
    }
    int64_t divisor = 1;
    double number = 0, place = 0;
    for (size_t i = 0; i < n; i++) {
        if (text.p[i] == '.') {
            place = 1;
            continue;
        }
        number = number * 10 + (text.p[i] - '0');
        place *= 10;
    }
    double value = number / (place > 0 ? place : 1);
    value *= (double)suffix_factor(str_skip(text, n), &divisor) * (double)scale;
    value /= (double)divisor;
    return value > 9e18 ? INT64_MAX / 4 : (int64_t)(value + 0.999999);
}

static void add_requests(const struct doc_value *container, struct wl_room *sum) {
    const struct doc_value *requests = doc_get(container, "resources", "requests");
    for (DOC_EACH_MEMBER(requests, i)) {
        struct str name = doc_key_at(requests, i);
        struct str text = doc_str(doc_value_at(requests, i));
        if (str_eq_c(name, "cpu")) {
            sum->cpu += wl_quantity(text, 1000);
        } else if (str_eq_c(name, "memory")) {
            sum->memory += wl_quantity(text, 1);
        }
    }
}

struct wl_room wl_pod_requests(const struct doc_value *spec) {
    struct wl_room all = {.pods = 1}, init = {0};
    for (DOC_EACH_ITEM(doc_get(spec, "containers"), container)) {
        add_requests(container, &all);
    }
    for (DOC_EACH_ITEM(doc_get(spec, "initContainers"), container)) {
        struct wl_room one = {0};
        add_requests(container, &one);
        if (str_eq_c(doc_get_str(container, "restartPolicy"), "Always")) {
            all.cpu += one.cpu;
            all.memory += one.memory;
        } else {
            init.cpu = one.cpu > init.cpu ? one.cpu : init.cpu;
            init.memory = one.memory > init.memory ? one.memory : init.memory;
        }
    }
    all.cpu = init.cpu > all.cpu ? init.cpu : all.cpu;
    all.memory = init.memory > all.memory ? init.memory : all.memory;
    return all;
}

// ---- Labels and fields of nodes ----
static bool is_listed(const struct doc_value *values, struct str text) {
    for (DOC_EACH_ITEM(values, value)) {
        if (str_eq(doc_str(value), text)) {
            return true;
        }
    }
    return false;
}

static bool requirement_holds(const struct doc_value *requirement, const struct doc_value *label) {
    struct str operator= doc_get_str(requirement, "operator");
    const struct doc_value *values = doc_get(requirement, "values");
    if (str_eq_c(operator, "In")) {
        return label && is_listed(values, doc_str(label));
    }
    if (str_eq_c(operator, "NotIn")) {
        return !label || !is_listed(values, doc_str(label));
    }
    if (str_eq_c(operator, "Exists") || str_eq_c(operator, "DoesNotExist")) {
        return (label != NULL) == str_eq_c(operator, "Exists");
    }
    int64_t has = 0, bound = 0;
    if (!label || !str_to_int64(doc_str(label), &has) ||
        !str_to_int64(doc_str(doc_at(values, 0)), &bound)) {
        return false;
    }
    return str_eq_c(operator, "Gt") ? has > bound : has < bound;
}

bool wl_selector_matches(const struct doc_value *selector, const struct doc_value *labels) {
    const struct doc_value *plain = doc_get(selector, "matchLabels");
    for (DOC_EACH_MEMBER(plain, i)) {
        const struct doc_value *label = doc_find(labels, doc_key_at(plain, i));
        if (!label || !str_eq(doc_str(label), doc_str(doc_value_at(plain, i)))) {
            return false;
        }
    }
    for (DOC_EACH_ITEM(doc_get(selector, "matchExpressions"), requirement)) {
        if (!requirement_holds(requirement, doc_find(labels, doc_get_str(requirement, "key")))) {
            return false;
        }
    }
    return true;
}

static bool term_holds(const struct wl_node *node, const struct doc_value *term) {
    const struct doc_value *labels = doc_get(term, "matchExpressions");
    const struct doc_value *fields = doc_get(term, "matchFields");
    struct doc_value name = doc_make_str(node->name);
    if (doc_len(labels) + doc_len(fields) == 0) {
        return false; // an empty term matches nothing
    }
    for (DOC_EACH_ITEM(labels, requirement)) {
        if (!requirement_holds(requirement,
                               doc_find(node->labels, doc_get_str(requirement, "key")))) {
            return false;
        }
    }
    for (DOC_EACH_ITEM(fields, requirement)) {
        if (!str_eq_c(doc_get_str(requirement, "key"), "metadata.name") ||
            !requirement_holds(requirement, &name)) {
            return false;
        }
    }
    return true;
}

static bool is_selected(const struct wl_node *node, const struct doc_value *spec) {
    const struct doc_value *selector = doc_get(spec, "nodeSelector");
    for (DOC_EACH_MEMBER(selector, i)) {
        const struct doc_value *label = doc_find(node->labels, doc_key_at(selector, i));
        if (!label || !str_eq(doc_str(label), doc_str(doc_value_at(selector, i)))) {
            return false;
        }
    }
    const struct doc_value *terms =
        doc_get(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution",
                "nodeSelectorTerms");
    bool any = doc_len(terms) == 0;
    for (DOC_EACH_ITEM(terms, term)) {
        any = any || term_holds(node, term);
    }
    return any;
}

static int64_t preference(const struct wl_node *node, const struct doc_value *spec) {
    int64_t weight = 0;
    const struct doc_value *wishes = doc_get(spec, "affinity", "nodeAffinity",
                                             "preferredDuringSchedulingIgnoredDuringExecution");
    for (DOC_EACH_ITEM(wishes, wish)) {
        if (term_holds(node, doc_get(wish, "preference"))) {
            weight += doc_int(doc_get(wish, "weight"), 0);
        }
    }
    return weight;
}

// ---- Taints ----
static bool tolerates(const struct doc_value *toleration, const struct doc_value *taint) {
    struct str effect = doc_get_str(toleration, "effect"), key = doc_get_str(toleration, "key");
    if (effect.n && !str_eq(effect, doc_get_str(taint, "effect"))) {
        return false;
    }
    if (key.n && !str_eq(key, doc_get_str(taint, "key"))) {
        return false;
    }
    return str_eq_c(doc_get_str(toleration, "operator"), "Exists") ||
           (key.n && str_eq(doc_get_str(toleration, "value"), doc_get_str(taint, "value")));
}

static const struct doc_value *toleration_of(const struct doc_value *spec,
                                             const struct doc_value *taint) {
    for (DOC_EACH_ITEM(doc_get(spec, "tolerations"), toleration)) {
        if (tolerates(toleration, taint)) {
            return toleration;
        }
    }
    return NULL;
}

static bool is_repelled(const struct wl_node *node, const struct doc_value *spec) {
    for (DOC_EACH_ITEM(node->taints, taint)) {
        struct str effect = doc_get_str(taint, "effect");
        if (!str_eq_c(effect, "PreferNoSchedule") && !toleration_of(spec, taint)) {
            return true;
        }
    }
    return false;
}

int64_t wl_evicted_after(const struct wl_node *node, const struct doc_value *spec) {
    int64_t shortest = -1;
    for (DOC_EACH_ITEM(node->taints, taint)) {
        if (!str_eq_c(doc_get_str(taint, "effect"), "NoExecute")) {
            continue;
        }
        const struct doc_value *toleration = toleration_of(spec, taint);
        if (!toleration) {
            return 0;
        }
        const struct doc_value *seconds = doc_get(toleration, "tolerationSeconds");
        if (doc_is(seconds, DOC_INT)) {
            int64_t ns = doc_int(seconds, 0) * NS_PER_SECOND;
            shortest = shortest < 0 || ns < shortest ? ns : shortest;
        }
    }
    return shortest;
}

// ---- Choosing ----
enum fit {
    FITS,
    UNSCHEDULABLE,
    REPELLED,
    NOT_SELECTED,
    NO_CPU,
    NO_MEMORY,
    TOO_MANY_PODS,
    FITS_COUNT
};

static bool tolerates_cordon(const struct doc_value *spec) {
    for (DOC_EACH_ITEM(doc_get(spec, "tolerations"), toleration)) {
        struct str key = doc_get_str(toleration, "key"), effect = doc_get_str(toleration, "effect");
        if (str_eq_c(doc_get_str(toleration, "operator"), "Exists") &&
            (!key.n || str_eq_c(key, "node.kubernetes.io/unschedulable")) &&
            (!effect.n || str_eq_c(effect, "NoSchedule"))) {
            return true;
        }
    }
    return false;
}

static enum fit constraints_of(const struct wl_node *node, const struct doc_value *spec) {
    if (node->unschedulable && !tolerates_cordon(spec)) {
        return UNSCHEDULABLE;
    }
    if (!is_selected(node, spec)) {
        return NOT_SELECTED;
    }
    return is_repelled(node, spec) ? REPELLED : FITS;
}

static enum fit room_for(const struct wl_node *node, const struct wl_room *want,
                         const struct wl_room *used) {
    return used->pods + want->pods > node->room.pods                         ? TOO_MANY_PODS
           : want->cpu && used->cpu + want->cpu > node->room.cpu             ? NO_CPU
           : want->memory && used->memory + want->memory > node->room.memory ? NO_MEMORY
                                                                             : FITS;
}

static enum fit fit_of(const struct wl_node *node, const struct doc_value *spec,
                       const struct wl_room *want) {
    static const struct wl_room nothing;
    enum fit fit = constraints_of(node, spec);
    return fit != FITS || !node->limited ? fit
                                         : room_for(node, want, node->used ? node->used : &nothing);
}

const struct wl_node *wl_node_for(const struct wl_world *world, const struct doc_value *pod_spec,
                                  uint64_t pick) {
    struct wl_room want = wl_pod_requests(pod_spec);
    const struct wl_node *best = NULL;
    int64_t best_weight = -1;
    bool choosy = doc_len(doc_get(pod_spec, "affinity", "nodeAffinity",
                                  "preferredDuringSchedulingIgnoredDuringExecution")) > 0;
    for (size_t i = 0; i < world->node_count; i++) {
        const struct wl_node *node = &world->nodes[(pick + i) % world->node_count];
        if (fit_of(node, pod_spec, &want) != FITS) {
            continue;
        }
        if (!choosy) {
            return node;
        }
        int64_t weight = preference(node, pod_spec);
        if (weight > best_weight) {
            best = node;
            best_weight = weight;
        }
    }
    return best;
}

bool wl_node_takes_daemon(const struct wl_node *node, const struct doc_value *pod_spec) {
    return constraints_of(node, pod_spec) == FITS;
}

// As the scheduler words it: in the order of the texts, counts included.
struct str wl_unschedulable(struct arena *arena, const struct wl_world *world,
                            const struct doc_value *spec) {
    static const struct {
        enum fit fit;
        const char *text;
    } reasons[] = {
        {NO_CPU, "Insufficient cpu"},
        {NO_MEMORY, "Insufficient memory"},
        {TOO_MANY_PODS, "Too many pods"},
        {REPELLED, "node(s) had untolerated taint(s)"},
        {UNSCHEDULABLE, "node(s) were unschedulable"},
        {NOT_SELECTED, "node(s) didn't match Pod's node affinity/selector"},
    };
    if (world->node_count == 0) {
        return STR("no nodes available to schedule pods");
    }
    static const struct wl_room nothing;
    struct wl_room want = wl_pod_requests(spec);
    size_t counts[FITS_COUNT] = {0}, full = 0;
    for (size_t i = 0; i < world->node_count; i++) {
        enum fit fit = fit_of(&world->nodes[i], spec, &want);
        counts[fit]++;
        full += fit >= NO_CPU && room_for(&world->nodes[i], &want, &nothing) == FITS;
    }
    struct str lines[ARRAY_LEN(reasons)], out;
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (!counts[reasons[i].fit]) {
            continue;
        }
        struct str line = arena_printf(arena, "%zu %s", counts[reasons[i].fit], reasons[i].text);
        size_t at = n++;
        for (; at > 0 && str_cmp(line, lines[at - 1]) < 0; at--) {
            lines[at] = lines[at - 1];
        }
        lines[at] = line;
    }
    out = arena_printf(arena, "0/%zu nodes are available:", world->node_count);
    for (size_t i = 0; i < n; i++) {
        out = arena_printf(arena, "%.*s%s %.*s", STR_ARG(out), i ? "," : "", STR_ARG(lines[i]));
    }
    out = arena_printf(arena,
                       "%.*s. no new claims to deallocate, preemption: 0/%zu nodes are available:",
                       STR_ARG(out), world->node_count);
    if (full) {
        out = arena_printf(arena, "%.*s %zu No preemption victims found for incoming pod",
                           STR_ARG(out), full);
    }
    if (full < world->node_count) {
        out = arena_printf(arena, "%.*s%s %zu Preemption is not helpful for scheduling",
                           STR_ARG(out), full ? "," : "", world->node_count - full);
    }
    return arena_concat(arena, out, STR("."));
}
