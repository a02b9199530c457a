#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the figures of docs/performance.md, in about 12 minutes.
#   bench/run.sh [BUILD]        BUILD: a folder that Meson built (default build)
# REST=N shortens the six minutes at rest; SKIP_REST=1 leaves them out; KILLS=N kills N times (default 0).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-build}
skiff=$(realpath "$build/src/skiff")
part() { printf '\n== %s\n' "$*"; }

echo "$(nproc) processors, $(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB, load $(cut -d' ' -f1 /proc/loadavg), $("$skiff" version --client 2>/dev/null | head -n 1)"
for reader in json yaml; do
    [ -x "$build/bench/bench_$reader" ] || continue
    part "bench_$reader"
    "$build/bench/bench_$reader"
done
part "start, memory, size: bench/start.py"
python3 "$here/start.py" "$skiff"
part "1,000 applications: bench/scale.py --apps 1000 --single 100"
python3 "$here/scale.py" "$skiff" --apps 1000 --single 100 2>/dev/null
if [ "${KILLS:-0}" -gt 0 ]; then
    part "kill -9: tests/kill/kill9.py --rounds $KILLS"
    python3 "$here/../tests/kill/kill9.py" "$skiff" --rounds "$KILLS" --every 50
fi
if [ -z "${SKIP_REST:-}" ]; then
    part "at rest: bench/scale.py --apps 10000 --extra 3 --namespaces 20 --no-push --single 0 --idle ${REST:-360}"
    python3 "$here/scale.py" "$skiff" --apps 10000 --extra 3 --namespaces 20 --no-push --single 0 --idle "${REST:-360}" 2>/dev/null
fi
