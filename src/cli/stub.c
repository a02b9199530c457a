// SPDX-License-Identifier: Apache-2.0
extern int cli_stub;
int cli_stub;
