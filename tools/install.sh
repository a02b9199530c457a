#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
set -eu
bin=${DESTDIR:-}$PREFIX/bin
share=${DESTDIR:-}$PREFIX/share
install -D -m 755 "$1" "$bin/skiff"
if [ -n "${LINKS:-}" ]; then
    ln -sf skiff "$bin/argocd"
    ln -sf skiff "$bin/kubectl-argo-rollouts"
fi
install -D -m 644 docs/skiff.1 "$share/man/man1/skiff.1"
"$1" completion bash >"${TMPDIR:-/tmp}/skiff-completion.$$"
install -D -m 644 "${TMPDIR:-/tmp}/skiff-completion.$$" "$share/bash-completion/completions/skiff"
rm -f "${TMPDIR:-/tmp}/skiff-completion.$$"
