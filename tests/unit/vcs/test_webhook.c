// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "vcs/vcs.h"

static const char body[] =
    "{\"ref\":\"refs/heads/main\",\"before\":\"0000\",\"after\":\"abcd\",\"repository\":{"
    "\"html_url\":\"https://git.example.com/Org/repo\",\"clone_url\":"
    "\"https://git.example.com/Org/repo.git\",\"ssh_url\":\"git@git.example.com:Org/repo.git\","
    "\"default_branch\":\"main\"},\"commits\":[]}";

static struct str sign(struct str secret, struct str text, struct arena *arena) {
    unsigned char mac[SHA256_BYTES];
    hmac_sha256(secret, text, mac);
    return hex_encode(arena, str_make((const char *)mac, sizeof mac));
}

static struct str github(struct str digits, struct arena *arena) {
    return arena_concat(arena, STR("sha256="), digits);
}

static void test_signature(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    const struct str secret = STR("CANARY");
    const struct str good = sign(secret, str_from(body), arena);
    const struct str wrong = sign(STR("other"), str_from(body), arena);
    const struct {
        struct str github, gitea, secret;
        bool ok;
    } cases[] = {
        {github(good, arena), {0}, secret, true},
        {{0}, good, secret, true},
        {github(good, arena), wrong, secret, true}, // GitHub's header decides
        {github(wrong, arena), good, secret, false},
        {{0}, wrong, secret, false},
        {{0}, {0}, secret, false},
        {good, {0}, secret, false}, // without "sha256="
        {STR("sha256="), {0}, secret, false},
        {github(str_first(good, 62), arena), {0}, secret, false},
        {STR("sha1=0123456789012345678901234567890123456789"), {0}, secret, false},
        {github(good, arena), {0}, STR(""), false}, // closed without a secret
        {github(sign(STR(""), str_from(body), arena), arena), {0}, STR(""), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vcs_webhook_request request = {.event = STR("push"),
                                              .signature_256 = cases[i].github,
                                              .gitea_signature = cases[i].gitea,
                                              .body = str_from(body)};
        struct vcs_push push;
        struct err err = {0};
        bool ok = vcs_webhook_parse(&request, cases[i].secret, arena, &push, &err);
        if (ok != cases[i].ok || (!ok && err.code != ERR_UNAUTHORIZED)) {
            fail_msg("case %zu: %d %s", i, ok, err.message);
        }
        assert_null(strstr(err.message, "CANARY"));
        assert_null(strstr(err.message, good.p));
    }
}

static bool parse(const char *event, struct str text, struct arena *arena, struct vcs_push *push,
                  struct err *err) {
    struct vcs_webhook_request request = {.event = str_from(event),
                                          .signature_256 =
                                              github(sign(STR("s"), text, arena), arena),
                                          .body = text};
    return vcs_webhook_parse(&request, STR("s"), arena, push, err);
}

static void test_parse(void **state) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct vcs_push push;
    struct err err = {0};
    assert_true(parse("push", str_from(body), arena, &push, &err));
    assert_false(push.is_ping);
    assert_int_equal(push.url_count, 3);
    assert_true(str_eq_c(push.ref, "refs/heads/main"));
    assert_true(str_eq_c(push.after, "abcd"));
    assert_true(parse("ping", STR("{\"zen\":\"x\"}"), arena, &push, &err));
    assert_true(push.is_ping);

    static const struct {
        const char *event, *text;
        enum err_code code;
    } bad[] = {
        {"push", "", ERR_INVALID},
        {"push", "[]", ERR_INVALID},
        {"push", "null", ERR_INVALID},
        {"push", "{}", ERR_INVALID},
        {"push", "{\"ref\":1,\"repository\":{\"html_url\":\"https://x/y\"}}", ERR_INVALID},
        {"push", "{\"ref\":\"refs/heads/m\",\"repository\":null}", ERR_INVALID},
        {"push", "{\"ref\":\"refs/heads/m\",\"repository\":[1]}", ERR_INVALID},
        {"push", "{\"ref\":\"refs/heads/m\",\"repository\":{\"html_url\":{}}}", ERR_INVALID},
        {"push", "{\"ref\":\"refs/heads/m\"", ERR_INVALID},
        {"issues", "{}", ERR_UNSUPPORTED},
        {"", "{}", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err = (struct err){0};
        if (parse(bad[i].event, str_from(bad[i].text), arena, &push, &err) ||
            err.code != bad[i].code) {
            fail_msg("%s %s: %s", bad[i].event, bad[i].text, err.message);
        }
    }
}

static void test_matches(void **state) {
    struct vcs_push main_push = {
        .urls = {STR("https://git.example.com/Org/repo"), STR("git@git.example.com:Org/repo.git")},
        .url_count = 2,
        .ref = STR("refs/heads/main"),
        .default_branch = STR("main")};
    struct vcs_push branch_push = main_push;
    branch_push.ref = STR("refs/heads/feature/x");
    struct vcs_push tag_push = main_push;
    tag_push.ref = STR("refs/tags/v1.2.3");
    const struct {
        const struct vcs_push *push;
        const char *url, *revision;
        bool matches;
    } cases[] = {
        {&main_push, "https://git.example.com/Org/repo", "main", true},
        {&main_push, "https://git.example.com/org/REPO.git", "HEAD", true},
        {&main_push, "https://git.example.com/Org/repo/", "", true},
        {&main_push, "http://user:pw@git.example.com:8080/Org/repo", "main", true},
        {&main_push, "git@git.example.com:Org/repo.git", "refs/heads/main", true},
        {&main_push, "ssh://git@ssh.git.example.com:443/Org/repo.git", "main", true},
        {&main_push, "ssh://git@altssh.git.example.com/Org/repo", "main", true},
        {&main_push, "https://git.example.com/Org/repo2", "main", false},
        {&main_push, "https://git.example.com/Org/repo/sub", "main", false},
        {&main_push, "https://example.com/Org/repo", "main", false},
        {&main_push, "https://gitXexample.com/Org/repo", "main", false},
        {&main_push, "file:///Org/repo", "main", false},
        {&main_push, "", "main", false},
        {&main_push, "https://git.example.com/Org/repo", "dev", false},
        {&main_push, "https://git.example.com/Org/repo", "*", false},
        {&branch_push, "https://git.example.com/Org/repo", "feature/x", true},
        {&branch_push, "https://git.example.com/Org/repo", "x", false},
        {&branch_push, "https://git.example.com/Org/repo", "HEAD", false},
        {&tag_push, "https://git.example.com/Org/repo", "v1.2.3", true},
        {&tag_push, "https://git.example.com/Org/repo", "refs/tags/v1.2.3", true},
        {&tag_push, "https://git.example.com/Org/repo", "^1.0", true},
        {&tag_push, "https://git.example.com/Org/repo", "HEAD", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (vcs_push_matches(cases[i].push, str_from(cases[i].url), str_from(cases[i].revision)) !=
            cases[i].matches) {
            fail_msg("%s at %s", cases[i].url, cases[i].revision);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
