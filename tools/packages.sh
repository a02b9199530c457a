#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs Debian packages where they are missing: tools/packages.sh build|test|full. As root or by sudo; otherwise it prints
# the line to run and ends with 2.
set -eu
build="build-essential meson ninja-build pkg-config git libuv1-dev libcurl4-openssl-dev libmicrohttpd-dev libssl-dev
    libgit2-dev libyaml-dev libsqlite3-dev libre2-dev zlib1g-dev ca-certificates openssh-client"
test="$build libcmocka-dev libjansson-dev clang-format-14 curl python3 openssl openssh-server procps"
# Debian's kubectl is 1.20; the tests that need 1.30 say so and are skipped with it.
command -v kubectl >/dev/null || test="$test kubernetes-client"
case "${1:-}" in
build) wanted=$build ;;
test) wanted=$test ;;
full) wanted="$test python3-venv redis-server" ;;
*)
    echo "usage: $0 build|test|full" >&2
    exit 2
    ;;
esac
missing=
for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "Some Debian packages are missing. Run this, then try again:" >&2
    echo "  sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 2
fi
echo "installing:$missing"
log=$(mktemp)
# shellcheck disable=SC2086
if ! { $sudo apt-get update && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "installing the packages failed" >&2
    exit 1
fi
rm -f "$log"
