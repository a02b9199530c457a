// SPDX-License-Identifier: Apache-2.0
// URLs, IP addresses and networks.
#include <arpa/inet.h>
#include <stdio.h>

#include "base/vec.h"
#include "cel/cel_internal.h"

#define FUNCTION(name) \
    static struct cel_value name(struct cel_eval *e, struct cel_value *args, size_t count)

struct net_url {
    struct str scheme, user, host, path, query, text;
};
struct net_ip {
    unsigned char bytes[16];
    bool v6;
    unsigned prefix; // of a network
};

// ---- URLs ----

static bool is_scheme(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && (i == 0 || !other)) {
            return false;
        }
    }
    return text.n > 0;
}

static bool bad_escape(struct str text, struct str *part) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%') {
            continue;
        }
        for (size_t k = 1; k < 3; k++) {
            char c = i + k < text.n ? text.p[i + k] : 'z';
            if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'))) {
                *part = str_first(str_skip(text, i), 3);
                return true;
            }
        }
    }
    return false;
}

static struct str host_of(struct str host) { // without port and brackets
    if (host.n && host.p[0] == '[') {
        size_t end = str_find_char(host, ']');
        return end == STR_NPOS ? host : str_make(host.p + 1, end - 1);
    }
    size_t colon = str_rfind_char(host, ':');
    return colon == STR_NPOS ? host : str_first(host, colon);
}

static struct str port_of(struct str host) {
    size_t colon = str_rfind_char(host, ':'), bracket = str_rfind_char(host, ']');
    return colon == STR_NPOS || (bracket != STR_NPOS && bracket > colon)
               ? STR("")
               : str_skip(host, colon + 1);
}

static bool is_digits(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return false;
        }
    }
    return true;
}

// As Go's ParseRequestURI; the reason when it is none, empty when it is one.
static struct str parse_url(struct arena *arena, struct str text, struct net_url *out) {
    *out = (struct net_url){.text = text};
    struct str rest = text, part;
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f) {
            return STR("net/url: invalid control character in URL");
        }
    }
    if (text.n == 0) {
        return STR("empty url");
    }
    size_t colon = str_find_char(text, ':'), slash = str_find_char(text, '/');
    if (colon != STR_NPOS && (slash == STR_NPOS || colon < slash) &&
        is_scheme(str_first(text, colon))) {
        char *scheme = arena_cstr(arena, str_first(text, colon));
        for (size_t i = 0; i < colon; i++) {
            scheme[i] = (char)(scheme[i] >= 'A' && scheme[i] <= 'Z' ? scheme[i] | 0x20 : scheme[i]);
        }
        out->scheme = str_make(scheme, colon);
        rest = str_skip(text, colon + 1);
    } else if (colon == 0) {
        return STR("missing protocol scheme");
    }
    str_cut(rest, '#', &rest, &part);
    str_cut(rest, '?', &rest, &out->query);
    if (!str_starts(rest, STR("/"))) {
        if (out->scheme.n) { // opaque
            return STR("");
        }
        return STR("invalid URI for request");
    }
    if (str_starts(rest, STR("//")) && (out->scheme.n || !str_starts(rest, STR("///")))) {
        struct str authority = str_skip(rest, 2);
        size_t end = str_find_char(authority, '/');
        out->path = end == STR_NPOS ? STR("") : str_skip(authority, end);
        authority = end == STR_NPOS ? authority : str_first(authority, end);
        size_t at = str_rfind_char(authority, '@');
        out->host = at == STR_NPOS ? authority : str_skip(authority, at + 1);
        if (out->host.n && out->host.p[0] == '[' && str_find_char(out->host, ']') == STR_NPOS) {
            return STR("missing ']' in host");
        }
        if (!is_digits(port_of(out->host))) {
            return arena_printf(arena, "invalid port \":%.*s\" after host",
                                STR_ARG(port_of(out->host)));
        }
        for (size_t i = 0; i < out->host.n; i++) {
            if (strchr(" <>\"\\^`{|}", out->host.p[i])) {
                return arena_printf(arena, "invalid character \"%c\" in host name", out->host.p[i]);
            }
        }
    } else {
        out->path = rest;
    }
    if (bad_escape(out->path, &part) || bad_escape(out->host, &part)) {
        return arena_printf(arena, "invalid URL escape \"%.*s\"", STR_ARG(part));
    }
    return STR("");
}

FUNCTION(to_url) {
    struct net_url *url = ARENA_NEW(e->arena, struct net_url);
    struct str problem = parse_url(e->arena, args[0].u.text, url);
    if (problem.n) {
        return cel_error(e->arena,
                         "URL parse error during conversion from string: parse \"%.*s\": %.*s",
                         STR_ARG(args[0].u.text), STR_ARG(problem));
    }
    return (struct cel_value){.kind = CEL_URL, .u.other = url};
}

FUNCTION(is_url) {
    struct net_url url;
    return cel_bool(parse_url(e->arena, args[0].u.text, &url).n == 0);
}

static const struct net_url *url_of(const struct cel_value *v) {
    return v->u.other;
}
FUNCTION(url_scheme) {
    return cel_text(url_of(args)->scheme);
}
FUNCTION(url_host) {
    return cel_text(url_of(args)->host);
}
FUNCTION(url_hostname) {
    return cel_text(host_of(url_of(args)->host));
}
FUNCTION(url_port) {
    return cel_text(port_of(url_of(args)->host));
}

static void add_escaped(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c && strchr("-_.~$&+,/:;=@%!'()*[]", (char)c));
        if (plain) {
            buf_add_char(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

FUNCTION(url_path) {
    AUTO_BUF struct buf buf = {0};
    struct str path = url_of(args)->path;
    buf_init(&buf, path.n * 3 + 1);
    add_escaped(&buf, path);
    return cel_text(arena_dup(e->arena, buf_str(&buf)));
}

static struct str unescape(struct arena *arena, struct str text) {
    char *out = arena_cstr(arena, text);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned value;
        char digits[3] = {0};
        if (text.p[i] == '%' && i + 2 < text.n) {
            digits[0] = text.p[i + 1];
            digits[1] = text.p[i + 2];
            value = (unsigned)strtoul(digits, NULL, 16);
            out[n++] = (char)value;
            i += 2;
        } else {
            out[n++] = text.p[i] == '+' ? ' ' : text.p[i];
        }
    }
    return str_make(out, n);
}

FUNCTION(url_query) {
    struct cel_value map = cel_map_make(e->arena), found;
    struct str rest = url_of(args)->query, pair, name, value, bad;
    while (str_next(&rest, '&', &pair)) {
        if (pair.n == 0 || str_find_char(pair, ';') != STR_NPOS || bad_escape(pair, &bad)) {
            continue;
        }
        str_cut(pair, '=', &name, &value);
        struct cel_value key = cel_text(unescape(e->arena, name));
        if (!cel_map_find(e, &map, &key, &found)) {
            found = cel_list_make(e->arena, 0);
            cel_map_add(e->arena, map.u.map, key, found);
        }
        cel_list_add(e->arena, found.u.list, cel_text(unescape(e->arena, value)));
    }
    return map;
}

// ---- Addresses ----

static bool parse_address(struct str text, struct net_ip *out) {
    char copy[64];
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n)) {
        return false;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *out = (struct net_ip){.v6 = str_find_char(text, ':') != STR_NPOS};
    return inet_pton(out->v6 ? AF_INET6 : AF_INET, copy, out->bytes) == 1;
}

// Why a text is no address, for the mistakes that people make.
static const char *address_problem(struct str text) {
    size_t parts = 0, digits = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c != '.' && (c < '0' || c > '9')) {
            return "unable to parse IP";
        }
        if (c == '.') {
            parts++;
            digits = 0;
        } else if (++digits == 2 && text.p[i - 1] == '0') {
            return "IPv4 field has octet with leading zero";
        }
    }
    return parts == 0  ? "unable to parse IP"
           : parts < 3 ? "IPv4 address too short"
                       : "IPv4 field has value >255";
}

static bool is_mapped(const struct net_ip *ip) {
    static const unsigned char PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return ip->v6 && memcmp(ip->bytes, PREFIX, sizeof PREFIX) == 0;
}

static struct str address_text(struct arena *arena, const struct net_ip *ip) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(ip->v6 ? AF_INET6 : AF_INET, ip->bytes, text, sizeof text);
    return arena_dup(arena, str_from(text));
}

static struct cel_value ip_value(struct cel_eval *e, const struct net_ip *ip, enum cel_kind kind) {
    struct net_ip *copy = ARENA_NEW(e->arena, struct net_ip);
    *copy = *ip;
    return (struct cel_value){.kind = (uint8_t)kind, .u.other = copy};
}

static struct cel_value parse_ip(struct cel_eval *e, struct str text) {
    struct net_ip ip;
    if (str_find_char(text, '%') != STR_NPOS) {
        return cel_error(e->arena, "IP address \"%.*s\" with zone value is not allowed",
                         STR_ARG(text));
    }
    if (!parse_address(text, &ip)) {
        return cel_error(e->arena,
                         "IP Address \"%.*s\" parse error during conversion from string: "
                         "ParseAddr(\"%.*s\"): %s",
                         STR_ARG(text), STR_ARG(text), address_problem(text));
    }
    if (is_mapped(&ip)) {
        return cel_error(e->arena, "IPv4-mapped IPv6 address \"%.*s\" is not allowed",
                         STR_ARG(text));
    }
    return ip_value(e, &ip, CEL_IP);
}

FUNCTION(to_ip) {
    return parse_ip(e, args[0].u.text);
}
FUNCTION(is_ip) {
    return cel_bool(parse_ip(e, args[0].u.text).kind == CEL_IP);
}
FUNCTION(ip_is_canonical) {
    struct cel_value v = parse_ip(e, args[0].u.text);
    return v.kind == CEL_ERROR
               ? v
               : cel_bool(str_eq(address_text(e->arena, v.u.other), args[0].u.text));
}

static const struct net_ip *ip_of(const struct cel_value *v) {
    return v->u.other;
}
FUNCTION(ip_family) {
    return cel_int(ip_of(args)->v6 ? 6 : 4);
}

static bool is_unspecified(const struct net_ip *ip) {
    static const unsigned char ZERO[16];
    return memcmp(ip->bytes, ZERO, ip->v6 ? 16 : 4) == 0;
}

static bool is_loopback(const struct net_ip *ip) {
    static const unsigned char ONE[16] = {[15] = 1};
    return ip->v6 ? memcmp(ip->bytes, ONE, 16) == 0 : ip->bytes[0] == 127;
}

static bool is_link_local(const struct net_ip *ip) {
    return ip->v6 ? ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80
                  : ip->bytes[0] == 169 && ip->bytes[1] == 254;
}

static bool is_multicast(const struct net_ip *ip) {
    return ip->v6 ? ip->bytes[0] == 0xff : (ip->bytes[0] & 0xf0) == 0xe0;
}

FUNCTION(ip_unspecified) {
    return cel_bool(is_unspecified(ip_of(args)));
}
FUNCTION(ip_loopback) {
    return cel_bool(is_loopback(ip_of(args)));
}
FUNCTION(ip_link_local_multicast) {
    const struct net_ip *ip = ip_of(args);
    return cel_bool(ip->v6 ? ip->bytes[0] == 0xff && (ip->bytes[1] & 0x0f) == 2
                           : ip->bytes[0] == 224 && ip->bytes[1] == 0 && ip->bytes[2] == 0);
}
FUNCTION(ip_link_local_unicast) {
    return cel_bool(is_link_local(ip_of(args)));
}
FUNCTION(ip_global_unicast) {
    static const unsigned char BROADCAST[4] = {255, 255, 255, 255};
    const struct net_ip *ip = ip_of(args);
    bool broadcast = !ip->v6 && memcmp(ip->bytes, BROADCAST, 4) == 0;
    return cel_bool(!is_unspecified(ip) && !is_loopback(ip) && !is_multicast(ip) &&
                    !is_link_local(ip) && !broadcast);
}

// ---- Networks ----

// Empty when it is one; else why not.
static struct str parse_network(struct arena *arena, struct str text, struct net_ip *out) {
    uint64_t value = 0;
    size_t slash = str_rfind_char(text, '/');
    if (slash == STR_NPOS) {
        return STR("no '/'");
    }
    struct str address = str_first(text, slash), bits = str_skip(text, slash + 1);
    if (!parse_address(address, out)) {
        return arena_printf(arena, "ParseAddr(\"%.*s\"): %s", STR_ARG(address),
                            address_problem(address));
    }
    if (bits.n == 0 || bits.n > 3 || (bits.n > 1 && bits.p[0] == '0') ||
        !str_to_uint64(bits, &value)) {
        return arena_printf(arena, "bad bits after slash: \"%.*s\"", STR_ARG(bits));
    }
    if (value > (out->v6 ? 128U : 32U)) {
        return STR("prefix length out of range");
    }
    out->prefix = (unsigned)value;
    return STR("");
}

static struct cel_value parse_cidr(struct cel_eval *e, struct str text) {
    struct net_ip net;
    struct str why = parse_network(e->arena, text, &net);
    if (why.n) {
        return cel_error(e->arena,
                         "network address parse error during conversion from string: network "
                         "address parse error during conversion from string: "
                         "netip.ParsePrefix(\"%.*s\"): %.*s",
                         STR_ARG(text), STR_ARG(why));
    }
    if (is_mapped(&net)) {
        return cel_error(e->arena,
                         "network address parse error during conversion from string: IPv4-mapped "
                         "IPv6 address \"%.*s\" is not allowed",
                         STR_ARG(text));
    }
    return ip_value(e, &net, CEL_CIDR);
}

static struct net_ip mask(struct net_ip net, unsigned prefix) {
    unsigned size = net.v6 ? 16 : 4;
    for (unsigned i = 0; i < size; i++) {
        unsigned kept = prefix > i * 8 ? prefix - i * 8 : 0;
        net.bytes[i] = (unsigned char)(kept >= 8   ? net.bytes[i]
                                       : kept == 0 ? 0
                                                   : net.bytes[i] & (0xff << (8 - kept)));
    }
    return net;
}

static bool contains_ip(const struct net_ip *net, const struct net_ip *ip) {
    struct net_ip a = mask(*net, net->prefix), b = mask(*ip, net->prefix);
    return net->v6 == ip->v6 && memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

FUNCTION(to_cidr) {
    return parse_cidr(e, args[0].u.text);
}
FUNCTION(is_cidr) {
    return cel_bool(parse_cidr(e, args[0].u.text).kind == CEL_CIDR);
}
FUNCTION(cidr_contains_ip) {
    struct cel_value ip = args[1].kind == CEL_STRING ? parse_ip(e, args[1].u.text) : args[1];
    return ip.kind == CEL_ERROR ? cel_no_overload(e)
                                : cel_bool(contains_ip(ip_of(&args[0]), ip_of(&ip)));
}
FUNCTION(cidr_contains_cidr) {
    struct cel_value net = args[1].kind == CEL_STRING ? parse_cidr(e, args[1].u.text) : args[1];
    if (net.kind == CEL_ERROR) {
        return net;
    }
    const struct net_ip *outer = ip_of(&args[0]), *inner = ip_of(&net);
    return cel_bool(outer->prefix <= inner->prefix && contains_ip(outer, inner));
}
FUNCTION(cidr_ip) {
    struct net_ip ip = *ip_of(args);
    ip.prefix = 0;
    return ip_value(e, &ip, CEL_IP);
}
FUNCTION(cidr_prefix_length) {
    return cel_int(ip_of(args)->prefix);
}
FUNCTION(cidr_masked) {
    struct net_ip net = mask(*ip_of(args), ip_of(args)->prefix);
    return ip_value(e, &net, CEL_CIDR);
}

struct cel_value cel_net_text(struct cel_eval *e, const struct cel_value *v) {
    struct str text = address_text(e->arena, ip_of(v));
    return cel_text(v->kind == CEL_IP
                        ? text
                        : arena_printf(e->arena, "%.*s/%u", STR_ARG(text), ip_of(v)->prefix));
}

bool cel_net_equal(const struct cel_value *a, const struct cel_value *b) {
    if (a->kind == CEL_URL) {
        return str_eq(url_of(a)->text, url_of(b)->text);
    }
    const struct net_ip *x = ip_of(a), *y = ip_of(b);
    return x->v6 == y->v6 && x->prefix == y->prefix &&
           memcmp(x->bytes, y->bytes, sizeof x->bytes) == 0;
}

static const struct cel_function NET[] = {
    {"url", "s>U", false, COST_TEXT, to_url},
    {"isURL", "s>b", false, COST_ONE, is_url},
    {"getScheme", "U>s", true, COST_ONE, url_scheme},
    {"getHost", "U>s", true, COST_ONE, url_host},
    {"getHostname", "U>s", true, COST_ONE, url_hostname},
    {"getPort", "U>s", true, COST_ONE, url_port},
    {"getEscapedPath", "U>s", true, COST_ONE, url_path},
    {"getQuery", "U>MsLs", true, COST_ONE, url_query},
    {"ip", "s>I", false, COST_TEXT, to_ip},
    {"isIP", "s>b", false, COST_TEXT, is_ip},
    {"ip.isCanonical", "s>b", false, COST_TEXT_TWICE, ip_is_canonical},
    {"family", "I>i", true, COST_ONE, ip_family},
    {"isUnspecified", "I>b", true, COST_ONE, ip_unspecified},
    {"isLoopback", "I>b", true, COST_ONE, ip_loopback},
    {"isLinkLocalMulticast", "I>b", true, COST_ONE, ip_link_local_multicast},
    {"isLinkLocalUnicast", "I>b", true, COST_ONE, ip_link_local_unicast},
    {"isGlobalUnicast", "I>b", true, COST_ONE, ip_global_unicast},
    {"cidr", "s>C", false, COST_TEXT, to_cidr},
    {"isCIDR", "s>b", false, COST_TEXT, is_cidr},
    {"containsIP", "Cs>b", true, COST_CIDR_IP, cidr_contains_ip},
    {"containsIP", "CI>b", true, COST_CIDR_IP, cidr_contains_ip},
    {"containsCIDR", "Cs>b", true, COST_CIDR_CIDR, cidr_contains_cidr},
    {"containsCIDR", "CC>b", true, COST_CIDR_CIDR, cidr_contains_cidr},
    {"ip", "C>I", true, COST_ONE, cidr_ip},
    {"prefixLength", "C>i", true, COST_ONE, cidr_prefix_length},
    {"masked", "C>C", true, COST_ONE, cidr_masked},
};
const struct cel_functions cel_functions_net = {NET, ARRAY_LEN(NET)};
