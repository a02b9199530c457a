// SPDX-License-Identifier: Apache-2.0
// JSON web tokens (RFC 7515, 7519) as far as tokens of service accounts need them. Pure; what is parsed comes from outside.
#ifndef SKIFF_APISERVER_AUTH_JWT_H
#define SKIFF_APISERVER_AUTH_JWT_H

#include "crypto/crypto.h"
#include "doc/doc.h"

enum { JWT_BYTES = 16 * 1024 }; // longer ones are not looked at

struct jwt {
    struct str algorithm, key_id; // of the header
    struct doc_value claims;
    struct str signed_part; // of the token
    struct str signature;   // raw bytes
};
struct str base64url_encode(struct arena *arena, struct str data); // without padding
bool base64url_decode(struct str text, struct arena *arena, struct str *out);
// Takes it apart without believing anything. False: not three parts of JSON, JSON and a signature.
bool jwt_parse(struct arena *arena, struct str token, struct jwt *out);
bool jwt_is_signed_by(const struct jwt *jwt, const struct sign_key *key);
struct str jwt_key_id(const struct sign_key *key, struct arena *arena);
bool jwt_make(const struct sign_key *key, const struct doc_value *claims, struct arena *arena,
              struct str *out, struct err *err);
struct doc_value jwt_key_set(const struct sign_key *key, struct arena *arena); // JSON web key set

#endif
