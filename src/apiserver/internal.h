// SPDX-License-Identifier: Apache-2.0
// What the files of apiserver/ share. Three parts: the core (objects, verbs, watch, commits, HTTP), the kinds (registry,
// CRDs, discovery, OpenAPI, tables, admission) and the controllers of the simulated cluster (workloads, garbage
// collection, namespaces), which use the public calls of apiserver.h only.
#ifndef SKIFF_APISERVER_INTERNAL_H
#define SKIFF_APISERVER_INTERNAL_H

#include "apiserver/apiserver.h"
#include "base/blob.h"
#include "doc/doc.h"
#include "schema/schema.h"

// ---- Kinds (kinds.c: built-in ones as data; crd.c: those that CustomResourceDefinitions add and remove) ----
struct api_column { // of a Table reply, as additionalPrinterColumns
    struct str name, type, format, description;
    int priority;
    struct str json_path; // custom kinds; built-in ones have a cell function
};

struct
    api_kind { // one served version of one kind; borrowed from the registry, valid for the current turn
    struct str group, version, kind, plural, singular, list_kind;
    const struct str *short_names;
    size_t short_name_count;
    const struct str *categories;
    size_t category_count;
    bool namespaced;
    bool
        has_status; // status sub-resource: writes to the object keep status, writes to status keep the rest
    bool has_scale;
    bool has_generation; // metadata.generation grows when anything but metadata and status changes
    bool read_only, no_store;  // e.g. reviews: answered by `virtual_create`, nothing kept
    bool no_collection_delete; // namespaces
    bool returns_deleted;      // DELETE answers with the object, not with a Status
    bool custom;
    bool schema_refused; // custom kind whose schema did not compile: not served
    struct str
        storage_group; // where its objects are kept; differs from `group` for events.k8s.io only
    struct str storage_version;        // all versions of a kind are stored as this one
    const struct doc_value *converter; // spec.conversion.webhook of a custom kind, or NULL
    struct str deprecation;            // what clients of a deprecated version are warned of
    const struct str *subresources;    // besides status and scale, e.g. "eviction"
    size_t subresource_count;
    struct str scale_spec_path, scale_status_path, scale_selector_path; // ".spec.replicas", ...
    const struct str
        *selectable; // paths of custom kinds that field selectors may name ("spec.color")
    size_t selectable_count;
    const struct schema_type *merge;    // strategic merge; NULL: custom kind
    const struct schema_struct *schema; // structural schema of a custom kind, or NULL
    const struct api_column *columns;
    size_t column_count;
};

struct api_kinds;
struct api_kinds *api_kinds_create(void);
void api_kinds_destroy(struct api_kinds *kinds);
AUTO_DEFINE(struct api_kinds, api_kinds_destroy)
const struct api_kind *api_kinds_find(const struct api_kinds *kinds, struct str group,
                                      struct str version, struct str plural);
const struct api_kind *api_kinds_find_kind(const struct api_kinds *kinds, struct str group,
                                           struct str version, struct str kind);
bool api_kinds_next(const struct api_kinds *kinds, size_t *iter,
                    const struct api_kind **kind); // groups and versions in serving order
// Tells the registry of a CRD that was stored, changed (object) or removed (NULL object). Errors become the CRD's conditions.
void api_kinds_crd_changed(struct api_kinds *kinds, struct str crd_name,
                           const struct doc_value *crd);
// The status this CRD should have (acceptedNames, conditions, storedVersions); the core writes it back when it differs.
// False when the status it has is right already. Call it after every write of a CRD, after api_kinds_crd_changed.
bool api_crd_status(struct arena *arena, const struct api_kinds *kinds, const struct doc_value *crd,
                    int64_t now_ns, struct doc_value *status);
// Grows with every change of the registry; a cheap ETag and cache key for discovery.
uint64_t api_kinds_generation(const struct api_kinds *kinds);
// The form of an object in another version of its kind: storage <-> served. Borrows from `object`.
struct doc_value api_kind_convert(struct arena *arena, const struct api_kind *to,
                                  const struct doc_value *object);
// The kind that the objects of `kind` are stored as (itself, for most).
const struct api_kind *api_kinds_storage(const struct api_kinds *kinds,
                                         const struct api_kind *kind);

// ---- Errors of the API: a Status object ----
struct api_error {
    int status;               // HTTP
    char reason[64];          // metav1.StatusReason: "NotFound", "Invalid", ...
    struct str message;       // in the request's arena
    struct doc_value details; // null or StatusDetails with causes
    int64_t retry_after_seconds;
};
// Sets and returns false. status.c words them as Kubernetes does: api_error_not_found(...) -> deployments.apps "x" not found
bool api_error_set(struct api_error *error, struct arena *arena, int status, const char *reason,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
bool api_error_not_found(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                         struct str name);
bool api_error_exists(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                      struct str name);
bool api_error_conflict(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                        struct str name);
bool api_error_invalid(struct api_error *error, struct arena *arena, const struct api_kind *kind,
                       struct str name, const struct schema_problem *problems, size_t count);
struct doc_value api_error_status(struct arena *arena,
                                  const struct api_error *error); // the Status object

// ---- Admission (admit.c): defaults, pruning, validation, immutable fields; pure ----
enum api_operation { API_CREATE, API_UPDATE, API_UPDATE_STATUS };
struct api_admission {
    enum api_operation operation;
    const struct api_kind *kind;
    const struct doc_value *old; // NULL on create
    struct str field_validation; // "Strict", "Warn", "Ignore"
    // What the body has twice: paths, or complete lines where it was YAML.
    const struct str *duplicates;
    size_t duplicate_count;
    bool yaml;
    bool has_empty;     // found by the decoder: an empty list or map that is not written again
    bool defaults_only; // the checks come later, after others changed the object
    // Warnings for the Warning header, added by admission (arena).
    struct str *warnings;
    size_t warning_count;
};
// Replaces *object by the admitted form. Metadata (uid, generation, creationTimestamp, ...) is the core's business.
bool api_admit(struct arena *arena, struct api_admission *admission, struct doc_value *object,
               struct api_error *error);
// What needs the state of the server: a Service's cluster IP and node ports. `taken` says whether an address or a port
// ("10.96.0.7", "30080") is in use by another Service. Call it on create and update, after api_admit; `old` as there.
bool api_service_allocate(struct arena *arena, const struct doc_value *old,
                          struct doc_value *object, struct str uid,
                          bool (*taken)(void *ctx, struct str address), void *ctx,
                          struct api_error *error);
// The scale sub-resource: an autoscaling/v1 Scale of this object, and the object with the replicas of a Scale.
struct doc_value api_scale_of(struct arena *arena, const struct api_kind *kind,
                              const struct doc_value *object);
bool api_scale_apply(struct arena *arena, const struct api_kind *kind,
                     const struct doc_value *scale, struct doc_value *object,
                     struct api_error *error);
// The fields a field selector may name for this kind; false when unsupported.
bool api_field_value(const struct api_kind *kind, const struct doc_value *object, struct str field,
                     struct arena *arena, struct str *value);

// ---- Tables (table.c) ----
// Appends one meta.k8s.io/v1 Table for these objects; `include` is the includeObject parameter ("Metadata", "Object", "None").
bool api_table_print(struct arena *arena, const struct api_kind *kind,
                     const struct doc_value *const *objects, size_t count, struct str include,
                     bool with_columns, const struct doc_value *list_metadata, int64_t now_ns,
                     struct buf *out);

// ---- Discovery and OpenAPI (discovery.c, openapi.c): GET of /api, /apis, /version, /openapi/v2, /openapi/v3/... ----
// False when the path is not theirs. The content changes only with the registry's CRDs.
struct api_text {
    struct str content_type;
    struct str etag;     // or empty
    struct str location; // where it is now, for a 301, or empty
    bool immutable;      // may be kept for ever
    struct str server;   // in: the server's address as its client knows it, or empty
    struct blob *body;   // a reference of the caller's
};
bool api_discovery_page(const struct api_kinds *kinds, struct str path, struct str query,
                        struct str accept, struct arena *arena, struct api_text *page);
// Frees the texts that were kept for the next client; call it when nobody asked for a while.
struct api_pages;
struct api_pages *api_kinds_pages(const struct api_kinds *kinds);
void api_pages_forget(struct api_pages *pages);
// The same without its headers.
bool api_discovery_get(const struct api_kinds *kinds, struct str path, struct str accept,
                       struct arena *arena, struct str *content_type, struct buf *out);

// ---- Controllers of the simulated cluster (workloads/, gc.c, namespace.c): made by apiserver_create, clients of the public calls ----
// The registry of the running server, so that the garbage collector can find the resource of an ownerReference and the
// namespace controller all namespaced kinds. Borrowed; follows CRDs.
const struct api_kinds *apiserver_kinds(const struct apiserver *server);
// What the controllers rely on in the core:
// - a watch without a resourceVersion begins with an ADDED for every object that exists, then follows changes; a watch of
//   a kind that is not served (yet, or no more) ends by on_end;
// - apiserver_peek sees a write, and watches have told of it, at the latest when the callback of that write runs;
// - metadata.generateName is honoured; PATCH with KUBE_PATCH_MERGE works for objects and for "status";
// - a status write to a Deployment may also change its annotations (as upstream: only spec and labels are kept);
// - DELETE of a Pod that is scheduled and not Succeeded or Failed, with a grace period (default: its
//   terminationGracePeriodSeconds, else 30) above 0, sets deletionTimestamp and deletionGracePeriodSeconds and leaves it;
//   the simulated node deletes it for good with grace_seconds 0;
// - DELETE with KUBE_FOREGROUND or KUBE_ORPHAN (Job objects default to orphan only in batch/v1beta1, so never here) adds the
//   finalizer "foregroundDeletion" or "orphan" and sets deletionTimestamp; removing the last finalizer of an object with a
//   deletionTimestamp removes it;
// - a Namespace is created with spec.finalizers ["kubernetes"]; DELETE sets deletionTimestamp and phase Terminating; UPDATE
//   of sub-resource "finalize" replaces spec.finalizers and removes the object when none is left;
// - DELETE of a CustomResourceDefinition adds the finalizer "customresourcecleanup.apiextensions.k8s.io" while instances
//   may exist; namespace.c deletes them and removes the finalizer.
struct api_controllers;
struct api_controllers *api_controllers_create(struct apiserver *server,
                                               const struct apiserver_options *options);
void api_controllers_destroy(struct api_controllers *controllers);

#endif
