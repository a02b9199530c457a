#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill -9 under load, a bounded number of times. Prints "ok" lines; see tests/kill/kill9.py.
#   tests/e2e/kill9.sh [SKIFF] [ROUNDS]
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
skiff=${1:-${SKIFF:-$here/build/skiff}}
rounds=${2:-${ROUNDS:-20}}
command -v python3 >/dev/null || {
    echo "skipped - kill -9 under load (no python3)"
    exit 0
}
exec python3 "$here/tests/kill/kill9.py" "$skiff" --rounds "$rounds"
