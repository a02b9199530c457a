// SPDX-License-Identifier: Apache-2.0
// What the files of the admission chain share: chain*.c, webhook*.c, quota*.c, limit_range.c, priority.c.
#ifndef SKIFF_APISERVER_CHAIN_H
#define SKIFF_APISERVER_CHAIN_H

#include "apiserver/core.h"

// One write as the chain sees it. `object` NULL: a deletion; `old` NULL: a creation.
struct chain_write {
    struct api_op *op;
    struct api_chain *chain;
    const struct api_kind *kind;
    const char *operation; // "CREATE", "UPDATE", "DELETE"
    struct str name, ns;   // of a Namespace both are its name
    struct str subresource;
    struct kube_gvk gvk; // of the object: that of `kind`, but for Scale, Eviction, Binding
    struct doc_value *object;
    const struct doc_value *old;
};

struct hook { // one webhook of a configuration
    const struct doc_value *spec;
    struct str name;
    bool mutating, ignore_failure, dry_run_fine, equivalent, reinvoke;
    int64_t timeout_seconds;
    struct policy_text *conditions;
    size_t condition_count;
};
struct policy_text;
struct policies;
struct hook_list { // those of all configurations of one kind, in the order in which they are called
    struct api_collection *collection;
    struct arena *arena;
    int64_t stamp;
    struct hook *hooks;
    size_t count;
};

struct chain_charge { // what a write adds to a ResourceQuota, once it is stored
    struct chain_charge *next;
    struct api_entry *entry;
    struct doc_value quota; // with its new status
};

struct api_chain {
    struct apiserver *server;
    struct hook_list mutating, validating;
    struct api_collection *namespaces, *pods, *claims, *volumes, *limits, *quotas, *priorities,
        *runtimes, *storage_classes, *ingress_classes;
    struct policies *policies;
    struct map *recount; // namespaces whose quotas are to be counted anew
    struct map *held;    // deleted claims and volumes that are in use
    struct loop_timer *recount_timer;
    bool held_posted;
};

// webhook.c: which webhooks a write concerns
void hook_list_init(struct hook_list *list, struct apiserver *server, const char *plural);
void hook_list_fini(struct hook_list *list);
void hook_list_refresh(struct hook_list *list, bool mutating);
// Whether the webhook wants to see this write; *as is the version of the kind it wants to see it in.
bool hook_matches(const struct hook *hook, const struct chain_write *write,
                  const struct api_kind **as);
// The request of an AdmissionReview, without its objects.
struct doc_value chain_request_value(const struct chain_write *write, const struct api_kind *as);
bool hook_rule_matches(const struct doc_value *rule, const struct chain_write *write,
                       const struct api_kind *kind);
// A metav1.LabelSelector; absent and empty ones match everything.
bool chain_selector_matches(const struct doc_value *selector, const struct doc_value *labels);
bool chain_namespace_matches(const struct chain_write *write, const struct doc_value *selector);
bool chain_object_matches(const struct chain_write *write, const struct doc_value *selector);

// webhook_call.c: asking one. The answer as an object; NULL: parked, refused (op->error), or left out by its policy (*skip).
struct hook_answer {
    bool allowed;
    struct doc_value status, patch, warnings;
    bool has_patch;
};
bool hook_ask(const struct chain_write *write, const struct hook *hook, const struct api_kind *as,
              unsigned round, struct hook_answer *out, bool *skip);
// The bytes of an AdmissionReview that came back; `problem` is what is wrong with them.
bool hook_parse_answer(struct arena *arena, struct str body, struct str uid, bool mutating,
                       struct hook_answer *out, struct str *problem);
// Where a webhook is: *url without a query. False: `problem` says why it cannot be reached.
bool hook_target(struct apiserver *server, struct arena *arena, const struct doc_value *config,
                 struct apiserver_callout *call, struct str *problem);

// webhook_run.c: all of them
bool hooks_mutate(struct chain_write *write);
bool hooks_validate(struct chain_write *write);

// chain_amount.c: quantities as numbers
__extension__ typedef __int128 amount_int;
struct amount {
    amount_int nano;
    bool binary; // as it is printed: 1Gi, not 1073741824
};
bool amount_parse(const struct doc_value *value, struct amount *out);
struct str amount_text(struct arena *arena, struct amount amount);
void amount_add(struct amount *sum, struct amount more);
// What a pod asks for of a resource: the sum over its containers, or what its init containers need at a time if that is
// more, and its overhead. False: none of them names it.
bool amount_of_pod(const struct doc_value *spec, const char *list, struct str resource,
                   struct amount *out);

// priority.c, limit_range.c, chain_defaults.c: what fills in. All of them may run twice on one object.
bool chain_priority(struct chain_write *write);
bool chain_runtime_class(struct chain_write *write);
bool chain_limit_defaults(struct chain_write *write);
bool chain_limits(const struct chain_write *write);
bool chain_has_limits(const struct chain_write *write);
void chain_default_classes(struct chain_write *write);
void chain_protect(struct chain_write *write);

// quota.c, quota_usage.c
bool chain_quota(const struct chain_write *write);
void quota_committed(struct api_chain *chain, const struct api_event *event);
void quota_recount_all(struct api_chain *chain);
// How much of `resource` one object of this resource uses; false: nothing.
bool quota_usage(const struct doc_value *object, struct str group, struct str plural,
                 struct str resource, struct amount *out);
// Whether a quota with these scopes is about the object at all.
bool quota_scopes_match(const struct doc_value *quota, const struct doc_value *object,
                        struct str group, struct str plural);

// protect.c: claims and volumes in use outlive their deletion
void protect_committed(struct api_chain *chain, const struct api_event *event);
void protect_start(struct api_chain *chain);
bool chain_is(const struct chain_write *write, const char *group, const char *plural);

struct chain_write chain_write_of(struct api_op *op, enum api_operation operation,
                                  const struct doc_value *old, struct doc_value *object);
// The newest state of another object, parsed; NULL when there is none.
const struct doc_value *chain_find(struct api_op *op, struct api_collection *collection,
                                   struct str ns, struct str name);
// 403: pods "x" is forbidden: ...
bool chain_forbidden(const struct chain_write *write, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
