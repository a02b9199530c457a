#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unmodified kubectl against the embedded API. With SKIFF_TEST_FULL each command runs against a real kube-apiserver too, and exit status
# and output must be the same after masking (tests/e2e/kubectl/mask.sed), or stand in tests/e2e/kubectl/differences with the reason.
# tests/e2e/kubectl.sh --table writes the table of docs/kubectl.md. The commands are in tests/e2e/kubectl/*.cases.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG # this script compares the two by itself
. tests/e2e/lib.sh
. tests/full/lib.sh
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
cases=$PWD/tests/e2e/kubectl
export CASES="$cases"
command -v kubectl >/dev/null || { skip kubectl "no kubectl in the PATH"; finish; }
minor=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
[ "${minor:-0}" -ge 30 ] || { skip kubectl "kubectl 1.30 or later is needed (this one is 1.${minor:-?})"; finish; }

sed -E -f "$cases/mask.sed" </dev/null || exit 1

stop_real() { [ -z "${real_dir:-}" ] || tests/kubernetes/start --stop "$real_dir"; }
end() {
    code=$?
    stop_real
    (exit $code)
    clean_up
}
trap end EXIT
start_skiff
embedded=$work/embedded.config
cp "$KUBECONFIG" "$embedded"
real=${REAL_KUBECONFIG:-}
if [ -z "$real" ] && [ "${SKIFF_TEST_FULL:-}" ]; then
    real_dir=$work/real
    real=$(tests/kubernetes/start "$real_dir" 2>"$work/real.err") || { real=; skip "kubectl beside a real kube-apiserver" "$(tail -n 1 "$work/real.err")"; }
elif [ -z "$real" ]; then
    skip "kubectl beside a real kube-apiserver" "only in ./test --full"
fi
[ -z "$real" ] || { cp "$real" "$work/real.config" && real=$work/real.config; }
ready_nodes() { [ "$(kubectl --kubeconfig "$real" get nodes 2>/dev/null | grep -c ' Ready')" -ge 3 ] && echo ready; }
[ -z "$real" ] || eventually "the real nodes are ready" 60 ready ready_nodes

run_side() { # SIDE KUBECONFIG COMMAND
    mkdir -p "$work/$1"
    (cd "$work/$1" && KUBECONFIG="$2" KUBECACHEDIR="$work/$1.cache" timeout 90 sh -c "$3") >"$work/$1.raw" 2>&1
    echo $? >"$work/$1.code"
    sed -E -f "$cases/mask.sed" "$work/$1.raw" | { [ "$sorted" ] && sort || cat; } >"$work/$1.out"
    printf '\nexit %s\n' "$(cat "$work/$1.code")" >>"$work/$1.out"
}
reason_of() { # NAME: why this one may differ
    sed -n "s/^$1: //p" "$cases/differences"
}
: >"$work/table"
one_case() { # SUBJECT EXPECT NAME COMMAND
    name=$3 command=$4 sorted=
    case $2 in *sorted*) sorted=1 ;; esac
    run_side embedded "$embedded" "$command"
    code=$(cat "$work/embedded.code")
    case $2:$code in
    ok*:0 | fails*:[1-9]*) ;;
    any*) ;;
    *)
        not_ok "$name: ended with $code"
        tail -n 5 "$work/embedded.raw" | sed 's/^/    /'
        return
        ;;
    esac
    verdict="not compared"
    if [ "$real" ]; then
        run_side real "$real" "$command"
        why=$(reason_of "$name")
        if diff -u "$work/real.out" "$work/embedded.out" >"$work/diff"; then
            verdict=equal
            [ -z "$why" ] || { not_ok "$name: equal by now, take it out of tests/e2e/kubectl/differences"; return; }
        elif [ "$why" ]; then
            verdict="differs: $why"
        else
            not_ok "$name: differs from the real server"
            sed 's/^/    /' "$work/diff" | tail -n +3 | head -n "${DIFF_LINES:-12}"
            return
        fi
    fi
    ok "$name"
    printf '| %s | `%s` | %s |\n' "$1" "$(printf '%s' "$command" | sed 's/|/\\|/g' | cut -c1-110)" "$verdict" >>"$work/table"
}
for file in "$cases"/*.cases; do
    subject=$(basename "$file" .cases | sed 's/^[0-9]*-//')
    case ${ONLY:-$subject} in *"$subject"*) ;; *) continue ;; esac
    # A line: EXPECT | NAME | COMMAND, where EXPECT is ok, fails or any, with +sorted where the order of lines says nothing.
    while IFS='~' read -r expect name command; do
        case $expect in "" | "#"*) continue ;; esac
        one_case "$subject" "$expect" "$name" "$command" </dev/null
    done <"$file"
done
if [ "${1:-}" = --table ] && [ "$real" ]; then
    sed '/^| Subject | Command | Result |/,$d' docs/kubectl.md >"$work/page"
    { cat "$work/page"; printf '| Subject | Command | Result |\n| --- | --- | --- |\n'; cat "$work/table"; } >docs/kubectl.md
fi
finish
