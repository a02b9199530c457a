// SPDX-License-Identifier: Apache-2.0
extern int metrics_stub;
int metrics_stub;
