#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job, shown: tools/demo.sh SKIFF [--once]. Everything lives in a temporary folder, which goes at the end.
set -eu
skiff=$(realpath "$1")
once=${2:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/skiff-demo.XXXXXX")
data=$work/data
repo=$work/shop
pid=
# shellcheck disable=SC2317
finish() {
    code=$?
    trap - EXIT INT TERM
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; } || true
    if [ $code -ne 0 ] && [ $code -ne 130 ] && [ -s "$work/skiff.log" ]; then
        echo "the demo failed ($code); the last lines of the log:" >&2
        tail -n 20 "$work/skiff.log" >&2
    fi
    rm -rf "$work"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { # prints the command, then runs it
    printf '$ skiff %s\n' "$*"
    KUBECONFIG=$data/kubeconfig "$skiff" "$@"
}
quiet() { KUBECONFIG=$data/kubeconfig "$skiff" "$@" >/dev/null; }
commit() { git -C "$repo" add -A && git -C "$repo" -c user.name=demo -c user.email=demo@example.com commit -qm "$1"; }
until_is() { # VALUE KIND NAME JSONPATH: waits, at most 30 s
    tries=0
    while [ "$(KUBECONFIG=$data/kubeconfig "$skiff" kube get "$2" "$3" -n shop -o "jsonpath=$4" 2>/dev/null)" != "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "$2/$3 did not become $1 within 30 s" >&2; return 1; }
        sleep 0.1
    done
}

start() { # EXPECT COMMAND...: skiff in the background, until the file EXPECT has something in it
    ready=$1
    shift
    "$skiff" "$@" --api-listen 127.0.0.1:0 >"$work/skiff.log" 2>&1 &
    pid=$!
    tries=0
    until grep -q . "$ready" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 $pid 2>/dev/null; then
            echo "skiff did not start" >&2
            exit 1
        fi
        sleep 0.1
    done
}
mkdir -p "$data"
if [ "${SKIFF_E2E_KUBECONFIG:-}" ]; then # tests/e2e/real.sh shows the same on a real cluster
    say "1. Start Skiff: the controllers against the cluster of $SKIFF_E2E_KUBECONFIG"
    cp "$SKIFF_E2E_KUBECONFIG" "$data/kubeconfig"
    start "$work/skiff.log" controller --kubeconfig "$data/kubeconfig" --cache "$data/cache" --allow-local-repos
else
    say "1. Start Skiff: the controllers and an embedded Kubernetes API in one process"
    start "$data/kubeconfig" up --data "$data" --listen 127.0.0.1:0
fi
show kube get namespaces

say "2. A Git repository with a small application"
git init -q -b main "$repo"
mkdir -p "$repo/deploy"
cat >"$repo/deploy/namespace.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata:
  name: shop
YAML
cat >"$repo/deploy/web.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  namespace: shop
data:
  greeting: hello
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: registry.example.com/shop/web:1.0.0
        ports:
        - containerPort: 8080
        resources:
          limits: {cpu: 500m, memory: 256Mi}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  selector: {app: web}
  ports:
  - port: 80
    targetPort: 8080
YAML
cat >"$repo/deploy/migrate.yaml" <<'YAML'
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  namespace: shop
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: registry.example.com/shop/migrate:1.0.0
YAML
cat >"$repo/deploy/coupons.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: coupons.shop.example.com
spec:
  group: shop.example.com
  scope: Namespaced
  names: {kind: Coupon, plural: coupons, singular: coupon}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns:
    - {name: Percent, type: integer, jsonPath: .spec.percent}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [percent]
            properties:
              percent: {type: integer, minimum: 1, maximum: 90}
---
apiVersion: shop.example.com/v1
kind: Coupon
metadata:
  name: welcome
  namespace: shop
spec:
  percent: 10
YAML
commit "the shop"
git -C "$repo" log --oneline

say "3. One Application with automated sync"
cat >"$work/application.yaml" <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
spec:
  project: default
  source:
    repoURL: file://$repo
    path: deploy
    targetRevision: main
  destination:
    server: https://kubernetes.default.svc
    namespace: shop
  syncPolicy:
    automated:
      prune: true
      selfHeal: true
YAML
show kube apply -f "$work/application.yaml"
show app wait shop --sync --health --timeout 60
show app get shop
show kube get deployments,pods,services,jobs,coupons -n shop

say "4. A commit changes the image and the greeting"
sed -i -e 's/web:1.0.0/web:1.1.0/' -e 's/greeting: hello/greeting: good morning/' "$repo/deploy/web.yaml"
commit "version 1.1.0"
until_is registry.example.com/shop/web:1.1.0 deployment web '{.spec.template.spec.containers[0].image}'
quiet app wait shop --sync --health --timeout 60
show app history shop
show kube get replicasets -n shop

say "5. Somebody changes the live object by hand; Skiff puts it back"
show kube patch deployment web -n shop -p '{"spec":{"replicas":7}}'
until_is 2 deployment web '{.spec.replicas}'
echo "spec.replicas is 2 again"
show kube delete service web -n shop
until_is web service web '{.metadata.name}'
echo "the Service is there again"
quiet app wait shop --sync --health --timeout 60
show app list

if [ "$once" = --once ]; then
    say "Done."
    exit 0
fi
say "Skiff stays up until Ctrl-C. Look around:"
cat <<EOF
  export KUBECONFIG=$data/kubeconfig
  kubectl get applications -n argocd --watch
  kubectl get all -n shop
The repository is $repo: commit there and see it arrive.
EOF
wait $pid
