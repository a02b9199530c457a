// SPDX-License-Identifier: Apache-2.0
// The string formats that CRD schemas may name. Those that nobody uses for configuration (isbn, creditcard, ssn,
// bsonobjectid) are known but not checked.
#include <arpa/inet.h>
#include <stdio.h>

#include "base/text.h"
#include "base/timefmt.h"
#include "base/vec.h"
#include "schema/struct_internal.h"

static const struct {
    const char *name;
    const char *pattern;
} FORMATS[] = {
    {"bsonobjectid", NULL},
    {"byte", "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$"},
    {"cidr", NULL},
    {"creditcard", NULL},
    {"date", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    {"datetime", "(?i)^[0-9]{4}-[0-9]{2}-[0-9]{2}t([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
                 "(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$"},
    {"duration", "[0-9]+\\s*(?i:(ns|us|µs|ms|s|m|h|hr|d|w|wk)([^A-Za-zµ]|$)|nano|micro|milli|sec|"
                 "min|hour|day|week)"},
    {"email", "^(?:[^<>\"]*<)?[^@\\s<>]+@[^@\\s<>]+>?$"},
    {"hexcolor", "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"},
    {"hostname", "^([a-zA-Z0-9\\p{S}\\p{L}]((-?[a-zA-Z0-9\\p{S}\\p{L}]{0,62})?)|"
                 "([a-zA-Z0-9\\p{S}\\p{L}](([a-zA-Z0-9\\-\\p{S}\\p{L}]{0,61}"
                 "[a-zA-Z0-9\\p{S}\\p{L}])?)(\\.)){1,}([a-zA-Z\\p{L}]){2,63})$"},
    {"ipv4", NULL},
    {"ipv6", NULL},
    {"isbn", NULL},
    {"isbn10", NULL},
    {"isbn13", NULL},
    {"k8slongname", NULL},
    {"k8sshortname", NULL},
    {"mac", "^(?i)([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$|^([0-9a-f]{2}[:-]){7}[0-9a-f]{2}$|"
            "^([0-9a-f]{4}\\.){2}[0-9a-f]{4}$|^([0-9a-f]{4}\\.){3}[0-9a-f]{4}$"},
    {"password", NULL},
    {"rgbcolor",
     "^rgb\\(\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*,\\s*(0|[1-9]\\d?|1\\d\\d?|"
     "2[0-4]\\d|25[0-5])\\s*,\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*\\)$"},
    {"ssn", "^\\d{3}[- ]?\\d{2}[- ]?\\d{4}$"},
    {"uri", "^(/|[A-Za-z][A-Za-z0-9+.-]*:)[^\\s\\x00-\\x1f\\x7f]*$"},
    {"uuid", "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"},
    {"uuid3", "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$"},
    {"uuid4", "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"},
    {"uuid5", "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"},
};

static bool same_format(struct str format, const char *name) {
    size_t at = 0;
    for (size_t i = 0; i < format.n; i++) {
        if (format.p[i] == '-') {
            continue;
        }
        if (name[at] == '\0' || format.p[i] != name[at]) {
            return false;
        }
        at++;
    }
    return name[at] == '\0';
}

bool struct_format_known(struct str format) {
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        if (same_format(format, FORMATS[i].name)) {
            return true;
        }
    }
    return false;
}

const char *struct_format_pattern(struct str format) {
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        if (same_format(format, FORMATS[i].name)) {
            return FORMATS[i].pattern;
        }
    }
    return NULL;
}

static bool is_address(int family, struct str text) {
    char copy[64];
    unsigned char bytes[16];
    if (text.n >= sizeof copy || memchr(text.p ? text.p : "", '\0', text.n)) {
        return false;
    }
    memcpy(copy, text.p ? text.p : "", text.n);
    copy[text.n] = '\0';
    return inet_pton(family, copy, bytes) == 1;
}

static bool is_cidr(struct str text) {
    struct str address, bits;
    uint64_t value;
    if (!str_cut(text, '/', &address, &bits) || bits.n > 3 || !str_to_uint64(bits, &value)) {
        return false;
    }
    return (is_address(AF_INET, address) && value <= 32) ||
           (is_address(AF_INET6, address) && value <= 128);
}

static bool is_date(struct str text) {
    char whole[32];
    int64_t ns;
    // A year that does not fit a time in nanoseconds is checked by its pattern only.
    struct str year = str_first(text, 4);
    if (str_cmp(year, STR("1700")) < 0 || str_cmp(year, STR("2200")) > 0) {
        return true;
    }
    int n = snprintf(whole, sizeof whole, "%.*sT00:00:00Z", (int)(text.n < 10 ? text.n : 10),
                     text.p ? text.p : "");
    return time_parse(str_make(whole, (size_t)n), &ns);
}

bool struct_format_check(const struct struct_node *node, struct str text) {
    struct str format = node->format;
    if (same_format(format, "ipv4")) {
        return is_address(AF_INET, text);
    }
    if (same_format(format, "ipv6")) {
        return is_address(AF_INET6, text);
    }
    if (same_format(format, "cidr")) {
        return is_cidr(text);
    }
    if (same_format(format, "k8sshortname")) {
        return name_is_dns_label(text);
    }
    if (same_format(format, "k8slongname")) {
        return name_is_dns_subdomain(text);
    }
    int64_t ns;
    if (same_format(format, "duration") && duration_parse(text, &ns, NULL)) {
        return true;
    }
    if (same_format(format, "hostname") && text.n > 255) {
        return false;
    }
    if (node->format_regex && !regex_matches(node->format_regex, text.p, text.n)) {
        return false;
    }
    if (same_format(format, "date") || same_format(format, "datetime")) {
        return is_date(text);
    }
    return true;
}
