// SPDX-License-Identifier: Apache-2.0
// One admission webhook and one write: the AdmissionReview that asks it, where it is, and what its answer means. The id
// of a question follows from what is asked, so another execution of the request recognizes the answer.
#include "apiserver/policy.h"

#include "base/text.h"

// ---- Where it is ----
static struct str slashed(struct arena *arena, struct str path) {
    return path.n && path.p[0] != '/' ? arena_concat(arena, STR("/"), path) : path;
}

static const struct doc_value *load(struct apiserver *server, struct arena *arena,
                                    const char *group, const char *plural, struct str ns,
                                    struct str name) {
    struct api_collection *collection =
        api_collection_get(server, str_from(group), str_from(plural));
    struct api_entry *entry = collection ? api_entry_find(collection, ns, name) : NULL;
    struct blob *text = entry ? api_entry_durable(entry, NULL) : NULL;
    struct doc_value *value = ARENA_NEW(arena, struct doc_value);
    bool ok = text && doc_parse_json_copy(blob_str(text), arena, value, NULL);
    blob_unref(text);
    return ok ? value : NULL;
}

static int64_t slice_port(const struct doc_value *slice, const struct doc_value *service,
                          int64_t port) {
    const struct doc_value *wanted = NULL;
    for (DOC_EACH_ITEM(doc_get(service, "spec", "ports"), item)) {
        wanted = doc_int(doc_get(item, "port"), 0) == port ? item : wanted;
    }
    for (DOC_EACH_ITEM(doc_get(slice, "ports"), item)) {
        if (str_eq(doc_get_str(item, "name"), doc_get_str(wanted, "name"))) {
            return doc_int(doc_get(item, "port"), port);
        }
    }
    return port;
}

// A ready address that is not one of a simulated pod: nothing answers there.
static bool slice_address(const struct doc_value *slice, struct str *address, bool *simulated) {
    for (DOC_EACH_ITEM(doc_get(slice, "endpoints"), endpoint)) {
        if (!doc_bool(doc_get(endpoint, "conditions", "ready"), true) ||
            doc_len(doc_get(endpoint, "addresses")) == 0) {
            continue;
        }
        if (str_eq(doc_get_str(endpoint, "targetRef", "kind"), STR("Pod"))) {
            *simulated = true;
            continue;
        }
        *address = doc_str(doc_at(doc_get(endpoint, "addresses"), 0));
        return true;
    }
    return false;
}

static bool service_endpoint(struct apiserver *server, struct arena *arena,
                             const struct doc_value *service, struct str ns, struct str name,
                             int64_t port, struct str *host, bool *simulated) {
    struct api_collection *slices =
        api_collection_get(server, STR("discovery.k8s.io"), STR("endpointslices"));
    struct str prefix = arena_concat(arena, ns, STR("/"));
    struct api_cursor cursor = api_cursor_at(slices, prefix);
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            return false;
        }
        const struct doc_value *slice =
            load(server, arena, "discovery.k8s.io", "endpointslices", ns, api_entry_name(entry));
        struct str address;
        if (!str_eq(doc_get_str(slice, "metadata", "labels", "kubernetes.io/service-name"), name) ||
            !slice_address(slice, &address, simulated)) {
            continue;
        }
        bool v6 = str_find_char(address, ':') != STR_NPOS;
        *host = arena_printf(arena, "%s%.*s%s:%lld", v6 ? "[" : "", STR_ARG(address), v6 ? "]" : "",
                             (long long)slice_port(slice, service, port));
        return true;
    }
    return false;
}

static bool service_target(struct apiserver *server, struct arena *arena,
                           const struct doc_value *ref, struct apiserver_callout *call,
                           struct str *problem) {
    struct str ns = doc_get_str(ref, "namespace"), name = doc_get_str(ref, "name");
    int64_t port = doc_int(doc_get(ref, "port"), 443);
    const struct doc_value *service = load(server, arena, "", "services", ns, name);
    if (!service) {
        *problem = arena_printf(arena, "service \"%.*s\" not found", STR_ARG(name));
        return false;
    }
    struct str host;
    bool simulated = false;
    if (str_eq(doc_get_str(service, "spec", "type"), STR("ExternalName"))) {
        host = arena_printf(arena, "%.*s:%lld",
                            STR_ARG(doc_get_str(service, "spec", "externalName")), (long long)port);
    } else if (!service_endpoint(server, arena, service, ns, name, port, &host, &simulated)) {
        *problem = simulated ? arena_printf(arena,
                                            "the pods behind service \"%.*s/%.*s\" are simulated "
                                            "and run no containers: use clientConfig.url, or a "
                                            "Service with an EndpointSlice of real addresses",
                                            STR_ARG(ns), STR_ARG(name))
                             : arena_printf(arena, "no endpoints available for service \"%.*s\"",
                                            STR_ARG(name));
        return false;
    }
    call->server_name = arena_printf(arena, "%.*s.%.*s.svc", STR_ARG(name), STR_ARG(ns));
    call->url = arena_printf(arena, "https://%.*s%.*s", STR_ARG(host),
                             STR_ARG(slashed(arena, doc_get_str(ref, "path"))));
    return true;
}

bool hook_target(struct apiserver *server, struct arena *arena, const struct doc_value *config,
                 struct apiserver_callout *call, struct str *problem) {
    if (!server->callouts) {
        *problem = STR("this server calls no webhooks");
        return false;
    }
    if (!base64_decode(doc_get_str(config, "caBundle"), arena, &call->ca)) {
        *problem = STR("caBundle is not base64");
        return false;
    }
    call->url = doc_get_str(config, "url");
    return call->url.n || service_target(server, arena, doc_get(config, "service"), call, problem);
}

// ---- The question ----
static struct doc_value gvk_value(struct arena *arena, struct str group, struct str version,
                                  const char *key, struct str name) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "group", doc_make_str(group));
    doc_object_set_c(&out, "version", doc_make_str(version));
    doc_object_set_c(&out, key, doc_make_str(name));
    return doc_object_done(&out);
}

static struct doc_value text_list(struct arena *arena, const struct str *items, size_t count) {
    struct doc_array out = doc_array_start(arena);
    for (size_t i = 0; i < count; i++) {
        doc_array_add(&out, doc_make_str(items[i]));
    }
    return doc_array_done(&out);
}

static struct doc_value user_value(struct arena *arena, const struct api_user *user) {
    struct doc_object out = doc_object_start(arena), extra = doc_object_start(arena);
    if (user->name.n) {
        doc_object_set_c(&out, "username", doc_make_str(user->name));
    }
    if (user->uid.n) {
        doc_object_set_c(&out, "uid", doc_make_str(user->uid));
    }
    if (user->group_count) {
        doc_object_set_c(&out, "groups", text_list(arena, user->groups, user->group_count));
    }
    for (size_t i = 0; i < user->extra_count; i++) {
        doc_object_set(&extra, user->extra[i].key,
                       text_list(arena, user->extra[i].values, user->extra[i].count));
    }
    if (user->extra_count) {
        doc_object_set_c(&out, "extra", doc_object_done(&extra));
    }
    return doc_object_done(&out);
}

static void set_delete_options(struct doc_object *out, const struct api_request *request) {
    static const char *const policies[] = {[KUBE_FOREGROUND] = "Foreground",
                                           [KUBE_BACKGROUND] = "Background",
                                           [KUBE_ORPHAN] = "Orphan"};
    struct doc_object conditions = doc_object_start(out->arena);
    if (request->grace_seconds >= 0) {
        doc_object_set_c(out, "gracePeriodSeconds", doc_make_int(request->grace_seconds));
    }
    if (request->precondition_uid.n) {
        doc_object_set_c(&conditions, "uid", doc_make_str(request->precondition_uid));
    }
    if (request->precondition_version.n) {
        doc_object_set_c(&conditions, "resourceVersion",
                         doc_make_str(request->precondition_version));
    }
    if (request->precondition_uid.n || request->precondition_version.n) {
        doc_object_set_c(out, "preconditions", doc_object_done(&conditions));
    }
    if (request->propagation != KUBE_PROPAGATION_DEFAULT) {
        doc_object_set_c(out, "propagationPolicy",
                         doc_make_str(str_from(policies[request->propagation])));
    }
}

static struct doc_value options_value(const struct chain_write *write) {
    const struct api_request *request = &write->op->request;
    struct arena *arena = write->op->arena;
    struct doc_object out = doc_object_start(arena);
    bool create = str_eq_c(STR("CREATE"), write->operation);
    doc_object_set_c(&out, "kind",
                     create          ? DOC_S("CreateOptions")
                     : write->object ? DOC_S("UpdateOptions")
                                     : DOC_S("DeleteOptions"));
    doc_object_set_c(&out, "apiVersion", DOC_S("meta.k8s.io/v1"));
    if (!write->object) {
        set_delete_options(&out, request);
    }
    if (request->dry_run) {
        struct str all = STR("All");
        doc_object_set_c(&out, "dryRun", text_list(arena, &all, 1));
    }
    if (request->field_manager.n) {
        doc_object_set_c(&out, "fieldManager", doc_make_str(request->field_manager));
    }
    if (request->field_validation.n) {
        doc_object_set_c(&out, "fieldValidation", doc_make_str(request->field_validation));
    }
    return doc_object_done(&out);
}

static struct doc_value seen_as(struct arena *arena, const struct chain_write *write,
                                const struct api_kind *as, const struct doc_value *object) {
    return !object                                     ? doc_null()
           : as == write->kind || write->subresource.n ? *object
                                                       : api_kind_convert(arena, as, object);
}

struct doc_value chain_request_value(const struct chain_write *write, const struct api_kind *as) {
    struct arena *arena = write->op->arena;
    const struct api_kind *kind = write->kind;
    struct doc_object out = doc_object_start(arena);
    bool other = as != kind;
    struct kube_gvk gvk = other ? (struct kube_gvk){as->group, as->version, as->kind} : write->gvk;
    doc_object_set_c(&out, "uid", DOC_S(""));
    doc_object_set_c(&out, "kind", gvk_value(arena, gvk.group, gvk.version, "kind", gvk.kind));
    doc_object_set_c(&out, "resource",
                     gvk_value(arena, as->group, as->version, "resource", as->plural));
    if (write->subresource.n) {
        doc_object_set_c(&out, "subResource", doc_make_str(write->subresource));
    }
    doc_object_set_c(
        &out, "requestKind",
        gvk_value(arena, write->gvk.group, write->gvk.version, "kind", write->gvk.kind));
    doc_object_set_c(&out, "requestResource",
                     gvk_value(arena, kind->group, kind->version, "resource", kind->plural));
    if (write->subresource.n) {
        doc_object_set_c(&out, "requestSubResource", doc_make_str(write->subresource));
    }
    if (write->name.n) {
        doc_object_set_c(&out, "name", doc_make_str(write->name));
    }
    if (write->ns.n) {
        doc_object_set_c(&out, "namespace", doc_make_str(write->ns));
    }
    doc_object_set_c(&out, "operation", doc_make_str(str_from(write->operation)));
    doc_object_set_c(&out, "userInfo", user_value(arena, &write->op->user));
    doc_object_set_c(&out, "dryRun", doc_make_bool(write->op->request.dry_run));
    doc_object_set_c(&out, "options", options_value(write));
    return doc_object_done(&out);
}

static struct doc_value request_value(const struct chain_write *write, const struct api_kind *as) {
    struct arena *arena = write->op->arena;
    struct doc_value request = chain_request_value(write, as);
    struct doc_object out = doc_object_copy(arena, &request);
    doc_object_set_c(&out, "object", seen_as(arena, write, as, write->object));
    doc_object_set_c(&out, "oldObject", seen_as(arena, write, as, write->old));
    return doc_object_done(&out);
}

static struct str uid_of(struct arena *arena, uint64_t key, uint64_t salt) {
    uint64_t low = (key ^ salt) * UINT64_C(0x9e3779b97f4a7c15);
    return arena_printf(arena, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(key >> 32),
                        (unsigned)(key >> 16 & 0xffff), (unsigned)(key & 0xfff),
                        (unsigned)(0x8000 | (low >> 48 & 0x3fff)),
                        (unsigned long long)(low & UINT64_C(0xffffffffffff)));
}

static struct str review_text(struct arena *arena, const struct doc_value *request,
                              struct str uid) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "kind", DOC_S("AdmissionReview"));
    doc_object_set_c(&out, "apiVersion", DOC_S("admission.k8s.io/v1"));
    doc_object_set_c(&out, "request", doc_with(arena, request, doc_make_str(uid), "uid"));
    struct doc_value value = doc_object_done(&out);
    return doc_to_json(arena, &value);
}

// ---- The answer ----
static bool wrong(struct arena *arena, struct str *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool wrong(struct arena *arena, struct str *problem, const char *format, ...) {
    va_list args;
    va_start(args, format);
    *problem = arena_vprintf(arena, format, args);
    va_end(args);
    return false;
}

static bool read_patch(struct arena *arena, const struct doc_value *response, bool mutating,
                       struct hook_answer *out, struct str *problem) {
    static const char invalid[] = "received invalid webhook response: ";
    const struct doc_value *patch = doc_get(response, "patch");
    struct str type = doc_get_str(response, "patchType"), text = {NULL, 0};
    bool has_patch = doc_str(patch).n > 0;
    if (!mutating && (has_patch || type.n)) {
        return wrong(arena, problem, "%svalidating webhook may not return response.patch%s",
                     invalid, has_patch ? "" : "Type");
    }
    if (has_patch && !type.n) {
        return wrong(arena, problem, "%swebhook returned response.patch but not response.patchType",
                     invalid);
    }
    if (!has_patch && type.n) {
        return wrong(arena, problem, "%swebhook returned response.patchType but not response.patch",
                     invalid);
    }
    if (type.n && !str_eq(type, STR("JSONPatch"))) {
        return wrong(arena, problem, "%swebhook returned invalid response.patchType of %.*s",
                     invalid, STR_ARG(type));
    }
    struct err err = {0};
    if (has_patch && (!base64_decode(doc_str(patch), arena, &text) ||
                      !doc_parse_json(text, arena, &out->patch, &err))) {
        return wrong(arena, problem, "%sthe patch is not JSON in base64: %s", invalid, err.message);
    }
    out->has_patch = has_patch;
    return true;
}

bool hook_parse_answer(struct arena *arena, struct str body, struct str uid, bool mutating,
                       struct hook_answer *out, struct str *problem) {
    struct doc_value review;
    struct err err = {0};
    if (!doc_parse_json(body, arena, &review, &err) || !doc_is(&review, DOC_OBJECT)) {
        return wrong(arena, problem,
                     "failed to call webhook: couldn't get version/kind; json parse error: %s",
                     err.code ? err.message : "not an object");
    }
    struct str version = doc_get_str(&review, "apiVersion"), kind = doc_get_str(&review, "kind");
    if (!str_eq(version, STR("admission.k8s.io/v1")) || !str_eq(kind, STR("AdmissionReview"))) {
        return wrong(arena, problem,
                     "failed to call webhook: no kind \"%.*s\" is registered for version \"%.*s\"",
                     STR_ARG(kind), STR_ARG(version));
    }
    const struct doc_value *response = doc_get(&review, "response");
    if (!doc_is(response, DOC_OBJECT)) {
        return wrong(arena, problem,
                     "received invalid webhook response: webhook response was absent");
    }
    struct str has = doc_get_str(response, "uid");
    if (!str_eq(has, uid)) {
        return wrong(arena, problem,
                     "received invalid webhook response: expected response.uid=\"%.*s\", got "
                     "\"%.*s\"",
                     STR_ARG(uid), STR_ARG(has));
    }
    struct hook_answer answer = {.allowed = doc_bool(doc_get(response, "allowed"), false)};
    const struct doc_value *status = doc_get(response, "status");
    const struct doc_value *warnings = doc_get(response, "warnings");
    answer.status = status ? *status : doc_null();
    answer.warnings = warnings ? *warnings : doc_null();
    if (!read_patch(arena, response, mutating, &answer, problem)) {
        return false;
    }
    *out = answer;
    return true;
}

// What client-go says of a status without a Status.
static struct str status_problem(struct arena *arena, int status) {
    const char *text = status == 404 ? "the server could not find the requested resource"
                       : status == 401
                           ? "the server has asked for the client to provide credentials"
                       : status >= 500 ? "an error on the server (\"unknown\") has prevented the "
                                         "request from succeeding"
                                       : "the server rejected our request for an unknown reason";
    return arena_printf(arena, "failed to call webhook: %s", text);
}

static bool failed(const struct chain_write *write, const struct hook *hook, struct str problem,
                   bool *skip) {
    struct api_op *op = write->op;
    if (hook->ignore_failure) {
        *skip = true;
        return false;
    }
    struct str message = arena_printf(op->arena, "failed calling webhook \"%.*s\": %.*s",
                                      STR_ARG(hook->name), STR_ARG(problem));
    api_error_set(&op->error, op->arena, 500, "InternalError", "Internal error occurred: %.*s",
                  STR_ARG(message));
    struct doc_object cause = doc_object_start(op->arena), details = doc_object_start(op->arena);
    struct doc_array causes = doc_array_start(op->arena);
    doc_object_set_c(&cause, "message", doc_make_str(message));
    doc_array_add(&causes, doc_object_done(&cause));
    doc_object_set_c(&details, "causes", doc_array_done(&causes));
    op->error.details = doc_object_done(&details);
    return false;
}

bool hook_ask(const struct chain_write *write, const struct hook *hook, const struct api_kind *as,
              unsigned round, struct hook_answer *out, bool *skip) {
    struct api_op *op = write->op;
    struct arena *arena = op->arena;
    struct apiserver_callout call = {.timeout_ns = hook->timeout_seconds * INT64_C(1000000000),
                                     .max_reply = APISERVER_REVIEW};
    struct str problem;
    *skip = false;
    struct err wrong = {0};
    int wanted = hook->condition_count
                     ? policy_conditions(write, hook->conditions, hook->condition_count, &wrong)
                     : 1;
    if (wanted == 0) {
        *skip = true;
        return false;
    }
    if (wanted < 0) {
        return failed(write, hook, str_from(wrong.message), skip);
    }
    if (op->request.dry_run && !hook->dry_run_fine) {
        return api_error_set(&op->error, arena, 400, "BadRequest",
                             "admission webhook \"%.*s\" does not support dry run",
                             STR_ARG(hook->name));
    }
    if (!hook_target(op->server, arena, doc_get(hook->spec, "clientConfig"), &call, &problem)) {
        return failed(write, hook, arena_concat(arena, STR("failed to call webhook: "), problem),
                      skip);
    }
    call.url = arena_printf(arena, "%.*s?timeout=%llds", STR_ARG(call.url),
                            (long long)hook->timeout_seconds);
    struct doc_value request = request_value(write, as);
    uint64_t key = doc_hash(&request) ^ str_hash(hook->name) * 31 ^ str_hash(call.url) * 7 ^
                   (round * 2 + hook->mutating);
    struct str uid = uid_of(arena, key, api_park_of(op)->salt);
    const struct api_answer *answer = api_park_find(op, key);
    if (!answer) {
        call.body = review_text(arena, &request, uid);
        api_park_ask(op, key, &call);
        return false;
    }
    if (!answer->status) {
        struct str why = answer->timed_out ? STR("context deadline exceeded") : answer->error;
        return failed(write, hook,
                      arena_printf(arena, "failed to call webhook: Post \"%.*s\": %.*s",
                                   STR_ARG(call.url), STR_ARG(why)),
                      skip);
    }
    if (answer->status < 200 || answer->status > 299) {
        return failed(write, hook, status_problem(arena, answer->status), skip);
    }
    return hook_parse_answer(arena, answer->body, uid, hook->mutating, out, &problem) ||
           failed(write, hook, problem, skip);
}
