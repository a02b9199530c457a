// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/timefmt.h"

enum {
    WATCHDOG_MS = 50,
    // Freed memory goes back to the system when it is more than TRIM_BYTES, looked at often under load and rarely at rest.
    TRIM_BYTES = 2 * 1024 * 1024,
    TRIM_MS_BUSY = 250,
    TRIM_MS_REST = 2000,
};

static struct str from_env(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return str_from(value ? value : fallback);
}

void serve_defaults(struct serve_settings *settings) {
    *settings = (struct serve_settings){
        .log_level = from_env("SKIFF_LOG_LEVEL", "info"),
        .log_format = from_env("SKIFF_LOG_FORMAT", "text"),
        .ns = from_env("SKIFF_NAMESPACE", "argocd"),
        .api_listen = from_env("SKIFF_API_LISTEN", "127.0.0.1:8082"),
        .qps = 50,
        .burst = 100,
    };
}

bool serve_make_dir(const char *path, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    char *copy = arena_cstr(arena, str_from(path));
    for (char *at = copy + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(copy, 0755);
            *at = '/';
        }
    }
    if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
        return err_errno(err, errno, "cannot make the folder %s", path);
    }
    return true;
}

// The allocator keeps what lies between pieces in use; thousands of texts that are replaced one by one leave a lot of that.
// Its count of free bytes does not sink when pages go back, so what was left the last time is the measure.
static void trim(void *ctx) {
    struct serve *serve = ctx;
    size_t spare = mallinfo2().fordblks;
    bool much = spare > serve->trimmed + TRIM_BYTES;
    if (much) {
        malloc_trim(TRIM_BYTES / 4);
    }
    serve->trimmed = much || spare < serve->trimmed ? spare : serve->trimmed;
    serve->trim_pause = much ? TRIM_MS_BUSY : serve->trim_pause * 2;
    serve->trim_pause = serve->trim_pause > TRIM_MS_REST ? TRIM_MS_REST : serve->trim_pause;
    loop_timer_start(serve->trim, serve->trim_pause * NS_PER_MS);
}

static void end(struct serve *serve) {
    void (*on_stop)(void *) = TAKE(serve->on_stop); // a second signal does not wait for it
    if (on_stop) {
        on_stop(serve->ctx);
    } else {
        loop_stop(serve->loop);
    }
}

static void stop(void *ctx) {
    LOG(LOG_INFO, "main", "stopping");
    end(ctx);
}

bool serve_init(struct serve *serve, struct cli *cli, const struct serve_settings *settings,
                struct err *err) {
    serve->cli = cli;
    serve->settings = *settings;
    if (!str_eq(settings->log_format, STR("text")) && !str_eq(settings->log_format, STR("json"))) {
        return err_set(err, ERR_USAGE, "--log-format takes text or json, not \"%.*s\"",
                       STR_ARG(settings->log_format));
    }
    if (!log_configure(settings->log_level, str_eq(settings->log_format, STR("json")), err)) {
        err->code = ERR_USAGE;
        return err_wrap(err, "--log-level");
    }
    mallopt(M_ARENA_MAX,
            1); // a second arena costs more memory than waiting for the first costs time
    serve->loop = loop_create(0);
    loop_set_watchdog(serve->loop, WATCHDOG_MS * NS_PER_MS);
    serve->metrics = metrics_create();
    serve->signals[0] = loop_signal_create(serve->loop, SIGINT, stop, serve);
    serve->signals[1] = loop_signal_create(serve->loop, SIGTERM, stop, serve);
    serve->http = http_client_create(serve->loop);
    serve->trim = loop_timer_create(serve->loop, trim, serve);
    serve->trim_pause = TRIM_MS_BUSY;
    loop_timer_start(serve->trim, serve->trim_pause * NS_PER_MS);
    return true;
}

static void booted(void *ctx, const struct err *error) {
    struct serve *serve = ctx;
    serve->boot = NULL;
    if (error) {
        serve->failure = *error;
        end(serve);
        return;
    }
    struct app_options options = {.loop = serve->loop,
                                  .home = serve->home,
                                  .vcs = serve->vcs,
                                  .http = serve->http,
                                  .metrics = serve->metrics,
                                  .ns = serve->settings.ns,
                                  .qps = (double)serve->settings.qps,
                                  .burst = (unsigned)serve->settings.burst,
                                  .fence = serve->fence};
    serve->app = app_controller_create(&options);
    api_set_app(serve->api, serve->app);
    if (serve->on_ready) {
        serve->on_ready(serve->ctx);
    }
}

void serve_lead(struct serve *serve) {
    serve->boot = app_bootstrap(serve->loop, serve->home, serve->settings.ns, booted, serve);
}

void serve_unlead(struct serve *serve) {
    app_bootstrap_cancel(TAKE(serve->boot));
    api_set_app(serve->api, NULL);
    app_controller_destroy(TAKE(serve->app));
}

static bool start_api(struct serve *serve, struct err *err) {
    struct api_options options = {.metrics = serve->metrics,
                                  .is_standby = serve->is_standby,
                                  .forward = serve->forward,
                                  .ctx = serve->ctx};
    serve->api = api_create(&options);
    if (serve->settings.api_listen.n == 0) {
        return true;
    }
    struct http_server_options server = {.listen = serve->settings.api_listen,
                                         .handle = api_handle,
                                         .body_limit = api_body_limit,
                                         .ctx = serve->api,
                                         .idle_timeout_ns = 60 * NS_PER_SECOND};
    serve->api_server = http_server_start(serve->loop, &server, err);
    return serve->api_server || err_wrap(err, "--api-listen");
}

bool serve_run(struct serve *serve, struct err *err) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const char *mirrors = arena_printf(arena, "%.*s/git", STR_ARG(serve->settings.cache_dir)).p;
    struct vcs_options vcs = {
        .loop = serve->loop,
        .dir = mirrors,
        .self = serve->cli->self,
        .metrics = serve->metrics,
        .forbid_local = !serve->settings.local_repos,
    };
    if (!serve_make_dir(mirrors, err) || !start_api(serve, err)) {
        return false;
    }
    serve->vcs = vcs_create(&vcs, err);
    if (!serve->vcs) {
        return false;
    }
    if (serve->on_start) {
        serve->on_start(serve->ctx);
    } else {
        serve_lead(serve);
    }
    loop_run(serve->loop);
    if (serve->failure.code != ERR_NONE) {
        *err = serve->failure;
        return false;
    }
    return true;
}

struct drain {
    struct loop *loop;
    struct loop_timer *timer;
};

static void last_turn(void *ctx) {
    struct drain *drain = ctx;
    if (loop_work_pending(drain->loop) == 0) {
        loop_stop(drain->loop);
    } else {
        loop_timer_start(drain->timer, 5 * NS_PER_MS);
    }
}

// Lets the loop run what was posted before now, the ends of cancelled calls and watches, and what workers still do: they
// read from what is destroyed next.
static void run_out(struct loop *loop) {
    if (loop) {
        struct drain drain = {loop, NULL};
        drain.timer = loop_timer_create(loop, last_turn, &drain);
        loop_post(loop, last_turn, &drain);
        loop_run(loop);
        loop_timer_destroy(drain.timer);
    }
}

void serve_fini(struct serve *serve) {
    if (serve->api_server) {
        http_server_stop(serve->api_server);
    }
    if (serve->api) {
        serve_unlead(serve);
    }
    api_destroy(serve->api);
    run_out(serve->loop);
    if (serve->vcs) {
        serve->vcs->ops->destroy(serve->vcs);
    }
    kube_client_destroy(serve->home);
    if (serve->http) {
        http_client_destroy(serve->http);
    }
    loop_timer_destroy(serve->trim);
    loop_signal_destroy(serve->signals[0]);
    loop_signal_destroy(serve->signals[1]);
}
