// SPDX-License-Identifier: Apache-2.0
// The sub-resources of pods: eviction under PodDisruptionBudgets, binding, logs (of what an annotation says), ephemeral
// containers, resources in place; and one clear sentence for those that need a container that runs.
#include "apiserver/core.h"

#include "apiserver/workloads/plan.h"
#include "http/query.h"

#define LOG_ANNOTATION "skiff.dev/sim-log"

static bool not_allowed(struct api_op *op) {
    return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                         "the server does not allow this method on the requested resource");
}

static bool reply_done(struct api_op *op) {
    op->status = 201;
    api_op_add_text(op, STR("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                            "\"status\":\"Success\",\"code\":201}\n"));
    return true;
}

// ---- eviction ----
struct budget {
    struct api_entry *entry;
    struct doc_value value;
};

static bool bad_budget(struct api_op *op, struct str name, const char *format, int64_t a,
                       int64_t b) {
    struct arena *arena = op->arena;
    struct doc_array causes = doc_array_start(arena);
    doc_array_add(&causes,
                  wl_object(arena, "reason", DOC_S("DisruptionBudget"), "message",
                            wl_text(arena, format, STR_ARG(name), (long long)a, (long long)b),
                            NULL));
    api_error_set(&op->error, arena, 429, "TooManyRequests",
                  "Cannot evict pod as it would violate the pod's disruption budget.");
    op->error.details = wl_object(arena, "causes", doc_array_done(&causes), NULL);
    return false;
}

// The budgets of the pod's namespace that select it.
static size_t find_budgets(struct api_op *op, const struct doc_value *pod, struct budget *found) {
    struct str prefix = arena_concat(op->arena, op->request.ns, STR("/"));
    struct api_collection *all =
        api_collection_get(op->server, STR("policy"), STR("poddisruptionbudgets"));
    size_t count = 0;
    struct api_cursor cursor = api_cursor_at(all, prefix);
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            break;
        }
        struct doc_value value;
        struct blob *text = entry->deleted ? NULL : api_entry_text(entry, NULL);
        bool ok = text && doc_parse_json_copy(blob_str(text), op->arena, &value, NULL);
        blob_unref(text);
        const struct doc_value *selector = ok ? doc_get(&value, "spec", "selector") : NULL;
        if (selector && wl_selector_matches(selector, doc_get(pod, "metadata", "labels"))) {
            *found = (struct budget){entry, value};
            count++;
        }
    }
    return count;
}

// Counts one disruption against the budget; false when it allows none.
static bool spend(struct api_op *op, const struct budget *budget, struct str pod) {
    const struct doc_value *status = doc_get(&budget->value, "status");
    struct str name = doc_get_str(&budget->value, "metadata", "name");
    int64_t allowed = doc_int(doc_get(status, "disruptionsAllowed"), 0);
    if (doc_int(doc_get(status, "observedGeneration"), 0) <
        doc_int(doc_get(&budget->value, "metadata", "generation"), 0)) {
        bad_budget(op, name, "The disruption budget %.*s is still being processed by the server.",
                   0, 0);
        op->error.retry_after_seconds = 10;
        return false;
    }
    if (allowed <= 0) {
        return bad_budget(op, name,
                          "The disruption budget %.*s needs %lld healthy pods and has %lld "
                          "currently",
                          doc_int(doc_get(status, "desiredHealthy"), 0),
                          doc_int(doc_get(status, "currentHealthy"), 0));
    }
    struct str now = time_format(op->arena, loop_wall(op->server->loop));
    struct doc_object gone = doc_object_copy(op->arena, doc_get(status, "disruptedPods"));
    doc_object_set(&gone, pod, doc_make_str(now));
    struct doc_value next = doc_with(op->arena, &budget->value, doc_make_int(allowed - 1), "status",
                                     "disruptionsAllowed");
    next = doc_with(op->arena, &next, doc_object_done(&gone), "status", "disruptedPods");
    struct blob *after = api_store_put(op, budget->entry, (struct str){NULL, 0}, next);
    blob_unref(after);
    return after != NULL;
}

static bool ask_budgets(struct api_op *op, const struct doc_value *pod) {
    struct str phase = doc_get_str(pod, "status", "phase");
    if (!str_eq_c(phase, "Running") || wl_is_deleting(pod)) {
        return true; // nothing that serves is lost
    }
    struct budget budget;
    size_t count = find_budgets(op, pod, &budget);
    if (count == 0) {
        return true;
    }
    if (count > 1) {
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "This pod has more than one PodDisruptionBudget, which the eviction "
                             "subresource does not support.");
    }
    const struct doc_value *status = doc_get(&budget.value, "status");
    int64_t desired = doc_int(doc_get(status, "desiredHealthy"), 0);
    bool ready = wl_condition_is(doc_get(pod, "status"), "Ready", "True");
    bool always =
        str_eq_c(doc_get_str(&budget.value, "spec", "unhealthyPodEvictionPolicy"), "AlwaysAllow");
    bool healthy = doc_int(doc_get(status, "currentHealthy"), 0) >= desired && desired > 0;
    return (!ready && (always || healthy)) || spend(op, &budget, wl_name(pod));
}

// The pod as its watchers see it go: it says why.
static struct doc_value with_target(struct api_op *op, const struct doc_value *pod) {
    struct wl_plan plan;
    struct wl_conditions conditions;
    wl_plan_init(&plan, op->arena, loop_wall(op->server->loop));
    wl_conditions_init(&conditions, &plan, doc_get(pod, "status"));
    wl_conditions_set(&conditions, "DisruptionTarget", "True", "EvictionByEvictionAPI",
                      DOC_S("Eviction API: evicting"), false, false);
    return doc_with(op->arena, pod, wl_conditions_done(&conditions), "status", "conditions");
}

static bool serve_eviction(struct api_op *op) {
    struct doc_value eviction;
    AUTO_OBJECT struct api_object old = {0};
    if (op->request.verb != API_VERB_CREATE) {
        return not_allowed(op);
    }
    if (!api_body_parse(op, &eviction) ||
        !api_object_load(op, op->request.ns, op->request.name, &old) ||
        !api_chain_subresource(op, &eviction)) {
        return false;
    }
    const struct doc_value *options = doc_get(&eviction, "deleteOptions");
    op->request.body = options ? doc_to_json(op->arena, options) : (struct str){NULL, 0};
    op->request.body_yaml = op->request.body_protobuf = false;
    if (!api_delete_options(op) || !ask_budgets(op, &old.value)) {
        return false;
    }
    if (!wl_is_deleting(&old.value)) {
        old.value = with_target(op, &old.value);
    }
    bool removed;
    struct blob *after = NULL;
    if (!api_delete_object(op, &old, &removed, &after)) {
        return false;
    }
    blob_unref(after);
    return reply_done(op);
}

// ---- binding ----
static bool serve_binding(struct api_op *op) {
    struct doc_value binding;
    AUTO_OBJECT struct api_object old = {0};
    if (op->request.verb != API_VERB_CREATE) {
        return not_allowed(op);
    }
    if (!api_body_parse(op, &binding) ||
        !api_object_load(op, op->request.ns, op->request.name, &old) ||
        !api_chain_subresource(op, &binding)) {
        return false;
    }
    struct str node = doc_get_str(&binding, "target", "name");
    struct str has = doc_get_str(&old.value, "spec", "nodeName");
    if (!node.n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "a binding must name its target node");
    }
    if (has.n) {
        return api_error_set(&op->error, op->arena, 409, "Conflict",
                             "Operation cannot be fulfilled on pods/binding \"%.*s\": pod %.*s is "
                             "already assigned to node \"%.*s\"",
                             STR_ARG(op->request.name), STR_ARG(op->request.name), STR_ARG(has));
    }
    struct doc_value next = doc_with(op->arena, &old.value, doc_make_str(node), "spec", "nodeName");
    struct wl_plan plan;
    struct wl_conditions conditions;
    wl_plan_init(&plan, op->arena, loop_wall(op->server->loop));
    wl_conditions_init(&conditions, &plan, doc_get(&next, "status"));
    wl_conditions_set(&conditions, "PodScheduled", "True", "", DOC_S(""), false, false);
    next = doc_with(op->arena, &next, wl_conditions_done(&conditions), "status", "conditions");
    struct blob *after = api_store_put(op, old.entry, (struct str){NULL, 0}, next);
    blob_unref(after);
    return after && reply_done(op);
}

// ---- log ----
struct log_options {
    struct str container;
    int64_t tail, limit; // -1: none
    bool previous, timestamps;
};

static bool bad_log_option(struct api_op *op, const char *field, int64_t value, const char *why) {
    struct arena *arena = op->arena;
    struct doc_value problem = wl_text(arena, "Invalid value: %lld: %s", (long long)value, why);
    struct doc_array causes = doc_array_start(arena);
    doc_array_add(&causes, wl_object(arena, "reason", DOC_S("FieldValueInvalid"), "message",
                                     problem, "field", doc_make_str(str_from(field)), NULL));
    api_error_set(&op->error, arena, 422, "Invalid", "PodLogOptions \"%.*s\" is invalid: %s: %.*s",
                  STR_ARG(op->request.name), field, STR_ARG(doc_str(&problem)));
    op->error.details = wl_object(arena, "name", doc_make_str(op->request.name), "kind",
                                  DOC_S("PodLogOptions"), "causes", doc_array_done(&causes), NULL);
    return false;
}

static bool is_true(struct str value) {
    return str_eq_c(value, "true") || str_eq_c(value, "1");
}

static bool read_log_options(struct api_op *op, struct log_options *out) {
    struct query_pair *pairs;
    size_t count;
    struct err err = {0};
    *out = (struct log_options){.tail = -1, .limit = -1};
    if (!query_parse(op->request.query, op->arena, &pairs, &count, &err)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest", "the query is not valid: %s",
                             err.message);
    }
    for (size_t i = 0; i < count; i++) {
        struct str name = pairs[i].name, value = pairs[i].value;
        int64_t number = 0;
        bool tail = str_eq_c(name, "tailLines"), limit = str_eq_c(name, "limitBytes");
        if (str_eq_c(name, "container")) {
            out->container = value;
        } else if (str_eq_c(name, "previous")) {
            out->previous = is_true(value);
        } else if (str_eq_c(name, "timestamps")) {
            out->timestamps = is_true(value);
        } else if (tail || limit) {
            if (!str_to_int64(value, &number)) {
                return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                     "%.*s must be a number, not \"%.*s\"", STR_ARG(name),
                                     STR_ARG(value));
            }
            if (number < (tail ? 0 : 1)) {
                return bad_log_option(op, tail ? "tailLines" : "limitBytes", number,
                                      tail ? "must be greater than or equal to 0"
                                           : "must be greater than 0");
            }
            *(tail ? &out->tail : &out->limit) = number;
        }
    }
    return true;
}

static const char *const container_lists[] = {"initContainers", "containers",
                                              "ephemeralContainers"};
static const char *const status_lists[] = {"initContainerStatuses", "containerStatuses",
                                           "ephemeralContainerStatuses"};

static const struct doc_value *named(const struct doc_value *list, struct str name) {
    for (DOC_EACH_ITEM(list, item)) {
        if (str_eq(doc_get_str(item, "name"), name)) {
            return item;
        }
    }
    return NULL;
}

static bool pick_container(struct api_op *op, const struct doc_value *pod, struct str *container) {
    struct str all = {NULL, 0};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(container_lists); i++) {
        const struct doc_value *list = doc_get(pod, "spec", container_lists[i]);
        if (container->n && named(list, *container)) {
            return true;
        }
        for (DOC_EACH_ITEM(list, item)) {
            all = arena_printf(op->arena, "%.*s%s%.*s", STR_ARG(all), count++ ? " " : "",
                               STR_ARG(doc_get_str(item, "name")));
        }
    }
    if (container->n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "container %.*s is not valid for pod %.*s", STR_ARG(*container),
                             STR_ARG(op->request.name));
    }
    if (count > 1) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "a container name must be specified for pod %.*s, choose one of: "
                             "[%.*s]",
                             STR_ARG(op->request.name), STR_ARG(all));
    }
    *container = all;
    return true;
}

static const struct doc_value *status_of(const struct doc_value *pod, struct str container) {
    for (size_t i = 0; i < ARRAY_LEN(status_lists); i++) {
        const struct doc_value *found = named(doc_get(pod, "status", status_lists[i]), container);
        if (found) {
            return found;
        }
    }
    return NULL;
}

static struct str last_lines(struct str text, int64_t lines) {
    size_t at = text.n;
    if (at && text.p[at - 1] == '\n') {
        at--;
    }
    for (; lines > 0 && at > 0; at--) {
        if (text.p[at - 1] == '\n' && --lines == 0) {
            return str_skip(text, at);
        }
    }
    return lines > 0 ? text : STR("");
}

static struct str with_times(struct arena *arena, struct str text, struct str time) {
    AUTO_BUF struct buf out;
    buf_init(&out, (size_t)4 * 1024 * 1024);
    struct str rest = text, line;
    while (str_next(&rest, '\n', &line)) {
        buf_printf(&out, "%.*s %.*s\n", STR_ARG(time), STR_ARG(line));
    }
    return arena_dup(arena, buf_str(&out));
}

static struct str log_of(struct api_op *op, const struct doc_value *pod,
                         const struct doc_value *status, const struct log_options *options) {
    struct arena *arena = op->arena;
    const char *own =
        arena_cstr(arena, arena_printf(arena, LOG_ANNOTATION ".%.*s", STR_ARG(options->container)));
    struct str text = wl_annotation(pod, own);
    text = text.n ? text : wl_annotation(pod, LOG_ANNOTATION);
    if (text.n && text.p[text.n - 1] != '\n') {
        text = arena_concat(arena, text, STR("\n"));
    }
    text = options->tail >= 0 ? last_lines(text, options->tail) : text;
    if (options->timestamps) {
        struct str started = doc_get_str(status, "state", "running", "startedAt");
        started = started.n ? started : doc_get_str(status, "state", "terminated", "startedAt");
        started = started.n && !options->previous
                      ? started
                      : doc_get_str(status, "lastState", "terminated", "startedAt");
        int64_t at = 0;
        (void)time_parse(started, &at);
        text = with_times(arena, text, time_format_micro(arena, at));
    }
    return options->limit >= 0 ? str_first(text, (size_t)options->limit) : text;
}

static bool serve_log(struct api_op *op) {
    AUTO_OBJECT struct api_object pod = {0};
    struct log_options options;
    if (op->request.verb != API_VERB_GET && op->request.verb != API_VERB_WATCH) {
        return not_allowed(op);
    }
    if (!read_log_options(op, &options) ||
        !api_object_load(op, op->request.ns, op->request.name, &pod) ||
        !pick_container(op, &pod.value, &options.container)) {
        return false;
    }
    op->status = 200;
    op->content_type = STR("text/plain");
    if (!doc_get_str(&pod.value, "spec", "nodeName").n) {
        return true; // no node has it yet
    }
    const struct doc_value *status = status_of(&pod.value, options.container);
    const struct doc_value *waiting = doc_get(status, "state", "waiting");
    bool has_last = doc_len(doc_get(status, "lastState")) > 0;
    if (options.previous && !has_last) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "previous terminated container \"%.*s\" in pod \"%.*s\" not found",
                             STR_ARG(options.container), STR_ARG(op->request.name));
    }
    if (!options.previous && (waiting || !status) && !has_last) {
        struct str reason = doc_get_str(waiting, "reason");
        bool pull = str_eq_c(reason, "ErrImagePull") || str_eq_c(reason, "ImagePullBackOff");
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "container \"%.*s\" in pod \"%.*s\" is waiting to start: %.*s",
                             STR_ARG(options.container), STR_ARG(op->request.name),
                             STR_ARG(pull       ? STR("trying and failing to pull image")
                                     : reason.n ? reason
                                                : STR("ContainerCreating")));
    }
    struct str text = log_of(op, &pod.value, status, &options);
    if (text.n) {
        api_op_add_text(op, text);
    }
    return true;
}

// ---- What needs a container that runs ----
static bool serve_stream(struct api_op *op) {
    AUTO_OBJECT struct api_object pod = {0};
    if (!api_object_load(op, op->request.ns, op->request.name, &pod)) {
        return false;
    }
    return api_error_set(&op->error, op->arena, 501, "NotImplemented",
                         "no container runs on a simulated node, so %.*s is not possible there",
                         STR_ARG(op->request.subresource));
}

// ---- ephemeralcontainers and resize ----
static bool next_state(struct api_op *op, const struct doc_value *before, struct doc_value *out) {
    struct doc_value body;
    struct err err = {0};
    if (!api_body_parse(op, &body)) {
        return false;
    }
    if (op->request.verb == API_VERB_UPDATE) {
        struct str version = doc_get_str(&body, "metadata", "resourceVersion");
        *out = body;
        return !version.n || str_eq(version, doc_get_str(before, "metadata", "resourceVersion")) ||
               api_error_conflict(&op->error, op->arena, op->kind, op->request.name);
    }
    bool ok = true;
    if (op->request.patch == KUBE_PATCH_JSON) {
        ok = doc_json_patch(op->arena, before, &body, out, &err);
    } else if (op->request.patch == KUBE_PATCH_MERGE) {
        *out = doc_merge_patch(op->arena, before, &body);
    } else {
        ok = schema_strategic_merge(op->arena, op->kind->merge, before, &body, out, &err);
    }
    return ok || api_error_set(&op->error, op->arena, 422, "Invalid", "%s", err.message);
}

static struct doc_value with_container_defaults(struct arena *arena,
                                                const struct doc_value *container) {
    struct str image = doc_get_str(container, "image");
    size_t slash = str_rfind_char(image, '/');
    struct str last = slash == STR_NPOS ? image : str_skip(image, slash + 1);
    bool latest = str_find_char(last, ':') == STR_NPOS || str_ends(last, STR(":latest"));
    const struct {
        const char *key;
        struct doc_value value;
    } defaults[] = {
        {"imagePullPolicy", latest ? DOC_S("Always") : DOC_S("IfNotPresent")},
        {"resources", wl_object(arena, NULL)},
        {"terminationMessagePath", DOC_S("/dev/termination-log")},
        {"terminationMessagePolicy", DOC_S("File")},
    };
    struct doc_object out = doc_object_copy(arena, container);
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (!doc_get(container, defaults[i].key)) {
            doc_object_set_c(&out, defaults[i].key, defaults[i].value);
        }
    }
    return doc_object_done(&out);
}

static bool take_ephemeral(struct api_op *op, const struct doc_value *before,
                           const struct doc_value *wanted, struct doc_value *out) {
    struct doc_array list = doc_array_start(op->arena);
    const struct doc_value *present = doc_get(before, "spec", "ephemeralContainers");
    const struct doc_value *asked = doc_get(wanted, "spec", "ephemeralContainers");
    for (DOC_EACH_ITEM(present, container)) {
        if (!named(asked, doc_get_str(container, "name"))) {
            return api_error_set(&op->error, op->arena, 422, "Invalid",
                                 "Pod \"%.*s\" is invalid: spec.ephemeralContainers: Forbidden: "
                                 "existing ephemeral containers \"%.*s\" may not be removed",
                                 STR_ARG(op->request.name),
                                 STR_ARG(doc_get_str(container, "name")));
        }
    }
    for (DOC_EACH_ITEM(asked, container)) {
        if (!doc_get_str(container, "name").n || !doc_get_str(container, "image").n) {
            return api_error_set(&op->error, op->arena, 422, "Invalid",
                                 "Pod \"%.*s\" is invalid: spec.ephemeralContainers: Required "
                                 "value: each needs a name and an image",
                                 STR_ARG(op->request.name));
        }
        doc_array_add(&list, with_container_defaults(op->arena, container));
    }
    *out = doc_with(op->arena, before, doc_array_done(&list), "spec", "ephemeralContainers");
    return true;
}

static bool take_resources(struct api_op *op, const struct doc_value *before,
                           const struct doc_value *wanted, struct doc_value *out) {
    static const char *const lists[] = {"containers", "initContainers"};
    static const char *const fields[] = {"resources", "resizePolicy"};
    *out = *before;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct doc_value *present = doc_get(before, "spec", lists[i]);
        struct doc_array list = doc_array_start(op->arena);
        for (DOC_EACH_ITEM(present, container)) {
            const struct doc_value *asked =
                named(doc_get(wanted, "spec", lists[i]), doc_get_str(container, "name"));
            struct doc_object next = doc_object_copy(op->arena, container);
            for (size_t j = 0; j < ARRAY_LEN(fields); j++) {
                if (doc_get(asked, fields[j])) {
                    doc_object_set_c(&next, fields[j], *doc_get(asked, fields[j]));
                }
            }
            doc_array_add(&list, doc_object_done(&next));
        }
        if (present) {
            *out = doc_with(op->arena, out, doc_array_done(&list), "spec", lists[i]);
        }
    }
    return true;
}

static bool serve_part(struct api_op *op, bool resize) {
    AUTO_OBJECT struct api_object old = {0};
    enum api_verb verb = op->request.verb;
    if (verb != API_VERB_GET && verb != API_VERB_UPDATE && verb != API_VERB_PATCH) {
        return not_allowed(op);
    }
    if (!api_object_load(op, op->request.ns, op->request.name, &old)) {
        return false;
    }
    if (verb == API_VERB_GET) {
        return api_reply_object(op, 200, old.blob);
    }
    struct doc_value wanted, next;
    if (!next_state(op, &old.value, &wanted) ||
        !(resize ? take_resources : take_ephemeral)(op, &old.value, &wanted, &next)) {
        return false;
    }
    if (doc_equal(&next, &old.value)) {
        return api_reply_object(op, 200, old.blob);
    }
    int64_t generation = doc_int(doc_get(&old.value, "metadata", "generation"), 0);
    next = doc_with(op->arena, &next, doc_make_int(generation + 1), "metadata", "generation");
    struct doc_value sent = next;
    if (!api_managed_update(op, &old.value, &sent, &next)) {
        return false;
    }
    struct blob *after = api_store_put(op, old.entry, (struct str){NULL, 0}, next);
    bool ok = after && api_reply_object(op, 200, after);
    blob_unref(after);
    return ok;
}

bool api_pod_part(struct api_op *op, bool *handled) {
    static const struct {
        const char *name;
        bool (*serve)(struct api_op *op);
    } parts[] = {
        {"eviction", serve_eviction}, {"binding", serve_binding}, {"log", serve_log},
        {"exec", serve_stream},       {"attach", serve_stream},   {"portforward", serve_stream},
        {"proxy", serve_stream},
    };
    struct str name = op->request.subresource;
    *handled = true;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (str_eq_c(name, parts[i].name)) {
            return parts[i].serve(op);
        }
    }
    if (str_eq_c(name, "ephemeralcontainers") || str_eq_c(name, "resize")) {
        return serve_part(op, str_eq_c(name, "resize"));
    }
    *handled = false;
    return true;
}
