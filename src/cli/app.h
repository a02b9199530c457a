// SPDX-License-Identifier: Apache-2.0
// What the commands of `skiff app` share: naming, reading, formatting and following an Application.
#ifndef SKIFF_CLI_APP_H
#define SKIFF_CLI_APP_H

#include "cli/connect.h"
#include "cli/out.h"

// ---- app_common.c ----
struct app_name {
    struct str ns, name;
};
// "name" or "namespace/name".
bool app_name_parse(struct str word, struct str default_ns, struct app_name *out,
                    struct err *err) MUST_USE;
bool app_fetch(struct connection *connection, struct app_name name, struct doc_value *out,
               struct err *err) MUST_USE;
struct app_list {
    struct doc_value *items;
    size_t count;
};
bool app_fetch_all(struct connection *connection, struct str selector, struct app_list *out,
                   struct err *err) MUST_USE;
// Merge patch of an Application; with `version` only when it is still that one (ERR_CONFLICT).
bool app_patch(struct connection *connection, struct app_name name, struct doc_value patch,
               struct doc_value *out, struct err *err) MUST_USE;
struct app_name app_name_of(const struct doc_value *app);
const struct doc_value *app_first_source(const struct doc_value *app);
bool app_is_automated(const struct doc_value *app);
// Names from the words, else from the selector or the projects; at least one.
struct app_names {
    VEC(struct app_name) items;
};
struct app_choice {
    struct str selector;
    const struct cli_list *projects; // may be NULL
};
bool app_choose(struct connection *connection, int argc, char **argv,
                const struct app_choice *choice, struct app_names *out, struct err *err) MUST_USE;
// One word that names an application; the usage error otherwise.
bool app_one_word(int argc, char **argv, const char **word, struct err *err) MUST_USE;

// GROUP:KIND:NAME, GROUP:KIND:NAMESPACE/NAME, with "!" in front to leave it out; "*" matches all.
struct app_pick {
    struct str group, kind, ns, name;
    bool exclude;
};
struct app_picks {
    struct app_pick *items;
    size_t count;
};
bool app_picks_parse(const struct cli_list *words, struct arena *arena, struct app_picks *out,
                     struct err *err) MUST_USE;
bool app_picks_match(const struct app_picks *picks, struct str group, struct str kind,
                     struct str ns, struct str name);

// ---- app_format.c: pure ----
struct app_state { // one resource as tables show it
    struct str group, kind, ns, name, status, health, hook, message;
};
struct app_state *app_states(const struct doc_value *app, const struct app_picks *picks,
                             struct arena *arena, size_t *count);
void app_format_list(const struct app_list *apps, struct str output, struct buf *out);
void app_format_names(const struct app_list *apps, struct buf *out);
void app_format_summary(const struct doc_value *app, struct str url, struct buf *out);
void app_format_conditions(const struct doc_value *app, struct buf *out);
void app_format_operation(const struct doc_value *app, int64_t now_ns, struct buf *out);
void app_format_resources(const struct doc_value *app, struct buf *out);
void app_format_history(const struct doc_value *app, struct buf *out);
void app_format_history_ids(const struct doc_value *app, struct buf *out);
void app_format_events_head(struct buf *out);
void app_format_event(const struct app_state *state, struct str time, struct buf *out);

// ---- app_follow.c ----
// Watches one application from its present state on. `see` gets each state (NULL: it is gone) and returns false when it
// has seen enough.
struct app_follow {
    struct connection *connection;
    struct app_name name;
    int64_t timeout_ns; // 0: none
    bool (*see)(void *ctx, const struct doc_value *app);
    void *ctx;
};
bool app_follow(const struct app_follow *follow, struct err *err) MUST_USE; // ERR_TIMEOUT
// Asks the controller to look at Git and the cluster again, and waits until it has.
bool app_refresh(struct connection *connection, struct app_name name, bool hard, int64_t timeout_ns,
                 struct err *err) MUST_USE;

// ---- app_wait.c ----
struct app_wait {
    bool sync, health, suspended, degraded, gone, operation;
    struct app_picks picks;
    int64_t timeout_ns;
    struct str output;
};
enum app_wait_result { APP_WAIT_DONE, APP_WAIT_FAILED };
// Progress while waiting, the final state after it. `*last` is the state that ended the waiting (null: it is gone).
bool app_wait_run(struct cli *cli, struct connection *connection, struct app_name name,
                  const struct app_wait *wait, struct doc_value *last, struct err *err) MUST_USE;
bool app_wait_is_met(const struct doc_value *app, const struct app_wait *wait, struct arena *arena);
// What `app get` and the end of `app wait` print after the head: table, tree, document.
bool app_print_body(struct connection *connection, const struct doc_value *app, struct str output,
                    struct buf *out, struct err *err) MUST_USE;
bool app_check_output(struct str output, struct err *err) MUST_USE;
struct str app_url(const struct connection *connection, const struct doc_value *app,
                   struct arena *arena);

// ---- app_live.c: the picture that a terminal shows while something is under way ----
struct app_live {
    unsigned rows; // drawn last time
};
void app_live_draw(struct app_live *live, const struct doc_value *app,
                   const struct app_picks *picks);
void app_live_erase(struct app_live *live);

// ---- app_tree.c ----
bool app_tree_print(struct connection *connection, const struct doc_value *app, bool detailed,
                    struct buf *out, struct err *err) MUST_USE;

// ---- app_spec.c: the options that describe an Application, for create and set ----
struct app_spec {
    struct str project, repo, path, revision, dest_server, dest_name, dest_namespace, sync_policy;
    struct str directory_include, directory_exclude;
    bool auto_prune, self_heal, allow_empty, directory_recurse;
    bool auto_prune_given, self_heal_given, allow_empty_given, directory_recurse_given;
    int64_t history_limit, retry_limit, retry_factor;
    bool history_limit_given, retry_limit_given;
    struct str retry_duration, retry_max_duration;
    struct cli_list sync_options, labels, annotations;
};
enum { APP_SPEC_OPTION_COUNT = 22 };
void app_spec_init(struct app_spec *spec);
void app_spec_options(struct app_spec *spec, struct cli_option *options); // that many
void app_spec_fini(struct app_spec *spec);
// The Application with what the options say.
bool app_spec_apply(const struct app_spec *spec, struct arena *arena, const struct doc_value *app,
                    struct doc_value *out, struct err *err) MUST_USE;
// Is it complete, does its project exist and permit it?
bool app_spec_check(struct connection *connection, const struct doc_value *app,
                    struct err *err) MUST_USE;

extern const struct cli_command cli_app_list, cli_app_get, cli_app_history, cli_app_resources;
extern const struct cli_command cli_app_sync, cli_app_wait, cli_app_rollback, cli_app_terminate;
extern const struct cli_command cli_app_create, cli_app_set, cli_app_delete;
extern const struct cli_command cli_app_diff, cli_app_manifests;

#endif
