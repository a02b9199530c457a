// SPDX-License-Identifier: Apache-2.0
// Quantities, semantic versions and named formats.
#include <math.h>

#include "base/text.h"
#include "cel/cel_internal.h"

#define FUNCTION(name) \
    static struct cel_value name(struct cel_eval *e, struct cel_value *args, size_t count)

__extension__ typedef __int128 int128;

enum { NANO = 1000 * 1000 * 1000 };

// ---- Quantities: in billionths, the finest that Kubernetes keeps ----

static bool scale_of(struct str suffix, int128 *factor, bool *divide) {
    static const char *const BINARY[] = {"Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    static const char *const DECIMAL[] = {"k", "M", "G", "T", "P", "E"};
    static const char *const SMALL[] = {"m", "u", "n"};
    *factor = 1;
    *divide = false;
    if (suffix.n == 0) {
        return true;
    }
    int128 binary = 1, decimal = 1, small = 1;
    for (size_t i = 0; i < 6; i++) {
        binary *= 1024;
        decimal *= 1000;
        small *= 1000;
        if (str_eq_c(suffix, BINARY[i]) || str_eq_c(suffix, DECIMAL[i])) {
            *factor = str_eq_c(suffix, BINARY[i]) ? binary : decimal;
            return true;
        }
        if (i < 3 && str_eq_c(suffix, SMALL[i])) {
            *factor = small;
            *divide = true;
            return true;
        }
    }
    int64_t exponent;
    struct str digits = str_skip(suffix, 1);
    digits = str_starts(digits, STR("+")) ? str_skip(digits, 1) : digits;
    if ((suffix.p[0] != 'e' && suffix.p[0] != 'E') || !str_to_int64(digits, &exponent) ||
        exponent > 28 || exponent < -28) {
        return false;
    }
    *divide = exponent < 0;
    for (int64_t i = 0; i < (exponent < 0 ? -exponent : exponent); i++) {
        *factor *= 10;
    }
    return true;
}

static bool parse_quantity(struct arena *arena, struct str text, int128 *out) {
    struct str ignored;
    if (!quantity_canonical(text, arena, &ignored)) {
        return false;
    }
    size_t at = 0;
    bool negative = text.p[0] == '-', point = false;
    at += negative || text.p[0] == '+' ? 1 : 0;
    int128 value = 0, unit = 1, factor;
    for (; at < text.n && ((text.p[at] >= '0' && text.p[at] <= '9') || text.p[at] == '.'); at++) {
        if (text.p[at] == '.') {
            point = true;
        } else if (value < (int128)1000000000000000000 * 10000000 &&
                   unit < (int128)1000000000000000) {
            value = value * 10 + (text.p[at] - '0');
            unit *= point ? 10 : 1;
        } else if (!point) {
            return false;
        }
    }
    bool divide;
    if (!scale_of(str_skip(text, at), &factor, &divide)) {
        return false;
    }
    int128 scaled;
    if (__builtin_mul_overflow(value, (int128)NANO, &scaled) ||
        (!divide && __builtin_mul_overflow(scaled, factor, &scaled))) {
        return false;
    }
    int128 by = divide ? unit * factor : unit;
    if (divide && by / factor != unit) {
        return false;
    }
    scaled = scaled / by + (scaled % by != 0 ? 1 : 0); // away from zero
    *out = negative ? -scaled : scaled;
    return true;
}

static int128 nano_of(const struct cel_value *v) {
    int128 out;
    memcpy(&out, v->u.other, sizeof out);
    return out;
}

static struct cel_value quantity_value(struct cel_eval *e, int128 nano) {
    void *copy = arena_alloc(e->arena, sizeof nano);
    memcpy(copy, &nano, sizeof nano);
    return (struct cel_value){.kind = CEL_QUANTITY, .u.other = copy};
}

FUNCTION(to_quantity) {
    int128 nano;
    if (!parse_quantity(e->arena, args[0].u.text, &nano)) {
        return cel_error(e->arena, "quantities must match the regular expression "
                                   "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    }
    return quantity_value(e, nano);
}
FUNCTION(is_quantity) {
    int128 nano;
    return cel_bool(parse_quantity(e->arena, args[0].u.text, &nano));
}
FUNCTION(quantity_sign) {
    int128 nano = nano_of(args);
    return cel_int(nano < 0 ? -1 : nano > 0);
}

static int quantity_order(const struct cel_value *args) {
    int128 a = nano_of(&args[0]), b = nano_of(&args[1]);
    return a < b ? -1 : a > b;
}
FUNCTION(quantity_greater) {
    return cel_bool(quantity_order(args) > 0);
}
FUNCTION(quantity_less) {
    return cel_bool(quantity_order(args) < 0);
}
FUNCTION(quantity_compare_to) {
    return cel_int(quantity_order(args));
}
FUNCTION(quantity_float) {
    return (struct cel_value){.kind = CEL_DOUBLE, .u.number = (double)nano_of(args) / NANO};
}
static bool is_whole(int128 nano) {
    return nano % NANO == 0 && nano / NANO <= INT64_MAX && nano / NANO >= INT64_MIN;
}
FUNCTION(quantity_is_integer) {
    return cel_bool(is_whole(nano_of(args)));
}
FUNCTION(quantity_integer) {
    int128 nano = nano_of(args);
    return is_whole(nano) ? cel_int((int64_t)(nano / NANO))
                          : cel_error(e->arena, "cannot convert value to integer");
}

static struct cel_value quantity_sum(struct cel_eval *e, const struct cel_value *args, bool minus) {
    int128 a = nano_of(&args[0]);
    int128 b = args[1].kind == CEL_INT ? (int128)args[1].u.integer * NANO : nano_of(&args[1]), out;
    if (minus ? __builtin_sub_overflow(a, b, &out) : __builtin_add_overflow(a, b, &out)) {
        return cel_error(e->arena, "quantity overflow");
    }
    return quantity_value(e, out);
}
FUNCTION(quantity_add) {
    return quantity_sum(e, args, false);
}
FUNCTION(quantity_sub) {
    return quantity_sum(e, args, true);
}

// ---- Semantic versions ----

static bool only(struct str text, bool letters) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-';
        if ((c < '0' || c > '9') && !(letters && letter)) {
            return false;
        }
    }
    return text.n > 0;
}

static bool has_leading_zero(struct str text) {
    return text.n > 1 && text.p[0] == '0';
}

static struct str check_number(struct arena *arena, struct str text, const char *low,
                               const char *high) {
    uint64_t value;
    if (text.n && !only(text, false)) {
        return arena_printf(arena, "Invalid character(s) found in %s number \"%.*s\"", low,
                            STR_ARG(text));
    }
    if (has_leading_zero(text)) {
        return arena_printf(arena, "%s number must not contain leading zeroes \"%.*s\"", high,
                            STR_ARG(text));
    }
    return str_to_uint64(text, &value)
               ? STR("")
               : arena_printf(arena, "strconv.ParseUint: parsing \"%.*s\": %s", STR_ARG(text),
                              text.n ? "value out of range" : "invalid syntax");
}

static struct str check_identifiers(struct arena *arena, struct str text, bool prerelease) {
    bool more = true;
    while (more) {
        struct str part;
        more = str_cut(text, '.', &part, &text);
        if (part.n == 0) {
            return prerelease ? STR("Prerelease is empty") : STR("Build meta data is empty");
        }
        if (prerelease && only(part, false) && has_leading_zero(part)) {
            return arena_printf(
                arena, "Numeric PreRelease version must not contain leading zeroes \"%.*s\"",
                STR_ARG(part));
        }
        if (!only(part, true)) {
            return arena_printf(arena, "Invalid character(s) found in %s \"%.*s\"",
                                prerelease ? "prerelease" : "build meta data", STR_ARG(part));
        }
    }
    return STR("");
}

// Why a text is no semantic version; empty when it is one.
static struct str check_version(struct arena *arena, struct str text) {
    struct str major, minor, patch, meta, pre;
    if (text.n == 0) {
        return STR("Version string empty");
    }
    if (!str_cut(text, '.', &major, &minor) || !str_cut(minor, '.', &minor, &patch)) {
        return STR("No Major.Minor.Patch elements found");
    }
    bool has_meta = str_cut(patch, '+', &patch, &meta), has_pre = str_cut(patch, '-', &patch, &pre);
    struct str problem = check_number(arena, major, "major", "Major");
    problem = problem.n ? problem : check_number(arena, minor, "minor", "Minor");
    problem = problem.n ? problem : check_number(arena, patch, "patch", "Patch");
    problem = problem.n || !has_pre ? problem : check_identifiers(arena, pre, true);
    return problem.n || !has_meta ? problem : check_identifiers(arena, meta, false);
}

// "v1.2" -> "1.2.0", "01.02.3" -> "1.2.3".
static struct str normalize(struct arena *arena, struct str text) {
    text = text.n && (text.p[0] == 'v' || text.p[0] == 'V') ? str_skip(text, 1) : text;
    size_t end = 0;
    while (end < text.n && text.p[end] != '-' && text.p[end] != '+') {
        end++;
    }
    struct str core = str_first(text, end), tail = str_skip(text, end), part, out = STR("");
    size_t parts = 0;
    while (str_next(&core, '.', &part)) {
        while (part.n > 1 && part.p[0] == '0') {
            part = str_skip(part, 1);
        }
        out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), parts++ ? "." : "", STR_ARG(part));
    }
    for (; parts < 3; parts++) {
        out = arena_concat(arena, out, STR(".0"));
    }
    return arena_concat(arena, out, tail);
}

static struct str parse_version(struct cel_eval *e, const struct cel_value *args, size_t count,
                                struct semver *out) {
    struct str text = args[0].u.text;
    if (count > 1 && args[1].u.boolean) {
        text = normalize(e->arena, text);
    }
    struct str problem = check_version(e->arena, text);
    return problem.n || semver_parse(text, out) ? problem : STR("Version string invalid");
}

FUNCTION(to_semver) {
    struct semver *version = ARENA_NEW(e->arena, struct semver);
    struct str problem = parse_version(e, args, count, version);
    if (problem.n) {
        return cel_error(e->arena, "%.*s", STR_ARG(problem));
    }
    return (struct cel_value){.kind = CEL_SEMVER, .u.other = version};
}
FUNCTION(is_semver) {
    struct semver version;
    return cel_bool(parse_version(e, args, count, &version).n == 0);
}
static const struct semver *version_of(const struct cel_value *v) {
    return v->u.other;
}
FUNCTION(semver_greater) {
    return cel_bool(semver_compare(version_of(&args[0]), version_of(&args[1])) > 0);
}
FUNCTION(semver_less) {
    return cel_bool(semver_compare(version_of(&args[0]), version_of(&args[1])) < 0);
}
FUNCTION(semver_compare_to) {
    int order = semver_compare(version_of(&args[0]), version_of(&args[1]));
    return cel_int(order < 0 ? -1 : order > 0);
}
FUNCTION(semver_major) {
    return cel_int((int64_t)version_of(args)->major);
}
FUNCTION(semver_minor) {
    return cel_int((int64_t)version_of(args)->minor);
}
FUNCTION(semver_patch) {
    return cel_int((int64_t)version_of(args)->patch);
}

bool cel_other_equal(const struct cel_value *a, const struct cel_value *b) {
    switch (a->kind) {
    case CEL_QUANTITY:
        return nano_of(a) == nano_of(b);
    case CEL_SEMVER:
        return semver_compare(version_of(a), version_of(b)) == 0;
    case CEL_URL:
    case CEL_IP:
    case CEL_CIDR:
        return cel_net_equal(a, b);
    default:
        return false;
    }
}

// ---- Named formats ----

static const struct {
    const char *function; // format.NAME()
    uint16_t cost;
} FORMATS[] = {
    {"dns1123Label", 8},
    {"dns1123Subdomain", 15},
    {"dns1035Label", 8},
    {"qualifiedName", 15},
    {"dns1123LabelPrefix", 8},
    {"dns1123SubdomainPrefix", 15},
    {"dns1035LabelPrefix", 8},
    {"labelValue", 10},
    {"uri", 276},
    {"uuid", 18},
    {"byte", 21},
    {"date", 18},
    {"datetime", 18},
};

uint64_t cel_format_cost(struct str name) {
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        if (str_eq_c(name, FORMATS[i].function)) {
            return FORMATS[i].cost;
        }
    }
    return 1;
}

FUNCTION(format_named) {
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        if (str_eq_c(args[0].u.text, FORMATS[i].function)) {
            struct cel_value format = {.kind = CEL_FORMAT, .u.text = args[0].u.text};
            return cel_optional(e->arena, &format);
        }
    }
    return cel_optional(e->arena, NULL);
}

FUNCTION(format_by_name) {
    struct str name = str_skip(e->node->name, strlen("format."));
    return (struct cel_value){.kind = CEL_FORMAT, .u.text = name};
}

struct checks {
    struct cel_eval *e;
    struct cel_value list;
};

static void complain(struct checks *c, struct str message) {
    cel_list_add(c->e->arena, c->list.u.list, cel_text(message));
}

static bool fits(struct str text, const char *pattern) {
    char problem[128];
    struct regex *regex = regex_create(pattern, strlen(pattern), problem, sizeof problem);
    bool matched = regex && regex_matches(regex, text.p, text.n);
    regex_destroy(regex);
    return matched;
}

static void check_length(struct checks *c, struct str text, size_t most) {
    if (text.n > most) {
        complain(c, arena_printf(c->e->arena, "must be no more than %zu characters", most));
    }
}

#define LABEL "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
#define SUBDOMAIN LABEL "(\\." LABEL ")*"
#define LABEL_1035 "[a-z]([-a-z0-9]*[a-z0-9])?"
#define QUALIFIED "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

static void check_label(struct checks *c, struct str text) {
    check_length(c, text, 63);
    if (!fits(text, "^" LABEL "$")) {
        complain(
            c, str_from(fits(text, "^" SUBDOMAIN "$")
                            ? "must not contain dots"
                            : "a lowercase RFC 1123 label must consist of lower case alphanumeric "
                              "characters or '-', and must start and end with an alphanumeric "
                              "character (e.g. 'my-name',  or '123-abc', regex used for validation "
                              "is '" LABEL "')"));
    }
}

static void check_subdomain(struct checks *c, struct str text) {
    check_length(c, text, 253);
    if (!fits(text, "^" SUBDOMAIN "$")) {
        complain(c, STR("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                        "characters, '-' or '.', and must start and end with an alphanumeric "
                        "character (e.g. 'example.com', regex used for validation is '" SUBDOMAIN
                        "')"));
    }
}

static void check_1035(struct checks *c, struct str text) {
    check_length(c, text, 63);
    if (!fits(text, "^" LABEL_1035 "$")) {
        complain(c, STR("a DNS-1035 label must consist of lower case alphanumeric characters or "
                        "'-', start with an alphabetic character, and end with an alphanumeric "
                        "character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
                        "'" LABEL_1035 "')"));
    }
}

static void check_label_value(struct checks *c, struct str text) {
    check_length(c, text, 63);
    if (text.n && !fits(text, "^" QUALIFIED "$")) {
        complain(c, STR("a valid label must be an empty string or consist of alphanumeric "
                        "characters, '-', '_' or '.', and must start and end with an alphanumeric "
                        "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
                        "validation is '(" QUALIFIED ")?')"));
    }
}

static void check_qualified(struct checks *c, struct str text) {
    static const char HELP[] =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
        "validation is '" QUALIFIED "')";
    struct str prefix, name;
    struct arena *arena = c->e->arena;
    if (str_cut(text, '/', &prefix, &name)) {
        if (str_find_char(name, '/') != STR_NPOS) {
            complain(c, arena_printf(arena,
                                     "a valid label key %s with an optional DNS subdomain prefix "
                                     "and '/' (e.g. 'example.com/MyName')",
                                     HELP));
            return;
        }
        if (prefix.n == 0) {
            complain(c, STR("prefix part must be non-empty"));
        } else {
            struct checks inner = {c->e, cel_list_make(arena, 0)};
            check_subdomain(&inner, prefix);
            for (size_t i = 0; i < inner.list.u.list->len; i++) {
                struct str part = inner.list.u.list->items[i].u.text;
                complain(c, arena_printf(arena, "prefix part %.*s", STR_ARG(part)));
            }
        }
    } else {
        name = text;
    }
    if (name.n == 0) {
        complain(c, STR("name part must be non-empty"));
    } else if (name.n > 63) {
        complain(c, STR("name part must be no more than 63 bytes"));
    }
    if (!fits(name, "^" QUALIFIED "$")) {
        complain(c, arena_printf(arena, "name part %s", HELP));
    }
}

static void check_named(struct checks *c, struct str name, struct str text) {
    static const char UUID[] =
        "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$";
    struct cel_time time;
    struct str decoded;
    if (str_ends(name, STR("Prefix"))) { // as generateName: a dash at the end will be followed
        name = str_first(name, name.n - strlen("Prefix"));
        if (text.n > 1 && text.p[text.n - 1] == '-') {
            char *copy = arena_cstr(c->e->arena, text);
            copy[text.n - 1] = 'a';
            text = str_make(copy, text.n);
        }
    }
    if (str_eq_c(name, "dns1123Label")) {
        check_label(c, text);
    } else if (str_eq_c(name, "dns1123Subdomain")) {
        check_subdomain(c, text);
    } else if (str_eq_c(name, "dns1035Label")) {
        check_1035(c, text);
    } else if (str_eq_c(name, "labelValue")) {
        check_label_value(c, text);
    } else if (str_eq_c(name, "qualifiedName")) {
        check_qualified(c, text);
    } else if (str_eq_c(name, "uri")) {
        if (!fits(text, "^(/|[A-Za-z][A-Za-z0-9+.-]*:)[^\\x00-\\x1f\\x7f]*$")) {
            complain(c, arena_printf(c->e->arena, "parse \"%.*s\": %s", STR_ARG(text),
                                     text.n ? "invalid URI for request" : "empty url"));
        }
    } else if (str_eq_c(name, "uuid")) {
        if (!fits(text, UUID)) {
            complain(c, STR("does not match the UUID format"));
        }
    } else if (str_eq_c(name, "byte")) {
        if (text.n == 0 || !base64_decode(text, c->e->arena, &decoded)) {
            complain(c, STR("invalid base64"));
        }
    } else if (str_eq_c(name, "date")) {
        if (text.n != 10 ||
            !cel_time_parse(arena_concat(c->e->arena, text, STR("T00:00:00Z")), &time)) {
            complain(c, STR("invalid date"));
        }
    } else if (!cel_time_parse(text, &time)) {
        complain(c, STR("invalid datetime"));
    }
}

FUNCTION(format_validate) {
    struct checks c = {e, cel_list_make(e->arena, 0)};
    check_named(&c, args[0].u.text, args[1].u.text);
    return cel_optional(e->arena, c.list.u.list->len ? &c.list : NULL);
}

#define FORMAT(name) \
    { "format." name, ">F", false, COST_ONE, format_by_name }
static const struct cel_function KUBE[] = {
    {"quantity", "s>Q", false, COST_TEXT, to_quantity},
    {"isQuantity", "s>b", false, COST_TEXT, is_quantity},
    {"sign", "Q>i", false, COST_ONE, quantity_sign},
    {"isGreaterThan", "QQ>b", true, COST_ONE, quantity_greater},
    {"isLessThan", "QQ>b", true, COST_ONE, quantity_less},
    {"compareTo", "QQ>i", true, COST_ONE, quantity_compare_to},
    {"asApproximateFloat", "Q>d", true, COST_ONE, quantity_float},
    {"asInteger", "Q>i", true, COST_ONE, quantity_integer},
    {"isInteger", "Q>b", true, COST_ONE, quantity_is_integer},
    {"add", "QQ>Q", true, COST_ONE, quantity_add},
    {"add", "Qi>Q", true, COST_ONE, quantity_add},
    {"sub", "QQ>Q", true, COST_ONE, quantity_sub},
    {"sub", "Qi>Q", true, COST_ONE, quantity_sub},
    {"semver", "s>V", false, COST_TEXT, to_semver},
    {"semver", "sb>V", false, COST_TEXT, to_semver},
    {"isSemver", "s>b", false, COST_TEXT, is_semver},
    {"isSemver", "sb>b", false, COST_TEXT, is_semver},
    {"isGreaterThan", "VV>b", true, COST_ONE, semver_greater},
    {"isLessThan", "VV>b", true, COST_ONE, semver_less},
    {"compareTo", "VV>i", true, COST_ONE, semver_compare_to},
    {"major", "V>i", true, COST_ONE, semver_major},
    {"minor", "V>i", true, COST_ONE, semver_minor},
    {"patch", "V>i", true, COST_ONE, semver_patch},
    {"format.named", "s>OF", false, COST_ONE, format_named},
    {"validate", "Fs>OLs", true, COST_FORMAT, format_validate},
    FORMAT("dns1123Label"),
    FORMAT("dns1123Subdomain"),
    FORMAT("dns1035Label"),
    FORMAT("qualifiedName"),
    FORMAT("dns1123LabelPrefix"),
    FORMAT("dns1123SubdomainPrefix"),
    FORMAT("dns1035LabelPrefix"),
    FORMAT("labelValue"),
    FORMAT("uri"),
    FORMAT("uuid"),
    FORMAT("byte"),
    FORMAT("date"),
    FORMAT("datetime"),
};
const struct cel_functions cel_functions_kube = {KUBE, ARRAY_LEN(KUBE)};
