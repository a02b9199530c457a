// SPDX-License-Identifier: Apache-2.0
// A made-up list of pods as an API server answers it, for benchmarks of readers.
#ifndef SKIFF_BENCH_GEN_PODS_H
#define SKIFF_BENCH_GEN_PODS_H

#include "base/buf.h"

// A compact JSON PodList of `count` pods, about 2.7 KB each; the same bytes on every run.
void gen_pods(unsigned count, struct buf *out);

#endif
