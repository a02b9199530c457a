// SPDX-License-Identifier: Apache-2.0
// Schedules come from whoever may create a CronJob; time zones from files of the system.
#include <stddef.h>
#include <stdint.h>

#include "apiserver/workloads/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int64_t times[] = {0, INT64_C(1795471287) * NS_PER_SECOND,
                                    INT64_C(4102444800) * NS_PER_SECOND};
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str text = {(const char *)data, size};
    struct wl_cron cron, hourly;
    struct wl_zone zone;
    struct err err = {0};
    bool is_schedule = wl_cron_parse(text, &cron, &err);
    bool is_zone = wl_zone_parse(arena, text, &zone, &err);
    CHECK(wl_cron_parse(STR("30 2 * * *"), &hourly, &err));
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        int64_t next = is_schedule ? wl_cron_next(&cron, &wl_utc, times[i]) : 0;
        CHECK(next == 0 || next > times[i]);
        next = is_zone ? wl_cron_next(&hourly, &zone, times[i]) : 0;
        CHECK(next == 0 || next > times[i]);
    }
    return 0;
}
