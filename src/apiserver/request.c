// SPDX-License-Identifier: Apache-2.0
// From a path, a query and headers to a request. Everything here comes from outside and is fuzzed
// (fuzz/fuzz_apiserver_path.c); nothing here looks at the state of the server.
#include "apiserver/core.h"

#include "http/query.h"

static bool no_such_path(struct arena *arena, struct api_error *error) {
    return api_error_set(error, arena, 404, "NotFound",
                         "the server could not find the requested resource");
}

static bool bad_request(struct arena *arena, struct api_error *error, const char *what,
                        struct str value) {
    return api_error_set(error, arena, 400, "BadRequest", "invalid value for %s: \"%.*s\"", what,
                         STR_ARG(value));
}

// ---- Paths ----
// /api/v1/... or /apis/GROUP/VERSION/..., then
//   [watch/] [namespaces/NS/] RESOURCE [/NAME [/SUBRESOURCE]]
// where /namespaces/NS[/SUBRESOURCE] with nothing behind it is the namespace itself.
static bool parse_path(struct arena *arena, struct str path, struct api_request *out, bool *watch,
                       struct api_error *error) {
    struct str *parts;
    size_t n;
    struct err err = {0};
    if (!path_split(path, arena, &parts, &n, &err)) {
        return api_error_set(error, arena, 400, "BadRequest", "the path is not valid: %s",
                             err.message);
    }
    size_t at;
    if (n >= 3 && str_eq(parts[0], STR("api"))) {
        out->gvr.version = parts[1];
        at = 2;
    } else if (n >= 4 && str_eq(parts[0], STR("apis"))) {
        out->gvr.group = parts[1];
        out->gvr.version = parts[2];
        at = 3;
    } else {
        return no_such_path(arena, error);
    }
    *watch = str_eq(parts[at], STR("watch")) && n > at + 1;
    at += *watch ? 1 : 0;
    if (str_eq(parts[at], STR("namespaces")) && n > at + 2 &&
        !(!out->gvr.group.n && n == at + 3 &&
          (str_eq(parts[at + 2], STR("status")) || str_eq(parts[at + 2], STR("finalize"))))) {
        out->ns = parts[at + 1];
        at += 2;
    }
    if (n > at + 3) {
        return no_such_path(arena, error);
    }
    out->gvr.resource = parts[at];
    out->name = n > at + 1 ? parts[at + 1] : (struct str){NULL, 0};
    out->subresource = n > at + 2 ? parts[at + 2] : (struct str){NULL, 0};
    return true;
}

// ---- Queries ----
// Whatever does not say false is true, as kube-apiserver reads it.
static bool parse_bool(struct str value, bool *out) {
    *out = !str_eq_nocase(value, STR("false")) && !str_eq(value, STR("0"));
    return true;
}

static bool parse_propagation(struct str value, struct api_request *out) {
    if (str_eq(value, STR("Foreground"))) {
        out->propagation = KUBE_FOREGROUND;
    } else if (str_eq(value, STR("Background"))) {
        out->propagation = KUBE_BACKGROUND;
    } else if (str_eq(value, STR("Orphan"))) {
        out->propagation = KUBE_ORPHAN;
    } else {
        return false;
    }
    return true;
}

enum option_kind { OPTION_TEXT, OPTION_BOOL, OPTION_INT };
struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
};
#define OPTION(name, kind, field) \
    { name, kind, offsetof(struct api_request, field) }

static const struct option options[] = {
    OPTION("labelSelector", OPTION_TEXT, label_selector),
    OPTION("fieldSelector", OPTION_TEXT, field_selector),
    OPTION("resourceVersion", OPTION_TEXT, resource_version),
    OPTION("resourceVersionMatch", OPTION_TEXT, resource_version_match),
    OPTION("continue", OPTION_TEXT, continue_token),
    OPTION("fieldManager", OPTION_TEXT, field_manager),
    OPTION("fieldValidation", OPTION_TEXT, field_validation),
    OPTION("includeObject", OPTION_TEXT, include),
    OPTION("limit", OPTION_INT, limit),
    OPTION("timeoutSeconds", OPTION_INT, timeout_seconds),
    OPTION("gracePeriodSeconds", OPTION_INT, grace_seconds),
    OPTION("force", OPTION_BOOL, force),
    OPTION("sendInitialEvents", OPTION_BOOL, send_initial_events),
    OPTION("allowWatchBookmarks", OPTION_BOOL, allow_bookmarks),
};

static bool take_option(struct arena *arena, const struct query_pair *pair, struct api_request *out,
                        struct api_error *error) {
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!str_eq_c(pair->name, options[i].name)) {
            continue;
        }
        void *field = (char *)out + options[i].offset;
        bool ok = true;
        if (options[i].kind == OPTION_TEXT) {
            *(struct str *)field = pair->value;
        } else if (options[i].kind == OPTION_BOOL) {
            ok = parse_bool(pair->value, field);
        } else {
            ok = pair->value.n == 0 || str_to_int64(pair->value, field);
        }
        out->initial_events_given |=
            options[i].offset == offsetof(struct api_request, send_initial_events);
        return ok || api_error_set(error, arena, 400, "BadRequest",
                                   "strconv.ParseInt: parsing \"%.*s\": invalid syntax",
                                   STR_ARG(pair->value));
    }
    return true; // unknown options are ignored, as kube-apiserver does
}

// As the options of the method's kind, which are an object of their own in Kubernetes.
static bool bad_option(struct arena *arena, struct api_error *error, struct str method,
                       const char *path, struct str message) {
    struct api_kind kind = {.group = STR("meta.k8s.io"), .kind = STR("CreateOptions")};
    if (str_eq(method, STR("PUT"))) {
        kind.kind = STR("UpdateOptions");
    } else if (str_eq(method, STR("PATCH"))) {
        kind.kind = STR("PatchOptions");
    } else if (str_eq(method, STR("DELETE"))) {
        kind.kind = STR("DeleteOptions");
    }
    struct schema_problem problem = {
        .path = str_from(path), .reason = STR("FieldValueNotSupported"), .message = message};
    return api_error_invalid(error, arena, &kind, (struct str){"", 0}, &problem, 1);
}

static bool parse_query(struct arena *arena, struct str method, struct str query,
                        struct api_request *out, bool *watch, struct api_error *error) {
    struct query_pair *pairs;
    size_t n;
    struct err err = {0};
    if (!query_parse(query, arena, &pairs, &n, &err)) {
        return api_error_set(error, arena, 400, "BadRequest", "the query is not valid: %s",
                             err.message);
    }
    for (size_t i = n; i-- > 0;) { // the first of several counts
        struct str name = pairs[i].name;
        struct str value = pairs[i].value;
        bool flag;
        if (str_eq(name, STR("watch"))) {
            if (!parse_bool(value, &flag)) {
                return bad_request(arena, error, "watch", value);
            }
            *watch = flag;
        } else if (str_eq(name, STR("dryRun"))) {
            if (!str_eq(value, STR("All"))) {
                return bad_option(arena, error, method, "dryRun",
                                  arena_printf(arena,
                                               "Unsupported value: [\"%.*s\"]: supported values: "
                                               "\"All\"",
                                               STR_ARG(value)));
            }
            out->dry_run = true;
        } else if (str_eq(name, STR("propagationPolicy"))) {
            if (!parse_propagation(value, out)) {
                return bad_option(
                    arena, error, method, "propagationPolicy",
                    arena_printf(arena,
                                 "Unsupported value: \"%.*s\": supported values: "
                                 "\"Foreground\", \"Background\", \"Orphan\", \"nil\"",
                                 STR_ARG(value)));
            }
        } else if (str_eq(name, STR("orphanDependents"))) {
            if (!parse_bool(value, &flag)) {
                return bad_request(arena, error, "orphanDependents", value);
            }
            out->propagation = flag ? KUBE_ORPHAN : KUBE_BACKGROUND;
        } else if (!take_option(arena, &pairs[i], out, error)) {
            return false;
        }
    }
    if (out->field_validation.n && !str_eq(out->field_validation, STR("Strict")) &&
        !str_eq(out->field_validation, STR("Warn")) &&
        !str_eq(out->field_validation, STR("Ignore"))) {
        return bad_option(arena, error, method, "fieldValidation",
                          arena_printf(arena,
                                       "Unsupported value: \"%.*s\": supported values: \"\", "
                                       "\"Ignore\", \"Strict\", \"Warn\"",
                                       STR_ARG(out->field_validation)));
    }
    return true;
}

static bool pick_verb(struct str method, struct api_request *out, bool watch) {
    bool one = out->name.n > 0;
    if (str_eq(method, STR("GET"))) {
        out->verb = watch ? API_VERB_WATCH : one ? API_VERB_GET : API_VERB_LIST;
    } else if (str_eq(method, STR("POST"))) {
        out->verb = API_VERB_CREATE;
        return !one || out->subresource.n > 0;
    } else if (str_eq(method, STR("PUT"))) {
        out->verb = API_VERB_UPDATE;
        return one;
    } else if (str_eq(method, STR("PATCH"))) {
        out->verb = API_VERB_PATCH;
        return one;
    } else if (str_eq(method, STR("DELETE"))) {
        out->verb = one ? API_VERB_DELETE : API_VERB_DELETE_COLLECTION;
    } else {
        return false;
    }
    return true;
}

bool api_request_parse(struct arena *arena, struct str method, struct str path, struct str query,
                       struct api_request *out, struct api_error *error) {
    bool watch_path = false;
    bool watch = false;
    *out = (struct api_request){.grace_seconds = -1, .query = query};
    if (!parse_path(arena, path, out, &watch_path, error)) {
        return false;
    }
    if (!parse_query(arena, method, query, out, &watch, error)) {
        pick_verb(method, out, watch_path || watch); // to ask whether he may have asked at all
        return false;
    }
    // An object is watched by the old form of path only; the option alone reads it.
    if (!pick_verb(method, out, watch_path || (watch && !out->name.n))) {
        return api_error_set(error, arena, 405, "MethodNotAllowed",
                             "the server does not allow this method on the requested resource");
    }
    return true;
}

// ---- Options that go together ----
struct option_problems {
    struct schema_problem items[4];
    size_t count;
};

static void add_problem(struct option_problems *problems, const char *path, const char *reason,
                        struct str message) {
    if (problems->count < ARRAY_LEN(problems->items)) {
        problems->items[problems->count++] = (struct schema_problem){
            .path = str_from(path), .reason = str_from(reason), .message = message};
    }
}

static void forbid(struct option_problems *problems, const char *path, const char *message) {
    add_problem(problems, path, "FieldValueForbidden", str_from(message));
}

static void check_match(struct arena *arena, const struct api_request *request,
                        struct option_problems *problems) {
    static const char path[] = "resourceVersionMatch";
    struct str match = request->resource_version_match;
    bool watch = request->verb == API_VERB_WATCH;
    bool exact = str_eq(match, STR("Exact")), newer = str_eq(match, STR("NotOlderThan"));
    if (watch && request->initial_events_given && !newer) {
        forbid(problems, path,
               "Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
               "NotOlderThan");
    }
    if (match.n && watch && !request->initial_events_given) {
        forbid(problems, path,
               "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents "
               "is provided");
    }
    if (match.n && !watch && !request->resource_version.n) {
        forbid(problems, path,
               "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if (match.n && !newer && (watch || !exact)) {
        add_problem(problems, path, "FieldValueNotSupported",
                    arena_printf(arena, "Unsupported value: \"%.*s\": supported values: %s",
                                 STR_ARG(match),
                                 watch ? "\"NotOlderThan\"" : "\"Exact\", \"NotOlderThan\", \"\""));
    }
    if ((match.n || watch) && request->continue_token.n) {
        forbid(problems, path,
               "Forbidden: resourceVersionMatch is forbidden when continue is provided");
    }
    if (!watch && exact && str_eq(request->resource_version, STR("0"))) {
        forbid(problems, path,
               "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
}

bool api_request_check_list(struct arena *arena, const struct api_request *request,
                            struct api_error *error) {
    static const struct api_kind list_options = {.group = STR_INIT("meta.k8s.io"),
                                                 .kind = STR_INIT("ListOptions")};
    struct option_problems problems = {.count = 0};
    if (!request->resource_version_match.n && !request->initial_events_given &&
        !(request->verb == API_VERB_WATCH && request->continue_token.n)) {
        return true;
    }
    check_match(arena, request, &problems);
    if (request->verb != API_VERB_WATCH && request->initial_events_given) {
        forbid(&problems, "sendInitialEvents",
               "Forbidden: sendInitialEvents is forbidden for list");
    }
    return problems.count == 0 ||
           api_error_invalid(error, arena, &list_options, (struct str){"", 0}, problems.items,
                             problems.count);
}

// ---- Headers ----
static struct str parameter(struct str parameters, struct str name) {
    struct str part;
    while (str_next(&parameters, ';', &part)) {
        struct str key, value;
        str_cut(str_trim(part), '=', &key, &value);
        if (str_eq(str_trim(key), name)) {
            return str_trim(value);
        }
    }
    return (struct str){NULL, 0};
}

static bool accept_one(struct str type, struct api_request *request) {
    struct str media, parameters;
    str_cut(type, ';', &media, &parameters);
    media = str_trim(media);
    if (!str_eq(media, STR("application/json")) && !str_eq(media, STR("*/*")) &&
        !str_eq(media, STR("application/*"))) {
        return false;
    }
    struct str as = parameter(parameters, STR("as"));
    struct str version = parameter(parameters, STR("v"));
    bool known = str_eq(parameter(parameters, STR("g")), STR("meta.k8s.io")) &&
                 (str_eq(version, STR("v1")) || str_eq(version, STR("v1beta1")));
    if (!as.n) {
        request->output = API_OUTPUT_OBJECT;
    } else if (known && str_eq(as, STR("Table"))) {
        request->output = API_OUTPUT_TABLE;
    } else if (known && (str_eq(as, STR("PartialObjectMetadata")) ||
                         str_eq(as, STR("PartialObjectMetadataList")))) {
        request->output = API_OUTPUT_PARTIAL;
    } else {
        return false;
    }
    return true;
}

bool api_request_accept(struct arena *arena, struct str accept, struct api_request *request,
                        struct api_error *error) {
    if (!str_trim(accept).n) {
        return true;
    }
    struct str rest = accept;
    struct str type;
    while (str_next(&rest, ',', &type)) {
        if (accept_one(str_trim(type), request)) {
            return true;
        }
    }
    return api_error_set(error, arena, 406, "NotAcceptable",
                         "406: Not Acceptable\n\nAvailable representations: application/json, "
                         "application/json;stream=watch");
}

bool api_request_content_type(struct arena *arena, struct str type, struct api_request *request,
                              struct api_error *error) {
    static const struct {
        const char *media;
        enum kube_patch patch;
        bool yaml;
    } patches[] = {
        {"application/json-patch+json", KUBE_PATCH_JSON, false},
        {"application/merge-patch+json", KUBE_PATCH_MERGE, false},
        {"application/strategic-merge-patch+json", KUBE_PATCH_STRATEGIC, false},
        {"application/apply-patch+yaml", KUBE_PATCH_APPLY, true},
    };
    struct str media, parameters;
    str_cut(type, ';', &media, &parameters);
    media = str_trim(media);
    if (request->verb == API_VERB_PATCH) {
        for (size_t i = 0; i < ARRAY_LEN(patches); i++) {
            if (str_eq_nocase(media, str_from(patches[i].media))) {
                request->patch = patches[i].patch;
                request->body_yaml = patches[i].yaml;
                return true;
            }
        }
        api_error_set(error, arena, 415, "UnsupportedMediaType", "415: Unsupported Media Type");
        error->details = (struct doc_value){.kind = DOC_OBJECT};
        return false;
    }
    if (!media.n || str_eq_nocase(media, STR("application/json"))) {
        return true;
    }
    if (str_eq_nocase(media, STR("application/yaml"))) {
        request->body_yaml = true;
        return true;
    }
    if (str_eq_nocase(media, STR("application/vnd.kubernetes.protobuf"))) {
        request->body_protobuf = true; // of built-in kinds; replies are JSON
        return true;
    }
    return api_error_set(error, arena, 415, "UnsupportedMediaType",
                         "the body of the request was in an unknown format - accepted media types "
                         "include: application/json, application/yaml, "
                         "application/vnd.kubernetes.protobuf");
}
