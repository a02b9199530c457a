// SPDX-License-Identifier: Apache-2.0
extern int render_stub;
int render_stub;
