#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with clang, ASan and UBSan and runs each for a while: tools/fuzz.sh [SECONDS [TARGET ...]]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
command -v clang-14 >/dev/null || { echo "clang-14 and libclang-rt-14-dev are needed: apt-get install clang-14 libclang-rt-14-dev" >&2; exit 2; }
if [ ! -e build-fuzz/build.ninja ]; then
    CC=clang-14 CXX=clang++-14 CFLAGS=-fsanitize=fuzzer-no-link meson setup build-fuzz -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized >/dev/null
fi
targets=${*:-$(ninja -C build-fuzz -t targets all | sed -n 's,^fuzz/fuzz_\([a-z0-9_]*\): .*,\1,p')}
# shellcheck disable=SC2086
ninja -C build-fuzz $(printf 'fuzz/fuzz_%s ' $targets) >build-fuzz/build.log || { tail -n 20 build-fuzz/build.log; exit 1; }
failed=0
for target in $targets; do
    corpus=build-fuzz/corpus/$target
    mkdir -p "$corpus"
    printf '%-24s' "$target"
    if build-fuzz/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix=build-fuzz/crash-"$target"- "$corpus" fuzz/seeds/"$target" >build-fuzz/"$target".log 2>&1; then
        sed -n 's/^stat::number_of_executed_units: */runs: /p' build-fuzz/"$target".log
    else
        echo "FAILED; see build-fuzz/$target.log"
        failed=1
    fi
done
exit $failed
