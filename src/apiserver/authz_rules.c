// SPDX-License-Identifier: Apache-2.0
// What a list of PolicyRules allows, and whether one list covers another. Pure; texts come from outside.
#include "apiserver/authz.h"

enum {
    RULES_MAX = 10 * 1000,     // of one role; more are not looked at
    MISSING_WORK = 200 * 1000, // verbs on resources looked at for one answer
    PRINT_MAX = 64 * KIB,
};

static struct authz_texts texts_of(struct arena *arena, const struct doc_value *list) {
    struct str *items = ARENA_ARRAY(arena, doc_len(list) + 1, struct str);
    size_t n = 0;
    for (DOC_EACH_ITEM(doc_is(list, DOC_ARRAY) ? list : NULL, item)) {
        if (doc_is(item, DOC_STRING)) {
            items[n++] = arena_dup(arena, doc_str(item));
        }
    }
    return (struct authz_texts){items, n};
}

struct authz_rules authz_rules_parse(struct arena *arena, const struct doc_value *rules) {
    size_t count = doc_is(rules, DOC_ARRAY) ? doc_len(rules) : 0;
    count = count < RULES_MAX ? count : RULES_MAX;
    struct authz_rule *out = ARENA_ARRAY(arena, count + 1, struct authz_rule);
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *rule = doc_at(rules, i);
        out[i].verbs = texts_of(arena, doc_get(rule, "verbs"));
        out[i].groups = texts_of(arena, doc_get(rule, "apiGroups"));
        out[i].resources = texts_of(arena, doc_get(rule, "resources"));
        out[i].names = texts_of(arena, doc_get(rule, "resourceNames"));
        out[i].paths = texts_of(arena, doc_get(rule, "nonResourceURLs"));
    }
    return (struct authz_rules){out, count};
}

// ---- What a rule allows ----
static bool has(const struct authz_texts *texts, struct str text) {
    for (size_t i = 0; i < texts->count; i++) {
        if (str_eq(texts->items[i], text)) {
            return true;
        }
    }
    return false;
}

static bool has_or_all(const struct authz_texts *texts, struct str text) {
    for (size_t i = 0; i < texts->count; i++) {
        struct str item = texts->items[i];
        if ((item.n == 1 && item.p[0] == '*') || str_eq(item, text)) {
            return true;
        }
    }
    return false;
}

// "*", "pods", "pods/log", "*/scale"
static bool names_resource(struct str item, struct str resource, struct str subresource) {
    if (item.n == 1 && item.p[0] == '*') {
        return true;
    }
    if (!subresource.n) {
        return str_eq(item, resource);
    }
    struct str rest = {NULL, 0};
    if (str_starts(item, STR("*/"))) {
        rest = str_skip(item, 2);
    } else if (str_starts(item, resource) && item.n > resource.n && item.p[resource.n] == '/') {
        rest = str_skip(item, resource.n + 1);
    }
    return rest.n > 0 && str_eq(rest, subresource);
}

static bool has_resource(const struct authz_texts *texts, struct str resource,
                         struct str subresource) {
    for (size_t i = 0; i < texts->count; i++) {
        if (names_resource(texts->items[i], resource, subresource)) {
            return true;
        }
    }
    return false;
}

// "*", "/api", "/api/*"
static bool has_path(const struct authz_texts *texts, struct str path) {
    for (size_t i = 0; i < texts->count; i++) {
        struct str item = texts->items[i];
        bool open = item.n > 0 && item.p[item.n - 1] == '*';
        if (str_eq(item, path) || (open && str_starts(path, str_first(item, item.n - 1)))) {
            return true;
        }
    }
    return false;
}

bool authz_rule_allows(const struct authz_rule *rule, const struct authz_question *question) {
    if (!has_or_all(&rule->verbs, question->verb)) {
        return false;
    }
    if (question->is_path) {
        return has_path(&rule->paths, question->path);
    }
    return has_or_all(&rule->groups, question->group) &&
           has_resource(&rule->resources, question->resource, question->subresource) &&
           (rule->names.count == 0 || has(&rule->names, question->name));
}

// ---- What is missing ----
// One verb on one resource, one object of it, or one path.
struct atom {
    struct str verb, group, resource, name, path;
    bool is_path, named;
};

static bool covers(const struct authz_rule *rule, const struct atom *atom) {
    if (!has_or_all(&rule->verbs, atom->verb)) {
        return false;
    }
    if (atom->is_path) {
        return has_path(&rule->paths, atom->path);
    }
    struct str resource, subresource;
    str_cut(atom->resource, '/', &resource, &subresource);
    return has_or_all(&rule->groups, atom->group) &&
           has_resource(&rule->resources, resource, subresource) &&
           (rule->names.count == 0 || (atom->named && has(&rule->names, atom->name)));
}

struct search {
    struct arena *arena;
    const struct authz_rules *held;
    struct authz_rule *missing;
    size_t count, cap;
    size_t work;
};

static struct authz_texts one_text(struct arena *arena, struct str text) {
    struct str *item = ARENA_NEW(arena, struct str);
    *item = text;
    return (struct authz_texts){item, 1};
}

static bool look(struct search *search, const struct atom *atom) {
    for (size_t i = 0; i < search->held->count; i++) {
        if (++search->work > MISSING_WORK) {
            return false;
        }
        if (covers(&search->held->items[i], atom)) {
            return true;
        }
    }
    if (++search->work > MISSING_WORK) {
        return false;
    }
    if (search->count == search->cap) {
        size_t cap = search->cap ? search->cap * 2 : 16;
        search->missing =
            arena_grow(search->arena, search->missing, search->cap * sizeof(struct authz_rule),
                       cap * sizeof(struct authz_rule));
        search->cap = cap;
    }
    struct authz_rule *rule = &search->missing[search->count++];
    *rule = (struct authz_rule){.verbs = one_text(search->arena, atom->verb)};
    if (atom->is_path) {
        rule->paths = one_text(search->arena, atom->path);
    } else {
        rule->groups = one_text(search->arena, atom->group);
        rule->resources = one_text(search->arena, atom->resource);
        if (atom->named) {
            rule->names = one_text(search->arena, atom->name);
        }
    }
    return true;
}

static bool look_at_resource(struct search *search, const struct authz_rule *rule, struct str group,
                             struct str resource) {
    size_t names = rule->names.count ? rule->names.count : 1;
    for (size_t n = 0; n < names; n++) {
        for (size_t v = 0; v < rule->verbs.count; v++) {
            struct atom atom = {.verb = rule->verbs.items[v],
                                .group = group,
                                .resource = resource,
                                .named = rule->names.count > 0};
            atom.name = atom.named ? rule->names.items[n] : STR("");
            if (!look(search, &atom)) {
                return false;
            }
        }
    }
    return true;
}

static bool look_at_rule(struct search *search, const struct authz_rule *rule) {
    for (size_t g = 0; g < rule->groups.count; g++) {
        for (size_t r = 0; r < rule->resources.count; r++) {
            if (!look_at_resource(search, rule, rule->groups.items[g], rule->resources.items[r])) {
                return false;
            }
        }
    }
    for (size_t p = 0; p < rule->paths.count; p++) {
        for (size_t v = 0; v < rule->verbs.count; v++) {
            struct atom atom = {
                .is_path = true, .verb = rule->verbs.items[v], .path = rule->paths.items[p]};
            if (!look(search, &atom)) {
                return false;
            }
        }
    }
    return true;
}

bool authz_rules_missing(struct arena *arena, const struct authz_rules *held,
                         const struct authz_rules *wanted, struct authz_rules *missing) {
    struct search search = {.arena = arena, .held = held};
    for (size_t i = 0; i < wanted->count; i++) {
        if (!look_at_rule(&search, &wanted->items[i])) {
            return false;
        }
    }
    *missing = (struct authz_rules){search.missing, search.count};
    return true;
}

// ---- Shown ----
static bool same_texts(const struct authz_texts *a, const struct authz_texts *b) {
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!str_eq(a->items[i], b->items[i])) {
            return false;
        }
    }
    return true;
}

static bool same_target(const struct authz_rule *a, const struct authz_rule *b) {
    return a->groups.count == 1 && a->resources.count == 1 && a->names.count <= 1 &&
           a->paths.count == 0 && b->paths.count == 0 && same_texts(&a->groups, &b->groups) &&
           same_texts(&a->resources, &b->resources) && same_texts(&a->names, &b->names);
}

static struct authz_texts joined(struct arena *arena, const struct authz_texts *a,
                                 const struct authz_texts *b) {
    struct str *items = ARENA_ARRAY(arena, a->count + b->count, struct str);
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++) {
        items[n++] = a->items[i];
    }
    for (size_t i = 0; i < b->count; i++) {
        if (!has(a, b->items[i])) {
            items[n++] = b->items[i];
        }
    }
    return (struct authz_texts){items, n};
}

struct authz_rules authz_rules_compact(struct arena *arena, const struct authz_rules *rules) {
    struct authz_rule *out = ARENA_ARRAY(arena, rules->count + 1, struct authz_rule);
    size_t n = 0;
    size_t work = 0;
    for (size_t i = 0; i < rules->count; i++) {
        size_t at = 0;
        while (at < n && !same_target(&out[at], &rules->items[i])) {
            at++;
            work++;
        }
        if (at == n || work > 50 * (size_t)MISSING_WORK) {
            out[n++] = rules->items[i];
        } else {
            out[at].verbs = joined(arena, &out[at].verbs, &rules->items[i].verbs);
        }
    }
    return (struct authz_rules){out, n};
}

static void print_texts(struct buf *out, const char *name, const struct authz_texts *texts) {
    if (texts->count == 0) {
        return;
    }
    if (out->len > 1) {
        buf_add_c(out, ", ");
    }
    buf_add_c(out, name);
    buf_add_c(out, ":[");
    for (size_t i = 0; i < texts->count; i++) {
        buf_add_c(out, i ? " \"" : "\"");
        buf_add_str(out, texts->items[i]);
        buf_add_char(out, '"');
    }
    buf_add_char(out, ']');
}

struct str authz_rule_print(struct arena *arena, const struct authz_rule *rule) {
    AUTO_BUF struct buf out;
    buf_init(&out, PRINT_MAX);
    buf_add_char(&out, '{');
    print_texts(&out, "APIGroups", &rule->groups);
    print_texts(&out, "Resources", &rule->resources);
    print_texts(&out, "NonResourceURLs", &rule->paths);
    print_texts(&out, "ResourceNames", &rule->names);
    print_texts(&out, "Verbs", &rule->verbs);
    buf_add_char(&out, '}');
    return arena_dup(arena, buf_str(&out));
}

static void set_texts(struct doc_object *out, const char *name, const struct authz_texts *texts) {
    if (texts->count) {
        struct doc_array list = doc_array_start(out->arena);
        for (size_t i = 0; i < texts->count; i++) {
            doc_array_add(&list, doc_make_str(texts->items[i]));
        }
        doc_object_set_c(out, name, doc_array_done(&list));
    }
}

struct doc_value authz_rules_value(struct arena *arena, const struct authz_rules *rules) {
    struct doc_array list = doc_array_start(arena);
    for (size_t i = 0; i < rules->count; i++) {
        const struct authz_rule *rule = &rules->items[i];
        struct doc_object out = doc_object_start(arena);
        set_texts(&out, "verbs", &rule->verbs);
        set_texts(&out, "apiGroups", &rule->groups);
        set_texts(&out, "resources", &rule->resources);
        set_texts(&out, "resourceNames", &rule->names);
        set_texts(&out, "nonResourceURLs", &rule->paths);
        doc_array_add(&list, doc_object_done(&out));
    }
    return doc_array_done(&list);
}
