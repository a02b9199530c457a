#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes install.yaml and namespaced-install.yaml from the kustomizations, and base/crds.yaml from the program: render.sh SKIFF.
# With --check it only says what is out of date.
set -eu
check=
[ "${1:-}" != --check ] || { check=1; shift; }
skiff=$(realpath "${1:?usage: render.sh [--check] SKIFF}")
cd "$(dirname "$0")"
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"$skiff" crds >"$new/base-crds.yaml"
[ "$check" ] || cp "$new/base-crds.yaml" base/crds.yaml
head="# Made by deploy/render.sh; change the kustomization instead."
for pair in cluster-admin:install namespaced:namespaced-install; do
    { echo "$head" && kubectl kustomize "${pair%:*}"; } >"$new/${pair#*:}.yaml"
done
if [ "$check" ]; then
    diff -u base/crds.yaml "$new/base-crds.yaml" && diff -u install.yaml "$new/install.yaml" &&
        diff -u namespaced-install.yaml "$new/namespaced-install.yaml"
else
    cp "$new/install.yaml" "$new/namespaced-install.yaml" .
fi
