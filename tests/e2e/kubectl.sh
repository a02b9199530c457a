#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unmodified kubectl against the embedded API. With SKIFF_TEST_FULL each command runs against a real kube-apiserver too, and exit status
# and output must be the same after masking (tests/e2e/kubectl/mask.sed), or stand in tests/e2e/kubectl/differences with the reason.
# tests/e2e/kubectl.sh --table writes the table of docs/kubectl.md. The commands are in tests/e2e/kubectl/*.cases; tests/clients/compare.sh
# says what else it takes from the environment.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG # this script compares the two by itself
. tests/e2e/lib.sh
. tests/full/lib.sh
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
cases=$PWD/tests/e2e/kubectl
command -v kubectl >/dev/null || { skip kubectl "no kubectl in the PATH"; finish; }
minor=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
[ "${minor:-0}" -ge 30 ] || { skip kubectl "kubectl 1.30 or later is needed (this one is 1.${minor:-?})"; finish; }
WHAT=kubectl
. tests/clients/compare.sh
if [ "${1:-}" = --table ] && [ "$real" ] && [ -z "${ONLY:-}" ]; then
    sed -e '/^| Subject | Command | Result |/,$d' -e "s/^The last run: .*/The last run: $summary (kubectl 1.$minor)./" docs/kubectl.md >"$work/page"
    { cat "$work/page"; printf '| Subject | Command | Result |\n| --- | --- | --- |\n'; for file in $files; do cat "$work/table.$(basename "$file" .cases | sed 's/^[0-9]*-//')"; done; } >docs/kubectl.md
fi
finish
