// SPDX-License-Identifier: Apache-2.0
// Strategic merge patches as requests; see api_patch.h.
#include "api_patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return patch_fuzz(data, size, KUBE_PATCH_STRATEGIC);
}
