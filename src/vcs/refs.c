// SPDX-License-Identifier: Apache-2.0
// The refs of a repository and the choice among them. Pure.
#include "vcs/internal.h"

#include "base/limits.h"
#include "base/text.h"

struct git_refs *git_refs_create(void) {
    struct git_refs *refs = NEW(struct git_refs);
    refs->arena = arena_create();
    return refs;
}

void git_refs_destroy(struct git_refs *refs) {
    if (refs) {
        VEC_FREE(&refs->refs);
        arena_destroy(refs->arena);
        free(refs);
    }
}

static bool is_hex(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return s.n > 0;
}

bool git_is_sha(struct str s) {
    return s.n == GIT_SHA_LEN && is_hex(s);
}

bool git_is_short_sha(struct str s) {
    return s.n >= GIT_SHORT_SHA_MIN && s.n < GIT_SHA_LEN && is_hex(s);
}

void git_refs_add(struct git_refs *refs, struct str name, const char *sha) {
    struct git_ref ref = {.name = arena_dup(refs->arena, name)};
    memcpy(ref.sha, sha, GIT_SHA_LEN);
    VEC_PUSH(&refs->refs, ref);
}

static int compare_refs(const void *a, const void *b) {
    return str_cmp(((const struct git_ref *)a)->name, ((const struct git_ref *)b)->name);
}

void git_refs_sort(struct git_refs *refs) { // "HEAD" comes before "refs/" by itself
    if (refs->refs.len > 1) {
        qsort(refs->refs.items, refs->refs.len, sizeof *refs->refs.items, compare_refs);
    }
}

bool git_refs_parse(struct str listing, struct git_refs *out, struct err *err) {
    struct str line;
    uint32_t number = 0;
    for (struct str rest = listing; str_next(&rest, '\n', &line);) {
        number++;
        struct str sha;
        struct str name;
        if (line.n == 0 || str_starts(line, STR("ref: "))) {
            continue;
        }
        bool cut = str_cut(line, '\t', &sha, &name);
        if (cut && sha.n == 64 && is_hex(sha)) {
            return err_set(err, ERR_UNSUPPORTED,
                           "the repository uses SHA-256 object names, which are not supported");
        }
        if (!cut || !git_is_sha(sha) || name.n == 0 || name.n > LIMIT_GIT_REF + 3) {
            return err_set_at(err, ERR_INVALID, number, 0,
                              "the server's list of refs has a line that is no ref");
        }
        if (str_ends(name, STR("^{}"))) { // the commit of the annotated tag one line above
            name.n -= 3;
            struct git_ref *last = out->refs.len > 0 ? &out->refs.items[out->refs.len - 1] : NULL;
            if (last && str_eq(last->name, name)) {
                memcpy(last->sha, sha.p, GIT_SHA_LEN);
            }
            continue;
        }
        git_refs_add(out, name, sha.p);
    }
    git_refs_sort(out);
    return true;
}

static const struct git_ref *find(const struct git_refs *refs, struct str prefix, struct str name) {
    char text[LIMIT_GIT_REF + 32];
    if (prefix.n + name.n > sizeof text || refs->refs.len == 0) {
        return NULL;
    }
    memcpy(text, prefix.p, prefix.n);
    if (name.n > 0) {
        memcpy(text + prefix.n, name.p, name.n);
    }
    struct git_ref key = {.name = {text, prefix.n + name.n}};
    return bsearch(&key, refs->refs.items, refs->refs.len, sizeof key, compare_refs);
}

static const struct git_ref *select_by_range(const struct git_refs *refs, struct str range) {
    const struct git_ref *best = NULL;
    struct semver best_version = {0};
    const struct str tags = STR("refs/tags/");
    for (size_t i = 0; i < refs->refs.len; i++) {
        const struct git_ref *ref = &refs->refs.items[i];
        struct semver version;
        if (str_starts(ref->name, tags) && semver_parse(str_skip(ref->name, tags.n), &version) &&
            semver_satisfies(range, &version, NULL) &&
            (!best || semver_compare(&version, &best_version) > 0)) {
            best = ref;
            best_version = version;
        }
    }
    return best;
}

const struct git_ref *git_refs_select(const struct git_refs *refs, struct str revision) {
    static const struct str prefixes[] = {
        STR_INIT(""),      STR_INIT("refs/heads/"),   STR_INIT("refs/tags/"),
        STR_INIT("refs/"), STR_INIT("refs/remotes/"),
    };
    if (revision.n == 0) {
        revision = STR("HEAD");
    }
    if (semver_is_constraint(revision)) {
        const struct git_ref *ref = select_by_range(refs, revision);
        if (ref) {
            return ref;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        const struct git_ref *ref = find(refs, prefixes[i], revision);
        if (ref) {
            return ref;
        }
    }
    return NULL;
}

uint64_t git_refs_hash(const struct git_refs *refs) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < refs->refs.len; i++) {
        const struct git_ref *ref = &refs->refs.items[i];
        hash = (hash ^ str_hash(ref->name)) * 1099511628211u;
        hash = (hash ^ str_hash((struct str){ref->sha, GIT_SHA_LEN})) * 1099511628211u;
    }
    return hash;
}
