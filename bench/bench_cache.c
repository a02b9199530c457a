// SPDX-License-Identifier: Apache-2.0
// 100,000 objects in the cache: memory an object and the time to take them in, from a list in pages and again as watch
// events, with texts and without (a client that can peek). Usage: bench_cache [OBJECTS]
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "base/timefmt.h"
#include "kube/cache.h"
#include "loop/sim_loop.h"

enum { OBJECTS = 100 * 1000, NAMESPACES = 250, OBJECTS_OF_APP = 4 };

struct bench {
    struct kube_client client;
    struct loop *loop;
    size_t objects, next, version;
    size_t text_bytes;
    kube_done *done;
    void *ctx;
    struct loop_timer *timer;
    struct kube_watch_handler watch;
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_object(struct buf *out, size_t i, size_t version) {
    buf_printf(out,
               "{\"apiVersion\":\"apps/"
               "v1\",\"kind\":\"Deployment\",\"metadata\":{\"annotations\":{\"argocd.argoproj.io/"
               "tracking-id\":\"app-%zu:apps/Deployment:ns-%zu/"
               "web-%zu\"},\"name\":\"web-frontend-%zu\",\"namespace\":"
               "\"namespace-%zu\",\"uid\":\"8f14e45f-ceea-467f-a8f0-%012zu\",\"resourceVersion\":"
               "\"%zu\",\"managedFields\":"
               "[{\"manager\":\"argocd-controller\",\"operation\":\"Apply\",\"fieldsV1\":{\"f:"
               "spec\":{\"f:replicas\":{},"
               "\"f:template\":{\"f:spec\":{\"f:containers\":{}}}}}}]},\"spec\":{\"replicas\":3,"
               "\"template\":{\"spec\":"
               "{\"containers\":[{\"name\":\"web\",\"image\":\"registry/"
               "web:1.2.3\",\"ports\":[{\"containerPort\":80}]}]}}},"
               "\"status\":{\"readyReplicas\":3,\"conditions\":[{\"type\":\"Available\",\"status\":"
               "\"True\"}]}}",
               i / OBJECTS_OF_APP, i % NAMESPACES, i, i, i % NAMESPACES, i, version);
}

static void send_page(void *ctx) {
    struct bench *b = ctx;
    AUTO_BUF struct buf page;
    buf_init(&page, 64 * (size_t)MIB);
    size_t end = b->next + LIMIT_LIST_PAGE < b->objects ? b->next + LIMIT_LIST_PAGE : b->objects;
    buf_printf(&page,
               "{\"kind\":\"DeploymentList\",\"apiVersion\":\"apps/"
               "v1\",\"metadata\":{\"resourceVersion\":\"%zu\","
               "\"continue\":\"%s\"},\"items\":[",
               b->objects + 1, end < b->objects ? "more" : "");
    for (size_t i = b->next; i < end; i++) {
        buf_add_c(&page, i > b->next ? "," : "");
        add_object(&page, i, i + 1);
    }
    buf_add_c(&page, "]}");
    b->next = end;
    b->text_bytes += page.len;
    struct kube_reply reply = {.status = 200, .body = buf_str(&page)};
    b->done(b->ctx, &reply);
}

static uint64_t bench_call(struct kube_client *client, const struct kube_request *request,
                           kube_done *done, void *ctx) {
    struct bench *b = CONTAINER_OF(client, struct bench, client);
    b->done = done;
    b->ctx = ctx;
    loop_timer_start(b->timer, 0);
    return 1;
}

static uint64_t bench_watch(struct kube_client *client, const struct kube_watch_request *request,
                            const struct kube_watch_handler *handler) {
    CONTAINER_OF(client, struct bench, client)->watch = *handler;
    return 2;
}

static void bench_cancel(struct kube_client *client, uint64_t id) {
    struct bench *b = CONTAINER_OF(client, struct bench, client);
    struct err err = {.code = ERR_CANCELLED};
    b->watch.on_end(b->watch.ctx, &err);
}

static struct blob *bench_peek(struct kube_client *client, const struct kube_gvr *gvr,
                               struct str ns, struct str name) {
    return NULL;
}

static const struct kube_client_ops plain_ops = {
    .call = bench_call, .watch = bench_watch, .cancel = bench_cancel};
static const struct kube_client_ops peek_ops = {
    .call = bench_call, .watch = bench_watch, .cancel = bench_cancel, .peek = bench_peek};

static struct str app_of(void *ctx, const struct kube_gvr *gvr, const struct doc_value *object,
                         struct arena *arena) {
    struct str id =
        doc_get_str(object, "metadata", "annotations", "argocd.argoproj.io/tracking-id");
    struct str app, rest;
    str_cut(id, ':', &app, &rest);
    return app;
}

static size_t heap_used(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void run(size_t objects, bool peek) {
    struct bench b = {.objects = objects};
    b.client.ops = peek ? &peek_ops : &plain_ops;
    b.client.server = STR("bench");
    b.loop = sim_loop_create(1);
    b.timer = loop_timer_create(b.loop, send_page, &b);
    struct kube_cache_options options = {.extract = app_of};
    struct kube_cache *cache = kube_cache_create(b.loop, &b.client, &options);
    struct kube_gvr gvr = {STR("apps"), STR("v1"), STR("deployments")};
    size_t before = heap_used();
    double start = now_s();
    kube_cache_want(cache, &gvr, STR(""), STR(""));
    sim_loop_run(b.loop, NS_PER_SECOND);
    double listed = now_s();
    size_t used = heap_used() - before, texts = 0;
    size_t iter = 0;
    const struct kube_object *object;
    while (!peek && kube_cache_next(cache, &gvr, &iter, &object)) {
        struct blob *text = kube_cache_text(cache, &gvr, object->ns, object->name);
        texts += text->len;
        blob_unref(text);
    }
    double each = (double)used / (double)objects;
    printf("%s: %zu objects, %.0f bytes each, of which text %.0f; %.2f s for %.0f MB of pages "
           "(with making them)\n",
           peek ? "with peek" : "with texts", kube_cache_count(cache), each,
           (double)texts / (double)objects, listed - start, (double)b.text_bytes / 1e6);
    double spent = 0;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (size_t i = 0; i < objects; i++) {
        buf_clear(&text);
        add_object(&text, i, objects + 2 + i);
        double t = now_s();
        b.watch.on_event(b.watch.ctx, KUBE_MODIFIED, buf_str(&text), NULL);
        spent += now_s() - t;
    }
    printf("  a watch event: %.2f us (scan, tree, tag, replace); %.0f bytes each afterwards\n",
           spent / (double)objects * 1e6, (double)(heap_used() - before) / (double)objects);
    kube_cache_destroy(cache);
    loop_timer_destroy(b.timer);
    sim_loop_destroy(b.loop);
}

int main(int argc, char **argv) {
    size_t objects = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : OBJECTS;
    run(objects, false);
    run(objects, true);
    return 0;
}
