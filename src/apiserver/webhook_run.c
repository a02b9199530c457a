// SPDX-License-Identifier: Apache-2.0
// All admission webhooks of one write: mutating ones one after the other, each seeing what those before it made, and
// again when a later one changed the object (reinvocationPolicy IfNeeded); validating ones all at once.
#include "apiserver/chain.h"

static void pass_warnings(const struct chain_write *write, const struct hook_answer *answer) {
    for (DOC_EACH_ITEM(&answer->warnings, warning)) {
        if (doc_str(warning).n) {
            api_op_warn(write->op, doc_str(warning));
        }
    }
}

static bool denied(const struct chain_write *write, const struct hook *hook,
                   const struct hook_answer *answer) {
    struct api_op *op = write->op;
    struct str message = doc_get_str(&answer->status, "message");
    struct str reason = doc_get_str(&answer->status, "reason");
    int64_t code = doc_int(doc_get(&answer->status, "code"), 0);
    struct str why = message.n ? message : reason;
    char short_reason[sizeof op->error.reason];
    size_t n = reason.n < sizeof short_reason ? reason.n : sizeof short_reason - 1;
    memcpy(short_reason, reason.n ? reason.p : "", n);
    short_reason[n] = '\0';
    api_error_set(&op->error, op->arena, code >= 400 && code < 600 ? (int)code : 400, short_reason,
                  "admission webhook \"%.*s\" denied the request%s%.*s", STR_ARG(hook->name),
                  why.n ? ": " : " without explanation", STR_ARG(why));
    const struct doc_value *details = doc_get(&answer->status, "details");
    op->error.details = details ? *details : doc_null();
    return false;
}

// ---- Mutating ----
static bool patched(struct chain_write *write, const struct api_kind *as,
                    const struct hook_answer *answer, bool *changed) {
    struct api_op *op = write->op;
    struct err err = {0};
    struct doc_value before = as == write->kind || write->subresource.n
                                  ? *write->object
                                  : api_kind_convert(op->arena, as, write->object);
    struct doc_value after;
    if (!doc_is(&answer->patch, DOC_ARRAY) ||
        !doc_json_patch(op->arena, &before, &answer->patch, &after, &err)) {
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "Internal error occurred: %s",
                             err.code ? err.message : "the patch is not a list of operations");
    }
    if (!doc_is(&after, DOC_OBJECT)) {
        return api_error_set(&op->error, op->arena, 500, "InternalError",
                             "Internal error occurred: the patch leaves no object");
    }
    if (!doc_equal(&before, &after)) {
        *changed = true;
        *write->object = as == write->kind || write->subresource.n
                             ? after
                             : api_kind_convert(op->arena, write->kind, &after);
    }
    return true;
}

struct called { // of a mutating webhook: which state of the object it left
    bool done;
    unsigned version;
};

static bool mutate_with(struct chain_write *write, const struct hook *hook, unsigned round,
                        struct called *called, unsigned *version) {
    const struct api_kind *as;
    struct hook_answer answer;
    bool skip, changed = false;
    bool again = hook->reinvoke && called->done && called->version != *version;
    if ((round > 0 && !again) || !hook_matches(hook, write, &as)) {
        return true;
    }
    if (!hook_ask(write, hook, as, round, &answer, &skip)) {
        return skip;
    }
    pass_warnings(write, &answer);
    if (!answer.allowed) {
        return denied(write, hook, &answer);
    }
    if (answer.has_patch && write->object && !patched(write, as, &answer, &changed)) {
        return false;
    }
    *version += changed;
    *called = (struct called){.done = true, .version = *version};
    return true;
}

bool hooks_mutate(struct chain_write *write) {
    const struct hook_list *list = &write->chain->mutating;
    struct called *called = ARENA_ARRAY(write->op->arena, list->count + 1, struct called);
    unsigned version = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < list->count; i++) {
            if (!mutate_with(write, &list->hooks[i], round, &called[i], &version)) {
                return false;
            }
        }
    }
    return true;
}

// ---- Validating ----
bool hooks_validate(struct chain_write *write) {
    const struct hook_list *list = &write->chain->validating;
    struct api_op *op = write->op;
    const struct hook *refused_by = NULL;
    struct hook_answer refusal = {0};
    for (size_t i = 0; i < list->count; i++) {
        const struct hook *hook = &list->hooks[i];
        const struct api_kind *as;
        struct hook_answer answer;
        bool skip;
        if (!hook_matches(hook, write, &as)) {
            continue;
        }
        if (hook_ask(write, hook, as, 0, &answer, &skip)) {
            pass_warnings(write, &answer);
            if (!answer.allowed && !refused_by) {
                refused_by = hook;
                refusal = answer;
            }
        } else if (op->error.status) {
            return false;
        }
    }
    if (op->parked) {
        return false;
    }
    return !refused_by || denied(write, refused_by, &refusal);
}
