// SPDX-License-Identifier: Apache-2.0
// Child processes: what they get, and what happens when they overstep.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/timefmt.h"
#include "loop/loop.h"

struct outcome {
    struct loop *loop;
    int calls;
    int status;
    char out[4096];
    size_t out_len;
    char errout[4096];
    enum err_code error;
};

static void ended(void *ctx, const struct loop_exit *result) {
    struct outcome *o = ctx;
    o->calls++;
    o->status = result->status;
    o->out_len = result->out.n;
    snprintf(o->out, sizeof o->out, "%.*s", STR_ARG(result->out));
    snprintf(o->errout, sizeof o->errout, "%.*s", STR_ARG(result->errout));
    o->error = result->error ? result->error->code : ERR_NONE;
    loop_stop(o->loop);
}

static int setup(void **state) {
    struct outcome *o = NEW(struct outcome);
    o->loop = loop_create(1);
    *state = o;
    return 0;
}

static int teardown(void **state) {
    struct outcome *o = *state;
    loop_destroy(o->loop);
    free(o);
    return 0;
}

static void run(struct outcome *o, struct loop_spawn spec) {
    struct err err = {0};
    uint64_t id = loop_spawn(o->loop, &spec, ended, o, &err);
    if (id == 0) {
        print_error("%s\n", err.message);
    }
    assert_true(id != 0);
    assert_int_equal(o->calls, 0);
    loop_run(o->loop);
    assert_int_equal(o->calls, 1);
}

#define SH(script)               \
    (const char *const[]) {      \
        "sh", "-c", script, NULL \
    }

static void test_output_and_status(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("echo out; echo err >&2; exit 3")});
    assert_int_equal(o->status, 3);
    assert_int_equal(o->error, ERR_NONE);
    assert_string_equal(o->out, "out\n");
    assert_string_equal(o->errout, "err\n");
}

static void test_input(void **state) {
    struct outcome *o = *state;
    size_t n = 300 * 1000; // more than a pipe holds
    char *text = xmalloc(n);
    memset(text, 'x', n);
    run(o, (struct loop_spawn){.argv = SH("wc -c"), .input = {text, n}});
    free(text);
    assert_int_equal(strtol(o->out, NULL, 10), (long)n);
}

static void test_input_not_read(void **state) {
    struct outcome *o = *state;
    size_t n = 300 * 1000;
    char *text = xcalloc(1, n);
    run(o, (struct loop_spawn){.argv = SH("exit 0"), .input = {text, n}});
    free(text);
    assert_int_equal(o->status, 0);
    assert_int_equal(o->error, ERR_NONE);
}

static void test_clean_environment(void **state) {
    struct outcome *o = *state;
    setenv("SKIFF_SECRET", "leak", 1);
    run(o, (struct loop_spawn){
               .argv = SH("env | grep -v '^\\(PATH\\|HOME\\|PWD\\|SHLVL\\|_\\|OLDPWD\\)='; "
                          "pwd; [ -n \"$PATH\" ]")});
    assert_string_equal(o->out, "/\n");
    assert_int_equal(o->status, 0);
}

static void test_given_environment_and_folder(void **state) {
    struct outcome *o = *state;
    const char *env[] = {"ONLY=this", NULL};
    run(o, (struct loop_spawn){.argv = SH("echo $ONLY-$HOME; pwd"), .env = env, .cwd = "/tmp"});
    assert_string_equal(o->out, "this-\n/tmp\n");
}

static void test_no_descriptors_leak(void **state) {
    struct outcome *o = *state;
    int fd = dup(1); // without close-on-exec
    run(o, (struct loop_spawn){.argv = SH("ls /proc/self/fd; ulimit -n")});
    close(fd);
    static const char wanted[] = "0\n1\n2\n3\n"; // 3 is the folder that ls reads
    assert_memory_equal(o->out, wanted, sizeof wanted - 1);
    char *end;
    long limit = strtol(o->out + sizeof wanted - 1, &end, 10);
    assert_true(limit > 3 && limit <= 1024);
    assert_string_equal(end, "\n"); // and no other descriptor before the limit
}

static void test_own_group_is_killed_by_timeout(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("sleep 100 & echo $!; wait"),
                               .timeout_ns = 200 * NS_PER_MS});
    assert_int_equal(o->error, ERR_TIMEOUT);
    assert_int_equal(o->status, 128 + SIGKILL);
    pid_t grandchild = (pid_t)strtol(o->out, NULL, 10);
    assert_true(grandchild > 0);
    // Gone, or a zombie that the system's first process has yet to collect.
    for (int i = 0; i < 200; i++) {
        char path[64];
        char text[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild);
        FILE *file = fopen(path, "r");
        if (!file) {
            return;
        }
        size_t n = fread(text, 1, sizeof text - 1, file);
        text[n] = '\0';
        fclose(file);
        const char *state_char = strrchr(text, ')');
        if (state_char && state_char[2] == 'Z') {
            return;
        }
        usleep(10 * 1000);
    }
    fail_msg("the grandchild lives");
}

static void test_grandchild_does_not_hold_the_end(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("sleep 100 & echo done")});
    assert_int_equal(o->status, 0);
    assert_string_equal(o->out, "done\n");
}

static void test_escaped_grandchild_does_not_hold_the_end(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("setsid sleep 3 & echo done")});
    assert_int_equal(o->status, 0);
    assert_string_equal(o->out, "done\n");
}

static void test_output_limit(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("while :; do echo yyyyyyyyyyyyyyyyyyy; done"),
                               .max_output = 10000});
    assert_int_equal(o->error, ERR_LIMIT);
    assert_int_equal(o->out_len, 10000);
}

static void test_cpu_limit(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("while :; do :; done"), .max_cpu_seconds = 1});
    assert_true(o->status == 128 + SIGKILL || o->status == 128 + SIGXCPU);
}

static void test_memory_limit(void **state) {
    struct outcome *o = *state;
    run(o, (struct loop_spawn){.argv = SH("ulimit -v"), .max_memory = 512 * MIB});
    assert_int_equal(strtol(o->out, NULL, 10), 512 * 1024);
}

static void test_missing_program(void **state) {
    struct outcome *o = *state;
    static const char *const names[] = {"no-such-program-here", "/no/such/program", "./nothing"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = {0};
        const char *argv[] = {names[i], NULL};
        assert_true(loop_spawn(o->loop, &(struct loop_spawn){.argv = argv}, ended, o, &err) == 0);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_non_null(strstr(err.message, names[i]));
    }
    struct err err = {0};
    assert_true(loop_spawn(o->loop, &(struct loop_spawn){.argv = SH(":"), .cwd = "/no/folder"},
                           ended, o, &err) == 0);
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_kill(void **state) {
    struct outcome *o = *state;
    struct err err = {0};
    uint64_t id =
        loop_spawn(o->loop, &(struct loop_spawn){.argv = SH("sleep 100")}, ended, o, &err);
    loop_kill(o->loop, id);
    assert_int_equal(o->calls, 0);
    loop_run(o->loop);
    assert_int_equal(o->calls, 1);
    assert_int_equal(o->error, ERR_CANCELLED);
    loop_kill(o->loop, id); // long gone: harmless
}

static void count_ended(void *ctx, const struct loop_exit *result) {
    struct outcome *o = ctx;
    o->status += result->status;
    if (++o->calls == 30) {
        loop_stop(o->loop);
    }
}

static void test_many_at_once(void **state) {
    struct outcome *o = *state;
    struct err err = {0};
    for (int i = 0; i < 30; i++) {
        assert_true(loop_spawn(o->loop, &(struct loop_spawn){.argv = SH("exit 2")}, count_ended, o,
                               &err) != 0);
    }
    loop_run(o->loop);
    assert_int_equal(o->status, 60);
}

static void test_destroy_kills(void **state) {
    struct outcome *o = *state;
    struct err err = {0};
    assert_true(
        loop_spawn(o->loop, &(struct loop_spawn){.argv = SH("sleep 100")}, ended, o, &err) != 0);
    loop_destroy(o->loop); // does not wait for the sleep
    assert_int_equal(o->calls, 0);
    o->loop = loop_create(1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_output_and_status),
        CASE(test_input),
        CASE(test_input_not_read),
        CASE(test_clean_environment),
        CASE(test_given_environment_and_folder),
        CASE(test_no_descriptors_leak),
        CASE(test_own_group_is_killed_by_timeout),
        CASE(test_grandchild_does_not_hold_the_end),
        CASE(test_escaped_grandchild_does_not_hold_the_end),
        CASE(test_output_limit),
        CASE(test_cpu_limit),
        CASE(test_memory_limit),
        CASE(test_missing_program),
        CASE(test_kill),
        CASE(test_many_at_once),
        CASE(test_destroy_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
