// SPDX-License-Identifier: Apache-2.0
extern int crypto_stub;
int crypto_stub;
