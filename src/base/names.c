// SPDX-License-Identifier: Apache-2.0
// The rules for names, label keys and label values that every Kubernetes object obeys. Plain loops instead of regular
// expressions: they run on each label of each object.
#include "base/text.h"

enum { DNS_LABEL_MAX = 63, DNS_SUBDOMAIN_MAX = 253, QUALIFIED_NAME_MAX = 63 };

static bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c) {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_label_text(struct str s) { // one element of a DNS name, of any length
    if (s.n == 0 || !is_lower_alnum(s.p[0]) || !is_lower_alnum(s.p[s.n - 1])) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_lower_alnum(s.p[i]) && s.p[i] != '-') {
            return false;
        }
    }
    return true;
}

static bool is_qualified_text(struct str s) {
    if (s.n == 0 || s.n > QUALIFIED_NAME_MAX || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1])) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!is_alnum(c) && c != '-' && c != '_' && c != '.') {
            return false;
        }
    }
    return true;
}

bool name_is_dns_label(struct str s) {
    return s.n <= DNS_LABEL_MAX && is_label_text(s);
}

bool name_is_dns_subdomain(struct str s) {
    if (s.n == 0 || s.n > DNS_SUBDOMAIN_MAX || s.p[s.n - 1] == '.') {
        return false;
    }
    struct str rest = s, part;
    while (str_next(&rest, '.', &part)) {
        if (!is_label_text(part)) {
            return false;
        }
    }
    return true;
}

bool name_is_label_key(struct str s) {
    struct str prefix, name;
    if (!str_cut(s, '/', &prefix, &name)) {
        return is_qualified_text(s);
    }
    return name_is_dns_subdomain(prefix) && is_qualified_text(name);
}

bool name_is_label_value(struct str s) {
    return s.n == 0 || is_qualified_text(s);
}
