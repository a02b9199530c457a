// SPDX-License-Identifier: Apache-2.0
// A repository URL. What is accepted never starts an option, and the child's form has no password.
#include "base/mem.h"
#include "vcs/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct git_url url;
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct str normal = vcs_normalize_url(text, arena);
    CHECK(str_eq(vcs_normalize_url(normal, arena), vcs_normalize_url(normal, arena)));
    vcs_scrub_url(text, arena);
    if (vcs_check_revision(text, NULL)) {
        CHECK(text.n == 0 || text.p[0] != '-');
    }
    if (git_url_parse(text, &url, NULL)) {
        struct str child = git_url_for_child(&url, arena);
        CHECK(child.n > 0 && child.p[0] != '-');
        struct git_url again;
        CHECK(git_url_parse(child, &again, NULL) || url.scheme == GIT_FILE);
        CHECK(url.scheme == GIT_FILE || again.password.n == 0);
        CHECK(url.scheme == GIT_FILE || again.host.p[0] != '-');
        git_url_mirror_key(&url, arena);
        git_url_origin(&url, arena);
    }
    return 0;
}
