// SPDX-License-Identifier: Apache-2.0
// The words of Kubernetes' validation errors, the checks that many kinds share, and helpers for defaults.
#include "apiserver/admit_internal.h"
#include "base/limits.h"
#include "base/text.h"

#include <arpa/inet.h>

// ---- Problems ----

struct str admit_path_of(struct admit *a, const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str path = arena_vprintf(a->arena, format, args);
    va_end(args);
    return path;
}

const struct doc_value *admit_text_value(struct admit *a, const char *text) {
    struct doc_value *value = ARENA_NEW(a->arena, struct doc_value);
    *value = doc_make_str(str_from(text));
    return value;
}

static void add_problem(struct admit *a, struct str path, struct str reason, struct str message) {
    if (a->problem_count == a->problem_cap) {
        size_t cap = a->problem_cap ? a->problem_cap * 2 : 4;
        a->problems =
            arena_grow(a->arena, a->problems, a->problem_cap * sizeof(struct schema_problem),
                       cap * sizeof(struct schema_problem));
        a->problem_cap = cap;
    }
    a->problems[a->problem_count++] =
        (struct schema_problem){.path = path, .message = message, .reason = reason};
}

// Strings in quotes, other scalars bare, objects as JSON, absent as "null".
static struct str value_words(struct admit *a, const struct doc_value *value) {
    return doc_is_null(value) ? STR("null") : doc_to_json(a->arena, value);
}

void admit_problem_add(struct admit *a, const struct schema_problem *problem) {
    add_problem(a, problem->path, problem->reason, problem->message);
}

void admit_problem_invalid(struct admit *a, struct str path, const struct doc_value *value,
                           const char *format, ...) {
    va_list args;
    va_start(args, format);
    struct str detail = arena_vprintf(a->arena, format, args), words = value_words(a, value);
    va_end(args);
    add_problem(
        a, path, STR("FieldValueInvalid"),
        arena_printf(a->arena, "Invalid value: %.*s: %.*s", STR_ARG(words), STR_ARG(detail)));
}

void admit_problem_required(struct admit *a, struct str path, const char *detail) {
    add_problem(a, path, STR("FieldValueRequired"),
                detail[0] ? arena_printf(a->arena, "Required value: %s", detail)
                          : STR("Required value"));
}

void admit_problem_forbidden(struct admit *a, struct str path, const char *detail) {
    add_problem(a, path, STR("FieldValueForbidden"),
                arena_printf(a->arena, "Forbidden: %s", detail));
}

void admit_problem_duplicate(struct admit *a, struct str path, const struct doc_value *value) {
    admit_problem_duplicate_text(a, path, value_words(a, value));
}

void admit_problem_duplicate_text(struct admit *a, struct str path, struct str words) {
    add_problem(a, path, STR("FieldValueDuplicate"),
                arena_printf(a->arena, "Duplicate value: %.*s", STR_ARG(words)));
}

void admit_problem_not_found(struct admit *a, struct str path, const struct doc_value *value) {
    struct str words = value_words(a, value);
    add_problem(a, path, STR("FieldValueNotFound"),
                arena_printf(a->arena, "Not found: %.*s", STR_ARG(words)));
}

void admit_problem_too_long(struct admit *a, struct str path, size_t max) {
    add_problem(a, path, STR("FieldValueTooLong"),
                arena_printf(a->arena, "Too long: may not be more than %zu bytes", max));
}

void admit_problem_unsupported(struct admit *a, struct str path, const struct doc_value *value,
                               const char *supported) {
    admit_problem_unsupported_text(a, path, value_words(a, value), supported);
}

void admit_problem_unsupported_text(struct admit *a, struct str path, struct str words,
                                    const char *supported) {
    struct str list = {"", 0}, rest = str_from(supported), one;
    while (str_next(&rest, ' ', &one)) {
        list = arena_printf(a->arena, "%.*s%s\"%.*s\"", STR_ARG(list), list.n ? ", " : "",
                            STR_ARG(one));
    }
    add_problem(a, path, STR("FieldValueNotSupported"),
                arena_printf(a->arena, "Unsupported value: %.*s: supported values: %.*s",
                             STR_ARG(words), STR_ARG(list)));
}

void admit_problem_too_many(struct admit *a, struct str path, size_t count, size_t max) {
    add_problem(a, path, STR("FieldValueTooMany"),
                arena_printf(a->arena, "Too many: %zu: must have at most %zu items", count, max));
}

void admit_warn(struct admit *a, struct str text) {
    struct api_admission *admission = a->admission;
    admission->warnings =
        arena_grow(a->arena, admission->warnings, admission->warning_count * sizeof(struct str),
                   (admission->warning_count + 1) * sizeof(struct str));
    admission->warnings[admission->warning_count++] = text;
}

// ---- Checks ----

static bool is_choice(struct str value, const char *supported) {
    struct str rest = str_from(supported), one;
    while (str_next(&rest, ' ', &one)) {
        if (str_eq(one, value)) {
            return true;
        }
    }
    return false;
}

void admit_check_choice(struct admit *a, struct str path, const struct doc_value *value,
                        const char *supported) {
    if (!doc_is_null(value) && !is_choice(doc_str(value), supported)) {
        admit_problem_unsupported(a, path, value, supported);
    }
}

void admit_check_not_negative(struct admit *a, struct str path, const struct doc_value *value) {
    if (!doc_is_null(value) && doc_int(value, -1) < 0) {
        admit_problem_invalid(a, path, value, "must be greater than or equal to 0");
    }
}

void admit_check_port(struct admit *a, struct str path, const struct doc_value *value) {
    int64_t port = doc_int(value, 0);
    if (!doc_is_null(value) && (port < 1 || port > 65535)) {
        admit_problem_invalid(a, path, value, "must be between 1 and 65535, inclusive");
    }
}

// IANA service name: lower-case letters, digits and single dashes, at most 15, one letter at least.
void admit_check_port_name(struct admit *a, struct str path, const struct doc_value *value) {
    struct str s = doc_str(value);
    bool letter = false, right = s.n > 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        letter = letter || (c >= 'a' && c <= 'z');
        right = right && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
    }
    if (s.n > 15) {
        admit_problem_invalid(a, path, value, "must be no more than 15 characters");
    }
    if (!right) {
        admit_problem_invalid(
            a, path, value,
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if (!letter) {
        admit_problem_invalid(a, path, value, "must contain at least one letter (a-z)");
    }
    if (str_has(s, STR("--"))) {
        admit_problem_invalid(a, path, value, "must not contain consecutive hyphens");
    }
    if (s.n > 0 && (s.p[0] == '-' || s.p[s.n - 1] == '-')) {
        admit_problem_invalid(a, path, value, "must not begin or end with a hyphen");
    }
}

static bool is_ip(struct str s, int *family) {
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *family = str_find_char(s, ':') != STR_NPOS ? AF_INET6 : AF_INET;
    return inet_pton(*family, text, bytes) == 1;
}

void admit_check_ip(struct admit *a, struct str path, const struct doc_value *value) {
    int family;
    if (!is_ip(doc_str(value), &family)) {
        admit_problem_invalid(a, path, value ? value : admit_text_value(a, ""),
                              "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
}

bool admit_check_cidr(struct admit *a, struct str path, const struct doc_value *value) {
    struct str address, bits;
    int family;
    int64_t length;
    if (str_cut(doc_str(value), '/', &address, &bits) && is_ip(address, &family) &&
        str_to_int64(bits, &length) && length >= 0 && length <= (family == AF_INET ? 32 : 128)) {
        return true;
    }
    admit_problem_invalid(a, path, value ? value : admit_text_value(a, ""),
                          "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    return false;
}

// A count or a part in percent; `part` says that more than everything makes no sense.
void admit_check_count_or_percent(struct admit *a, struct str path, const struct doc_value *value,
                                  bool part) {
    if (!doc_is(value, DOC_STRING)) {
        admit_check_not_negative(a, path, value);
        return;
    }
    struct str text = doc_str(value), digits = text;
    int64_t percent = -1;
    if (str_ends(text, STR("%"))) {
        digits = str_first(text, text.n - 1);
    }
    bool right = digits.n < text.n && digits.n > 0 && digits.p[0] != '-' && digits.p[0] != '+' &&
                 str_to_int64(digits, &percent);
    if (!right) {
        admit_problem_invalid(a, path, value,
                              "a valid percent string must be a numeric string followed by an "
                              "ending '%%' (e.g. '1%%',  or '93%%', regex used for validation is "
                              "'[0-9]+%%')");
    } else if (part && percent > 100) {
        admit_problem_invalid(a, path, value, "must not be greater than 100%%");
    }
}

void admit_check_port_or_name(struct admit *a, struct str path, const struct doc_value *value) {
    if (!doc_is(value, DOC_STRING)) {
        admit_check_port(a, path, value);
    } else {
        admit_check_port_name(a, path, value);
    }
}

static const char dns_label_words[] =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
static const char dns_subdomain_words[] =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

void admit_check_dns_label(struct admit *a, struct str path, const struct doc_value *value) {
    struct str s = doc_str(value);
    if (s.n > 63) {
        admit_problem_invalid(a, path, value, "must be no more than 63 characters");
    } else if (!name_is_dns_label(s)) {
        admit_problem_invalid(a, path, value, "%s", dns_label_words);
    }
}

void admit_check_dns_subdomain(struct admit *a, struct str path, const struct doc_value *value) {
    struct str s = doc_str(value);
    if (s.n > LIMIT_NAME) {
        admit_problem_invalid(a, path, value, "must be no more than 253 characters");
    } else if (!name_is_dns_subdomain(s)) {
        admit_problem_invalid(a, path, value, "%s", dns_subdomain_words);
    }
}

void admit_check_label_key(struct admit *a, struct str path, struct str key) {
    struct doc_value value = doc_make_str(key);
    if (name_is_label_key(key)) {
        return;
    }
    static const char words[] =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
        "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    struct str prefix, name;
    bool prefixed = str_cut(key, '/', &prefix, &name);
    name = prefixed ? name : key;
    if (str_find_char(name, '/') != STR_NPOS) {
        admit_problem_invalid(
            a, path, &value,
            "a valid label key %s with an optional DNS subdomain prefix and '/' (e.g. "
            "'example.com/MyName')",
            words);
        return;
    }
    if (prefixed && prefix.n == 0) {
        admit_problem_invalid(a, path, &value, "prefix part must be non-empty");
    } else if (prefixed && !name_is_dns_subdomain(prefix)) {
        admit_problem_invalid(a, path, &value, "prefix part %s", dns_subdomain_words);
    }
    if (name.n == 0) {
        admit_problem_invalid(a, path, &value, "name part must be non-empty");
        admit_problem_invalid(a, path, &value, "name part %s", words);
    } else if (name.n > 63) {
        admit_problem_invalid(a, path, &value, "name part must be no more than 63 bytes");
    } else if (!name_is_label_key(name)) {
        admit_problem_invalid(a, path, &value, "name part %s", words);
    }
}

static void check_label_value(struct admit *a, struct str path, const struct doc_value *value) {
    struct str s = doc_str(value);
    if (name_is_label_value(s)) {
        return;
    }
    if (s.n > 63) {
        admit_problem_invalid(a, path, value, "must be no more than 63 bytes");
    } else {
        admit_problem_invalid(
            a, path, value,
            "a valid label must be an empty string or consist of alphanumeric "
            "characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
            "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
    }
}

void admit_check_labels(struct admit *a, struct str path, const struct doc_value *labels) {
    for (DOC_EACH_MEMBER(labels, i)) {
        admit_check_label_key(a, path, doc_key_at(labels, i));
        check_label_value(a, path, doc_value_at(labels, i));
    }
}

void admit_check_quantity(struct admit *a, struct str path, const struct doc_value *value) {
    struct str text = doc_is(value, DOC_STRING) ? doc_str(value)
                      : doc_is_null(value)      ? STR("0")
                                                : doc_number_text(value, a->arena);
    struct str canonical;
    if (!quantity_canonical(text, a->arena, &canonical)) {
        admit_problem_invalid(a, path, value,
                              "quantities must match the regular expression "
                              "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    } else if (canonical.n > 0 && canonical.p[0] == '-') {
        admit_problem_invalid(a, path, value, "must be greater than or equal to 0");
    }
}

static void check_expression(struct admit *a, struct str path, const struct doc_value *e) {
    const struct doc_value *op = doc_get(e, "operator"), *values = doc_get(e, "values");
    struct str name = doc_str(op);
    struct str values_path = admit_path_of(a, "%.*s.values", STR_ARG(path));
    if (str_eq(name, STR("In")) || str_eq(name, STR("NotIn"))) {
        if (doc_len(values) == 0) {
            admit_problem_required(a, values_path,
                                   "must be specified when `operator` is 'In' or 'NotIn'");
        }
    } else if (str_eq(name, STR("Exists")) || str_eq(name, STR("DoesNotExist"))) {
        if (doc_len(values) > 0) {
            admit_problem_forbidden(
                a, values_path,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
    } else {
        admit_problem_invalid(a, admit_path_of(a, "%.*s.operator", STR_ARG(path)), op,
                              "not a valid selector operator");
    }
    admit_check_label_key(a, admit_path_of(a, "%.*s.key", STR_ARG(path)), doc_get_str(e, "key"));
}

void admit_check_label_selector(struct admit *a, struct str path,
                                const struct doc_value *selector) {
    admit_check_labels(a, admit_path_of(a, "%.*s.matchLabels", STR_ARG(path)),
                       doc_get(selector, "matchLabels"));
    const struct doc_value *list = doc_get(selector, "matchExpressions");
    for (size_t i = 0; i < doc_len(list); i++) {
        check_expression(a, admit_path_of(a, "%.*s.matchExpressions[%zu]", STR_ARG(path), i),
                         doc_at(list, i));
    }
}

void admit_check_immutable(struct admit *a, struct str path, const struct doc_value *now,
                           const struct doc_value *before) {
    if (doc_is_null(now) && doc_is_null(before)) {
        return;
    }
    if (!doc_equal(now, before)) {
        admit_problem_invalid(a, path, now, "field is immutable");
    }
}

static bool has_item(const struct doc_value *list, struct str text) {
    for (DOC_EACH_ITEM(list, item)) {
        if (str_eq(doc_str(item), text)) {
            return true;
        }
    }
    return false;
}

bool admit_selector_covers(const struct doc_value *selector, const struct doc_value *labels) {
    const struct doc_value *equal = doc_get(selector, "matchLabels");
    for (DOC_EACH_MEMBER(equal, i)) {
        const struct doc_value *have = doc_find(labels, doc_key_at(equal, i));
        if (!have || !str_eq(doc_str(have), doc_str(doc_value_at(equal, i)))) {
            return false;
        }
    }
    for (DOC_EACH_ITEM(doc_get(selector, "matchExpressions"), e)) {
        const struct doc_value *have = doc_find(labels, doc_get_str(e, "key"));
        struct str op = doc_get_str(e, "operator");
        bool listed = have && has_item(doc_get(e, "values"), doc_str(have));
        bool holds = str_eq(op, STR("In"))       ? listed
                     : str_eq(op, STR("NotIn"))  ? !listed
                     : str_eq(op, STR("Exists")) ? have != NULL
                                                 : have == NULL;
        if (!holds) {
            return false;
        }
    }
    return true;
}

// ---- Metadata ----

enum name_rule { NAME_SUBDOMAIN, NAME_LABEL, NAME_PATH, NAME_SERVICE };

static enum name_rule name_rule_of(const struct api_kind *kind) {
    if (str_starts(kind->group, STR("rbac.")) || str_eq(kind->kind, STR("APIService"))) {
        return NAME_PATH; // "system:node" and the like
    }
    if (kind->group.n == 0 && str_eq(kind->kind, STR("Service"))) {
        return NAME_SERVICE;
    }
    return kind->group.n == 0 && str_eq(kind->kind, STR("Namespace")) ? NAME_LABEL : NAME_SUBDOMAIN;
}

static void check_service_name(struct admit *a, const struct doc_value *name) {
    struct str s = doc_str(name);
    if (s.n > 63) {
        admit_problem_invalid(a, STR("metadata.name"), name, "must be no more than 63 characters");
    } else if (str_find_char(s, '.') != STR_NPOS) {
        admit_problem_invalid(a, STR("metadata.name"), name, "must not contain dots");
    } else if (!name_is_dns_label(s) || (s.p[0] >= '0' && s.p[0] <= '9')) {
        admit_problem_invalid(
            a, STR("metadata.name"), name,
            "a DNS-1035 label must consist of lower case alphanumeric characters or "
            "'-', start with an alphabetic character, and end with an alphanumeric "
            "character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
            "'[a-z]([-a-z0-9]*[a-z0-9])?')");
    }
}

static void check_name(struct admit *a, const struct doc_value *name) {
    struct str s = doc_str(name);
    struct str path = STR("metadata.name");
    switch (name_rule_of(a->kind)) {
    case NAME_LABEL:
        if (str_find_char(s, '.') != STR_NPOS) {
            admit_problem_invalid(a, path, name, "must not contain dots");
        } else {
            admit_check_dns_label(a, path, name);
        }
        break;
    case NAME_SERVICE:
        check_service_name(a, name);
        break;
    case NAME_SUBDOMAIN:
        admit_check_dns_subdomain(a, path, name);
        break;
    case NAME_PATH:
        if (str_eq(s, STR(".")) || str_eq(s, STR(".."))) {
            admit_problem_invalid(a, path, name, "may not be '%.*s'", STR_ARG(s));
        } else if (str_find_char(s, '/') != STR_NPOS) {
            admit_problem_invalid(a, path, name, "may not contain '/'");
        } else if (str_find_char(s, '%') != STR_NPOS) {
            admit_problem_invalid(a, path, name, "may not contain '%%'");
        }
        break;
    }
}

static void check_annotations(struct admit *a, const struct doc_value *annotations) {
    size_t total = 0;
    for (DOC_EACH_MEMBER(annotations, i)) {
        struct str key = doc_key_at(annotations, i);
        char *lower = arena_cstr(a->arena, key);
        for (size_t c = 0; c < key.n; c++) {
            lower[c] = (char)(lower[c] >= 'A' && lower[c] <= 'Z' ? lower[c] + 32 : lower[c]);
        }
        if (!name_is_label_key(str_make(lower, key.n))) {
            admit_check_label_key(a, STR("metadata.annotations"), key);
        }
        total += key.n + doc_str(doc_value_at(annotations, i)).n;
    }
    if (total > LIMIT_ANNOTATIONS_BYTES) {
        admit_problem_too_long(a, STR("metadata.annotations"), LIMIT_ANNOTATIONS_BYTES);
    }
}

static void check_owners(struct admit *a, const struct doc_value *owners) {
    bool controller = false;
    for (size_t i = 0; i < doc_len(owners); i++) {
        static const char *const needed[] = {"apiVersion", "kind", "name", "uid"};
        const struct doc_value *owner = doc_at(owners, i);
        for (size_t k = 0; k < ARRAY_LEN(needed); k++) {
            const struct doc_value *value = doc_find(owner, str_from(needed[k]));
            if (doc_str(value).n == 0) {
                struct doc_value empty = DOC_S("");
                admit_problem_invalid(a, admit_path_of(a, "metadata.ownerReferences.%s", needed[k]),
                                      value ? value : &empty, "must not be empty");
            }
        }
        if (doc_bool(doc_get(owner, "controller"), false)) {
            if (controller) {
                admit_problem_invalid(a, STR("metadata.ownerReferences"), owners,
                                      "Only one reference can have Controller set to true");
            }
            controller = true;
        }
    }
}

// Which kinds ask for more of a finalizer than a qualified name: not the custom ones, nor those of these groups.
// The clean-up of a CustomResourceDefinition is such a name without a slash.
static bool has_strict_finalizers(const struct admit *a) {
    static const char loose[] = "apiextensions.k8s.io apiregistration.k8s.io "
                                "admissionregistration.k8s.io coordination.k8s.io";
    return !a->kind->custom && !is_choice(a->kind->group, loose);
}

static void check_finalizers(struct admit *a, const struct doc_value *finalizers) {
    static const char standard[] = "kubernetes orphan foregroundDeletion";
    for (size_t i = 0; i < doc_len(finalizers); i++) {
        const struct doc_value *item = doc_at(finalizers, i);
        admit_check_label_key(a, STR("metadata.finalizers"), doc_str(item));
        if (has_strict_finalizers(a) && str_find_char(doc_str(item), '/') == STR_NPOS &&
            !is_choice(doc_str(item), standard)) {
            admit_problem_invalid(
                a, admit_path_of(a, "metadata.finalizers[%zu]", i), item,
                "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
}

void admit_check_metadata(struct admit *a, const struct doc_value *object) {
    const struct doc_value *metadata = doc_get(object, "metadata");
    const struct doc_value *name = doc_get(metadata, "name");
    if (doc_str(name).n == 0) {
        admit_problem_required(a, STR("metadata.name"), "name or generateName is required");
    } else if (!a->old) {
        check_name(a, name);
    }
    admit_check_labels(a, STR("metadata.labels"), doc_get(metadata, "labels"));
    check_annotations(a, doc_get(metadata, "annotations"));
    check_owners(a, doc_get(metadata, "ownerReferences"));
    check_finalizers(a, doc_get(metadata, "finalizers"));
}

// ---- Defaults ----

struct doc_value admit_empty_object(struct arena *arena) {
    struct doc_object object = doc_object_start(arena);
    return doc_object_done(&object);
}

void admit_set_member(struct arena *arena, struct doc_value *object, const char *key,
                      struct doc_value value) {
    struct doc_object copy =
        doc_is(object, DOC_OBJECT) ? doc_object_copy(arena, object) : doc_object_start(arena);
    doc_object_set_c(&copy, key, value);
    *object = doc_object_done(&copy);
}

void admit_remove_member(struct arena *arena, struct doc_value *object, const char *key) {
    if (doc_find(object, str_from(key))) {
        struct doc_object copy = doc_object_copy(arena, object);
        doc_object_remove(&copy, str_from(key));
        *object = doc_object_done(&copy);
    }
}

static bool is_unset(const struct doc_value *object, const char *key) {
    return doc_is_null(doc_find(object, str_from(key)));
}

void admit_default_str(struct arena *arena, struct doc_value *object, const char *key,
                       const char *text) {
    const struct doc_value *now = doc_find(object, str_from(key));
    if (doc_is_null(now) || (doc_is(now, DOC_STRING) && doc_str(now).n == 0)) {
        admit_set_member(arena, object, key, doc_make_str(str_from(text)));
    }
}

void admit_default_int(struct arena *arena, struct doc_value *object, const char *key,
                       int64_t value) {
    if (is_unset(object, key)) {
        admit_set_member(arena, object, key, doc_make_int(value));
    }
}

void admit_default_bool(struct arena *arena, struct doc_value *object, const char *key,
                        bool value) {
    if (is_unset(object, key)) {
        admit_set_member(arena, object, key, doc_make_bool(value));
    }
}

void admit_default_object(struct arena *arena, struct doc_value *object, const char *key) {
    if (is_unset(object, key)) {
        admit_set_member(arena, object, key, admit_empty_object(arena));
    }
}

void admit_default_in(struct arena *arena, struct doc_value *object, const char *key,
                      default_change *change) {
    const struct doc_value *now = doc_find(object, str_from(key));
    if (doc_is(now, DOC_OBJECT)) {
        struct doc_value value = *now;
        change(arena, &value);
        admit_set_member(arena, object, key, value);
    }
}

void admit_default_each(struct arena *arena, struct doc_value *object, const char *key,
                        default_change *change) {
    const struct doc_value *now = doc_find(object, str_from(key));
    if (doc_len(now) == 0 || !doc_is(now, DOC_ARRAY)) {
        return;
    }
    struct doc_array list = doc_array_start(arena);
    for (DOC_EACH_ITEM(now, item)) {
        struct doc_value value = *item;
        if (doc_is(item, DOC_OBJECT)) {
            change(arena, &value);
        }
        doc_array_add(&list, value);
    }
    admit_set_member(arena, object, key, doc_array_done(&list));
}
