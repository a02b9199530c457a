#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shipped manifests: they are what the program and the kustomizations say, and the rights in them are enough and used. The life of
# Applications (apps.sh) runs with the account's token, and no request is refused. The part on a real API is only in ./test --full.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
. tests/e2e/real/lib.sh
"$SKIFF" crds >"$work/crds.yaml"
check "the CRDs are the program's" diff -u deploy/base/crds.yaml "$work/crds.yaml"
if command -v kubectl >/dev/null && kubectl kustomize deploy/cluster-admin >/dev/null 2>&1; then
    check "install.yaml is up to date" deploy/render.sh --check "$SKIFF"
else
    skip "install.yaml is up to date" "no kubectl in the PATH"
fi
for file in deploy/install.yaml deploy/namespaced-install.yaml; do
    check "$file: the Service's label is what ServiceMonitors select" grep -q 'app.kubernetes.io/name: argocd-metrics' "$file"
    check "$file: its port has the name they use" grep -q 'name: metrics' "$file"
done
start_skiff
check "the embedded API takes install.yaml" "$SKIFF" kube --kubeconfig "$KUBECONFIG" apply -f deploy/install.yaml
served=$("$SKIFF" kube --kubeconfig "$KUBECONFIG" get crd applications.argoproj.io -o json | grep -c '"argoproj.io"')
check "the embedded API serves the same CRD" test "$served" -ge 1
stop_skiff
[ $failures = 0 ] || finish

need_real "the shipped manifests on a real kube-apiserver"
start_real "the shipped manifests on a real kube-apiserver"
check "real: install.yaml is applied" kubectl apply -f deploy/install.yaml
check "real: and once more, without a change" sh -c "kubectl apply -f deploy/install.yaml | grep -v unchanged | grep -qv configured && exit 1; true"
eventually "real: the Deployment makes two pods" 60 2 kubectl get deployment skiff-controller -n argocd -o 'jsonpath={.status.replicas}'
kubectl scale deployment skiff-controller -n argocd --replicas=0 >/dev/null # its image is not here; the program is

# ---- Cluster-wide: apps.sh with the account's token ----
mark=$(audit_end)
make_token "$work/a.token"
start_controller a "$api_port" # writes a.kubeconfig, and shows that it starts
eventually "real: the controller runs" 30 yes says a 'the controller runs'
kill_controller a

# ---- As in a pod: the token, the authority and the namespace where they are mounted there, and the container's own arguments ----
if unshare -rm sh -c 'mount -t tmpfs tmpfs /run' 2>/dev/null; then
    cat >"$work/pod.sh" <<'SH'
mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount || exit 1
cd /run/secrets/kubernetes.io/serviceaccount && cp "$2/a.token" token && cp "$2/ca.crt" ca.crt && printf argocd >namespace || exit 1
export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT="$3" SKIFF_NAMESPACE=argocd
unset KUBECONFIG
exec "$1" controller --in-cluster --api-listen=127.0.0.1:0 --cache="$2/pod.cache" --log-format=json
SH
    unshare -rm sh "$work/pod.sh" "$SKIFF" "$work" "$api_port" >"$work/pod.log" 2>&1 &
    echo $! >"$work/pod.pid"
    eventually "in a pod: it leads and runs" 30 yes says pod 'the controller runs'
    kill_controller pod
    check "in a pod: it gives the Lease up" test "$(says pod 'the Lease is given up')" = yes
else
    skip "in a pod" "no user namespaces here"
fi

SKIFF_E2E_KUBECONFIG=$KUBECONFIG SKIFF_E2E_CONTROLLER="--kubeconfig $work/a.kubeconfig --leader-elect" tests/e2e/apps.sh >"$work/apps.out" 2>&1
grep -E '^(ok|not ok|skipped) ' "$work/apps.out" | sed 's/^\(ok\|not ok\|skipped\) /\1 real: /'
failures=$((failures + $(grep -c '^not ok ' "$work/apps.out")))
audit refused "$mark" >"$work/refused"
echo "# with install.yaml: $(audit calls "$mark" | awk '{ n += $1 } END { print n + 0 }') requests, $(wc -l <"$work/refused") refused"
sed 's/^/#     /' "$work/refused" | sort | uniq -c | head -n 10
check "real: nothing was refused" test ! -s "$work/refused"

# ---- Only the namespace apps ----
kubectl delete clusterrolebinding,clusterrole skiff-controller >/dev/null
kubectl apply -f deploy/namespaced-install.yaml >/dev/null 2>&1
kubectl scale deployment skiff-controller -n argocd --replicas=0 >/dev/null
sleep 1 # the authorizer of the server learns of it
mark=$(audit_end)
repo=$work/repo
new_repo "$repo"
start_controller a "$api_port"
make_apps 3 apps
kubectl apply -f - >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: elsewhere, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$repo", path: app-1, targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: kube-public}
  syncPolicy: {automated: {}}
YAML
app_state() { kubectl get application "$1" -n argocd -o 'jsonpath={.status.sync.status} {.status.health.status}'; }
eventually "namespaced: deployed" 60 "Synced Healthy" app_state app-1
change 7
eventually "namespaced: a commit arrives" 60 7 values apps
kubectl patch configmap app-2 -n apps -p '{"data":{"v":"drift"}}' >/dev/null
eventually "namespaced: what drifts is set back" 60 7 values apps
eventually "namespaced: another namespace is a condition" 60 ComparisonError kubectl get application elsewhere -n argocd -o 'jsonpath={.status.conditions[0].type}'
equal "namespaced: and nothing is written there" "" "$(kubectl get configmap app-1 -n kube-public --ignore-not-found -o name)"
kubectl create rolebinding more -n kube-public --clusterrole=admin --serviceaccount=argocd:skiff-controller >/dev/null
sleep 1
kubectl patch secret in-cluster -n argocd -p '{"stringData":{"namespaces":"apps, kube-public"}}' >/dev/null
eventually "namespaced: a namespace that is added is deployed to" 60 "Synced Healthy" app_state elsewhere
kubectl delete application app-3 -n argocd --timeout=30s >/dev/null
sleep 1
audit refused "$mark" >"$work/refused"
echo "# with namespaced-install.yaml: $(audit calls "$mark" | awk '{ n += $1 } END { print n + 0 }') requests, $(wc -l <"$work/refused") refused"
sed 's/^/#     /' "$work/refused" | head -n 10
check "namespaced: nothing was refused" test ! -s "$work/refused"
finish
