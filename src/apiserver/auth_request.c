// SPDX-License-Identifier: Apache-2.0
// Giving tokens out: the sub-resource "token" of service accounts, and Secrets that ask for one.
#include "apiserver/auth_account.h"

#include "base/log.h"
#include "base/text.h"
#include "base/timefmt.h"

enum { LEAST_SECONDS = 600, STANDARD_SECONDS = 3600, AUDIENCES_MAX = 64 };
#define MOST_SECONDS (INT64_C(1) << 32)

static struct str random_uuid(struct loop *loop, struct arena *arena) {
    unsigned char b[16];
    loop_random_bytes(loop, b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    return arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static bool invalid(struct api_op *op, const struct doc_value *request, const char *field,
                    struct str message) {
    struct str name = doc_get_str(request, "metadata", "name");
    struct doc_object cause = doc_object_start(op->arena), details = doc_object_start(op->arena);
    api_error_set(&op->error, op->arena, 422, "Invalid",
                  "TokenRequest.authentication.k8s.io \"%.*s\" is invalid: %s: %.*s", STR_ARG(name),
                  field, STR_ARG(message));
    doc_object_set_c(&cause, "reason", DOC_S("FieldValueInvalid"));
    doc_object_set_c(&cause, "message", doc_make_str(message));
    doc_object_set_c(&cause, "field", doc_make_str(str_from(field)));
    struct doc_array causes = doc_array_start(op->arena);
    doc_array_add(&causes, doc_object_done(&cause));
    if (name.n) {
        doc_object_set_c(&details, "name", doc_make_str(name));
    }
    doc_object_set_c(&details, "group", DOC_S("authentication.k8s.io"));
    doc_object_set_c(&details, "kind", DOC_S("TokenRequest"));
    doc_object_set_c(&details, "causes", doc_array_done(&causes));
    op->error.details = doc_object_done(&details);
    return false;
}

static bool not_found(struct api_op *op, const char *plural, struct str name) {
    struct doc_object details = doc_object_start(op->arena);
    api_error_set(&op->error, op->arena, 404, "NotFound", "%s \"%.*s\" not found", plural,
                  STR_ARG(name));
    doc_object_set_c(&details, "name", doc_make_str(name));
    doc_object_set_c(&details, "kind", doc_make_str(str_from(plural)));
    op->error.details = doc_object_done(&details);
    return false;
}

static bool is_token_request(struct api_op *op, const struct doc_value *request) {
    struct str kind = doc_get_str(request, "kind");
    struct str version = doc_get_str(request, "apiVersion");
    size_t slash = str_rfind_char(version, '/');
    struct str last = slash == STR_NPOS ? version : str_skip(version, slash + 1);
    return !kind.n || str_eq(kind, STR("TokenRequest")) ||
           api_error_set(&op->error, op->arena, 400, "BadRequest",
                         "%.*s in version \"%.*s\" cannot be handled as a TokenRequest: converting "
                         "(%.*s.%.*s) to (authentication.TokenRequest): unknown conversion",
                         STR_ARG(kind), STR_ARG(version), STR_ARG(last), STR_ARG(kind));
}

static bool check_request(struct api_op *op, struct doc_value *request, int64_t *lifetime) {
    struct str name = doc_get_str(request, "metadata", "name");
    struct str ns = doc_get_str(request, "metadata", "namespace");
    const struct doc_value *seconds = doc_get(request, "spec", "expirationSeconds");
    *lifetime = doc_int(seconds, STANDARD_SECONDS);
    if (name.n && !str_eq(name, op->request.name)) {
        struct str shown = op->request.name;
        struct doc_value named =
            doc_with(op->arena, request, doc_make_str(shown), "metadata", "name");
        return invalid(op, &named, "metadata.name",
                       arena_printf(op->arena,
                                    "Invalid value: \"%.*s\": must match the service account name "
                                    "if specified",
                                    STR_ARG(name)));
    }
    if (ns.n && !str_eq(ns, op->request.ns)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "the namespace of the provided object does not match the namespace "
                             "sent on the request");
    }
    if (*lifetime < LEAST_SECONDS || *lifetime > MOST_SECONDS) {
        return invalid(op, request, "spec.expirationSeconds",
                       arena_printf(op->arena, "Invalid value: %lld: may not specify a duration %s",
                                    (long long)*lifetime,
                                    *lifetime < LEAST_SECONDS ? "less than 10 minutes"
                                                              : "larger than 2^32 seconds"));
    }
    return doc_len(doc_get(request, "spec", "audiences")) <= AUDIENCES_MAX ||
           invalid(op, request, "spec.audiences", STR("Invalid value: too many audiences"));
}

static bool load(struct api_op *op, const char *plural, struct str ns, struct str name,
                 struct doc_value *out) {
    struct api_entry *entry =
        api_entry_find(api_collection_get(op->server, STR(""), str_from(plural)), ns, name);
    struct blob *text = entry && !entry->deleted ? api_entry_text(entry, NULL) : NULL;
    bool ok = text && doc_parse_json_copy(blob_str(text), op->arena, out, NULL);
    blob_unref(text);
    return ok || not_found(op, plural, name);
}

static struct doc_value reference(struct arena *arena, struct str name, struct str uid) {
    struct doc_object out = doc_object_start(arena);
    doc_object_set_c(&out, "name", doc_make_str(name));
    doc_object_set_c(&out, "uid", doc_make_str(uid));
    return doc_object_done(&out);
}

// Adds what the token is bound to to the claim "kubernetes.io".
static bool bind(struct api_op *op, const struct doc_value *ref, struct doc_object *own) {
    static const struct {
        const char *kind, *claim, *plural;
        bool namespaced;
    } kinds[] = {{"Pod", "pod", "pods", true},
                 {"Node", "node", "nodes", false},
                 {"Secret", "secret", "secrets", true}};
    struct str kind = doc_get_str(ref, "kind");
    struct str name = doc_get_str(ref, "name");
    struct str wanted = doc_get_str(ref, "uid");
    struct doc_value object;
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && !str_eq_c(kind, kinds[i].kind)) {
        i++;
    }
    if (i == ARRAY_LEN(kinds) || !str_eq(doc_get_str(ref, "apiVersion"), STR("v1"))) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "cannot bind token to object of type /%.*s, Kind=%.*s",
                             STR_ARG(doc_get_str(ref, "apiVersion")), STR_ARG(kind));
    }
    if (!load(op, kinds[i].plural, kinds[i].namespaced ? op->request.ns : STR(""), name, &object)) {
        return false;
    }
    struct str uid = doc_get_str(&object, "metadata", "uid");
    if (wanted.n && !str_eq(wanted, uid)) {
        struct doc_object details = doc_object_start(op->arena);
        api_error_set(&op->error, op->arena, 409, "Conflict",
                      "Operation cannot be fulfilled on %s \"%.*s\": the UID in the bound object "
                      "reference (%.*s) does not match the UID in record. The object might have "
                      "been deleted and then recreated",
                      kinds[i].kind, STR_ARG(name), STR_ARG(wanted));
        doc_object_set_c(&details, "name", doc_make_str(name));
        doc_object_set_c(&details, "kind", doc_make_str(str_from(kinds[i].kind)));
        op->error.details = doc_object_done(&details);
        return false;
    }
    struct str account = doc_get_str(&object, "spec", "serviceAccountName");
    if (i == 0 && !str_eq(account, op->request.name)) {
        return api_error_set(&op->error, op->arena, 400, "BadRequest",
                             "cannot bind token for serviceaccount \"%.*s\" to pod running with "
                             "different serviceaccount name.",
                             STR_ARG(op->request.name));
    }
    struct str node = doc_get_str(&object, "spec", "nodeName");
    struct api_entry *entry =
        i == 0 && node.n
            ? api_entry_find(api_collection_get(op->server, STR(""), STR("nodes")), STR(""), node)
            : NULL;
    if (entry && !entry->deleted) {
        struct doc_value host;
        if (!load(op, "nodes", STR(""), node, &host)) {
            return false;
        }
        doc_object_set_c(own, "node",
                         reference(op->arena, node, doc_get_str(&host, "metadata", "uid")));
    }
    doc_object_set_c(own, kinds[i].claim, reference(op->arena, name, uid));
    return true;
}

static struct doc_value make_claims(struct api_op *op, const struct doc_value *audiences,
                                    struct doc_value own, int64_t now, int64_t lifetime) {
    struct doc_object claims = doc_object_start(op->arena);
    doc_object_set_c(&claims, "aud", *audiences);
    doc_object_set_c(&claims, "exp", doc_make_int(now + lifetime));
    doc_object_set_c(&claims, "iat", doc_make_int(now));
    doc_object_set_c(&claims, "iss", doc_make_str(api_accounts_issuer(op->server->accounts)));
    doc_object_set_c(&claims, "jti", doc_make_str(random_uuid(op->server->loop, op->arena)));
    doc_object_set_c(&claims, "kubernetes.io", own);
    doc_object_set_c(&claims, "nbf", doc_make_int(now));
    doc_object_set_c(
        &claims, "sub",
        doc_make_str(arena_printf(op->arena, "system:serviceaccount:%.*s:%.*s",
                                  STR_ARG(op->request.ns), STR_ARG(op->request.name))));
    return doc_object_done(&claims);
}

static struct doc_value make_reply(struct api_op *op, const struct doc_value *account,
                                   const struct doc_value *audiences, const struct doc_value *ref,
                                   int64_t now, int64_t lifetime, struct str token) {
    struct arena *arena = op->arena;
    struct doc_object metadata = doc_object_start(arena), spec = doc_object_start(arena);
    struct doc_object status = doc_object_start(arena), out = doc_object_start(arena);
    doc_object_set_c(&metadata, "name", doc_make_str(op->request.name));
    doc_object_set_c(&metadata, "namespace", doc_make_str(op->request.ns));
    doc_object_set_c(&metadata, "uid", *doc_get(account, "metadata", "uid"));
    doc_object_set_c(&metadata, "creationTimestamp",
                     doc_make_str(time_format(arena, now * NS_PER_SECOND)));
    doc_object_set_c(&spec, "audiences", *audiences);
    doc_object_set_c(&spec, "expirationSeconds", doc_make_int(lifetime));
    doc_object_set_c(&spec, "boundObjectRef", ref ? *ref : doc_null());
    doc_object_set_c(&status, "token", doc_make_str(token));
    doc_object_set_c(&status, "expirationTimestamp",
                     doc_make_str(time_format(arena, (now + lifetime) * NS_PER_SECOND)));
    doc_object_set_c(&out, "kind", DOC_S("TokenRequest"));
    doc_object_set_c(&out, "apiVersion", DOC_S("authentication.k8s.io/v1"));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "spec", doc_object_done(&spec));
    doc_object_set_c(&out, "status", doc_object_done(&status));
    return doc_object_done(&out);
}

bool api_token_request(struct api_op *op) {
    struct doc_value request, account;
    struct api_accounts *accounts = op->server->accounts;
    int64_t lifetime;
    if (op->request.verb != API_VERB_CREATE) {
        return api_error_set(&op->error, op->arena, 405, "MethodNotAllowed",
                             "the server does not allow this method on the requested resource");
    }
    if (!accounts) {
        return api_error_set(&op->error, op->arena, 404, "NotFound",
                             "the server could not find the requested resource");
    }
    if (!api_body_parse(op, &request) || !is_token_request(op, &request) ||
        !load(op, "serviceaccounts", op->request.ns, op->request.name, &account) ||
        !check_request(op, &request, &lifetime)) {
        return false;
    }
    const struct doc_value *audiences = doc_get(&request, "spec", "audiences");
    const struct doc_value *ref = doc_get(&request, "spec", "boundObjectRef");
    struct doc_value standard;
    if (!doc_len(audiences)) {
        struct doc_array list = doc_array_start(op->arena);
        doc_array_add(&list, doc_make_str(api_accounts_issuer(accounts)));
        standard = doc_array_done(&list);
        audiences = &standard;
    }
    ref = doc_is_null(ref) ? NULL : ref;
    struct doc_object own = doc_object_start(op->arena);
    doc_object_set_c(&own, "namespace", doc_make_str(op->request.ns));
    if (ref && !bind(op, ref, &own)) {
        return false;
    }
    doc_object_set_c(
        &own, "serviceaccount",
        reference(op->arena, op->request.name, doc_get_str(&account, "metadata", "uid")));
    int64_t now = loop_wall(op->server->loop) / NS_PER_SECOND;
    struct doc_value claims = make_claims(op, audiences, doc_object_done(&own), now, lifetime);
    struct str token = STR("");
    struct err err = {0};
    if (!op->request.dry_run &&
        !jwt_make(api_accounts_key(accounts), &claims, op->arena, &token, &err)) {
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "Internal error occurred: failed to generate token: %s", err.message);
    }
    struct doc_value reply = make_reply(op, &account, audiences, ref, now, lifetime, token);
    op->request.output = API_OUTPUT_OBJECT;
    return api_reply_value(op, 201, &reply);
}

// ---- Secrets ----
static const struct str TOKEN_TYPE = STR_INIT("\"type\":\"kubernetes.io/service-account-token\"");

static void forget(struct api_op *op) {
    if (op->error.status && op->error.status != 404 && op->error.status != 409 && !op->cancelled) {
        LOG(LOG_WARN, "apiserver", "a token Secret could not be kept", "error",
            op->error.message.p);
    }
    api_op_destroy(op);
}

static struct api_op *secret_op(struct apiserver *server, enum api_verb verb, struct str ns,
                                struct str name) {
    struct api_op *op = api_op_create(server, forget);
    op->request.verb = verb;
    op->request.gvr = (struct kube_gvr){.version = STR("v1"), .resource = STR("secrets")};
    op->request.ns = arena_dup(op->arena, ns);
    op->request.name = arena_dup(op->arena, name);
    op->request.field_manager = STR("kube-controller-manager");
    return op;
}

static bool legacy_token(struct apiserver *server, struct arena *arena, struct str ns,
                         struct str account, struct str uid, struct str secret, struct str *out) {
    struct doc_object claims = doc_object_start(arena);
    struct err err = {0};
    doc_object_set_c(&claims, "iss", DOC_S("kubernetes/serviceaccount"));
    doc_object_set_c(&claims, "kubernetes.io/serviceaccount/namespace", doc_make_str(ns));
    doc_object_set_c(&claims, "kubernetes.io/serviceaccount/secret.name", doc_make_str(secret));
    doc_object_set_c(&claims, "kubernetes.io/serviceaccount/service-account.name",
                     doc_make_str(account));
    doc_object_set_c(&claims, "kubernetes.io/serviceaccount/service-account.uid",
                     doc_make_str(uid));
    doc_object_set_c(&claims, "sub",
                     doc_make_str(arena_printf(arena, "system:serviceaccount:%.*s:%.*s",
                                               STR_ARG(ns), STR_ARG(account))));
    struct doc_value value = doc_object_done(&claims);
    return jwt_make(api_accounts_key(server->accounts), &value, arena, out, &err);
}

static void fill_secret(struct apiserver *server, const struct doc_value *secret,
                        struct str account, struct str uid) {
    struct str ns = doc_get_str(secret, "metadata", "namespace");
    struct str name = doc_get_str(secret, "metadata", "name");
    struct api_op *op = secret_op(server, API_VERB_PATCH, ns, name);
    struct arena *arena = op->arena;
    struct str token;
    if (!legacy_token(server, arena, ns, account, uid, name, &token)) {
        api_op_destroy(op);
        return;
    }
    struct doc_object data = doc_object_start(arena), notes = doc_object_start(arena);
    struct doc_object metadata = doc_object_start(arena), out = doc_object_start(arena);
    if (server->root_ca.n) {
        doc_object_set_c(&data, "ca.crt", doc_make_str(base64_encode(arena, server->root_ca)));
    }
    doc_object_set_c(&data, "namespace", doc_make_str(base64_encode(arena, ns)));
    doc_object_set_c(&data, "token", doc_make_str(base64_encode(arena, token)));
    doc_object_set_c(&notes, "kubernetes.io/service-account.uid", doc_make_str(uid));
    doc_object_set_c(&metadata, "uid", *doc_get(secret, "metadata", "uid"));
    doc_object_set_c(&metadata, "annotations", doc_object_done(&notes));
    doc_object_set_c(&out, "metadata", doc_object_done(&metadata));
    doc_object_set_c(&out, "data", doc_object_done(&data));
    struct doc_value patch = doc_object_done(&out);
    op->request.patch = KUBE_PATCH_MERGE;
    op->request.body = doc_to_json(arena, &patch);
    api_op_run(op);
}

// A Secret of an account that is not there goes; one without a token gets it.
static void look_at_secret(struct apiserver *server, struct str text) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct doc_value secret, account;
    if (!str_has(text, TOKEN_TYPE) || !doc_parse_json(text, arena, &secret, NULL) ||
        !str_eq(doc_get_str(&secret, "type"), STR("kubernetes.io/service-account-token"))) {
        return;
    }
    struct str ns = doc_get_str(&secret, "metadata", "namespace");
    struct str name =
        doc_get_str(&secret, "metadata", "annotations", "kubernetes.io/service-account.name");
    struct str uid =
        doc_get_str(&secret, "metadata", "annotations", "kubernetes.io/service-account.uid");
    struct api_entry *entry =
        api_entry_find(api_collection_get(server, STR(""), STR("serviceaccounts")), ns, name);
    struct blob *of_account = entry ? api_entry_durable(entry, NULL) : NULL;
    bool there = of_account && doc_parse_json_copy(blob_str(of_account), arena, &account, NULL);
    blob_unref(of_account);
    struct str has = there ? doc_get_str(&account, "metadata", "uid") : STR("");
    if (!there || (uid.n && !str_eq(uid, has))) {
        api_op_run(
            secret_op(server, API_VERB_DELETE, ns, doc_get_str(&secret, "metadata", "name")));
    } else if (!doc_get_str(&secret, "data", "token").n) {
        fill_secret(server, &secret, name, has);
    }
}

void api_accounts_start(struct apiserver *server) {
    struct api_cursor cursor =
        api_cursor_at(api_collection_get(server, STR(""), STR("secrets")), (struct str){NULL, 0});
    for (struct api_entry *entry; (entry = api_cursor_next(&cursor));) {
        struct blob *text = api_entry_durable(entry, NULL);
        look_at_secret(server, blob_str(text));
        blob_unref(text);
    }
}

void api_accounts_committed(struct apiserver *server, const struct api_event *event) {
    struct str plural = event->collection->plural;
    if (event->collection->group.n) {
        return;
    }
    if (str_eq(plural, STR("serviceaccounts")) && event->type == KUBE_DELETED) {
        api_post(server, api_accounts_start);
    } else if (str_eq(plural, STR("secrets")) && event->type != KUBE_DELETED) {
        look_at_secret(server, blob_str(event->object));
    }
}
