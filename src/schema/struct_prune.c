// SPDX-License-Identifier: Apache-2.0
// Pruning and defaulting of custom objects by their structural schema. Objects do not change: a value in which nothing is
// to be done is shared with the result.
#include "schema/data.h"
#include "schema/struct_internal.h"

struct step {
    const struct step *parent;
    struct str key; // of a member; with a NULL pointer it is an item
    size_t index;
};

struct pruner {
    struct arena *arena;
    struct str *pruned;
    size_t count, cap;
};

static struct str path_text(struct arena *arena, const struct step *step) {
    if (!step) {
        return (struct str){NULL, 0};
    }
    struct str parent = path_text(arena, step->parent);
    if (!step->key.p) {
        return arena_printf(arena, "%.*s[%zu]", STR_ARG(parent), step->index);
    }
    return arena_printf(arena, "%.*s%s%.*s", STR_ARG(parent), parent.n ? "." : "",
                        STR_ARG(step->key));
}

static void report(struct pruner *p, const struct step *step) {
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 8;
        p->pruned =
            arena_grow(p->arena, p->pruned, p->cap * sizeof *p->pruned, cap * sizeof *p->pruned);
        p->cap = cap;
    }
    p->pruned[p->count++] = path_text(p->arena, step);
}

static bool is_meta(struct str key) {
    return str_eq_c(key, "apiVersion") || str_eq_c(key, "kind") || str_eq_c(key, "metadata");
}

// What becomes of a value: untouched, a new one, or nothing.
enum fate { FATE_SAME, FATE_CHANGED, FATE_GONE };

// How a value is pruned: `node` describes it (NULL: nothing is known), `keep` lets unknown fields stay.
struct rule {
    const struct struct_node *node;
    bool resource; // apiVersion, kind and metadata are its own
    bool keep;
};

static enum fate prune(struct pruner *p, const struct rule *rule, const struct doc_value *v,
                       const struct step *at, struct doc_value *out);

static struct rule rule_of(const struct struct_node *node) {
    return (struct rule){node, node && node->embedded, node && node->preserve};
}

static enum fate prune_metadata(struct pruner *p, const struct doc_value *v, const struct step *at,
                                struct doc_value *out) {
    struct doc_object kept = {0};
    for (DOC_EACH_MEMBER(v, i)) {
        struct step step = {at, doc_key_at(v, i), 0};
        if (!schema_field_find(&schema_meta_v1_ObjectMeta, step.key)) {
            report(p, &step);
            kept = kept.arena ? kept : doc_object_copy(p->arena, v);
            doc_object_remove(&kept, step.key);
        }
    }
    *out = kept.arena ? doc_object_done(&kept) : doc_null();
    return kept.arena ? FATE_CHANGED : FATE_SAME;
}

static enum fate prune_member(struct pruner *p, const struct rule *rule, struct str key,
                              const struct doc_value *v, const struct step *at,
                              struct doc_value *out) {
    const struct struct_node *node = rule->node;
    struct step step = {at, key, 0};
    if (rule->resource && is_meta(key)) {
        return str_eq_c(key, "metadata") && doc_is(v, DOC_OBJECT) ? prune_metadata(p, v, &step, out)
                                                                  : FATE_SAME;
    }
    const struct struct_property *property = node ? struct_property_find(node, key) : NULL;
    if (property || (node && node->additional)) {
        struct rule inner = rule_of(property ? property->node : node->additional_node);
        return prune(p, &inner, v, &step, out);
    }
    if (rule->keep) {
        return FATE_SAME;
    }
    report(p, &step);
    return FATE_GONE;
}

static enum fate prune_object(struct pruner *p, const struct rule *rule, const struct doc_value *v,
                              const struct step *at, struct doc_value *out) {
    struct doc_object object = {0};
    for (DOC_EACH_MEMBER(v, i)) {
        struct str key = doc_key_at(v, i);
        struct doc_value member;
        enum fate fate = prune_member(p, rule, key, doc_value_at(v, i), at, &member);
        if (fate != FATE_SAME && !object.arena) { // from here on a copy
            object = doc_object_start(p->arena);
            for (size_t k = 0; k < i; k++) {
                doc_object_set(&object, doc_key_at(v, k), *doc_value_at(v, k));
            }
        }
        if (object.arena && fate != FATE_GONE) {
            doc_object_set(&object, key, fate == FATE_SAME ? *doc_value_at(v, i) : member);
        }
    }
    *out = object.arena ? doc_object_done(&object) : doc_null();
    return object.arena ? FATE_CHANGED : FATE_SAME;
}

static enum fate prune_array(struct pruner *p, const struct rule *rule, const struct doc_value *v,
                             const struct step *at, struct doc_value *out) {
    const struct struct_node *items = rule->node ? rule->node->items : NULL;
    if (rule->keep && !items) {
        return FATE_SAME;
    }
    struct rule inner = rule_of(items);
    inner.keep = inner.keep || rule->keep;
    struct doc_array array = doc_array_start(p->arena);
    bool changed = false;
    for (size_t i = 0; i < doc_len(v); i++) {
        struct step step = {at, {NULL, 0}, i};
        struct doc_value item = *doc_at(v, i);
        if (prune(p, &inner, doc_at(v, i), &step, &item) == FATE_CHANGED) {
            changed = true;
        } else {
            item = *doc_at(v, i);
        }
        doc_array_add(&array, item);
    }
    *out = changed ? doc_array_done(&array) : doc_null();
    return changed ? FATE_CHANGED : FATE_SAME;
}

static enum fate prune(struct pruner *p, const struct rule *rule, const struct doc_value *v,
                       const struct step *at, struct doc_value *out) {
    if (doc_is(v, DOC_OBJECT)) {
        return prune_object(p, rule, v, at, out);
    }
    return doc_is(v, DOC_ARRAY) ? prune_array(p, rule, v, at, out) : FATE_SAME;
}

static int compare_paths(const void *a, const void *b) {
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

struct doc_value schema_struct_prune(const struct schema_struct *schema, struct arena *arena,
                                     const struct doc_value *object, struct str **pruned,
                                     size_t *pruned_count) {
    struct pruner p = {.arena = arena};
    struct doc_value out;
    struct rule rule = rule_of(schema->root);
    rule.resource = !schema->part || schema->root->embedded;
    enum fate fate = prune(&p, &rule, object, NULL, &out);
    if (p.count > 1) {
        qsort(p.pruned, p.count, sizeof *p.pruned, compare_paths);
    }
    if (pruned) {
        *pruned = p.pruned;
        *pruned_count = p.count;
    }
    return fate == FATE_CHANGED ? out : *object;
}

// ---- Defaults ----

static bool fill(struct arena *arena, const struct struct_node *node, const struct doc_value *v,
                 struct doc_value *out);

static bool is_bad_null(const struct doc_value *v, const struct struct_node *node) {
    return node && doc_is(v, DOC_NULL) && !node->nullable;
}

static const struct struct_node *node_of(const struct struct_node *node, struct str key) {
    const struct struct_property *property = struct_property_find(node, key);
    return property ? property->node : node->additional_node;
}

static void fill_value(struct arena *arena, const struct struct_node *node,
                       const struct doc_value *v, struct doc_value *out, bool *changed) {
    struct doc_value filled;
    if (node && fill(arena, node, v, &filled)) {
        *changed = true;
        *out = filled;
    } else {
        *out = *v;
    }
}

static bool fill_object(struct arena *arena, const struct struct_node *node,
                        const struct doc_value *v, struct doc_value *out) {
    bool changed = false;
    struct doc_object object = doc_object_start(arena);
    for (DOC_EACH_MEMBER(v, i)) {
        struct str key = doc_key_at(v, i);
        const struct doc_value *value = doc_value_at(v, i);
        const struct struct_node *inner = node_of(node, key);
        struct doc_value filled;
        if (is_bad_null(value, inner)) {
            changed = true;
            if (!inner->has_default) {
                continue; // a null where none is allowed is as good as no field
            }
            value = &inner->fallback;
        }
        fill_value(arena, inner, value, &filled, &changed);
        doc_object_set(&object, key, filled);
    }
    for (size_t i = 0; i < node->property_count; i++) {
        const struct struct_property *property = &node->properties[i];
        if (property->node->has_default && !doc_find(v, property->name)) {
            struct doc_value filled;
            struct doc_value copy = doc_clone(arena, &property->node->fallback);
            fill_value(arena, property->node, &copy, &filled, &changed);
            doc_object_set(&object, property->name, filled);
            changed = true;
        }
    }
    if (changed) {
        *out = doc_object_done(&object);
    }
    return changed;
}

static bool fill(struct arena *arena, const struct struct_node *node, const struct doc_value *v,
                 struct doc_value *out) {
    if (doc_is(v, DOC_OBJECT)) {
        return fill_object(arena, node, v, out);
    }
    if (!doc_is(v, DOC_ARRAY) || !node->items) {
        return false;
    }
    bool changed = false;
    struct doc_array array = doc_array_start(arena);
    for (DOC_EACH_ITEM(v, item)) {
        struct doc_value filled;
        bool replace = is_bad_null(item, node->items) && node->items->has_default;
        changed = changed || replace;
        fill_value(arena, node->items, replace ? &node->items->fallback : item, &filled, &changed);
        doc_array_add(&array, filled);
    }
    if (changed) {
        *out = doc_array_done(&array);
    }
    return changed;
}

struct doc_value schema_struct_default(const struct schema_struct *schema, struct arena *arena,
                                       const struct doc_value *object) {
    struct doc_value out;
    return fill(arena, schema->root, object, &out) ? out : *object;
}
