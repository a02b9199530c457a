// SPDX-License-Identifier: Apache-2.0
// What a write must pass beyond the rules of its kind, in the order of Kubernetes' admission plugins: first what changes
// the object (priorities, LimitRange, default classes, mutating webhooks), then what only looks (validating webhooks,
// ResourceQuota). Nothing of it costs a write anything that no object of these kinds concerns.
#include "apiserver/policy.h"

// ---- What the parts share ----
struct chain_write chain_write_of(struct api_op *op, enum api_operation operation,
                                  const struct doc_value *old, struct doc_value *object) {
    struct chain_write write = {
        .op = op,
        .chain = op->server->chain,
        .kind = op->kind,
        .operation = operation == API_CREATE ? "CREATE"
                     : object                ? "UPDATE"
                                             : "DELETE",
        .ns = op->request.ns,
        .name = op->request.name,
        .subresource = op->request.subresource,
        .gvk = {op->kind->group, op->kind->version, op->kind->kind},
        .object = object,
        .old = old,
    };
    if (!write.name.n) {
        write.name = doc_get_str(object ? object : old, "metadata", "name");
    }
    if (!op->kind->group.n && str_eq(op->kind->plural, STR("namespaces"))) {
        write.ns = write.name;
    }
    return write;
}

const struct doc_value *chain_find(struct api_op *op, struct api_collection *collection,
                                   struct str ns, struct str name) {
    struct api_entry *entry = api_entry_find(collection, ns, name);
    struct blob *text = entry && !entry->deleted ? api_entry_text(entry, NULL) : NULL;
    struct doc_value *value = ARENA_NEW(op->arena, struct doc_value);
    bool ok = text && doc_parse_json_copy(blob_str(text), op->arena, value, NULL);
    blob_unref(text);
    return ok ? value : NULL;
}

bool chain_forbidden(const struct chain_write *write, const char *format, ...) {
    struct api_op *op = write->op;
    const struct api_kind *kind = write->kind;
    va_list args;
    va_start(args, format);
    struct str what = arena_vprintf(op->arena, format, args);
    va_end(args);
    api_error_set(&op->error, op->arena, 403, "Forbidden", "%.*s%s%.*s \"%.*s\" is forbidden: %.*s",
                  STR_ARG(kind->plural), kind->group.n ? "." : "", STR_ARG(kind->group),
                  STR_ARG(write->name), STR_ARG(what));
    struct doc_object details = doc_object_start(op->arena);
    doc_object_set_c(&details, "name", doc_make_str(write->name));
    if (kind->group.n) {
        doc_object_set_c(&details, "group", doc_make_str(kind->group));
    }
    doc_object_set_c(&details, "kind", doc_make_str(kind->plural));
    op->error.details = doc_object_done(&details);
    return false;
}

// Webhooks cannot stand in the way of their own configuration.
static bool is_exempt(const struct api_kind *kind) {
    return kind->no_store || str_eq(kind->group, STR("admissionregistration.k8s.io"));
}

static bool has_hooks(struct hook_list *list, bool mutating, const struct api_kind *kind) {
    hook_list_refresh(list, mutating);
    return list->count > 0 && !is_exempt(kind);
}

// ---- What changes the object ----
bool api_chain_mutates(struct api_op *op, enum api_operation operation) {
    struct api_chain *chain = op->server->chain;
    if (has_hooks(&chain->mutating, true, op->kind)) {
        return true;
    }
    if (operation != API_CREATE || !chain->limits->count) {
        return false;
    }
    struct doc_value none = doc_null();
    struct chain_write write = chain_write_of(op, operation, NULL, &none);
    return chain_is(&write, "", "pods") && chain_has_limits(&write);
}

// The plugins of Kubernetes that fill in something.
static bool fill(struct chain_write *write) {
    if (write->old || write->subresource.n || write->kind->custom) {
        return true;
    }
    if (chain_is(write, "", "pods")) {
        return chain_limit_defaults(write) && chain_priority(write) && chain_runtime_class(write);
    }
    chain_default_classes(write);
    chain_protect(write);
    return true;
}

// A new object gets its identity after the webhooks.
static struct doc_value without_identity(struct arena *arena, const struct doc_value *object,
                                         bool drawn) {
    struct doc_object out = doc_object_copy(arena, object);
    struct doc_object metadata = doc_object_copy(arena, doc_get(object, "metadata"));
    doc_object_remove(&metadata, STR("uid"));
    doc_object_remove(&metadata, STR("creationTimestamp"));
    doc_object_remove(&metadata, STR("generation"));
    if (drawn) {
        doc_object_remove(&metadata, STR("name"));
    }
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    return doc_object_done(&out);
}

// What a webhook cannot change.
static struct doc_value with_identity(struct arena *arena, const struct doc_value *from,
                                      const struct doc_value *object) {
    static const char *const kept[] = {
        "name",         "namespace",         "uid",
        "generateName", "creationTimestamp", "deletionTimestamp",
        "generation",   "resourceVersion",   "deletionGracePeriodSeconds"};
    struct doc_object out = doc_object_copy(arena, object);
    struct doc_object metadata = doc_object_copy(arena, doc_get(object, "metadata"));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        const struct doc_value *value = doc_get(from, "metadata", kept[i]);
        if (value) {
            doc_object_set_c(&metadata, kept[i], *value);
        } else {
            doc_object_remove(&metadata, str_from(kept[i]));
        }
    }
    doc_object_set_c(&out, "apiVersion", *doc_get(from, "apiVersion"));
    doc_object_set_c(&out, "kind", *doc_get(from, "kind"));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    return doc_object_done(&out);
}

static bool mutate_scale(struct api_op *op, const struct doc_value *old, struct doc_value *object) {
    struct doc_value scale = api_scale_of(op->arena, op->kind, object), sent = scale;
    struct doc_value before = api_scale_of(op->arena, op->kind, old);
    struct chain_write write = chain_write_of(op, API_UPDATE, &before, &scale);
    write.gvk = (struct kube_gvk){STR("autoscaling"), STR("v1"), STR("Scale")};
    return hooks_mutate(&write) &&
           (doc_equal(&scale, &sent) ||
            api_scale_apply(op->arena, op->kind, &scale, object, &op->error));
}

static bool is_scale(const struct api_op *op) {
    return str_eq(op->request.subresource, STR("scale"));
}

bool api_chain_mutate(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                      struct doc_value *object) {
    struct api_chain *chain = op->server->chain;
    struct chain_write whole = chain_write_of(op, operation, old, object);
    if (!fill(&whole)) {
        return false;
    }
    if (!has_hooks(&chain->mutating, true, op->kind)) {
        return true;
    }
    if (is_scale(op)) {
        return mutate_scale(op, old, object);
    }
    struct doc_value seen =
        operation == API_CREATE
            ? without_identity(op->arena, object, op->fresh_suffix.n && !op->request.name.n)
            : *object;
    struct chain_write write = chain_write_of(op, operation, old, &seen);
    if (!hooks_mutate(&write)) {
        return false;
    }
    *object = with_identity(op->arena, object, &seen);
    return true;
}

// ---- What only looks ----
static bool has_policies(const struct api_chain *chain) {
    return chain->policies->collection->count > 0 && chain->policies->bindings->count > 0;
}

bool api_chain_watches_deletes(struct api_op *op) {
    struct api_chain *chain = op->server->chain;
    return has_hooks(&chain->mutating, true, op->kind) ||
           has_hooks(&chain->validating, false, op->kind) ||
           (has_policies(chain) && !is_exempt(op->kind));
}

static bool look(struct chain_write *write) {
    struct api_chain *chain = write->chain;
    if (!write->object && has_hooks(&chain->mutating, true, write->kind) && !hooks_mutate(write)) {
        return false;
    }
    if (has_policies(chain) && !is_exempt(write->kind) && !policies_admit(write)) {
        return false;
    }
    return !has_hooks(&chain->validating, false, write->kind) || hooks_validate(write);
}

// Expressions that do not compile are refused when they are written.
static bool understood(const struct chain_write *write) {
    struct api_op *op = write->op;
    const struct api_kind *kind = write->kind;
    if (!str_eq(kind->group, STR("admissionregistration.k8s.io")) || write->subresource.n) {
        return true;
    }
    if (str_eq(kind->kind, STR("ValidatingAdmissionPolicy"))) {
        return policy_check(write);
    }
    if (str_eq(kind->kind, STR("MutatingAdmissionPolicy"))) {
        return api_invalid(op, write->name, "FieldValueForbidden", STR("spec"),
                           STR("Forbidden: this server does not evaluate mutating admission "
                               "policies: use a mutating webhook"));
    }
    const struct doc_value *hooks = doc_get(write->object, "webhooks");
    for (size_t i = 0; i < doc_len(hooks); i++) {
        if (!policy_check_conditions(write, doc_get(doc_at(hooks, i), "matchConditions"),
                                     arena_printf(op->arena, "webhooks[%zu].matchConditions", i))) {
            return false;
        }
    }
    return true;
}

bool api_chain_admit(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                     struct doc_value *object) {
    struct chain_write write = chain_write_of(op, operation, old, object);
    struct doc_value scale, before;
    op->charges = NULL;
    if (object && (!understood(&write) || !fill(&write) || !chain_limits(&write))) {
        return false;
    }
    if (object && is_scale(op)) {
        scale = api_scale_of(op->arena, op->kind, object);
        before = api_scale_of(op->arena, op->kind, old);
        write.object = &scale;
        write.old = &before;
        write.gvk = (struct kube_gvk){STR("autoscaling"), STR("v1"), STR("Scale")};
    }
    return look(&write) && (!object || chain_quota(&write));
}

void api_chain_charge(struct api_op *op) {
    for (struct chain_charge *charge = op->charges; charge; charge = charge->next) {
        blob_unref(api_store_put(op, charge->entry, (struct str){NULL, 0}, charge->quota));
    }
    op->charges = NULL;
}

bool api_chain_subresource(struct api_op *op, struct doc_value *object) {
    struct api_chain *chain = op->server->chain;
    if (!api_chain_watches_deletes(op)) {
        return true;
    }
    struct chain_write write = chain_write_of(op, API_CREATE, NULL, object);
    struct str group = {NULL, 0}, version = doc_get_str(object, "apiVersion");
    size_t slash = str_find_char(version, '/');
    if (slash != STR_NPOS) {
        group = str_first(version, slash);
        version = str_skip(version, slash + 1);
    }
    write.gvk = (struct kube_gvk){group, version, doc_get_str(object, "kind")};
    return (!has_hooks(&chain->mutating, true, op->kind) || hooks_mutate(&write)) && look(&write);
}

// ---- The server's part ----
void api_chain_committed(struct apiserver *server, const struct api_event *event) {
    quota_committed(server->chain, event);
    protect_committed(server->chain, event);
}

static void start(struct apiserver *server) {
    quota_recount_all(server->chain);
    protect_start(server->chain);
}

struct api_chain *api_chain_create(struct apiserver *server) {
    struct api_chain *chain = NEW(struct api_chain);
    const struct {
        struct api_collection **collection;
        const char *group, *plural;
    } used[] = {
        {&chain->namespaces, "", "namespaces"},
        {&chain->pods, "", "pods"},
        {&chain->claims, "", "persistentvolumeclaims"},
        {&chain->volumes, "", "persistentvolumes"},
        {&chain->limits, "", "limitranges"},
        {&chain->quotas, "", "resourcequotas"},
        {&chain->priorities, "scheduling.k8s.io", "priorityclasses"},
        {&chain->runtimes, "node.k8s.io", "runtimeclasses"},
        {&chain->storage_classes, "storage.k8s.io", "storageclasses"},
        {&chain->ingress_classes, "networking.k8s.io", "ingressclasses"},
    };
    chain->server = server;
    for (size_t i = 0; i < ARRAY_LEN(used); i++) {
        *used[i].collection =
            api_collection_get(server, str_from(used[i].group), str_from(used[i].plural));
    }
    struct str group = STR("admissionregistration.k8s.io");
    chain->policies = NEW(struct policies);
    *chain->policies = (struct policies){
        .collection = api_collection_get(server, group, STR("validatingadmissionpolicies")),
        .bindings = api_collection_get(server, group, STR("validatingadmissionpolicybindings")),
        .stamp = -1,
    };
    chain->recount = map_create();
    chain->held = map_create();
    hook_list_init(&chain->mutating, server, "mutatingwebhookconfigurations");
    hook_list_init(&chain->validating, server, "validatingwebhookconfigurations");
    api_post(server, start);
    return chain;
}

void api_chain_destroy(struct api_chain *chain) {
    if (chain) {
        hook_list_fini(&chain->mutating);
        hook_list_fini(&chain->validating);
        policies_fini(chain->policies);
        free(chain->policies);
        loop_timer_destroy(chain->recount_timer);
        map_destroy(chain->recount);
        map_destroy(chain->held);
        free(chain);
    }
}
