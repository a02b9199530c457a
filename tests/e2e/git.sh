#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Applications from a real `git http-backend` over HTTPS and from a real sshd: credentials by Secret, certificates and host keys by
# ConfigMap, every form of revision, and a signed webhook while polling is off. Needs no kubectl.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
. tests/full/lib.sh
for tool in python3 openssl curl ssh-keygen; do
    command -v $tool >/dev/null || { skip "Git over HTTPS and SSH" "no $tool in the PATH"; finish; }
done
web_pid='' sshd_pid=''
end() {
    code=$?
    for pid in $web_pid $sshd_pid; do kill "$pid" 2>/dev/null; done
    (exit $code)
    clean_up
}
trap end EXIT
API_PORT=$(free_ports 1)
start_skiff
k() { "$SKIFF" kube "$@"; }
app_field() { k get application "$1" -n argocd -o "jsonpath=$2" 2>/dev/null; }
state() { app_field "$1" '{.status.sync.status} {.status.health.status}'; }
condition() { app_field "$1" '{.status.conditions[*].type}'; }
live() { k get configmap config -n "e2e-$1" -o 'jsonpath={.data.v}' 2>/dev/null; }
refresh() { k annotate application "$1" -n argocd argocd.argoproj.io/refresh=normal --overwrite >/dev/null 2>&1; }
object() { k apply -f - >/dev/null; }
indent() { sed 's/^/    /' "$1"; }
settings() { # NAME KEY FILE: one key of a ConfigMap of Argo CD
    object <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: $1, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
data:
  "$2": |-
$(indent "$3")
YAML
}
make_app() { # NAME URL REVISION
    object <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: "$2", path: ., targetRevision: "$3"}
  destination: {server: "https://kubernetes.default.svc", namespace: e2e-$1}
  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}
YAML
}
push() { # VALUE
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {v: "%s"}\n' "$1" >"$repo/config.yaml"
    commit "$repo" "$1"
    git -C "$repo" push -q "$work/served/shop.git" main
}

# ---- Two servers of one bare repository ----
mkdir "$work/served" "$work/ssh"
git init -q --bare -b main "$work/served/shop.git"
repo=$work/repo
new_repo "$repo"
push one
first=$(git -C "$repo" rev-parse HEAD)
git -C "$repo" tag v1.0.0
git -C "$repo" push -q "$work/served/shop.git" v1.0.0
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$work/web.key" -out "$work/web.crt" 2>/dev/null
tests/e2e/git/http_server.py --root "$work/served" --user "reader:a secret" --cert "$work/web.crt" --key "$work/web.key" >"$work/web.out" 2>&1 &
web_pid=$!
ssh_port=$(free_ports 1)
tests/e2e/git/start-sshd "$work/ssh" "$ssh_port" >"$work/ssh.out" 2>&1 &
sshd_pid=$!
tries=0
until grep -q PORT "$work/web.out" && grep -q PORT "$work/ssh.out"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { skip "Git over HTTPS and SSH" "$(cat "$work/web.out" "$work/ssh.out" | tail -n 1)"; finish; }
    sleep 0.1
done
web=https://localhost:$(sed -n 's/^PORT //p' "$work/web.out")/shop.git
ssh=ssh://$(id -un)@127.0.0.1:$ssh_port$work/served/shop.git
printf 0s >"$work/off"
settings argocd-cm timeout.reconciliation "$work/off"

# ---- HTTPS ----
make_app https "$web" main
eventually "https: an unknown certificate is a condition" 60 ComparisonError condition https
settings argocd-tls-certs-cm localhost "$work/web.crt"
sleep 1
refresh https
eventually "https: without credentials still a condition" 60 ComparisonError condition https
object <<YAML
apiVersion: v1
kind: Secret
metadata: {name: all-of-it, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repo-creds}}
stringData: {type: git, url: "${web%/shop.git}", username: reader, password: "a secret"}
YAML
sleep 1
refresh https
eventually "https: with certificate and credentials of a prefix it is synced" 60 "Synced Healthy" state https

# ---- SSH ----
make_app ssh "$ssh" main
object <<YAML
apiVersion: v1
kind: Secret
metadata: {name: by-key, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}
stringData:
  type: git
  url: "$ssh"
  sshPrivateKey: |
$(indent "$work/ssh/client")
YAML
settings argocd-ssh-known-hosts-cm ssh_known_hosts "$work/ssh/wrong_hosts"
sleep 1
refresh ssh
eventually "ssh: a wrong host key is a condition" 60 ComparisonError condition ssh
settings argocd-ssh-known-hosts-cm ssh_known_hosts "$work/ssh/known_hosts"
sleep 1
refresh ssh
eventually "ssh: with host and key known it is synced" 60 "Synced Healthy" state ssh

# ---- Revisions ----
for pair in tag:v1.0.0 sha:$first range:1.x star:'>=1.0.0 <2.0.0' head:HEAD branch:refs/heads/main; do
    make_app "${pair%%:*}" "$web" "${pair#*:}"
done
for name in tag sha range star head branch; do
    eventually "revision by $name" 60 "Synced $first" app_field $name '{.status.sync.status} {.status.sync.revision}'
done
make_app none "$web" no-such-branch
eventually "revision: none is a condition" 60 ComparisonError condition none

# ---- A webhook, while polling is off ----
send() { # SECRET: a push event as GitHub sends it; prints the status
    printf '{"ref":"refs/heads/main","after":"%s","repository":{"clone_url":"%s","ssh_url":"%s","html_url":"%s","default_branch":"main"},"commits":[]}' \
        "$(git -C "$repo" rev-parse HEAD)" "$web" "$ssh" "${web%.git}" >"$work/event"
    curl -s -o /dev/null -w '%{http_code}' -X POST -H 'Content-Type: application/json' -H 'X-GitHub-Event: push' \
        -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -hmac "$1" <"$work/event" | sed 's/.*= //')" \
        --data-binary "@$work/event" "http://127.0.0.1:$API_PORT/api/webhook"
}
push two
equal "webhook: closed without a secret" 403 "$(send "")"
object <<YAML
apiVersion: v1
kind: Secret
metadata: {name: argocd-secret, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
stringData: {webhook.github.secret: "of the hook"}
YAML
sleep 1
equal "webhook: a wrong signature is refused" 403 "$(send "a guess")"
sleep 3
equal "webhook: nothing came" "one one" "$(live https) $(live ssh)"
equal "webhook: a right one is accepted" 200 "$(send "of the hook")"
eventually "webhook: the push arrives over HTTPS" 30 two live https
eventually "webhook: the push arrives over SSH" 30 two live ssh
eventually "webhook: HEAD moves too" 30 two live head
equal "webhook: a tag stays" one "$(live tag)"
check "no credential stands in the log" sh -c "! grep -qe 'a secret' -e 'of the hook' '$work/skiff.log'"
finish
