// SPDX-License-Identifier: Apache-2.0
extern int loop_stub;
int loop_stub;
