// SPDX-License-Identifier: Apache-2.0
// The first line is a revision, the rest what ls-remote printed.
#include "base/mem.h"
#include "vcs/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str revision;
    struct str listing;
    str_cut(str_make((const char *)data, size), '\n', &revision, &listing);
    AUTO(git_refs_destroy) struct git_refs *refs = git_refs_create();
    struct err err = {0};
    if (git_refs_parse(listing, refs, &err) && vcs_check_revision(revision, NULL)) {
        const struct git_ref *ref = git_refs_select(refs, revision);
        CHECK(!ref || git_is_sha(str_from(ref->sha)));
        git_refs_hash(refs);
    }
    return 0;
}
