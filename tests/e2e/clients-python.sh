#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Python client (tests/clients/python) on the embedded API and, in ./test --full, on a real kube-apiserver. It is taken from where it
# is installed, or from the cache, into which ./test --full fetches it.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
. tests/e2e/lib.sh
. tests/full/lib.sh
WHAT="the Python client"
. tests/clients/lib.sh
venv=$tests_cache/python-client
wanted=$(cat tests/clients/python/requirements.txt)
if [ "${SKIFF_TEST_FULL:-}" ] && [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]; then
    { python3 -m venv "$venv" && "$venv/bin/pip" install -q -r tests/clients/python/requirements.txt && echo "$wanted" >"$venv/wanted"; } >"$work/pip.out" 2>&1 ||
        { skip "$WHAT" "it could not be fetched: $(tail -n 1 "$work/pip.out" | cut -c1-120)"; finish; }
fi
python=
for candidate in "$venv/bin/python3" python3; do
    if "$candidate" -c 'import kubernetes' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ "$python" ] || { skip "$WHAT" "it is not installed (./test --full fetches it)"; finish; }
command -v kubectl >/dev/null || { skip "$WHAT" "no kubectl in the PATH"; finish; }
start_sides
run_on_sides "$python" -W ignore tests/clients/python/clients.py
finish
