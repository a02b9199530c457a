// SPDX-License-Identifier: Apache-2.0
// CREATE and UPDATE, and the steps that every write shares: read the body, apply the rules, admit, store. A write works
// on the newest state, also when that is not durable yet; its reply waits for the commit of both.
#include "apiserver/core.h"

#include "apiserver/protobuf.h"
#include "doc/yaml.h"

// ---- The body ----
bool api_body_parse(struct api_op *op, struct doc_value *out) {
    struct err err = {0};
    if (op->request.body_protobuf) {
        bool ok = api_protobuf_parse(op->request.body, op->arena, out, &err);
        return ok ||
               api_error_set(&op->error, op->arena, err.code == ERR_UNSUPPORTED ? 415 : 400,
                             err.code == ERR_UNSUPPORTED ? "UnsupportedMediaType" : "BadRequest",
                             "%s", err.message);
    }
    if (op->request.body_yaml) {
        struct yaml_notes notes = {0};
        struct yaml_options options = {.profile = YAML_KUBERNETES, .duplicates = &notes};
        struct yaml_document *documents = NULL;
        size_t count = 0;
        if (!yaml_parse(op->request.body, &options, op->arena, &documents, &count, &err)) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "error decoding YAML: line %u, column %u: %s", err.line,
                                 err.column, err.message);
        }
        if (count != 1) {
            return api_error_set(&op->error, op->arena, 400, "BadRequest",
                                 "the body must hold one YAML document, not %zu", count);
        }
        *out = documents[0].root;
        op->duplicates = notes.items;
        op->duplicate_count = notes.len;
        return true;
    }
    bool duplicates;
    if (!doc_parse_json_noting(op->request.body, op->arena, out, &duplicates, &err)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "error decoding JSON: line %u, column %u: %s", err.line, err.column,
                             err.message);
    }
    op->duplicate_count = 0;
    if (duplicates && !str_eq(op->request.field_validation, STR("Ignore"))) {
        op->duplicates = doc_json_duplicates(op->request.body, op->arena, &op->duplicate_count);
    }
    return true;
}

static bool fill(struct api_op *op, struct doc_value *object, const char *key, struct str want,
                 const char *what) {
    struct str has = doc_str(doc_find(object, str_from(key)));
    if (!has.n) {
        *object =
            doc_with_path(op->arena, object, doc_make_str(want), (const char *const[]){key, NULL});
        return true;
    }
    return str_eq(has, want) ||
           api_error_set(&op->error, op->arena, 400, "BadRequest",
                         "the %s in the data (%.*s) does not match the expected %s (%.*s)", what,
                         STR_ARG(has), what, STR_ARG(want));
}

bool api_body_identity(struct api_op *op, struct str name, struct doc_value *object) {
    if (!doc_is(object, DOC_OBJECT)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the body must be an object, not %s", doc_kind_name(doc_kind(object)));
    }
    struct str version = api_group_version(op->arena, op->kind->group, op->kind->version);
    if (!fill(op, object, "apiVersion", version, "API version") ||
        !fill(op, object, "kind", op->kind->kind, "kind")) {
        return false;
    }
    const struct doc_value *metadata = doc_get(object, "metadata");
    if (metadata && metadata->kind != DOC_OBJECT && metadata->kind != DOC_NULL) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "metadata must be an object, not %s",
                             doc_kind_name(doc_kind(metadata)));
    }
    struct str ns = doc_get_str(metadata, "namespace");
    if (ns.n && op->kind->namespaced && !str_eq(ns, op->request.ns)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the namespace of the provided object does not match the namespace "
                             "sent on the request");
    }
    struct str given = doc_get_str(metadata, "name");
    if (name.n && given.n && !str_eq(given, name)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the name of the object (%.*s) does not match the name on the URL "
                             "(%.*s)",
                             STR_ARG(given), STR_ARG(name));
    }
    if (name.n && !given.n && op->request.verb == API_VERB_UPDATE) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the name of the object (%.*s based on URL) was undeterminable: name "
                             "must be provided",
                             STR_ARG(name));
    }
    return true;
}

bool api_body_object(struct api_op *op, struct str name, struct doc_value *out) {
    return api_body_parse(op, out) && api_body_identity(op, name, out);
}

// ---- What is there ----
bool api_object_load(struct api_op *op, struct str ns, struct str name, struct api_object *out) {
    struct api_entry *entry = api_entry_find(op->collection, ns, name);
    if (!entry || entry->deleted) {
        return api_error_not_found(&op->error, op->arena, op->kind, name);
    }
    struct err err = {0};
    struct blob *blob = api_entry_text(entry, &err);
    struct doc_value value;
    if (!blob || !doc_parse_json(blob_str(blob), op->arena, &value, &err)) {
        blob_unref(blob);
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "Internal error occurred: reading the store: %s", err.message);
    }
    if (!api_convert_texts(op, op->kind, &blob, 1)) {
        blob_unref(blob);
        return false;
    }
    *out = (struct api_object){.entry = entry, .blob = blob, .value = value};
    return true;
}

void api_object_fini(struct api_object *object) {
    blob_unref(object->blob);
    object->blob = NULL;
}

static const struct api_kind *storage_of(struct api_op *op) {
    return api_kinds_storage(op->server->kinds, op->kind);
}

struct doc_value api_served_form(struct api_op *op, const struct api_object *stored) {
    struct blob *converted = op->kind->converter ? api_converted(op, op->kind, stored->blob) : NULL;
    struct doc_value value;
    bool parsed = converted && doc_parse_json_copy(blob_str(converted), op->arena, &value, NULL);
    blob_unref(converted);
    if (parsed) {
        return value;
    }
    return storage_of(op) == op->kind && !op->kind->custom
               ? stored->value
               : api_kind_convert(op->arena, op->kind, &stored->value);
}

static struct blob *print_object(struct api_op *op, const struct doc_value *object);

// Fields have no owner in the question: their times are not those of the next execution.
static bool convert_stored(struct api_op *op, const struct api_kind *storage,
                           const struct doc_value *object, struct doc_value *out) {
    struct doc_value plain = doc_without(op->arena, object, "metadata", "managedFields");
    struct blob *text = print_object(op, &plain);
    if (!text) {
        return false;
    }
    bool ok = api_convert_texts(op, storage, &text, 1);
    struct blob *converted = ok ? api_converted(op, storage, text) : NULL;
    blob_unref(text);
    struct err err = {0};
    ok = ok && (!converted || doc_parse_json_copy(blob_str(converted), op->arena, out, &err) ||
                api_error_set(&op->error, op->arena, 500, "InternalError", "%s", err.message));
    if (ok && !converted) { // it is in that version
        *out = plain;
    }
    blob_unref(converted);
    const struct doc_value *owners = doc_get(object, "metadata", "managedFields");
    if (ok && storage->schema) {
        struct str *pruned = NULL;
        size_t count = 0;
        *out = schema_struct_prune(storage->schema, op->arena, out, &pruned, &count);
    }
    if (ok && owners) {
        *out = doc_with(op->arena, out, *owners, "metadata", "managedFields");
    }
    return ok;
}

static bool stored_form(struct api_op *op, const struct doc_value *object, struct doc_value *out) {
    const struct api_kind *storage = storage_of(op);
    if (storage != op->kind && op->kind->converter) {
        return convert_stored(op, storage, object, out);
    }
    *out = storage == op->kind ? *object : api_kind_convert(op->arena, storage, object);
    return true;
}

// ---- Storing ----
static struct blob *print_object(struct api_op *op, const struct doc_value *object) {
    struct buf *out = &op->server->print;
    buf_clear(out);
    struct doc_value ordered = api_ordered(op->arena, object);
    if (!doc_print_json(&ordered, out)) {
        api_error_set(&op->error, op->arena, 413, "RequestEntityTooLarge",
                      "Request entity too large: limit is %d", LIMIT_OBJECT_BYTES);
        return NULL;
    }
    return blob_from_buf(out);
}

static struct doc_value with_revision(struct api_op *op, const struct doc_value *object,
                                      int64_t revision) {
    struct str text = arena_printf(op->arena, "%lld", (long long)revision);
    return doc_with(op->arena, object, doc_make_str(text), "metadata", "resourceVersion");
}

// Prints `object` with the next revision and records the change; a dry run only prints. NULL: op->error is set.
struct blob *api_store_put(struct api_op *op, struct api_entry *entry, struct str key,
                           struct doc_value object) {
    if (op->request.dry_run) {
        return print_object(op, &object);
    }
    // A revision is used up even when the object turns out too large: revisions only need to grow.
    int64_t revision = api_next_revision(op->server);
    object = with_revision(op, &object, revision);
    struct blob *blob = print_object(op, &object);
    if (blob) {
        entry = entry ? entry : api_entry_add(op->collection, key);
        api_change_record(op->server, entry, revision, blob, NULL);
        op->changed = true;
    }
    return blob;
}

struct blob *api_store_remove(struct api_op *op, struct api_entry *entry, struct doc_value object) {
    if (op->request.dry_run) {
        return print_object(op, &object);
    }
    int64_t revision = api_next_revision(op->server);
    object = with_revision(op, &object, revision);
    struct blob *last = print_object(op, &object);
    if (last) {
        api_change_record(op->server, entry, revision, NULL, last);
        op->changed = true;
    }
    return last;
}

static bool admit_once(struct api_op *op, struct api_admission *admission,
                       struct doc_value *object) {
    bool ok = api_admit(op->arena, admission, object, &op->error);
    for (size_t i = 0; i < admission->warning_count; i++) {
        api_op_warn(op, admission->warnings[i]);
    }
    admission->warnings = NULL;
    admission->warning_count = 0;
    return ok;
}

// What the chain changes is checked when it is through: a webhook may well add what is required. Fields get their owner
// before it, so what it adds has none.
static bool admit(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                  struct doc_value *object) {
    struct api_admission admission = {
        .operation = operation,
        .kind = op->kind,
        .old = old,
        .field_validation =
            op->request.field_validation.n ? op->request.field_validation : STR("Warn"),
        .duplicates = op->duplicates,
        .duplicate_count = op->duplicate_count,
        .yaml = op->request.body_yaml,
    };
    if (operation != API_UPDATE_STATUS && !api_authz_write(op, old, object)) {
        return false;
    }
    struct doc_value sent = *object;
    bool tracked = api_chain_mutates(op, operation);
    if (tracked) {
        admission.defaults_only = true;
        if (!admit_once(op, &admission, object) || !api_managed_update(op, old, &sent, object) ||
            !api_chain_mutate(op, operation, old, object) || !api_meta_check(op, object)) {
            return false;
        }
        admission.defaults_only = false;
        admission.field_validation = STR("Ignore"); // they were told of
        admission.duplicate_count = 0;
    }
    return admit_once(op, &admission, object) &&
           (tracked || api_managed_update(op, old, &sent, object)) &&
           api_chain_admit(op, operation, old, object);
}

// ---- Addresses and ports of Services ----
static bool address_is_taken(void *ctx, struct str address) {
    struct api_op *op = ctx;
    return api_address_is_taken(op->server, op->collection, address);
}

static bool allocate(struct api_op *op, const struct doc_value *old, struct doc_value *object) {
    if (op->kind->group.n || !str_eq(op->kind->plural, STR("services"))) {
        return true;
    }
    return api_service_allocate(op->arena, old, object, doc_get_str(object, "metadata", "uid"),
                                address_is_taken, op, &op->error);
}

// ---- CREATE ----
static bool namespace_takes_objects(struct api_op *op, struct str name) {
    struct apiserver *server = op->server;
    if (!op->kind->namespaced) {
        return true;
    }
    struct api_entry *entry = api_entry_find(api_collection_get(server, STR(""), STR("namespaces")),
                                             STR(""), op->request.ns);
    if (!entry || entry->deleted) {
        api_error_set(&op->error, op->arena, 404, "NotFound", "namespaces \"%.*s\" not found",
                      STR_ARG(op->request.ns));
        struct doc_object details = doc_object_start(op->arena);
        doc_object_set_c(&details, "name", doc_make_str(op->request.ns));
        doc_object_set_c(&details, "kind", DOC_S("namespaces"));
        op->error.details = doc_object_done(&details);
        return false;
    }
    struct blob *blob = api_entry_text(entry, NULL);
    // A namespace is small, and this mark is in its metadata when it terminates; a label's text cannot hold the quotes.
    bool terminating = blob && str_has(blob_str(blob), STR("\"deletionTimestamp\":\""));
    blob_unref(blob);
    if (!terminating) {
        return true;
    }
    api_error_set(&op->error, op->arena, 403, "Forbidden",
                  "%.*s%s%.*s \"%.*s\" is forbidden: unable to create new content in namespace "
                  "%.*s because it is being terminated",
                  STR_ARG(op->kind->plural), op->kind->group.n ? "." : "", STR_ARG(op->kind->group),
                  STR_ARG(name), STR_ARG(op->request.ns));
    struct doc_object cause = doc_object_start(op->arena);
    doc_object_set_c(&cause, "reason", DOC_S("NamespaceTerminating"));
    doc_object_set_c(&cause, "message",
                     doc_make_str(arena_printf(op->arena, "namespace %.*s is being terminated",
                                               STR_ARG(op->request.ns))));
    doc_object_set_c(&cause, "field", DOC_S("metadata.namespace"));
    struct doc_array causes = doc_array_start(op->arena);
    doc_array_add(&causes, doc_object_done(&cause));
    struct doc_object details = doc_object_start(op->arena);
    doc_object_set_c(&details, "name", doc_make_str(name));
    doc_object_set_c(&details, "kind", doc_make_str(op->kind->plural));
    doc_object_set_c(&details, "causes", doc_array_done(&causes));
    op->error.details = doc_object_done(&details);
    return false;
}

bool api_store_create(struct api_op *op, struct doc_value object) {
    if (doc_get_str(&object, "metadata", "resourceVersion").n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "resourceVersion should not be set on objects to be created");
    }
    object = api_own_requester(op, api_meta_fresh(op, object));
    struct str name = doc_get_str(&object, "metadata", "name");
    if (!namespace_takes_objects(op, name) || !api_meta_check(op, &object) ||
        !admit(op, API_CREATE, NULL, &object)) {
        return false;
    }
    struct api_entry *entry = api_entry_find(op->collection, op->request.ns, name);
    if (entry && !entry->deleted) {
        return api_error_exists(&op->error, op->arena, op->kind, name);
    }
    if (!allocate(op, NULL, &object)) {
        return false;
    }
    struct str key = arena_printf(op->arena, "%.*s/%.*s", STR_ARG(op->request.ns), STR_ARG(name));
    struct doc_value form;
    if (!stored_form(op, &object, &form)) {
        return false;
    }
    struct blob *stored = api_store_put(op, entry, key, form);
    if (stored) {
        api_chain_charge(op);
        api_convert_remember(op, stored, &object);
    }
    bool ok = stored && api_reply_object(op, 201, stored);
    blob_unref(stored);
    return ok;
}

bool api_verb_create(struct api_op *op) {
    struct doc_value object;
    if (!api_managed_check(op) || !api_body_object(op, op->request.name, &object)) {
        return false;
    }
    if (op->kind->no_store) {
        struct doc_value out;
        return api_virtual_create(op, &object, &out) && api_reply_value(op, 201, &out);
    }
    return api_store_create(op, object);
}

// ---- UPDATE ----
static bool is_skipped(struct str key) {
    return str_eq(key, STR("metadata")) || str_eq(key, STR("status"));
}

// Equal in everything but metadata and status.
static bool same_spec(const struct doc_value *a, const struct doc_value *b) {
    size_t left = 0;
    for (DOC_EACH_MEMBER(a, i)) {
        struct str key = doc_key_at(a, i);
        if (!is_skipped(key)) {
            left++;
            const struct doc_value *other = doc_find(b, key);
            if (!other || !doc_equal(doc_value_at(a, i), other)) {
                return false;
            }
        }
    }
    for (DOC_EACH_MEMBER(b, j)) {
        left -= is_skipped(doc_key_at(b, j)) ? 0 : 1;
    }
    return left == 0;
}

static bool check_preconditions(struct api_op *op, const struct doc_value *old,
                                const struct doc_value *object) {
    struct str uid = doc_get_str(object, "metadata", "uid");
    struct str has_uid = doc_get_str(old, "metadata", "uid");
    if (uid.n && !str_eq(uid, has_uid) && op->request.verb == API_VERB_PATCH) {
        return api_invalid(
            op, op->request.name, "FieldValueInvalid", STR("metadata.uid"),
            arena_printf(op->arena, "Invalid value: \"%.*s\": field is immutable", STR_ARG(uid)));
    }
    if (uid.n && !str_eq(uid, has_uid)) {
        return api_error_set(&op->error, op->arena, 409, "Conflict",
                             "Operation cannot be fulfilled on %.*s \"%.*s\": Precondition failed: "
                             "UID in precondition: %.*s, UID in object meta: %.*s",
                             STR_ARG(op->kind->plural), STR_ARG(op->request.name), STR_ARG(uid),
                             STR_ARG(has_uid));
    }
    struct str revision = doc_get_str(object, "metadata", "resourceVersion");
    if (revision.n && !str_eq(revision, doc_get_str(old, "metadata", "resourceVersion"))) {
        return api_error_conflict(&op->error, op->arena, op->kind, op->request.name);
    }
    if (!revision.n && op->kind->custom && op->request.verb == API_VERB_UPDATE) {
        struct schema_problem problem = {
            .path = STR("metadata.resourceVersion"),
            .message = STR("Invalid value: 0: must be specified for an update"),
            .reason = STR("FieldValueInvalid")};
        struct api_kind named = *op->kind; // this one speaks of the resource
        named.kind = named.plural;
        return api_error_invalid(&op->error, op->arena, &named, op->request.name, &problem, 1);
    }
    return true;
}

// Status and the rest are two halves with one writer each.
static struct doc_value split_status(struct api_op *op, const struct doc_value *old,
                                     struct doc_value object, enum api_operation operation) {
    if (operation == API_UPDATE_STATUS) {
        const struct doc_value *status = doc_get(&object, "status");
        const struct doc_value *metadata = doc_get(&object, "metadata");
        struct doc_object out = doc_object_copy(op->arena, old);
        if (status) {
            doc_object_set_c(&out, "status", *status);
        } else {
            doc_object_remove(&out, STR("status"));
        }
        if (metadata) {
            doc_object_set_c(&out, "metadata", *metadata);
        }
        return doc_object_done(&out);
    }
    if (!op->kind->has_status) {
        return object;
    }
    const struct doc_value *kept = doc_get(old, "status");
    return kept ? doc_with(op->arena, &object, *kept, "status")
                : doc_without(op->arena, &object, "status");
}

static struct doc_value grow_generation(struct api_op *op, const struct doc_value *old,
                                        struct doc_value object, enum api_operation operation) {
    if (!op->kind->has_generation || operation == API_UPDATE_STATUS || same_spec(old, &object)) {
        return object;
    }
    int64_t generation = doc_int(doc_get(old, "metadata", "generation"), 0);
    return doc_with(op->arena, &object, doc_make_int(generation + 1), "metadata", "generation");
}

bool api_is_finished(const struct api_kind *kind, const struct doc_value *object) {
    const struct doc_value *metadata = doc_get(object, "metadata");
    if (!doc_get(metadata, "deletionTimestamp") || doc_len(doc_get(metadata, "finalizers"))) {
        return false;
    }
    if (!kind->group.n && str_eq(kind->plural, STR("namespaces"))) {
        return doc_len(doc_get(object, "spec", "finalizers")) == 0;
    }
    return doc_int(doc_get(metadata, "deletionGracePeriodSeconds"), 0) == 0;
}

bool api_store_update(struct api_op *op, struct api_object *old, struct doc_value object,
                      enum api_operation operation) {
    struct doc_value before = api_served_form(op, old);
    if (!check_preconditions(op, &before, &object) ||
        !api_meta_keep(op, &before, operation, &object)) {
        return false;
    }
    object = split_status(op, &before, object, operation);
    if (!api_meta_check(op, &object) || !admit(op, operation, &before, &object) ||
        !allocate(op, &before, &object)) {
        return false;
    }
    object = grow_generation(op, &before, object, operation);
    struct doc_value stored;
    if (!stored_form(op, &object, &stored)) {
        return false;
    }
    if (api_is_finished(op->kind, &stored)) {
        struct blob *last = api_store_remove(op, old->entry, stored);
        if (last) {
            api_convert_remember(op, last, &object);
        }
        bool ok = last && api_reply_object(op, 200, last);
        blob_unref(last);
        return ok;
    }
    if (doc_equal(&stored, &old->value)) {
        return api_reply_object(op, 200, old->blob);
    }
    struct blob *blob = api_store_put(op, old->entry, (struct str){NULL, 0}, stored);
    if (blob) {
        api_chain_charge(op);
        api_convert_remember(op, blob, &object);
    }
    bool ok = blob && api_reply_object(op, 200, blob);
    blob_unref(blob);
    return ok;
}

bool api_verb_update(struct api_op *op) {
    struct doc_value object;
    AUTO_OBJECT struct api_object old = {0};
    if (!api_managed_check(op) || !api_body_object(op, op->request.name, &object) ||
        !api_object_load(op, op->request.ns, op->request.name, &old)) {
        return false;
    }
    return api_store_update(op, &old, object,
                            api_is_status_part(op) ? API_UPDATE_STATUS : API_UPDATE);
}
