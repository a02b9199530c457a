#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The life of Applications (apps.sh) and the demo's application, unchanged, on a real kube-apiserver. Only in ./test --full.
set -u
cd "$(dirname "$0")/../.."
. tests/full/lib.sh
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
skipped() {
    echo "skipped apps on a real kube-apiserver: $1"
    exit 0
}
[ "${SKIFF_TEST_FULL:-}" ] || skipped "only in ./test --full"
command -v kubectl >/dev/null || skipped "no kubectl in the PATH"
cluster=$(mktemp -d "${TMPDIR:-/tmp}/skiff-real.XXXXXX")
end() {
    code=$?
    trap - EXIT INT TERM
    tests/kubernetes/start --stop "$cluster"
    rm -rf "$cluster"
    exit $code
}
trap end EXIT
trap 'exit 130' INT TERM
kubeconfig=$(tests/kubernetes/start "$cluster" 2>"$cluster/err") || skipped "$(tail -n 1 "$cluster/err")"
failed=0
SKIFF_E2E_KUBECONFIG=$kubeconfig tests/e2e/apps.sh || failed=1
if SKIFF_E2E_KUBECONFIG=$kubeconfig tools/demo.sh "${SKIFF:-build/src/skiff}" --once >"$cluster/demo.out" 2>&1; then
    echo "ok the demo's application"
else
    echo "not ok the demo's application"
    tail -n 20 "$cluster/demo.out"
    failed=1
fi
exit $failed
