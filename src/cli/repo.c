// SPDX-License-Identifier: Apache-2.0
// `skiff repo`: the Secrets that tell controllers how to read repositories, as Argo CD keeps them.
#include <stdio.h>

#include "base/text.h"
#include "cli/out.h"
#include "cli/source.h"

#define SECRET_TYPE "argocd.argoproj.io/secret-type"

// The name Argo CD gives to the Secret: "repo-" and the 32-bit FNV-1a hash of URL and project.
static struct str secret_name(struct arena *arena, struct str url, struct str project) {
    uint32_t hash = 2166136261U;
    struct str text = arena_concat(arena, url, project);
    for (size_t i = 0; i < text.n; i++) {
        hash = (hash ^ (unsigned char)text.p[i]) * 16777619U;
    }
    return arena_printf(arena, "repo-%u", hash);
}

static bool is_repository(const struct doc_value *secret) {
    return str_eq(doc_get_str(secret, "metadata", "labels", SECRET_TYPE), STR("repository"));
}

static struct str value_of(const struct doc_value *secret, const char *key, struct arena *arena) {
    return app_secret_value(secret, key, arena);
}

// ---- list, get ----
static const char *credentials_of(struct source_access *access, const struct doc_value *secret,
                                  struct arena *arena) {
    static const char *const keys[] = {"username", "password", "bearerToken", "sshPrivateKey",
                                       "tlsClientCertData"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (value_of(secret, keys[i], arena).n) {
            return "true";
        }
    }
    struct vcs_access with =
        app_registry_access(access->registry, value_of(secret, "url", arena), arena);
    return with.username.n || with.password.n || with.bearer_token.n || with.ssh_private_key.n ||
                   with.tls_client_cert.n
               ? "inherited"
               : "false";
}

static bool is_true(const struct doc_value *secret, const char *key, struct arena *arena) {
    return str_eq(value_of(secret, key, arena), STR("true"));
}

static void add_row(struct source_access *access, const struct doc_value *secret, struct buf *out) {
    struct arena *arena = access->connection->arena;
    struct str url = value_of(secret, "url", arena), type = value_of(secret, "type", arena);
    struct err err = {0};
    bool ok = source_check(access, url, NULL, &err);
    bool insecure =
        is_true(secret, "insecure", arena) || is_true(secret, "insecureIgnoreHostKey", arena);
    buf_printf(out, "%.*s\t%.*s\t%.*s\t%s\t%s\t%s\t%s\t%s\t%.*s\t%.*s\n",
               STR_ARG(type.n ? type : STR("git")), STR_ARG(value_of(secret, "name", arena)),
               STR_ARG(vcs_scrub_url(url, arena)), insecure ? "true" : "false",
               is_true(secret, "enableOCI", arena) ? "true" : "false",
               is_true(secret, "enableLfs", arena) ? "true" : "false",
               credentials_of(access, secret, arena), ok ? "Successful" : "Failed",
               STR_ARG(ok ? STR("") : out_clean(arena, str_from(err.message), false)),
               STR_ARG(value_of(secret, "project", arena)));
}

// What may be shown: no credentials.
static struct doc_value described(const struct doc_value *secret, struct arena *arena) {
    static const char *const shown[] = {"type", "name", "url", "project", "username", "proxy"};
    struct doc_object object = doc_object_start(arena);
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        struct str value = value_of(secret, shown[i], arena);
        if (value.n) {
            bool is_url = strcmp(shown[i], "url") == 0;
            doc_object_set_c(&object, is_url ? "repo" : shown[i],
                             doc_make_str(is_url ? vcs_scrub_url(value, arena) : value));
        }
    }
    return doc_object_done(&object);
}

static bool print_repositories(struct source_access *access, struct str only, struct str output,
                               struct err *err) {
    struct arena *arena = access->connection->arena;
    struct doc_array list = doc_array_start(arena);
    AUTO_BUF struct buf text, out;
    buf_init(&text, OUT_MAX);
    buf_init(&out, OUT_MAX);
    size_t found = 0;
    bool table = str_eq(output, STR("wide"));
    buf_add_c(&text, table
                         ? "TYPE\tNAME\tREPO\tINSECURE\tOCI\tLFS\tCREDS\tSTATUS\tMESSAGE\tPROJECT\n"
                         : "");
    for (size_t i = 0; i < access->secret_count; i++) {
        const struct doc_value *secret = &access->secrets[i];
        struct str url = value_of(secret, "url", arena);
        if (!is_repository(secret) ||
            (only.n && !str_eq(vcs_normalize_url(url, arena), vcs_normalize_url(only, arena)))) {
            continue;
        }
        found++;
        if (table) {
            add_row(access, secret, &text);
        } else if (str_eq(output, STR("url"))) {
            buf_printf(&text, "%.*s\n", STR_ARG(vcs_scrub_url(url, arena)));
        } else {
            doc_array_add(&list, described(secret, arena));
        }
    }
    if (only.n && found == 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "there is no repository \"%.*s\"; \"repo list\" shows them",
                       STR_ARG(vcs_scrub_url(only, arena)));
    }
    if (out_is_document(output)) {
        struct doc_value all = doc_array_done(&list);
        out_document(only.n ? doc_at(&all, 0) : &all, output, 2, &out);
    } else {
        out_columns(buf_str(&text), 0, 2, &out);
    }
    return out_print(&out);
}

static int run_show(struct cli *cli, int argc, char **argv, bool one) {
    struct connection_settings settings = {0};
    struct str output = STR("wide");
    struct cli_option options[] = {
        {"output", 'o', CLI_TEXT, &output, "FORMAT", "wide, url, json or yaml (default wide)."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words != (one ? 1 : 0)) {
        return cli_fail(cli, EXIT_USAGE,
                        one ? "takes the URL of one repository" : "takes no arguments");
    }
    if (!out_is_document(output) && !str_eq(output, STR("wide")) && !str_eq(output, STR("url"))) {
        return cli_fail(cli, EXIT_USAGE,
                        "unknown output format \"%.*s\": it is wide, url, json or yaml",
                        STR_ARG(output));
    }
    struct err err = {0};
    struct connection c = {0};
    struct source_access access = {0};
    bool ok = connection_open(&c, cli, &settings, &err) &&
              source_access_open(&access, cli, &c, &err) &&
              print_repositories(&access, one ? str_from(argv[0]) : STR(""), output, &err);
    source_access_close(&access);
    connection_close(&c);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

static int run_list(struct cli *cli, int argc, char **argv) {
    return run_show(cli, argc, argv, false);
}

static int run_get(struct cli *cli, int argc, char **argv) {
    return run_show(cli, argc, argv, true);
}

// ---- add ----
struct add {
    struct str url, name, project, username, password, bearer_token, ssh_key_file, cert_file,
        key_file, proxy, no_proxy, type;
    bool insecure, insecure_host_key, enable_lfs, upsert, skip_check, password_stdin;
    int64_t depth;
    struct str ssh_key, cert, key; // contents
};

static bool read_files(struct add *add, struct arena *arena, struct err *err) {
    struct {
        struct str file;
        struct str *text;
    } const files[] = {{add->ssh_key_file, &add->ssh_key},
                       {add->cert_file, &add->cert},
                       {add->key_file, &add->key}};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i].file.n &&
            !cli_read_file(arena_cstr(arena, files[i].file), 1 << 20, arena, files[i].text, err)) {
            return false;
        }
    }
    if (add->password_stdin && !cli_read_file("-", 1 << 16, arena, &add->password, err)) {
        return false;
    }
    add->password = add->password_stdin ? str_trim(add->password) : add->password;
    return true;
}

static struct doc_value make_secret(const struct add *add, struct str ns, struct arena *arena) {
    struct doc_object data = doc_object_start(arena);
    const struct {
        const char *key;
        struct str value;
    } values[] = {
        {"url", add->url},
        {"type", add->type},
        {"name", add->name},
        {"project", add->project},
        {"username", add->username},
        {"password", add->password},
        {"bearerToken", add->bearer_token},
        {"sshPrivateKey", add->ssh_key},
        {"tlsClientCertData", add->cert},
        {"tlsClientCertKey", add->key},
        {"proxy", add->proxy},
        {"noProxy", add->no_proxy},
        {"insecure", add->insecure ? STR("true") : STR("")},
        {"insecureIgnoreHostKey", add->insecure_host_key ? STR("true") : STR("")},
        {"enableLfs", add->enable_lfs ? STR("true") : STR("")},
        {"depth", add->depth ? arena_printf(arena, "%lld", (long long)add->depth) : STR("")}};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (values[i].value.n) {
            doc_object_set_c(&data, values[i].key,
                             doc_make_str(base64_encode(arena, values[i].value)));
        }
    }
    struct doc_value secret = doc_null();
    secret = doc_with(arena, &secret, DOC_S("v1"), "apiVersion");
    secret = doc_with(arena, &secret, DOC_S("Secret"), "kind");
    secret = doc_with(arena, &secret, doc_make_str(secret_name(arena, add->url, add->project)),
                      "metadata", "name");
    secret = doc_with(arena, &secret, doc_make_str(ns), "metadata", "namespace");
    secret = doc_with(arena, &secret, DOC_S("repository"), "metadata", "labels", SECRET_TYPE);
    secret = doc_with(arena, &secret, DOC_S("argocd.argoproj.io"), "metadata", "annotations",
                      "managed-by");
    return doc_with(arena, &secret, doc_object_done(&data), "data");
}

static bool write_secret(struct connection *c, const struct doc_value *secret, bool upsert,
                         struct err *err) {
    struct doc_value live, answer;
    struct str name = doc_get_str(secret, "metadata", "name");
    struct kube_request request = {.verb = KUBE_CREATE,
                                   .gvr = cli_secrets,
                                   .ns = c->ns,
                                   .body = doc_to_json(c->arena, secret),
                                   .field_manager = STR("skiff"),
                                   .grace_seconds = -1};
    if (connection_get(c, cli_secrets, c->ns, name, &live, err)) {
        if (doc_equal(doc_get(&live, "data"), doc_get(secret, "data"))) {
            return true;
        }
        if (!upsert) {
            return err_set(
                err, ERR_EXISTS,
                "the repository is there already with other settings; --upsert replaces them");
        }
        struct doc_value changed = doc_with(c->arena, &live, *doc_get(secret, "data"), "data");
        request.verb = KUBE_UPDATE;
        request.name = name;
        request.body = doc_to_json(c->arena, &changed);
    } else if (!err_is(err, ERR_NOT_FOUND)) {
        return false;
    }
    *err = (struct err){0};
    return connection_send(c, &request, &answer, err);
}

static bool check_add(struct source_access *access, const struct add *add, struct err *err) {
    struct vcs_access with = {.username = add->username,
                              .password = add->password,
                              .bearer_token = add->bearer_token,
                              .ssh_private_key = add->ssh_key,
                              .tls_client_cert = add->cert,
                              .tls_client_key = add->key,
                              .proxy = add->proxy,
                              .no_proxy = add->no_proxy,
                              .insecure = add->insecure || add->insecure_host_key};
    struct vcs_access known =
        app_registry_access(access->registry, add->url, access->connection->arena);
    bool own = with.username.n || with.password.n || with.bearer_token.n ||
               with.ssh_private_key.n || with.tls_client_cert.n;
    with.known_hosts = known.known_hosts;
    with.ca = known.ca;
    if (!source_check(access, add->url, own || add->insecure ? &with : NULL, err)) {
        return err_wrap(err, "the repository cannot be read (--skip-check adds it all the same)");
    }
    return true;
}

static int run_add(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct add add = {.type = STR("git")};
    struct cli_option options[] = {
        {"name", 0, CLI_TEXT, &add.name, "NAME", "A name to show."},
        {"project", 0, CLI_TEXT, &add.project, "NAME", "Only for Applications of this project."},
        {"type", 0, CLI_TEXT, &add.type, "TYPE", "git (the only one, default)."},
        {"username", 0, CLI_TEXT, &add.username, "NAME", "User of an https repository."},
        {"password", 0, CLI_TEXT, &add.password, "TEXT",
         "Its password or token; seen by other users of this machine."},
        {"password-stdin", 0, CLI_FLAG, &add.password_stdin, NULL,
         "Read the password from standard input."},
        {"bearer-token", 0, CLI_TEXT, &add.bearer_token, "TEXT",
         "Bearer token of an https repository."},
        {"ssh-private-key-path", 0, CLI_TEXT, &add.ssh_key_file, "FILE",
         "Private key of an SSH repository."},
        {"tls-client-cert-path", 0, CLI_TEXT, &add.cert_file, "FILE", "Client certificate."},
        {"tls-client-cert-key-path", 0, CLI_TEXT, &add.key_file, "FILE", "Its key."},
        {"insecure-skip-server-verification", 0, CLI_FLAG, &add.insecure, NULL,
         "Do not check the server's certificate."},
        {"insecure-ignore-host-key", 0, CLI_FLAG, &add.insecure_host_key, NULL,
         "Do not check the SSH host key."},
        {"enable-lfs", 0, CLI_FLAG, &add.enable_lfs, NULL,
         "Noted in the Secret; LFS files are not fetched."},
        {"proxy", 0, CLI_TEXT, &add.proxy, "URL", "Proxy to the repository."},
        {"no-proxy", 0, CLI_TEXT, &add.no_proxy, "LIST", "Hosts without the proxy."},
        {"depth", 0, CLI_NUMBER, &add.depth, "N", "Fetch only so many commits."},
        {"upsert", 0, CLI_FLAG, &add.upsert, NULL,
         "Replace the settings of a repository that is there."},
        {"skip-check", 0, CLI_FLAG, &add.skip_check, NULL, "Do not try to read it first."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words != 1) {
        return cli_fail(cli, EXIT_USAGE, "takes the URL of one repository");
    }
    if (!str_eq(add.type, STR("git")) || add.depth < 0) {
        return cli_fail(cli, EXIT_USAGE, "--type is git, --depth 0 or more");
    }
    struct err err = {0};
    struct connection c = {0};
    struct source_access access = {0};
    add.url = str_from(argv[0]);
    bool ok = vcs_check_url(add.url, &err) && read_files(&add, cli->arena, &err) &&
              connection_open(&c, cli, &settings, &err) &&
              source_access_open(&access, cli, &c, &err) &&
              (add.skip_check || check_add(&access, &add, &err));
    if (ok) {
        struct doc_value secret = make_secret(&add, c.ns, cli->arena);
        ok = write_secret(&c, &secret, add.upsert, &err);
    }
    source_access_close(&access);
    connection_close(&c);
    if (!ok) {
        return cli_fail_err(cli, &err);
    }
    printf("Repository '%.*s' added\n", STR_ARG(vcs_scrub_url(add.url, cli->arena)));
    return EXIT_DONE;
}

// ---- rm ----
static bool remove_one(struct source_access *access, struct str url, struct str project,
                       struct err *err) {
    struct connection *c = access->connection;
    for (size_t i = 0; i < access->secret_count; i++) {
        const struct doc_value *secret = &access->secrets[i];
        if (!is_repository(secret) || !str_eq(value_of(secret, "project", c->arena), project) ||
            !str_eq(vcs_normalize_url(value_of(secret, "url", c->arena), c->arena),
                    vcs_normalize_url(url, c->arena))) {
            continue;
        }
        struct kube_request request = {.verb = KUBE_DELETE,
                                       .gvr = cli_secrets,
                                       .ns = c->ns,
                                       .name = doc_get_str(secret, "metadata", "name"),
                                       .grace_seconds = -1};
        struct doc_value answer;
        return connection_send(c, &request, &answer, err);
    }
    return err_set(err, ERR_NOT_FOUND, "there is no repository \"%.*s\"; \"repo list\" shows them",
                   STR_ARG(vcs_scrub_url(url, c->arena)));
}

static int run_rm(struct cli *cli, int argc, char **argv) {
    struct connection_settings settings = {0};
    struct str project = {NULL, 0};
    struct cli_option options[] = {
        {"project", 0, CLI_TEXT, &project, "NAME", "The one of this project."},
        CONNECTION_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words == 0) {
        return cli_fail(cli, EXIT_USAGE, "takes the URLs of repositories");
    }
    struct err err = {0};
    struct connection c = {0};
    struct source_access access = {0};
    bool ok =
        connection_open(&c, cli, &settings, &err) && source_access_open(&access, cli, &c, &err);
    for (int i = 0; ok && i < words; i++) {
        ok = remove_one(&access, str_from(argv[i]), project, &err);
        if (ok) {
            printf("Repository '%.*s' removed\n",
                   STR_ARG(vcs_scrub_url(str_from(argv[i]), cli->arena)));
        }
    }
    source_access_close(&access);
    connection_close(&c);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

// ---- The commands ----
static const struct cli_command repo_list = {
    .name = "list",
    .summary = "Repositories with credentials or settings, and whether they can be read.",
    .usage = "[-o wide|url|json|yaml]",
    .about = "A public repository needs no entry.",
    .examples = "  skiff repo list",
    .run = run_list,
};
static const struct cli_command repo_get = {
    .name = "get",
    .summary = "One repository.",
    .usage = "URL [-o wide|url|json|yaml]",
    .about = "Credentials are not shown.",
    .examples = "  skiff repo get https://git.example.com/shop.git",
    .run = run_get,
};
static const struct cli_command repo_add = {
    .name = "add",
    .summary = "Keep credentials or settings of a repository.",
    .usage = "URL [--username NAME --password-stdin] [--ssh-private-key-path FILE]",
    .about = "They go into a Secret as Argo CD keeps it. The repository is read once first, unless "
             "--skip-check is given.",
    .examples =
        "  skiff repo add https://git.example.com/shop.git --username ci --password-stdin < token\n"
        "  skiff repo add git@git.example.com:shop.git --ssh-private-key-path ~/.ssh/id_ed25519",
    .run = run_add,
};
static const struct cli_command repo_rm = {
    .name = "rm",
    .summary = "Forget the credentials and settings of repositories.",
    .usage = "URL...",
    .about = "",
    .examples = "  skiff repo rm https://git.example.com/shop.git",
    .run = run_rm,
};
static const struct cli_command *const commands[] = {&repo_list, &repo_get, &repo_add, &repo_rm,
                                                     NULL};

const struct cli_command cli_repo = {
    .name = "repo",
    .summary = "Credentials and settings of Git repositories.",
    .usage = "COMMAND [OPTIONS]",
    .about = "",
    .examples = "  skiff repo list",
    .children = commands,
};
