#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The front door of the embedded API against clients that are wrong, slow, many, or gone without a word; who may enter, and
# what the audit log says of it.
#   SKIFF=build/src/skiff tests/e2e/front.sh        CONNECTIONS=10000 for the full number of idle ones (default 500)
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/e2e/lib.sh
. tests/e2e/lib.sh
command -v python3 >/dev/null || { skip front "needs python3"; exit 0; }
SKIFF_UP_FLAGS="--audit-log $work/audit.jsonl --audit-log-max-size 1 --audit-log-max-files 2"
start_skiff
python3 tests/e2e/front.py "$KUBECONFIG" "$skiff_pid" "$work/data" "$work/audit.jsonl" "${CONNECTIONS:-500}"
failures=$?
finish
