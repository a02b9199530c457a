#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The real argocd (its API server and command line) over a cluster that Skiff runs: first the embedded API, then a real kube-apiserver.
# What it prints must equal what skiff prints, besides what docs/argocd-compat.md lists. Only in ./test --full, where it was built.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
. tests/e2e/lib.sh
. tests/full/lib.sh
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
[ "${SKIFF_TEST_FULL:-}" ] || { skip "the real argocd" "only in ./test --full"; finish; }
for tool in kubectl curl redis-server; do
    command -v $tool >/dev/null || { skip "the real argocd" "no $tool in the PATH"; finish; }
done
end() {
    code=$?
    tests/clients/start-argocd --stop "$work/argocd"
    tests/kubernetes/start --stop "$work/real"
    (exit $code)
    clean_up
}
trap end EXIT

k() { kubectl "$@"; }
app_field() { k get application "$1" -n argocd -o "jsonpath=$2" 2>/dev/null; }
state() { app_field "$1" '{.status.sync.status} {.status.health.status}'; }
argocd() { $command_line "$@"; }
# Masked: times, durations and the URL line, which names the server that answers; width of columns, which follows from them.
mask() {
    sed -E -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}[^ ]*( \+0000 UTC)?/TIME/g' -e 's/^(Duration: +)[0-9a-z]+$/\1DURATION/' \
        -e 's/^(URL: +).*/\1URL/' -e 's/ +/ /g' -e 's/ $//'
}
same() { # NAME ARGUMENTS...: both print the same and end with the same code
    name="$side: $1"
    shift
    timeout 60 $command_line "$@" >"$work/argocd.raw" 2>"$work/argocd.err"
    echo "exit $?" >>"$work/argocd.raw"
    timeout 60 "$SKIFF" "$@" >"$work/skiff.raw" 2>"$work/skiff.err"
    echo "exit $?" >>"$work/skiff.raw"
    mask <"$work/argocd.raw" >"$work/argocd.out"
    mask <"$work/skiff.raw" >"$work/skiff.out"
    if diff -u "$work/argocd.out" "$work/skiff.out" >"$work/diff"; then ok "$name"; else
        not_ok "$name: argocd and skiff differ on \"$*\""
        tail -n +3 "$work/diff" | sed 's/^/    /' | head -n 20
        tail -n 2 "$work/argocd.err" "$work/skiff.err" | cut -c1-200 | sed 's/^/    /'
    fi
}
make_app() { # NAME
    k apply -f - >/dev/null 2>&1 <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io], labels: {set: two}}
spec:
  project: default
  source: {repoURL: "file://$repo", path: deploy, targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: e2e-$1}
  syncPolicy: {syncOptions: [CreateNamespace=true]}
YAML
}
manifests() { # VALUE
    cat >"$repo/deploy/all.yaml" <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {v: "$1"}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "registry.example.com/web:$1"}]}
YAML
    commit "$repo" "$1"
}

life() { # SIDE
    side=$1
    repo=$work/repo-$side
    new_repo "$repo"
    mkdir "$repo/deploy"
    manifests 1
    same "an empty list" app list
    same "projects" proj list
    same "a project" proj get default
    make_app shop
    make_app other
    eventually "$side: both are compared" 60 "OutOfSync Missing OutOfSync Missing" sh -c "kubectl get applications shop other -n argocd -o 'jsonpath={.items[*].status.sync.status}' >/dev/null; echo \$(kubectl get application shop -n argocd -o 'jsonpath={.status.sync.status} {.status.health.status}') \$(kubectl get application other -n argocd -o 'jsonpath={.status.sync.status} {.status.health.status}')"
    for format in wide name; do same "list as $format" app list -o $format; done
    same "list by project" app list -p default
    same "list by label" app list -l set=two
    same "list by another label" app list -l set=three
    same "get, out of sync" app get shop
    same "history, empty" app history shop
    same "a wait that times out" app wait shop --sync --timeout 2

    # Each syncs one of two equal applications; what is printed differs by the name only.
    argocd app sync shop >"$work/argocd.raw" 2>&1
    equal "$side: argocd app sync ends with 0" 0 $?
    "$SKIFF" app sync other >"$work/skiff.raw" 2>&1
    equal "$side: skiff app sync ends with 0" 0 $?
    # How far the health has come when the operation ends is a matter of moments.
    settle() { mask <"$1" | sed -e "s/$2/NAME/g" -e 's/Progressing/HEALTH/g' -e 's/Healthy/HEALTH/g' | grep -v '^TIME' | sed 's/ HEALTH$//'; }
    equal "$side: sync prints the same" "$(settle "$work/argocd.raw" shop)" "$(settle "$work/skiff.raw" other)"
    check "$side: argocd app wait" argocd app wait shop --sync --health --timeout 60
    check "$side: argocd app wait for what skiff synced" argocd app wait other --sync --health --operation --timeout 60
    eventually "$side: synced and healthy" 60 "Synced Healthy" state shop
    same "wait for what is there" app wait shop --sync --health --timeout 60
    same "get, synced" app get shop
    same "get with the operation" app get shop --show-operation
    same "list, synced" app list
    same "history" app history shop
    same "history as ids" app history shop -o id
    same "terminate what does not run" app terminate-op shop

    manifests 2
    eventually "$side: a commit is out of sync" 60 "OutOfSync" app_field shop '{.status.sync.status}'
    check "$side: argocd app sync of the commit" argocd app sync shop --prune
    check "$side: argocd app wait again" argocd app wait shop --sync --health --timeout 60
    eventually "$side: the commit is live" 60 2 k get configmap config -n e2e-shop -o 'jsonpath={.data.v}'
    same "a longer history" app history shop
    check "$side: argocd app rollback" argocd app rollback shop 0 --timeout 60
    eventually "$side: the first state is live" 60 1 k get configmap config -n e2e-shop -o 'jsonpath={.data.v}'
    eventually "$side: healthy after the rollback" 60 "OutOfSync Healthy" state shop
    same "get after the rollback" app get shop
    check "$side: argocd app delete" argocd app delete shop --yes --wait
    eventually "$side: its objects are gone" 60 "" k get deployments,services -n e2e-shop -o name
    check "$side: skiff app delete" "$SKIFF" app delete other --yes --wait
    same "the list at the end" app list
    k delete namespace e2e-shop e2e-other --timeout=60s >/dev/null
}

start_skiff
if ! command_line=$(tests/clients/start-argocd "$KUBECONFIG" "$work/argocd" 2>"$work/argocd.err"); then
    skip "the real argocd" "$(tail -n 1 "$work/argocd.err")"
    finish
fi
life embedded
tests/clients/start-argocd --stop "$work/argocd"
stop_skiff
if real=$(tests/kubernetes/start "$work/real" 2>"$work/real.err"); then
    SKIFF_E2E_KUBECONFIG=$real
    : >"$work/skiff.log"
    start_skiff
    rm -rf "$work/argocd"
    command_line=$(tests/clients/start-argocd "$KUBECONFIG" "$work/argocd")
    life real
else
    skip "the real argocd over a real kube-apiserver" "$(tail -n 1 "$work/real.err")"
fi
finish
