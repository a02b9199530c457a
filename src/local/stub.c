// SPDX-License-Identifier: Apache-2.0
extern int local_stub;
int local_stub;
