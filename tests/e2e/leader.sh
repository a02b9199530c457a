#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two controllers on a real kube-apiserver, with the rights of the shipped manifests: one leads. It is ended gently, killed, suspended
# and cut off; the other follows, and the audit log shows no write of a process that did not hold the Lease. Only in ./test --full.
set -u
cd "$(dirname "$0")/../.."
. tests/e2e/lib.sh
. tests/e2e/real/lib.sh
need_real "two replicas on a real kube-apiserver"
export NODES=0
start_real "two replicas on a real kube-apiserver"
repo=$work/repo
new_repo "$repo"
kubectl apply -f deploy/install.yaml >"$work/install.out" 2>&1 || { cat "$work/install.out"; not_ok "the manifests are applied"; finish; }

# The other one keeps making work: a commit every second, and somebody who changes what is live.
start_work() {
    (
        i=100
        while :; do
            i=$((i + 1))
            change "$i" >/dev/null 2>&1
            kubectl patch configmap app-1 -n two -p '{"data":{"v":"drift"}}' >/dev/null 2>&1
            sleep 1
        done
    ) &
    work_pid=$!
}
stop_work() {
    kill "$work_pid" 2>/dev/null
    wait "$work_pid" 2>/dev/null
    rm -f "$repo/.git/index.lock"
}
converges() { # NAME VALUE
    change "$2"
    eventually "$1" 120 "$2" values two
    eventually "$1: all Synced" 60 "Synced Healthy" states
}

a_port=$(free_ports 2)
b_port=$((a_port + 1))
CONTROLLER_LISTEN=127.0.0.1:$a_port
start_controller a
eventually "the first one leads" 30 yes says a 'the controller runs'
make_apps 5 two
CONTROLLER_LISTEN=127.0.0.1:$b_port
start_controller b
CONTROLLER_LISTEN=
eventually "applications are deployed" 60 "Synced Healthy" states
eventually "the second one waits" 30 yes says b 'another process leads'
equal "one holder" 0 "$(holder_changes)"

# ---- A webhook that reaches the one that waits is the leader's ----
kubectl create secret generic argocd-secret -n argocd --from-literal=webhook.github.secret=s3cret >/dev/null
body='{"zen":"x","repository":{"html_url":"https://git.example.com/org/repo"},"ref":"refs/heads/main"}'
webhook() { # SECRET: the answer's code
    signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac "$1" | sed 's/.* //')
    curl -s -o "$work/webhook" -w '%{http_code}' -H 'X-GitHub-Event: push' -H "X-Hub-Signature-256: sha256=$signature" -H 'Content-Type: application/json' \
        -d "$body" "http://127.0.0.1:$b_port/api/webhook"
}
eventually "webhook: the leader takes it" 10 200 webhook s3cret
equal "webhook: the leader checks it" 403 "$(webhook wrong)"
equal "webhook: the one that waits is ready" 200 "$(curl -s -o "$work/ready" -w '%{http_code}' "http://127.0.0.1:$b_port/readyz")"
check "webhook: and says that another leads" grep -q 'another replica leads' "$work/ready"
check "the gauge of the one that waits" sh -c "curl -s http://127.0.0.1:$b_port/metrics | grep -q 'leader_election_master_status{name=\"skiff-controller\"} 0'"

# ---- A gentle end: the other one takes over at once ----
first=$(holder)
start_work
sleep 3
at=$(now)
kill_controller a
eventually "SIGTERM: the other one leads" 10 yes says b 'the controller runs'
echo "# SIGTERM to the other's controllers running: $(since "$at") s (with up to 0.2 s of looking)"
check "SIGTERM: the Lease changed hands" test "$first" != "$(holder)"
check "SIGTERM: it was given up" test "$(says a 'the Lease is given up')" = yes
stop_work
converges "SIGTERM: the work goes on" 1

# ---- kill -9: within the Lease's duration ----
: >"$work/a.log"
start_controller a
eventually "kill -9: the first one waits" 30 yes says a 'another process leads'
sleep 4
start_work
sleep 2
at=$(now)
kill_controller b KILL
eventually "kill -9: the other one leads" 60 yes says a 'the controller runs'
echo "# kill -9 to the other's controllers running: $(since "$at") s (with up to 0.2 s of looking)"
stop_work
converges "kill -9: the work goes on" 2

# ---- A leader that is suspended for longer than its Lease, and wakes up ----
: >"$work/b.log"
start_controller b
eventually "suspended: the second one waits" 30 yes says b 'another process leads'
sleep 3
start_work
sleep 2
kill -STOP "$(cat "$work/a.pid")"
eventually "suspended: the other one leads" 60 yes says b 'the controller runs'
sleep 2
kill -CONT "$(cat "$work/a.pid")"
eventually "suspended: the first one notices" 30 yes says a 'leadership is lost'
stop_work
converges "suspended: the work goes on" 3

# ---- A leader that is cut off, with writes on their way ----
kill_controller b
eventually "cut off: the first one leads again" 30 yes says a 'the controller runs' 2
: >"$work/b.log"
start_controller b "$api_port"
eventually "cut off: the second one waits" 30 yes says b 'another process leads'
sleep 3
start_work
sleep 2
proxy stall
eventually "cut off: the leader stops by itself" 30 yes says a 'leadership is lost' 2
equal "cut off: before the other one may start" no "$(says b 'this process leads')"
eventually "cut off: the other one leads" 30 yes says b 'the controller runs'
sleep 2
proxy pass
sleep 5
stop_work
converges "cut off: the work goes on" 4

# ---- A Lease that somebody deletes: one of the two leads ----
kubectl delete lease skiff-controller -n argocd >/dev/null
eventually "deleted Lease: it is made again" 20 0 holder_changes
converges "deleted Lease: the work goes on" 5

kill_controller a
kill_controller b
sleep 1
audit order >"$work/order" 2>"$work/order.err"
echo "# $(cat "$work/order") (writes of a process that did not hold the Lease)"
check "every write was the holder's" grep -q '^0 of ' "$work/order"
check "there were writes" test "$(audit writes | wc -l)" -gt 50
audit refused >"$work/refused"
echo "# answers with 403: $(wc -l <"$work/refused")"
check "no right was missing" test ! -s "$work/refused"
finish
