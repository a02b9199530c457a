// SPDX-License-Identifier: Apache-2.0
// Headers of requests to the embedded API, one a line ("Name: value"), and files of static tokens. Nothing is believed
// that our key has not signed.
#include <stdint.h>

#include "apiserver/auth.h"
#include "apiserver/auth_jwt.h"
#include "apiserver/core.h"
#include "http/gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sign_key *own_key(void) {
    static struct sign_key *key;
    if (!key) {
        struct arena *arena = arena_create();
        struct str pem;
        CHECK(sign_key_generate(arena, &pem, NULL));
        key = sign_key_parse(pem, NULL);
        CHECK(key != NULL);
        arena_destroy(arena);
    }
    return key;
}

static void try_token(struct arena *arena, struct str token) {
    struct jwt jwt;
    struct str bytes;
    if (base64url_decode(token, arena, &bytes)) {
        CHECK(str_eq(base64url_encode(arena, bytes), token));
    }
    if (jwt_parse(arena, token, &jwt)) {
        CHECK(doc_is(&jwt.claims, DOC_OBJECT) && jwt.signed_part.n < token.n);
        CHECK(!jwt_is_signed_by(&jwt, own_key()));
        struct str made;
        CHECK(jwt_make(own_key(), &jwt.claims, arena, &made, NULL));
        CHECK(made.n > JWT_BYTES ||
              (jwt_parse(arena, made, &jwt) && jwt_is_signed_by(&jwt, own_key())));
    }
}

static void try_tokens_file(struct str text) {
    struct err err = {0};
    struct api_tokens *tokens = api_tokens_create(text, &err);
    CHECK(tokens || err.code != ERR_NONE);
    if (tokens) {
        CHECK(api_tokens_find(tokens, STR("Bearer ")) == NULL);
        api_tokens_find(tokens, text);
        api_tokens_destroy(tokens);
    }
}

static void try_header(struct arena *arena, struct str name, struct str value) {
    struct api_request request = {.verb = API_VERB_LIST};
    struct api_error error = {0};
    if (str_eq_nocase(name, STR("Accept"))) {
        CHECK(api_request_accept(arena, value, &request, &error) || error.status == 406);
    } else if (str_eq_nocase(name, STR("Content-Type"))) {
        request.verb = API_VERB_PATCH;
        CHECK(api_request_content_type(arena, value, &request, &error) || error.status == 415);
        error.status = 0;
        request.verb = API_VERB_CREATE;
        CHECK(api_request_content_type(arena, value, &request, &error) || error.status == 415);
    } else if (str_eq_nocase(name, STR("Accept-Encoding"))) {
        gzip_is_accepted(value);
    } else if (str_eq_nocase(name, STR("Authorization"))) {
        try_token(arena, value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 64 * 1024) {
        return 0;
    }
    struct arena *arena = arena_create();
    struct str text = {(const char *)data, size}, line;
    try_tokens_file(text);
    for (unsigned i = 0; i < 100 && str_next(&text, '\n', &line); i++) {
        struct str name, value;
        str_cut(line, ':', &name, &value);
        try_header(arena, name, str_trim(value));
    }
    arena_destroy(arena);
    return 0;
}
