// SPDX-License-Identifier: Apache-2.0
extern int api_stub;
int api_stub;
