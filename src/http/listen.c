// SPDX-License-Identifier: Apache-2.0
// Addresses to listen on. Options that keep a vanished client from holding a connection for ever are set on the listening
// socket: Linux hands them to the accepted ones, which saves system calls for each connection.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/server_internal.h"

enum {
    LISTEN_BACKLOG = 4096,
    // A peer that vanished without a word is noticed within 30 seconds: a quiet connection after 10 seconds and
    // three probes, one with bytes under way when they are not acknowledged for 20 seconds.
    KEEPALIVE_IDLE = 10,
    KEEPALIVE_INTERVAL = 5,
    KEEPALIVE_COUNT = 3,
    UNACKED_MS = 20 * 1000,
};

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t size;
};

static bool parse(struct str text, struct endpoint *out, struct err *err) {
    size_t colon = str_rfind_char(text, ':');
    uint64_t port;
    if (colon == STR_NPOS || !str_to_uint64(str_skip(text, colon + 1), &port) || port > 65535) {
        return err_set(err, ERR_INVALID,
                       "listen address \"%.*s\": expected ADDRESS:PORT, such as 127.0.0.1:6443",
                       STR_ARG(text));
    }
    struct str host = str_first(text, colon);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct str){host.p + 1, host.n - 2};
    }
    host = str_eq_c(host, "localhost") ? STR("127.0.0.1") : host.n == 0 ? STR("::") : host;
    char name[INET6_ADDRSTRLEN];
    *out = (struct endpoint){0};
    if (host.n < sizeof name) {
        memcpy(name, host.p, host.n);
        name[host.n] = '\0';
        if (inet_pton(AF_INET, name, &out->address.v4.sin_addr) == 1) {
            out->address.v4.sin_family = AF_INET;
            out->address.v4.sin_port = htons((uint16_t)port);
            out->size = sizeof out->address.v4;
            return true;
        }
        if (inet_pton(AF_INET6, name, &out->address.v6.sin6_addr) == 1) {
            out->address.v6.sin6_family = AF_INET6;
            out->address.v6.sin6_port = htons((uint16_t)port);
            out->size = sizeof out->address.v6;
            return true;
        }
    }
    return err_set(err, ERR_INVALID, "listen address \"%.*s\": \"%.*s\" is not an IP address",
                   STR_ARG(text), STR_ARG(host));
}

static void set_option(int fd, int level, int name, int value) {
    // Without one of these the server works, only more patiently.
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static bool open_endpoint(struct endpoint *endpoint, int *out) {
    int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (endpoint->address.any.sa_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    }
    if (bind(fd, &endpoint->address.any, endpoint->size) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, &endpoint->address.any, &endpoint->size) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    *out = fd;
    return true;
}

int listen_open(struct str address, unsigned *port, struct err *err) {
    struct endpoint endpoint;
    int fd = -1;
    if (!parse(address, &endpoint, err)) {
        return -1;
    }
    bool opened = open_endpoint(&endpoint, &fd);
    if (!opened && errno == EAFNOSUPPORT && address.n > 0 && address.p[0] == ':') {
        // ":6443" means every address, also on a machine without IPv6.
        uint16_t number = endpoint.address.v6.sin6_port;
        endpoint = (struct endpoint){.size = sizeof endpoint.address.v4};
        endpoint.address.v4.sin_family = AF_INET;
        endpoint.address.v4.sin_port = number;
        opened = open_endpoint(&endpoint, &fd);
    }
    if (!opened) {
        int code = errno;
        err_errno(err, code, "cannot listen on %.*s%s", STR_ARG(address),
                  code == EADDRINUSE ? " (another program uses this port)" : "");
        return -1;
    }
    // The port stands at the same place in both forms.
    *port = ntohs(endpoint.address.v4.sin_port);
    return fd;
}

void address_format(const void *sockaddr, char out[ADDRESS_TEXT_MAX]) {
    char host[INET6_ADDRSTRLEN] = "?";
    out[0] = '\0';
    sa_family_t family = sockaddr ? ((const struct sockaddr *)sockaddr)->sa_family : AF_UNSPEC;
    if (family == AF_INET) {
        const struct sockaddr_in *v4 = sockaddr;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
    } else if (family == AF_INET6) {
        const struct sockaddr_in6 *v6 = sockaddr;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}
