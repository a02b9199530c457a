// SPDX-License-Identifier: Apache-2.0
// Checking tokens. Signatures are checked once and remembered; what can change (time, the account, what the token is
// bound to) is looked at each time.
#include "apiserver/auth_account.h"

#include "base/text.h"
#include "base/timefmt.h"

enum {
    KNOWN_TOKENS = 1024, // a power of two; each slot remembers one token
    LEEWAY_SECONDS = 60,
};

struct known { // a token whose signature is right
    unsigned char sum[SHA256_BYTES];
    bool used;
};

struct api_accounts {
    struct apiserver *server;
    struct sign_key *key;
    struct str issuer;
    struct known known[KNOWN_TOKENS];
};

struct api_accounts *api_accounts_create(struct apiserver *server, struct str key_pem,
                                         struct str issuer, struct err *err) {
    struct sign_key *key = sign_key_parse(key_pem, err);
    if (!key) {
        return NULL;
    }
    struct api_accounts *accounts = NEW(struct api_accounts);
    accounts->server = server;
    accounts->key = key;
    issuer = issuer.n ? issuer : STR("https://kubernetes.default.svc");
    accounts->issuer = (struct str){xstrdup(issuer), issuer.n};
    return accounts;
}

void api_accounts_destroy(struct api_accounts *accounts) {
    if (accounts) {
        sign_key_destroy(accounts->key);
        free((void *)(uintptr_t)accounts->issuer.p);
        free(accounts);
    }
}

struct str api_accounts_issuer(const struct api_accounts *accounts) {
    return accounts->issuer;
}

const struct sign_key *api_accounts_key(const struct api_accounts *accounts) {
    return accounts->key;
}

// ---- Users ----
static void set_user(struct arena *arena, struct str ns, struct str name, struct api_user *out) {
    struct str *groups = ARENA_ARRAY(arena, 3, struct str);
    groups[0] = STR("system:serviceaccounts");
    groups[1] = arena_printf(arena, "system:serviceaccounts:%.*s", STR_ARG(ns));
    groups[2] = STR("system:authenticated");
    *out = (struct api_user){
        .name = arena_printf(arena, "system:serviceaccount:%.*s:%.*s", STR_ARG(ns), STR_ARG(name)),
        .groups = groups,
        .group_count = 3};
}

bool api_account_user(struct arena *arena, struct str name, struct api_user *out) {
    struct str ns, account;
    if (!str_starts(name, STR("system:serviceaccount:")) ||
        !str_cut(str_skip(name, strlen("system:serviceaccount:")), ':', &ns, &account) || !ns.n ||
        !account.n || str_find_char(account, ':') != STR_NPOS) {
        return false;
    }
    set_user(arena, ns, account, out);
    return true;
}

// ---- What a token rests on ----
struct look {
    struct api_accounts *accounts;
    struct arena *arena;
    struct api_account_check *check;
};

// The uid of an object of the core group as of now; empty when it is not there.
static struct str uid_of(struct look *look, const char *plural, struct str ns, struct str name) {
    struct api_entry *entry = api_entry_find(
        api_collection_get(look->accounts->server, STR(""), str_from(plural)), ns, name);
    struct blob *text = entry ? api_entry_durable(entry, NULL) : NULL;
    struct doc_value object;
    struct str uid = STR("");
    if (text && doc_parse_json_copy(blob_str(text), look->arena, &object, NULL)) {
        uid = doc_get_str(&object, "metadata", "uid");
    }
    blob_unref(text);
    return uid;
}

static bool refuse(struct look *look, struct str problem) {
    look->check->problem = problem;
    return false;
}

static bool account_is_there(struct look *look, struct str ns, struct str name, struct str uid) {
    struct str has = uid_of(look, "serviceaccounts", ns, name);
    if (!has.n) {
        return refuse(
            look, arena_printf(look->arena, "serviceaccounts \"%.*s\" not found", STR_ARG(name)));
    }
    return str_eq(has, uid) ||
           refuse(look, arena_printf(look->arena,
                                     "service account UID (%.*s) does not match claim (%.*s)",
                                     STR_ARG(has), STR_ARG(uid)));
}

static void add_extra(struct look *look, const char *key, struct str value) {
    struct api_user *user = &look->check->user;
    struct api_extra *extra = ARENA_ARRAY(look->arena, user->extra_count + 1, struct api_extra);
    for (size_t i = 0; i < user->extra_count; i++) {
        extra[i] = user->extra[i];
    }
    struct str *values = ARENA_NEW(look->arena, struct str);
    *values = value;
    extra[user->extra_count] =
        (struct api_extra){.key = str_from(key), .values = values, .count = 1};
    user->extra = extra;
    user->extra_count++;
}

static bool check_bound(struct look *look, const struct doc_value *claims, struct str ns) {
    static const struct {
        const char *claim, *plural;
        bool namespaced;
        const char *name_key, *uid_key;
    } kinds[] = {
        {"pod", "pods", true, "authentication.kubernetes.io/pod-name",
         "authentication.kubernetes.io/pod-uid"},
        {"node", "nodes", false, "authentication.kubernetes.io/node-name",
         "authentication.kubernetes.io/node-uid"},
        {"secret", "secrets", true, NULL, NULL},
    };
    bool pod = doc_get(claims, "pod") != NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct doc_value *bound = doc_get(claims, kinds[i].claim);
        struct str name = doc_get_str(bound, "name");
        if (!bound) {
            continue;
        }
        // A pod's token names its node too, but lives as long as the pod.
        bool binding = kinds[i].namespaced || !pod;
        struct str uid = doc_get_str(bound, "uid");
        struct str has =
            binding ? uid_of(look, kinds[i].plural, kinds[i].namespaced ? ns : STR(""), name) : uid;
        if (!uid.n || !str_eq(has, uid)) {
            return refuse(look, STR("service account token has been invalidated"));
        }
        if (kinds[i].name_key) {
            add_extra(look, kinds[i].name_key, name);
            add_extra(look, kinds[i].uid_key, uid);
        }
    }
    return true;
}

// ---- Claims ----
static int64_t seconds(const struct doc_value *claims, const char *name, int64_t fallback) {
    const struct doc_value *value = doc_get(claims, name);
    return value ? (int64_t)doc_double(value, 0) : fallback;
}

static bool check_times(struct look *look, const struct doc_value *claims) {
    int64_t now = loop_wall(look->accounts->server->loop) / NS_PER_SECOND;
    if (seconds(claims, "exp", 0) + LEEWAY_SECONDS < now) {
        return refuse(look, STR("service account token has expired"));
    }
    return (seconds(claims, "nbf", now) - LEEWAY_SECONDS <= now &&
            seconds(claims, "iat", now) - LEEWAY_SECONDS <= now) ||
           refuse(look, STR("service account token is not valid yet"));
}

static struct str quoted_list(struct arena *arena, const struct str *items, size_t count) {
    AUTO_BUF struct buf out;
    buf_init(&out, 16 * KIB);
    buf_add_char(&out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_printf(&out, "%s\"%.*s\"", i ? " " : "", STR_ARG(items[i]));
    }
    buf_add_char(&out, ']');
    return arena_dup(arena, buf_str(&out));
}

static bool check_audiences(struct look *look, const struct doc_value *claims) {
    struct api_account_check *check = look->check;
    const struct doc_value *aud = doc_get(claims, "aud");
    size_t count = doc_is(aud, DOC_ARRAY) ? doc_len(aud) : aud ? 1 : 0;
    struct str *of_token = ARENA_ARRAY(look->arena, count + 1, struct str);
    const struct str *wanted = check->audience_count ? check->audiences : &look->accounts->issuer;
    size_t wanted_count = check->audience_count ? check->audience_count : 1;
    check->token_audiences = ARENA_ARRAY(look->arena, wanted_count, struct str);
    for (size_t i = 0; i < count; i++) {
        of_token[i] = doc_is(aud, DOC_ARRAY) ? doc_str(doc_at(aud, i)) : doc_str(aud);
    }
    for (size_t i = 0; i < wanted_count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (str_eq(wanted[i], of_token[k])) {
                check->token_audiences[check->token_audience_count++] = wanted[i];
                break;
            }
        }
    }
    return check->token_audience_count > 0 ||
           refuse(look,
                  arena_printf(look->arena,
                               "token audiences %.*s is invalid for the target audiences %.*s",
                               STR_ARG(quoted_list(look->arena, of_token, count)),
                               STR_ARG(quoted_list(look->arena, wanted, wanted_count))));
}

static bool check_current(struct look *look, const struct doc_value *claims) {
    const struct doc_value *own = doc_get(claims, "kubernetes.io");
    struct str ns = doc_get_str(own, "namespace");
    struct str name = doc_get_str(own, "serviceaccount", "name");
    struct str uid = doc_get_str(own, "serviceaccount", "uid");
    if (!check_audiences(look, claims) || !check_times(look, claims) ||
        !account_is_there(look, ns, name, uid)) {
        return false;
    }
    set_user(look->arena, ns, name, &look->check->user);
    look->check->user.uid = uid;
    struct str id = doc_get_str(claims, "jti");
    if (id.n) {
        add_extra(look, "authentication.kubernetes.io/credential-id",
                  arena_printf(look->arena, "JTI=%.*s", STR_ARG(id)));
    }
    return check_bound(look, own, ns);
}

// Those of Secrets: they have no end, but live no longer than their Secret.
static bool check_legacy(struct look *look, const struct doc_value *claims, struct str token) {
    struct str ns = doc_get_str(claims, "kubernetes.io/serviceaccount/namespace");
    struct str name = doc_get_str(claims, "kubernetes.io/serviceaccount/service-account.name");
    struct str uid = doc_get_str(claims, "kubernetes.io/serviceaccount/service-account.uid");
    struct str secret = doc_get_str(claims, "kubernetes.io/serviceaccount/secret.name");
    struct str issuer = look->accounts->issuer;
    struct api_account_check *check = look->check;
    struct api_entry *entry = api_entry_find(
        api_collection_get(look->accounts->server, STR(""), STR("secrets")), ns, secret);
    struct blob *text = entry ? api_entry_durable(entry, NULL) : NULL;
    struct str encoded = base64_encode(look->arena, token);
    bool there = text && str_has(blob_str(text), encoded);
    blob_unref(text);
    if (!there) {
        return refuse(look, STR("service account token has been invalidated"));
    }
    bool fits = check->audience_count == 0;
    for (size_t i = 0; i < check->audience_count; i++) {
        fits = fits || str_eq(check->audiences[i], issuer);
    }
    if (!fits) {
        struct str list = quoted_list(look->arena, check->audiences, check->audience_count);
        return refuse(look, arena_printf(look->arena,
                                         "token audiences [\"%.*s\"] is invalid for the target "
                                         "audiences %.*s",
                                         STR_ARG(issuer), STR_ARG(list)));
    }
    check->token_audiences = ARENA_NEW(look->arena, struct str);
    check->token_audiences[check->token_audience_count++] = issuer;
    if (!account_is_there(look, ns, name, uid)) {
        return false;
    }
    set_user(look->arena, ns, name, &check->user);
    check->user.uid = uid;
    return true;
}

static bool is_signed(struct api_accounts *accounts, const struct jwt *jwt, struct str token) {
    unsigned char sum[SHA256_BYTES];
    sha256(token, sum);
    size_t slot = ((size_t)sum[0] << 8 | sum[1]) & (KNOWN_TOKENS - 1);
    struct known *known = &accounts->known[slot];
    if (known->used && memcmp(known->sum, sum, sizeof sum) == 0) {
        return true;
    }
    if (!jwt_is_signed_by(jwt, accounts->key)) {
        return false;
    }
    known->used = true;
    memcpy(known->sum, sum, sizeof sum);
    return true;
}

bool api_account_check(struct api_accounts *accounts, struct str token, struct arena *arena,
                       struct api_account_check *check) {
    struct look look = {accounts, arena, check};
    struct jwt jwt;
    check->problem = STR("");
    check->token_audience_count = 0;
    if (!jwt_parse(arena, token, &jwt)) {
        return false;
    }
    struct str issuer = doc_get_str(&jwt.claims, "iss");
    bool legacy = str_eq(issuer, STR("kubernetes/serviceaccount"));
    if (!legacy && !str_eq(issuer, accounts->issuer)) {
        return false;
    }
    if (!is_signed(accounts, &jwt, token)) {
        return refuse(&look, STR("go-jose/go-jose: error in cryptographic primitive"));
    }
    return legacy ? check_legacy(&look, &jwt.claims, token) : check_current(&look, &jwt.claims);
}
