// SPDX-License-Identifier: Apache-2.0
#ifndef SKIFF_SYNC_INTERNAL_H
#define SKIFF_SYNC_INTERNAL_H

#include "sync/sync.h"

// An object's own Prune option counts before the application's.
bool sync_is_kept(const struct sync_options *options, const struct doc_value *live);
bool sync_needs_confirmation(const struct sync_options *options, const struct doc_value *live);
bool sync_hook_in_phase(const struct doc_value *object, enum sync_phase phase);
// "BeforeHookCreation" (also without any policy), "HookSucceeded", "HookFailed".
bool sync_hook_has_policy(const struct doc_value *object, const char *policy);

#endif
