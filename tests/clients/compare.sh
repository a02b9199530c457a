# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced after tests/e2e/lib.sh and tests/full/lib.sh by the scripts that run the commands of $cases/*.cases against the embedded API and,
# with SKIFF_TEST_FULL or REAL_KUBECONFIG, at the same time against a real kube-apiserver. Exit status and output must be the same after
# masking (tests/e2e/kubectl/mask.sed), or stand in $cases/differences with the reason. Each file is a subject with a namespace of its own,
# k-SUBJECT, which is there before its first command and is deleted after its last. A line of it: EXPECT ~ NAME ~ COMMAND, where EXPECT is
# ok, fails or any, with +sorted where the order of lines says nothing.
# WHAT names the tool; on_sides and at_end, where they are functions, are called before the first command with a side ("embedded", "real")
# and its kubeconfig, and at the end.
# ONLY="get write" runs these subjects; REAL_KUBECONFIG takes a cluster that runs already; DIFF_LINES shows more of a difference;
# RESULTS=DIR keeps the raw and masked output of both sides, a file for each command.
export CASES="$cases" KUBECTL_KUBERC=false
mask=$PWD/tests/e2e/kubectl/mask.sed
sed -E -f "$mask" </dev/null || exit 1
twice=$(cat "$cases"/*.cases | grep -v '^#' | cut -d'~' -f2 | sort | uniq -d)
[ -z "$twice" ] || { not_ok "names of commands are unique: $twice"; finish; }

stop_real() { [ -z "${real_dir:-}" ] || tests/kubernetes/start --stop "$real_dir"; }
end() {
    code=$?
    command -v at_end >/dev/null && at_end
    stop_real
    (exit $code)
    clean_up
}
trap end EXIT
# What both sides must be given alike: a certificate, and a request for one.
export SHARED="$work/shared"
mkdir -p "$SHARED"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=web.example.com -keyout "$SHARED/tls.key" -out "$SHARED/tls.crt" 2>/dev/null
openssl req -new -key "$SHARED/tls.key" -subj /O=team/CN=worker -out "$SHARED/worker.csr" 2>/dev/null

SKIFF_UP_FLAGS="--nodes 3 ${SKIFF_UP_FLAGS:-}"
start_skiff
embedded=$work/embedded.config
cp "$KUBECONFIG" "$embedded"
real=${REAL_KUBECONFIG:-}
if [ -z "$real" ] && [ "${SKIFF_TEST_FULL:-}" ]; then
    real_dir=$work/real
    real=$(tests/kubernetes/start "$real_dir" 2>"$work/real.err") || { real=; skip "$WHAT beside a real kube-apiserver" "$(tail -n 1 "$work/real.err")"; }
elif [ -z "$real" ]; then
    skip "$WHAT beside a real kube-apiserver" "only in ./test --full"
fi
[ -z "$real" ] || { cp "$real" "$work/real.config" && real=$work/real.config; }
ready_nodes() { [ "$(kubectl --kubeconfig "$real" get nodes 2>/dev/null | grep -c ' Ready')" -ge 3 ] && echo ready; }
[ -z "$real" ] || eventually "the real nodes are ready" 60 ready ready_nodes

on() { # SIDE COMMAND: in the side's folder and with its kubeconfig
    mkdir -p "$lane/$1.dir"
    (cd "$lane/$1.dir" && KUBECONFIG="$lane/$1.config" KUBECACHEDIR="$lane/$1.cache" TMPDIR="$lane/$1.dir" SIDE=$1 timeout 90 sh -c "$2")
}
run_side() { # SIDE COMMAND
    on "$1" "$2" >"$lane/$1.raw" 2>&1 </dev/null
    echo $? >"$lane/$1.code"
    sed -E -f "$mask" "$lane/$1.raw" | { [ "$sorted" ] && sort || cat; } >"$lane/$1.out"
    printf '\nexit %s\n' "$(cat "$lane/$1.code")" >>"$lane/$1.out"
}
# NAME: why this one may differ. A reason that begins with "not yet" is a gap that somebody closes: its end is no failure.
reason_of() {
    NAME="$1: " awk 'index($0, ENVIRON["NAME"]) == 1 { print substr($0, length(ENVIRON["NAME"]) + 1); exit }' "$cases/differences" 2>/dev/null
}
one_case() { # SUBJECT EXPECT NAME COMMAND
    name=$3 command=$4 sorted= verdict="not compared" count=0
    case $2 in *sorted*) sorted=1 ;; esac
    why=$(reason_of "$name")
    if [ "$real" ]; then
        run_side real "$command" &
        run_side embedded "$command"
        wait $!
        count=$(($(wc -l <"$lane/real.out") - 1))
        if diff -u "$lane/real.out" "$lane/embedded.out" >"$lane/diff"; then
            verdict=equal
        elif [ "$why" ]; then
            verdict="differs: $why"
        else
            verdict=different
        fi
    else
        run_side embedded "$command"
    fi
    keep "$name"
    code=$(cat "$lane/embedded.code")
    case $2:$code in
    ok*:0 | fails*:[1-9]* | any*) as_expected=1 ;;
    *) as_expected= ;;
    esac
    case $verdict in
    different)
        not_ok "$name: differs from the real server"
        sed 's/^/    /' "$lane/diff" | tail -n +3 | head -n "${DIFF_LINES:-12}"
        ;;
    *)
        if [ -z "$as_expected" ] && [ -z "$why" ]; then
            not_ok "$name: ended with $code${real:+, and so did the real one}"
            tail -n 5 "$lane/embedded.raw" | sed 's/^/    /'
        elif [ "$verdict" = equal ] && [ "$why" ] && [ "${why#not yet}" = "$why" ]; then
            not_ok "$name: equal by now, take it out of ${cases#"$PWD/"}/differences"
        else
            ok "$name"
        fi
        ;;
    esac
    printf '%s\t%s\t%s\n' "${verdict%%:*}" "$count" "$name" >>"$lane/verdicts"
    printf '| %s | `%s` | %s |\n' "$1" "$(printf '%s' "$command" | sed 's/|/\\|/g' | cut -c1-110)" "$verdict" >>"$work/table.$1"
}
keep() { # NAME
    [ "${RESULTS:-}" ] || return 0
    file=$RESULTS/$(printf '%s' "$1" | tr -c 'a-zA-Z0-9-' '_')
    mkdir -p "$RESULTS"
    for kept_side in embedded ${real:+real}; do
        cp "$lane/$kept_side.raw" "$file.$kept_side.raw"
        cp "$lane/$kept_side.out" "$file.$kept_side.out"
    done
}
begin() { # SUBJECT
    for side in embedded ${real:+real}; do
        on "$side" "kubectl delete namespace k-$1 --ignore-not-found --timeout=60s; kubectl create namespace k-$1 && kubectl config set-context --current --namespace k-$1" >"$lane/begin.out" 2>&1 ||
            { not_ok "the namespace of $1 at the $side one"; sed 's/^/    /' "$lane/begin.out"; }
    done
}
leave() { # SUBJECT
    for side in embedded ${real:+real}; do
        on "$side" "kubectl delete namespace k-$1 --ignore-not-found --wait=false" >/dev/null 2>&1
    done
}
run_subject() { # FILE
    subject=$(basename "$1" .cases | sed 's/^[0-9]*-//')
    begin "$subject"
    # A line: EXPECT ~ NAME ~ COMMAND, where EXPECT is ok, fails or any, with +sorted where the order of lines says nothing.
    while IFS='~' read -r expect name command; do
        case $expect in "" | "#"*) continue ;; esac
        one_case "$subject" "$expect" "$name" "$command" </dev/null
    done <"$1"
    leave "$subject"
}
run_lane() { # NUMBER FILE...: those of the files that no other lane has begun
    lane=$work/lane$1
    shift
    mkdir -p "$lane"
    : >"$lane/verdicts"
    cp "$embedded" "$lane/embedded.config"
    [ -z "$real" ] || cp "$real" "$lane/real.config"
    trap - EXIT INT TERM
    for file in "$@"; do
        mkdir "$work/begun.$(basename "$file")" 2>/dev/null || continue
        run_subject "$file" >"$lane/$(basename "$file").out"
    done
}
if command -v on_sides >/dev/null; then
    on_sides embedded "$embedded"
    [ -z "$real" ] || on_sides real "$real"
fi
files=
for file in "$cases"/*.cases; do
    subject=$(basename "$file" .cases | sed 's/^[0-9]*-//')
    case " ${ONLY:-$subject} " in *" $subject "*) files="$files $file" ;; esac
done
# Much of the time is waiting, so subjects run side by side: four at a time, the longest first; beside a real server two, and only one of
# those that change what the others see of the cluster (kinds, roles, namespaces). Those that change nodes are alone at the end.
wide= rest= last=
for file in $files; do
    case $file:$real in
    *-nodes.cases:*) last=$file ;;
    *-custom.cases:?* | *-discovery.cases:?* | *-auth.cases:?* | *-delete.cases:?* | *-validate.cases:?* | *-kinds.cases:?*) wide="$wide $file" ;;
    *) rest="$rest $file" ;;
    esac
done
lanes="2 3 4 5"
# shellcheck disable=SC2012,SC2086
if [ "$real" ]; then lanes=2; elif [ "$rest" ]; then rest=$(ls -S $rest); fi
# shellcheck disable=SC2086
(run_lane 1 $wide) &
running=$!
for number in $lanes; do
    # shellcheck disable=SC2086
    (run_lane "$number" $rest) &
    running="$running $!"
done
# shellcheck disable=SC2086
wait $running
# shellcheck disable=SC2086
[ -z "$last" ] || (run_lane 6 "$last")
for file in $files; do cat "$work"/lane?/"$(basename "$file").out"; done >"$work/all.out"
cat "$work/all.out"
failures=$((failures + $(grep -c '^not ok ' "$work/all.out")))
of() { cat "$work"/lane?/verdicts | awk -F'\t' -v "what=$1" 'what == "" || $1 == what { n++; lines += $2 } END { print what == "" ? lines + 0 : n + 0 }'; }
if [ "$real" ]; then
    commands=$(cat "$work"/lane?/verdicts | wc -l)
    summary="$commands commands, $(of "") lines of output compared: $(of equal) are equal, $(($(of differs) + $(of different))) differ"
    echo "# $summary"
fi
