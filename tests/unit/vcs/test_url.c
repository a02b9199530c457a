// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "vcs/internal.h"

static void test_check(void **state) {
    static const struct {
        const char *url;
        bool ok;
    } cases[] = {
        {"https://example.com/org/repo.git", true},
        {"http://example.com:8080/repo", true},
        {"HTTPS://Example.com/repo", true},
        {"https://user:pass@example.com/repo", true},
        {"https://[::1]:8443/repo", true},
        {"ssh://git@example.com:2222/org/repo", true},
        {"git@example.com:org/repo.git", true},
        {"git@ssh.dev.azure.com:v3/a/b/c", true},
        {"file:///srv/git/repo", true},
        {"file:///srv/git/with space", true},
        {"/srv/git/repo", true},
        {"", false},
        {"-oProxyCommand=x", false},
        {"--upload-pack=touch /tmp/x", false},
        {"ext::sh -c touch% /tmp/x", false},
        {"fd::17", false},
        {"a@b::c", false},
        {"git://example.com/repo", false},
        {"ftp://example.com/repo", false},
        {"oci://example.com/repo", false},
        {"https:///repo", false},
        {"https://example.com", false},
        {"https://example.com/", false},
        {"https://-x/repo", false},
        {"https://exa mple.com/repo", false},
        {"https://example.com:0/repo", false},
        {"https://example.com:99999/repo", false},
        {"https://example.com/re po", false},
        {"https://example.com/a\nb", false},
        {"ssh://-oProxyCommand=x/repo", false},
        {"ssh://git@-oProxyCommand=x/repo", false},
        {"ssh://-x@example.com/repo", false},
        {"ssh://git@example.com/-x", false},
        {"git@-oProxyCommand=x:repo", false},
        {"git@example.com:-x", false},
        {"git@example.com:", false},
        {"example.com:repo", false},
        {"file://host/share", false},
        {"../repo", false},
        {"repo", false},
        {"C:\\repo", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        bool ok = vcs_check_url(str_from(cases[i].url), &err);
        if (ok != cases[i].ok || (!ok && err.code != ERR_INVALID)) {
            fail_msg("%s: %d %s", cases[i].url, ok, err.message);
        }
    }
    char *text = xmalloc(4000);
    memset(text, 'a', 4000);
    memcpy(text, "https://", 8);
    struct err err = {0};
    assert_false(vcs_check_url(str_make(text, 4000), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    free(text);
}

static void test_normalize(void **state) {
    static const struct {
        const char *url, *normal;
    } cases[] = {
        {"https://GitHub.com/Org/Repo.git", "https://github.com/org/repo"},
        {"https://github.com/org/repo.git/", "https://github.com/org/repo"},
        {"  https://github.com/org/repo ", "https://github.com/org/repo"},
        {"git@github.com:org/repo.git", "git@github.com/org/repo"},
        {"ssh://git@github.com/org/repo.git", "git@github.com/org/repo"},
        {"ssh://git@github.com:22/org/repo", "git@github.com:22/org/repo"},
        {"org@host.com:team:repo", "org@host.com/team:repo"},
        {"file:///srv/Git/x.git", "file:///srv/git/x"},
        {"", ""},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = vcs_normalize_url(str_from(cases[i].url), arena);
        if (!str_eq_c(got, cases[i].normal)) {
            fail_msg("%s: %.*s", cases[i].url, STR_ARG(got));
        }
    }
}

static void test_scrub(void **state) {
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"https://user:CANARY@example.com/r", "https://example.com/r"},
        {"https://CANARY@example.com/r", "https://example.com/r"},
        {"https://a:b@c:CANARY@example.com/r", "https://example.com/r"},
        {"ssh://git@example.com/r", "ssh://git@example.com/r"},
        {"ssh://git:CANARY@example.com/r", "ssh://example.com/r"},
        {"git@example.com:r", "git@example.com:r"},
        {"https://example.com/@x", "https://example.com/@x"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = vcs_scrub_url(str_from(cases[i].url), arena);
        if (!str_eq_c(got, cases[i].shown)) {
            fail_msg("%s: %.*s", cases[i].url, STR_ARG(got));
        }
    }
}

// Equal keys share a mirror; what could be two repositories must not.
static void test_mirror_key(void **state) {
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"https://example.com/r.git", "https://user:pw@EXAMPLE.com/r/", false}, // users see others
        {"https://example.com/r.git", "https://EXAMPLE.com/r/", true},
        {"https://example.com/r", "https://example.com/R", false},
        {"https://example.com/r", "http://example.com/r", false},
        {"https://example.com/r", "https://example.com:444/r", false},
        {"git@example.com:a/r.git", "git@example.com:a/r", true},
        {"git@example.com:a/r", "jo@example.com:a/r", false},
        {"file:///srv/r", "/srv/r/", true},
        {"file:///srv/a%20b", "/srv/a b", true},
        {"file:///srv/r", "file:///srv/r.git", false},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct git_url a;
        struct git_url b;
        assert_true(git_url_parse(str_from(cases[i].a), &a, NULL));
        assert_true(git_url_parse(str_from(cases[i].b), &b, NULL));
        if (str_eq(git_url_mirror_key(&a, arena), git_url_mirror_key(&b, arena)) != cases[i].same) {
            fail_msg("%s %s", cases[i].a, cases[i].b);
        }
    }
}

static void test_for_child(void **state) {
    static const struct {
        const char *url, *child;
    } cases[] = {
        {"https://user:CANARY@example.com:444/r", "https://example.com:444/r"},
        {"ssh://git:CANARY@example.com:22/r", "ssh://git@example.com:22/r"},
        {"git@example.com:org/r", "git@example.com:org/r"},
        {"/srv/a%b", "file:///srv/a%25b"},
        {"file:///srv/a%20b", "file:///srv/a%20b"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct git_url url;
        assert_true(git_url_parse(str_from(cases[i].url), &url, NULL));
        struct str got = git_url_for_child(&url, arena);
        if (!str_eq_c(got, cases[i].child)) {
            fail_msg("%s: %.*s", cases[i].url, STR_ARG(got));
        }
    }
}

static void test_revision(void **state) {
    static const struct {
        const char *revision;
        bool ok;
    } cases[] = {
        {"", true},
        {"HEAD", true},
        {"main", true},
        {"feature/x", true},
        {"v1.2.*", true},
        {">=1.0 <2, ^3 || ~4", true},
        {"refs/pull/1/head", true},
        {"--upload-pack=x", false},
        {"a..b", false},
        {"main@{1}", false},
        {"a:b", false},
        {"a\nb", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (vcs_check_revision(str_from(cases[i].revision), NULL) != cases[i].ok) {
            fail_msg("%s", cases[i].revision);
        }
    }
}

static void test_lfs_pointer(void **state) {
    assert_true(vcs_is_lfs_pointer(
        STR("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")));
    assert_false(vcs_is_lfs_pointer(STR("kind: ConfigMap\n")));
    assert_false(vcs_is_lfs_pointer(STR("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),       cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_scrub),       cmocka_unit_test(test_mirror_key),
        cmocka_unit_test(test_for_child),   cmocka_unit_test(test_revision),
        cmocka_unit_test(test_lfs_pointer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
