// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms in the Prometheus text format. The registry is made by main.c and handed down.
#ifndef SKIFF_METRICS_METRICS_H
#define SKIFF_METRICS_METRICS_H

#include "base/buf.h"
#include "base/str.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics;
struct metric; // a family: name, help, kind, label names

struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics);
// Registering the same name twice returns the same family. `labels` is NULL-terminated; `buckets` (histograms) ends with 0.
struct metric *metrics_register(struct metrics *metrics, enum metric_kind kind, const char *name,
                                const char *help, const char *const *labels, const double *buckets);
// `values`: one text per label name, in order. A family holds at most METRIC_SERIES_MAX series; more go to label values "overflow".
enum { METRIC_SERIES_MAX = 50 * 1000 };
void metric_add(struct metric *metric, const struct str *values, double amount);
void metric_set(struct metric *metric, const struct str *values, double value);
void metric_observe(struct metric *metric, const struct str *values, double value);
void metric_remove(struct metric *metric, const struct str *values);
// Collectors run before a scrape, to fill gauges from state.
void metrics_on_collect(struct metrics *metrics, void (*fn)(void *ctx), void *ctx);
// Ends it again; nothing happens when it was not registered.
void metrics_off_collect(struct metrics *metrics, void (*fn)(void *ctx), void *ctx);
void metric_clear(struct metric *metric); // drops every series
bool metrics_print(struct metrics *metrics, struct buf *out);

#endif
