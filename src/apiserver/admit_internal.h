// SPDX-License-Identifier: Apache-2.0
// What the files of admission share: a list of problems in Kubernetes' words, and small helpers for defaults.
#ifndef SKIFF_APISERVER_ADMIT_INTERNAL_H
#define SKIFF_APISERVER_ADMIT_INTERNAL_H

#include "apiserver/internal.h"

struct admit {
    struct arena *arena;
    struct api_admission *admission;
    const struct api_kind *kind;
    const struct doc_value *old; // NULL on create
    struct schema_problem *problems;
    size_t problem_count, problem_cap;
    const struct doc_value *claim_templates; // of a StatefulSet: its pods may mount them
    const char *selector_owner;              // who needs the selector, for messages
};

// ---- Problems; `path` is printf text ----
void admit_problem_invalid(struct admit *a, struct str path, const struct doc_value *value,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));
void admit_problem_add(struct admit *a, const struct schema_problem *problem); // as it is
void admit_problem_required(struct admit *a, struct str path, const char *detail);
void admit_problem_forbidden(struct admit *a, struct str path, const char *detail);
void admit_problem_duplicate(struct admit *a, struct str path, const struct doc_value *value);
void admit_problem_not_found(struct admit *a, struct str path, const struct doc_value *value);
void admit_problem_too_long(struct admit *a, struct str path, size_t max);
void admit_problem_too_many(struct admit *a, struct str path, size_t count, size_t max);
void admit_warn(struct admit *a, struct str text);
// `supported`: values separated by spaces, in byte order.
void admit_problem_unsupported(struct admit *a, struct str path, const struct doc_value *value,
                               const char *supported);
// A string value in the arena, for what an absent field stands for.
const struct doc_value *admit_text_value(struct admit *a, const char *text);
struct str admit_path_of(struct admit *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// ---- Checks that many kinds need; absent values are fine ----
void admit_check_choice(struct admit *a, struct str path, const struct doc_value *value,
                        const char *supported);
void admit_check_not_negative(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_port(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_port_or_name(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_dns_label(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_dns_subdomain(struct admit *a, struct str path, const struct doc_value *value);
// `text`: what the message shows as the value, for fields that Go prints in its own way.
void admit_problem_unsupported_text(struct admit *a, struct str path, struct str text,
                                    const char *supported);
void admit_problem_duplicate_text(struct admit *a, struct str path, struct str text);
void admit_check_port_name(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_ip(struct admit *a, struct str path, const struct doc_value *value);
bool admit_check_cidr(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_count_or_percent(struct admit *a, struct str path, const struct doc_value *value,
                                  bool part);
void admit_check_label_key(struct admit *a, struct str path, struct str key);
void admit_check_labels(struct admit *a, struct str path, const struct doc_value *labels);
void admit_check_quantity(struct admit *a, struct str path, const struct doc_value *value);
void admit_check_label_selector(struct admit *a, struct str path, const struct doc_value *selector);
void admit_check_metadata(struct admit *a, const struct doc_value *object);
void admit_check_immutable(struct admit *a, struct str path, const struct doc_value *now,
                           const struct doc_value *before);
bool admit_selector_covers(const struct doc_value *selector, const struct doc_value *labels);

// ---- Defaults: values are replaced in place (`*value` is the caller's copy), absent members are added ----
void admit_default_str(struct arena *arena, struct doc_value *object, const char *key,
                       const char *text);
void admit_default_int(struct arena *arena, struct doc_value *object, const char *key,
                       int64_t value);
void admit_default_bool(struct arena *arena, struct doc_value *object, const char *key, bool value);
void admit_default_object(struct arena *arena, struct doc_value *object, const char *key); // {}
// Applies `change` to a member object (or to each item of a member array) that is there.
typedef void default_change(struct arena *arena, struct doc_value *object);
void admit_default_in(struct arena *arena, struct doc_value *object, const char *key,
                      default_change *change);
void admit_default_each(struct arena *arena, struct doc_value *object, const char *key,
                        default_change *change);
void admit_set_member(struct arena *arena, struct doc_value *object, const char *key,
                      struct doc_value value);
void admit_remove_member(struct arena *arena, struct doc_value *object, const char *key);
struct doc_value admit_empty_object(struct arena *arena);

// ---- decode.c: the shape of built-in kinds ----
bool api_decode(struct admit *a, struct doc_value *object, struct str **unknown, size_t *count,
                struct api_error *error);
// Without empty lists and maps where they may be missing, as the object is kept.
struct doc_value api_decode_trim(struct arena *arena, const struct api_kind *kind,
                                 const struct doc_value *object);
bool api_decode_metadata(struct admit *a, struct doc_value *object, struct str **unknown,
                         size_t *count, struct api_error *error);

// ---- Per kind ----
struct admit_rule {
    const char *group, *kind;
    void (*fill)(struct admit *a, struct doc_value *object); // defaults; all writes but of status
    void (*check)(struct admit *a, const struct doc_value *object);
    void (*check_update)(struct admit *a, const struct doc_value *object,
                         const struct doc_value *old);
};
// Lists end with an entry without a kind.
extern const struct admit_rule admit_core[], admit_workloads[], admit_network[], admit_policy[],
    admit_control[], admit_storage[], admit_webhooks[];

void admit_pod_spec_fill(struct arena *arena, struct doc_value *spec);
void admit_template_fill(struct arena *arena, struct doc_value *template);
void admit_pod_place_check(struct admit *a, struct str path, const struct doc_value *spec);
void admit_pod_spec_check(struct admit *a, struct str path, const struct doc_value *spec);
// What is accepted but does not do what it seems to; `at` is "" or ends with a dot.
void admit_pod_warn(struct admit *a, const char *at, const struct doc_value *pod);
void admit_pod_fill(struct admit *a, struct doc_value *object);
void admit_pod_check(struct admit *a, const struct doc_value *object);
void admit_pod_update(struct admit *a, const struct doc_value *object, const struct doc_value *old);
void admit_crd_fill(struct admit *a, struct doc_value *object);
void admit_crd_check(struct admit *a, const struct doc_value *object);
void admit_crd_update(struct admit *a, const struct doc_value *object, const struct doc_value *old);

#endif
