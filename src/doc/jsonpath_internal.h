// SPDX-License-Identifier: Apache-2.0
// Private to jsonpath*.c: the parsed form of a template.
#ifndef SKIFF_DOC_JSONPATH_INTERNAL_H
#define SKIFF_DOC_JSONPATH_INTERNAL_H

#include "doc/jsonpath.h"

enum jsonpath_node_kind {
    JSONPATH_TEXT,
    JSONPATH_LIST, // one {...}: steps applied one after the other
    JSONPATH_FIELD,
    JSONPATH_INDEX, // [1], [1:2], [*]
    JSONPATH_FILTER,
    JSONPATH_VALUE, // a number or boolean
    JSONPATH_WILDCARD,
    JSONPATH_RECURSIVE,
    JSONPATH_UNION,
    JSONPATH_RANGE,
    JSONPATH_END,
    JSONPATH_UNKNOWN_WORD, // an error, but only where it is evaluated, as in kubectl
};

enum jsonpath_operator {
    JSONPATH_EXISTS,
    JSONPATH_EQ,
    JSONPATH_NE,
    JSONPATH_LT,
    JSONPATH_LE,
    JSONPATH_GT,
    JSONPATH_GE,
    JSONPATH_BAD_OPERATOR,
};

struct jsonpath_bound {
    int64_t value;
    bool known;
    bool derived; // the end of a single index
};

struct jsonpath_list {
    struct jsonpath_node *nodes;
    uint32_t len, cap;
};

struct jsonpath_node {
    enum jsonpath_node_kind kind;
    struct doc_value value;     // TEXT, FIELD and words as strings; VALUE
    struct jsonpath_list list;  // LIST; UNION (of LISTs); the left side of FILTER
    struct jsonpath_list right; // FILTER
    enum jsonpath_operator op;  // FILTER
    struct jsonpath_bound bounds[3];
};

struct jsonpath {
    struct jsonpath_list root; // TEXT and LIST in turn
};

bool jsonpath_parse(struct str text, struct arena *arena, struct jsonpath_list *out,
                    struct err *err);

#endif
