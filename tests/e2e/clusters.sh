#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second cluster, named by a Secret with a bearer token and a certificate authority: another `skiff up`.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
start_skiff
home=$KUBECONFIG
other=$work/other
start_other() { # PORT
    mkdir -p "$other"
    rm -f "$other/kubeconfig"
    "$SKIFF" up --data "$other" --listen "127.0.0.1:$1" --api-listen "" >>"$work/other.log" 2>&1 &
    other_pid=$!
    tries=0
    until [ -s "$other/kubeconfig" ]; do
        tries=$((tries + 1))
        [ $tries -lt 150 ] || { cat "$work/other.log"; not_ok "start of the second cluster"; exit 1; }
        sleep 0.1
    done
}
trap 'kill $other_pid 2>/dev/null; wait $other_pid 2>/dev/null; clean_up' EXIT
start_other 0
here() { "$SKIFF" kube --kubeconfig "$home" "$@"; }
there() { "$SKIFF" kube --kubeconfig "$other/kubeconfig" "$@"; }
server=$(sed -n 's/ *server: *//p' "$other/kubeconfig")
ca=$(sed -n 's/ *certificate-authority-data: *//p' "$other/kubeconfig")
token=$(sed -n 's/ *token: *"\(.*\)"/\1/p' "$other/kubeconfig")
port=${server##*:}

repo=$work/repo
new_repo "$repo"
mkdir "$repo/app"
cat >"$repo/app/config.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {v: one}
YAML
commit "$repo" one
cluster_secret() { # TOKEN
    here apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: cluster-edge
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: cluster}
stringData:
  name: edge
  server: $server
  config: |
    {"bearerToken": "$1", "tlsClientConfig": {"insecure": false, "caData": "$ca"}}
YAML
}
cluster_secret wrong
here apply -f - >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: edge, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$repo", path: app, targetRevision: main}
  destination: {name: edge, namespace: default}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
YAML
condition() { here get application edge -n argocd -o 'jsonpath={.status.conditions[*].type}'; }
value() { there get configmap config -n default -o 'jsonpath={.data.v}'; }
eventually "a refused credential is a condition" 30 ComparisonError condition
cluster_secret "$token"
eventually "with the right token the object arrives in the other cluster" 60 one value
eventually "the condition is gone" 30 "" condition
check "nothing of it is in the home cluster" sh -c "! \"$SKIFF\" kube --kubeconfig '$home' get configmap config -n default"
there patch configmap config -n default --type merge -p '{"data":{"v":"by hand"}}' >/dev/null
eventually "drift in the other cluster is healed" 30 one value
kill $other_pid
wait $other_pid 2>/dev/null
sed -i 's/one/two/' "$repo/app/config.yaml"
commit "$repo" two
sleep 2
start_other "$port"
eventually "after an outage of the other cluster the commit arrives" 90 two value
finish
