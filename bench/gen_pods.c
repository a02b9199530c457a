// SPDX-License-Identifier: Apache-2.0
// The shape is what matters for a reader: labels and annotations that repeat, names and uids that do not, managedFields
// with many small nested objects whose keys have escapes, environment, conditions.
#include "gen_pods.h"

#include <stdint.h>

#include "base/mem.h"

struct random {
    uint64_t state;
};

static uint32_t next_random(struct random *random) {
    random->state = random->state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(random->state >> 33);
}

static void put_hex(struct buf *out, struct random *random, unsigned digits) {
    for (unsigned i = 0; i < digits; i++) {
        buf_add_char(out, "0123456789abcdef"[next_random(random) % 16]);
    }
}

static void put_uid(struct buf *out, struct random *random) {
    static const unsigned parts[] = {8, 4, 4, 4, 12};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (i) {
            buf_add_char(out, '-');
        }
        put_hex(out, random, parts[i]);
    }
}

static void put_time(struct buf *out, unsigned number) {
    buf_printf(out, "\"2026-11-%02uT%02u:%02u:%02uZ\"", 1 + number % 28, number / 3 % 24,
               number / 7 % 60, number % 60);
}

static void put_metadata(struct buf *out, struct random *random, unsigned number) {
    unsigned app = number % 97;
    buf_printf(out, "\"metadata\":{\"name\":\"service-%u-", app);
    put_hex(out, random, 10);
    buf_printf(out, "-");
    put_hex(out, random, 5);
    buf_printf(out, "\",\"generateName\":\"service-%u-\",\"namespace\":\"team-%u\",\"uid\":\"", app,
               number % 23);
    put_uid(out, random);
    buf_printf(out, "\",\"resourceVersion\":\"%u\",\"creationTimestamp\":", 1000000 + number * 37);
    put_time(out, number);
    buf_printf(
        out,
        ",\"labels\":{\"app.kubernetes.io/name\":\"service-%u\",\"app.kubernetes.io/part-of\":"
        "\"shop\",\"pod-template-hash\":\"",
        app);
    put_hex(out, random, 10);
    buf_printf(out, "\"},\"annotations\":{\"checksum/config\":\"");
    put_hex(out, random, 64);
    buf_printf(out,
               "\"},\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\","
               "\"name\":\"service-%u\",\"uid\":\"",
               app);
    put_uid(out, random);
    buf_printf(out,
               "\",\"controller\":true,\"blockOwnerDeletion\":true}],\"managedFields\":[{"
               "\"manager\":\"kube-controller-manager\",\"operation\":\"Update\",\"apiVersion\":"
               "\"v1\",\"time\":");
    put_time(out, number);
    buf_printf(
        out,
        ",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{\"f:generateName\":{},"
        "\"f:labels\":{\".\":{},\"f:app.kubernetes.io/name\":{},\"f:pod-template-hash\":{}},"
        "\"f:ownerReferences\":{\".\":{},\"k:{\\\"uid\\\":\\\"owner-%u\\\"}\":{}}},\"f:spec\":{"
        "\"f:containers\":{\"k:{\\\"name\\\":\\\"main\\\"}\":{\".\":{},\"f:env\":{\".\":{},"
        "\"k:{\\\"name\\\":\\\"LOG_LEVEL\\\"}\":{\".\":{},\"f:name\":{},\"f:value\":{}}},"
        "\"f:image\":{},\"f:imagePullPolicy\":{},\"f:name\":{},\"f:resources\":{}}},"
        "\"f:dnsPolicy\":{},\"f:restartPolicy\":{}}}}]}",
        app);
}

static void put_spec(struct buf *out, struct random *random, unsigned number) {
    buf_printf(
        out,
        ",\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"registry.example.com/shop/"
        "service-%u:v1.%u.%u\",\"ports\":[{\"name\":\"http\",\"containerPort\":%u,\"protocol\":"
        "\"TCP\"}],\"env\":[{\"name\":\"LOG_LEVEL\",\"value\":\"info\"},{\"name\":\"DATABASE\","
        "\"value\":\"postgres://db-%u.example.com:5432/shop?sslmode=require\"},{\"name\":"
        "\"POD_IP\",\"valueFrom\":{\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":"
        "\"status.podIP\"}}}],\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"256Mi\"},"
        "\"requests\":{\"cpu\":\"%um\",\"memory\":\"128Mi\"}},\"imagePullPolicy\":"
        "\"IfNotPresent\"}],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,"
        "\"dnsPolicy\":\"ClusterFirst\",\"serviceAccountName\":\"service-%u\",\"nodeName\":"
        "\"node-%u\",\"priority\":0,\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\","
        "\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}]}",
        number % 97, number % 9, next_random(random) % 100, 8000 + number % 10, number % 7,
        50 + number % 10 * 10, number % 97, number % 200);
}

static void put_status(struct buf *out, struct random *random, unsigned number) {
    static const char *const types[] = {"Initialized", "Ready", "ContainersReady", "PodScheduled"};
    buf_printf(out, ",\"status\":{\"phase\":\"Running\",\"conditions\":[");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        buf_printf(out,
                   "%s{\"type\":\"%s\",\"status\":\"True\",\"lastProbeTime\":null,"
                   "\"lastTransitionTime\":",
                   i ? "," : "", types[i]);
        put_time(out, number);
        buf_add_char(out, '}');
    }
    buf_printf(out,
               "],\"hostIP\":\"10.0.%u.%u\",\"podIP\":\"10.1.%u.%u\",\"startTime\":", number % 8,
               number % 250, number / 250 % 250, number % 250);
    put_time(out, number);
    buf_printf(out,
               ",\"containerStatuses\":[{\"name\":\"main\",\"ready\":true,\"restartCount\":%u,"
               "\"containerID\":\"containerd://",
               next_random(random) % 4);
    put_hex(out, random, 64);
    buf_printf(out, "\"}],\"qosClass\":\"Burstable\"}}");
}

void gen_pods(unsigned count, struct buf *out) {
    struct random random = {.state = 42};
    buf_printf(out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
                    "\"9000001\"},\"items\":[");
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "%s{", i ? "," : "");
        put_metadata(out, &random, i);
        put_spec(out, &random, i);
        put_status(out, &random, i);
    }
    buf_printf(out, "]}\n");
    CHECK(!out->overflow);
}
