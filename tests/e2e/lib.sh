# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced by the end-to-end scripts: a temporary folder, free ports, skiff in the background, and checks that print
# "ok NAME", "not ok NAME: why" or "skipped NAME: why". A script ends with `finish`.
# Environment: SKIFF names the binary; with SKIFF_E2E_KUBECONFIG the controllers run against that cluster instead of the embedded API
# (SKIFF_E2E_CONTROLLER: the options that say how, if not as kubectl).
SKIFF=${SKIFF:-build/src/skiff}
SKIFF=$(realpath "$SKIFF")
work=$(mktemp -d "${TMPDIR:-/tmp}/skiff-e2e.XXXXXX")
failures=0
skiff_pid=

clean_up() {
    code=$?
    trap - EXIT INT TERM
    stop_skiff
    [ "${KEEP:-}" ] && echo "kept $work" || rm -rf "$work"
    exit $code
}
trap clean_up EXIT
trap 'exit 130' INT TERM

ok() { echo "ok $1"; }
not_ok() {
    echo "not ok $1"
    failures=$((failures + 1))
}
skip() { echo "skipped $1: $2"; }
check() { # NAME COMMAND...: passes when the command does
    name=$1
    shift
    if "$@" >"$work/check.out" 2>&1; then ok "$name"; else
        not_ok "$name: $*"
        sed 's/^/    /' "$work/check.out" | tail -n 15
    fi
}
equal() { # NAME EXPECTED GOT
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1: expected \"$2\", got \"$3\""; fi
}
eventually() { # NAME SECONDS EXPECTED COMMAND...: its output becomes that
    name=$1 tries=$(($2 * 5)) expected=$3
    shift 3
    while :; do
        got=$("$@" 2>&1)
        [ "$got" != "$expected" ] || break
        tries=$((tries - 1))
        if [ $tries -le 0 ]; then
            not_ok "$name: expected \"$expected\", got \"$got\""
            return 0
        fi
        sleep 0.2
    done
    ok "$name"
}
start_skiff() {
    mkdir -p "$work/data"
    if [ "${SKIFF_E2E_KUBECONFIG:-}" ]; then
        export KUBECONFIG="$SKIFF_E2E_KUBECONFIG"
        # shellcheck disable=SC2086
        "$SKIFF" controller ${SKIFF_E2E_CONTROLLER:---kubeconfig $KUBECONFIG} --cache "$work/cache" --allow-local-repos --api-listen "127.0.0.1:${API_PORT:-0}" --kube-qps 0 \
            >>"$work/skiff.log" 2>&1 &
        skiff_pid=$!
        tries=0
        until grep -q 'the controller runs' "$work/skiff.log"; do
            tries=$((tries + 1))
            [ $tries -lt 300 ] && kill -0 $skiff_pid 2>/dev/null || { cat "$work/skiff.log"; not_ok "start of skiff controller"; exit 1; }
            sleep 0.1
        done
    else
        export KUBECONFIG="$work/data/kubeconfig"
        rm -f "$KUBECONFIG"
        # shellcheck disable=SC2086
        "$SKIFF" up --data "$work/data" --listen "${SKIFF_UP_LISTEN:-127.0.0.1:0}" --api-listen "127.0.0.1:${API_PORT:-0}" ${SKIFF_UP_FLAGS:-} >>"$work/skiff.log" 2>&1 &
        skiff_pid=$!
        tries=0
        until [ -s "$KUBECONFIG" ]; do
            tries=$((tries + 1))
            [ $tries -lt 150 ] && kill -0 $skiff_pid 2>/dev/null || { cat "$work/skiff.log"; not_ok "start of skiff up"; exit 1; }
            sleep 0.1
        done
    fi
}
stop_skiff() {
    [ -z "$skiff_pid" ] || { kill "$skiff_pid" 2>/dev/null; wait "$skiff_pid" 2>/dev/null; }
    skiff_pid=
}
new_repo() { # PATH: an empty repository on branch main
    git init -q -b main "$1"
    git -C "$1" config user.name test
    git -C "$1" config user.email test@example.com
}
commit() { # PATH MESSAGE
    git -C "$1" add -A && git -C "$1" commit -qm "$2"
}
kubectl_is_new() { # 1.30 or later; older ones do not leave validation to the server
    command -v kubectl >/dev/null || return 1
    minor=$(kubectl version --client -o json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1)
    [ "${minor:-0}" -ge 30 ]
}
finish() {
    [ $failures = 0 ] || { echo "--- the end of the log:"; tail -n 20 "$work/"*.log; }
    exit $((failures > 0))
}
