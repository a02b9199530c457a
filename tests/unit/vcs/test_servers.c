// SPDX-License-Identifier: Apache-2.0
// Against real servers: `git http-backend` with TLS and authentication, and sshd. Skipped, with the reason, where the
// programs are missing.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>

#include "crypto/crypto.h"
#include "git_fixture.h"

struct server {
    pid_t pid;
    int port;
};

struct servers {
    struct fixture *fixture;
    struct server https, http, closed, mutual, ssh;
    struct cert_pair ca, client;
    char log[128];
};

static const char *script(struct fixture *fixture, const char *name) {
    const char *data = getenv("SKIFF_TEST_DATA");
    return arena_printf(fixture->arena, "%s/../e2e/git/%s", data ? data : "tests/data", name).p;
}

// Starts a server and waits for its line "PORT n"; port 0 when it did not come up.
static struct server start_server(const char *const *argv) {
    struct server server = {0};
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    int code = posix_spawnp(&server.pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
                            (char *const *)(uintptr_t)fixture_env);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    char line[64] = "";
    size_t n = 0;
    while (code == 0 && n < sizeof line - 1 && read(out[0], line + n, 1) == 1 && line[n] != '\n') {
        n++;
    }
    line[n] = '\0';
    close(out[0]);
    int64_t port = 0;
    if (strncmp(line, "PORT ", 5) == 0 && str_to_int64(str_from(line + 5), &port)) {
        server.port = (int)port;
    } else {
        print_message("server did not start: %s\n", line);
    }
    if (code != 0) {
        server.pid = 0;
    }
    return server;
}

static void stop_server(struct server *server) {
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        waitpid(server->pid, NULL, 0);
    }
}

static const char *write_text(struct fixture *fixture, const char *name, struct str text) {
    const char *path = arena_printf(fixture->arena, "%s/%s", fixture->dir, name).p;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    close(fd);
    return path;
}

static struct str read_text(struct fixture *fixture, const char *name) {
    struct err err = {0};
    struct str text = {0};
    AUTO(file_tree_destroy)
    struct file_tree *tree = file_tree_open_folder(str_from(fixture->dir), &err);
    if (tree) {
        tree->ops->read(tree, str_from(name), MIB, fixture->arena, &text, &err);
    }
    return text;
}

static void start_http(struct servers *servers) {
    struct fixture *fixture = servers->fixture;
    struct err err = {0};
    struct cert_pair server;
    const struct str names[] = {STR("127.0.0.1")};
    assert_true(cert_create_ca(STR("test"), fixture->arena, &servers->ca, &err));
    assert_true(cert_create_server(&servers->ca, names, 1, fixture->arena, &server, &err));
    const char *cert = write_text(fixture, "cert.pem", server.cert);
    const char *key = write_text(fixture, "key.pem", server.key);
    const char *program = script(fixture, "http_server.py");
    const char *client_key = arena_printf(fixture->arena, "%s/client-key.pem", fixture->dir).p;
    const char *client_cert = arena_printf(fixture->arena, "%s/client-cert.pem", fixture->dir).p;
    const char *const make_client[] = {"openssl", "req",      "-x509", "-newkey",   "rsa:2048",
                                       "-nodes",  "-days",    "2",     "-subj",     "/CN=client",
                                       "-keyout", client_key, "-out",  client_cert, NULL};
    bool has_client = run_program(make_client, STR(""), NULL) == 0;
    servers->client.cert = read_text(fixture, "client-cert.pem");
    servers->client.key = read_text(fixture, "client-key.pem");
    snprintf(servers->log, sizeof servers->log, "%s/http.log", fixture->dir);
    const char *const https[] = {
        "python3",  program,        "--root", fixture->dir, "--user", "ann:CANARY pw",
        "--bearer", "CANARY-token", "--cert", cert,         "--key",  key,
        NULL};
    const char *const http[] = {"python3", program,      "--root", fixture->dir,
                                "--log",   servers->log, NULL};
    const char *const mutual[] = {"python3", program, "--root",      fixture->dir, "--cert", cert,
                                  "--key",   key,     "--client-ca", client_cert,  NULL};
    servers->https = start_server(https);
    servers->http = start_server(http);
    const char *const closed[] = {"python3",    program,        "--root",
                                  fixture->dir, "--user",       "ann:CANARY pw",
                                  "--bearer",   "CANARY-token", NULL};
    servers->closed = start_server(closed);
    if (has_client) {
        servers->mutual = start_server(mutual);
    }
}

static void start_ssh(struct servers *servers) {
    struct fixture *fixture = servers->fixture;
    char port[16];
    snprintf(port, sizeof port, "%d", 20000 + (int)(getpid() % 20000));
    const char *const argv[] = {"sh", script(fixture, "start-sshd"), fixture->dir, port, NULL};
    servers->ssh = start_server(argv);
    for (int i = 0; servers->ssh.port && i < 50; i++) { // it listens a moment later
        struct str log = read_text(fixture, "sshd.log");
        if (str_has(log, STR("Server listening"))) {
            break;
        }
        usleep(20 * 1000);
    }
}

static int setup(void **state) {
    struct servers *servers = NEW(struct servers);
    void *fixture;
    fixture_setup(&fixture);
    servers->fixture = fixture;
    start_http(servers);
    start_ssh(servers);
    *state = servers;
    return 0;
}

static int teardown(void **state) {
    struct servers *servers = *state;
    struct server *all[] = {&servers->https, &servers->http, &servers->closed, &servers->mutual,
                            &servers->ssh};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        stop_server(all[i]);
    }
    void *fixture = servers->fixture;
    fixture_teardown(&fixture);
    free(servers);
    return 0;
}

static void need(const struct server *server, const char *what) {
    if (server->port == 0) {
        print_message("SKIPPED: %s is not available\n", what);
        skip();
    }
}

static const char *url_of(struct servers *servers, const char *format, int port) {
    return arena_printf(servers->fixture->arena, format, port).p;
}

static bool has_file(const char *dir, const char *prefix) {
    DIR *stream = opendir(dir);
    bool found = false;
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        found = found || strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    if (stream) {
        closedir(stream);
    }
    return found;
}

static void check_answer(struct servers *servers, const char *what, const char *url,
                         const struct answer *answer, enum err_code code) {
    struct fixture *fixture = servers->fixture;
    if (answer->err.code != code) {
        fail_msg("%s: %s: %s", what, err_code_name(answer->err.code), answer->err.message);
    }
    assert_null(strstr(answer->err.message, "CANARY"));
    if (code == ERR_NONE) {
        struct err err = {0};
        assert_string_equal(answer->sha, rev_parse(fixture, "main"));
        assert_true(str_eq_c(read_path(fixture, url, answer->sha, "apps/a.yaml", &err), "a\n"));
    }
    struct git_vcs *vcs = CONTAINER_OF(fixture->vcs, struct git_vcs, vcs);
    assert_false(has_file(vcs->context.secrets, "run-"));
}

static void test_https(void **state) {
    struct servers *servers = *state;
    need(&servers->https, "python3 for the HTTPS server");
    const char *url = url_of(servers, "https://127.0.0.1:%d/src.git", servers->https.port);
    const char *in_url =
        url_of(servers, "https://ann:CANARY%%20pw@127.0.0.1:%d/src.git", servers->https.port);
    const char *bad_in_url =
        url_of(servers, "https://ann:CANARY@127.0.0.1:%d/src.git", servers->https.port);
    const char *missing = url_of(servers, "https://127.0.0.1:%d/none.git", servers->https.port);
    const struct str ca = servers->ca.cert;
    const struct str user = STR("ann");
    const struct str password = STR("CANARY pw");
    const struct {
        const char *what, *url;
        struct vcs_access access;
        enum err_code code;
    } cases[] = {
        {"password", url, {.username = user, .password = password, .ca = ca}, ERR_NONE},
        {"insecure", url, {.username = user, .password = password, .insecure = true}, ERR_NONE},
        {"token", url, {.bearer_token = STR("CANARY-token"), .ca = ca}, ERR_NONE},
        {"in the URL", in_url, {.ca = ca}, ERR_NONE},
        {"no credentials", url, {.ca = ca}, ERR_UNAUTHORIZED},
        {"wrong password",
         url,
         {.username = user, .password = STR("CANARY"), .ca = ca},
         ERR_UNAUTHORIZED},
        {"wrong in the URL", bad_in_url, {.ca = ca}, ERR_UNAUTHORIZED},
        {"wrong token", url, {.bearer_token = STR("CANARY"), .ca = ca}, ERR_UNAUTHORIZED},
        {"no CA", url, {.username = user, .password = password}, ERR_FORBIDDEN},
        {"missing", missing, {.username = user, .password = password, .ca = ca}, ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer =
            resolve_with(servers->fixture, cases[i].url, &cases[i].access, "main", 0);
        check_answer(servers, cases[i].what, cases[i].url, &answer, cases[i].code);
        struct answer checked = check_with(servers->fixture, cases[i].url, &cases[i].access);
        if (checked.err.code != cases[i].code) {
            fail_msg("check: %s: %s", cases[i].what, checked.err.message);
        }
    }
    // An answer got with credentials is not for a caller without.
    struct vcs_access good = {.username = user, .password = password, .ca = ca};
    struct vcs_access none = {.ca = ca};
    resolve_with(servers->fixture, url, &good, "main", 0);
    struct answer answer = resolve_with(servers->fixture, url, &none, "main", 3600 * 1000);
    assert_int_equal(answer.err.code, ERR_UNAUTHORIZED);
}

static void test_client_certificate(void **state) {
    struct servers *servers = *state;
    need(&servers->mutual, "python3 or openssl for mutual TLS");
    const char *url = url_of(servers, "https://127.0.0.1:%d/src.git", servers->mutual.port);
    struct vcs_access access = {.ca = servers->ca.cert,
                                .tls_client_cert = servers->client.cert,
                                .tls_client_key = servers->client.key};
    struct answer answer = resolve_with(servers->fixture, url, &access, "main", 0);
    check_answer(servers, "client certificate", url, &answer, ERR_NONE);
    struct vcs_access without = {.ca = servers->ca.cert};
    answer = resolve_with(servers->fixture, url, &without, "main", 0);
    assert_int_not_equal(answer.err.code, ERR_NONE);
}

static void test_http_faults(void **state) {
    struct servers *servers = *state;
    need(&servers->http, "python3 for the HTTP server");
    const struct {
        const char *format;
        enum err_code code;
    } cases[] = {
        {"http://127.0.0.1:%d/src.git", ERR_NONE},
        {"http://127.0.0.1:%d/v0/src.git", ERR_NONE},
        {"http://127.0.0.1:%d/status/503/src.git", ERR_UNAVAILABLE},
        {"http://127.0.0.1:%d/status/429/src.git", ERR_UNAVAILABLE},
        {"http://127.0.0.1:%d/status/403/src.git", ERR_UNAUTHORIZED},
        {"http://127.0.0.1:%d/status/404/src.git", ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *url = url_of(servers, cases[i].format, servers->http.port);
        struct answer answer = resolve_with(servers->fixture, url, NULL, "main", 0);
        check_answer(servers, url, url, &answer, cases[i].code);
    }
    // A server that serves no single commits: the peeled tag and the inner commit come by the full fetch.
    const char *url = url_of(servers, "http://127.0.0.1:%d/v0/src.git", servers->http.port);
    struct answer answer = resolve_with(servers->fixture, url, NULL, "v1.2.0", 0);
    assert_string_equal(answer.sha, rev_parse(servers->fixture, "main"));
    answer = resolve_with(servers->fixture, url, NULL, rev_parse(servers->fixture, "main~1"), 0);
    assert_string_equal(answer.sha, rev_parse(servers->fixture, "main~1"));
}

// Credentials go to the origin they were given for and nowhere else.
static void test_redirect(void **state) {
    struct servers *servers = *state;
    need(&servers->closed, "python3 for the HTTP server");
    // The first server asks nobody for a password; the one where the redirect leads does. Another port is another origin.
    static const char *const formats[] = {
        "http://127.0.0.1:%d/redirect/http%%3A%%2F%%2F127.0.0.1%%3A%d/src.git",
        "http://127.0.0.1:%d/redirect/http%%3A%%2F%%2F127.0.0.1%%3A%d/none.git",
    };
    struct vcs_access password = {.username = STR("ann"), .password = STR("CANARY pw")};
    struct vcs_access token = {.bearer_token = STR("CANARY-token")};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        const char *url = arena_printf(servers->fixture->arena, formats[i], servers->http.port,
                                       servers->closed.port)
                              .p;
        struct answer answer = resolve_with(servers->fixture, url, &password, "main", 0);
        assert_int_equal(answer.err.code, ERR_UNAUTHORIZED);
        assert_null(strstr(answer.err.message, "CANARY"));
        answer = resolve_with(servers->fixture, url, &token, "main", 0);
        assert_int_equal(answer.err.code, ERR_UNAUTHORIZED);
    }
    // Asked directly, it lets both in: the refusals above were ours.
    const char *direct = url_of(servers, "http://127.0.0.1:%d/src.git", servers->closed.port);
    struct answer answer = resolve_with(servers->fixture, direct, &password, "main", 0);
    assert_int_equal(answer.err.code, ERR_NONE);
    answer = resolve_with(servers->fixture, direct, &token, "main", 0);
    assert_int_equal(answer.err.code, ERR_NONE);
    // From http to https without credentials: followed, and refused by the server.
    const char *other = arena_printf(servers->fixture->arena,
                                     "http://127.0.0.1:%d/redirect/"
                                     "https%%3A%%2F%%2F127.0.0.1%%3A%d/src.git",
                                     servers->http.port, servers->https.port)
                            .p;
    struct vcs_access insecure = {.insecure = true};
    answer = resolve_with(servers->fixture, other, &insecure, "main", 0);
    assert_int_equal(answer.err.code, ERR_UNAUTHORIZED);
    // And to a local program or file never.
    const char *file =
        arena_printf(servers->fixture->arena,
                     "http://127.0.0.1:%d/redirect/file%%3A%%2F%%2F/src.git", servers->http.port)
            .p;
    answer = resolve_with(servers->fixture, file, &insecure, "main", 0);
    assert_int_not_equal(answer.err.code, ERR_NONE);
}

static bool is_in_command_lines(const char *needle) {
    DIR *proc = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        char path[300];
        char text[65536];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
        found = found || (n > 0 && str_has(str_make(text, (size_t)n), str_from(needle)));
        if (fd >= 0) {
            close(fd);
        }
    }
    closedir(proc);
    return found;
}

static void test_arguments_hold_no_secret(void **state) {
    struct servers *servers = *state;
    need(&servers->http, "python3 for the HTTP server");
    const char *url =
        url_of(servers, "http://bob:CANUARY-in-url@127.0.0.1:%d/slow/src.git", servers->http.port);
    struct vcs_access access = {.bearer_token = STR("CANUARY-token")};
    size_t waiting = 1;
    struct answer answer = {.fixture = servers->fixture, .waiting = &waiting};
    servers->fixture->vcs->ops->resolve(servers->fixture->vcs, str_from(url), &access, STR("main"),
                                        0, on_answer, &answer);
    run_for(servers->fixture, 500);
    assert_false(answer.done);
    assert_true(is_in_command_lines("/slow/src.git")); // it is running
    assert_false(is_in_command_lines("CANUARY"));
    // Not answered yet: the fixture's end kills it.
    servers->fixture->vcs->ops->destroy(servers->fixture->vcs);
    run_for(servers->fixture, 100);
    assert_false(answer.done);
    fixture_start_vcs(servers->fixture);
}

static void test_ssh(void **state) {
    struct servers *servers = *state;
    need(&servers->ssh, "sshd");
    struct fixture *fixture = servers->fixture;
    char user[64];
    assert_int_equal(run_program((const char *const[]){"id", "-un", NULL}, STR(""), user), 0);
    const char *url = arena_printf(fixture->arena, "ssh://%s@127.0.0.1:%d%s", user,
                                   servers->ssh.port, fixture->repo)
                          .p;
    const char *missing =
        arena_printf(fixture->arena, "ssh://%s@127.0.0.1:%d/none", user, servers->ssh.port).p;
    const struct str key = read_text(fixture, "client");
    const struct str hosts = read_text(fixture, "known_hosts");
    const struct {
        const char *what, *url;
        struct vcs_access access;
        enum err_code code;
    } cases[] = {
        {"key", url, {.ssh_private_key = key, .known_hosts = hosts}, ERR_NONE},
        {"key without its last line break",
         url,
         {.ssh_private_key = str_trim(key), .known_hosts = hosts},
         ERR_NONE},
        {"insecure", url, {.ssh_private_key = key, .insecure = true}, ERR_NONE},
        {"wrong host key",
         url,
         {.ssh_private_key = key, .known_hosts = read_text(fixture, "wrong_hosts")},
         ERR_FORBIDDEN},
        {"unknown host", url, {.ssh_private_key = key}, ERR_FORBIDDEN},
        {"wrong key",
         url,
         {.ssh_private_key = read_text(fixture, "stranger"), .known_hosts = hosts},
         ERR_UNAUTHORIZED},
        {"no key", url, {.known_hosts = hosts}, ERR_UNAUTHORIZED},
        {"not a key",
         url,
         {.ssh_private_key = STR("CANARY"), .known_hosts = hosts},
         ERR_UNAUTHORIZED},
        {"missing", missing, {.ssh_private_key = key, .known_hosts = hosts}, ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = resolve_with(fixture, cases[i].url, &cases[i].access, "main", 0);
        check_answer(servers, cases[i].what, cases[i].url, &answer, cases[i].code);
    }
}

int main(int argc, char **argv) {
    if (vcs_is_askpass(argc, argv)) {
        return vcs_askpass_main(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_https),       cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_http_faults), cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_ssh),         cmocka_unit_test(test_arguments_hold_no_secret),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
