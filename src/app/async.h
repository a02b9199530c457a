// SPDX-License-Identifier: Apache-2.0
// Callbacks that may come after the controller has gone: each call under way is linked here; closing the controller cuts
// the links, and a late callback finds nobody.
#ifndef SKIFF_APP_ASYNC_H
#define SKIFF_APP_ASYNC_H

struct app_controller;
struct app_item;

struct app_async { // first member of what is handed out as `ctx`
    struct app_async *previous, *next;
    struct app_controller *controller; // NULL: closed meanwhile
    struct app_item *item;             // may be NULL
};

void app_async_start(struct app_async *async, struct app_controller *controller,
                     struct app_item *item);
// Unlinks; true when the controller is still there. The caller frees its context in any case.
_Bool app_async_end(struct app_async *async);
void app_async_cut_all(struct app_controller *controller);

#endif
