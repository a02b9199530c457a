// SPDX-License-Identifier: Apache-2.0
extern int doc_stub;
int doc_stub;
