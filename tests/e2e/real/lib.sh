# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced after tests/e2e/lib.sh by what needs a real kube-apiserver of its own: starts one with an audit log of what the
# controller's account does, with a certificate of an own authority, and a proxy in front; runs controllers with the account's token
# and nothing more. Everything is skipped but in ./test --full.
need_real() { # NAME
    [ "${SKIFF_TEST_FULL:-}" ] || { skip "$1" "only in ./test --full"; exit 0; }
    . tests/full/lib.sh
    use_built_kubectl
    command -v kubectl >/dev/null || { skip "$1" "no kubectl in the PATH"; exit 0; }
    command -v openssl >/dev/null || { skip "$1" "no openssl in the PATH"; exit 0; }
}
account=system:serviceaccount:argocd:skiff-controller
cluster=$work/cluster
proxy_pid=
end_real() {
    code=$?
    trap - EXIT INT TERM
    for name in a b; do kill_controller "$name"; done
    [ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null
    [ ! -e "$cluster/etcd.pid" ] || kill -CONT "$(cat "$cluster/etcd.pid")" 2>/dev/null
    tests/kubernetes/start --stop "$cluster"
    (exit $code)
    clean_up
}
make_certificate() { # NAME: an authority of that name, and a certificate of 127.0.0.1 from it
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout "$work/$1-ca.key" -out "$work/$1-ca.crt" 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -subj "/CN=kube-apiserver" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$work/$1.ext"
    openssl x509 -req -days 2 -in "$work/$1.csr" -CA "$work/$1-ca.crt" -CAkey "$work/$1-ca.key" -CAcreateserial -extfile "$work/$1.ext" \
        -out "$work/$1.crt" 2>/dev/null
}
use_certificate() { # NAME: the server takes it, at the latest after a minute
    cp "$work/$1.key" "$cluster/serving.key.new"
    cp "$work/$1.crt" "$cluster/serving.crt.new"
    mv "$cluster/serving.key.new" "$cluster/serving.key"
    mv "$cluster/serving.crt.new" "$cluster/serving.crt"
}
start_real() {
    trap end_real EXIT
    mkdir -p "$cluster"
    make_certificate first
    use_certificate first
    cp "$work/first-ca.crt" "$work/ca.crt"
    cat >"$cluster/audit.yaml" <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: Metadata, users: ["$account"], omitStages: [RequestReceived]}
- {level: None}
YAML
    api_port=$(free_ports 3)
    audit=$cluster/audit.log
    API_FLAGS="--audit-policy-file $cluster/audit.yaml --audit-log-path $audit --audit-log-batch-throttle-enable=false \
        --tls-cert-file $cluster/serving.crt --tls-private-key-file $cluster/serving.key ${API_FLAGS:-}"
    export API_FLAGS
    KUBECONFIG=$(tests/kubernetes/start "$cluster" "$api_port" 2>"$work/start.err")
    case $? in
    0) ;;
    77) skip "$1" "$(tail -n 1 "$work/start.err")"; exit 0 ;;
    *) cat "$work/start.err"; not_ok "start of a real API server"; exit 1 ;;
    esac
    export KUBECONFIG
    python3 tests/e2e/real/proxy.py "$api_port" >"$work/proxy.ports" 2>"$work/proxy.log" &
    proxy_pid=$!
    tries=0
    until [ -s "$work/proxy.ports" ] || [ $tries -gt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
    read -r proxy_port control_port <"$work/proxy.ports"
}
proxy() { curl -s "http://127.0.0.1:$control_port/$1" >/dev/null; }
audit() { python3 tests/e2e/real/audit.py "$audit" "$@"; }
audit_end() { sleep 0.3; audit end; }
make_token() { # FILE
    kubectl create token skiff-controller -n argocd --duration=1h >"$1.new" && mv "$1.new" "$1"
}
start_controller() { # NAME [PORT]: with a token of its own, through PORT (the proxy's); log, token and process id in $work/NAME.*
    name=$1
    cat >"$work/$name.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: real
  cluster: {server: "https://127.0.0.1:${2:-$proxy_port}", certificate-authority: "$work/ca.crt"}
users:
- name: account
  user: {tokenFile: "$work/$name.token"}
contexts:
- name: real
  context: {cluster: real, user: account}
current-context: real
YAML
    [ -s "$work/$name.token" ] || make_token "$work/$name.token"
    # shellcheck disable=SC2086
    SKIFF_POD_IP=127.0.0.1 "$SKIFF" controller --kubeconfig "$work/$name.kubeconfig" --leader-elect --cache "$work/$name.cache" --allow-local-repos --api-listen "${CONTROLLER_LISTEN:-127.0.0.1:0}" \
        ${CONTROLLER_FLAGS:-} >>"$work/$name.log" 2>&1 &
    echo $! >"$work/$name.pid"
}
kill_controller() { # NAME [SIGNAL]
    [ -e "$work/$1.pid" ] || return 0
    kill "-${2:-TERM}" "$(cat "$work/$1.pid")" 2>/dev/null
    kill -CONT "$(cat "$work/$1.pid")" 2>/dev/null
    wait "$(cat "$work/$1.pid")" 2>/dev/null
    rm -f "$work/$1.pid"
}
says() { # NAME TEXT [COUNT]: has its log that text so often?
    [ "$(grep -c "$2" "$work/$1.log")" -ge "${3:-1}" ] && echo yes || echo no
}
holder_changes() { kubectl get lease skiff-controller -n argocd -o 'jsonpath={.spec.leaseTransitions}'; }
holder() { kubectl get lease skiff-controller -n argocd -o 'jsonpath={.spec.holderIdentity}'; }
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(cat "$work/$1.pid")/status"; }
now() { date +%s.%N; }
since() { # TIME: seconds, for the log only
    awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'
}
# Applications app-1 ... app-N of one ConfigMap each, in the namespace NS.
make_apps() { # N NS
    mkdir -p "$work/apps"
    for i in $(seq "$1"); do
        mkdir -p "$repo/app-$i"
        printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app-%s}\ndata: {v: "0"}\n' "$i" >"$repo/app-$i/cm.yaml"
        cat <<YAML
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: app-$i, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$repo", path: app-$i, targetRevision: main}
  destination: {server: "https://kubernetes.default.svc", namespace: $2}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
YAML
    done >"$work/apps.yaml"
    commit "$repo" "applications"
    kubectl create namespace "$2" >/dev/null 2>&1
    kubectl apply -f "$work/apps.yaml" >/dev/null
}
change() { # VALUE: a commit that changes every application
    for file in "$repo"/app-*/cm.yaml; do
        sed -i "s/v: .*/v: \"$1\"}/" "$file"
    done
    commit "$repo" "value $1"
}
values() { # NS: the different values that are live
    kubectl get configmaps -n "$1" -o 'jsonpath={range .items[*]}{.data.v}{"\n"}{end}' | grep . | sort -u | tr '\n' ' ' | sed 's/ $//'
}
states() { # the different states of the applications
    kubectl get applications -n argocd -o 'jsonpath={range .items[*]}{.status.sync.status} {.status.health.status}{"\n"}{end}' | sort -u | tr '\n' ',' | sed 's/,$//'
}
