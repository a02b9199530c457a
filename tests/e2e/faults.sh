#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Faults of a real kube-apiserver and of the network before it. After each one objects converge to Git; requests are counted in the audit
# log (no spin), memory is bounded. Only in ./test --full. The figures in lines that begin with # are not asserted, or generously.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
. tests/e2e/real/lib.sh
need_real "faults on a real kube-apiserver"
export NODES=0
start_real "faults on a real kube-apiserver"
repo=$work/repo
new_repo "$repo"
kubectl apply -f deploy/install.yaml >"$work/install.out" 2>&1 || { cat "$work/install.out"; not_ok "the manifests are applied"; finish; }
kubectl create namespace f >/dev/null
value=0
begin() { # NAME: of a fault
    fault=$1
    at=$(now)
    mark=$(audit_end)
}
converges() { # [SECONDS] a commit and a drift arrive, and what it took stays in bounds
    value=$((value + 1))
    change "$value"
    eventually "$fault: the commit arrives" "${1:-120}" "$value" values f
    echo "# $fault: from its begin to the commit's arrival $(since "$at") s"
    kubectl patch configmap app-2 -n f -p '{"data":{"v":"drift"}}' >/dev/null
    eventually "$fault: what drifts is set back" "${1:-120}" "$value" values f
    eventually "$fault: all Synced" "${1:-120}" "Synced Healthy" states
    requests=$(audit calls "$mark" | awk '{ n += $1 } END { print n + 0 }')
    watches=$(audit watches "$mark")
    echo "# $fault: $requests requests ($(audit codes "$mark")), $watches watches begun, $(rss a) kB"
    check "$fault: no spin ($requests requests, $watches watches)" test $((requests + watches)) -lt 700
    check "$fault: memory is bounded ($(rss a) kB)" test "$(rss a)" -lt 131072
    check "$fault: the process lives" kill -0 "$(cat "$work/a.pid")"
}
restart_api() { # [WAIT-BETWEEN]: kill -9 and start again, with the same flags
    api_command=$(tr '\0' '\n' <"/proc/$(cat "$cluster/kube-apiserver.pid")/cmdline" | sed "s/'/'\\\\''/g; s/^/'/; s/\$/'/" | tr '\n' ' ')
    kill -9 "$(cat "$cluster/kube-apiserver.pid")"
    sleep "${1:-0}"
    (cd "$cluster" && eval "nohup $api_command >>kube-apiserver.log 2>&1 </dev/null & echo \$! >kube-apiserver.pid")
    wait_for "$cluster" kube-apiserver 60 kubectl get --raw /readyz || not_ok "the API server starts again"
}

CONTROLLER_FLAGS="--log-level info,kube=debug"
start_controller a
make_apps 5 f
eventually "applications are deployed" 60 "Synced Healthy" states

begin "watches cut"
for _ in 1 2 3 4 5; do
    proxy cut
    sleep 1
done
converges

begin "API server restarted"
restart_api 3
converges

begin "410"
proxy refuse
i=0
while [ $i -lt 30 ]; do # versions pass that the next server has never seen
    i=$((i + 1))
    kubectl annotate configmap app-1 -n f "count=$i" --overwrite >/dev/null
    kubectl annotate application app-1 -n argocd "count=$i" --overwrite >/dev/null
done
kubectl delete configmap app-3 -n f >/dev/null # which no watch will tell of
restart_api
proxy pass
eventually "410: what was deleted meanwhile is made again" 120 app-3 kubectl get configmap app-3 -n f --ignore-not-found -o 'jsonpath={.metadata.name}'
converges
check "410: kinds were listed again" grep -q 'lists again' "$work/a.log"

begin "429"
kubectl apply -f - >/dev/null <<'YAML'
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: closed}
spec: {type: Limited, limited: {nominalConcurrencyShares: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: closed}
spec:
  priorityLevelConfiguration: {name: closed}
  matchingPrecedence: 2
  rules:
  - subjects: [{kind: ServiceAccount, serviceAccount: {name: skiff-controller, namespace: argocd}}]
    resourceRules: [{verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true, namespaces: ["*"]}]
YAML
sleep 2
proxy cut
change 4290
sleep 18
throttled=$(audit codes "$mark")
kubectl delete flowschema,prioritylevelconfiguration closed >/dev/null
echo "# 429: answers in 20 s: $throttled"
check "429: there were some" sh -c "echo '$throttled' | grep -q 429:"
converges

begin "token rotated"
old=$(cat "$work/a.token")
make_token "$work/a.token"
sleep 11 # files are looked at every 10 s
mark=$(audit_end)
proxy cut
converges
used=$(python3 - "$audit" "$mark" <<'PY'
import json, sys
log = open(sys.argv[1], "rb")
log.seek(int(sys.argv[2]))
entries = [json.loads(line) for line in log if b'"verb":"watch"' not in line]  # watches that were cut end in the log, too
print(len({e["user"]["extra"]["authentication.kubernetes.io/credential-id"][0] for e in entries}))
PY
)
equal "token rotated: only the new one is used" 1 "$used"
check "token rotated: it is another" test "$old" != "$(cat "$work/a.token")"

begin "server's certificate and authority rotated"
make_certificate second
cat "$work/first-ca.crt" "$work/second-ca.crt" >"$work/ca.crt.new" # both are good for a while, as administrators do it
mv "$work/ca.crt.new" "$work/ca.crt"
sleep 11
use_certificate second
shows() { openssl s_client -connect "127.0.0.1:$api_port" </dev/null 2>/dev/null | openssl x509 -noout -issuer 2>/dev/null | grep -o 'CN.*' | tr -d ' '; }
eventually "server's certificate and authority rotated: the server shows the new one" 90 CN=second shows
cp "$work/second-ca.crt" "$work/ca.crt.new"
mv "$work/ca.crt.new" "$work/ca.crt"
at=$(now)
mark=$(audit_end)
proxy cut
converges

begin "CRD removed while watched"
mkdir -p "$repo/app-1"
cat >"$work/crd.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
YAML
kubectl apply -f "$work/crd.yaml" >/dev/null
printf 'apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {size: 1}\n' >"$repo/app-1/gadget.yaml"
commit "$repo" gadget
gadget() { kubectl get gadget g -n f -o name 2>/dev/null; }
eventually "CRD removed while watched: its object is there" 60 gadget.example.com/g gadget
kubectl delete crd gadgets.example.com >/dev/null
app_1() { kubectl get application app-1 -n argocd -o 'jsonpath={.status.sync.status}'; }
eventually "CRD removed while watched: out of sync" 90 OutOfSync app_1
sleep 5
kubectl apply -f "$work/crd.yaml" >/dev/null
eventually "CRD removed while watched: its object comes back" 180 gadget.example.com/g gadget
converges

begin "etcd paused for 20 s"
kill -STOP "$(cat "$cluster/etcd.pid")"
sleep 20
kill -CONT "$(cat "$cluster/etcd.pid")"
converges

begin "network stalled for 25 s"
proxy stall
sleep 25
proxy pass
converges

begin "connections lost without a word"
proxy blackhole
converges 240

begin "controller restarted without its disk"
kill_controller a
rm -rf "$work/a.cache"
sleep 1
mark=$(audit_end)
runs=$(grep -c 'the controller runs' "$work/a.log")
start_controller a
eventually "$fault: it runs" 60 yes says a 'the controller runs' $((runs + 1))
sleep 30
audit writes "$mark" >"$work/writes"
echo "# $fault: $(wc -l <"$work/writes") writes in 30 s but the Lease's"
head -n 5 "$work/writes" | sed 's/^/#     /'
check "$fault: nothing is written" test ! -s "$work/writes"
equal "$fault: nothing is lost" "$value Synced Healthy" "$(values f) $(states)"
converges

begin "100 applications at rest"
make_apps 100 f
value=0
eventually "$fault: deployed" 240 "Synced Healthy" states
sleep 20
at=$(now)
mark=$(audit_end)
sleep 60
audit calls "$mark" >"$work/calls"
echo "# $fault: in $(since "$at") s: $(awk '{ n += $1 } END { print n + 0 }' "$work/calls") requests but the Lease's, $(audit watches "$mark") watches begun"
sed 's/^/#     /' "$work/calls"
check "$fault: nothing is listed or written" test ! -s "$work/calls"
echo "# answers with 403 in all, also of a server that starts: $(audit refused | wc -l)"
audit missing >"$work/refused"
check "no right was missing" test ! -s "$work/refused"
finish
