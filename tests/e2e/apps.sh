#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The life of Applications, with kubectl as the user: the same script against the embedded API and, with SKIFF_E2E_KUBECONFIG, against a
# real kube-apiserver.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
kubectl_is_new || { skip apps "kubectl 1.30 or later is not in the PATH"; exit 0; }
start_skiff
repo=$work/repo
new_repo "$repo"
k() { kubectl "$@"; }
app_field() { k get application "$1" -n argocd -o "jsonpath=$2"; }
state() { app_field "$1" '{.status.sync.status} {.status.health.status} {.status.operationState.phase}'; }
condition() { app_field "$1" '{.status.conditions[*].type}'; }
make_app() { # NAME PATH SYNCPOLICY [EXTRA]
    k apply -f - >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: $1
  namespace: argocd
  finalizers: [resources-finalizer.argocd.argoproj.io]
spec:
  project: default
  source: {repoURL: "file://$repo", path: $2, targetRevision: main${5:-}}
  destination: {server: "https://kubernetes.default.svc", namespace: e2e-$1}
  syncPolicy: {$3}
${4:-}
YAML
}
manifest() { # FILE NAME VALUE [ANNOTATIONS]
    mkdir -p "$(dirname "$1")"
    printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  annotations: {%s}\ndata: {v: "%s"}\n' "$2" "${4:-}" "$3" >>"$1"
}
deployment() { # FILE NAME IMAGE
    cat >>"$1" <<YAML
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: $2, labels: {app: $2}}
spec:
  replicas: 2
  selector: {matchLabels: {app: $2}}
  template:
    metadata: {labels: {app: $2}}
    spec:
      containers:
      - name: c
        image: $3
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 1000m, memory: 1024Mi}}
YAML
}

check "the namespace argocd is there" k get namespace argocd
check "the default project is there" k get appproject default -n argocd

# ---- A first application ----
mkdir -p "$repo/web"
manifest "$repo/web/config.yaml" config one
deployment "$repo/web/web.yaml" web registry.example.com/web:1
cat >"$repo/web/more.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: batch/v1
kind: Job
metadata: {name: setup}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: registry.example.com/setup:1}]}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.e2e.example.com}
spec:
  group: e2e.example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}
---
apiVersion: e2e.example.com/v1
kind: Widget
metadata: {name: small}
spec: {size: 1}
YAML
commit "$repo" "first"
make_app web web "automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]"
eventually "synced and healthy" 60 "Synced Healthy Succeeded" state web
equal "the revision is the commit" "$(git -C "$repo" rev-parse HEAD)" "$(app_field web '{.status.sync.revision}')"
equal "objects carry their mark" "web:apps/Deployment:e2e-web/web" \
    "$(k get deployment web -n e2e-web -o 'jsonpath={.metadata.annotations.argocd\.argoproj\.io/tracking-id}')"
equal "the custom object is there" 1 "$(k get widget small -n e2e-web -o 'jsonpath={.spec.size}')"
equal "source type" Directory "$(app_field web '{.status.sourceType}')"
equal "one entry in the history" 0 "$(app_field web '{.status.history[*].id}')"
check "kubectl shows the columns" sh -c 'kubectl get applications -n argocd | grep -Eq "^web +Synced +Healthy"'

# ---- A commit, drift, pruning ----
sed -i 's/"one"/"two"/' "$repo/web/config.yaml"
commit "$repo" "second"
eventually "a commit arrives" 60 two k get configmap config -n e2e-web -o 'jsonpath={.data.v}'
k patch configmap config -n e2e-web --type merge -p '{"data":{"v":"by hand"}}' >/dev/null
eventually "drift is healed" 60 two k get configmap config -n e2e-web -o 'jsonpath={.data.v}'
k delete service web -n e2e-web >/dev/null
eventually "a deleted object comes back" 60 service/web k get service web -n e2e-web -o name
eventually "synced again" 60 "Synced Healthy Succeeded" state web
manifest "$repo/web/extra.yaml" extra 1
commit "$repo" "an extra object"
eventually "the extra object arrives" 60 1 k get configmap extra -n e2e-web -o 'jsonpath={.data.v}'
git -C "$repo" rm -q web/extra.yaml
commit "$repo" "without it"
eventually "what left Git is pruned" 60 "" k get configmap extra -n e2e-web --ignore-not-found -o name
k create configmap foreign -n e2e-web --from-literal=a=b >/dev/null
sed -i 's/"two"/"three"/' "$repo/web/config.yaml"
commit "$repo" "third"
eventually "a commit after pruning" 60 three k get configmap config -n e2e-web -o 'jsonpath={.data.v}'
check "foreign objects stay" k get configmap foreign -n e2e-web
version=$(k get application web -n argocd -o 'jsonpath={.metadata.resourceVersion}')
sleep 3
equal "no write in the steady state" "$version" "$(k get application web -n argocd -o 'jsonpath={.metadata.resourceVersion}')"

# ---- Manual sync ----
manifest "$repo/manual/a.yaml" a 1
commit "$repo" "manual"
make_app manual manual "syncOptions: [CreateNamespace=true]"
eventually "manual: out of sync" 60 "OutOfSync" app_field manual '{.status.sync.status}'
sleep 1
equal "manual: nothing starts alone" "" "$(app_field manual '{.status.operationState.phase}')"
k patch application manual -n argocd --type merge -p '{"operation":{"initiatedBy":{"username":"e2e"},"sync":{"dryRun":true}}}' >/dev/null
eventually "manual: a dry run ends" 60 Succeeded app_field manual '{.status.operationState.phase}'
equal "manual: a dry run changes nothing" "" "$(k get configmap a -n e2e-manual --ignore-not-found -o name 2>/dev/null)"
k patch application manual -n argocd --type merge -p '{"operation":{"initiatedBy":{"username":"e2e"},"sync":{}}}' >/dev/null
eventually "manual: synced on request" 60 "Synced Healthy Succeeded" state manual
equal "manual: the operation is cleared" "" "$(app_field manual '{.operation}')"
equal "manual: who asked" e2e "$(app_field manual '{.status.operationState.operation.initiatedBy.username}')"

# ---- Waves and hooks ----
manifest "$repo/waves/a.yaml" first 1 'argocd.argoproj.io/sync-wave: "-1"'
manifest "$repo/waves/a.yaml" second 1 'argocd.argoproj.io/sync-wave: "2"'
deployment "$repo/waves/d.yaml" middle registry.example.com/middle:1
cat >"$repo/waves/hook.yaml" <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: {name: before, annotations: {argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: registry.example.com/before:1}]}}}
YAML
commit "$repo" "waves"
make_app waves waves "automated: {prune: true}, syncOptions: [CreateNamespace=true]"
eventually "waves: synced and healthy" 90 "Synced Healthy Succeeded" state waves
eventually "waves: the hook is deleted after its success" 60 "" k get job before -n e2e-waves --ignore-not-found -o name
first=$(k get configmap first -n e2e-waves -o 'jsonpath={.metadata.creationTimestamp}')
second=$(k get configmap second -n e2e-waves -o 'jsonpath={.metadata.creationTimestamp}')
check "waves: in order" test "$(printf '%s\n%s\n' "$first" "$second" | sort | head -n 1)" = "$first"

# ---- Bad input: a condition, nothing live is touched, the others go on ----
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\n bad indent: [\n' >"$repo/web/config.yaml"
commit "$repo" "broken YAML"
eventually "bad YAML: a condition" 60 ComparisonError condition web
check "bad YAML: file and line are named" sh -c "kubectl get application web -n argocd -o 'jsonpath={.status.conditions[0].message}' | grep -q 'web/config.yaml:[0-9]'"
equal "bad YAML: nothing live is touched" three "$(k get configmap config -n e2e-web -o 'jsonpath={.data.v}')"
git -C "$repo" revert --no-edit HEAD >/dev/null
eventually "bad YAML: recovers" 60 "Synced Healthy Succeeded" state web
eventually "bad YAML: the condition goes" 60 "" condition web
make_app nopath does-not-exist "automated: {}"
eventually "no such path: a condition" 60 ComparisonError condition nopath
k apply -f - >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: norepo, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$work/no-such-repo", path: x}
  destination: {server: "https://kubernetes.default.svc", namespace: x}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: noproject, namespace: argocd}
spec:
  project: missing
  source: {repoURL: "file://$repo", path: web}
  destination: {server: "https://kubernetes.default.svc", namespace: x}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: nocluster, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$repo", path: web}
  destination: {name: nowhere, namespace: x}
YAML
eventually "no such repository: a condition" 60 ComparisonError condition norepo
eventually "no such project: a condition" 60 InvalidSpecError condition noproject
eventually "no such cluster: a condition" 60 InvalidSpecError condition nocluster
cat >"$repo/manual/unknown.yaml" <<'YAML'
apiVersion: no.such.group/v1
kind: Gadget
metadata: {name: g}
YAML
commit "$repo" "an unknown kind"
k annotate application manual -n argocd argocd.argoproj.io/refresh=normal --overwrite >/dev/null
eventually "unknown kind: out of sync" 60 OutOfSync app_field manual '{.status.sync.status}'
eventually "the refresh annotation is taken off" 60 "" app_field manual '{.metadata.annotations.argocd\.argoproj\.io/refresh}'
k patch application manual -n argocd --type merge -p '{"operation":{"sync":{}}}' >/dev/null
eventually "unknown kind: the operation fails" 60 Failed app_field manual '{.status.operationState.phase}'
check "unknown kind: the message names it" sh -c "kubectl get application manual -n argocd -o 'jsonpath={.status.operationState.syncResult.resources[*].message}' | grep -q Gadget"

# ---- Missing namespace ----
manifest "$repo/nons/a.yaml" a 1
commit "$repo" "no namespace"
make_app nons nons "automated: {}, retry: {limit: 0}"
eventually "missing namespace: the operation fails" 60 Failed app_field nons '{.status.operationState.phase}'
check "missing namespace: the message says so" sh -c "kubectl get application nons -n argocd -o 'jsonpath={.status.operationState.syncResult.resources[*].message}' | grep -q 'namespaces \"e2e-nons\" not found'"

# ---- Restart ----
stop_skiff
k() { kubectl "$@"; }
start_skiff
eventually "after a restart: still synced" 60 "Synced Healthy Succeeded" state web
sed -i 's/"three"/"four"/' "$repo/web/config.yaml"
commit "$repo" "fourth"
eventually "after a restart: a commit arrives" 60 four k get configmap config -n e2e-web -o 'jsonpath={.data.v}'

# ---- Deletion ----
k delete application manual norepo noproject nocluster nopath nons -n argocd --timeout=60s >/dev/null
k delete application web waves -n argocd --timeout=60s >/dev/null
check "deletion: the application is gone" sh -c '! kubectl get application web -n argocd'
eventually "deletion: its objects are gone" 60 "" k get deployment web -n e2e-web --ignore-not-found -o name
check "deletion: foreign objects stay" k get configmap foreign -n e2e-web
k delete namespace e2e-web e2e-waves e2e-manual --ignore-not-found --timeout=60s >/dev/null
check "the namespaces are gone" sh -c '! kubectl get namespace e2e-web'
finish
