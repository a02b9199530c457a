// SPDX-License-Identifier: Apache-2.0
// Static bearer tokens in the format of kube-apiserver's --token-auth-file: token,user,uid[,"group1,group2"].
#include "apiserver/auth.h"

#include "base/arena.h"
#include "base/vec.h"

enum { TOKENS_MAX = 10000, TOKEN_LEAST = 1, FIELD_MAX = 4096 };

struct token {
    struct str text;
    struct api_user user;
};

struct api_tokens {
    struct arena *arena;
    VEC(struct token) list;
};

// One CSV field: quoted with doubled quotes inside, or up to the next comma.
static bool next_field(struct str *rest, struct arena *arena, struct str *out) {
    if (!str_starts(*rest, STR("\""))) {
        struct str before;
        if (!str_cut(*rest, ',', &before, rest)) {
            *rest = (struct str){NULL, 0};
        }
        *out = str_trim(before);
        return str_find_char(*out, '"') == STR_NPOS;
    }
    char *text = arena_alloc(arena, rest->n);
    size_t n = 0;
    for (size_t i = 1; i < rest->n; i++) {
        if (rest->p[i] != '"') {
            text[n++] = rest->p[i];
        } else if (i + 1 < rest->n && rest->p[i + 1] == '"') {
            text[n++] = '"';
            i++;
        } else {
            *rest = str_skip(*rest, i + 1);
            if (rest->n && rest->p[0] != ',') {
                return false;
            }
            *rest = str_skip(*rest, 1);
            *out = (struct str){text, n};
            return true;
        }
    }
    return false;
}

static void add_groups(struct arena *arena, struct str text, struct api_user *user) {
    struct str *groups = ARENA_ARRAY(arena, text.n + 2, struct str);
    size_t count = 0;
    struct str group;
    while (str_next(&text, ',', &group)) {
        group = str_trim(group);
        if (group.n) {
            groups[count++] = group;
        }
    }
    groups[count++] = STR("system:authenticated");
    user->groups = groups;
    user->group_count = count;
}

static bool parse_line(struct api_tokens *tokens, struct str line, uint32_t number,
                       struct err *err) {
    struct str fields[4] = {{NULL, 0}};
    size_t n = 0;
    struct str rest = arena_dup(tokens->arena, line);
    if (line.n > FIELD_MAX) {
        return err_set_at(err, ERR_LIMIT, number, 1, "a line is longer than %d bytes", FIELD_MAX);
    }
    while (rest.n && n < ARRAY_LEN(fields)) {
        if (!next_field(&rest, tokens->arena, &fields[n])) {
            return err_set_at(err, ERR_INVALID, number, 1, "a quote is out of place");
        }
        n++;
    }
    if (n < 3 || rest.n || fields[0].n < TOKEN_LEAST || !fields[1].n) {
        return err_set_at(err, ERR_INVALID, number, 1,
                          "a line must be: token,user,uid or token,user,uid,\"group1,group2\"");
    }
    if (tokens->list.len >= TOKENS_MAX) {
        return err_set_at(err, ERR_LIMIT, number, 1, "more than %d tokens", TOKENS_MAX);
    }
    struct token token = {.text = fields[0], .user.name = fields[1], .user.uid = fields[2]};
    add_groups(tokens->arena, fields[3], &token.user);
    VEC_PUSH(&tokens->list, token);
    return true;
}

struct api_tokens *api_tokens_create(struct str csv, struct err *err) {
    struct api_tokens *tokens = NEW(struct api_tokens);
    tokens->arena = arena_create();
    struct str line;
    uint32_t number = 0;
    while (str_next(&csv, '\n', &line)) {
        number++;
        line = str_trim(line);
        if (line.n && line.p[0] != '#' && !parse_line(tokens, line, number, err)) {
            api_tokens_destroy(tokens);
            return NULL;
        }
    }
    return tokens;
}

void api_tokens_destroy(struct api_tokens *tokens) {
    if (tokens) {
        VEC_FREE(&tokens->list);
        arena_destroy(tokens->arena);
        free(tokens);
    }
}

bool apiserver_tokens_parse(struct str csv, struct err *err) {
    struct api_tokens *tokens = api_tokens_create(csv, err);
    api_tokens_destroy(tokens);
    return tokens != NULL;
}

// Looks at every byte, so that time tells nothing about how much of a guess was right.
static bool same_secret(struct str a, struct str b) {
    volatile unsigned char different = a.n != b.n;
    for (size_t i = 0; i < b.n; i++) {
        different |= (unsigned char)((i < a.n ? a.p[i] : 0) ^ b.p[i]);
    }
    return different == 0;
}

const struct api_user *api_tokens_find_token(const struct api_tokens *tokens, struct str token) {
    const struct api_user *found = NULL;
    for (size_t i = 0; i < tokens->list.len; i++) {
        if (same_secret(token, tokens->list.items[i].text) && !found) {
            found = &tokens->list.items[i].user;
        }
    }
    return found;
}

const struct api_user *api_tokens_find(const struct api_tokens *tokens, struct str authorization) {
    struct str scheme, token;
    str_cut(str_trim(authorization), ' ', &scheme, &token);
    token = str_trim(token);
    return str_eq_nocase(scheme, STR("bearer")) && token.n ? api_tokens_find_token(tokens, token)
                                                           : NULL;
}
