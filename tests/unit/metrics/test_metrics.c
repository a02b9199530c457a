// SPDX-License-Identifier: Apache-2.0
// The text format, byte for byte.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "metrics/metrics.h"

static int setup(void **state) {
    *state = metrics_create();
    return 0;
}

static int teardown(void **state) {
    metrics_destroy(*state);
    return 0;
}

static void assert_text(struct metrics *metrics, const char *expected) {
    AUTO_BUF struct buf out;
    buf_init(&out, 1 << 20);
    assert_true(metrics_print(metrics, &out));
    assert_string_equal(out.data ? out.data : "", expected);
}

static void test_counters_and_gauges(void **state) {
    struct metrics *metrics = *state;
    static const char *const labels[] = {"name", "phase", NULL};
    struct metric *syncs = metrics_register(metrics, METRIC_COUNTER, "argocd_app_sync_total",
                                            "Number of syncs.", labels, NULL);
    struct metric *up =
        metrics_register(metrics, METRIC_GAUGE, "a_up", "Whether \\ it\nruns.", NULL, NULL);
    assert_text(metrics, ""); // a family without series says nothing
    struct str b[] = {STR("b"), STR("Succeeded")};
    struct str a[] = {STR("a\"\\\n"), STR("")};
    metric_add(syncs, b, 1);
    metric_add(syncs, a, 2);
    metric_add(syncs, b, 1);
    metric_set(up, NULL, -1.5);
    assert_text(metrics, "# HELP a_up Whether \\\\ it\\nruns.\n"
                         "# TYPE a_up gauge\n"
                         "a_up -1.5\n"
                         "# HELP argocd_app_sync_total Number of syncs.\n"
                         "# TYPE argocd_app_sync_total counter\n"
                         "argocd_app_sync_total{name=\"b\",phase=\"Succeeded\"} 2\n"
                         "argocd_app_sync_total{name=\"a\\\"\\\\\\n\",phase=\"\"} 2\n");
    metric_remove(syncs, b);
    metric_remove(syncs, b);
    metric_remove(up, NULL);
    metric_add(up, NULL, 3);
    assert_text(metrics, "# HELP a_up Whether \\\\ it\\nruns.\n"
                         "# TYPE a_up gauge\n"
                         "a_up 3\n"
                         "# HELP argocd_app_sync_total Number of syncs.\n"
                         "# TYPE argocd_app_sync_total counter\n"
                         "argocd_app_sync_total{name=\"a\\\"\\\\\\n\",phase=\"\"} 2\n");
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1e9, "1000000000"},
        {123456789012345, "123456789012345"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e21, "1e+21"},
        {1e-7, "1e-07"},
        {1700000000.123, "1700000000.123"},
        {HUGE_VAL, "+Inf"},
        {-HUGE_VAL, "-Inf"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct metrics *metrics = metrics_create();
        metric_set(metrics_register(metrics, METRIC_GAUGE, "g", "h", NULL, NULL), NULL,
                   rows[i].value);
        char expected[100];
        snprintf(expected, sizeof expected, "# HELP g h\n# TYPE g gauge\ng %s\n", rows[i].text);
        assert_text(metrics, expected);
        metrics_destroy(metrics);
    }
}

static void test_histogram(void **state) {
    struct metrics *metrics = *state;
    static const char *const labels[] = {"ns", NULL};
    static const double buckets[] = {0.25, 1, 10, 0};
    struct metric *h =
        metrics_register(metrics, METRIC_HISTOGRAM, "h", "Seconds.", labels, buckets);
    assert_ptr_equal(metrics_register(metrics, METRIC_HISTOGRAM, "h", "", NULL, NULL), h);
    struct str x = STR("x");
    static const double values[] = {0.1, 0.25, 0.3, 1, 5, 100};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        metric_observe(h, &x, values[i]);
    }
    assert_text(metrics, "# HELP h Seconds.\n"
                         "# TYPE h histogram\n"
                         "h_bucket{ns=\"x\",le=\"0.25\"} 2\n"
                         "h_bucket{ns=\"x\",le=\"1\"} 4\n"
                         "h_bucket{ns=\"x\",le=\"10\"} 5\n"
                         "h_bucket{ns=\"x\",le=\"+Inf\"} 6\n"
                         "h_sum{ns=\"x\"} 106.65\n"
                         "h_count{ns=\"x\"} 6\n");
}

static void fill(void *ctx) {
    metric_set(ctx, NULL, 42);
}

static void test_collector_runs_before_print(void **state) {
    struct metrics *metrics = *state;
    struct metric *g = metrics_register(metrics, METRIC_GAUGE, "g", "h", NULL, NULL);
    metrics_on_collect(metrics, fill, g);
    assert_text(metrics, "# HELP g h\n# TYPE g gauge\ng 42\n");
}

static void test_too_many_series(void **state) {
    struct metrics *metrics = *state;
    static const char *const labels[] = {"i", NULL};
    struct metric *g = metrics_register(metrics, METRIC_COUNTER, "g", "h", labels, NULL);
    for (int i = 0; i < METRIC_SERIES_MAX + 100; i++) {
        char text[20];
        snprintf(text, sizeof text, "%d", i);
        struct str value = str_from(text);
        metric_add(g, &value, 1);
    }
    struct buf out;
    buf_init(&out, 16 << 20);
    assert_true(metrics_print(metrics, &out));
    assert_non_null(strstr(out.data, "g{i=\"overflow\"} 101\n"));
    size_t lines = 0;
    for (const char *p = out.data; (p = strchr(p, '\n')); p++) {
        lines++;
    }
    assert_int_equal(lines, METRIC_SERIES_MAX + 2);
    buf_fini(&out);
    buf_init(&out, 1000);
    assert_false(metrics_print(metrics, &out)); // does not fit
    buf_fini(&out);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_counters_and_gauges),         CASE(test_numbers),         CASE(test_histogram),
        CASE(test_collector_runs_before_print), CASE(test_too_many_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
