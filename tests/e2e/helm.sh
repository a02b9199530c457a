#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Helm 4 as a client: install, upgrade, rollback, uninstall, list, status, history, get, hooks, --wait, --dry-run=server and lookup with
# the charts of tests/e2e/helm, on the embedded API and, in ./test --full, beside a real kube-apiserver with the same output.
set -u
cd "$(dirname "$0")/../.."
unset SKIFF_E2E_KUBECONFIG
. tests/e2e/lib.sh
. tests/full/lib.sh
WHAT=helm
[ -z "${SKIFF_TEST_FULL:-}" ] || use_built_kubectl
[ ! -x "$BIN/helm" ] || PATH=$BIN:$PATH
kubectl_is_new || { skip helm "kubectl 1.30 or later is needed"; finish; }
command -v helm >/dev/null || { skip helm "no helm in the PATH (tests/full/build.sh builds one)"; finish; }
case $(helm version --short 2>/dev/null) in
v4.*) ;;
*) skip helm "Helm 4 is needed"; finish ;;
esac
cases=$PWD/tests/e2e/helm
command -v helm3 >/dev/null || { skip "Helm 3" "no helm3 in the PATH"; ONLY=${ONLY:-helm}; }
export HELM_CACHE_HOME="$work/helm" HELM_CONFIG_HOME="$work/helm" HELM_DATA_HOME="$work/helm"
. tests/clients/compare.sh
finish
