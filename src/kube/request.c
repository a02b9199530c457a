// SPDX-License-Identifier: Apache-2.0
// How a request looks on the wire: method, path, query, body. Pure. It refuses what would mean something else than
// asked: a delete without a name would be a deletion of the whole collection, a name with a slash another path.
#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/timefmt.h"
#include "http/query.h"
#include "kube/internal.h"

enum { PATH_MAX_BYTES = 64 * 1024 }; // continue tokens and selectors are long

struct str kube_gvr_text(struct arena *arena, const struct kube_gvr *gvr) {
    if (gvr->group.n == 0) {
        return arena_printf(arena, "%.*s.%.*s", STR_ARG(gvr->resource), STR_ARG(gvr->version));
    }
    return arena_printf(arena, "%.*s.%.*s.%.*s", STR_ARG(gvr->resource), STR_ARG(gvr->version),
                        STR_ARG(gvr->group));
}

static bool check_segment(const char *what, struct str s, struct err *err) {
    if (s.n > LIMIT_NAME) {
        return err_set(err, ERR_INVALID, "the %s is longer than %d characters", what, LIMIT_NAME);
    }
    bool dots = str_eq(s, STR(".")) || str_eq(s, STR(".."));
    if (dots || str_find_char(s, '/') != STR_NPOS || str_find_char(s, '%') != STR_NPOS ||
        str_find_char(s, '\0') != STR_NPOS) {
        return err_set(err, ERR_INVALID, "\"%.*s\" cannot be the %s of a request", STR_ARG(s),
                       what);
    }
    return true;
}

static void add_segment(struct buf *out, struct str s) {
    buf_add_char(out, '/');
    url_encode(s, out);
}

static void add_query(struct buf *out, bool *any, const char *name, struct str value) {
    if (value.n == 0) {
        return;
    }
    buf_add_char(out, *any ? '&' : '?');
    *any = true;
    buf_add_c(out, name);
    buf_add_char(out, '=');
    url_encode(value, out);
}

static bool add_path(const struct kube_gvr *gvr, struct str ns, struct str name,
                     struct str subresource, struct buf *out, struct err *err) {
    if (gvr->version.n == 0 || gvr->resource.n == 0) {
        return err_set(err, ERR_INVALID, "a request needs a version and a resource");
    }
    if (!check_segment("group", gvr->group, err) || !check_segment("version", gvr->version, err) ||
        !check_segment("resource", gvr->resource, err) || !check_segment("namespace", ns, err) ||
        !check_segment("name", name, err) || !check_segment("subresource", subresource, err)) {
        return false;
    }
    buf_add_c(out, gvr->group.n ? "/apis" : "/api");
    if (gvr->group.n) {
        add_segment(out, gvr->group);
    }
    add_segment(out, gvr->version);
    if (ns.n) {
        buf_add_c(out, "/namespaces");
        add_segment(out, ns);
    }
    add_segment(out, gvr->resource);
    if (name.n) {
        add_segment(out, name);
        if (subresource.n) {
            add_segment(out, subresource);
        }
    }
    return true;
}

static bool check_shape(const struct kube_request *r, struct err *err) {
    static const char *const verbs[] = {
        [KUBE_GET] = "get",       [KUBE_LIST] = "list",   [KUBE_CREATE] = "create",
        [KUBE_UPDATE] = "update", [KUBE_PATCH] = "patch", [KUBE_DELETE] = "delete",
    };
    const char *verb = verbs[r->verb];
    bool needs_name = r->verb != KUBE_LIST && r->verb != KUBE_CREATE;
    if (needs_name && r->name.n == 0) {
        return err_set(err, ERR_INVALID, "a %s of %.*s needs a name", verb,
                       STR_ARG(r->gvr.resource));
    }
    // A create may name an object only together with a subresource (pods/eviction, serviceaccounts/token).
    bool may_name = needs_name || (r->verb == KUBE_CREATE && r->subresource.n > 0);
    if (!may_name && r->name.n > 0) {
        return err_set(err, ERR_INVALID, "a %s of %.*s takes no name", verb,
                       STR_ARG(r->gvr.resource));
    }
    if (r->subresource.n > 0 && r->name.n == 0) {
        return err_set(err, ERR_INVALID, "subresource \"%.*s\" needs a name",
                       STR_ARG(r->subresource));
    }
    if ((r->verb == KUBE_CREATE || r->verb == KUBE_UPDATE || r->verb == KUBE_PATCH) &&
        r->body.n == 0) {
        return err_set(err, ERR_INVALID, "a %s needs a body", verb);
    }
    if (r->verb == KUBE_PATCH && r->patch == KUBE_PATCH_APPLY && r->field_manager.n == 0) {
        return err_set(err, ERR_INVALID, "a server-side apply needs a field manager");
    }
    return true;
}

// Options travel in the body: a server that finds a body there reads the query no more, so that dryRun in the query
// beside a body would be a real deletion.
static bool delete_body(const struct kube_request *r, struct arena *arena, struct str *out,
                        struct err *err) {
    struct doc_object object = doc_object_start(arena);
    if (r->body.n) {
        struct doc_value given;
        if (!doc_parse_json(r->body, arena, &given, err)) {
            return err_wrap(err, "delete options");
        }
        if (!doc_is(&given, DOC_OBJECT)) {
            return err_set(err, ERR_INVALID, "delete options must be an object");
        }
        object = doc_object_copy(arena, &given);
    } else {
        doc_object_set_c(&object, "kind", DOC_S("DeleteOptions"));
        doc_object_set_c(&object, "apiVersion", DOC_S("v1"));
    }
    static const char *const policies[] = {[KUBE_BACKGROUND] = "Background",
                                           [KUBE_FOREGROUND] = "Foreground",
                                           [KUBE_ORPHAN] = "Orphan"};
    if (r->propagation != KUBE_PROPAGATION_DEFAULT) {
        doc_object_set_c(&object, "propagationPolicy",
                         doc_make_str(str_from(policies[r->propagation])));
    }
    if (r->grace_seconds >= 0) {
        doc_object_set_c(&object, "gracePeriodSeconds", doc_make_int(r->grace_seconds));
    }
    if (r->dry_run) {
        struct doc_array all = doc_array_start(arena);
        doc_array_add(&all, DOC_S("All"));
        doc_object_set_c(&object, "dryRun", doc_array_done(&all));
    }
    if (r->precondition_uid.n || r->precondition_version.n) {
        struct doc_object pre = doc_object_start(arena);
        if (r->precondition_uid.n) {
            doc_object_set_c(&pre, "uid", doc_make_str(r->precondition_uid));
        }
        if (r->precondition_version.n) {
            doc_object_set_c(&pre, "resourceVersion", doc_make_str(r->precondition_version));
        }
        doc_object_set_c(&object, "preconditions", doc_object_done(&pre));
    }
    struct doc_value done = doc_object_done(&object);
    *out = doc_to_json(arena, &done);
    return true;
}

static void add_list_options(const struct kube_request *r, struct buf *out, bool *any) {
    add_query(out, any, "labelSelector", r->label_selector);
    add_query(out, any, "fieldSelector", r->field_selector);
    if (r->limit) {
        char number[16];
        int n = snprintf(number, sizeof number, "%" PRIu32, r->limit);
        add_query(out, any, "limit", str_make(number, (size_t)n));
    }
    add_query(out, any, "continue", r->continue_token);
    if (r->continue_token.n == 0) { // a continued list has its version in the token
        add_query(out, any, "resourceVersion", r->resource_version);
        add_query(out, any, "resourceVersionMatch", r->resource_version_match);
    }
}

bool kube_wire_request(const struct kube_request *r, struct arena *arena, struct kube_wire *out,
                       struct err *err) {
    static const char *const methods[] = {
        [KUBE_GET] = "GET",    [KUBE_LIST] = "GET",    [KUBE_CREATE] = "POST",
        [KUBE_UPDATE] = "PUT", [KUBE_PATCH] = "PATCH", [KUBE_DELETE] = "DELETE",
    };
    static const char *const patches[] = {
        [KUBE_PATCH_MERGE] = "application/merge-patch+json",
        [KUBE_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
        [KUBE_PATCH_JSON] = "application/json-patch+json",
        [KUBE_PATCH_APPLY] = "application/apply-patch+yaml",
    };
    if (!check_shape(r, err)) {
        return false;
    }
    AUTO_BUF struct buf path;
    buf_init(&path, PATH_MAX_BYTES);
    if (!add_path(&r->gvr, r->ns, r->name, r->subresource, &path, err)) {
        return false;
    }
    struct kube_wire wire = {.method = methods[r->verb], .body = r->body};
    bool any = false;
    if (r->verb == KUBE_LIST) {
        add_list_options(r, &path, &any);
    } else if (r->verb == KUBE_GET) {
        add_query(&path, &any, "resourceVersion", r->resource_version);
    } else if (r->verb == KUBE_DELETE) {
        if (!delete_body(r, arena, &wire.body, err)) {
            return false;
        }
    } else {
        add_query(&path, &any, "dryRun", r->dry_run ? STR("All") : (struct str){NULL, 0});
        add_query(&path, &any, "fieldManager", r->field_manager);
        add_query(&path, &any, "fieldValidation", r->field_validation);
        if (r->verb == KUBE_PATCH && r->patch == KUBE_PATCH_APPLY && r->force) {
            add_query(&path, &any, "force", STR("true"));
        }
    }
    if (r->verb == KUBE_PATCH) {
        wire.content_type = patches[r->patch];
    } else if (wire.body.n) {
        wire.content_type = "application/json";
    }
    if (path.overflow) {
        return err_set(err, ERR_LIMIT, "the path of the request is longer than %d bytes",
                       PATH_MAX_BYTES);
    }
    wire.path = arena_dup(arena, buf_str(&path));
    *out = wire;
    return true;
}

bool kube_wire_watch(const struct kube_watch_request *r, int64_t timeout_seconds,
                     struct arena *arena, struct str *path, struct err *err) {
    AUTO_BUF struct buf out;
    buf_init(&out, PATH_MAX_BYTES);
    if (!add_path(&r->gvr, r->ns, (struct str){NULL, 0}, (struct str){NULL, 0}, &out, err)) {
        return false;
    }
    bool any = false;
    add_query(&out, &any, "watch", STR("true"));
    add_query(&out, &any, "allowWatchBookmarks", STR("true"));
    add_query(&out, &any, "labelSelector", r->label_selector);
    add_query(&out, &any, "fieldSelector", r->field_selector);
    add_query(&out, &any, "resourceVersion", r->resource_version);
    if (r->send_initial_events) {
        add_query(&out, &any, "sendInitialEvents", STR("true"));
        add_query(&out, &any, "resourceVersionMatch", STR("NotOlderThan"));
    }
    char number[24];
    int n = snprintf(number, sizeof number, "%" PRId64, timeout_seconds);
    add_query(&out, &any, "timeoutSeconds", str_make(number, (size_t)n));
    if (out.overflow) {
        return err_set(err, ERR_LIMIT, "the path of the watch is longer than %d bytes",
                       PATH_MAX_BYTES);
    }
    *path = arena_dup(arena, buf_str(&out));
    return true;
}

int64_t kube_retry_after(struct str header) {
    enum { MOST = 3600 }; // a server that asks for more is not believed
    int64_t seconds;
    if (!str_to_int64(str_trim(header), &seconds) || seconds <= 0) {
        return 0;
    }
    return (seconds < MOST ? seconds : MOST) * NS_PER_SECOND;
}
