// SPDX-License-Identifier: Apache-2.0
extern int kube_stub;
int kube_stub;
