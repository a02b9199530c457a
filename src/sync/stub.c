// SPDX-License-Identifier: Apache-2.0
extern int sync_stub;
int sync_stub;
