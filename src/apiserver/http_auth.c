// SPDX-License-Identifier: Apache-2.0
// Who asks: a client certificate, a static token, a token of a service account, or nobody; and as whom.
#include "apiserver/http_internal.h"

#include "http/query.h"

static bool unauthorized(struct front_call *call) {
    return api_error_set(&call->op->error, call->op->arena, 401, "Unauthorized", "Unauthorized");
}

static struct str *copy_texts(struct arena *arena, const struct str *from, size_t count,
                              size_t spare) {
    struct str *out = ARENA_ARRAY(arena, count + spare, struct str);
    for (size_t i = 0; i < count; i++) {
        out[i] = arena_dup(arena, from[i]);
    }
    return out;
}

// The exchange's texts are gone when its connection is.
static void take_certificate(struct front_call *call, const struct http_request *request) {
    struct arena *arena = call->op->arena;
    size_t n = request->client_cert_group_count;
    struct str *groups = copy_texts(arena, request->client_cert_groups, n, 1);
    groups[n++] = STR("system:authenticated");
    call->who = (struct api_user){
        .name = arena_dup(arena, request->client_cert_name), .groups = groups, .group_count = n};
}

static void take_nobody(struct front_call *call) {
    static const struct str groups[] = {STR_INIT("system:unauthenticated")};
    call->who =
        (struct api_user){.name = STR("system:anonymous"), .groups = groups, .group_count = 1};
}

bool front_token_user(struct apiserver *server, struct str token, struct arena *arena,
                      struct api_account_check *check) {
    const struct api_user *user =
        server->tokens ? api_tokens_find_token(server->tokens, token) : NULL;
    if (user) {
        // A static token is for this server and nobody else.
        bool fits = check->audience_count == 0;
        struct str own = server->accounts ? api_accounts_issuer(server->accounts) : STR("");
        for (size_t i = 0; i < check->audience_count; i++) {
            fits = fits || str_eq(check->audiences[i], own);
        }
        check->user = *user;
        return fits;
    }
    return server->accounts && api_account_check(server->accounts, token, arena, check);
}

// The token of an Authorization header; false when it is of another scheme or has none, as if there were no header.
static bool bearer_token(struct str header, struct str *token) {
    struct str scheme;
    str_cut(str_trim(header), ' ', &scheme, token);
    *token = str_trim(*token);
    size_t space = str_find_char(*token, ' ');
    *token = str_first(*token, space == STR_NPOS ? token->n : space);
    return str_eq_nocase(scheme, STR("bearer")) && token->n > 0;
}

bool front_authenticate(struct front_call *call) {
    const struct http_request *request = http_exchange_request(call->exchange);
    struct str token;
    call->known = true;
    if (request->client_cert_name.n) {
        take_certificate(call, request);
    } else if (bearer_token(http_exchange_header(call->exchange, STR("Authorization")), &token)) {
        struct api_account_check check = {0};
        if (!front_token_user(call->front->server, arena_dup(call->op->arena, token),
                              call->op->arena, &check)) {
            call->known = false;
            return unauthorized(call);
        }
        call->who = check.user;
    } else {
        take_nobody(call);
    }
    call->op->user = call->who;
    return true;
}

// ---- Acting as somebody else ----
struct wish {
    struct arena *arena;
    struct str name, uid;
    struct str groups[FRONT_IMPERSONATED + 4];
    size_t group_count;
    struct api_extra extra[FRONT_IMPERSONATED];
    size_t extra_count;
    bool too_many, bad;
};

static void add_extra(struct wish *wish, struct str key, struct str value) {
    struct err err = {0};
    char *lower = arena_cstr(wish->arena, key);
    for (size_t i = 0; i < key.n; i++) {
        lower[i] = lower[i] >= 'A' && lower[i] <= 'Z' ? (char)(lower[i] + 32) : lower[i];
    }
    if (!url_decode((struct str){lower, key.n}, false, wish->arena, &key, &err)) {
        wish->bad = true;
        return;
    }
    size_t i = 0;
    while (i < wish->extra_count && !str_eq(wish->extra[i].key, key)) {
        i++;
    }
    if (i == FRONT_IMPERSONATED || wish->extra[i].count == FRONT_IMPERSONATED) {
        wish->too_many = true;
        return;
    }
    struct api_extra *extra = &wish->extra[i];
    struct str *values = copy_texts(wish->arena, extra->values, extra->count, 1);
    values[extra->count] = arena_dup(wish->arena, value);
    *extra = (struct api_extra){.key = key, .values = values, .count = extra->count + 1};
    wish->extra_count = i == wish->extra_count ? i + 1 : wish->extra_count;
}

static void read_header(void *ctx, struct str name, struct str value) {
    static const struct str prefix = STR_INIT("Impersonate-");
    static const struct str extra = STR_INIT("Extra-");
    struct wish *wish = ctx;
    if (!str_eq_nocase(str_first(name, prefix.n), prefix)) {
        return;
    }
    struct str what = str_skip(name, prefix.n);
    if (str_eq_nocase(what, STR("User"))) {
        wish->name = wish->name.n ? wish->name : arena_dup(wish->arena, value);
    } else if (str_eq_nocase(what, STR("Uid"))) {
        wish->uid = wish->uid.n ? wish->uid : arena_dup(wish->arena, value);
    } else if (str_eq_nocase(what, STR("Group"))) {
        if (wish->group_count == FRONT_IMPERSONATED) {
            wish->too_many = true;
        } else {
            wish->groups[wish->group_count++] = arena_dup(wish->arena, value);
        }
    } else if (str_eq_nocase(str_first(what, extra.n), extra)) {
        add_extra(wish, str_skip(what, extra.n), value);
    }
}

static bool may(struct front_call *call, const char *verb, struct str group, const char *resource,
                struct str subresource, struct str ns, struct str name) {
    struct authz_question question = {.verb = str_from(verb),
                                      .group = group,
                                      .resource = str_from(resource),
                                      .subresource = subresource,
                                      .ns = ns,
                                      .name = name};
    return authz_decide(call->front->server, &call->who, &question, call->op->arena, NULL);
}

// What the wish names beside the user: groups, uid and extra values, each a question of its own.
static bool may_have(struct front_call *call, const struct wish *wish, const char *verb,
                     struct str group) {
    struct str authentication = STR("authentication.k8s.io");
    bool ok = true;
    for (size_t i = 0; ok && i < wish->group_count; i++) {
        ok = may(call, verb, group, "groups", STR(""), STR(""), wish->groups[i]);
    }
    if (ok && wish->uid.n) {
        ok = may(call, verb, authentication, "uids", STR(""), STR(""), wish->uid);
    }
    for (size_t i = 0; ok && i < wish->extra_count; i++) {
        for (size_t k = 0; ok && k < wish->extra[i].count; k++) {
            ok = may(call, verb, authentication, "userextras", wish->extra[i].key, STR(""),
                     wish->extra[i].values[k]);
        }
    }
    return ok;
}

static bool may_impersonate(struct front_call *call, const struct wish *wish, const char *verb,
                            struct str group) {
    struct str ns, name;
    static const struct str account = STR_INIT("system:serviceaccount:");
    if (str_starts(wish->name, account) &&
        str_cut(str_skip(wish->name, account.n), ':', &ns, &name)) {
        return may(call, verb, group, "serviceaccounts", STR(""), ns, name) &&
               may_have(call, wish, verb, group);
    }
    return may(call, verb, group, "users", STR(""), STR(""), wish->name) &&
           may_have(call, wish, verb, group);
}

// The newer way: rights to act as somebody are given for single verbs ("impersonate-on:user-info:list") as well.
static bool may_act(struct front_call *call, const struct wish *wish) {
    static const struct {
        const char *prefix, *as, *on;
    } modes[] = {
        {"system:serviceaccount:", "impersonate:serviceaccount", "impersonate-on:serviceaccount"},
        {"system:node:", "impersonate:arbitrary-node", "impersonate-on:arbitrary-node"},
        {"", "impersonate:user-info", "impersonate-on:user-info"},
    };
    struct api_op *op = call->op;
    size_t mode = 0;
    while (!str_starts(wish->name, str_from(modes[mode].prefix))) {
        mode++;
    }
    struct authz_question question = {.is_path = true};
    const struct http_request *request = http_exchange_request(call->exchange);
    if (call->is_resource) {
        authz_question_of(&op->request, op->arena, &question);
    } else {
        question.path = request->path;
        question.verb = STR("get");
    }
    question.verb = arena_printf(op->arena, "%s:%.*s", modes[mode].on, STR_ARG(question.verb));
    struct str authentication = STR("authentication.k8s.io");
    if (authz_decide(call->front->server, &call->who, &question, op->arena, NULL) &&
        may_impersonate(call, wish, modes[mode].as, authentication)) {
        return true;
    }
    return authz_forbid(call->front->server, &call->who, &question, op->arena, &op->error);
}

static void become(struct front_call *call, struct wish *wish) {
    struct arena *arena = call->op->arena;
    struct api_user *user = &call->op->user;
    struct api_user account;
    if (wish->group_count == 0 && api_account_user(arena, wish->name, &account)) {
        wish->groups[wish->group_count++] = account.groups[0];
        wish->groups[wish->group_count++] = account.groups[1];
    }
    bool anonymous = str_eq(wish->name, STR("system:anonymous"));
    bool marked = false;
    for (size_t i = 0; i < wish->group_count; i++) {
        marked = marked || str_eq(wish->groups[i], STR("system:authenticated")) ||
                 str_eq(wish->groups[i], STR("system:unauthenticated"));
    }
    if (!marked) {
        wish->groups[wish->group_count++] =
            anonymous ? STR("system:unauthenticated") : STR("system:authenticated");
    }
    struct api_extra *extra = ARENA_ARRAY(arena, wish->extra_count + 1, struct api_extra);
    memcpy(extra, wish->extra, wish->extra_count * sizeof *extra);
    *user = (struct api_user){.name = wish->name,
                              .uid = wish->uid,
                              .groups = copy_texts(arena, wish->groups, wish->group_count, 1),
                              .group_count = wish->group_count,
                              .extra = extra,
                              .extra_count = wish->extra_count};
    call->impersonates = true;
}

bool front_impersonate(struct front_call *call) {
    struct api_op *op = call->op;
    // Most requests have no such header: nothing is allocated for them.
    if (!http_exchange_header(call->exchange, STR("Impersonate-User")).n &&
        !http_exchange_header(call->exchange, STR("Impersonate-Group")).n &&
        !http_exchange_header(call->exchange, STR("Impersonate-Uid")).n) {
        return true;
    }
    struct wish *wish = ARENA_NEW(op->arena, struct wish);
    wish->arena = op->arena;
    http_exchange_each_header(call->exchange, read_header, wish);
    if (wish->too_many || wish->bad) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             wish->bad ? "a key of an Impersonate-Extra header is not valid"
                                       : "more than %d groups or values to impersonate",
                             FRONT_IMPERSONATED);
    }
    if (!wish->name.n) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "requested groups, uid or extra values to impersonate without "
                             "impersonating a user name");
    }
    if (!may_impersonate(call, wish, "impersonate", STR("")) && !may_act(call, wish)) {
        return false;
    }
    become(call, wish);
    return true;
}
