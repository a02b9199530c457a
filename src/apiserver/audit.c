// SPDX-License-Identifier: Apache-2.0
#include "apiserver/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/timefmt.h"

enum {
    QUEUE_MAX = 16 * MIB,  // lines that wait for the disk
    EVENT_MAX = 128 * KIB, // one line
    PATH_MAX_BYTES = 4096,
};

struct audit_log {
    struct loop *loop;
    char *path;
    int64_t max_bytes;
    unsigned files;
    struct buf queue;  // owned by the loop
    struct buf flight; // owned by the worker while `writing`
    bool writing;
    uint64_t lost; // events, since the last line that said so
    uint64_t lost_total;
    // the worker's
    int fd;
    int64_t size;
    int failure; // errno of the last attempt
    size_t done; // bytes of `flight` that are on their way to the disk
};

// ---- One event ----
static void set_text(struct doc_object *out, const char *name, struct str value) {
    if (value.n) {
        doc_object_set_c(out, name, doc_make_str(value));
    }
}

static struct doc_value user_value(struct arena *arena, const struct api_user *user) {
    struct doc_object out = doc_object_start(arena), extra = doc_object_start(arena);
    set_text(&out, "username", user->name);
    set_text(&out, "uid", user->uid);
    struct doc_array groups = doc_array_start(arena);
    for (size_t i = 0; i < user->group_count; i++) {
        doc_array_add(&groups, doc_make_str(user->groups[i]));
    }
    if (user->group_count) {
        doc_object_set_c(&out, "groups", doc_array_done(&groups));
    }
    for (size_t i = 0; i < user->extra_count; i++) {
        struct doc_array values = doc_array_start(arena);
        for (size_t k = 0; k < user->extra[i].count; k++) {
            doc_array_add(&values, doc_make_str(user->extra[i].values[k]));
        }
        doc_object_set(&extra, user->extra[i].key, doc_array_done(&values));
    }
    if (user->extra_count) {
        doc_object_set_c(&out, "extra", doc_object_done(&extra));
    }
    return doc_object_done(&out);
}

static struct str address_of(struct str remote) {
    size_t colon = str_rfind_char(remote, ':');
    struct str host = str_first(remote, colon == STR_NPOS ? remote.n : colon);
    return host.n > 1 && host.p[0] == '[' ? (struct str){host.p + 1, host.n - 2} : host;
}

static void add_object(struct doc_object *out, struct arena *arena, const struct audit_info *info) {
    struct doc_object ref = doc_object_start(arena);
    set_text(&ref, "resource", info->resource);
    set_text(&ref, "namespace", info->ns);
    set_text(&ref, "name", info->name);
    set_text(&ref, "apiGroup", info->group);
    set_text(&ref, "apiVersion", info->version);
    set_text(&ref, "subresource", info->subresource);
    doc_object_set_c(out, "objectRef", doc_object_done(&ref));
}

static struct doc_value event_value(struct arena *arena, const struct audit_info *info,
                                    const struct audit_outcome *outcome, int64_t now) {
    struct doc_object out = doc_object_start(arena), status = doc_object_start(arena);
    doc_object_set_c(&out, "kind", DOC_S("Event"));
    doc_object_set_c(&out, "apiVersion", DOC_S("audit.k8s.io/v1"));
    doc_object_set_c(&out, "level", DOC_S("Metadata"));
    set_text(&out, "auditID", info->id);
    set_text(&out, "stage", str_from(outcome->stage));
    set_text(&out, "requestURI", info->uri);
    set_text(&out, "verb", info->verb);
    static const struct api_user nobody = {0};
    doc_object_set_c(&out, "user", user_value(arena, info->user ? info->user : &nobody));
    if (info->impersonated) {
        doc_object_set_c(&out, "impersonatedUser", user_value(arena, info->impersonated));
    }
    struct doc_array addresses = doc_array_start(arena);
    doc_array_add(&addresses, doc_make_str(address_of(info->remote)));
    doc_object_set_c(&out, "sourceIPs", doc_array_done(&addresses));
    set_text(&out, "userAgent", info->agent);
    if (info->is_resource) {
        add_object(&out, arena, info);
    }
    doc_object_set_c(&status, "metadata", doc_object_done(&(struct doc_object){.arena = arena}));
    set_text(&status, "status", outcome->status);
    set_text(&status, "message", outcome->message);
    set_text(&status, "reason", outcome->reason);
    doc_object_set_c(&status, "code", doc_make_int(outcome->code));
    doc_object_set_c(&out, "responseStatus", doc_object_done(&status));
    doc_object_set_c(&out, "requestReceivedTimestamp",
                     doc_make_str(time_format_micro(arena, info->received)));
    doc_object_set_c(&out, "stageTimestamp", doc_make_str(time_format_micro(arena, now)));
    if (info->user) { // otherwise it did not come to a decision
        struct doc_object notes = doc_object_start(arena);
        doc_object_set_c(&notes, "authorization.k8s.io/decision",
                         info->allowed ? DOC_S("allow") : DOC_S("forbid"));
        doc_object_set_c(&notes, "authorization.k8s.io/reason", doc_make_str(info->reason));
        doc_object_set_c(&out, "annotations", doc_object_done(&notes));
    }
    return doc_object_done(&out);
}

static const struct api_user *copy_user(struct arena *arena, const struct api_user *user) {
    if (!user) {
        return NULL;
    }
    struct api_user *out = ARENA_NEW(arena, struct api_user);
    struct str *groups = ARENA_ARRAY(arena, user->group_count + 1, struct str);
    for (size_t i = 0; i < user->group_count; i++) {
        groups[i] = arena_dup(arena, user->groups[i]);
    }
    *out = (struct api_user){.name = arena_dup(arena, user->name),
                             .uid = arena_dup(arena, user->uid),
                             .groups = groups,
                             .group_count = user->group_count};
    return out;
}

struct audit_info *audit_info_copy(struct arena *arena, const struct audit_info *info) {
    struct audit_info *out = ARENA_NEW(arena, struct audit_info);
    *out = *info;
    struct str *const texts[] = {&out->id,          &out->uri,   &out->verb,    &out->remote,
                                 &out->agent,       &out->group, &out->version, &out->resource,
                                 &out->subresource, &out->ns,    &out->name,    &out->reason};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = arena_dup(arena, *texts[i]);
    }
    out->user = copy_user(arena, info->user);
    out->impersonated = copy_user(arena, info->impersonated);
    return out;
}

// ---- The worker's part ----
static void rotate(struct audit_log *log) {
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    close(log->fd);
    log->fd = -1;
    for (unsigned i = log->files; i-- > 0;) { // FILE.2 -> FILE.3, FILE.1 -> FILE.2, FILE -> FILE.1
        snprintf(to, sizeof to, "%s.%u", log->path, i + 1);
        if (i > 0) {
            snprintf(from, sizeof from, "%s.%u", log->path, i);
        } else {
            snprintf(from, sizeof from, "%s", log->path);
        }
        (void)rename(from, to); // one that is not there yet has nothing to lose
    }
    if (log->files == 0) {
        (void)unlink(log->path);
    }
}

static bool open_file(struct audit_log *log) {
    struct stat info;
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log->fd < 0) {
        log->failure = errno;
        return false;
    }
    log->size = fstat(log->fd, &info) == 0 ? info.st_size : 0;
    return true;
}

static void write_lines(void *ctx) {
    struct audit_log *log = ctx;
    log->failure = 0;
    log->done = 0;
    while (log->done < log->flight.len) {
        if (log->fd >= 0 && log->size > 0 &&
            log->size + (int64_t)(log->flight.len - log->done) > log->max_bytes) {
            rotate(log);
        }
        if (log->fd < 0 && !open_file(log)) {
            return;
        }
        ssize_t n = write(log->fd, log->flight.data + log->done, log->flight.len - log->done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            log->failure = n < 0 ? errno : EIO;
            return;
        }
        log->done += (size_t)n;
        log->size += n;
    }
}

// ---- The loop's part ----
static void start_writing(struct audit_log *log);

static void written(void *ctx) {
    struct audit_log *log = ctx;
    log->writing = false;
    if (log->failure) {
        uint64_t lines = 0;
        for (size_t i = log->done; i < log->flight.len; i++) {
            lines += log->flight.data[i] == '\n';
        }
        log->lost += lines;
        log->lost_total += lines;
        LOG(LOG_ERROR, "audit", "events could not be written and are lost", "error",
            strerror(log->failure));
    }
    buf_clear(&log->flight);
    if (log->queue.len) {
        start_writing(log);
    }
}

static void start_writing(struct audit_log *log) {
    struct buf full = log->queue;
    log->queue = log->flight;
    log->flight = full;
    log->writing = true;
    loop_work(log->loop, 0, write_lines, written, log);
}

static bool add_line(struct audit_log *log, struct arena *arena, const struct doc_value *event) {
    struct str text = doc_to_json(arena, event);
    size_t before = log->queue.len;
    if (text.n <= EVENT_MAX && buf_add_str(&log->queue, text) && buf_add_char(&log->queue, '\n')) {
        return true;
    }
    log->queue.len = before;
    log->queue.overflow = false;
    return false;
}

static void say_lost(struct audit_log *log, struct arena *arena) {
    struct doc_object out = doc_object_start(arena), notes = doc_object_start(arena);
    doc_object_set_c(&notes, "skiff.dev/lost-events",
                     doc_make_str(arena_printf(arena, "%llu", (unsigned long long)log->lost)));
    doc_object_set_c(&out, "kind", DOC_S("Event"));
    doc_object_set_c(&out, "apiVersion", DOC_S("audit.k8s.io/v1"));
    doc_object_set_c(&out, "level", DOC_S("Metadata"));
    doc_object_set_c(&out, "stage", DOC_S("Panic"));
    doc_object_set_c(&out, "stageTimestamp",
                     doc_make_str(time_format_micro(arena, loop_wall(log->loop))));
    doc_object_set_c(&out, "annotations", doc_object_done(&notes));
    struct doc_value event = doc_object_done(&out);
    if (add_line(log, arena, &event)) {
        log->lost = 0;
    }
}

void audit_log_add(struct audit_log *log, const struct audit_info *info,
                   const struct audit_outcome *outcome) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    if (log->lost) {
        say_lost(log, arena);
    }
    struct doc_value event = event_value(arena, info, outcome, loop_wall(log->loop));
    if (!add_line(log, arena, &event)) {
        log->lost++;
        log->lost_total++;
        if (log->lost == 1) {
            LOG(LOG_ERROR, "audit", "the disk is too slow for the audit log: events are lost");
        }
    }
    if (!log->writing && log->queue.len) {
        start_writing(log);
    }
}

uint64_t audit_log_lost(const struct audit_log *log) {
    return log->lost_total;
}

struct audit_log *audit_log_create(struct loop *loop, const char *path, int64_t max_bytes,
                                   unsigned files, struct err *err) {
    struct audit_log *log = NEW(struct audit_log);
    *log = (struct audit_log){
        .loop = loop, .path = xstrdup(str_from(path)), .max_bytes = max_bytes, .files = files};
    buf_init(&log->queue, QUEUE_MAX);
    buf_init(&log->flight, QUEUE_MAX);
    if (strlen(path) + 16 > PATH_MAX_BYTES || !open_file(log)) {
        err_errno(err, log->failure ? log->failure : ENAMETOOLONG, "cannot write the audit log %s",
                  path);
        log->fd = -1;
        audit_log_destroy(log);
        return NULL;
    }
    return log;
}

void audit_log_destroy(struct audit_log *log) {
    if (!log) {
        return;
    }
    CHECK(!log->writing); // the loop ran out before
    if (log->queue.len) {
        struct buf full = log->queue;
        log->queue = log->flight;
        log->flight = full;
        write_lines(log);
    }
    if (log->fd >= 0) {
        close(log->fd);
    }
    buf_fini(&log->queue);
    buf_fini(&log->flight);
    free(log->path);
    free(log);
}
