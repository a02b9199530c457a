# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced by tests/e2e/clients-*.sh after lib.sh and full/lib.sh: the same client runs against the embedded API and, with SKIFF_TEST_FULL
# or REAL_KUBECONFIG, against a real kube-apiserver.
WHAT=${WHAT:-clients}
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl

end_sides() {
    code=$?
    [ -z "${real_dir:-}" ] || tests/kubernetes/start --stop "$real_dir"
    (exit $code)
    clean_up
}
start_sides() { # sets embedded and, where there is one, real, to kubeconfigs
    trap end_sides EXIT
    SKIFF_UP_FLAGS="--nodes 3 ${SKIFF_UP_FLAGS:-}"
    start_skiff
    embedded=$work/embedded.config
    cp "$KUBECONFIG" "$embedded"
    real=
    if [ "${REAL_KUBECONFIG:-}" ]; then
        real=$work/real.config
        cp "$REAL_KUBECONFIG" "$real"
    elif [ "${SKIFF_TEST_FULL:-}" ]; then
        real_dir=$work/real
        real=$(tests/kubernetes/start "$real_dir" 2>"$work/real.err") ||
            { real= real_dir=; skip "$WHAT on a real kube-apiserver" "$(tail -n 1 "$work/real.err")"; }
        [ -z "$real" ] || eventually "the real nodes are ready" 60 ready real_nodes
    else
        skip "$WHAT on a real kube-apiserver" "only in ./test --full"
    fi
}
real_nodes() { [ "$(kubectl --kubeconfig "$real" get nodes 2>/dev/null | grep -c ' Ready')" -ge 3 ] && echo ready; }
# The lines "PASS NAME" and "FAIL NAME: why" of a program become checks of the side.
passes() { # SIDE OUTPUT-FILE EXIT-CODE
    sed -n -e "s/^PASS /ok $1: /p" -e "s/^FAIL /not ok $1: /p" "$2"
    failures=$((failures + $(grep -c '^FAIL ' "$2")))
    if ! grep -q '^PASS ' "$2" || { [ "$3" != 0 ] && ! grep -q '^FAIL ' "$2"; }; then
        not_ok "$1: the client ended with $3"
        tail -n 5 "$2" "$2.err" | sed 's/^/    /'
    fi
}
# Runs a program on both sides at the same time; it gets the kubeconfig as its last argument.
run_on_sides() { # COMMAND...
    if [ "$real" ]; then
        (timeout 300 "$@" "$real" >"$work/real.out" 2>"$work/real.out.err"; echo $? >"$work/real.code") &
    fi
    timeout 300 "$@" "$embedded" >"$work/embedded.out" 2>"$work/embedded.out.err"
    passes "${label:+$label, }embedded" "$work/embedded.out" $?
    [ -z "$real" ] || { wait $! && passes "${label:+$label, }real" "$work/real.out" "$(cat "$work/real.code")"; }
}
