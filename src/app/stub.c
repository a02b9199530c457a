// SPDX-License-Identifier: Apache-2.0
extern int app_stub;
int app_stub;
