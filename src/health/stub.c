// SPDX-License-Identifier: Apache-2.0
extern int health_stub;
int health_stub;
