// SPDX-License-Identifier: Apache-2.0
extern int store_stub;
int store_stub;
