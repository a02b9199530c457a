// SPDX-License-Identifier: Apache-2.0
// The entries of metadata.managedFields between decoding and encoding: who owns which fields.
#ifndef SKIFF_APISERVER_MANAGED_H
#define SKIFF_APISERVER_MANAGED_H

#include "apiserver/core.h"
#include "apiserver/fieldset.h"

struct managed_entry {
    struct str manager, version, subresource, time; // time empty: none
    bool applied;
    bool parsed;                    // `set` holds the fields; else only `fields` does
    bool changed;                   // `set` is not what `source` says any more
    const struct doc_value *source; // as stored; NULL: a new one
    const struct doc_value *fields;
    struct fieldset set;
};

struct managed {
    struct arena *arena;
    struct managed_entry *items;
    size_t len, cap;
    bool reset; // the client set the list empty
};

// From a list of entries. Strict: every part must be right, and elements are written anew; else entries that cannot be
// understood make the list empty, as in Kubernetes.
bool managed_read(struct arena *arena, const struct doc_value *list, bool strict,
                  struct managed *out, struct err *err);
struct managed_entry *managed_add(struct managed *managed);
void managed_remove(struct managed *managed, size_t i);
// The set of an entry, parsed on first use.
const struct fieldset *managed_set(struct managed *managed, struct managed_entry *entry);
void managed_change(struct managed_entry *entry, struct fieldset set);
// In the order of Kubernetes: operation, time, manager, version, sub-resource.
struct doc_value managed_print(struct managed *managed, const struct doc_value *before);
// Folds the oldest Update entries into "ancient-changes" when there are more than ten.
void managed_cap(struct managed *managed);

// One write of one manager: the two states in the version of the request, and in those of the entries.
struct managed_write {
    struct api_op *op;
    struct schema_fields root;
    struct str version; // apiVersion of the request
    const struct doc_value *before, *after;
    struct fieldset_diff diff;
    struct { // of other versions whose objects look different
        struct str version;
        struct fieldset_diff diff;
    } * others;
    size_t other_count;
};
struct schema_fields managed_root(const struct api_kind *kind);
void managed_compare(struct managed_write *write);
// What the write means in the version of an entry; NULL: that version is not served any more.
const struct fieldset_diff *managed_diff(struct managed_write *write, struct str version);
// The kind in another version of the request's kind; NULL when there is none.
const struct api_kind *managed_kind(const struct api_op *op, struct str version);
// Takes what was changed and removed from all entries but `self` (an index, or SIZE_MAX); empty ones go.
void managed_take(struct managed *managed, struct managed_write *write, size_t self);
// An Update entry of `manager` gets what the write changed.
void managed_track(struct managed *managed, struct managed_write *write, struct str manager);

#endif
