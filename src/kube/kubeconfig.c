// SPDX-License-Identifier: Apache-2.0
// kubeconfig files. A kubeconfig can name programs to run and files to read, so both are followed only where the caller
// says that the text comes from the user and not from the network.
#include "base/limits.h"
#include "base/text.h"
#include "doc/yaml.h"
#include "kube/internal.h"

struct reader {
    const struct kubeconfig_options *options;
    const struct yaml_document *document;
    struct arena *arena;
    struct err *err;
};

static bool fail_at(const struct reader *r, const struct doc_value *v, enum err_code code,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

static bool fail_at(const struct reader *r, const struct doc_value *v, enum err_code code,
                    const char *format, ...) {
    uint32_t line = 0, column = 0;
    if (v) {
        yaml_place_of(r->document, v, &line, &column);
    }
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(r->arena, format, args);
    va_end(args);
    return err_set_at(r->err, code, line, column, "%.*s", STR_ARG(text));
}

// One object of the file ("user \"admin\""), for messages.
struct section {
    const struct doc_value *object;
    const char *name;
};

static bool take_str(const struct reader *r, const struct section *s, const char *field,
                     struct str *out) {
    const struct doc_value *v = doc_find(s->object, str_from(field));
    if (doc_is_null(v)) {
        return true;
    }
    if (!doc_is(v, DOC_STRING)) {
        return fail_at(r, v, ERR_INVALID, "%s: %s must be a string, not %s (put it in quotes)",
                       s->name, field, doc_kind_name(doc_kind(v)));
    }
    *out = arena_dup(r->arena, doc_str(v));
    return true;
}

static bool take_bool(const struct reader *r, const struct section *s, const char *field,
                      bool *out) {
    const struct doc_value *v = doc_find(s->object, str_from(field));
    if (!doc_is_null(v) && !doc_is(v, DOC_BOOL)) {
        return fail_at(r, v, ERR_INVALID, "%s: %s must be true or false", s->name, field);
    }
    *out = doc_bool(v, false);
    return true;
}

// A path as the kubeconfig means it: relative to its own folder.
static struct str resolve(const struct reader *r, struct str path) {
    if (path.n == 0 || path.p[0] == '/' || r->options->base.n == 0) {
        return path;
    }
    return arena_printf(r->arena, "%.*s/%.*s", STR_ARG(r->options->base), STR_ARG(path));
}

static bool allow_file(const struct reader *r, const struct section *s, const char *field,
                       struct str path) {
    if (!r->options->allow_files) {
        return fail_at(r, doc_find(s->object, str_from(field)), ERR_UNSUPPORTED,
                       "%s: %s names the file \"%.*s\"; files are not followed here: put the "
                       "content itself into the kubeconfig (%s-data, or token)",
                       s->name, field, STR_ARG(str_first(path, 200)), field);
    }
    return true;
}

// FIELD-data in base64 wins over FIELD, a file name, as in kubectl.
static bool take_pem(const struct reader *r, const struct section *s, const char *field,
                     struct str *out, struct str *file) {
    struct str data = {0}, path = {0};
    char *data_field = arena_cstr(r->arena, arena_printf(r->arena, "%s-data", field));
    if (!take_str(r, s, data_field, &data) || !take_str(r, s, field, &path)) {
        return false;
    }
    if (data.n) {
        if (!base64_decode(data, r->arena, out)) {
            return fail_at(r, doc_find(s->object, str_from(data_field)), ERR_INVALID,
                           "%s: %s is not base64%s", s->name, data_field,
                           str_has(data, STR("-----BEGIN")) ? " (it is PEM: encode it once more)"
                                                            : "");
        }
        return true;
    }
    if (path.n == 0) {
        return true;
    }
    if (!allow_file(r, s, field, path)) {
        return false;
    }
    if (str_find_char(path, '\0') != STR_NPOS) {
        return fail_at(r, doc_find(s->object, str_from(field)), ERR_INVALID,
                       "%s: %s is no file name", s->name, field);
    }
    *file = arena_dup(r->arena, resolve(r, path));
    if (!kube_read_file(file->p, r->arena, out, r->err)) {
        return err_wrap(r->err, "%s: %s", s->name, field);
    }
    if (out->n == 0) {
        return fail_at(r, doc_find(s->object, str_from(field)), ERR_INVALID,
                       "%s: the file of %s is empty", s->name, field);
    }
    return true;
}

// ---- exec plugins ----

static bool exec_env(const struct reader *r, const struct doc_value *list, struct str info,
                     const struct section *s, struct kube_config *out) {
    size_t count = doc_len(list);
    if (!doc_is_null(list) && !doc_is(list, DOC_ARRAY)) {
        return fail_at(r, list, ERR_INVALID, "%s: exec.env must be a list", s->name);
    }
    if (count > LIMIT_EXEC_ARGUMENTS) {
        return fail_at(r, list, ERR_LIMIT,
                       "%s: exec.env has more than LIMIT_EXEC_ARGUMENTS (%d) "
                       "entries",
                       s->name, LIMIT_EXEC_ARGUMENTS);
    }
    struct str *env = ARENA_ARRAY(r->arena, count + 1, struct str);
    for (size_t i = 0; i < count; i++) {
        struct str name = doc_get_str(doc_at(list, i), "name");
        struct str value = doc_get_str(doc_at(list, i), "value");
        if (name.n == 0 || str_find_char(name, '=') != STR_NPOS ||
            str_find_char(name, '\0') != STR_NPOS || str_find_char(value, '\0') != STR_NPOS) {
            return fail_at(r, doc_at(list, i), ERR_INVALID,
                           "%s: exec.env[%zu] must be a name and a value", s->name, i);
        }
        env[i] = arena_printf(r->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
    }
    env[count] = info;
    out->exec_env = env;
    out->exec_env_count = count + 1;
    return true;
}

static bool exec_argv(const struct reader *r, const struct doc_value *exec, const struct section *s,
                      struct kube_config *out) {
    struct str command = doc_get_str(exec, "command");
    const struct doc_value *args = doc_find(exec, STR("args"));
    if (command.n == 0 || str_find_char(command, '\0') != STR_NPOS) {
        return fail_at(r, exec, ERR_INVALID, "%s: exec.command is missing", s->name);
    }
    if (!doc_is_null(args) && !doc_is(args, DOC_ARRAY)) {
        return fail_at(r, args, ERR_INVALID, "%s: exec.args must be a list", s->name);
    }
    if (doc_len(args) > LIMIT_EXEC_ARGUMENTS) {
        return fail_at(r, args, ERR_LIMIT,
                       "%s: exec.args has more than LIMIT_EXEC_ARGUMENTS (%d) "
                       "entries",
                       s->name, LIMIT_EXEC_ARGUMENTS);
    }
    struct str *argv = ARENA_ARRAY(r->arena, doc_len(args) + 1, struct str);
    // A plain word is looked up in PATH, a relative path starts at the kubeconfig.
    bool is_path = str_find_char(command, '/') != STR_NPOS;
    argv[0] = arena_dup(r->arena, is_path ? resolve(r, command) : command);
    for (size_t i = 0; i < doc_len(args); i++) {
        const struct doc_value *arg = doc_at(args, i);
        if (!doc_is(arg, DOC_STRING) || str_find_char(doc_str(arg), '\0') != STR_NPOS) {
            return fail_at(r, arg, ERR_INVALID, "%s: exec.args[%zu] must be a string", s->name, i);
        }
        argv[i + 1] = arena_dup(r->arena, doc_str(arg));
    }
    out->exec_argv = argv;
    out->exec_argc = doc_len(args) + 1;
    return true;
}

// What the plugin finds in KUBERNETES_EXEC_INFO.
static struct str exec_info(const struct reader *r, const struct doc_value *exec,
                            struct str api_version, const struct kube_config *config) {
    struct doc_object spec = doc_object_start(r->arena);
    doc_object_set_c(&spec, "interactive", doc_make_bool(false));
    if (doc_bool(doc_find(exec, STR("provideClusterInfo")), false)) {
        struct doc_object cluster = doc_object_start(r->arena);
        doc_object_set_c(&cluster, "server", doc_make_str(config->server));
        if (config->tls.ca.n) {
            doc_object_set_c(&cluster, "certificate-authority-data",
                             doc_make_str(base64_encode(r->arena, config->tls.ca)));
        }
        if (config->tls.server_name.n) {
            doc_object_set_c(&cluster, "tls-server-name", doc_make_str(config->tls.server_name));
        }
        if (config->tls.insecure) {
            doc_object_set_c(&cluster, "insecure-skip-tls-verify", doc_make_bool(true));
        }
        if (config->proxy.n) {
            doc_object_set_c(&cluster, "proxy-url", doc_make_str(config->proxy));
        }
        doc_object_set_c(&spec, "cluster", doc_object_done(&cluster));
    }
    struct doc_object root = doc_object_start(r->arena);
    doc_object_set_c(&root, "kind", DOC_S("ExecCredential"));
    doc_object_set_c(&root, "apiVersion", doc_make_str(api_version));
    doc_object_set_c(&root, "spec", doc_object_done(&spec));
    struct doc_value value = doc_object_done(&root);
    return arena_concat(r->arena, STR("KUBERNETES_EXEC_INFO="), doc_to_json(r->arena, &value));
}

static bool take_exec(const struct reader *r, const struct section *s, struct kube_config *out) {
    const struct doc_value *exec = doc_find(s->object, STR("exec"));
    if (doc_is_null(exec)) {
        return true;
    }
    if (!doc_is(exec, DOC_OBJECT)) {
        return fail_at(r, exec, ERR_INVALID, "%s: exec must be an object", s->name);
    }
    struct str command = str_first(doc_get_str(exec, "command"), 200);
    if (!r->options->allow_exec) {
        return fail_at(r, exec, ERR_UNSUPPORTED,
                       "%s wants to run the program \"%.*s\" for its credentials (exec plugin); "
                       "programs are not run unless you allow it: use a token or a client "
                       "certificate, or allow exec plugins",
                       s->name, STR_ARG(command));
    }
    struct str version = doc_get_str(exec, "apiVersion");
    if (!str_eq_c(version, "client.authentication.k8s.io/v1") &&
        !str_eq_c(version, "client.authentication.k8s.io/v1beta1")) {
        return fail_at(r, exec, ERR_UNSUPPORTED,
                       "%s: exec.apiVersion must be client.authentication.k8s.io/v1 or v1beta1",
                       s->name);
    }
    if (str_eq_c(doc_get_str(exec, "interactiveMode"), "Always")) {
        return fail_at(r, exec, ERR_UNSUPPORTED,
                       "%s: the exec plugin \"%.*s\" needs a terminal (interactiveMode: Always)",
                       s->name, STR_ARG(command));
    }
    return exec_argv(r, exec, s, out) &&
           exec_env(r, doc_find(exec, STR("env")), exec_info(r, exec, version, out), s, out);
}

// ---- Sections ----

static bool take_groups(const struct reader *r, const struct section *s, struct kube_config *out) {
    const struct doc_value *list = doc_find(s->object, STR("as-groups"));
    if (!doc_is_null(list) && !doc_is(list, DOC_ARRAY)) {
        return fail_at(r, list, ERR_INVALID, "%s: as-groups must be a list", s->name);
    }
    if (doc_len(list) > LIMIT_EXEC_ARGUMENTS) {
        return fail_at(r, list, ERR_LIMIT, "%s: as-groups has more than %d entries", s->name,
                       LIMIT_EXEC_ARGUMENTS);
    }
    struct str *groups = ARENA_ARRAY(r->arena, doc_len(list) + 1, struct str);
    for (size_t i = 0; i < doc_len(list); i++) {
        if (!doc_is(doc_at(list, i), DOC_STRING)) {
            return fail_at(r, doc_at(list, i), ERR_INVALID, "%s: as-groups[%zu] must be a string",
                           s->name, i);
        }
        groups[i] = arena_dup(r->arena, doc_str(doc_at(list, i)));
    }
    out->as_groups = groups;
    out->as_group_count = doc_len(list);
    return true;
}

static bool take_cluster(const struct reader *r, const struct section *s, struct kube_config *out) {
    if (!take_str(r, s, "server", &out->server) ||
        !take_pem(r, s, "certificate-authority", &out->tls.ca, &out->ca_file) ||
        !take_bool(r, s, "insecure-skip-tls-verify", &out->tls.insecure) ||
        !take_str(r, s, "tls-server-name", &out->tls.server_name) ||
        !take_str(r, s, "proxy-url", &out->proxy)) {
        return false;
    }
    while (out->server.n && out->server.p[out->server.n - 1] == '/') {
        out->server.n--;
    }
    return true;
}

static bool take_token(const struct reader *r, const struct section *s, struct kube_config *out) {
    struct str file = {0};
    if (!take_str(r, s, "token", &out->token) || !take_str(r, s, "tokenFile", &file)) {
        return false;
    }
    out->token = str_trim(out->token);
    if (file.n == 0) {
        return true;
    }
    if (!allow_file(r, s, "tokenFile", file)) {
        return false;
    }
    if (str_find_char(file, '\0') != STR_NPOS) {
        return fail_at(r, s->object, ERR_INVALID, "%s: tokenFile is no file name", s->name);
    }
    out->token_file = arena_dup(r->arena, resolve(r, file));
    struct str token;
    if (!kube_read_file(out->token_file.p, r->arena, &token, r->err)) {
        return err_wrap(r->err, "%s: tokenFile", s->name);
    }
    out->token = str_trim(token);
    return true;
}

static bool take_user(const struct reader *r, const struct section *s, struct kube_config *out) {
    const struct doc_value *provider = doc_find(s->object, STR("auth-provider"));
    if (!doc_is_null(provider)) {
        return fail_at(r, provider, ERR_UNSUPPORTED,
                       "%s: auth-provider is not supported (kubectl dropped it too): use an exec "
                       "plugin or a token",
                       s->name);
    }
    const struct doc_value *extra = doc_find(s->object, STR("as-user-extra"));
    if (!doc_is_null(extra)) {
        return fail_at(r, extra, ERR_UNSUPPORTED, "%s: as-user-extra is not supported", s->name);
    }
    return take_pem(r, s, "client-certificate", &out->tls.cert, &out->cert_file) &&
           take_pem(r, s, "client-key", &out->tls.key, &out->key_file) && take_token(r, s, out) &&
           take_str(r, s, "username", &out->username) &&
           take_str(r, s, "password", &out->password) && take_str(r, s, "as", &out->as_user) &&
           take_str(r, s, "as-uid", &out->as_uid) && take_groups(r, s, out) && take_exec(r, s, out);
}

// The entry of a list like clusters[] with this name; its part `inner` (which may be absent) in *out.
static bool find_named(const struct reader *r, const struct doc_value *root, const char *list_name,
                       const char *inner, struct str name, struct section *out) {
    const struct doc_value *list = doc_find(root, str_from(list_name));
    if (!doc_is_null(list) && !doc_is(list, DOC_ARRAY)) {
        return fail_at(r, list, ERR_INVALID, "%s must be a list", list_name);
    }
    for (DOC_EACH_ITEM(list, item)) {
        if (!str_eq(doc_get_str(item, "name"), name)) {
            continue;
        }
        const struct doc_value *object = doc_find(item, str_from(inner));
        if (!doc_is_null(object) && !doc_is(object, DOC_OBJECT)) {
            return fail_at(r, object, ERR_INVALID, "%s \"%.*s\" must be an object", inner,
                           STR_ARG(str_first(name, 100)));
        }
        out->object = object;
        out->name = arena_cstr(
            r->arena, arena_printf(r->arena, "%s \"%.*s\"", inner, STR_ARG(str_first(name, 100))));
        return true;
    }
    AUTO_BUF struct buf names;
    buf_init(&names, 400);
    for (DOC_EACH_ITEM(list, other)) {
        struct str one = doc_get_str(other, "name");
        if (!buf_printf(&names, "%s%.*s", names.len ? ", " : "", STR_ARG(one))) {
            break;
        }
    }
    return fail_at(r, list, ERR_NOT_FOUND, "the kubeconfig has no %s \"%.*s\" (there is: %s)",
                   inner, STR_ARG(str_first(name, 100)), names.len ? names.data : "none");
}

static bool read_root(const struct reader *r, const struct doc_value *root,
                      struct kube_config *out) {
    struct str kind = doc_get_str(root, "kind");
    if (!doc_is(root, DOC_OBJECT) || (kind.n && !str_eq(kind, STR("Config")))) {
        return fail_at(r, root, ERR_INVALID, "this is no kubeconfig (kind: Config)");
    }
    struct str name = r->options->context;
    if (name.n == 0) {
        name = doc_get_str(root, "current-context");
    }
    if (name.n == 0) {
        return fail_at(r, root, ERR_INVALID,
                       "the kubeconfig sets no current-context: name a context");
    }
    struct section context, cluster, user = {0};
    if (!find_named(r, root, "contexts", "context", name, &context)) {
        return false;
    }
    struct str cluster_name = {0}, user_name = {0};
    if (!take_str(r, &context, "cluster", &cluster_name) ||
        !take_str(r, &context, "user", &user_name) ||
        !take_str(r, &context, "namespace", &out->ns)) {
        return false;
    }
    if (cluster_name.n == 0) {
        return fail_at(r, context.object, ERR_INVALID, "%s names no cluster", context.name);
    }
    if (!find_named(r, root, "clusters", "cluster", cluster_name, &cluster) ||
        !take_cluster(r, &cluster, out)) {
        return false;
    }
    if (user_name.n &&
        (!find_named(r, root, "users", "user", user_name, &user) || !take_user(r, &user, out))) {
        return false;
    }
    if (!kube_config_check(out, r->err)) {
        return err_wrap(r->err, "%s", context.name);
    }
    return true;
}

bool kube_config_parse(struct str text, const struct kubeconfig_options *options,
                       struct arena *arena, struct kube_config *out, struct err *err) {
    if (text.n > LIMIT_KUBECONFIG_BYTES) {
        return err_set(err, ERR_LIMIT, "the kubeconfig is larger than LIMIT_KUBECONFIG_BYTES (%d)",
                       LIMIT_KUBECONFIG_BYTES);
    }
    struct yaml_options yaml = {.profile = YAML_KUBERNETES, .strict = false, .places = true};
    struct yaml_document *documents;
    size_t count;
    if (!yaml_parse(text, &yaml, arena, &documents, &count, err)) {
        return err_wrap(err, "the kubeconfig is no YAML");
    }
    if (count != 1) {
        return err_set(err, ERR_INVALID, "a kubeconfig is one YAML document, this has %zu", count);
    }
    struct kubeconfig_options none = {0};
    struct reader reader = {
        .options = options ? options : &none,
        .document = &documents[0],
        .arena = arena,
        .err = err,
    };
    struct kube_config config = {0};
    if (!read_root(&reader, &documents[0].root, &config)) {
        return false;
    }
    *out = config;
    return true;
}

bool kube_config_load(const char *path, const struct kubeconfig_options *options,
                      struct arena *arena, struct kube_config *out, struct err *err) {
    struct str text;
    if (!kube_read_file(path, arena, &text, err)) {
        return false;
    }
    struct kubeconfig_options here = options ? *options : (struct kubeconfig_options){0};
    if (here.base.n == 0) {
        size_t slash = str_rfind_char(str_from(path), '/');
        here.base = slash == STR_NPOS ? STR(".") : slash == 0 ? STR("/") : str_make(path, slash);
    }
    if (!kube_config_parse(text, &here, arena, out, err)) {
        return err_wrap_file(err, str_from(path));
    }
    return true;
}
