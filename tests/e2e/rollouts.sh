#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real Argo Rollouts controller with its own definitions and its plug-in of kubectl, on the embedded API and beside it on a real
# kube-apiserver: a canary with steps, promote, abort, undo; blue-green with an analysis. Only in ./test --full, where it was built.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
. tests/e2e/lib.sh
. tests/full/lib.sh
WHAT="the Rollouts controller"
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
[ "${SKIFF_TEST_FULL:-}${REAL_KUBECONFIG:-}" ] || { skip "$WHAT" "only in ./test --full"; finish; }
kubectl_is_new || { skip "$WHAT" "kubectl 1.30 or later is needed"; finish; }
if ! tests/clients/build rollouts 2>"$work/build.err"; then
    skip "$WHAT" "$(tail -n 1 "$work/build.err")"
    finish
fi
PATH=$BIN:$PATH
export PATH
cases=$PWD/tests/e2e/rollouts
on_sides() { # SIDE KUBECONFIG
    kubectl --kubeconfig "$2" apply --server-side --force-conflicts -f "$BIN/rollouts-crds.yaml" >"$work/$1.crds" 2>&1 || { not_ok "$1: the definitions"; cat "$work/$1.crds"; }
    kubectl --kubeconfig "$2" wait --for=condition=Established -f "$BIN/rollouts-crds.yaml" --timeout=30s >/dev/null 2>&1
    port=$(free_ports 2)
    start_server "$work" "rollouts-$1" "$BIN/rollouts-controller" --kubeconfig "$2" --metricsPort "$port" --healthzPort $((port + 1)) --leader-elect=false
    wait_for "$work" "rollouts-$1" 60 curl -sf "http://127.0.0.1:$((port + 1))/healthz" || not_ok "$1: the controller starts"
}
at_end() {
    stop_server "$work" rollouts-embedded
    stop_server "$work" rollouts-real
}
. tests/clients/compare.sh
[ $failures = 0 ] || tail -n 5 "$work/rollouts-embedded.log"
finish
