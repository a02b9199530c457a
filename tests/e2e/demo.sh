#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The demo ends well, and shows what it promises.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
expect() { # NAME PATTERN
    if grep -Eq "$2" "$out"; then echo "ok $1"; else
        echo "not ok $1: no line like \"$2\""
        failed=1
    fi
}
if tools/demo.sh "${SKIFF:-build/src/skiff}" --once >"$out" 2>&1; then echo "ok the demo ends with 0"; else
    echo "not ok the demo ends with 0"
    failed=1
fi
expect "the demo: synced and healthy" '^Sync Status: +Synced to main'
expect "the demo: the custom object" '^coupon.shop.example.com/welcome +10'
expect "the demo: a second deployment in the history" '^1 .* main \('
expect "the demo: by hand is healed" '^spec.replicas is 2 again'
expect "the demo: what was deleted is back" '^the Service is there again'
[ $failed = 0 ] || tail -n 40 "$out"
exit $failed
