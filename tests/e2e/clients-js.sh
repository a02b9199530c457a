#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The JavaScript client (tests/clients/js) on the embedded API and, in ./test --full, on a real kube-apiserver. It is taken from the cache,
# into which ./test --full fetches it.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
. tests/e2e/lib.sh
. tests/full/lib.sh
WHAT="the JavaScript client"
. tests/clients/lib.sh
for tool in node kubectl; do
    command -v $tool >/dev/null || { skip "$WHAT" "no $tool in the PATH"; finish; }
done
modules=$tests_cache/js-client
mkdir -p "$modules" 2>/dev/null
if [ "${SKIFF_TEST_FULL:-}" ] && ! cmp -s tests/clients/js/package.json "$modules/wanted"; then
    cp tests/clients/js/package.json "$modules/"
    if (cd "$modules" && npm install --no-audit --no-fund --ignore-scripts) >"$work/npm.out" 2>&1; then
        cp tests/clients/js/package.json "$modules/wanted"
    else
        skip "$WHAT" "it could not be fetched: $(tail -n 1 "$work/npm.out" | cut -c1-120)"
        finish
    fi
fi
[ -e "$modules/wanted" ] || { skip "$WHAT" "it is not installed (./test --full fetches it)"; finish; }
cp tests/clients/js/clients.mjs "$modules/clients.mjs"
start_sides
run_on_sides node "$modules/clients.mjs"
finish
