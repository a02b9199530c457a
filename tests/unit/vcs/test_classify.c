// SPDX-License-Identifier: Apache-2.0
// What git prints, and what becomes of it. Secrets in it must not come through.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "vcs/internal.h"

static const struct {
    const char *text;
    enum err_code code;
} cases[] = {
    {"remote: Invalid username or password.\nfatal: Authentication failed for 'https://x/y/'",
     ERR_UNAUTHORIZED},
    {"fatal: could not read Username for 'https://x': terminal prompts disabled", ERR_UNAUTHORIZED},
    {"fatal: unable to access 'https://x/y/': The requested URL returned error: 403",
     ERR_UNAUTHORIZED},
    {"git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\n"
     "Please make sure you have the correct access rights\nand the repository exists.",
     ERR_UNAUTHORIZED},
    {"Host key verification failed.\nfatal: Could not read from remote repository.", ERR_FORBIDDEN},
    {"@@@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification "
     "failed.",
     ERR_FORBIDDEN},
    {"fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none "
     "CRLfile: none",
     ERR_FORBIDDEN},
    {"remote: Repository not found.\nfatal: repository 'https://x/y/' not found", ERR_NOT_FOUND},
    {"fatal: '/srv/x' does not appear to be a git repository", ERR_NOT_FOUND},
    {"fatal: unable to access 'https://x/': Could not resolve host: x", ERR_UNAVAILABLE},
    {"ssh: connect to host x port 22: Connection refused", ERR_UNAVAILABLE},
    {"fatal: unable to access 'https://x/': The requested URL returned error: 503",
     ERR_UNAVAILABLE},
    {"fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection timed out",
     ERR_TIMEOUT},
    {"fatal: remote error: upload-pack: not our ref 1234", ERR_NOT_FOUND},
    {"error: Server does not allow request for unadvertised object 12", ERR_NOT_FOUND},
    {"fatal: dumb http transport does not support shallow capabilities", ERR_UNSUPPORTED},
    {"fatal: mismatched algorithms: client sha1; server sha256", ERR_UNSUPPORTED},
    {"error: file write error: No space left on device", ERR_FULL},
    {"fatal: detected dubious ownership in repository at '/srv/x'", ERR_FORBIDDEN},
    {"error: object 12: badTree: cannot be parsed as a tree\nfatal: fsck error in packed object",
     ERR_INVALID},
    {"fatal: early EOF", ERR_UNAVAILABLE},
    {"", ERR_UNAVAILABLE},
};

static void test_codes(void **state) {
    struct git_url url;
    assert_true(git_url_parse(STR("https://example.com/r"), &url, NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        git_classify_error(str_from(cases[i].text), 128, &url, NULL, &err);
        if (err.code != cases[i].code || err.message[0] == '\0' || strchr(err.message, '\n')) {
            fail_msg("%s: %s: %s", cases[i].text, err_code_name(err.code), err.message);
        }
    }
}

static void test_secrets(void **state) {
    static const char text[] =
        "fatal: Authentication failed for 'https://bob:CANARY-url@example.com/r/'\n"
        "remote: token CANARY-bearer is bad, CANARY-password too\x1b[31m\n"
        "fatal: proxy http://me:CANARY-proxy@proxy:3128 refused\n";
    struct git_url url;
    assert_true(git_url_parse(STR("https://bob:CANARY-url@example.com/r"), &url, NULL));
    struct vcs_access access = {.username = STR("bob"),
                                .password = STR("CANARY-password"),
                                .bearer_token = STR("CANARY-bearer"),
                                .proxy = STR("http://me:CANARY-proxy@proxy:3128")};
    struct git_access *copy = git_access_copy(&access, &url);
    struct err err = {0};
    git_classify_error(str_from(text), 128, &url, copy, &err);
    assert_int_equal(err.code, ERR_UNAUTHORIZED);
    assert_null(strstr(err.message, "CANARY"));
    assert_null(strchr(err.message, '\x1b'));
    assert_non_null(strstr(err.message, "example.com"));
    git_access_destroy(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
