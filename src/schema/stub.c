// SPDX-License-Identifier: Apache-2.0
extern int schema_stub;
int schema_stub;
