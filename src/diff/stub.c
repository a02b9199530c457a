// SPDX-License-Identifier: Apache-2.0
extern int diff_stub;
int diff_stub;
