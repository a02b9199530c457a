// SPDX-License-Identifier: Apache-2.0
extern int http_stub;
int http_stub;
