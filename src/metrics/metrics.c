// SPDX-License-Identifier: Apache-2.0
// Families hold their series in a table keyed by the label values, each preceded by its length so that values with any
// bytes cannot run into each other. Printing sorts families and series, so two scrapes of one state are equal bytes.
#include "metrics/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/map.h"
#include "base/vec.h"

enum {
    LABELS_MAX = 16,
    BUCKETS_MAX = 64,
    LABEL_VALUE_MAX = 1024, // longer values are cut
    KEY_MAX = LABELS_MAX * (LABEL_VALUE_MAX + 4),
};

struct series {
    struct str key; // the table's
    double value;   // a histogram's sum
    uint64_t count; // histograms only
    uint64_t buckets[];
};

struct metric {
    char *name;
    char *help;
    enum metric_kind kind;
    size_t label_count;
    char *labels[LABELS_MAX];
    size_t bucket_count;
    double bounds[BUCKETS_MAX];
    struct map *series;
    struct series *bare; // of a family without labels: no look-up
};

struct collector {
    void (*fn)(void *ctx);
    void *ctx;
};

struct metrics {
    struct map *families;
    VEC(struct collector) collectors;
};

struct metrics *metrics_create(void) {
    struct metrics *metrics = NEW(struct metrics);
    metrics->families = map_create();
    return metrics;
}

static void free_series(struct metric *metric) {
    struct str key;
    void *series;
    for (size_t i = 0; map_next(metric->series, &i, &key, &series);) {
        free(series);
    }
    map_destroy(metric->series);
}

static void metric_destroy(struct metric *metric) {
    free_series(metric);
    for (size_t i = 0; i < metric->label_count; i++) {
        free(metric->labels[i]);
    }
    free(metric->name);
    free(metric->help);
    free(metric);
}

void metrics_destroy(struct metrics *metrics) {
    if (!metrics) {
        return;
    }
    struct str key;
    void *metric;
    for (size_t i = 0; map_next(metrics->families, &i, &key, &metric);) {
        metric_destroy(metric);
    }
    map_destroy(metrics->families);
    VEC_FREE(&metrics->collectors);
    free(metrics);
}

struct metric *metrics_register(struct metrics *metrics, enum metric_kind kind, const char *name,
                                const char *help, const char *const *labels,
                                const double *buckets) {
    struct metric *metric = map_find(metrics->families, str_from(name));
    if (metric) {
        CHECK(metric->kind == kind);
        return metric;
    }
    metric = NEW(struct metric);
    metric->name = xstrdup(str_from(name));
    metric->help = xstrdup(str_from(help));
    metric->kind = kind;
    metric->series = map_create();
    for (; labels && labels[metric->label_count]; metric->label_count++) {
        CHECK(metric->label_count < LABELS_MAX);
        metric->labels[metric->label_count] = xstrdup(str_from(labels[metric->label_count]));
    }
    for (; kind == METRIC_HISTOGRAM && buckets && buckets[metric->bucket_count] != 0;
         metric->bucket_count++) {
        CHECK(metric->bucket_count < BUCKETS_MAX);
        metric->bounds[metric->bucket_count] = buckets[metric->bucket_count];
    }
    map_put(metrics->families, str_from(name), metric);
    return metric;
}

static struct str make_key(const struct metric *metric, const struct str *values,
                           char key[KEY_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < metric->label_count; i++) {
        struct str value = str_first(values[i], LABEL_VALUE_MAX);
        uint32_t len = (uint32_t)value.n;
        memcpy(key + n, &len, sizeof len);
        if (len > 0) {
            memcpy(key + n + sizeof len, value.p, len);
        }
        n += sizeof len + len;
    }
    return (struct str){key, n};
}

static struct series *get_series(struct metric *metric, const struct str *values) {
    if (metric->bare) {
        return metric->bare;
    }
    char text[KEY_MAX];
    struct str key = make_key(metric, values, text);
    struct series *series = map_find(metric->series, key);
    if (series) {
        return series;
    }
    if (map_len(metric->series) >= METRIC_SERIES_MAX - 1) {
        struct str overflow[LABELS_MAX];
        for (size_t i = 0; i < metric->label_count; i++) {
            overflow[i] = STR("overflow");
        }
        key = make_key(metric, overflow, text);
        series = map_find(metric->series, key);
        if (series) {
            return series;
        }
    }
    series = xcalloc(1, sizeof *series + metric->bucket_count * sizeof series->buckets[0]);
    map_put(metric->series, key, series);
    series->key = map_key(metric->series, key);
    if (metric->label_count == 0) {
        metric->bare = series;
    }
    return series;
}

void metric_add(struct metric *metric, const struct str *values, double amount) {
    CHECK(metric->kind != METRIC_HISTOGRAM && (metric->kind == METRIC_GAUGE || amount >= 0));
    get_series(metric, values)->value += amount;
}

void metric_set(struct metric *metric, const struct str *values, double value) {
    // Counters may be set too: where the count is kept elsewhere and copied by a collector.
    CHECK(metric->kind != METRIC_HISTOGRAM);
    get_series(metric, values)->value = value;
}

void metric_observe(struct metric *metric, const struct str *values, double value) {
    CHECK(metric->kind == METRIC_HISTOGRAM);
    struct series *series = get_series(metric, values);
    series->value += value;
    series->count++;
    for (size_t i = 0; i < metric->bucket_count; i++) {
        if (value <= metric->bounds[i]) {
            series->buckets[i]++; // printing makes the counts cumulative
            break;
        }
    }
}

void metric_remove(struct metric *metric, const struct str *values) {
    char text[KEY_MAX];
    struct series *series = map_remove(metric->series, make_key(metric, values, text));
    if (metric->bare == series) {
        metric->bare = NULL;
    }
    free(series);
}

void metric_clear(struct metric *metric) {
    free_series(metric);
    metric->series = map_create();
    metric->bare = NULL;
}

void metrics_off_collect(struct metrics *metrics, void (*fn)(void *ctx), void *ctx) {
    for (size_t i = 0; i < metrics->collectors.len; i++) {
        if (metrics->collectors.items[i].fn == fn && metrics->collectors.items[i].ctx == ctx) {
            VEC_REMOVE_SWAP(&metrics->collectors, i);
            return;
        }
    }
}

void metrics_on_collect(struct metrics *metrics, void (*fn)(void *ctx), void *ctx) {
    struct collector collector = {fn, ctx};
    VEC_PUSH(&metrics->collectors, collector);
}

// ---- Printing ----

static void add_number(struct buf *out, double value) {
    if (isnan(value)) {
        buf_add_c(out, "NaN");
    } else if (isinf(value)) {
        buf_add_c(out, value > 0 ? "+Inf" : "-Inf");
    } else if (value == floor(value) && fabs(value) < 1e15) {
        buf_add_int64(out, (int64_t)value);
    } else {
        char text[40];
        for (int digits = 15; digits <= 17; digits++) { // the shortest that reads back the same
            snprintf(text, sizeof text, "%.*g", digits, value);
            if (strtod(text, NULL) == value) {
                break;
            }
        }
        buf_add_c(out, text);
    }
}

static void add_escaped(struct buf *out, struct str text, bool quotes) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n') {
            buf_add_c(out, "\\n");
        } else {
            if (c == '\\' || (c == '"' && quotes)) {
                buf_add_char(out, '\\');
            }
            buf_add_char(out, c);
        }
    }
}

// name{labels,extra="..."}: `bound` is a histogram's "le", or NULL.
static void add_head(struct buf *out, const struct metric *metric, const struct series *series,
                     const char *suffix, const char *bound) {
    buf_add_c(out, metric->name);
    buf_add_c(out, suffix);
    if (metric->label_count > 0 || bound) {
        const char *at = series->key.p;
        buf_add_char(out, '{');
        for (size_t i = 0; i < metric->label_count; i++) {
            uint32_t len;
            memcpy(&len, at, sizeof len);
            buf_printf(out, "%s%s=\"", i ? "," : "", metric->labels[i]);
            add_escaped(out, (struct str){at + sizeof len, len}, true);
            buf_add_char(out, '"');
            at += sizeof len + len;
        }
        if (bound) {
            buf_printf(out, "%sle=\"%s\"", metric->label_count ? "," : "", bound);
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, ' ');
}

static void print_histogram(struct buf *out, const struct metric *metric,
                            const struct series *series) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= metric->bucket_count; i++) {
        char text[64] = "+Inf";
        if (i < metric->bucket_count) {
            sum += series->buckets[i];
            struct buf bound;
            buf_init(&bound, sizeof text - 1);
            add_number(&bound, metric->bounds[i]);
            snprintf(text, sizeof text, "%s", bound.data);
            buf_fini(&bound);
        } else {
            sum = series->count;
        }
        add_head(out, metric, series, "_bucket", text);
        buf_printf(out, "%" PRIu64 "\n", sum);
    }
    add_head(out, metric, series, "_sum", NULL);
    add_number(out, series->value);
    buf_add_char(out, '\n');
    add_head(out, metric, series, "_count", NULL);
    buf_printf(out, "%" PRIu64 "\n", series->count);
}

static int by_key(const void *a, const void *b) {
    const struct series *const *x = a;
    const struct series *const *y = b;
    return str_cmp((*x)->key, (*y)->key);
}

static void print_family(struct buf *out, const struct metric *metric) {
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    size_t count = map_len(metric->series);
    if (count == 0) {
        return;
    }
    buf_printf(out, "# HELP %s ", metric->name);
    add_escaped(out, str_from(metric->help), false);
    buf_printf(out, "\n# TYPE %s %s\n", metric->name, kinds[metric->kind]);
    AUTO(free) struct series **sorted = xcalloc(count, sizeof(struct series *));
    size_t n = 0;
    struct str key;
    void *value;
    for (size_t i = 0; map_next(metric->series, &i, &key, &value);) {
        sorted[n++] = value;
    }
    qsort(sorted, n, sizeof(struct series *), by_key);
    for (size_t i = 0; i < n; i++) {
        if (metric->kind == METRIC_HISTOGRAM) {
            print_histogram(out, metric, sorted[i]);
        } else {
            add_head(out, metric, sorted[i], "", NULL);
            add_number(out, sorted[i]->value);
            buf_add_char(out, '\n');
        }
    }
}

static int by_name(const void *a, const void *b) {
    const struct metric *const *x = a;
    const struct metric *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

bool metrics_print(struct metrics *metrics, struct buf *out) {
    for (size_t i = 0; i < metrics->collectors.len; i++) {
        metrics->collectors.items[i].fn(metrics->collectors.items[i].ctx);
    }
    size_t count = map_len(metrics->families);
    AUTO(free) struct metric **sorted = xcalloc(count + 1, sizeof(struct metric *));
    size_t n = 0;
    struct str key;
    void *value;
    for (size_t i = 0; map_next(metrics->families, &i, &key, &value);) {
        sorted[n++] = value;
    }
    qsort(sorted, n, sizeof(struct metric *), by_name);
    for (size_t i = 0; i < n && !out->overflow; i++) {
        print_family(out, sorted[i]);
    }
    return !out->overflow;
}
