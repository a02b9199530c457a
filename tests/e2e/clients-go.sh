#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# client-go and controller-runtime (tests/clients/go): informers by list and by stream, server-side apply, leader election, discovery,
# an operator. On the embedded API and, in ./test --full, on a real kube-apiserver with the same results. Without the network it is built
# where the modules are in Go's cache.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
. tests/e2e/lib.sh
. tests/full/lib.sh
WHAT=client-go
. tests/clients/lib.sh
command -v kubectl >/dev/null || { skip client-go "no kubectl in the PATH"; finish; }
if ! GO=$(find_go 1026); then
    skip client-go "Go 1.26 or later is needed"
    finish
fi
program=$work/clients
if [ "${SKIFF_TEST_FULL:-}" ]; then build="env"; else build="env GOPROXY=off"; fi
if ! (cd tests/clients/go && nice $build "$GO" build -trimpath -o "$program" .) >"$work/build.out" 2>&1; then
    if [ "${SKIFF_TEST_FULL:-}" ] && ! grep -q -e 'dial tcp' -e 'lookup ' -e 'proxy' "$work/build.out"; then
        not_ok "client-go: the program does not compile"
        head -n 10 "$work/build.out"
    else
        skip client-go "its modules are not here: $(tail -n 1 "$work/build.out" | cut -c1-120)"
    fi
    finish
fi
start_sides
run_on_sides "$program"
# The older way of informers, a list and then a watch.
export KUBE_FEATURE_WatchListClient=false
label="by list and watch"
run_on_sides "$program" -namespace clients-go-list -only informer
finish
