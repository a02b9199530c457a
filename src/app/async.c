// SPDX-License-Identifier: Apache-2.0
#include "app/async.h"

#include "app/controller_internal.h"

void app_async_start(struct app_async *async, struct app_controller *controller,
                     struct app_item *item) {
    *async = (struct app_async){.next = controller->asyncs, .controller = controller, .item = item};
    if (controller->asyncs) {
        controller->asyncs->previous = async;
    }
    controller->asyncs = async;
}

bool app_async_end(struct app_async *async) {
    if (!async->controller) {
        return false;
    }
    if (async->previous) {
        async->previous->next = async->next;
    } else {
        async->controller->asyncs = async->next;
    }
    if (async->next) {
        async->next->previous = async->previous;
    }
    return true;
}

void app_async_cut_all(struct app_controller *controller) {
    for (struct app_async *async = controller->asyncs; async;) {
        struct app_async *next = async->next;
        async->controller = NULL;
        async->item = NULL;
        async = next;
    }
    controller->asyncs = NULL;
}
