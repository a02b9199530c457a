// SPDX-License-Identifier: Apache-2.0
// Functions over lists and sets, and optional values.
#include "base/vec.h"
#include "cel/cel_internal.h"

#define FUNCTION(name) \
    static struct cel_value name(struct cel_eval *e, struct cel_value *args, size_t count)

// ---- Order and sums ----

FUNCTION(is_sorted) {
    for (size_t i = 1; i < cel_list_len(&args[0]); i++) {
        struct cel_value a = cel_list_at(e, &args[0], i - 1), b = cel_list_at(e, &args[0], i);
        int order;
        if (!cel_compare(&a, &b, &order)) {
            return cel_no_overload(e);
        }
        if (order > 0) {
            return cel_bool(false);
        }
    }
    return cel_bool(true);
}

static struct cel_value sum_from(struct cel_eval *e, const struct cel_value *list,
                                 struct cel_value sum) {
    for (size_t i = 0; i < cel_list_len(list); i++) {
        struct cel_value item = cel_list_at(e, list, i);
        sum = i == 0 && item.kind == sum.kind ? item : cel_arith(e, OP_ADD, &sum, &item);
        if (sum.kind == CEL_ERROR) {
            return sum;
        }
    }
    return sum;
}

FUNCTION(sum_int) {
    return sum_from(e, &args[0], cel_int(0));
}
FUNCTION(sum_uint) {
    return sum_from(e, &args[0], (struct cel_value){.kind = CEL_UINT});
}
FUNCTION(sum_double) {
    return sum_from(e, &args[0], (struct cel_value){.kind = CEL_DOUBLE});
}
FUNCTION(sum_duration) {
    return sum_from(e, &args[0], (struct cel_value){.kind = CEL_DURATION});
}

static struct cel_value extreme(struct cel_eval *e, const struct cel_value *list, int wanted,
                                const char *name) {
    struct cel_value best = {0};
    for (size_t i = 0; i < cel_list_len(list); i++) {
        struct cel_value item = cel_list_at(e, list, i);
        int order = wanted;
        if (i > 0 && !cel_compare(&item, &best, &order)) {
            return cel_no_overload(e);
        }
        best = i == 0 || order == wanted ? item : best;
    }
    return cel_list_len(list) ? best : cel_error(e->arena, "%s called on empty list", name);
}

FUNCTION(list_min) {
    return extreme(e, &args[0], -1, "min");
}
FUNCTION(list_max) {
    return extreme(e, &args[0], 1, "max");
}

FUNCTION(index_of) {
    for (size_t i = 0; i < cel_list_len(&args[0]) && cel_spend(e, 0); i++) {
        struct cel_value item = cel_list_at(e, &args[0], i);
        if (cel_equal(e, &item, &args[1])) {
            return cel_int((int64_t)i);
        }
    }
    return cel_int(-1);
}

FUNCTION(last_index_of) {
    for (size_t i = cel_list_len(&args[0]); i > 0 && cel_spend(e, 0); i--) {
        struct cel_value item = cel_list_at(e, &args[0], i - 1);
        if (cel_equal(e, &item, &args[1])) {
            return cel_int((int64_t)i - 1);
        }
    }
    return cel_int(-1);
}

// ---- New lists ----

FUNCTION(slice) {
    int64_t start = args[1].u.integer, end = args[2].u.integer;
    int64_t length = (int64_t)cel_list_len(&args[0]);
    if (start < 0 || end < 0) {
        return cel_error(e->arena, "cannot slice(%lld, %lld), negative indexes not supported",
                         (long long)start, (long long)end);
    }
    if (start > end) {
        return cel_error(
            e->arena,
            "cannot slice(%lld, %lld), start index must be less than or equal to end index",
            (long long)start, (long long)end);
    }
    if (length < end) {
        return cel_error(e->arena, "cannot slice(%lld, %lld), list is length %lld",
                         (long long)start, (long long)end, (long long)length);
    }
    struct cel_value out = cel_list_make(e->arena, (size_t)(end - start));
    for (int64_t i = start; i < end; i++) {
        cel_list_add(e->arena, out.u.list, cel_list_at(e, &args[0], (size_t)i));
    }
    return out;
}

static bool flatten_into(struct cel_eval *e, const struct cel_value *list, int64_t depth,
                         struct cel_list *out) {
    for (size_t i = 0; i < cel_list_len(list); i++) {
        struct cel_value item = cel_list_at(e, list, i);
        if (!cel_spend(e, 0)) {
            return false;
        }
        if (item.kind == CEL_LIST && depth > 0) {
            if (!flatten_into(e, &item, depth - 1, out)) {
                return false;
            }
        } else {
            cel_list_add(e->arena, out, item);
        }
    }
    return true;
}

FUNCTION(flatten) {
    int64_t depth = count > 1 ? args[1].u.integer : 1;
    if (depth < 0) {
        return cel_error(e->arena, "level must be non-negative");
    }
    struct cel_value out = cel_list_make(e->arena, 0);
    flatten_into(e, &args[0], depth, out.u.list);
    return out;
}

FUNCTION(reverse) {
    size_t length = cel_list_len(&args[0]);
    struct cel_value out = cel_list_make(e->arena, length);
    for (size_t i = length; i > 0; i--) {
        cel_list_add(e->arena, out.u.list, cel_list_at(e, &args[0], i - 1));
    }
    return out;
}

static bool holds(struct cel_eval *e, const struct cel_value *list, const struct cel_value *item) {
    for (size_t i = 0; i < cel_list_len(list) && cel_spend(e, 0); i++) {
        struct cel_value other = cel_list_at(e, list, i);
        if (cel_equal(e, &other, item)) {
            return true;
        }
    }
    return false;
}

FUNCTION(distinct) {
    struct cel_value out = cel_list_make(e->arena, 0);
    for (size_t i = 0; i < cel_list_len(&args[0]) && cel_spend(e, 0); i++) {
        struct cel_value item = cel_list_at(e, &args[0], i);
        if (!holds(e, &out, &item)) {
            cel_list_add(e->arena, out.u.list, item);
        }
    }
    return out;
}

FUNCTION(range) {
    int64_t n = args[0].u.integer;
    if (n > 1000 * 1000) {
        return cel_error(e->arena, "lists.range: the list is too long");
    }
    struct cel_value out = cel_list_make(e->arena, n > 0 ? (size_t)n : 0);
    for (int64_t i = 0; i < n; i++) {
        cel_list_add(e->arena, out.u.list, cel_int(i));
    }
    return out;
}

// A stable merge sort of positions by their keys; false when two cannot be compared.
static bool sort_positions(const struct cel_value *keys, size_t *at, size_t *spare, size_t n) {
    if (n < 2) {
        return true;
    }
    size_t half = n / 2;
    if (!sort_positions(keys, at, spare, half) ||
        !sort_positions(keys, at + half, spare, n - half)) {
        return false;
    }
    memcpy(spare, at, half * sizeof *at);
    size_t left = 0, right = half, out = 0;
    while (left < half && right < n) {
        int order;
        if (!cel_compare(&keys[at[right]], &keys[spare[left]], &order)) {
            return false;
        }
        at[out++] = order < 0 ? at[right++] : spare[left++];
    }
    while (left < half) {
        at[out++] = spare[left++];
    }
    return true;
}

static struct cel_value sort_by(struct cel_eval *e, const struct cel_value *list,
                                const struct cel_value *keys) {
    size_t n = cel_list_len(list);
    if (cel_list_len(keys) != n) {
        return cel_error(e->arena,
                         "@sortByAssociatedKeys() expected a list of the same size as the "
                         "associated keys list, but got %zu and %zu elements respectively",
                         n, cel_list_len(keys));
    }
    struct cel_value *values = ARENA_ARRAY(e->arena, n + 1, struct cel_value);
    size_t *at = ARENA_ARRAY(e->arena, n + 1, size_t),
           *spare = ARENA_ARRAY(e->arena, n + 1, size_t);
    for (size_t i = 0; i < n; i++) {
        values[i] = cel_list_at(e, keys, i);
        at[i] = i;
        int order;
        if (!cel_compare(&values[i], &values[0], &order) || values[i].kind != values[0].kind) {
            return cel_error(e->arena, "list elements must have the same type");
        }
    }
    if (!sort_positions(values, at, spare, n)) {
        return cel_error(e->arena, "list elements must be comparable");
    }
    struct cel_value out = cel_list_make(e->arena, n);
    for (size_t i = 0; i < n; i++) {
        cel_list_add(e->arena, out.u.list, cel_list_at(e, list, at[i]));
    }
    return out;
}

FUNCTION(sort) {
    return sort_by(e, &args[0], &args[0]);
}
FUNCTION(sort_by_keys) {
    return sort_by(e, &args[0], &args[1]);
}

static struct cel_value end_of(struct cel_eval *e, const struct cel_value *list, bool last) {
    size_t n = cel_list_len(list);
    if (n == 0) {
        return cel_optional(e->arena, NULL);
    }
    struct cel_value item = cel_list_at(e, list, last ? n - 1 : 0);
    return cel_optional(e->arena, &item);
}

FUNCTION(first) {
    return end_of(e, &args[0], false);
}
FUNCTION(last) {
    return end_of(e, &args[0], true);
}

// ---- Sets ----

static bool contains_all(struct cel_eval *e, const struct cel_value *a, const struct cel_value *b) {
    for (size_t i = 0; i < cel_list_len(b) && cel_spend(e, 0); i++) {
        struct cel_value item = cel_list_at(e, b, i);
        if (!holds(e, a, &item)) {
            return false;
        }
    }
    return true;
}

FUNCTION(sets_contains) {
    return cel_bool(contains_all(e, &args[0], &args[1]));
}
FUNCTION(sets_equivalent) {
    return cel_bool(contains_all(e, &args[0], &args[1]) && contains_all(e, &args[1], &args[0]));
}
FUNCTION(sets_intersects) {
    for (size_t i = 0; i < cel_list_len(&args[1]) && cel_spend(e, 0); i++) {
        struct cel_value item = cel_list_at(e, &args[1], i);
        if (holds(e, &args[0], &item)) {
            return cel_bool(true);
        }
    }
    return cel_bool(false);
}

// ---- Optional values ----

FUNCTION(optional_of) {
    return cel_optional(e->arena, &args[0]);
}
FUNCTION(optional_of_non_zero) {
    return cel_optional(e->arena, cel_is_zero(&args[0]) ? NULL : &args[0]);
}
FUNCTION(optional_none) {
    return cel_optional(e->arena, NULL);
}
FUNCTION(optional_value) {
    return args[0].u.optional ? *args[0].u.optional
                              : cel_error(e->arena, "optional.none() dereference");
}
FUNCTION(optional_has) {
    return cel_bool(args[0].u.optional != NULL);
}
FUNCTION(optional_unwrap) {
    struct cel_value out = cel_list_make(e->arena, 0);
    for (size_t i = 0; i < cel_list_len(&args[0]); i++) {
        struct cel_value item = cel_list_at(e, &args[0], i);
        if (item.kind != CEL_OPTIONAL) {
            return cel_no_overload(e);
        }
        if (item.u.optional) {
            cel_list_add(e->arena, out.u.list, *item.u.optional);
        }
    }
    return out;
}

static const struct cel_function LIST[] = {
    {"isSorted", "Li>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "Lu>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "Ld>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "Lb>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "LD>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "Lt>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "Ls>b", true, COST_TRAVERSE, is_sorted},
    {"isSorted", "Ly>b", true, COST_TRAVERSE, is_sorted},
    {"sum", "Li>i", true, COST_TRAVERSE, sum_int},
    {"sum", "Lu>u", true, COST_TRAVERSE, sum_uint},
    {"sum", "Ld>d", true, COST_TRAVERSE, sum_double},
    {"sum", "LD>D", true, COST_TRAVERSE, sum_duration},
    {"max", "Li>i", true, COST_TRAVERSE, list_max},
    {"max", "Lu>u", true, COST_TRAVERSE, list_max},
    {"max", "Ld>d", true, COST_TRAVERSE, list_max},
    {"max", "Lb>b", true, COST_TRAVERSE, list_max},
    {"max", "LD>D", true, COST_TRAVERSE, list_max},
    {"max", "Lt>t", true, COST_TRAVERSE, list_max},
    {"max", "Ls>s", true, COST_TRAVERSE, list_max},
    {"max", "Ly>y", true, COST_TRAVERSE, list_max},
    {"min", "Li>i", true, COST_TRAVERSE, list_min},
    {"min", "Lu>u", true, COST_TRAVERSE, list_min},
    {"min", "Ld>d", true, COST_TRAVERSE, list_min},
    {"min", "Lb>b", true, COST_TRAVERSE, list_min},
    {"min", "LD>D", true, COST_TRAVERSE, list_min},
    {"min", "Lt>t", true, COST_TRAVERSE, list_min},
    {"min", "Ls>s", true, COST_TRAVERSE, list_min},
    {"min", "Ly>y", true, COST_TRAVERSE, list_min},
    {"indexOf", "LAA>i", true, COST_TRAVERSE, index_of},
    {"lastIndexOf", "LAA>i", true, COST_TRAVERSE, last_index_of},
    {"slice", "LAii>LA", true, COST_NEW_LIST, slice},
    {"flatten", "LLA>LA", true, COST_NEW_LIST, flatten},
    {"flatten", "L*i>L*", true, COST_NEW_LIST, flatten},
    {"reverse", "LA>LA", true, COST_NEW_LIST, reverse},
    {"distinct", "LA>LA", true, COST_SORT, distinct},
    {"sort", "Li>Li", true, COST_SORT, sort},
    {"sort", "Lu>Lu", true, COST_SORT, sort},
    {"sort", "Ld>Ld", true, COST_SORT, sort},
    {"sort", "Lb>Lb", true, COST_SORT, sort},
    {"sort", "LD>LD", true, COST_SORT, sort},
    {"sort", "Lt>Lt", true, COST_SORT, sort},
    {"sort", "Ls>Ls", true, COST_SORT, sort},
    {"sort", "Ly>Ly", true, COST_SORT, sort},
    {"@sortByAssociatedKeys", "LALi>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALu>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALd>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALb>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALD>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALt>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALs>LA", true, COST_SORT, sort_by_keys},
    {"@sortByAssociatedKeys", "LALy>LA", true, COST_SORT, sort_by_keys},
    {"lists.range", "i>Li", false, COST_NEW_LIST, range},
    {"first", "LA>OA", true, COST_ONE, first},
    {"last", "LA>OA", true, COST_ONE, last},
    {"sets.contains", "LALA>b", false, COST_SETS, sets_contains},
    {"sets.equivalent", "LALA>b", false, COST_SETS_TWICE, sets_equivalent},
    {"sets.intersects", "LALA>b", false, COST_SETS, sets_intersects},
    {"optional.of", "A>OA", false, COST_ONE, optional_of},
    {"optional.ofNonZeroValue", "A>OA", false, COST_ONE, optional_of_non_zero},
    {"optional.none", ">OA", false, COST_ONE, optional_none},
    {"value", "OA>A", true, COST_ONE, optional_value},
    {"hasValue", "OA>b", true, COST_ONE, optional_has},
    {"orValue", "OAA>A", true, COST_ONE, optional_value},
    {"or", "OAOA>OA", true, COST_ONE, optional_of},
    {"optional.unwrap", "LOA>LA", false, COST_ONE, optional_unwrap},
    {"unwrapOpt", "LOA>LA", true, COST_ONE, optional_unwrap},
};
const struct cel_functions cel_functions_list = {LIST, ARRAY_LEN(LIST)};
