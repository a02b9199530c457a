// SPDX-License-Identifier: Apache-2.0
// The core of the API server, for its own files only: the index of objects, groups of changes on their way to the disk,
// watches, and one request under way (`struct api_op`).
//
// How a write becomes visible. A verb changes the index at once, so that the next write sees it, and records a change
// that holds the state before. Changes collect in the open group; one group at a time is being committed. Reads answer
// with the durable state (the state before the oldest uncommitted change of an object), so they never wait and never show
// what a crash could undo. After the commit the group's events go to the history and to watchers, then its replies go
// out. When a commit fails, all uncommitted changes are undone in reverse and their writers get 503.
#ifndef SKIFF_APISERVER_CORE_H
#define SKIFF_APISERVER_CORE_H

#include "apiserver/internal.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/selector.h"
#include "base/vec.h"

enum {
    APISERVER_CACHE_BYTES = 8 * MIB,   // texts kept in memory when the options do not say
    APISERVER_HISTORY_BYTES = 4 * MIB, // of texts that only the history holds, roughly
    APISERVER_HISTORY_EVENTS = 16 * 1024,
    APISERVER_BACKLOG_BYTES = 16 * MIB, // a watcher further behind than this is cut off
    APISERVER_WATCHES = 20 * 1000,
    APISERVER_PARKED = 1000,     // requests that wait for webhooks at the same time; more get 429
    APISERVER_EXECUTIONS = 500,  // of one request, each after an answer from outside
    APISERVER_CALLOUTS = 64,     // that one request has under way at the same time
    APISERVER_REVIEW = 16 * MIB, // what a webhook may answer
};

// ---- index.c: entries of one resource in the order of "namespace/name" ----
struct api_entry {
    struct blob *blob;                 // the newest text; NULL: evicted, or deleted
    struct api_entry *newer, *older;   // among the entries that hold a text, by last use
    struct api_change *pending;        // the oldest uncommitted change, or NULL
    struct api_collection *collection; // where it is listed
    int64_t revision;                  // of the newest text
    bool deleted; // by an uncommitted change, or created by a change that was undone: not there
    uint16_t ns_len, key_len;
    char key[]; // "namespace/name"; "/name" for cluster-scoped kinds
};

struct api_page;
struct api_collection { // all objects of one resource
    struct apiserver *server;
    char *prefix; // "/apps/deployments/": what keys in the store begin with
    size_t prefix_len;
    struct str group,
        plural; // parts of `prefix`; the core group is "" here and "core" in the prefix
    struct api_page **pages;
    size_t page_count, page_cap;
    size_t count;                 // entries, deleted ones too until their commit
    int64_t changed;              // revision of the newest durable change, at least of this run
    struct api_watcher *watchers; // first of a list
};

struct api_collection *api_collection_get(struct apiserver *server, struct str group,
                                          struct str plural); // made on first use
void api_collection_destroy(struct api_collection *collection);
struct api_entry *api_entry_find(const struct api_collection *collection, struct str ns,
                                 struct str name);
struct api_entry *api_entry_find_key(const struct api_collection *collection, struct str key);
struct api_entry *api_entry_add(struct api_collection *collection, struct str key); // must be new
void api_entry_remove(struct api_entry *entry);
// The first entry at or after `key` (after: strictly); then api_cursor_next. The index must not change meanwhile.
struct api_cursor {
    const struct api_collection *collection;
    size_t page, slot;
};
struct api_cursor api_cursor_at(const struct api_collection *collection, struct str key);
struct api_entry *api_cursor_next(struct api_cursor *cursor);
// The newest text, read back from the store when it was evicted; a new reference. NULL with err.
struct blob *api_entry_text(struct api_entry *entry, struct err *err);
// The durable text: a new reference, NULL when there is none (err untouched) or it cannot be read (err set).
struct blob *api_entry_durable(struct api_entry *entry, struct err *err);
bool api_entry_is_durable(const struct api_entry *entry);            // there as of the last commit
void api_entry_set_text(struct api_entry *entry, struct blob *blob); // takes its own reference
void api_cache_trim(struct apiserver *server);
static inline struct str api_entry_key(const struct api_entry *entry) {
    return (struct str){entry->key, entry->key_len};
}
static inline struct str api_entry_ns(const struct api_entry *entry) {
    return (struct str){entry->key, entry->ns_len};
}
static inline struct str api_entry_name(const struct api_entry *entry) {
    return str_skip(api_entry_key(entry), (size_t)entry->ns_len + 1);
}

// ---- commit.c ----
struct api_change {
    struct api_entry *entry;
    struct api_change *next_same; // the next uncommitted change of the same entry
    struct blob *before;          // NULL: was not there
    struct blob *after;           // NULL: deleted
    struct blob *last;            // of a deletion: the text that watchers get
    int64_t revision_before, revision;
};

struct api_op;
struct chain_charge;
struct api_group {
    struct apiserver *server; // NULL once the server is gone
    struct arena *arena;
    VEC(struct api_change *) changes;
    VEC(struct api_op *) waiting;
    struct store_change *store_changes;
    int64_t revision;
};

// Takes a new revision; every change uses its own.
int64_t api_next_revision(struct apiserver *server);
// Applies one change to the index and the open group. `after` NULL deletes; `last` as in api_change. References are taken.
void api_change_record(struct apiserver *server, struct api_entry *entry, int64_t revision,
                       struct blob *after, struct blob *last);
// Lets the operation's reply wait for everything that is uncommitted now.
void api_wait_for_commit(struct apiserver *server, struct api_op *op);
void api_groups_destroy(struct apiserver *server);

// ---- addresses.c: "10.96.0.7", "30080" ----
bool api_address_is_taken(struct apiserver *server, const struct api_collection *services,
                          struct str address);
void api_addresses_changed(struct apiserver *server, const struct api_change *change);
void api_addresses_drop(struct apiserver *server);

// ---- history.c and watch.c ----
struct api_event {
    int64_t revision;
    struct api_collection *collection;
    enum kube_event type;
    struct blob
        *object; // as watchers get it; of a deletion, the last state with the deletion's revision
    struct blob *before; // NULL for ADDED
    struct blob *line;   // the line of an HTTP watch, while it is being handed out
    uint16_t ns_len, key_len;
    char key[];
};

struct api_history {
    struct api_event **ring;
    size_t cap, first, len; // cap is a power of two
    size_t bytes;
    int64_t compacted; // a watch can start at this revision or later
};
void api_history_add(struct apiserver *server, struct api_event *event);
void api_history_trim(struct apiserver *server); // to its limits, after events were published
void api_history_clear(struct api_history *history);
static inline struct api_event *api_history_at(const struct api_history *history, size_t i) {
    return history->ring[(history->first + i) & (history->cap - 1)];
}
// Index of the first event after `revision`.
size_t api_history_after(const struct api_history *history, int64_t revision);

// Who gets the events of a watch. `event` is NULL for initial objects and bookmarks; `object` is borrowed.
struct api_watch_sink {
    void (*on_event)(void *ctx, enum kube_event type, struct blob *object, struct api_event *event);
    void (*on_end)(void *ctx, const struct api_error *error); // NULL: a plain end; the last call
    size_t (*backlog)(void *ctx);                             // optional
    void *ctx;
};
struct api_request;
// Returns the id, or 0 with `error` (in `arena`). The first events come in a later turn.
uint64_t api_watch_start(struct apiserver *server, struct arena *arena,
                         const struct api_request *request, const struct api_watch_sink *sink,
                         struct api_error *error);
// The sink gets nothing more, not even on_end. False when there is no such watch.
bool api_watch_stop(struct apiserver *server, uint64_t id);
void api_watch_dispatch(struct apiserver *server, struct api_event *event);
void api_watch_kinds_changed(struct apiserver *server); // ends the watches of kinds that are gone
// Makes the objects that a real server has from its start; after a change of the kinds, those that follow them.
void api_own_objects(struct apiserver *server);
void api_own_kinds_changed(struct apiserver *server);
struct api_home;
void api_home_destroy(struct api_home *home); // own_address.c
struct doc_value api_own_requester(struct api_op *op, struct doc_value object);
void api_watches_destroy(struct apiserver *server);

// ---- request.c: a request in parsed form ----
enum api_verb {
    API_VERB_GET,
    API_VERB_LIST,
    API_VERB_WATCH,
    API_VERB_CREATE,
    API_VERB_UPDATE,
    API_VERB_PATCH,
    API_VERB_DELETE,
    API_VERB_DELETE_COLLECTION,
};
const char *api_verb_name(enum api_verb verb); // "get", "list", ..., as RBAC names them
enum api_output { API_OUTPUT_OBJECT, API_OUTPUT_TABLE, API_OUTPUT_PARTIAL };

struct api_request {
    enum api_verb verb;
    struct kube_gvr gvr;
    struct str ns, name, subresource;
    struct str body;
    enum kube_patch patch;
    bool body_yaml, body_protobuf;
    bool dry_run, force;
    struct str field_manager, field_validation;
    enum kube_propagation propagation;
    struct str precondition_uid, precondition_version;
    int64_t grace_seconds;
    struct str label_selector, field_selector, continue_token, resource_version,
        resource_version_match;
    int64_t limit;
    bool send_initial_events, allow_bookmarks;
    bool initial_events_given;
    int64_t timeout_seconds; // of a watch; 0: none asked for
    enum api_output output;
    struct str include; // of a table
    struct str query;   // as it came, for sub-resources with options of their own
};
void api_request_from_kube(const struct kube_request *from, struct api_request *out);
// From an HTTP method, encoded path and encoded query. Slices point into the arena or the arguments. False: `error` is
// set (404 for a path that is not a resource's).
bool api_request_parse(struct arena *arena, struct str method, struct str path, struct str query,
                       struct api_request *out, struct api_error *error);
// Which options of a list or a watch go together; 422 when they do not.
bool api_request_check_list(struct arena *arena, const struct api_request *request,
                            struct api_error *error);
// The Accept header: which form the reply has. 406 when none of the offered types can be served.
bool api_request_accept(struct arena *arena, struct str accept, struct api_request *request,
                        struct api_error *error);
// The Content-Type of a request with a body. 415 for what is not understood.
bool api_request_content_type(struct arena *arena, struct str type, struct api_request *request,
                              struct api_error *error);

// ---- op.c: one request under way ----
struct api_op {
    struct api_op *next; // in the queue of replies
    struct apiserver *server;
    struct arena *arena;
    uint64_t id;
    struct api_request request;
    struct api_user user;
    const struct api_kind *kind; // during execution only
    struct api_collection *collection;
    struct api_error error; // status 0: fine
    int status;             // of the reply
    struct blob **parts;    // the reply's body in pieces, each a reference
    size_t part_count, part_cap;
    struct str content_type; // empty: application/json
    struct str *warnings;
    size_t warning_count;
    struct str *duplicates; // keys that the body has twice, as paths or, of YAML, as lines
    size_t duplicate_count;
    bool changed; // made a change: the reply waits for its commit
    // The verb cannot go on before an answer from outside (a webhook) is there. It has changed nothing; who parked it
    // keeps the answer in `park` and calls api_op_resume, which executes the request again from its start.
    bool parked;
    struct api_park *park;
    struct chain_charge *charges; // chain.c
    // What the first execution drew by lot, so that another one makes the same object.
    struct str fresh_uid, fresh_suffix;
    int64_t fresh_time;
    bool authorize;        // came from outside: its user must be allowed to do this
    struct str user_agent; // names the manager of what is written when the request does not
    bool waiting;          // in a group
    bool cancelled;        // reply with ERR_CANCELLED
    // Called once, in a later turn; owns nothing afterwards.
    void (*finish)(struct api_op *op);
    kube_done *done;
    void *ctx;
};
struct api_op *api_op_create(struct apiserver *server, void (*finish)(struct api_op *op));
void api_op_run(struct api_op *op);     // executes now, replies in a later turn
void api_op_ready(struct api_op *op);   // replies in a later turn
void api_op_resume(struct api_op *op);  // a parked one: executes again
void api_op_destroy(struct api_op *op); // called by whoever delivered the reply
// Nobody waits for the answer any more. A parked one ends with it; what others changed stays changed.
void api_op_cancel(struct api_op *op);
void api_op_add(struct api_op *op, struct blob *part);    // takes the reference over
void api_op_add_text(struct api_op *op, struct str text); // copies
void api_op_warn(struct api_op *op, struct str text);     // borrowed until the reply
void api_op_fill_error(struct api_op *op);                // body := Status of op->error
struct blob *api_op_body(struct api_op *op);              // all parts as one; a new reference
enum err_code api_error_code(const struct api_error *error);

// ---- park.c: what an operation asks of others, and the answers it has got so far ----
struct api_answer {
    struct api_answer *next;
    uint64_t key;
    int status;             // of HTTP; 0: no reply
    struct str body, error; // error: why there is none
    bool timed_out;
};
struct api_park_call; // one question under way
struct api_park {
    struct api_op *op;
    struct api_park *next, **link; // of the server's list, while the operation is parked
    struct api_answer *answers;
    struct api_park_call *calls;
    unsigned pending, executions;
    uint64_t salt;         // of the ids of its questions
    bool owned;            // what the request borrowed has been copied
    struct map *converted; // convert.c: texts in other versions, by version and text
};
// The answer to a question, which `key` stands for; NULL: it was asked just now and the operation is parked (or
// op->error is set: too many are). An operation may ask several questions in one execution; it is resumed when all are
// answered.
const struct api_answer *api_park_ask(struct api_op *op, uint64_t key,
                                      const struct apiserver_callout *call);
// The answer that is there, without asking.
const struct api_answer *api_park_find(const struct api_op *op, uint64_t key);
struct api_park *api_park_of(struct api_op *op);
void api_park_enter(struct api_op *op); // called by op.c when an execution ended parked
void api_park_leave(struct api_op *op);
void api_park_destroy(struct api_op *op);
void api_park_cancel_all(struct apiserver *server);

// Answers kinds with no_store (SelfSubjectAccessReview, TokenReview, ...). False: op->error is set.
bool api_virtual_create(struct api_op *op, const struct doc_value *object, struct doc_value *out);

// ---- verbs: read.c, write.c, patch.c, apply.c, delete.c, subresource.c. False: op->error is set ----
bool api_verb_get(struct api_op *op);
bool api_verb_list(struct api_op *op);
bool api_verb_create(struct api_op *op);
bool api_verb_update(struct api_op *op);
bool api_verb_patch(struct api_op *op);
bool api_verb_delete(struct api_op *op);
bool api_verb_delete_collection(struct api_op *op);
// A write to it keeps the rest of the object: "status", and "approval" of signing requests.
bool api_is_status_part(const struct api_op *op);
bool api_subresource(struct api_op *op, bool *handled);
bool api_pod_part(struct api_op *op, bool *handled); // pod_parts.c

// Behind which object the next page of a list starts.
struct str api_continue_token(struct arena *arena, int64_t revision, struct str prefix,
                              struct str last);
// 504 for a revision of the future; 500 for text that is none, as Kubernetes answers.
bool api_error_too_new(const struct apiserver *server, struct arena *arena, int64_t revision,
                       struct api_error *error);
bool api_error_revision(struct arena *arena, struct str text, struct api_error *error);

// A stored object as a verb sees it.
struct api_object {
    struct api_entry *entry;
    struct blob *blob; // a reference
    struct doc_value value;
};
bool api_object_load(struct api_op *op, struct str ns, struct str name, struct api_object *out);
void api_object_fini(struct api_object *object);
static inline void auto_api_object_fini(struct api_object *object) {
    api_object_fini(object);
}
#define AUTO_OBJECT __attribute__((cleanup(auto_api_object_fini)))

// Replies with one object in the form that the request asks for.
bool api_reply_object(struct api_op *op, int status, struct blob *stored);
bool api_reply_value(struct api_op *op, int status, const struct doc_value *value);
// The stored text in the served version `kind`; a new reference. Webhooks are asked before (api_convert_texts): without
// their answer only the name of the version changes.
struct blob *api_op_serve(const struct api_op *op, struct blob *stored);
struct blob *api_serve_text(const struct apiserver *server, const struct api_kind *kind,
                            struct blob *stored);
// The metadata of a Table that shows one object: its version.
struct doc_value api_table_metadata(struct arena *arena, const struct doc_value *object);
// convert_webhook.c: custom kinds whose versions a webhook converts. A text is converted when the operation has its
// answer; until then it is parked.
bool api_convert_needed(const struct api_kind *to, struct str text);
bool api_convert_texts(struct api_op *op, const struct api_kind *to, struct blob *const *texts,
                       size_t count);
// The result for one of them: a new reference. NULL: it was not asked for.
struct blob *api_converted(const struct api_op *op, const struct api_kind *to, struct blob *text);
// Lets the reply show `served`, an object of the request's version, for what was stored of it; or what was known of
// `before`, with its new metadata.
void api_convert_remember(struct api_op *op, struct blob *stored, const struct doc_value *served);
void api_convert_follow(struct api_op *op, struct blob *before, struct blob *after);
// For a watch: one question without an operation. `done` runs once in a later turn, with `texts` replaced, or with an
// error; never after api_convert_drop.
struct api_convert_job;
struct api_convert_job *api_convert_start(struct apiserver *server, const struct api_kind *to,
                                          struct blob *const *texts, size_t count,
                                          void (*done)(void *ctx, struct blob **texts, size_t count,
                                                       const struct api_error *error),
                                          void *ctx);
void api_convert_drop(struct api_convert_job *job); // NULL is fine
// Only apiVersion, kind (as PartialObjectMetadata) and metadata; a new reference.
struct blob *api_partial_text(struct arena *arena, struct blob *stored);
// The text of "metadata" within a stored object, without parsing the rest; empty when it is not where it should be.
struct str api_metadata_text(struct str object);
struct str api_group_version(struct arena *arena, struct str group, struct str version);

// Parses the request's body into an object of the request's kind: apiVersion, kind and namespace are checked or filled.
bool api_body_object(struct api_op *op, struct str name, struct doc_value *out);
bool api_body_parse(struct api_op *op, struct doc_value *out);
// Stores `object` (any served version) as the next state of `old`, by the rules of `operation`; patch and scale end here too.
bool api_store_update(struct api_op *op, struct api_object *old, struct doc_value object,
                      enum api_operation operation);
bool api_store_create(struct api_op *op, struct doc_value object);
// Gives the object (in storage form) its revision, prints it and records the change; a dry run only prints. `entry` NULL: a
// new one is made for `key`. A new reference; NULL: op->error is set.
struct blob *api_store_put(struct api_op *op, struct api_entry *entry, struct str key,
                           struct doc_value object);
struct blob *api_store_remove(struct api_op *op, struct api_entry *entry, struct doc_value object);
bool api_body_identity(struct api_op *op, struct str name, struct doc_value *object);
// The object as the request's version shows it.
struct doc_value api_served_form(struct api_op *op, const struct api_object *stored);
// A deletion was asked for and nothing holds the object any more.
bool api_is_finished(const struct api_kind *kind, const struct doc_value *object);
bool api_delete_object(struct api_op *op, struct api_object *old, bool *removed,
                       struct blob **after);
// Apply (apply.c): the next state of `old` (NULL: there is none) after a manager applied `config`.
bool api_apply(struct api_op *op, const struct doc_value *old, const struct doc_value *config,
               struct doc_value *out);
bool api_apply_identity(struct api_op *op, struct str version, struct str kind,
                        const struct doc_value *config);
bool api_delete_options(struct api_op *op);

// managed.c: whether the options of a write that concern managers are right; before anything else.
bool api_managed_check(struct api_op *op);
// managedFields after a create, an update, a patch or a write of a sub-resource; called between defaulting and
// what the chain adds. `old` NULL: created. `object` is in the served version, with its new content and defaults, `sent` the
// same before admission. The entries of `old` are what it starts from, unless the client sent others or an empty list.
bool api_managed_update(struct api_op *op, const struct doc_value *old,
                        const struct doc_value *sent, struct doc_value *object);

// chain.c: what the state of the server and webhooks say of a write. All return false when it is refused (op->error) or
// parked. Some writes are changed on the way: then (api_chain_mutates) api_admit fills in defaults only, api_chain_mutate
// changes the object, and api_admit looks at the result.
bool api_chain_mutates(struct api_op *op, enum api_operation operation);
bool api_chain_mutate(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                      struct doc_value *object);
// Webhooks, policies, ResourceQuota, in this order; the object is not changed any more. `object` NULL: a deletion.
bool api_chain_admit(struct api_op *op, enum api_operation operation, const struct doc_value *old,
                     struct doc_value *object);
// A sub-resource that is an object of its own: Eviction, Binding, ...
bool api_chain_subresource(struct api_op *op, struct doc_value *object);
void api_chain_charge(struct api_op *op); // after the object was stored: its part of the quotas
// Whether a deleted object stays because others use it, though only its protection holds it.
bool api_chain_in_use(struct api_op *op, const struct doc_value *object);
bool api_chain_watches_deletes(struct api_op *op); // whether a deletion may be refused or parked
void api_chain_committed(struct apiserver *server, const struct api_event *event);
struct api_chain;
struct api_chain *api_chain_create(struct apiserver *server);
void api_chain_destroy(struct api_chain *chain);

// authz.c: whether op->user may do what op->request asks for; op->error is 403 when not.
bool api_authz_check(struct api_op *op);
// authz_escalate.c: nobody gives away rights that he does not hold; also whether an update may create. Called with the
// next state of every object that is written. False: op->error is set.
bool api_authz_write(struct api_op *op, const struct doc_value *old,
                     const struct doc_value *object);

// meta.c: the rules of metadata
bool api_meta_check(struct api_op *op, const struct doc_value *object); // names, labels, ...
struct doc_value api_meta_fresh(struct api_op *op, struct doc_value object);
bool api_meta_keep(struct api_op *op, const struct doc_value *old, enum api_operation operation,
                   struct doc_value *object);
bool api_invalid(struct api_op *op, struct str name, const char *reason, struct str path,
                 struct str message);
struct doc_value api_ordered(struct arena *arena, const struct doc_value *object);

// ---- select.c: does an object pass a selector ----
struct api_selection {
    struct selector *labels, *fields; // NULL: everything
    bool needs_body;                  // a field outside metadata is asked for
};
bool api_selection_parse(struct arena *arena, const struct api_kind *kind, struct str labels,
                         struct str fields, struct api_selection *out, struct api_error *error);
static inline bool api_selection_is_empty(const struct api_selection *selection) {
    return !selection->labels && !selection->fields;
}
bool api_selection_matches(const struct api_selection *selection, const struct api_kind *kind,
                           struct str text, struct arena *scratch);

// ---- server.c ----
struct apiserver {
    struct loop *loop;
    struct store *store;
    struct metrics *metrics;
    struct metric *requests, *watch_gauge, *commit_seconds;
    struct api_kinds *kinds;
    struct api_controllers *controllers;
    struct map *collections; // by "group/plural"
    int64_t revision;        // the newest given out
    int64_t durable;         // the newest committed
    bool ready;

    struct api_group *open, *committing;
    bool flush_posted;
    int64_t commit_started;

    struct api_op *ready_first, *ready_last;
    bool deliver_posted;
    struct map *addresses;                  // of Services; NULL: not built
    struct map *calls;                      // local calls under way by id, for cancel
    const struct apiserver_calls *callouts; // may be NULL
    struct api_park *parked;
    size_t parked_count;
    struct api_chain *chain;
    uint64_t last_id;
    struct api_life *life; // tells posted callbacks that the server is gone

    struct api_history history;
    struct map *watches;                                // by id
    struct map *local_watches;                          // those of calls.c
    struct api_watcher *starting_first, *starting_last; // whose first events are due
    bool starting_posted;
    struct loop_timer *watch_timer;
    struct loop_timer *repair_timer; // own writes that failed are tried again
    bool own_objects;                // APIServices and the like are kept (own_objects.c)
    struct api_home *home; // keeps the Service of the API itself; NULL: its address is not told
    unsigned dispatching;
    struct api_watcher *dead; // to be freed when no dispatch is under way

    struct api_authz *authz; // roles and bindings in compiled form (authz.c); NULL: rbac is off
    struct api_accounts *accounts;   // gives out and checks tokens of service accounts; may be NULL
    const struct api_tokens *tokens; // static ones, of the front end; may be NULL
    struct str root_ca;              // own copy

    struct api_entry *newest, *oldest; // entries that hold a text
    size_t cache_used, cache_max;
    struct arena *scratch; // reset by whoever uses it
    struct buf print;      // objects on their way to the store
};
const struct api_kind *api_kind_find(const struct apiserver *server, const struct kube_gvr *gvr);
// Runs `fn(server)` in a later turn unless the server is gone by then.
void api_post(struct apiserver *server, void (*fn)(struct apiserver *server));
// Writes the status that the registry wants a CRD to have, after a commit of that CRD.
void api_crd_committed(struct apiserver *server, const struct api_event *event);

#endif
