#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who may enter the embedded API by what token or certificate, what is answered when it is overloaded, and what the audit log says of
# it. Clients that are wrong, slow, many, or gone without a word are the subject of door.sh.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/e2e/lib.sh
. tests/e2e/lib.sh
command -v python3 >/dev/null || { skip front "needs python3"; exit 0; }
SKIFF_UP_FLAGS="--audit-log $work/audit.jsonl --audit-log-max-size 1 --audit-log-max-files 2"
start_skiff
python3 tests/e2e/front.py "$KUBECONFIG" "$skiff_pid" "$work/data" "$work/audit.jsonl"
failures=$?
finish
