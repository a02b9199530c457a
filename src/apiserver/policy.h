// SPDX-License-Identifier: Apache-2.0
// Admission policies and match conditions for the admission chain.
#ifndef SKIFF_APISERVER_POLICY_H
#define SKIFF_APISERVER_POLICY_H

#include "apiserver/chain.h"
#include "cel/cel.h"

struct policy_text { // an expression of a list: a condition, a variable, a validation
    struct str name;
    const struct doc_value *item;
    struct cel_program *program, *message; // NULL: it does not compile; there is none
};
struct policy {
    struct str name;
    const struct doc_value *spec;
    struct policy_text *conditions, *variables, *validations;
    size_t condition_count, variable_count, validation_count;
};
struct policies {
    struct api_collection *collection, *bindings;
    int64_t stamp, binding_stamp;
    struct arena *arena;
    struct policy *policies;
    const struct doc_value **bound;
    size_t count, binding_count;
};

struct cel_program *policy_compile(struct arena *arena, struct str text,
                                   struct cel_problem *problem);
struct policy_text *policy_texts(struct arena *arena, const struct doc_value *list, size_t *count);
void policy_texts_release(struct policy_text *texts, size_t count);
// 1: all hold; 0: one does not; -1: `err`.
int policy_conditions(const struct chain_write *write, const struct policy_text *conditions,
                      size_t count, struct err *err);
bool policies_admit(const struct chain_write *write);
void policies_fini(struct policies *list);
// A policy or the conditions of a webhook that are being written: do the expressions compile?
bool policy_check(const struct chain_write *write);
bool policy_check_conditions(const struct chain_write *write, const struct doc_value *list,
                             struct str path);

#endif
