#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The whole life of an application through the command line alone: SKIFF=build/src/skiff tests/e2e/cli.sh
# Starts `skiff up` on free ports with data of its own. Prints "ok NAME", "not ok NAME" or "skipped NAME: why" lines;
# exit code 0 iff nothing failed.
set -u
skiff=${SKIFF:?set SKIFF to the binary under test}
case $skiff in /*) ;; *) skiff=$(pwd)/$skiff ;; esac
dir=$(mktemp -d) || exit 1
failures=0 up=

clean() {
    if [ -n "$up" ]; then
        kill "$up" 2> /dev/null
        wait "$up" 2> /dev/null
    fi
    rm -rf "$dir"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

unset KUBECONFIG SKIFF_DATA
export HOME="$dir/home" XDG_CACHE_HOME="$dir/cache" TZ=UTC USER=tester
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
export SKIFF_DATA="$dir/data"
mkdir -p "$HOME"

ok() { echo "ok $1"; }
not_ok() {
    echo "not ok $1"
    failures=$((failures + 1))
    sed 's/^/#   /' "$dir/out" "$dir/err" 2> /dev/null | head -40
}
# run NAME CODE ARGUMENTS...: the command's exit code; its output is in $dir/out and $dir/err. No command outlives a minute.
run() {
    name=$1 want=$2
    shift 2
    timeout 60 "$skiff" "$@" > "$dir/out" 2> "$dir/err" < /dev/null
    code=$?
    if [ $code -eq "$want" ]; then ok "$name"; else
        echo "#   exit code $code, wanted $want: skiff $*"
        not_ok "$name"
    fi
}
has() { # has NAME PATTERN: a line of the last output
    if grep -q -e "$2" "$dir/out"; then ok "$1"; else not_ok "$1"; fi
}
has_error() {
    if grep -q -e "$2" "$dir/err"; then ok "$1"; else not_ok "$1"; fi
}
has_not() {
    if grep -q -e "$2" "$dir/out"; then not_ok "$1"; else ok "$1"; fi
}
commit() { (cd "$dir/repo" && git add -A && git commit -qm "$1"); }

if ! command -v git > /dev/null; then
    echo "skipped cli: git is not installed"
    exit 0
fi

# ---- Usage, without a cluster ----
run help 0 --help
has help-lists-app '^  app '
run unknown-command 2 nonsense
has_error unknown-command-says-so 'unknown command "nonsense"'
run unknown-option 2 app list --nonsense
run no-cluster 2 app list
has_error no-cluster-says-how 'skiff up'
run version 0 version --client
has version-number '^skiff: v[0-9]'
run crds 0 crds
has crds-are-yaml 'name: applications.argoproj.io'
run completion 0 completion bash
has completion-knows-options "'app get') .*--hard-refresh"
run completion-unknown 2 completion tcsh

# ---- A repository and a cluster ----
mkdir -p "$dir/repo/app"
(cd "$dir/repo" && git init -q -b main .)
cat > "$dir/repo/app/all.yaml" << 'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: sesame}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.27"}]}
YAML
commit one

"$skiff" up --listen 127.0.0.1:0 --api-listen "" > "$dir/up.log" 2>&1 < /dev/null &
up=$!
tries=0
until grep -q 'skiff is up' "$dir/up.log" 2> /dev/null; do
    tries=$((tries + 1))
    if [ $tries -gt 150 ] || ! kill -0 "$up" 2> /dev/null; then
        cp "$dir/up.log" "$dir/out"
        not_ok up
        exit 1
    fi
    sleep 0.2
done
ok up

# ---- Create ----
dest="--dest-server https://kubernetes.default.svc --dest-namespace shop"
run create-incomplete 2 app create shop --repo "file://$dir/repo"
has_error create-incomplete-says-what 'give --path'
# shellcheck disable=SC2086 # words
run create-unknown-project 20 app create shop --repo "file://$dir/repo" --path app $dest --project none
# shellcheck disable=SC2086
run create 0 app create shop --repo "file://$dir/repo" --path app $dest --sync-option CreateNamespace=true --label team=red
# shellcheck disable=SC2086
run create-again 0 app create shop --repo "file://$dir/repo" --path app $dest --sync-option CreateNamespace=true
has create-again-is-nothing unchanged
# shellcheck disable=SC2086
run create-other 20 app create shop --repo "file://$dir/repo" --path other $dest
has_error create-other-says-how '--upsert'
run wait-for-first-look 0 app get shop --refresh
has out-of-sync 'Sync Status: *OutOfSync'
run wait-times-out 20 app wait shop --sync --timeout 1

# ---- Diff, manifests ----
run diff-new 1 app diff shop
has diff-shows-new '^+  color: blue'
has_not diff-masks-secrets sesame
run diff-exit-code-off 0 app diff shop --exit-code=false
run manifests 0 app manifests shop
has manifests-are-marked 'tracking-id: shop:apps/Deployment:shop/web'

# ---- Sync ----
run sync-dry-run 0 app sync shop --dry-run
run dry-run-changed-nothing 20 kube get cm settings -n shop
run sync 0 app sync shop --timeout 50
has sync-ended 'Phase: *Succeeded'
run wait 0 app wait shop --sync --health --timeout 50
has healthy 'Health Status: *Healthy'
run diff-none 0 app diff shop
run list 0 app list
has list-row '^argocd/shop .*Synced .*Healthy .*Manual'
run list-names 0 app list -o name -l team=red
has list-name '^argocd/shop$'
run list-none 0 app list -l team=blue -o name
has_not list-filtered shop
run tree 0 app get shop -o tree
has tree-has-pods '─Pod/web-'
run get-json 0 app get shop -o json
has get-json-is-json '"kind": "Application"'
run resources 0 app resources shop
has resources-row '^apps .*Deployment .*shop .*web'
run global-flags-first 0 --core app list -o name
has global-flags-first-works '^argocd/shop$'
ln -s "$skiff" "$dir/argocd"
if "$dir/argocd" --core app get shop > "$dir/out" 2> "$dir/err" && grep -q '^Name: *argocd/shop' "$dir/out"; then
    ok as-argocd
else
    not_ok as-argocd
fi

# ---- A second commit, pruning, rollback ----
sed 's/blue/green/' "$dir/repo/app/all.yaml" > "$dir/new" && mv "$dir/new" "$dir/repo/app/all.yaml"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n' > "$dir/repo/app/extra.yaml"
run diff-local 1 app diff shop --local "$dir/repo/app"
has diff-local-change '^+  color: green'
commit two
run sync-second 0 app sync shop --timeout 50
rm "$dir/repo/app/extra.yaml"
commit three
run sync-leaves-something 1 app sync shop --timeout 50
has_error says-prune 'prune'
run sync-prunes 0 app sync shop --prune --timeout 50
run pruned 20 kube get cm extra -n shop
run sync-unknown-revision 1 app sync shop --revision nowhere --timeout 50
run history 0 app history shop -o id
has history-has-first '^0$'
run rollback 0 app rollback shop 0 --timeout 50
run rolled-back 0 kube get cm settings -n shop -o "jsonpath={.data.color}"
has rolled-back-color '^blue'
run rollback-unknown 20 app rollback shop 99

# ---- Set, automated sync ----
run set-nothing 2 app set shop
run set-automated 0 app set shop --sync-policy automated --auto-prune --self-heal
run rollback-refused 20 app rollback shop 0
run wait-automated 0 app wait shop --timeout 50
run automated-synced 0 kube get cm settings -n shop -o "jsonpath={.data.color}"
has automated-color '^green'
run heal-change 0 kube patch cm settings -n shop -p '{"data":{"color":"black"}}'
healed=no tries=0
while [ $healed = no ] && [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    [ "$("$skiff" kube get cm settings -n shop -o 'jsonpath={.data.color}')" = green ] && healed=yes
    [ $healed = yes ] || sleep 0.3
done
if [ $healed = yes ]; then ok healed; else not_ok healed; fi
run set-manual 0 app set shop --sync-policy none
run terminate-nothing 20 app terminate-op shop

# ---- Repositories, clusters, projects ----
run repo-add-missing 20 repo add "file://$dir/nowhere"
run repo-add 0 repo add "file://$dir/repo" --name mine
run repo-list 0 repo list
has repo-row "^git .*mine .*Successful"
run repo-rm 0 repo rm "file://$dir/repo"
run cluster-list 0 cluster list
has cluster-row 'in-cluster .*Successful'
run proj-list 0 proj list -o name
has proj-default '^default$'

# ---- Any object ----
cat > "$dir/objects.yaml" << 'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Boat, plural: boats, singular: boat}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: example.com/v1
kind: Boat
metadata: {name: dinghy}
spec: {oars: 2}
YAML
run kube-apply 0 kube apply -f "$dir/objects.yaml" -n shop
has kube-apply-created '^boat.example.com/dinghy created'
run kube-apply-again 0 kube apply -f "$dir/objects.yaml" -n shop
has kube-apply-unchanged '^boat.example.com/dinghy unchanged'
run kube-get 0 kube get boats -n shop
has kube-get-table '^NAME '
run kube-get-all 0 kube get pods -A
has kube-get-all-table '^shop .*web-'
run kube-patch-json 0 kube patch boat dinghy -n shop --type json -p '[{"op":"replace","path":"/spec/oars","value":4}]'
run kube-get-path 0 kube get boat/dinghy -n shop -o 'jsonpath={.spec.oars}'
has kube-patched '^4'
run kube-unknown-kind 20 kube get nonsense
run kube-delete 0 kube delete -f "$dir/objects.yaml" -n shop
run kube-deleted 20 kube get boat dinghy -n shop

# ---- The end ----
run delete 0 app delete shop --wait --timeout 50 -y
run deleted 20 app get shop
run deleted-objects 20 kube get deploy web -n shop
run wait-deleted 0 app wait shop --delete --timeout 10
kill "$up" && wait "$up"
code=$?
up=
if [ $code -eq 0 ]; then ok stop; else not_ok stop; fi
[ $failures -eq 0 ]
