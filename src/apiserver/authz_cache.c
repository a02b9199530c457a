// SPDX-License-Identifier: Apache-2.0
// The roles and bindings of the index in compiled form. Each commit of one replaces that one only; a decision looks up
// the bindings of a user and of its groups by name and walks their rules, so its cost does not grow with the cluster.
#include "apiserver/authz.h"

#include "base/log.h"
#include "base/vec.h"

enum { SUBJECTS_MAX = 10 * 1000, KEY_MAX = 2048 };

struct subject_list { // what one user or group has in one namespace
    VEC(struct authz_binding *) bindings;
    VEC(const struct authz_subject *) subjects; // beside `bindings`
};

struct api_authz {
    struct apiserver *server;
    struct map *roles;    // struct authz_role by "ns/name"; ClusterRoles by "/name"
    struct map *bindings; // struct authz_binding by the same keys
    struct map *subjects; // struct subject_list by "ns\nUname" or "ns\nGname"
    uint64_t walks;
    bool aggregate_posted;
};

static void role_destroy(struct authz_role *role) {
    if (role) {
        arena_destroy(role->arena);
    }
}

static const char ACCOUNT_PREFIX[] = "system:serviceaccount:";

// False when the subject is none that a request can be.
static bool subject_key(const struct authz_binding *binding, const struct authz_subject *subject,
                        char out[KEY_MAX], struct str *key) {
    struct str account = {NULL, 0};
    char kind = 'U';
    size_t need = binding->ns.n + subject->name.n + subject->ns.n + sizeof ACCOUNT_PREFIX + 8;
    if (need > KEY_MAX || !subject->name.n) {
        return false;
    }
    if (str_eq(subject->kind, STR("ServiceAccount"))) {
        account = subject->ns.n ? subject->ns : binding->ns;
        if (!account.n) {
            return false;
        }
    } else if (str_eq(subject->kind, STR("Group"))) {
        kind = 'G';
    } else if (!str_eq(subject->kind, STR("User"))) {
        return false;
    }
    struct buf text;
    buf_init(&text, KEY_MAX);
    buf_add_str(&text, binding->ns);
    buf_add_char(&text, '\n');
    buf_add_char(&text, kind);
    if (account.n) {
        buf_add_c(&text, ACCOUNT_PREFIX);
        buf_add_str(&text, account);
        buf_add_char(&text, ':');
    }
    buf_add_str(&text, subject->name);
    memcpy(out, text.data, text.len);
    *key = (struct str){out, text.len};
    buf_fini(&text);
    return true;
}

static void link_subject(struct api_authz *authz, struct authz_binding *binding,
                         const struct authz_subject *subject) {
    char text[KEY_MAX];
    struct str key;
    if (!subject_key(binding, subject, text, &key)) {
        return;
    }
    struct subject_list *list = map_find(authz->subjects, key);
    if (!list) {
        list = NEW(struct subject_list);
        map_put(authz->subjects, key, list);
    }
    VEC_PUSH(&list->bindings, binding);
    VEC_PUSH(&list->subjects, subject);
}

static void list_destroy(struct subject_list *list) {
    VEC_FREE(&list->bindings);
    VEC_FREE(&list->subjects);
    free(list);
}

static void unlink_subject(struct api_authz *authz, struct authz_binding *binding,
                           const struct authz_subject *subject) {
    char text[KEY_MAX];
    struct str key;
    struct subject_list *list =
        subject_key(binding, subject, text, &key) ? map_find(authz->subjects, key) : NULL;
    for (size_t i = 0; list && i < list->bindings.len; i++) {
        if (list->subjects.items[i] == subject) {
            VEC_REMOVE_SWAP(&list->bindings, i);
            VEC_REMOVE_SWAP(&list->subjects, i);
            break;
        }
    }
    if (list && list->bindings.len == 0) {
        map_remove(authz->subjects, key);
        list_destroy(list);
    }
}

static void binding_destroy(struct api_authz *authz, struct authz_binding *binding) {
    if (binding) {
        for (size_t i = 0; i < binding->subject_count; i++) {
            unlink_subject(authz, binding, &binding->subjects[i]);
        }
        arena_destroy(binding->arena);
    }
}

static void add_binding(struct api_authz *authz, struct str key, struct str ns, struct str name,
                        const struct doc_value *object) {
    struct arena *arena = arena_create();
    struct authz_binding *binding = ARENA_NEW(arena, struct authz_binding);
    const struct doc_value *subjects = doc_get(object, "subjects");
    size_t count = doc_is(subjects, DOC_ARRAY) ? doc_len(subjects) : 0;
    count = count < SUBJECTS_MAX ? count : SUBJECTS_MAX;
    binding->arena = arena;
    binding->ns = arena_dup(arena, ns);
    binding->name = arena_dup(arena, name);
    binding->role_kind = arena_dup(arena, doc_get_str(object, "roleRef", "kind"));
    binding->role_name = arena_dup(arena, doc_get_str(object, "roleRef", "name"));
    bool local = str_eq(binding->role_kind, STR("Role"));
    binding->role_key = arena_printf(arena, "%.*s/%.*s", STR_ARG(local ? ns : STR("")),
                                     STR_ARG(binding->role_name));
    binding->subjects = ARENA_ARRAY(arena, count + 1, struct authz_subject);
    binding->subject_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *subject = doc_at(subjects, i);
        binding->subjects[i] =
            (struct authz_subject){.kind = arena_dup(arena, doc_get_str(subject, "kind")),
                                   .name = arena_dup(arena, doc_get_str(subject, "name")),
                                   .ns = arena_dup(arena, doc_get_str(subject, "namespace"))};
        link_subject(authz, binding, &binding->subjects[i]);
    }
    map_put(authz->bindings, key, binding);
}

// `text` NULL: deleted.
static void take(struct api_authz *authz, bool is_role, struct str key, struct blob *text) {
    struct str ns, name;
    str_cut(key, '/', &ns, &name);
    if (is_role) {
        role_destroy(map_remove(authz->roles, key));
    } else {
        binding_destroy(authz, map_remove(authz->bindings, key));
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value object;
    struct err err = {0};
    if (!text) {
        return;
    }
    if (!doc_parse_json(blob_str(text), arena, &object, &err)) {
        LOG(LOG_ERROR, "apiserver", "a stored role or binding does not parse", "error",
            err.message);
        return;
    }
    if (!is_role) {
        add_binding(authz, key, ns, name, &object);
        return;
    }
    struct arena *own = arena_create();
    struct authz_role *role = ARENA_NEW(own, struct authz_role);
    role->arena = own;
    role->rules = authz_rules_parse(own, doc_get(&object, "rules"));
    map_put(authz->roles, key, role);
}

static bool is_role_plural(struct str plural) {
    return str_eq(plural, STR("roles")) || str_eq(plural, STR("clusterroles"));
}

static void aggregate(struct apiserver *server) {
    server->authz->aggregate_posted = false;
    api_authz_aggregate(server);
}

static void post_aggregate(struct api_authz *authz) {
    if (!authz->aggregate_posted) {
        authz->aggregate_posted = true;
        api_post(authz->server, aggregate);
    }
}

void api_authz_committed(struct apiserver *server, const struct api_event *event) {
    struct str plural = event->collection->plural;
    bool is_role = is_role_plural(plural);
    if (!is_role && !str_eq(plural, STR("rolebindings")) &&
        !str_eq(plural, STR("clusterrolebindings"))) {
        return;
    }
    take(server->authz, is_role, (struct str){event->key, event->key_len},
         event->type == KUBE_DELETED ? NULL : event->object);
    if (str_eq(plural, STR("clusterroles"))) {
        post_aggregate(server->authz);
    }
}

static void read_all(struct api_authz *authz, const char *plural) {
    struct api_collection *all = api_collection_get(authz->server, AUTHZ_GROUP, str_from(plural));
    struct api_cursor cursor = api_cursor_at(all, (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = api_entry_durable(entry, NULL);
        if (text) {
            take(authz, is_role_plural(all->plural), api_entry_key(entry), text);
        }
        blob_unref(text);
    }
}

struct api_authz *api_authz_create(struct apiserver *server) {
    struct api_authz *authz = NEW(struct api_authz);
    authz->server = server;
    authz->roles = map_create();
    authz->bindings = map_create();
    authz->subjects = map_create();
    read_all(authz, "clusterroles");
    read_all(authz, "roles");
    read_all(authz, "clusterrolebindings");
    read_all(authz, "rolebindings");
    return authz;
}

void api_authz_destroy(struct api_authz *authz) {
    if (!authz) {
        return;
    }
    void *value;
    for (size_t i = 0; map_next(authz->roles, &i, NULL, &value);) {
        role_destroy(value);
    }
    for (size_t i = 0; map_next(authz->subjects, &i, NULL, &value);) {
        list_destroy(value);
    }
    for (size_t i = 0; map_next(authz->bindings, &i, NULL, &value);) {
        arena_destroy(((struct authz_binding *)value)->arena);
    }
    map_destroy(authz->roles);
    map_destroy(authz->bindings);
    map_destroy(authz->subjects);
    free(authz);
}

const struct authz_role *authz_role_find(const struct api_authz *authz, struct str key) {
    return map_find(authz->roles, key);
}

// ---- Walking ----
static bool visit_list(struct api_authz *authz, struct str ns, char kind, struct str name,
                       authz_visit *visit, void *ctx) {
    char key[KEY_MAX];
    if (ns.n + name.n + 2 > sizeof key) {
        return false;
    }
    memcpy(key, ns.p ? ns.p : "", ns.n);
    key[ns.n] = '\n';
    key[ns.n + 1] = kind;
    memcpy(key + ns.n + 2, name.p ? name.p : "", name.n);
    struct subject_list *list = map_find(authz->subjects, (struct str){key, ns.n + name.n + 2});
    for (size_t i = 0; list && i < list->bindings.len; i++) {
        struct authz_binding *binding = list->bindings.items[i];
        if (binding->seen == authz->walks) {
            continue;
        }
        binding->seen = authz->walks;
        if (visit(ctx, binding, list->subjects.items[i],
                  map_find(authz->roles, binding->role_key))) {
            return true;
        }
    }
    return false;
}

bool authz_walk(struct api_authz *authz, const struct api_user *user, struct str ns,
                authz_visit *visit, void *ctx) {
    struct str scopes[] = {STR(""), ns};
    authz->walks++;
    for (size_t s = 0; s < (ns.n ? 2 : 1); s++) {
        if (visit_list(authz, scopes[s], 'U', user->name, visit, ctx)) {
            return true;
        }
        for (size_t i = 0; i < user->group_count; i++) {
            if (visit_list(authz, scopes[s], 'G', user->groups[i], visit, ctx)) {
                return true;
            }
        }
    }
    return false;
}
