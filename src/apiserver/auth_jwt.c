// SPDX-License-Identifier: Apache-2.0
#include "apiserver/auth_jwt.h"

#include "base/text.h"

struct str base64url_encode(struct arena *arena, struct str data) {
    struct str text = base64_encode(arena, data);
    char *out = arena_cstr(arena, text);
    size_t n = text.n;
    for (size_t i = 0; i < n; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    while (n && out[n - 1] == '=') {
        n--;
    }
    return (struct str){out, n};
}

bool base64url_decode(struct str text, struct arena *arena, struct str *out) {
    char *copy = arena_alloc(arena, text.n + 4);
    size_t n = text.n;
    for (size_t i = 0; i < n; i++) {
        char c = text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '_') {
            return false; // also '+', '/', '=' and line breaks, which the other alphabet has
        }
        copy[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    if (n % 4 == 1) {
        return false;
    }
    while (n % 4) {
        copy[n++] = '=';
    }
    if (!base64_decode((struct str){copy, n}, arena, out)) {
        return false;
    }
    // One text for one value: bits that no byte uses must be zero.
    return str_eq(base64url_encode(arena, *out), text);
}

static bool parse_part(struct arena *arena, struct str part, struct doc_value *out) {
    struct str text;
    return base64url_decode(part, arena, &text) && doc_parse_json_copy(text, arena, out, NULL) &&
           doc_is(out, DOC_OBJECT);
}

bool jwt_parse(struct arena *arena, struct str token, struct jwt *out) {
    struct str header, claims, signature, rest;
    struct doc_value head;
    if (token.n > JWT_BYTES || !str_cut(token, '.', &header, &rest) ||
        !str_cut(rest, '.', &claims, &signature) || str_find_char(signature, '.') != STR_NPOS) {
        return false;
    }
    *out = (struct jwt){.signed_part = str_first(token, header.n + 1 + claims.n)};
    if (!parse_part(arena, header, &head) || !parse_part(arena, claims, &out->claims) ||
        !base64url_decode(signature, arena, &out->signature) || doc_get(&head, "crit")) {
        return false;
    }
    out->algorithm = doc_get_str(&head, "alg");
    out->key_id = doc_get_str(&head, "kid");
    return true;
}

bool jwt_is_signed_by(const struct jwt *jwt, const struct sign_key *key) {
    // The algorithm is the key's, never the token's choice.
    return str_eq_c(jwt->algorithm, sign_key_algorithm(key)) &&
           sign_key_verify(key, jwt->signed_part, jwt->signature);
}

struct str jwt_key_id(const struct sign_key *key, struct arena *arena) {
    unsigned char sum[SHA256_BYTES];
    sign_key_fingerprint(key, sum);
    return base64url_encode(arena, (struct str){(const char *)sum, sizeof sum});
}

bool jwt_make(const struct sign_key *key, const struct doc_value *claims, struct arena *arena,
              struct str *out, struct err *err) {
    struct str header = arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"%.*s\"}",
                                     sign_key_algorithm(key), STR_ARG(jwt_key_id(key, arena)));
    struct str head = base64url_encode(arena, header);
    struct str body = base64url_encode(arena, doc_to_json(arena, claims));
    struct str both = arena_printf(arena, "%.*s.%.*s", STR_ARG(head), STR_ARG(body));
    struct str signature;
    if (!sign_key_sign(key, both, arena, &signature, err)) {
        return false;
    }
    *out = arena_printf(arena, "%.*s.%.*s", STR_ARG(both),
                        STR_ARG(base64url_encode(arena, signature)));
    return true;
}

struct doc_value jwt_key_set(const struct sign_key *key, struct arena *arena) {
    struct str numbers[2];
    struct doc_array keys = doc_array_start(arena);
    if (sign_key_public(key, arena, numbers)) {
        bool rsa = strcmp(sign_key_algorithm(key), "RS256") == 0;
        struct doc_object out = doc_object_start(arena);
        doc_object_set_c(&out, "use", DOC_S("sig"));
        doc_object_set_c(&out, "kty", rsa ? DOC_S("RSA") : DOC_S("EC"));
        doc_object_set_c(&out, "kid", doc_make_str(jwt_key_id(key, arena)));
        if (!rsa) {
            doc_object_set_c(&out, "crv", DOC_S("P-256"));
        }
        doc_object_set_c(&out, "alg", doc_make_str(str_from(sign_key_algorithm(key))));
        doc_object_set_c(&out, rsa ? "n" : "x", doc_make_str(base64url_encode(arena, numbers[0])));
        doc_object_set_c(&out, rsa ? "e" : "y", doc_make_str(base64url_encode(arena, numbers[1])));
        doc_array_add(&keys, doc_object_done(&out));
    }
    struct doc_object set = doc_object_start(arena);
    doc_object_set_c(&set, "keys", doc_array_done(&keys));
    return doc_object_done(&set);
}
