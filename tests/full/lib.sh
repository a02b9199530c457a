# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Sourced by the scripts that build and start real peers (a Kubernetes control plane, a forge, argocd). The binaries are kept between runs
# in BIN, a folder of the user's cache; a change of the module file builds them anew. What cannot be built says why and ends with 77.
tests_cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/skiff-tests
BIN=${BIN:-$tests_cache/bin}
case $BIN in
/*) ;;
*) BIN=$PWD/$BIN ;;
esac

unavailable() { # WHY
    echo "$1" >&2
    exit 77
}

# The number 1026 for go1.26.
go_number() { # GO
    "$1" version 2>/dev/null | sed -n 's/.*go\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | { read -r major minor && echo $((major * 1000 + minor)); }
}

# Prints a go of that number or later: GO, the one in the PATH, or the one that tests/full/build.sh put into the cache.
find_go() { # NUMBER
    for candidate in "${GO:-}" "$(command -v go || true)" "$tests_cache/go/bin/go"; do
        [ -x "$candidate" ] || continue
        number=$(go_number "$candidate")
        if [ "${number:-0}" -ge "$1" ]; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

# Whether NAME is there, built from that module file. Without a mark somebody else put it there, and it is taken as it is.
is_built() { # NAME FOLDER
    mkdir -p "$BIN"
    [ -x "$BIN/$1" ] || return 1
    [ ! -e "$BIN/.$1.mark" ] || [ "$(cat "$BIN/.$1.mark")" = "$(cksum <"$2/go.mod")" ]
}
mark_built() { # NAME FOLDER
    cksum <"$2/go.mod" >"$BIN/.$1.mark"
}

# Puts the kubectl that was built before one that is missing or too old for the tests.
use_built_kubectl() {
    minor=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
    if [ "${minor:-0}" -lt 30 ] && [ -x "$BIN/kubectl" ]; then
        PATH=$BIN:$PATH
        export PATH
    fi
}

# Needs python3, which the tests need anyway.
free_ports() { # COUNT: prints the first of so many consecutive free ports of the loopback
    python3 - "$1" <<'PY'
import random, socket, sys

def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False

count = int(sys.argv[1])
while True:
    first = random.randrange(20000, 32000)
    if all(is_free(first + i) for i in range(count)):
        print(first)
        break
PY
}

# Runs a server in the background; its output goes to DIR/NAME.log, its process id to DIR/NAME.pid.
start_server() { # DIR NAME COMMAND...
    server_dir=$1 server_name=$2
    shift 2
    nohup "$@" >"$server_dir/$server_name.log" 2>&1 </dev/null &
    echo $! >"$server_dir/$server_name.pid"
}
stop_server() { # DIR NAME: a gentle end, by force after 10 s
    [ -e "$1/$2.pid" ] || return 0
    server_pid=$(cat "$1/$2.pid")
    kill "$server_pid" 2>/dev/null || true
    tries=0
    while kill -0 "$server_pid" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 50 ] || kill -9 "$server_pid" 2>/dev/null || true
        sleep 0.2
    done
    rm -f "$1/$2.pid"
}
wait_for() { # DIR NAME SECONDS COMMAND...: until the command succeeds, while the server lives
    server_dir=$1 server_name=$2 tries=$(($3 * 5))
    shift 3
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries -le 0 ] || ! kill -0 "$(cat "$server_dir/$server_name.pid")" 2>/dev/null; then
            tail -n 5 "$server_dir/$server_name.log" >&2
            echo "$server_name did not start; the log is $server_dir/$server_name.log" >&2
            return 1
        fi
        sleep 0.2
    done
}
