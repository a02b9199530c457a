// SPDX-License-Identifier: Apache-2.0
// `skiff up`: the embedded API, its door, and the controllers over it, in one process.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/apiserver.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "cli/serve.h"
#include "crypto/crypto.h"
#include "local/local.h"

struct up {
    struct serve serve;
    struct arena *arena;
    struct str dir, listen, token_file;
    struct str client_ca_file, account_key_file, account_issuer, audit_log;
    struct str client_ca, account_key; // PEM
    int64_t nodes, audit_size, audit_files;
    bool events;
    struct str tokens; // the CSV text
    struct str token;  // what the kubeconfig carries
    struct cert_pair ca, cert;
    struct store *store;
    struct apiserver_calls *calls;
    struct apiserver *server;
    struct apiserver_http *front;
    struct http_server *listener;
};

// ---- Files of the data folder ----
static const char *path_in(struct up *up, const char *name) {
    return arena_printf(up->arena, "%.*s/%s", STR_ARG(up->dir), name).p;
}

// Written beside and renamed, so that a reader never sees half a file.
static bool write_file(struct up *up, const char *name, struct str text, struct err *err) {
    const char *path = path_in(up, name),
               *part = path_in(up, arena_printf(up->arena, "%s.part", name).p);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "cannot write %s", part);
    }
    bool ok = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
    int failure = errno;
    close(fd);
    if (!ok || rename(part, path) != 0) {
        failure = ok ? errno : failure;
        unlink(part);
        return err_errno(err, failure, "cannot write %s", path);
    }
    return true;
}

static bool read_file(struct up *up, const char *name, struct str *out, struct err *err) {
    return cli_read_file(path_in(up, name), MIB, up->arena, out, err);
}

static struct str random_token(struct up *up) {
    unsigned char bytes[24];
    secure_random(bytes, sizeof bytes);
    return hex_encode(up->arena, str_make((const char *)bytes, sizeof bytes));
}

static bool load_tokens(struct up *up, struct err *err) {
    if (up->token_file.n) {
        if (!cli_read_file(arena_cstr(up->arena, up->token_file), MIB, up->arena, &up->tokens,
                           err)) {
            return err_wrap(err, "--token-auth-file");
        }
    } else if (access(path_in(up, "tokens.csv"), F_OK) == 0) {
        if (!read_file(up, "tokens.csv", &up->tokens, err)) {
            return false;
        }
    } else {
        up->tokens = arena_printf(up->arena, "%.*s,admin,admin,\"system:masters\"\n",
                                  STR_ARG(random_token(up)));
        if (!write_file(up, "tokens.csv", up->tokens, err)) {
            return false;
        }
    }
    // The kubeconfig is for whoever runs the program: the first token that may do everything, or else the first.
    struct str text = up->tokens, line;
    bool found = false;
    while (!found && str_next(&text, '\n', &line)) {
        struct str first, rest;
        line = str_trim(line);
        found = str_has(line, STR("system:masters"));
        if (line.n && line.p[0] != '#' && (found || !up->token.n)) {
            str_cut(line, ',', &first, &rest);
            up->token = str_trim(first);
        }
    }
    return true;
}

static bool load_ca(struct up *up, struct err *err) {
    if (access(path_in(up, "ca.crt"), F_OK) == 0) {
        return read_file(up, "ca.crt", &up->ca.cert, err) &&
               read_file(up, "ca.key", &up->ca.key, err);
    }
    return cert_create_ca(STR("skiff"), up->arena, &up->ca, err) &&
           write_file(up, "ca.key", up->ca.key, err) && write_file(up, "ca.crt", up->ca.cert, err);
}

// Certificates of users are signed by our own authority, or by another one.
static bool load_client_ca(struct up *up, struct err *err) {
    up->client_ca = up->ca.cert;
    return !up->client_ca_file.n ||
           ((cli_read_file(up->client_ca_file.p, MIB, up->arena, &up->client_ca, err) &&
             cert_check_pem(up->client_ca, err)) ||
            err_wrap(err, "--client-ca-file"));
}

// The key that signs the tokens of service accounts: whoever has it may be any of them.
static bool load_account_key(struct up *up, struct err *err) {
    if (up->account_key_file.n) {
        return cli_read_file(up->account_key_file.p, MIB, up->arena, &up->account_key, err) ||
               err_wrap(err, "--service-account-key-file");
    }
    if (access(path_in(up, "sa.key"), F_OK) == 0) {
        return read_file(up, "sa.key", &up->account_key, err);
    }
    return sign_key_generate(up->arena, &up->account_key, err) &&
           write_file(up, "sa.key", up->account_key, err);
}

static struct str host_of(struct str listen) {
    size_t colon = str_rfind_char(listen, ':');
    struct str host = str_first(listen, colon == STR_NPOS ? listen.n : colon);
    if (host.n > 2 && host.p[0] == '[') {
        host = str_make(host.p + 1, host.n - 2);
    }
    return host;
}

static bool is_any(struct str host) {
    return host.n == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::"));
}

static bool make_cert(struct up *up, struct err *err) {
    char name[256] = "localhost";
    struct str names[8] = {STR("localhost"), STR("127.0.0.1"), STR("::1"), STR("kubernetes"),
                           STR("kubernetes.default.svc")};
    size_t count = 5;
    if (!is_any(host_of(up->listen))) {
        names[count++] = host_of(up->listen);
    }
    if (gethostname(name, sizeof name - 1) == 0 && name[0]) {
        names[count++] = str_from(name);
    }
    return cert_create_server(&up->ca, names, count, up->arena, &up->cert, err);
}

static bool write_kubeconfig(struct up *up, struct err *err) {
    struct str host = host_of(up->listen);
    bool v6 = str_find_char(host, ':') != STR_NPOS && !is_any(host);
    struct str text =
        arena_printf(up->arena,
                     "apiVersion: v1\nkind: Config\nclusters:\n- name: skiff\n  cluster:\n    "
                     "server: https://%s%.*s%s:%u\n"
                     "    certificate-authority-data: %.*s\nusers:\n- name: admin\n  user:\n    "
                     "token: \"%.*s\"\ncontexts:\n- name: skiff\n"
                     "  context:\n    cluster: skiff\n    user: admin\ncurrent-context: skiff\n",
                     v6 ? "[" : "", STR_ARG(is_any(host) ? STR("127.0.0.1") : host), v6 ? "]" : "",
                     http_server_port(up->listener), STR_ARG(base64_encode(up->arena, up->ca.cert)),
                     STR_ARG(up->token));
    return write_file(up, "kubeconfig", text, err);
}

// Where the pods of a cluster would reach the API: the host it listens on, or this machine's first address when that is
// any or a loopback, as kube-apiserver advertises it.
static struct str advertised(struct up *up) {
    struct str host = host_of(up->listen);
    struct in_addr ip;
    char text[INET_ADDRSTRLEN] = "";
    struct ifaddrs *all = NULL;
    if (!is_any(host) && inet_pton(AF_INET, arena_cstr(up->arena, host), &ip) == 1 &&
        ntohl(ip.s_addr) >> 24 != 127) {
        return host;
    }
    if (getifaddrs(&all) != 0) {
        return STR("");
    }
    for (struct ifaddrs *each = all; each && !text[0]; each = each->ifa_next) {
        if (each->ifa_addr && each->ifa_addr->sa_family == AF_INET && each->ifa_flags & IFF_UP &&
            !(each->ifa_flags & IFF_LOOPBACK)) {
            const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)each->ifa_addr;
            (void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        }
    }
    freeifaddrs(all);
    return arena_dup(up->arena, str_from(text));
}

// ---- Start ----
static void ready(void *ctx) {
    struct up *up = ctx;
    struct err err = {0};
    if (!write_kubeconfig(up, &err)) {
        up->serve.failure = err;
        loop_stop(up->serve.loop);
        return;
    }
    printf("skiff is up: https API on port %u\nkubectl --kubeconfig %s get applications -n %.*s\n",
           http_server_port(up->listener), path_in(up, "kubeconfig"),
           STR_ARG(up->serve.settings.ns));
    fflush(stdout);
}

static bool start_server(struct up *up, struct err *err) {
    struct serve *serve = &up->serve;
    up->store = store_open_sqlite(serve->loop, path_in(up, ""), err);
    if (!up->store || !load_ca(up, err) || !load_client_ca(up, err) || !load_account_key(up, err)) {
        return false;
    }
    up->calls = apiserver_calls_create(serve->loop);
    struct apiserver_options options = {.loop = serve->loop,
                                        .store = up->store,
                                        .metrics = serve->metrics,
                                        .calls = up->calls,
                                        .nodes = (unsigned)up->nodes,
                                        .no_events = !up->events,
                                        .rbac = true,
                                        .root_ca = up->ca.cert,
                                        .account_key = up->account_key,
                                        .account_issuer = up->account_issuer};
    up->server = apiserver_create(&options, err);
    if (!up->server || !load_tokens(up, err)) {
        return false;
    }
    up->front = apiserver_http_create(up->server, up->tokens, err);
    if (!up->front || !make_cert(up, err)) {
        return false;
    }
    if (up->audit_log.n && !apiserver_http_audit(up->front, up->audit_log.p, up->audit_size * MIB,
                                                 (unsigned)up->audit_files, err)) {
        return err_wrap(err, "--audit-log");
    }
    struct http_server_options listener = {.listen = up->listen,
                                           .cert = up->cert.cert,
                                           .key = up->cert.key,
                                           .handle = apiserver_http_handle,
                                           .ctx = up->front,
                                           .client_ca = up->client_ca,
                                           .handles_cut_bodies = true,
                                           .idle_timeout_ns = 120 * NS_PER_SECOND};
    up->listener = http_server_start(serve->loop, &listener, err);
    if (!up->listener) {
        return err_wrap(err, "--listen");
    }
    apiserver_set_address(up->server, advertised(up), http_server_port(up->listener));
    serve->home = local_client_create(
        up->server, STR("system:serviceaccount:argocd:argocd-application-controller"));
    serve->on_ready = ready;
    serve->ctx = up;
    return true;
}

static void finish(struct up *up) {
    serve_fini(&up->serve);
    if (up->listener) {
        http_server_stop(up->listener);
    }
    apiserver_http_destroy(up->front);
    apiserver_destroy(up->server);
    apiserver_calls_destroy(up->calls);
    if (up->store) {
        up->store->ops->close(up->store);
    }
    if (up->serve.metrics) {
        metrics_destroy(up->serve.metrics);
    }
    if (up->serve.loop) {
        loop_destroy(up->serve.loop);
    }
}

static int run(struct cli *cli, int argc, char **argv) {
    struct up up = {.arena = cli->arena,
                    .listen = STR("127.0.0.1:6443"),
                    .nodes = 1,
                    .events = true,
                    .audit_size = 100,
                    .audit_files = 5};
    struct serve_settings settings;
    serve_defaults(&settings);
    settings.local_repos = true; // a laptop, an edge box: the repositories are often beside it
    struct str data = {NULL, 0};
    struct cli_option options[] = {
        {"data", 'd', CLI_TEXT, &data, "DIR",
         "Folder of the data and of the kubeconfig (default SKIFF_DATA or ~/.local/share/skiff)."},
        {"listen", 'l', CLI_TEXT, &up.listen, "ADDR:PORT",
         "Where the Kubernetes API is served over TLS (default 127.0.0.1:6443)."},
        {"token-auth-file", 0, CLI_TEXT, &up.token_file, "FILE",
         "Lines of token,user,uid,\"groups\"; without it one token is made at the first start."},
        {"client-ca-file", 0, CLI_TEXT, &up.client_ca_file, "FILE",
         "PEM of the authority that signs client certificates: CN is the user, O its groups "
         "(default DIR/ca.crt)."},
        {"service-account-key-file", 0, CLI_TEXT, &up.account_key_file, "FILE",
         "PEM of the private key (RSA or EC P-256) that signs tokens of service accounts "
         "(default DIR/sa.key, made at the first start)."},
        {"service-account-issuer", 0, CLI_TEXT, &up.account_issuer, "URL",
         "Issuer of those tokens (default https://kubernetes.default.svc)."},
        {"audit-log", 0, CLI_TEXT, &up.audit_log, "FILE",
         "Write a line of JSON (audit.k8s.io/v1, Metadata) to FILE for each request."},
        {"audit-log-max-size", 0, CLI_NUMBER, &up.audit_size, "MIB",
         "Rename FILE to FILE.1 and so on when it is larger (default 100)."},
        {"audit-log-max-files", 0, CLI_NUMBER, &up.audit_files, "N",
         "Renamed files that are kept (default 5)."},
        {"nodes", 0, CLI_NUMBER, &up.nodes, "N",
         "Simulated nodes; with 0 pods stay Pending (default 1)."},
        {"events", 0, CLI_FLAG, &up.events, NULL,
         "Record Event objects of the simulated cluster (default; --no-events turns it off)."},
        {"allow-local-repos", 0, CLI_FLAG, &settings.local_repos, NULL,
         "Read repositories of this host by file URL (default; --no-allow-local-repos turns it "
         "off)."},
        SERVE_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words) {
        return cli_fail(cli, EXIT_USAGE, "takes no arguments, but got \"%s\"", argv[0]);
    }
    if (up.nodes < 0 || up.nodes > 1000) {
        return cli_fail(cli, EXIT_USAGE, "--nodes takes 0 to 1000");
    }
    if (up.audit_size < 1 || up.audit_size > 100000 || up.audit_files < 0 ||
        up.audit_files > 1000) {
        return cli_fail(cli, EXIT_USAGE,
                        "--audit-log-max-size takes 1 to 100000, --audit-log-max-files 0 to 1000");
    }
    struct err err = {0};
    up.dir = cli_data_dir(cli->arena, data);
    settings.cache_dir = arena_printf(cli->arena, "%.*s/cache", STR_ARG(up.dir));
    bool ok = serve_make_dir(up.dir.p, &err) && serve_init(&up.serve, cli, &settings, &err) &&
              start_server(&up, &err) && serve_run(&up.serve, &err);
    finish(&up);
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_up = {
    .name = "up",
    .summary = "Start everything in one process: an embedded Kubernetes API and the controllers.",
    .usage = "[--data DIR] [--listen ADDR:PORT]",
    .about = "The API is served over TLS with a token; both are in DIR/kubeconfig, which kubectl "
             "and every other client of\n"
             "Kubernetes take. Objects are kept in DIR/state.db. Stop it with Ctrl-C or SIGTERM; "
             "kill -9 loses nothing that was\n"
             "acknowledged.",
    .examples = "  skiff up\n"
                "  skiff up --data /var/lib/skiff --listen 0.0.0.0:6443\n"
                "  kubectl --kubeconfig ~/.local/share/skiff/kubeconfig get applications -n argocd",
    .run = run,
};
