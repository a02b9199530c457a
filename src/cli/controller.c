// SPDX-License-Identifier: Apache-2.0
// `skiff controller`: the same controllers over a real cluster.
#include <stdio.h>

#include "base/log.h"
#include "base/timefmt.h"
#include "cli/serve.h"
#include "kube/kubeconfig.h"
#include "kube/lease.h"
#include "kube/simple.h"

#define LEASE_NAME "skiff-controller"
enum {
    LEASE_CONNECTIONS = 2, // of its own: a renewal does not stand behind a burst of writes
    FORWARD_REPLY_MAX = 4096,
};

struct controller {
    struct serve serve;
    struct str kubeconfig, context;
    bool in_cluster, with_argocd, allow_exec, leader_elect;
    struct kube_config config;
    struct http_client *lease_http; // whose connections stay when those of a leader are cut
    struct kube_client *lease_client;
    struct kube_lease *lease;
};

static bool load_config(struct controller *c, struct arena *arena, struct err *err) {
    if (c->in_cluster) {
        return kube_config_in_cluster(arena, &c->config, err);
    }
    struct kubeconfig_options options = {
        .context = c->context, .allow_files = true, .allow_exec = c->allow_exec};
    return kube_config_load(arena_cstr(arena, c->kubeconfig), &options, arena, &c->config, err);
}

// Two controllers over the same Applications would undo each other's work.
static bool check_no_argocd(struct controller *c, struct kube_client *client, struct arena *arena,
                            struct err *err) {
    static const char *const kinds[] = {"statefulsets", "deployments"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct kube_request request = {
            .verb = KUBE_LIST,
            .gvr = {STR("apps"), STR("v1"), str_from(kinds[i])},
            .ns = c->serve.settings.ns,
            .label_selector = STR("app.kubernetes.io/name=argocd-application-controller"),
            .grace_seconds = -1,
            .timeout_ns = 30 * NS_PER_SECOND};
        struct kube_answer reply;
        if (!kube_call_wait(c->serve.loop, client, &request, arena, &reply, err)) {
            return err_wrap(err, "looking for Argo CD's own controller");
        }
        struct doc_value list;
        if (!doc_parse_json(reply.body, arena, &list, err)) {
            return false;
        }
        for (DOC_EACH_ITEM(doc_get(&list, "items"), item)) {
            if (doc_int(doc_get(item, "spec", "replicas"), 1) > 0) {
                return err_set(err, ERR_CONFLICT,
                               "Argo CD's own controller runs in namespace %.*s (%s/%.*s): scale "
                               "it to 0 first, or start with "
                               "--with-argocd if it looks after other Applications",
                               STR_ARG(c->serve.settings.ns), kinds[i],
                               STR_ARG(doc_get_str(item, "metadata", "name")));
            }
        }
    }
    return true;
}

static void ready(void *ctx) {
    struct controller *c = ctx;
    LOG(LOG_INFO, "main", "the controller runs", "server", c->config.server.p);
}

static struct kube_client *connect(struct controller *c, struct kube_fence *fence) {
    struct kube_http_options options = {.config = &c->config,
                                        .qps = (double)c->serve.settings.qps,
                                        .burst = (unsigned)c->serve.settings.burst,
                                        .user_agent = STR("skiff/" SKIFF_VERSION),
                                        .metrics = c->serve.metrics,
                                        .fence = fence};
    return kube_http_client_create(c->serve.loop, c->serve.http, &options);
}

// The Lease needs its namespace, which else the leader would make at its first start.
static bool make_namespace(struct controller *c, struct arena *arena, struct err *err) {
    struct kube_gvr gvr = {STR(""), STR("v1"), STR("namespaces")};
    struct str ns = c->serve.settings.ns;
    struct kube_request get = {.verb = KUBE_GET, .gvr = gvr, .name = ns, .grace_seconds = -1};
    struct kube_request create = {
        .verb = KUBE_CREATE,
        .gvr = gvr,
        .body = arena_printf(arena, "{\"metadata\":{\"name\":\"%.*s\"}}", STR_ARG(ns)),
        .field_manager = STR("skiff"),
        .grace_seconds = -1};
    struct kube_answer reply = {0};
    struct err ignored = {0};
    if (kube_call_wait(c->serve.loop, c->lease_client, &get, arena, &reply, &ignored) ||
        reply.status != 404) {
        return true; // there, or not ours to see
    }
    return kube_call_wait(c->serve.loop, c->lease_client, &create, arena, &reply, err) ||
           str_eq(reply.reason, STR("AlreadyExists")) ||
           err_wrap(err, "making the namespace %.*s", STR_ARG(ns));
}

// ---- Two or more replicas: the one that holds the Lease works ----

// With the client and the connections of the time as leader everything goes that still waits to be sent.
static void leadership_changed(void *ctx, bool is_leading) {
    struct controller *c = ctx;
    if (is_leading) {
        c->serve.home = connect(c, kube_lease_fence(c->lease));
        serve_lead(&c->serve);
    } else {
        serve_unlead(&c->serve);
        kube_client_destroy(TAKE(c->serve.home));
        http_client_reset(c->serve.http); // a write that waits in a socket must not arrive later
    }
}

static bool is_standby(void *ctx) {
    struct controller *c = ctx;
    return c->lease && kube_lease_is_known(c->lease) && !kube_lease_is_leading(c->lease);
}

// ---- Webhooks that reach a process that waits ----

struct forwarded {
    struct http_exchange *exchange; // NULL: the sender went away
};

static void sender_left(void *ctx) {
    ((struct forwarded *)ctx)->exchange = NULL;
}

static void forward_answered(void *ctx, const struct http_result *result) {
    struct forwarded *forwarded = ctx;
    if (forwarded->exchange && result->error) {
        LOG(LOG_WARN, "main", "a webhook did not reach the leader", "error",
            result->error->message);
        http_reply_text(forwarded->exchange, 503, STR("text/plain; charset=utf-8"),
                        STR("the leader did not answer\n"));
    } else if (forwarded->exchange) {
        http_reply_text(forwarded->exchange, result->status, STR("text/plain; charset=utf-8"),
                        result->body);
    }
    free(forwarded);
}

// As it came, with its signature, which only the leader can check. Once: who gets it must lead.
static bool forward(void *ctx, struct http_exchange *exchange) {
    static const char *const names[] = {"Content-Type", "X-GitHub-Event", "X-Gitea-Event",
                                        "X-Hub-Signature-256", "X-Gitea-Signature"};
    struct controller *c = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    struct str address = c->lease ? kube_lease_leader_address(c->lease) : (struct str){NULL, 0};
    if (!str_starts(address, STR("http://")) ||
        http_exchange_header(exchange, STR("X-Skiff-Forwarded")).n) {
        return false;
    }
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct http_header headers[ARRAY_LEN(names) + 1] = {{STR("X-Skiff-Forwarded"), STR("1")}};
    size_t count = 1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str value = http_exchange_header(exchange, str_from(names[i]));
        if (value.n) {
            headers[count++] = (struct http_header){str_from(names[i]), value};
        }
    }
    struct forwarded *forwarded = NEW(struct forwarded);
    forwarded->exchange = exchange;
    http_exchange_on_abort(exchange, sender_left, forwarded);
    struct http_call call = {.method = STR("POST"),
                             .url = arena_concat(arena, address, STR("/api/webhook")),
                             .headers = headers,
                             .header_count = count,
                             .body = request->body,
                             .max_reply = FORWARD_REPLY_MAX,
                             .timeout_ns = 10 * NS_PER_SECOND,
                             .done = forward_answered,
                             .ctx = forwarded};
    http_client_start(c->lease_http, &call);
    return true;
}

// Where the other replicas reach this one: the pod's address, unless only the machine itself can reach it anyway.
static struct str own_address(struct controller *c) {
    const char *ip = getenv("SKIFF_POD_IP");
    struct serve *serve = &c->serve;
    if (!ip || !ip[0] || !serve->api_server) {
        return (struct str){NULL, 0};
    }
    return arena_printf(serve->cli->arena, strchr(ip, ':') ? "http://[%s]:%u" : "http://%s:%u", ip,
                        http_server_port(serve->api_server));
}

static void given_up(void *ctx) {
    struct controller *c = ctx;
    loop_stop(c->serve.loop);
}

static void stop_leading(void *ctx) {
    struct controller *c = ctx;
    kube_lease_release(c->lease, given_up, c);
}

static void start_election(void *ctx) {
    struct controller *c = ctx;
    struct serve *serve = &c->serve;
    struct kube_lease_options options = {.loop = serve->loop,
                                         .client = c->lease_client,
                                         .ns = serve->settings.ns,
                                         .name = STR(LEASE_NAME),
                                         .identity =
                                             kube_lease_identity(serve->loop, serve->cli->arena),
                                         .address = own_address(c),
                                         .metrics = serve->metrics,
                                         .on_change = leadership_changed,
                                         .ctx = c};
    c->lease = kube_lease_create(&options);
    serve->fence = kube_lease_fence(c->lease);
    serve->on_stop = stop_leading;
}

static bool start(struct controller *c, struct cli *cli, const struct serve_settings *settings,
                  struct err *err) {
    struct serve *serve = &c->serve;
    serve->on_ready = ready;
    serve->ctx = c;
    if (!load_config(c, cli->arena, err) || !serve_init(serve, cli, settings, err)) {
        return false;
    }
    if (!c->leader_elect) {
        serve->home = connect(c, NULL);
        return (c->with_argocd || check_no_argocd(c, serve->home, cli->arena, err)) &&
               serve_run(serve, err);
    }
    serve->on_start = start_election;
    serve->is_standby = is_standby;
    serve->forward = forward;
    struct kube_http_options options = {.config = &c->config,
                                        .user_agent = STR("skiff/" SKIFF_VERSION " lease"),
                                        .metrics = serve->metrics,
                                        .connections = LEASE_CONNECTIONS};
    c->lease_http = http_client_create(serve->loop);
    c->lease_client = kube_http_client_create(serve->loop, c->lease_http, &options);
    return make_namespace(c, cli->arena, err) &&
           (c->with_argocd || check_no_argocd(c, c->lease_client, cli->arena, err)) &&
           serve_run(serve, err);
}

static void end(struct controller *c) {
    if (c->lease) { // its fence is asked by the clients, and it asks the HTTP client
        serve_unlead(&c->serve);
        kube_client_destroy(TAKE(c->serve.home));
        kube_lease_destroy(TAKE(c->lease));
    }
    kube_client_destroy(TAKE(c->lease_client));
    http_client_destroy(TAKE(c->lease_http));
    serve_fini(&c->serve);
}

static int run(struct cli *cli, int argc, char **argv) {
    struct controller c = {0};
    struct serve_settings settings;
    serve_defaults(&settings);
    struct str cache = {NULL, 0};
    bool elect_given = false;
    const char *env = getenv("KUBECONFIG");
    c.kubeconfig = str_from(env && env[0] ? env : NULL);
    struct cli_option options[] = {
        {"kubeconfig", 0, CLI_TEXT, &c.kubeconfig, "FILE",
         "The cluster to work on (default KUBECONFIG)."},
        {"context", 0, CLI_TEXT, &c.context, "NAME",
         "Context of the kubeconfig (default its current one)."},
        {"in-cluster", 0, CLI_FLAG, &c.in_cluster, NULL,
         "Use the ServiceAccount of the pod this runs in."},
        {"leader-elect", 0, CLI_FLAG, &c.leader_elect, NULL,
         "Work only while holding the Lease skiff-controller, so that replicas can wait for each "
         "other's end (default with --in-cluster).",
         &elect_given},
        {"with-argocd", 0, CLI_FLAG, &c.with_argocd, NULL,
         "Start although Argo CD's own controller runs here."},
        {"allow-exec", 0, CLI_FLAG, &c.allow_exec, NULL,
         "Let the kubeconfig start credential plugins."},
        {"allow-local-repos", 0, CLI_FLAG, &settings.local_repos, NULL,
         "Let Applications name repositories by file URL: they can then read every repository of "
         "this host."},
        {"cache", 0, CLI_TEXT, &cache, "DIR",
         "Folder of the Git mirrors; may be deleted at any time."},
        {"kube-qps", 0, CLI_NUMBER, &settings.qps, "N",
         "Requests a second to a cluster (default 50; 0: no limit)."},
        {"kube-burst", 0, CLI_NUMBER, &settings.burst, "N",
         "Requests at once to a cluster (default 100)."},
        SERVE_OPTIONS(&settings),
    };
    int words, code;
    if (!cli_parse(cli, options, ARRAY_LEN(options), argc, argv, &words, &code)) {
        return code;
    }
    if (words || (!c.in_cluster && c.kubeconfig.n == 0)) {
        return cli_fail(cli, EXIT_USAGE, "%s",
                        words ? "takes no arguments"
                              : "name the cluster with --kubeconfig FILE or --in-cluster");
    }
    if (settings.qps < 0 || settings.burst < 0 || settings.burst > 100000) {
        return cli_fail(cli, EXIT_USAGE, "--kube-qps and --kube-burst take numbers from 0 on");
    }
    c.leader_elect = elect_given ? c.leader_elect : c.in_cluster;
    settings.cache_dir =
        cache.n ? cache
                : arena_printf(cli->arena, "%.*s/cache", STR_ARG(cli_data_dir(cli->arena, cache)));
    struct err err = {0};
    bool ok = start(&c, cli, &settings, &err);
    end(&c);
    if (c.serve.metrics) {
        metrics_destroy(c.serve.metrics);
    }
    if (c.serve.loop) {
        loop_destroy(c.serve.loop);
    }
    return ok ? EXIT_DONE : cli_fail_err(cli, &err);
}

const struct cli_command cli_controller = {
    .name = "controller",
    .summary = "Run the controllers against a real Kubernetes cluster.",
    .usage = "--kubeconfig FILE | --in-cluster",
    .about = "Everything it knows stays in the cluster's API; the folder of --cache only saves "
             "fetches. On first start it adds the\n"
             "namespace, the CRDs and the AppProject \"default\" where they are missing. It "
             "refuses to start beside Argo CD's own\n"
             "controller.",
    .examples = "  skiff controller --kubeconfig ~/.kube/config\n"
                "  skiff controller --in-cluster --api-listen 0.0.0.0:8082",
    .run = run,
};
