#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The front door under hostile and careless clients: malformed requests, limits, slow clients, readers that do not read,
# thousands of idle connections, and watchers whose machine vanishes.
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
more='--idle 2000'
[ -z "${SKIFF_TEST_FULL:-}" ] || more='--idle 10000 --patient'

# Two ends of a cable: the server listens on one, the watchers sit behind the other, in a network of their own.
net=skiff$$
if ip netns add "$net" 2>/dev/null && ip link add "v$net" type veth peer name w0 netns "$net" 2>/dev/null; then
    ip addr add 10.231.7.1/30 dev "v$net" && ip link set "v$net" up
    ip -n "$net" addr add 10.231.7.2/30 dev w0 && ip -n "$net" link set w0 up
    has_net=1
    SKIFF_UP_LISTEN=0.0.0.0:0
else
    has_net=
fi
remove_net() {
    [ -z "$has_net" ] || { ip link del "v$net" 2>/dev/null; ip netns del "$net" 2>/dev/null; }
    clean_up
}
trap remove_net EXIT
start_skiff

# shellcheck disable=SC2086
python3 tests/e2e/door/door.py "$KUBECONFIG" "$skiff_pid" $more || failures=$((failures + 1))

connections() { ss -Htn state established "( sport = :$port )" 2>/dev/null | grep -c 10.231.7.2; }
if [ "$has_net" ] && command -v ss >/dev/null; then
    port=$(sed -n 's/.*server: *"\{0,1\}https:.*:\([0-9]*\).*/\1/p' "$KUBECONFIG")
    ip netns exec "$net" python3 tests/e2e/door/vanish.py "$KUBECONFIG" 10.231.7.1 >"$work/vanish" 2>&1 &
    watcher=$!
    eventually "watchers on another machine" 20 watching cat "$work/vanish"
    equal "their connections" 20 "$(connections)"
    ip -n "$net" link set w0 down
    began=$(date +%s)
    # Nothing happens on the watched kind: silence must not hide that nobody is there.
    eventually "watchers that vanished without a word are noticed" 60 0 connections
    echo "# after $(($(date +%s) - began)) s"
    kill $watcher 2>/dev/null
else
    skip "watchers that vanished without a word are noticed" "needs root, ip and ss to make a network of its own"
fi
finish
