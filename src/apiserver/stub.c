// SPDX-License-Identifier: Apache-2.0
extern int apiserver_stub;
int apiserver_stub;
