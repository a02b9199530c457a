// SPDX-License-Identifier: Apache-2.0
// What Skiff needs of OpenSSL; the one file that includes its headers is crypto/openssl.c.
#ifndef SKIFF_CRYPTO_CRYPTO_H
#define SKIFF_CRYPTO_CRYPTO_H

#include "base/arena.h"
#include "base/err.h"

enum { SHA256_BYTES = 32, SHA1_BYTES = 20 };
void sha256(struct str data, unsigned char out[SHA256_BYTES]);
struct str sha256_hex(struct arena *arena, struct str data);
void hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_BYTES]);
void hmac_sha1(struct str key, struct str data, unsigned char out[SHA1_BYTES]);
bool secure_equal(struct str a, struct str b); // constant time for equal lengths
void secure_random(void *out, size_t n);       // aborts when the system has none
void secure_wipe(void *p, size_t n);

// A self-signed EC P-256 certificate authority and a server certificate signed by it, as PEM.
struct cert_pair {
    struct str cert, key;
};
bool cert_create_ca(struct str common_name, struct arena *arena, struct cert_pair *out,
                    struct err *err) MUST_USE;
// `names` are DNS names or IP addresses for the subject alternative names.
bool cert_create_server(const struct cert_pair *ca, const struct str *names, size_t count,
                        struct arena *arena, struct cert_pair *out, struct err *err) MUST_USE;
// A certificate of a user (CN) in groups (O), for its key in `out`.
bool cert_create_client(const struct cert_pair *ca, struct str name, const struct str *groups,
                        size_t count, struct arena *arena, struct cert_pair *out,
                        struct err *err) MUST_USE;
bool cert_check_pem(struct str pem,
                    struct err *err) MUST_USE; // at least one certificate that parses
bool cert_not_after(struct str pem, int64_t *ns,
                    struct err *err) MUST_USE; // of the first certificate

// ---- Signatures of JSON web tokens: RS256 with an RSA key of 2,048 bits or more, ES256 with one on P-256 ----
struct sign_key;
bool sign_key_generate(struct arena *arena, struct str *pem, struct err *err) MUST_USE; // ES256
struct sign_key *sign_key_parse(struct str pem, struct err *err); // a private key; NULL with err
void sign_key_destroy(struct sign_key *key);
AUTO_DEFINE(struct sign_key, sign_key_destroy)
const char *sign_key_algorithm(const struct sign_key *key); // "RS256", "ES256"
// SHA-256 of the public key's DER form.
void sign_key_fingerprint(const struct sign_key *key, unsigned char out[SHA256_BYTES]);
// The two big-endian numbers of the public key: modulus and exponent, or x and y.
bool sign_key_public(const struct sign_key *key, struct arena *arena, struct str numbers[2]);
bool sign_key_sign(const struct sign_key *key, struct str data, struct arena *arena,
                   struct str *out,
                   struct err *err) MUST_USE; // raw bytes, as JWS has them
bool sign_key_verify(const struct sign_key *key, struct str data, struct str signature) MUST_USE;

#endif
