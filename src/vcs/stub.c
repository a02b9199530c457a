// SPDX-License-Identifier: Apache-2.0
extern int vcs_stub;
int vcs_stub;
