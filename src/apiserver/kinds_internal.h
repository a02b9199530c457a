// SPDX-License-Identifier: Apache-2.0
// What the files of the kinds share with each other and with nobody else: the data of the built-in kinds and the
// entries that CustomResourceDefinitions make.
#ifndef SKIFF_APISERVER_KINDS_INTERNAL_H
#define SKIFF_APISERVER_KINDS_INTERNAL_H

#include "apiserver/internal.h"
#include "base/map.h"
#include "base/vec.h"

// ---- Built-in kinds as data (kinds_builtin.c) ----
enum kind_flag {
    KIND_CLUSTER = 1 << 0, // not namespaced
    KIND_STATUS = 1 << 1,
    KIND_SCALE = 1 << 2,
    KIND_GENERATION = 1 << 3,
    KIND_READ_ONLY = 1 << 4,
    KIND_NO_STORE = 1 << 5,
    KIND_NO_COLLECTION_DELETE = 1 << 6,
    KIND_RETURNS_DELETED = 1 << 7,
};
struct builtin_kind {
    const char *group, *version, *kind, *plural;
    const char *short_names; // separated by spaces, as are the next two; NULL: none
    const char *categories;
    const char *subresources;
    const char *storage_group, *storage_version; // NULL: its own
    unsigned flags;
    const char *deprecation; // what clients are warned of, or NULL
};
extern const struct builtin_kind builtin_kinds[];
extern const size_t builtin_kind_count;

struct builtin_part { // a sub-resource as discovery announces it
    const char *name;
    const char *verbs;                  // separated by spaces
    const char *group, *version, *kind; // of the body; NULL: the object itself
};
const struct builtin_part *api_builtin_part(struct str name); // NULL: no such name

// All sub-resources of a kind in byte order of their names, status and scale among them.
enum { API_PARTS_MAX = 16 };
struct api_part {
    struct str name;
    const char *verbs;
    bool own; // the body is the object
    struct str group, version, kind;
};
size_t api_kind_parts(struct arena *arena, const struct api_kind *kind,
                      struct api_part parts[API_PARTS_MAX]);
// The verbs of the kind itself, separated by spaces.
const char *api_kind_verbs(const struct api_kind *kind);

// ---- Custom kinds (crd.c) ----
struct crd_names {
    struct str plural, singular, kind, list_kind;
    const struct str *short_names;
    size_t short_name_count;
    const struct str *categories;
    size_t category_count;
};

struct crd_entry { // what one CRD adds; owns an arena with all its texts
    struct arena *arena;
    struct str name, group;
    struct crd_names accepted;
    struct str conflict_reason, conflict_message; // empty: all names are accepted
    struct str schema_message;                    // why a schema is refused, or empty
    bool established;
    bool has_kind, has_plural;   // parts of `accepted` that are set
    const struct doc_value *crd; // our copy
    struct api_kind *kinds;      // one a served version, best version first
    size_t kind_count;
};

struct api_kinds {
    struct api_kind *builtin;
    size_t builtin_count;
    struct arena *arena;             // of the built-in ones
    VEC(struct crd_entry *) crds;    // sorted by group, then name
    VEC(struct crd_entry *) retired; // removed ones that the current turn may still use
    VEC(const struct api_kind *) order;
    struct map *by_plural, *by_kind; // "group/version/plural" -> struct api_kind
    uint64_t generation;
    struct api_pages *pages; // documents made of all this (openapi.c)
};
struct api_pages *api_pages_create(void);
void api_pages_destroy(struct api_pages *pages); // NULL is fine

struct crd_entry *crd_entry_create(const struct api_kinds *kinds, struct str name,
                                   const struct doc_value *crd);
void crd_entry_destroy(struct crd_entry *entry);
const struct crd_entry *api_kinds_find_crd(const struct api_kinds *kinds, struct str name);

// The openAPIV3Schema of a custom kind, or NULL.
const struct doc_value *crd_kind_schema(const struct api_kinds *kinds, const struct api_kind *kind);

// v2 before v1 before v1beta2 before v1alpha1, then the rest in byte order; <0: `a` comes first.
int api_version_order(struct str a, struct str b);

// Splits a C string at spaces into an array in the arena.
const struct str *api_words(struct arena *arena, const char *text, size_t *count);

// "deployments.apps", "pods"
struct str api_kind_resource_name(struct arena *arena, const struct api_kind *kind);

#endif
