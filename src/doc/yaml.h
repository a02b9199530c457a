// SPDX-License-Identifier: Apache-2.0
// YAML streams in and out, as the Go tools around Kubernetes read and print them.
#ifndef SKIFF_DOC_YAML_H
#define SKIFF_DOC_YAML_H

#include "doc/doc.h"

enum yaml_profile {
    YAML_KUBERNETES, // sigs.k8s.io/yaml: YAML 1.1 booleans (yes, on), JSON types, keys become strings
    YAML_KUSTOMIZE, // kyaml: "yes" stays a string, dates become times; see the table in the module's README
};

struct yaml_place {
    const struct doc_value *value;
    uint32_t line, column; // 1-based
};

struct yaml_document {
    struct doc_value root;     // DOC_NULL for an empty document
    uint32_t line;             // where its first node starts
    struct yaml_place *places; // of every value, for yaml_place_of
    size_t place_count;
};

struct yaml_notes {
    struct str *items;
    size_t len, cap;
};

struct yaml_options {
    enum yaml_profile profile;
    bool
        strict; // duplicate keys are errors (as `kubectl apply --validate` and kustomize), else the last wins
    bool places; // record places (costs 16 bytes a value)
    struct yaml_notes
        *duplicates; // or NULL: gets "line 6: key \"a\" already set in map", not strict
};

// All documents of a stream; JSON is accepted as the YAML it is. Nothing borrows `text` afterwards. Errors carry line
// and column. Limits: LIMIT_YAML_*.
bool yaml_parse(struct str text, const struct yaml_options *options, struct arena *arena,
                struct yaml_document **out, size_t *count, struct err *err) MUST_USE;
// The place of a value of this document, or that of the nearest recorded ancestor's; {0,0} when unknown.
void yaml_place_of(const struct yaml_document *document, const struct doc_value *value,
                   uint32_t *line, uint32_t *column);

// What `kubectl get -o yaml` and sigs.k8s.io/yaml print: keys sorted in go-yaml's natural order, sequences not indented
// under their key, long plain text folded as go-yaml v2 does.
bool yaml_print(const struct doc_value *v, struct buf *out);

#endif
