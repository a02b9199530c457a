#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of a build folder: tools/run-tests.sh [--quick|--workers|--full] BUILD
#   --quick    no end-to-end scripts (for sanitizer builds: unit tests, golden folders, seeds, simulation)
#   --workers  only what crosses the border between loop and workers (for the thread sanitizer)
#   --full     with the real peers of tests/full/build.sh
# Counts single checks: cmocka's tests, each replayed fuzz target and simulation, each "ok", "not ok" and "skipped" line of a script.
set -u
cd "$(dirname "$0")/.."
mode=normal
case "${1:-}" in
--quick | --workers | --full)
    mode=${1#--}
    shift
    ;;
esac
build=${1:?usage: tools/run-tests.sh [--quick|--workers|--full] BUILD}
passed=0 failed=0 skipped=0
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
export SKIFF="$PWD/$build/src/skiff" SKIFF_TEST_FULL=
if [ $mode = full ]; then
    SKIFF_TEST_FULL=1
    . tests/full/lib.sh
    use_built_kubectl
fi

step() { printf '== %s\n' "$*"; }

if ! ninja -C "$build" >"$log/build" 2>&1; then
    grep -E 'error|FAILED|undefined' "$log/build" | head -n 40
    echo "the build failed"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi

if [ $mode = normal ] || [ $mode = full ]; then
    step "structure and style"
    if tools/check.sh; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
fi

step "unit tests, golden folders, fuzz seeds, simulation"
suites=
[ $mode != workers ] || suites="--suite workers"
# shellcheck disable=SC2086
meson test -C "$build" --no-rebuild --print-errorlogs $suites >"$log/meson" 2>&1 || true
python3 tools/count-tests.py "$build/meson-logs/testlog.json" >"$log/counts"
cat "$log/counts"
read -r p f s <<COUNTS
$(tail -n 1 "$log/counts" | tr -dc '0-9 ')
COUNTS
passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
if [ "$f" != 0 ] || [ $((p + s)) = 0 ]; then
    tail -n 120 "$log/meson"
    [ $((p + s)) != 0 ] || failed=$((failed + 1))
fi

if [ $mode = normal ] || [ $mode = full ]; then
    for script in tests/e2e/*.sh; do
        [ -x "$script" ] || continue # lib.sh is sourced
        step "$script"
        "$script" >"$log/out" 2>&1
        code=$?
        p=$(grep -c '^ok ' "$log/out")
        f=$(grep -c '^not ok ' "$log/out")
        s=$(grep -c '^skipped ' "$log/out")
        if [ $code -ne 0 ] && [ "$f" = 0 ]; then f=1; fi
        if [ $((p + f + s)) = 0 ]; then f=1; fi
        if [ "$f" != 0 ]; then
            grep -A 16 '^not ok ' "$log/out" | head -n 200
            echo "--- the end of its output:"
            tail -n 20 "$log/out"
        else
            grep '^skipped ' "$log/out"
        fi
        echo "   $p passed, $f failed, $s skipped"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    done
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
