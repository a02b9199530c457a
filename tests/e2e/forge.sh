#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real forge (Gitea): a private repository over HTTP with a token and over SSH with a deploy key, and its signed webhook, which brings
# a push at once while polling is off. Only in ./test --full, where the forge was built.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
. tests/full/lib.sh
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
[ "${SKIFF_TEST_FULL:-}" ] || { skip "a real forge" "only in ./test --full"; finish; }
for tool in kubectl curl ssh-keygen ssh-keyscan; do
    command -v $tool >/dev/null || { skip "a real forge" "no $tool in the PATH"; finish; }
done
end() {
    code=$?
    tests/forge/start --stop "$work/forge"
    (exit $code)
    clean_up
}
trap end EXIT
forge=$(tests/forge/start "$work/forge" 2>"$work/forge.err") || { skip "a real forge" "$(tail -n 1 "$work/forge.err")"; finish; }
read -r url user password ssh_port <<LINE
$forge
LINE
api() { # METHOD PATH [JSON]
    curl -sf -u "$user:$password" -X "$1" -H 'Content-Type: application/json' "$url/api/v1$2" ${3:+-d "$3"}
}
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

API_PORT=$(free_ports 1)
start_skiff
k() { kubectl "$@"; }
app_field() { k get application "$1" -n argocd -o "jsonpath=$2" 2>/dev/null; }
state() { app_field "$1" '{.status.sync.status} {.status.health.status}'; }
condition() { app_field "$1" '{.status.conditions[*].type}'; }
live() { k get configmap config -n "e2e-$1" -o 'jsonpath={.data.v}' 2>/dev/null; }
configure() { # NAME KEY VALUE: a key of a ConfigMap of Argo CD
    k create configmap "$1" -n argocd --from-literal="$2=$3" --dry-run=client -o yaml | k apply -f - >/dev/null
    k label --overwrite configmap "$1" -n argocd app.kubernetes.io/part-of=argocd >/dev/null
}
make_app() { # NAME URL
    k apply -f - 2>/dev/null >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec:
  project: default
  source: {repoURL: "$2", path: ., targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: e2e-$1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
YAML
}
make_repository() { # NAME FILE: a Secret, its data from standard input
    { printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: argocd, labels: {argocd.argoproj.io/secret-type: %s}}\nstringData:\n' "$1" "${2:-repository}" && cat; } |
        k apply -f - >/dev/null
}
push() { # VALUE
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {v: "%s"}\n' "$1" >"$repo/config.yaml"
    commit "$repo" "$1"
    git -C "$repo" push -q origin main 2>"$work/push.err" || cat "$work/push.err"
}

configure argocd-cm timeout.reconciliation 0s
k create secret generic argocd-secret -n argocd --dry-run=client -o yaml | k apply -f - >/dev/null 2>&1
k patch secret argocd-secret -n argocd -p '{"stringData":{"webhook.gogs.secret":"a shared secret"}}' >/dev/null
k label --overwrite secret argocd-secret -n argocd app.kubernetes.io/part-of=argocd >/dev/null

# ---- A private repository over HTTP with a token ----
check "a private repository" api POST /user/repos '{"name":"shop","private":true,"default_branch":"main"}'
token=$(api POST "/users/$user/tokens" '{"name":"skiff","scopes":["read:repository"]}' | json '["sha1"]')
repo=$work/repo
new_repo "$repo"
git -C "$repo" remote add origin "$(echo "$url" | sed "s#//#//$user:$password@#")/$user/shop.git"
push one
make_app http "$url/$user/shop.git"
eventually "http: without credentials a condition" 60 ComparisonError condition http
make_repository shop-http <<YAML
  type: git
  url: $url/$user/shop.git
  username: anything
  password: wrong
YAML
sleep 1
equal "http: with a wrong token a condition" ComparisonError "$(condition http)"
make_repository shop-http <<YAML
  type: git
  url: $url/$user/shop.git
  username: anything
  password: $token
YAML
k annotate application http -n argocd argocd.argoproj.io/refresh=normal --overwrite >/dev/null
eventually "http: with the token it is synced" 60 "Synced Healthy" state http
check "http: the token stands nowhere" sh -c "! kubectl get application http -n argocd -o yaml | grep -q $token && ! grep -q $token '$work/skiff.log'"

# ---- The same repository over SSH with a deploy key ----
ssh-keygen -q -t ed25519 -N '' -C skiff -f "$work/key"
ssh-keygen -q -t ed25519 -N '' -C other -f "$work/other"
check "a deploy key" api POST "/repos/$user/shop/keys" "{\"title\":\"skiff\",\"read_only\":true,\"key\":\"$(cat "$work/key.pub")\"}"
ssh_url=ssh://git@127.0.0.1:$ssh_port/$user/shop.git
make_repository shop-ssh <<YAML
  type: git
  url: $ssh_url
  sshPrivateKey: |
$(sed 's/^/    /' "$work/key")
YAML
configure argocd-ssh-known-hosts-cm ssh_known_hosts "[127.0.0.1]:$ssh_port $(cut -d' ' -f1,2 "$work/other.pub")"
make_app ssh "$ssh_url"
eventually "ssh: an unknown host is a condition" 60 ComparisonError condition ssh
configure argocd-ssh-known-hosts-cm ssh_known_hosts "$(ssh-keyscan -p "$ssh_port" 127.0.0.1 2>/dev/null)"
k annotate application ssh -n argocd argocd.argoproj.io/refresh=normal --overwrite >/dev/null
eventually "ssh: with host and key known it is synced" 60 "Synced Healthy" state ssh

# ---- Webhooks, while polling is off ----
push two
sleep 4
equal "without a webhook nothing comes, polling is off" "one one" "$(live http) $(live ssh)"
hook() { # SECRET: prints its id
    api POST "/repos/$user/shop/hooks" "{\"type\":\"gitea\",\"active\":true,\"events\":[\"push\"],\"config\":{\"url\":\"http://127.0.0.1:$API_PORT/api/webhook\",\"content_type\":\"json\",\"secret\":\"$1\"}}" | json '["id"]'
}
id=$(hook "another secret")
push three
sleep 4
equal "a webhook with a wrong signature is refused" "one one" "$(live http) $(live ssh)"
check "it is logged" grep -q 'webhook refused' "$work/skiff.log"
api DELETE "/repos/$user/shop/hooks/$id"
hook "a shared secret" >/dev/null
push four
started=$(date +%s%N)
eventually "a signed webhook brings the push: over HTTP" 30 four live http
eventually "a signed webhook brings the push: over SSH" 30 four live ssh
echo "# from the push to the live objects: at most $((($(date +%s%N) - started) / 1000000)) ms"
k patch secret argocd-secret -n argocd -p '{"data":{"webhook.gogs.secret":null},"stringData":{"webhook.github.secret":"a shared secret"}}' >/dev/null
sleep 1
push five
eventually "the secret under GitHub's name does as well" 30 five live http
k patch secret argocd-secret -n argocd -p '{"data":{"webhook.github.secret":null}}' >/dev/null
sleep 1
push six
sleep 4
equal "without a secret every webhook is refused" "five five" "$(live http) $(live ssh)"
k delete application http ssh -n argocd --timeout=60s >/dev/null
k delete namespace e2e-http e2e-ssh --timeout=60s >/dev/null
finish
