// SPDX-License-Identifier: Apache-2.0
// Admission of the core kinds without pods or addresses: namespaces, configuration, storage, nodes, events, quotas.
#include "apiserver/admit_internal.h"
#include "base/text.h"

// ---- Namespaces ----

static void fill_namespace(struct admit *a, struct doc_value *object) {
    struct doc_value name = doc_make_str(doc_get_str(object, "metadata", "name"));
    *object = doc_with(a->arena, object, name, "metadata", "labels", "kubernetes.io/metadata.name");
    if (a->old) {
        // Only the finalize sub-resource may change the list.
        const struct doc_value *kept = doc_get(a->old, "spec", "finalizers");
        if (kept && !doc_get(object, "spec", "finalizers")) {
            *object = doc_with(a->arena, object, *kept, "spec", "finalizers");
        }
        return;
    }
    if (doc_len(doc_get(object, "spec", "finalizers")) == 0) {
        struct doc_array finalizers = doc_array_start(a->arena);
        doc_array_add(&finalizers, DOC_S("kubernetes"));
        *object = doc_with(a->arena, object, doc_array_done(&finalizers), "spec", "finalizers");
    }
    *object = doc_with(a->arena, object, DOC_S("Active"), "status", "phase");
}

// ---- ConfigMap and Secret ----

enum { CONFIG_BYTES_MAX = 1024 * 1024 };

static bool is_config_key(struct str key) {
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.')) {
            return false;
        }
    }
    return key.n > 0 && key.n <= 253 && !str_starts(key, STR(".."));
}

static size_t check_config_keys(struct admit *a, const char *field, const struct doc_value *data) {
    size_t total = 0;
    for (DOC_EACH_MEMBER(data, i)) {
        struct doc_value key = doc_make_str(doc_key_at(data, i));
        total += doc_key_at(data, i).n + doc_str(doc_value_at(data, i)).n;
        struct str text = doc_str(&key);
        if (str_eq(text, STR(".")) || str_eq(text, STR(".."))) {
            admit_problem_invalid(a, admit_path_of(a, "%s[%.*s]", field, STR_ARG(text)), &key,
                                  "must not be '%.*s'", STR_ARG(text));
        } else if (!is_config_key(text)) {
            admit_problem_invalid(
                a, admit_path_of(a, "%s[%.*s]", field, STR_ARG(doc_str(&key))), &key,
                "a valid config key must consist of alphanumeric characters, '-', '_' "
                "or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used "
                "for validation is '[-._a-zA-Z0-9]+')");
        }
    }
    return total;
}

static void check_config_map(struct admit *a, const struct doc_value *object) {
    const struct doc_value *data = doc_get(object, "data"), *binary = doc_get(object, "binaryData");
    size_t total = check_config_keys(a, "data", data) + check_config_keys(a, "binaryData", binary);
    for (DOC_EACH_MEMBER(binary, i)) {
        if (doc_find(data, doc_key_at(binary, i))) {
            struct doc_value key = doc_make_str(doc_key_at(binary, i));
            admit_problem_invalid(a, admit_path_of(a, "data[%.*s]", STR_ARG(doc_key_at(binary, i))),
                                  &key, "duplicate of key present in binaryData");
        }
    }
    if (total > CONFIG_BYTES_MAX) {
        admit_problem_too_long(a, STR("[]"), CONFIG_BYTES_MAX);
    }
}

// Once `immutable` is true it stays, and so does the content.
static void update_sealed(struct admit *a, const struct doc_value *object,
                          const struct doc_value *old, const char *const *fields, size_t count) {
    if (!doc_bool(doc_get(old, "immutable"), false)) {
        return;
    }
    if (!doc_bool(doc_get(object, "immutable"), false)) {
        admit_problem_forbidden(a, STR("immutable"), "field is immutable when `immutable` is set");
    }
    for (size_t i = 0; i < count; i++) {
        const struct doc_value *now = doc_find(object, str_from(fields[i]));
        const struct doc_value *before = doc_find(old, str_from(fields[i]));
        if (doc_len(now) + doc_len(before) > 0 && !doc_equal(now, before)) {
            admit_problem_forbidden(a, str_from(fields[i]),
                                    "field is immutable when `immutable` is set");
        }
    }
}

static void update_config_map(struct admit *a, const struct doc_value *object,
                              const struct doc_value *old) {
    static const char *const fields[] = {"data", "binaryData"};
    update_sealed(a, object, old, fields, ARRAY_LEN(fields));
}

static void fill_secret(struct admit *a, struct doc_value *object) {
    const struct doc_value *texts = doc_get(object, "stringData");
    if (doc_len(texts) > 0) {
        const struct doc_value *now = doc_get(object, "data");
        struct doc_object data =
            doc_is(now, DOC_OBJECT) ? doc_object_copy(a->arena, now) : doc_object_start(a->arena);
        for (DOC_EACH_MEMBER(texts, i)) {
            struct str encoded = base64_encode(a->arena, doc_str(doc_value_at(texts, i)));
            doc_object_set(&data, doc_key_at(texts, i), doc_make_str(encoded));
        }
        admit_set_member(a->arena, object, "data", doc_object_done(&data));
    }
    admit_remove_member(a->arena, object, "stringData");
    admit_default_str(a->arena, object, "type", "Opaque");
}

// Go's words for a text that is no JSON, for the mistakes that are made.
static struct str json_problem(struct admit *a, struct str text) {
    static const char *const literals[] = {"null", "true", "false"};
    struct doc_value value;
    struct err err = {0};
    if (doc_parse_json(text, a->arena, &value, &err)) {
        return (struct str){NULL, 0};
    }
    text = str_trim(text);
    for (size_t l = 0; text.n > 0 && l < ARRAY_LEN(literals); l++) {
        const char *literal = literals[l];
        for (size_t i = 1; text.p[0] == literal[0] && literal[i] && i < text.n; i++) {
            if (text.p[i] != literal[i]) {
                return arena_printf(a->arena,
                                    "invalid character '%c' in literal %s (expecting '%c')",
                                    text.p[i], literal, literal[i]);
            }
        }
    }
    if (text.n > 0 && !memchr("{[\"-0123456789tfn", text.p[0], 17)) {
        return arena_printf(a->arena, "invalid character '%c' looking for beginning of value",
                            text.p[0]);
    }
    return STR("unexpected end of JSON input");
}

static void check_docker_config(struct admit *a, struct str key, const struct doc_value *data) {
    struct str text, problem;
    if (!base64_decode(doc_str(data), a->arena, &text)) {
        return;
    }
    problem = json_problem(a, text);
    if (problem.n) {
        struct doc_value hidden = DOC_S("<secret contents redacted>");
        admit_problem_invalid(a, admit_path_of(a, "data[%.*s]", STR_ARG(key)), &hidden, "%.*s",
                              STR_ARG(problem));
    }
}

static void check_secret(struct admit *a, const struct doc_value *object) {
    static const struct {
        const char *type, *keys;
    } needed[] = {
        {"kubernetes.io/dockercfg", ".dockercfg"},
        {"kubernetes.io/dockerconfigjson", ".dockerconfigjson"},
        {"kubernetes.io/ssh-auth", "ssh-privatekey"},
        {"kubernetes.io/tls", "tls.crt tls.key"},
    };
    const struct doc_value *data = doc_get(object, "data");
    if (check_config_keys(a, "data", data) > CONFIG_BYTES_MAX * 4 / 3) {
        admit_problem_too_long(a, STR("data"), CONFIG_BYTES_MAX);
    }
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (!str_eq_c(doc_get_str(object, "type"), needed[i].type)) {
            continue;
        }
        struct str rest = str_from(needed[i].keys), key;
        while (str_next(&rest, ' ', &key)) {
            if (!doc_find(data, key)) {
                admit_problem_required(a, admit_path_of(a, "data[%.*s]", STR_ARG(key)), "");
            } else if (key.p[0] == '.') {
                check_docker_config(a, key, doc_find(data, key));
            }
        }
    }
    if (str_eq(doc_get_str(object, "type"), STR("kubernetes.io/service-account-token")) &&
        !doc_get_str(object, "metadata", "annotations", "kubernetes.io/service-account.name").n) {
        admit_problem_required(a, STR("metadata.annotations[kubernetes.io/service-account.name]"),
                               "");
    }
    if (str_eq(doc_get_str(object, "type"), STR("kubernetes.io/basic-auth")) &&
        !doc_get(data, "username") && !doc_get(data, "password")) {
        admit_problem_required(a, STR("data[username]"), "");
        admit_problem_required(a, STR("data[password]"), "");
    }
}

static void update_secret(struct admit *a, const struct doc_value *object,
                          const struct doc_value *old) {
    static const char *const fields[] = {"data"};
    admit_check_immutable(a, STR("type"), doc_get(object, "type"), doc_get(old, "type"));
    update_sealed(a, object, old, fields, ARRAY_LEN(fields));
}

// ---- Nodes, limits, endpoints, events ----

static void fill_node(struct admit *a, struct doc_value *object) {
    static const char *const facts[] = {"machineID",       "systemUUID",
                                        "bootID",          "kernelVersion",
                                        "osImage",         "containerRuntimeVersion",
                                        "kubeletVersion",  "kubeProxyVersion",
                                        "operatingSystem", "architecture"};
    admit_default_object(a->arena, object, "spec");
    admit_default_object(a->arena, object, "status");
    if (doc_is_null(doc_get(object, "status", "daemonEndpoints", "kubeletEndpoint", "Port"))) {
        *object = doc_with(a->arena, object, doc_make_int(0), "status", "daemonEndpoints",
                           "kubeletEndpoint", "Port");
    }
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        if (doc_is_null(doc_get(object, "status", "nodeInfo", facts[i]))) {
            *object = doc_with(a->arena, object, DOC_S(""), "status", "nodeInfo", facts[i]);
        }
    }
}

static void check_node(struct admit *a, const struct doc_value *object) {
    const struct doc_value *spec = doc_get(object, "spec"), *taints = doc_get(spec, "taints");
    for (size_t i = 0; i < doc_len(taints); i++) {
        const struct doc_value *effect = doc_get(doc_at(taints, i), "effect");
        admit_check_label_key(a, admit_path_of(a, "metadata.taints[%zu].key", i),
                              doc_get_str(doc_at(taints, i), "key"));
        struct str path = admit_path_of(a, "metadata.taints[%zu].effect", i);
        if (doc_str(effect).n == 0) {
            admit_problem_required(a, path, "");
        } else {
            admit_check_choice(a, path, effect, "NoSchedule PreferNoSchedule NoExecute");
        }
    }
    if (doc_get_str(spec, "podCIDR").n > 0) {
        admit_check_cidr(a, STR("spec.podCIDRs[0]"), doc_get(spec, "podCIDR"));
    }
}

// Where a node stands may be said once.
static void update_node(struct admit *a, const struct doc_value *object,
                        const struct doc_value *old) {
    struct str before = doc_get_str(old, "spec", "podCIDR");
    if (before.n > 0 && !str_eq(before, doc_get_str(object, "spec", "podCIDR"))) {
        admit_problem_forbidden(a, STR("spec.podCIDRs"),
                                "node updates may not change podCIDR except from \"\" to valid");
    }
    before = doc_get_str(old, "spec", "providerID");
    if (before.n > 0 && !str_eq(before, doc_get_str(object, "spec", "providerID"))) {
        admit_problem_forbidden(a, STR("spec.providerID"),
                                "node updates may not change providerID except from \"\" to valid");
    }
}

static void fill_limit(struct arena *arena, struct doc_value *limit) {
    if (!str_eq(doc_get_str(limit, "type"), STR("Container"))) {
        return;
    }
    static const char *const chain[][2] = {
        {"default", "max"}, {"defaultRequest", "default"}, {"defaultRequest", "min"}};
    for (size_t c = 0; c < ARRAY_LEN(chain); c++) {
        const struct doc_value *from = doc_find(limit, str_from(chain[c][1]));
        for (DOC_EACH_MEMBER(from, i)) {
            struct str key = doc_key_at(from, i);
            if (!doc_find(doc_find(limit, str_from(chain[c][0])), key)) {
                *limit = doc_with(arena, limit, *doc_value_at(from, i), chain[c][0],
                                  arena_cstr(arena, key));
                from = doc_find(limit, str_from(chain[c][1]));
            }
        }
    }
}

static void fill_limits(struct arena *arena, struct doc_value *spec) {
    admit_default_each(arena, spec, "limits", fill_limit);
}

static void fill_limit_range(struct admit *a, struct doc_value *object) {
    admit_default_in(a->arena, object, "spec", fill_limits);
}

// An amount that is above another one of the same name.
static void check_order(struct admit *a, struct str path, const char *field, const char *name,
                        const struct doc_value *low, const char *high_name,
                        const struct doc_value *high) {
    for (DOC_EACH_MEMBER(low, i)) {
        struct str key = doc_key_at(low, i);
        const struct doc_value *limit = doc_find(high, key), *amount = doc_value_at(low, i);
        int order;
        if (limit && quantity_compare(doc_str(amount), doc_str(limit), &order) && order > 0) {
            admit_problem_invalid(
                a, admit_path_of(a, "%.*s.%s[%.*s]", STR_ARG(path), field, STR_ARG(key)),
                str_eq_c(STR("default"), field) ? limit : amount,
                "%s value %.*s is greater than %s value %.*s", name, STR_ARG(doc_str(amount)),
                high_name, STR_ARG(doc_str(limit)));
        }
    }
}

// What is taken when nothing is asked for lies above the least.
static void check_least(struct admit *a, struct str path, const struct doc_value *limit,
                        const char *field, const char *name) {
    const struct doc_value *least = doc_get(limit, "min"), *list = doc_find(limit, str_from(field));
    for (DOC_EACH_MEMBER(least, i)) {
        struct str key = doc_key_at(least, i);
        const struct doc_value *amount = doc_find(list, key), *min = doc_value_at(least, i);
        int order;
        if (amount && quantity_compare(doc_str(min), doc_str(amount), &order) && order > 0) {
            bool request = str_eq_c(STR("defaultRequest"), field);
            admit_problem_invalid(
                a, admit_path_of(a, "%.*s.%s[%.*s]", STR_ARG(path), field, STR_ARG(key)),
                request ? amount : min, "min value %.*s is greater than %s value %.*s",
                STR_ARG(doc_str(min)), name, STR_ARG(doc_str(amount)));
        }
    }
}

static void check_limit(struct admit *a, struct str path, const struct doc_value *limit) {
    static const char *const of_containers[] = {"default", "defaultRequest"};
    struct str type = doc_get_str(limit, "type");
    const struct doc_value *max = doc_get(limit, "max");
    if (str_eq(type, STR("Pod"))) {
        for (size_t i = 0; i < ARRAY_LEN(of_containers); i++) {
            if (doc_len(doc_find(limit, str_from(of_containers[i]))) > 0) {
                admit_problem_forbidden(
                    a, admit_path_of(a, "%.*s.%s", STR_ARG(path), of_containers[i]),
                    "may not be specified when `type` is 'Pod'");
            }
        }
    } else if (!str_eq(type, STR("Container")) && !str_eq(type, STR("PersistentVolumeClaim"))) {
        struct doc_value value = doc_make_str(type.n ? type : STR(""));
        struct str at = admit_path_of(a, "%.*s.type", STR_ARG(path));
        size_t before = a->problem_count;
        admit_check_label_key(a, at, doc_str(&value));
        if (a->problem_count == before && str_find_char(type, '/') == STR_NPOS) {
            admit_problem_invalid(a, at, &value,
                                  "must be a standard limit type or fully qualified");
        }
    } else if (str_eq(type, STR("PersistentVolumeClaim")) && !doc_get(limit, "min", "storage") &&
               !doc_get(max, "storage")) {
        admit_problem_required(
            a, admit_path_of(a, "%.*s.limits", STR_ARG(path)),
            "either minimum or maximum storage value is required, but neither was provided");
    }
    check_order(a, path, "min", "min", doc_get(limit, "min"), "max", max);
    check_least(a, path, limit, "defaultRequest", "default request");
    check_least(a, path, limit, "default", "default");
    check_order(a, path, "defaultRequest", "default request", doc_get(limit, "defaultRequest"),
                "max", max);
    check_order(a, path, "default", "default", doc_get(limit, "default"), "max", max);
    const struct doc_value *ratios = doc_get(limit, "maxLimitRequestRatio");
    for (DOC_EACH_MEMBER(ratios, i)) {
        const struct doc_value *ratio = doc_value_at(ratios, i);
        int order;
        if (quantity_compare(doc_str(ratio), STR("1"), &order) && order < 0) {
            admit_problem_invalid(a,
                                  admit_path_of(a, "%.*s.maxLimitRequestRatio[%.*s]", STR_ARG(path),
                                                STR_ARG(doc_key_at(ratios, i))),
                                  ratio, "ratio %.*s is less than 1", STR_ARG(doc_str(ratio)));
        }
    }
}

static void check_limit_range(struct admit *a, const struct doc_value *object) {
    const struct doc_value *limits = doc_get(object, "spec", "limits");
    for (size_t i = 0; i < doc_len(limits); i++) {
        const struct doc_value *type = doc_get(doc_at(limits, i), "type");
        bool again = false;
        for (size_t k = 0; k < i; k++) {
            again = again || (type && doc_equal(doc_get(doc_at(limits, k), "type"), type));
        }
        if (again) {
            admit_problem_duplicate(a, admit_path_of(a, "spec.limits[%zu].type", i), type);
        }
        check_limit(a, admit_path_of(a, "spec.limits[%zu]", i), doc_at(limits, i));
    }
}

// Counts of objects are whole numbers; what has no domain in front must be one of those everybody knows.
static bool is_counted(struct str name) {
    static const char *const names[] = {"pods",
                                        "services",
                                        "replicationcontrollers",
                                        "resourcequotas",
                                        "secrets",
                                        "configmaps",
                                        "persistentvolumeclaims",
                                        "services.nodeports",
                                        "services.loadbalancers"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(name, names[i])) {
            return true;
        }
    }
    return str_starts(name, STR("count/"));
}

static bool is_amount(struct str name) {
    static const char *const names[] = {
        "cpu",          "memory",          "ephemeral-storage",       "storage",
        "requests.cpu", "requests.memory", "requests.storage",        "requests.ephemeral-storage",
        "limits.cpu",   "limits.memory",   "limits.ephemeral-storage"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_c(name, names[i])) {
            return true;
        }
    }
    return str_find_char(name, '/') != STR_NPOS || str_starts(name, STR("hugepages-")) ||
           str_starts(name, STR("requests.hugepages-"));
}

// Which resources a scope can be about: pods, and what pods ask for unless they ask for nothing. Others that everybody knows
// are refused; what has a domain in front is not looked at.
static bool scope_fits(struct str scope, struct str resource) {
    static const char *const of_pods[] = {
        "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
    if (str_find_char(resource, '/') != STR_NPOS || str_has(resource, STR("hugepages-")) ||
        !(is_counted(resource) || is_amount(resource)) || str_eq(resource, STR("pods"))) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(of_pods) && !str_eq(scope, STR("BestEffort")); i++) {
        if (str_eq_c(resource, of_pods[i])) {
            return true;
        }
    }
    return false;
}

static bool has_scope(const struct doc_value *scopes, const char *name) {
    for (DOC_EACH_ITEM(scopes, scope)) {
        if (str_eq_c(doc_str(scope), name)) {
            return true;
        }
    }
    return false;
}

static void check_scopes(struct admit *a, const struct doc_value *scopes,
                         const struct doc_value *hard) {
    static const char *const known[] = {"BestEffort",           "NotBestEffort",
                                        "Terminating",          "NotTerminating",
                                        "PriorityClass",        "CrossNamespacePodAffinity",
                                        "VolumeAttributesClass"};
    for (DOC_EACH_ITEM(scopes, scope)) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++) {
            found = found || str_eq_c(doc_str(scope), known[i]);
        }
        if (!found) {
            admit_problem_invalid(a, STR("spec.scopes"), scopes, "unsupported scope");
        }
        for (DOC_EACH_MEMBER(hard, i)) {
            if (found && !str_eq(doc_str(scope), STR("VolumeAttributesClass")) &&
                !scope_fits(doc_str(scope), doc_key_at(hard, i))) {
                admit_problem_invalid(a, STR("spec.scopes"), scopes,
                                      "unsupported scope applied to resource");
            }
        }
    }
    if ((has_scope(scopes, "BestEffort") && has_scope(scopes, "NotBestEffort")) ||
        (has_scope(scopes, "Terminating") && has_scope(scopes, "NotTerminating"))) {
        admit_problem_invalid(a, STR("spec.scopes"), scopes, "conflicting scopes");
    }
}

static void check_quota(struct admit *a, const struct doc_value *object) {
    const struct doc_value *hard = doc_get(object, "spec", "hard");
    for (DOC_EACH_MEMBER(hard, i)) {
        struct str key = doc_key_at(hard, i);
        struct doc_value name = doc_make_str(key);
        const struct doc_value *amount = doc_value_at(hard, i);
        struct str path = admit_path_of(a, "spec.hard[%.*s]", STR_ARG(key));
        if (!is_counted(key) && !is_amount(key)) {
            admit_problem_invalid(a, path, &name,
                                  "must be a standard resource type or fully qualified");
            admit_problem_invalid(a, path, &name, "must be a standard resource for quota");
        }
        admit_check_quantity(a, path, amount);
        if (is_counted(key) && str_ends(doc_str(amount), STR("m"))) {
            admit_problem_invalid(a, path, amount, "must be an integer");
        }
    }
    check_scopes(a, doc_get(object, "spec", "scopes"), hard);
}

static void fill_quota(struct admit *a, struct doc_value *object) {
    admit_default_object(a->arena, object, "status");
}

static void fill_protocol(struct arena *arena, struct doc_value *port) {
    admit_default_str(arena, port, "protocol", "TCP");
}

static void fill_subset(struct arena *arena, struct doc_value *subset) {
    admit_default_each(arena, subset, "ports", fill_protocol);
}

static void fill_endpoints(struct admit *a, struct doc_value *object) {
    admit_default_each(a->arena, object, "subsets", fill_subset);
}

static void check_endpoint(struct admit *a, struct str path, const struct doc_value *ip) {
    size_t before = a->problem_count;
    admit_check_ip(a, path, ip);
    if (a->problem_count > before) {
        admit_problem_invalid(a, path, ip ? ip : admit_text_value(a, ""),
                              "must be a valid IP address");
    } else if (str_starts(doc_str(ip), STR("127.")) || str_eq(doc_str(ip), STR("::1"))) {
        admit_problem_invalid(a, path, ip,
                              "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
}

static void check_endpoint_ports(struct admit *a, size_t subset, const struct doc_value *ports) {
    for (size_t i = 0; i < doc_len(ports); i++) {
        const struct doc_value *port = doc_at(ports, i), *name = doc_get(port, "name");
        struct str path = admit_path_of(a, "subsets[%zu].ports[%zu]", subset, i);
        struct doc_value zero = doc_make_int(0);
        const struct doc_value *number = doc_get(port, "port");
        if (doc_str(name).n > 0) {
            admit_check_dns_label(a, admit_path_of(a, "%.*s.name", STR_ARG(path)), name);
        } else if (doc_len(ports) > 1) {
            admit_problem_required(a, admit_path_of(a, "%.*s.name", STR_ARG(path)), "");
        }
        admit_check_port(a, admit_path_of(a, "%.*s.port", STR_ARG(path)), number ? number : &zero);
        admit_check_choice(a, admit_path_of(a, "%.*s.protocol", STR_ARG(path)),
                           doc_get(port, "protocol"), "SCTP TCP UDP");
    }
}

static void check_endpoints(struct admit *a, const struct doc_value *object) {
    static const char *const lists[] = {"addresses", "notReadyAddresses"};
    const struct doc_value *subsets = doc_get(object, "subsets");
    for (size_t i = 0; i < doc_len(subsets); i++) {
        const struct doc_value *subset = doc_at(subsets, i);
        size_t count = 0;
        for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
            const struct doc_value *list = doc_find(subset, str_from(lists[l]));
            count += doc_len(list);
            for (size_t k = 0; k < doc_len(list); k++) {
                check_endpoint(a, admit_path_of(a, "subsets[%zu].%s[%zu].ip", i, lists[l], k),
                               doc_get(doc_at(list, k), "ip"));
            }
        }
        if (count == 0) {
            admit_problem_required(a, admit_path_of(a, "subsets[%zu]", i),
                                   "must specify `addresses` or `notReadyAddresses`");
        }
        check_endpoint_ports(a, i, doc_get(subset, "ports"));
    }
}

// What Kubernetes writes though nobody set it, by the names of both groups.
static void fill_event_times(struct admit *a, struct doc_value *object, const char *const times[3],
                             const char *source) {
    for (size_t i = 0; i < 3; i++) {
        if (!doc_find(object, str_from(times[i]))) {
            admit_set_member(a->arena, object, times[i], doc_null());
        }
    }
    admit_default_object(a->arena, object, source);
}

static void fill_new_event(struct admit *a, struct doc_value *object) {
    static const char *const times[] = {"eventTime", "deprecatedFirstTimestamp",
                                        "deprecatedLastTimestamp"};
    fill_event_times(a, object, times, "deprecatedSource");
}

static void check_new_event(struct admit *a, const struct doc_value *object) {
    if (doc_is_null(doc_get(object, "eventTime"))) {
        admit_problem_required(a, STR("eventTime"), "");
    }
    struct str type = doc_get_str(object, "type");
    if (!str_eq(type, STR("Normal")) && !str_eq(type, STR("Warning"))) {
        admit_problem_invalid(a, STR("type"), admit_text_value(a, ""), "has invalid value: %.*s",
                              STR_ARG(type));
    }
}

static void fill_event(struct admit *a, struct doc_value *object) {
    static const char *const times[] = {"eventTime", "firstTimestamp", "lastTimestamp"};
    static const char *const texts[] = {"reportingComponent", "reportingInstance"};
    fill_event_times(a, object, times, "source");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!doc_find(object, str_from(texts[i]))) {
            admit_set_member(a->arena, object, texts[i], DOC_S(""));
        }
    }
}

static void check_event(struct admit *a, const struct doc_value *object) {
    struct str ns = doc_get_str(object, "metadata", "namespace");
    const struct doc_value *about = doc_get(object, "involvedObject", "namespace");
    struct str about_ns = doc_str(about);
    // Events about cluster-wide objects stand in "default".
    if (about_ns.n == 0 ? !str_eq(ns, STR("default")) && !str_eq(ns, STR("kube-system"))
                        : !str_eq(ns, about_ns)) {
        admit_problem_invalid(a, STR("involvedObject.namespace"),
                              about ? about : admit_text_value(a, ""),
                              "does not match event.namespace");
    }
}

const struct admit_rule admit_core[] = {
    {"", "Namespace", fill_namespace, NULL, NULL},
    {"", "ConfigMap", NULL, check_config_map, update_config_map},
    {"", "Secret", fill_secret, check_secret, update_secret},
    {"", "Node", fill_node, check_node, update_node},
    {"", "LimitRange", fill_limit_range, check_limit_range, NULL},
    {"", "ResourceQuota", fill_quota, check_quota, NULL},
    {"", "Endpoints", fill_endpoints, check_endpoints, NULL},
    {"", "Event", fill_event, check_event, NULL},
    {"events.k8s.io", "Event", fill_new_event, check_new_event, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
