// SPDX-License-Identifier: Apache-2.0
// What a write must pass beyond the rules of its kind.
#include "apiserver/chain.h"

bool api_chain_mutates(struct api_op *op, enum api_operation operation) {
    (void)op, (void)operation;
    return false;
}

bool api_chain_mutate(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                      struct doc_value *object) {
    (void)op, (void)operation, (void)old, (void)object;
    return true;
}

bool api_chain_admit(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                     struct doc_value *object) {
    (void)op, (void)operation, (void)old, (void)object;
    return true;
}

bool api_chain_subresource(struct api_op *op, struct doc_value *object) {
    (void)op, (void)object;
    return true;
}

bool api_chain_watches_deletes(struct api_op *op) {
    (void)op;
    return false;
}

void api_chain_committed(struct apiserver *server, const struct api_event *event) {
    (void)server, (void)event;
}

struct api_chain *api_chain_create(struct apiserver *server) {
    struct api_chain *chain = NEW(struct api_chain);
    chain->server = server;
    return chain;
}

void api_chain_destroy(struct api_chain *chain) {
    free(chain);
}
