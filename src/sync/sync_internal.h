// SPDX-License-Identifier: Apache-2.0
#ifndef SKIFF_SYNC_INTERNAL_H
#define SKIFF_SYNC_INTERNAL_H

#include "sync/sync.h"

bool sync_hook_in_phase(const struct doc_value *object, enum sync_phase phase);
// "BeforeHookCreation" (also without any policy), "HookSucceeded", "HookFailed".
bool sync_hook_has_policy(const struct doc_value *object, const char *policy);

#endif
