// SPDX-License-Identifier: Apache-2.0
// LimitRange: what containers ask for when they do not say, and between what they (and pods, and claims) may ask.
#include "apiserver/chain.h"

#include "base/buf.h"

static bool concerns(const struct chain_write *write) {
    return write->object && !write->subresource.n &&
           ((chain_is(write, "", "pods") && !write->old) ||
            chain_is(write, "", "persistentvolumeclaims"));
}

// The next LimitRange of the namespace, or NULL.
static const struct doc_value *next_range(const struct chain_write *write,
                                          struct api_cursor *cursor) {
    struct str prefix = arena_concat(write->op->arena, write->ns, STR("/"));
    for (struct api_entry *entry; (entry = api_cursor_next(cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            return NULL;
        }
        const struct doc_value *range =
            entry->deleted
                ? NULL
                : chain_find(write->op, write->chain->limits, write->ns, api_entry_name(entry));
        if (range && !doc_get(range, "metadata", "deletionTimestamp")) {
            return doc_get(range, "spec", "limits");
        }
    }
    return NULL;
}

static struct api_cursor first_range(const struct chain_write *write) {
    return api_cursor_at(write->chain->limits, arena_concat(write->op->arena, write->ns, STR("/")));
}

bool chain_has_limits(const struct chain_write *write) {
    if (!write->chain->limits->count || !concerns(write)) {
        return false;
    }
    struct api_cursor cursor = first_range(write);
    return next_range(write, &cursor) != NULL;
}

// ---- Defaults ----
static int compare_names(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void note(struct arena *arena, struct buf *out, struct str *names, size_t count,
                 const char *what, const char *kind, struct str container) {
    if (!count) {
        return;
    }
    qsort(names, count, sizeof *names, compare_names);
    buf_add_c(out, out->len ? "; " : "");
    for (size_t i = 0; i < count; i++) {
        buf_add_str(out, arena_printf(arena, "%s%.*s", i ? ", " : "", STR_ARG(names[i])));
    }
    buf_add_str(out, arena_printf(arena, " %s for %s %.*s", what, kind, STR_ARG(container)));
}

static struct doc_value fill_list(struct arena *arena, const struct doc_value *has,
                                  const struct doc_value *defaults, struct str *names,
                                  size_t *count) {
    struct doc_object out = doc_object_copy(arena, has);
    *count = 0;
    for (DOC_EACH_MEMBER(defaults, i)) {
        if (!doc_find(has, doc_key_at(defaults, i))) {
            names[(*count)++] = doc_key_at(defaults, i);
            doc_object_set(&out, doc_key_at(defaults, i), *doc_value_at(defaults, i));
        }
    }
    return doc_object_done(&out);
}

static struct doc_value fill_container(struct arena *arena, const struct doc_value *container,
                                       const struct doc_value *limit, const char *kind,
                                       struct buf *notes) {
    static const struct {
        const char *list, *from, *what;
    } parts[] = {{"requests", "defaultRequest", "request"}, {"limits", "default", "limit"}};
    struct doc_value out = *container;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const struct doc_value *defaults = doc_find(limit, str_from(parts[i].from));
        struct str *names = ARENA_ARRAY(arena, doc_len(defaults) + 1, struct str);
        size_t count;
        struct doc_value list = fill_list(arena, doc_get(container, "resources", parts[i].list),
                                          defaults, names, &count);
        if (count) {
            out = doc_with(arena, &out, list, "resources", parts[i].list);
        }
        note(arena, notes, names, count, parts[i].what, kind, doc_get_str(container, "name"));
    }
    return out;
}

static void fill_pod(struct chain_write *write, const struct doc_value *limit, struct buf *notes) {
    static const char *const lists[][2] = {{"containers", "container"},
                                           {"initContainers", "init container"}};
    struct arena *arena = write->op->arena;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct doc_value *containers = doc_get(write->object, "spec", lists[i][0]);
        struct doc_array out = doc_array_start(arena);
        for (DOC_EACH_ITEM(containers, container)) {
            doc_array_add(&out, fill_container(arena, container, limit, lists[i][1], notes));
        }
        if (doc_len(containers)) {
            *write->object =
                doc_with(arena, write->object, doc_array_done(&out), "spec", lists[i][0]);
        }
    }
}

bool chain_limit_defaults(struct chain_write *write) {
    if (!write->chain->limits->count || !concerns(write) || !chain_is(write, "", "pods")) {
        return true;
    }
    AUTO_BUF struct buf notes;
    buf_init(&notes, 64 * KIB);
    struct api_cursor cursor = first_range(write);
    for (const struct doc_value *limits; (limits = next_range(write, &cursor));) {
        for (DOC_EACH_ITEM(limits, limit)) {
            if (str_eq(doc_get_str(limit, "type"), STR("Container"))) {
                fill_pod(write, limit, &notes);
            }
        }
    }
    if (notes.len) {
        struct str text =
            arena_concat(write->op->arena, STR("LimitRanger plugin set: "), buf_str(&notes));
        *write->object = doc_with(write->op->arena, write->object, doc_make_str(text), "metadata",
                                  "annotations", "kubernetes.io/limit-ranger");
    }
    return true;
}

// ---- Checks ----
struct check {
    struct arena *arena;
    struct buf text;
    size_t problems;
    struct str type;
};

struct asked { // of one container or pod
    bool has_request, has_limit;
    struct amount request, limit;
};

static void problem(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void problem(struct check *check, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_add_c(&check->text, check->problems++ ? ", " : "");
    buf_add_str(&check->text, arena_vprintf(check->arena, format, args));
    va_end(args);
}

static struct str text_of(const struct check *check, struct amount amount) {
    return amount_text(check->arena, amount);
}

static void check_min(struct check *check, struct str name, struct amount min,
                      const struct asked *asked, bool with_limits) {
    struct str least = text_of(check, min);
    bool low = asked->has_request && asked->request.nano < min.nano;
    if (!asked->has_request) {
        problem(check, "minimum %.*s usage per %.*s is %.*s.  No request is specified",
                STR_ARG(name), STR_ARG(check->type), STR_ARG(least));
    } else if (low || (with_limits && asked->has_limit && asked->limit.nano < min.nano)) {
        problem(check, "minimum %.*s usage per %.*s is %.*s, but %s is %.*s", STR_ARG(name),
                STR_ARG(check->type), STR_ARG(least), low ? "request" : "limit",
                STR_ARG(text_of(check, low ? asked->request : asked->limit)));
    }
}

static void check_max(struct check *check, struct str name, struct amount max,
                      const struct asked *asked, bool with_limits) {
    struct str most = text_of(check, max);
    bool high = with_limits && asked->has_limit && asked->limit.nano > max.nano;
    if (with_limits && !asked->has_limit) {
        problem(check, "maximum %.*s usage per %.*s is %.*s.  No limit is specified", STR_ARG(name),
                STR_ARG(check->type), STR_ARG(most));
    } else if (high || (asked->has_request && asked->request.nano > max.nano)) {
        problem(check, "maximum %.*s usage per %.*s is %.*s, but %s is %.*s", STR_ARG(name),
                STR_ARG(check->type), STR_ARG(most), high ? "limit" : "request",
                STR_ARG(text_of(check, high ? asked->limit : asked->request)));
    }
}

static void check_ratio(struct check *check, struct str name, struct amount max,
                        const struct asked *asked) {
    struct str most = text_of(check, max);
    bool no_request = !asked->has_request || !asked->request.nano;
    if (no_request || !asked->has_limit || !asked->limit.nano) {
        problem(check,
                "%.*s max limit to request ratio per %.*s is %.*s, but no %s is specified or %s is "
                "0",
                STR_ARG(name), STR_ARG(check->type), STR_ARG(most),
                no_request ? "request" : "limit", no_request ? "request" : "limit");
        return;
    }
    double ratio = (double)asked->limit.nano / (double)asked->request.nano;
    if (ratio > (double)max.nano / 1e9) {
        problem(check, "%.*s max limit to request ratio per %.*s is %.*s, but provided ratio is %f",
                STR_ARG(name), STR_ARG(check->type), STR_ARG(most), ratio);
    }
}

typedef struct asked asked_fn(const struct doc_value *subject, struct str resource);

static void check_subject(struct check *check, const struct doc_value *limit,
                          const struct doc_value *subject, asked_fn *ask, bool with_limits) {
    const struct doc_value *min = doc_get(limit, "min"), *max = doc_get(limit, "max");
    const struct doc_value *ratio = doc_get(limit, "maxLimitRequestRatio");
    struct amount amount;
    for (DOC_EACH_MEMBER(min, i)) {
        if (amount_parse(doc_value_at(min, i), &amount)) {
            struct asked asked = ask(subject, doc_key_at(min, i));
            check_min(check, doc_key_at(min, i), amount, &asked, with_limits);
        }
    }
    for (DOC_EACH_MEMBER(max, j)) {
        if (amount_parse(doc_value_at(max, j), &amount)) {
            struct asked asked = ask(subject, doc_key_at(max, j));
            check_max(check, doc_key_at(max, j), amount, &asked, with_limits);
        }
    }
    for (DOC_EACH_MEMBER(ratio, k)) {
        if (with_limits && amount_parse(doc_value_at(ratio, k), &amount)) {
            struct asked asked = ask(subject, doc_key_at(ratio, k));
            check_ratio(check, doc_key_at(ratio, k), amount, &asked);
        }
    }
}

static struct asked ask_resources(const struct doc_value *owner, struct str resource) {
    struct asked out = {0};
    out.has_request =
        amount_parse(doc_find(doc_get(owner, "resources", "requests"), resource), &out.request);
    out.has_limit =
        amount_parse(doc_find(doc_get(owner, "resources", "limits"), resource), &out.limit);
    return out;
}

static struct asked ask_pod(const struct doc_value *spec, struct str resource) {
    struct asked out = {0};
    out.has_request = amount_of_pod(spec, "requests", resource, &out.request);
    out.has_limit = amount_of_pod(spec, "limits", resource, &out.limit);
    return out;
}

static void check_limit(struct check *check, const struct chain_write *write,
                        const struct doc_value *limit) {
    const struct doc_value *spec = doc_get(write->object, "spec");
    bool pod = chain_is(write, "", "pods");
    check->type = doc_get_str(limit, "type");
    if (pod && str_eq(check->type, STR("Container"))) {
        for (DOC_EACH_ITEM(doc_get(spec, "containers"), container)) {
            check_subject(check, limit, container, ask_resources, true);
        }
        for (DOC_EACH_ITEM(doc_get(spec, "initContainers"), init)) {
            check_subject(check, limit, init, ask_resources, true);
        }
    } else if (pod && str_eq(check->type, STR("Pod"))) {
        check_subject(check, limit, spec, ask_pod, true);
    } else if (!pod && str_eq(check->type, STR("PersistentVolumeClaim"))) {
        check_subject(check, limit, spec, ask_resources, false);
    }
}

bool chain_limits(const struct chain_write *write) {
    if (!write->chain->limits->count || !concerns(write)) {
        return true;
    }
    struct check check = {.arena = write->op->arena};
    buf_init(&check.text, 64 * KIB);
    struct api_cursor cursor = first_range(write);
    for (const struct doc_value *limits;
         !check.problems && (limits = next_range(write, &cursor));) {
        for (DOC_EACH_ITEM(limits, limit)) {
            check_limit(&check, write, limit);
        }
    }
    struct str text = arena_dup(write->op->arena, buf_str(&check.text));
    buf_fini(&check.text);
    return !check.problems ||
           chain_forbidden(write, check.problems > 1 ? "[%.*s]" : "%.*s", STR_ARG(text));
}
