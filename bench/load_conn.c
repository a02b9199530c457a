// SPDX-License-Identifier: Apache-2.0
#include "bench/load_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void load_conn_open(struct load_conn *conn, int epoll, SSL_CTX *tls, uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    conn->fd = fd;
    buf_init(&conn->out, LOAD_REQUEST_MAX);
    buf_init(&conn->head, 64 * 1024);
    buf_init(&conn->body, LOAD_REPLY_MAX);
    if (tls) {
        conn->ssl = SSL_new(tls);
        SSL_set_fd(conn->ssl, fd);
        if (SSL_connect(conn->ssl) != 1) {
            fprintf(stderr, "the TLS handshake failed\n");
            exit(1);
        }
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    conn->connected = true;
}

void load_conn_close(struct load_conn *conn) {
    if (conn->connected) {
        SSL_free(conn->ssl);
        close(conn->fd);
        buf_fini(&conn->out);
        buf_fini(&conn->head);
        buf_fini(&conn->body);
        *conn = (struct load_conn){.index = conn->index};
    }
}

// Bytes moved; 0: not now; -1: the connection is gone.
static ssize_t moved(struct load_conn *conn, ssize_t n) {
    if (n > 0) {
        return n;
    }
    if (conn->ssl) {
        int error = SSL_get_error(conn->ssl, (int)n);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static bool flush(struct load_conn *conn) {
    while (conn->sent < conn->out.len) {
        const char *from = conn->out.data + conn->sent;
        size_t n = conn->out.len - conn->sent;
        ssize_t got = moved(conn, conn->ssl ? SSL_write(conn->ssl, from, (int)n)
                                            : send(conn->fd, from, n, MSG_NOSIGNAL));
        if (got <= 0) {
            return got == 0;
        }
        conn->sent += (size_t)got;
    }
    return true;
}

void load_conn_send(struct load_conn *conn, const struct load_handlers *handlers) {
    conn->sent = 0;
    conn->part = LOAD_HEAD;
    conn->body_bytes = 0;
    conn->status = 0;
    buf_clear(&conn->head);
    buf_clear(&conn->body);
    if (!flush(conn)) {
        handlers->on_error(handlers->ctx, conn, "sending failed");
    }
}

static bool head_done(struct load_conn *conn) {
    struct str head = buf_str(&conn->head);
    int64_t n;
    // After "HTTP/1.1 ".
    conn->status = str_to_int64(str_first(str_skip(head, 9), 3), &n) ? (int)n : 0;
    struct str line, rest = head;
    conn->part = LOAD_BODY;
    conn->left = 0;
    while (str_next(&rest, '\n', &line)) {
        struct str name, value;
        if (!str_cut(str_trim(line), ':', &name, &value)) {
            continue;
        }
        value = str_trim(value);
        if (str_eq_nocase(name, STR("content-length")) && str_to_int64(value, &n) && n >= 0) {
            conn->left = (size_t)n;
        } else if (str_eq_nocase(name, STR("transfer-encoding"))) {
            conn->part = LOAD_CHUNK_SIZE;
        }
    }
    buf_clear(&conn->head);
    return conn->status > 0;
}

static void take_body(struct load_conn *conn, const struct load_handlers *handlers,
                      struct str got) {
    conn->body_bytes += got.n;
    if (conn->keep_body) {
        buf_add_str(&conn->body, got);
    }
    if (handlers->on_body) {
        handlers->on_body(handlers->ctx, conn, got);
    }
}

// One byte of a head, size line or trailer. False: malformed.
static bool take_line_byte(struct load_conn *conn, const struct load_handlers *handlers, char c) {
    if (!buf_add_char(&conn->head, c)) {
        return false;
    }
    if (c != '\n') {
        return true;
    }
    struct str text = buf_str(&conn->head);
    switch (conn->part) {
    case LOAD_HEAD:
        if (!str_ends(text, STR("\r\n\r\n"))) {
            return true;
        }
        if (!head_done(conn)) {
            return false;
        }
        if (conn->part == LOAD_BODY && conn->left == 0) {
            handlers->on_reply(handlers->ctx, conn);
        }
        return true;
    case LOAD_CHUNK_SIZE:
        conn->left = strtoul(conn->head.data, NULL, 16);
        conn->part = conn->left ? LOAD_CHUNK : LOAD_TRAILER;
        break;
    case LOAD_CHUNK_END:
        conn->part = LOAD_CHUNK_SIZE;
        break;
    case LOAD_TRAILER:
        if (text.n <= 2) {
            handlers->on_reply(handlers->ctx, conn);
        }
        break;
    default:
        return false;
    }
    buf_clear(&conn->head);
    return true;
}

static bool take(struct load_conn *conn, const struct load_handlers *handlers, struct str got) {
    while (got.n) {
        if (conn->part == LOAD_BODY || conn->part == LOAD_CHUNK) {
            size_t n = got.n < conn->left ? got.n : conn->left;
            if (n == 0) {
                return false; // bytes after the reply
            }
            take_body(conn, handlers, str_first(got, n));
            got = str_skip(got, n);
            conn->left -= n;
            if (conn->left == 0 && conn->part == LOAD_BODY) {
                handlers->on_reply(handlers->ctx, conn);
            } else if (conn->left == 0) {
                conn->part = LOAD_CHUNK_END;
            }
        } else if (!take_line_byte(conn, handlers, got.p[0])) {
            return false;
        } else {
            got = str_skip(got, 1);
        }
    }
    return true;
}

void load_conn_work(struct load_conn *conn, const struct load_handlers *handlers) {
    static char chunk[256 * 1024];
    if (!conn->connected) {
        return;
    }
    if (!flush(conn)) {
        handlers->on_error(handlers->ctx, conn, "sending failed");
        return;
    }
    while (conn->connected) {
        ssize_t n = moved(conn, conn->ssl ? SSL_read(conn->ssl, chunk, sizeof chunk)
                                          : recv(conn->fd, chunk, sizeof chunk, 0));
        if (n == 0) {
            return;
        }
        if (n < 0) {
            handlers->on_error(handlers->ctx, conn, "the server closed the connection");
            return;
        }
        if (!take(conn, handlers, (struct str){chunk, (size_t)n})) {
            handlers->on_error(handlers->ctx, conn, "the reply is not HTTP/1.1");
            return;
        }
    }
}
