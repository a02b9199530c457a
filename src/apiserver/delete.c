// SPDX-License-Identifier: Apache-2.0
// DELETE: at once where nothing holds the object, else it is marked (deletionTimestamp) and goes when the last finalizer
// does, or when a pod's node deletes it with no grace left.
#include "apiserver/core.h"

#include "base/timefmt.h"

static const struct str FOREGROUND = STR_INIT("foregroundDeletion");
static const struct str ORPHAN = STR_INIT("orphan");
static const struct str CRD_CLEANUP = STR_INIT("customresourcecleanup.apiextensions.k8s.io");

// ---- DeleteOptions ----
static bool bad_policy(struct api_op *op, const char *reason, struct str message) {
    static const struct api_kind kind = {.group = STR_INIT("meta.k8s.io"),
                                         .kind = STR_INIT("DeleteOptions")};
    struct schema_problem problem = {
        .path = STR("propagationPolicy"), .reason = str_from(reason), .message = message};
    return api_error_invalid(&op->error, op->arena, &kind, (struct str){"", 0}, &problem, 1);
}

bool api_delete_options(struct api_op *op) {
    struct api_request *request = &op->request;
    if (!str_trim(request->body).n) {
        return true;
    }
    struct doc_value options;
    if (!api_body_parse(op, &options)) {
        return false;
    }
    struct str kind = doc_get_str(&options, "kind");
    if (doc_kind(&options) != DOC_OBJECT || (kind.n && !str_eq(kind, STR("DeleteOptions")))) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "no kind \"%.*s\" is registered for version \"%.*s\"", STR_ARG(kind),
                             STR_ARG(doc_get_str(&options, "apiVersion")));
    }
    struct str policy = doc_get_str(&options, "propagationPolicy");
    const struct doc_value *orphan = doc_get(&options, "orphanDependents");
    if (str_eq(policy, STR("Foreground"))) {
        request->propagation = KUBE_FOREGROUND;
    } else if (str_eq(policy, STR("Background"))) {
        request->propagation = KUBE_BACKGROUND;
    } else if (str_eq(policy, STR("Orphan"))) {
        request->propagation = KUBE_ORPHAN;
    } else if (policy.n) {
        return bad_policy(op, "FieldValueNotSupported",
                          arena_printf(op->arena,
                                       "Unsupported value: \"%.*s\": supported values: "
                                       "\"Foreground\", \"Background\", \"Orphan\", \"nil\"",
                                       STR_ARG(policy)));
    } else if (doc_is(orphan, DOC_BOOL)) {
        request->propagation = doc_bool(orphan, false) ? KUBE_ORPHAN : KUBE_BACKGROUND;
    }
    if (policy.n && doc_is(orphan, DOC_BOOL)) {
        return bad_policy(op, "FieldValueInvalid",
                          arena_printf(op->arena,
                                       "Invalid value: \"%.*s\": orphanDependents and "
                                       "deletionPropagation cannot be both set",
                                       STR_ARG(policy)));
    }
    const struct doc_value *grace = doc_get(&options, "gracePeriodSeconds");
    if (doc_is(grace, DOC_INT)) {
        request->grace_seconds = doc_int(grace, -1);
    }
    struct str uid = doc_get_str(&options, "preconditions", "uid");
    struct str version = doc_get_str(&options, "preconditions", "resourceVersion");
    request->precondition_uid = uid.n ? uid : request->precondition_uid;
    request->precondition_version = version.n ? version : request->precondition_version;
    for (DOC_EACH_ITEM(doc_get(&options, "dryRun"), item)) {
        request->dry_run |= str_eq(doc_str(item), STR("All"));
    }
    return true;
}

static bool with_details(struct api_op *op, struct str kind, struct str name) {
    struct doc_object details = doc_object_start(op->arena);
    doc_object_set_c(&details, "name", doc_make_str(name));
    doc_object_set_c(&details, "kind", doc_make_str(kind));
    op->error.details = doc_object_done(&details);
    return false;
}

static bool check_preconditions(struct api_op *op, const struct doc_value *object) {
    const struct api_request *request = &op->request;
    struct str kind = op->kind->group.n
                          ? arena_printf(op->arena, "%.*s.%.*s", STR_ARG(op->kind->kind),
                                         STR_ARG(op->kind->group))
                          : op->kind->kind;
    struct str uid = doc_get_str(object, "metadata", "uid");
    struct str version = doc_get_str(object, "metadata", "resourceVersion");
    struct str name = doc_get_str(object, "metadata", "name");
    if (request->precondition_uid.n && !str_eq(request->precondition_uid, uid)) {
        api_error_set(&op->error, op->arena, 409, "Conflict",
                      "Operation cannot be fulfilled on %.*s \"%.*s\": the UID in the "
                      "precondition (%.*s) does not match the UID in record (%.*s). The "
                      "object might have been deleted and then recreated",
                      STR_ARG(kind), STR_ARG(name), STR_ARG(request->precondition_uid),
                      STR_ARG(uid));
        return with_details(op, kind, name);
    }
    if (request->precondition_version.n && !str_eq(request->precondition_version, version)) {
        api_error_set(&op->error, op->arena, 409, "Conflict",
                      "Operation cannot be fulfilled on %.*s \"%.*s\": the ResourceVersion "
                      "in the precondition (%.*s) does not match the ResourceVersion in "
                      "record (%.*s). The object might have been modified",
                      STR_ARG(kind), STR_ARG(name), STR_ARG(request->precondition_version),
                      STR_ARG(version));
        return with_details(op, kind, name);
    }
    return true;
}

// ---- What holds an object ----
static struct doc_value without_item(struct arena *arena, const struct doc_value *array,
                                     struct str item) {
    struct doc_array out = doc_array_start(arena);
    for (DOC_EACH_ITEM(array, value)) {
        if (!str_eq(doc_str(value), item)) {
            doc_array_add(&out, *value);
        }
    }
    return doc_array_done(&out);
}

static struct doc_value with_item(struct arena *arena, const struct doc_value *array,
                                  struct str item) {
    struct doc_value rest = without_item(arena, array, item);
    struct doc_array out = doc_array_start(arena);
    for (DOC_EACH_ITEM(&rest, value)) {
        doc_array_add(&out, *value);
    }
    doc_array_add(&out, doc_make_str(item));
    return doc_array_done(&out);
}

static bool has_instances(struct api_op *op, const struct doc_value *crd) {
    struct api_collection *instances = api_collection_get(
        op->server, doc_get_str(crd, "spec", "group"), doc_get_str(crd, "spec", "names", "plural"));
    return instances && instances->count > 0;
}

static bool is_core(const struct api_kind *kind, struct str plural) {
    return !kind->group.n && str_eq(kind->plural, plural);
}

static struct doc_value finalizers_after(struct api_op *op, const struct doc_value *object) {
    struct arena *arena = op->arena;
    const struct doc_value *has = doc_get(object, "metadata", "finalizers");
    struct doc_value out = has ? *has : doc_null();
    switch (op->request.propagation) {
    case KUBE_FOREGROUND:
        out = without_item(arena, &out, ORPHAN);
        out = with_item(arena, &out, FOREGROUND);
        break;
    case KUBE_ORPHAN:
        out = without_item(arena, &out, FOREGROUND);
        out = with_item(arena, &out, ORPHAN);
        break;
    case KUBE_BACKGROUND:
        out = without_item(arena, &out, ORPHAN);
        out = without_item(arena, &out, FOREGROUND);
        break;
    case KUBE_PROPAGATION_DEFAULT:
        break;
    }
    if (str_eq(op->kind->group, STR("apiextensions.k8s.io")) &&
        !doc_get(object, "metadata", "deletionTimestamp") && has_instances(op, object)) {
        out = with_item(arena, &out, CRD_CLEANUP);
    }
    static const struct str protections[] = {STR_INIT("kubernetes.io/pvc-protection"),
                                             STR_INIT("kubernetes.io/pv-protection")};
    for (size_t i = 0; i < ARRAY_LEN(protections); i++) {
        bool here = is_core(op->kind, i ? STR("persistentvolumes") : STR("persistentvolumeclaims"));
        if (here && !api_chain_in_use(op, object)) {
            out = without_item(arena, &out, protections[i]);
        }
    }
    return out;
}

// Only pods that a node runs get time.
static int64_t grace_of(struct api_op *op, const struct doc_value *object) {
    if (!is_core(op->kind, STR("pods"))) {
        return 0;
    }
    struct str phase = doc_get_str(object, "status", "phase");
    if (!doc_get_str(object, "spec", "nodeName").n || str_eq(phase, STR("Succeeded")) ||
        str_eq(phase, STR("Failed"))) {
        return 0;
    }
    if (op->request.grace_seconds >= 0) {
        return op->request.grace_seconds;
    }
    return doc_int(doc_get(object, "spec", "terminationGracePeriodSeconds"), 30);
}

static struct doc_value mark(struct api_op *op, const struct doc_value *object,
                             struct doc_value finalizers, int64_t grace) {
    struct arena *arena = op->arena;
    struct doc_object metadata = doc_object_copy(arena, doc_get(object, "metadata"));
    if (doc_len(&finalizers)) {
        doc_object_set_c(&metadata, "finalizers", finalizers);
    } else {
        doc_object_remove(&metadata, STR("finalizers"));
    }
    const struct doc_value *has_mark = doc_get(object, "metadata", "deletionTimestamp");
    int64_t grace_before = doc_int(doc_get(object, "metadata", "deletionGracePeriodSeconds"), 0);
    if (!has_mark || grace < grace_before) {
        int64_t at = loop_wall(op->server->loop) + grace * NS_PER_SECOND;
        doc_object_set_c(&metadata, "deletionTimestamp", doc_make_str(time_format(arena, at)));
        doc_object_set_c(&metadata, "deletionGracePeriodSeconds", doc_make_int(grace));
    }
    const struct doc_value *generation = doc_get(object, "metadata", "generation");
    if (!has_mark && doc_is(generation, DOC_INT)) {
        doc_object_set_c(&metadata, "generation", doc_make_int(doc_int(generation, 0) + 1));
    }
    struct doc_object out = doc_object_copy(arena, object);
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    struct doc_value value = doc_object_done(&out);
    if (is_core(op->kind, STR("namespaces"))) {
        value = doc_with(arena, &value, DOC_S("Terminating"), "status", "phase");
    }
    return value;
}

static bool may_go(struct api_op *op, const struct doc_value *object) {
    static const char *const kept[] = {"default", "kube-system", "kube-public"};
    struct str name = doc_get_str(object, "metadata", "name");
    for (size_t i = 0; is_core(op->kind, STR("namespaces")) && i < ARRAY_LEN(kept); i++) {
        if (str_eq_c(name, kept[i])) {
            return api_error_set(&op->error, op->arena, 403, "Forbidden",
                                 "namespaces \"%.*s\" is forbidden: this namespace may not be "
                                 "deleted",
                                 STR_ARG(name));
        }
    }
    if (str_eq(op->kind->group, STR("scheduling.k8s.io")) && str_starts(name, STR("system-"))) {
        return api_error_set(&op->error, op->arena, 403, "Forbidden",
                             "priorityclasses.scheduling.k8s.io \"%.*s\" is forbidden: this is a "
                             "system priority class and cannot be deleted",
                             STR_ARG(name));
    }
    return true;
}

// *after is a new reference: what is left of the object, or its last state.
bool api_delete_object(struct api_op *op, struct api_object *old, bool *removed,
                       struct blob **after) {
    const struct doc_value *object = &old->value;
    if (!may_go(op, object) || !check_preconditions(op, object)) {
        return false;
    }
    struct doc_value finalizers = finalizers_after(op, object);
    int64_t grace = grace_of(op, object);
    bool held = doc_len(&finalizers) > 0 || (is_core(op->kind, STR("namespaces")) &&
                                             doc_len(doc_get(object, "spec", "finalizers")) > 0);
    *removed = false;
    if (held || grace > 0) {
        struct doc_value marked = mark(op, object, finalizers, grace);
        if (doc_equal(&marked, object)) {
            *after = blob_ref(old->blob);
            return true;
        }
        *after = api_store_put(op, old->entry, (struct str){NULL, 0}, marked);
        return *after != NULL;
    }
    *removed = true;
    *after = api_store_remove(op, old->entry, *object);
    return *after != NULL;
}

static bool reply_success(struct api_op *op, const struct doc_value *object) {
    struct arena *arena = op->arena;
    struct doc_object details = doc_object_start(arena);
    doc_object_set_c(&details, "name", doc_make_str(doc_get_str(object, "metadata", "name")));
    if (op->kind->group.n) {
        doc_object_set_c(&details, "group", doc_make_str(op->kind->group));
    }
    doc_object_set_c(&details, "kind", doc_make_str(op->kind->plural));
    doc_object_set_c(&details, "uid", doc_make_str(doc_get_str(object, "metadata", "uid")));
    struct doc_object metadata = doc_object_start(arena);
    struct doc_object status = doc_object_start(arena);
    doc_object_set_c(&status, "kind", DOC_S("Status"));
    doc_object_set_c(&status, "apiVersion", DOC_S("v1"));
    doc_object_set_c(&status, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&status, "status", DOC_S("Success"));
    doc_object_set_c(&status, "details", doc_object_done(&details));
    struct doc_value value = doc_object_done(&status);
    op->status = 200;
    api_op_add_text(op, doc_to_json(arena, &value));
    return true;
}

static bool passes_chain(struct api_op *op, struct api_object *old) {
    if (!api_chain_watches_deletes(op)) {
        return true;
    }
    struct doc_value served = api_served_form(op, old);
    return may_go(op, &old->value) && check_preconditions(op, &old->value) &&
           api_chain_admit(op, API_UPDATE, &served, NULL);
}

bool api_verb_delete(struct api_op *op) {
    AUTO_OBJECT struct api_object old = {0};
    if (!api_delete_options(op) || !api_object_load(op, op->request.ns, op->request.name, &old)) {
        return false;
    }
    bool removed;
    struct blob *after = NULL;
    if (!passes_chain(op, &old) || !api_delete_object(op, &old, &removed, &after)) {
        return false;
    }
    api_convert_follow(op, old.blob, after);
    bool ok = removed && !is_core(op->kind, STR("pods")) ? reply_success(op, &old.value)
                                                         : api_reply_object(op, 200, after);
    blob_unref(after);
    return ok;
}

// ---- DELETE of a collection ----
static bool delete_selected(struct api_op *op, struct api_entry *entry,
                            const struct api_selection *selection, struct blob **after) {
    struct blob *text = api_entry_text(entry, NULL);
    arena_reset(op->server->scratch);
    bool wanted =
        text && (api_selection_is_empty(selection) ||
                 api_selection_matches(selection, op->kind, blob_str(text), op->server->scratch));
    blob_unref(text);
    *after = NULL;
    if (!wanted) {
        return true;
    }
    AUTO_OBJECT struct api_object old = {0};
    bool removed;
    bool ok = api_object_load(op, api_entry_ns(entry), api_entry_name(entry), &old) &&
              api_delete_object(op, &old, &removed, after);
    if (ok) {
        api_convert_follow(op, old.blob, *after);
    }
    return ok;
}

// Webhooks are asked about all objects before the first goes: a parked request has changed nothing.
static bool collection_passes_chain(struct api_op *op, const struct api_selection *selection,
                                    struct str prefix) {
    struct api_cursor cursor = api_cursor_at(op->collection, prefix);
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            break;
        }
        struct blob *text = entry->deleted ? NULL : api_entry_text(entry, NULL);
        arena_reset(op->server->scratch);
        bool wanted = text && (api_selection_is_empty(selection) ||
                               api_selection_matches(selection, op->kind, blob_str(text),
                                                     op->server->scratch));
        blob_unref(text);
        AUTO_OBJECT struct api_object old = {0};
        if (wanted &&
            (!api_object_load(op, api_entry_ns(entry), api_entry_name(entry), &old) ||
             !passes_chain(op, &old)) &&
            op->error.status) {
            return false;
        }
    }
    return !op->parked;
}

static struct blob *collection_head(struct api_op *op, struct str prefix, struct str last,
                                    int64_t left, bool all) {
    struct str version = api_group_version(op->arena, op->kind->group, op->kind->version);
    struct doc_object metadata = doc_object_start(op->arena);
    int64_t revision = op->server->durable;
    doc_object_set_c(&metadata, "resourceVersion",
                     doc_make_str(arena_printf(op->arena, "%lld", (long long)revision)));
    if (left) {
        doc_object_set_c(&metadata, "continue",
                         doc_make_str(api_continue_token(op->arena, revision, prefix, last)));
        if (all) {
            doc_object_set_c(&metadata, "remainingItemCount", doc_make_int(left));
        }
    }
    struct doc_value value = doc_object_done(&metadata);
    return blob_create(arena_printf(op->arena,
                                    "{\"kind\":\"%.*s\",\"apiVersion\":\"%.*s\",\"metadata\":"
                                    "%.*s,\"items\":[",
                                    STR_ARG(op->kind->list_kind), STR_ARG(version),
                                    STR_ARG(doc_to_json(op->arena, &value))));
}

bool api_verb_delete_collection(struct api_op *op) {
    if (op->kind->no_collection_delete) {
        return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                             "the server does not allow this method on the requested resource");
    }
    struct api_selection selection;
    if (!api_delete_options(op) ||
        !api_selection_parse(op->arena, op->kind, op->request.label_selector,
                             op->request.field_selector, &selection, &op->error)) {
        return false;
    }
    struct str prefix = op->request.ns.n ? arena_concat(op->arena, op->request.ns, STR("/"))
                                         : (struct str){NULL, 0};
    if ((op->kind->converter || api_chain_watches_deletes(op)) &&
        !collection_passes_chain(op, &selection, prefix)) {
        return false;
    }
    op->status = 200;
    size_t head = op->part_count;
    api_op_add_text(op, STR(""));
    // Deleted entries stay in the index until their commit, so the walk is safe.
    struct api_cursor cursor = api_cursor_at(op->collection, prefix);
    int64_t count = 0, left = 0;
    struct str last = {NULL, 0};
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        if (!str_starts(api_entry_key(entry), prefix)) {
            break;
        }
        struct blob *after = NULL;
        if (op->request.limit > 0 && count == op->request.limit) {
            left += !entry->deleted;
        } else if (!entry->deleted && !delete_selected(op, entry, &selection, &after)) {
            return false;
        }
        if (after) {
            if (count++) {
                api_op_add_text(op, STR(","));
            }
            last = arena_dup(op->arena, api_entry_key(entry));
            api_op_add(op, api_op_serve(op, after));
            blob_unref(after);
        }
    }
    api_op_add_text(op, STR("]}\n"));
    blob_unref(op->parts[head]);
    op->parts[head] = collection_head(op, prefix, last, left, api_selection_is_empty(&selection));
    return true;
}
