// SPDX-License-Identifier: Apache-2.0
// The one file that includes OpenSSL's headers: digests, constant-time comparison and the certificates that
// `skiff up` makes for itself.
#include "crypto/crypto.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/timefmt.h"

enum {
    CERT_NAMES_MAX = 64,
    CERT_CN_MAX = 64, // ub-common-name of X.509
    CA_DAYS = 3650,
    SERVER_DAYS = 825, // clients of Apple refuse longer ones
};

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(BIO, BIO_free)

static bool fail(struct err *err, const char *what) {
    char text[160] = "unknown error";
    unsigned long code = ERR_get_error();
    if (code) {
        ERR_error_string_n(code, text, sizeof text);
    }
    ERR_clear_error();
    return err_set(err, ERR_INTERNAL, "%s: %s", what, text);
}

// ---- Digests ----

static void digest(const EVP_MD *md, struct str data, unsigned char *out) {
    CHECK(EVP_Digest(data.p ? data.p : "", data.n, out, NULL, md, NULL) == 1);
}

void sha256(struct str data, unsigned char out[SHA256_BYTES]) {
    digest(EVP_sha256(), data, out);
}

struct str sha256_hex(struct arena *arena, struct str data) {
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_BYTES];
    sha256(data, sum);
    char *text = arena_alloc(arena, sizeof sum * 2 + 1);
    for (size_t i = 0; i < sizeof sum; i++) {
        text[i * 2] = digits[sum[i] >> 4];
        text[i * 2 + 1] = digits[sum[i] & 15];
    }
    text[sizeof sum * 2] = '\0';
    return (struct str){text, sizeof sum * 2};
}

static void hmac(const EVP_MD *md, struct str key, struct str data, unsigned char *out) {
    CHECK(key.n <= INT32_MAX);
    CHECK(HMAC(md, key.p ? key.p : "", (int)key.n, (const unsigned char *)(data.p ? data.p : ""),
               data.n, out, NULL));
}

void hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_BYTES]) {
    hmac(EVP_sha256(), key, data, out);
}

void hmac_sha1(struct str key, struct str data, unsigned char out[SHA1_BYTES]) {
    hmac(EVP_sha1(), key, data, out);
}

bool secure_equal(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void secure_random(void *out, size_t n) {
    CHECK(n <= INT32_MAX && RAND_bytes(out, (int)n) == 1);
}

void secure_wipe(void *p, size_t n) {
    OPENSSL_cleanse(p, n);
}

// ---- Certificates ----

static struct str take_bio(BIO *bio, struct arena *arena) {
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    return arena_dup(arena, (struct str){data, (size_t)n});
}

static bool to_pem(X509 *cert, EVP_PKEY *key, struct arena *arena, struct cert_pair *out,
                   struct err *err) {
    AUTO(BIO_free) BIO *cert_bio = BIO_new(BIO_s_mem());
    AUTO(BIO_free) BIO *key_bio = BIO_new(BIO_s_mem());
    if (!cert_bio || !key_bio || PEM_write_bio_X509(cert_bio, cert) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return fail(err, "cannot write a certificate");
    }
    *out = (struct cert_pair){take_bio(cert_bio, arena), take_bio(key_bio, arena)};
    return true;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

// A certificate without extensions and signature: serial, validity, subject, key.
static X509 *new_cert(struct str common_name, EVP_PKEY *key, int days) {
    AUTO(X509_free) X509 *cert = X509_new();
    unsigned char serial[16];
    secure_random(serial, sizeof serial);
    serial[0] = (serial[0] & 0x7f) | 0x40; // positive and of constant length
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool ok = cert && number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) &&
              X509_set_version(cert, X509_VERSION_3) == 1 &&
              // An hour back, for clients whose clock is behind.
              X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
              X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) &&
              X509_set_pubkey(cert, key) == 1 &&
              X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                         (const unsigned char *)common_name.p, (int)common_name.n,
                                         -1, 0) == 1;
    BN_free(number);
    return ok ? TAKE(cert) : NULL;
}

bool cert_create_ca(struct str common_name, struct arena *arena, struct cert_pair *out,
                    struct err *err) {
    if (common_name.n == 0 || common_name.n > CERT_CN_MAX) {
        return err_set(err, ERR_INVALID, "a certificate's name has 1 to %d bytes", CERT_CN_MAX);
    }
    AUTO(EVP_PKEY_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO(X509_free) X509 *cert = key ? new_cert(common_name, key, CA_DAYS) : NULL;
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
        !add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
        X509_sign(cert, key, EVP_sha256()) == 0) {
        return fail(err, "cannot create a certificate authority");
    }
    return to_pem(cert, key, arena, out, err);
}

static X509 *read_cert(struct str pem) {
    AUTO(BIO_free)
    BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n) : NULL;
    return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *read_key(struct str pem) {
    AUTO(BIO_free)
    BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n) : NULL;
    // An empty pass phrase, so that OpenSSL never asks on the terminal.
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
}

// Built as a stack, not as text: a name with a comma must not become two.
static bool add_names(X509 *cert, const struct str *names, size_t count, struct arena *arena,
                      struct err *err) {
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        unsigned char address[16];
        const char *text = arena_cstr(arena, names[i]);
        int bytes = inet_pton(AF_INET, text, address) == 1    ? 4
                    : inet_pton(AF_INET6, text, address) == 1 ? 16
                                                              : 0;
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_STRING *value = bytes ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
        ok = name && value &&
             ASN1_STRING_set(value, bytes ? (const void *)address : text,
                             bytes ? bytes : (int)names[i].n) == 1;
        if (name && value) {
            GENERAL_NAME_set0_value(name, bytes ? GEN_IPADD : GEN_DNS, value);
        }
        ok = ok && sk_GENERAL_NAME_push(list, name) > 0;
        if (!ok) {
            GENERAL_NAME_free(name);
        }
    }
    ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, 0) == 1;
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return ok || fail(err, "cannot write the names of a certificate");
}

static bool check_names(const struct str *names, size_t count, struct err *err) {
    if (count == 0 || count > CERT_NAMES_MAX) {
        return err_set(err, ERR_INVALID, "a server certificate has 1 to %d names", CERT_NAMES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        bool ok = names[i].n > 0 && names[i].n <= 253;
        for (size_t k = 0; ok && k < names[i].n; k++) {
            ok = names[i].p[k] > 0x20 && names[i].p[k] < 0x7f;
        }
        if (!ok) {
            return err_set(err, ERR_INVALID, "\"%.*s\" is not a host name or an address",
                           STR_ARG(names[i]));
        }
    }
    return true;
}

bool cert_create_server(const struct cert_pair *ca, const struct str *names, size_t count,
                        struct arena *arena, struct cert_pair *out, struct err *err) {
    if (!check_names(names, count, err)) {
        return false;
    }
    AUTO(X509_free) X509 *issuer = read_cert(ca->cert);
    AUTO(EVP_PKEY_free) EVP_PKEY *issuer_key = read_key(ca->key);
    if (!issuer || !issuer_key || X509_check_private_key(issuer, issuer_key) != 1) {
        fail(err, "");
        return err_set(err, ERR_INVALID,
                       "the certificate authority is damaged: its certificate and key do not fit");
    }
    AUTO(EVP_PKEY_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    struct str common_name = str_first(names[0], CERT_CN_MAX);
    AUTO(X509_free) X509 *cert = key ? new_cert(common_name, key, SERVER_DAYS) : NULL;
    if (!cert || X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
        !add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, issuer, NID_ext_key_usage, "serverAuth") ||
        !add_extension(cert, issuer, NID_authority_key_identifier, "keyid")) {
        return fail(err, "cannot create a server certificate");
    }
    if (!add_names(cert, names, count, arena, err)) {
        return false;
    }
    if (X509_sign(cert, issuer_key, EVP_sha256()) == 0) {
        return fail(err, "cannot sign a server certificate");
    }
    return to_pem(cert, key, arena, out, err);
}

static bool add_subject(X509 *cert, const char *field, struct str text) {
    return text.n <= CERT_CN_MAX &&
           X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), field, MBSTRING_UTF8,
                                      (const unsigned char *)text.p, (int)text.n, -1, 0) == 1;
}

bool cert_create_client(const struct cert_pair *ca, struct str name, const struct str *groups,
                        size_t count, struct arena *arena, struct cert_pair *out, struct err *err) {
    AUTO(X509_free) X509 *issuer = read_cert(ca->cert);
    AUTO(EVP_PKEY_free) EVP_PKEY *issuer_key = read_key(ca->key);
    AUTO(EVP_PKEY_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    bool named = name.n > 0 && name.n <= CERT_CN_MAX;
    AUTO(X509_free) X509 *cert = key && named ? new_cert(name, key, SERVER_DAYS) : NULL;
    bool ok = issuer && issuer_key && cert;
    for (size_t i = 0; ok && i < count; i++) {
        ok = add_subject(cert, "O", groups[i]);
    }
    if (!ok || X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
        !add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, issuer, NID_ext_key_usage, "clientAuth") ||
        !add_extension(cert, issuer, NID_authority_key_identifier, "keyid") ||
        X509_sign(cert, issuer_key, EVP_sha256()) == 0) {
        return fail(err, "cannot create a client certificate");
    }
    return to_pem(cert, key, arena, out, err);
}

bool cert_check_pem(struct str pem, struct err *err) {
    AUTO(X509_free) X509 *cert = read_cert(pem);
    if (!cert) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID,
                       "no certificate found: expected PEM text with a BEGIN CERTIFICATE line");
    }
    return true;
}

bool cert_not_after(struct str pem, int64_t *ns, struct err *err) {
    if (!cert_check_pem(pem, err)) {
        return false;
    }
    AUTO(X509_free) X509 *cert = read_cert(pem);
    struct tm tm;
    if (!cert || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1) {
        return fail(err, "cannot read the end of a certificate's validity");
    }
    *ns = (int64_t)timegm(&tm) * NS_PER_SECOND;
    return true;
}

// ---- Signatures ----

struct sign_key {
    EVP_PKEY *key;
    bool rsa;
};

enum { RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8192, P256_BYTES = 32 };

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(ECDSA_SIG, ECDSA_SIG_free)

bool sign_key_generate(struct arena *arena, struct str *pem, struct err *err) {
    AUTO(EVP_PKEY_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    AUTO(BIO_free) BIO *bio = BIO_new(BIO_s_mem());
    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        return fail(err, "cannot make a key");
    }
    *pem = take_bio(bio, arena);
    return true;
}

struct sign_key *sign_key_parse(struct str pem, struct err *err) {
    AUTO(EVP_PKEY_free) EVP_PKEY *key = read_key(pem);
    ERR_clear_error();
    if (!key) {
        err_set(err, ERR_INVALID, "no private key found: expected PEM text without a pass phrase");
        return NULL;
    }
    char group[32] = "";
    bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    int bits = EVP_PKEY_get_bits(key);
    EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    if (rsa ? bits < RSA_BITS_LEAST || bits > RSA_BITS_MOST
            : EVP_PKEY_is_a(key, "EC") != 1 || strcmp(group, "prime256v1") != 0) {
        err_set(err, ERR_INVALID, "a key for tokens is RSA of %d to %d bits, or EC on P-256",
                RSA_BITS_LEAST, RSA_BITS_MOST);
        return NULL;
    }
    struct sign_key *out = NEW(struct sign_key);
    *out = (struct sign_key){.key = TAKE(key), .rsa = rsa};
    return out;
}

void sign_key_destroy(struct sign_key *key) {
    if (key) {
        EVP_PKEY_free(key->key);
        free(key);
    }
}

const char *sign_key_algorithm(const struct sign_key *key) {
    return key->rsa ? "RS256" : "ES256";
}

void sign_key_fingerprint(const struct sign_key *key, unsigned char out[SHA256_BYTES]) {
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key->key, &der);
    CHECK(n > 0);
    sha256((struct str){(const char *)der, (size_t)n}, out);
    OPENSSL_free(der);
}

bool sign_key_public(const struct sign_key *key, struct arena *arena, struct str numbers[2]) {
    const char *const names[2] = {key->rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X,
                                  key->rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y};
    for (size_t i = 0; i < 2; i++) {
        BIGNUM *number = NULL;
        if (EVP_PKEY_get_bn_param(key->key, names[i], &number) != 1) {
            return false;
        }
        int n = key->rsa ? BN_num_bytes(number) : P256_BYTES;
        unsigned char *bytes = arena_alloc(arena, (size_t)n);
        bool ok = BN_bn2binpad(number, bytes, n) == n;
        BN_free(number);
        if (!ok) {
            return false;
        }
        numbers[i] = (struct str){(const char *)bytes, (size_t)n};
    }
    return true;
}

// ES256 in JWS is r and s side by side, in OpenSSL a DER structure.
static bool ecdsa_to_raw(struct str der, struct arena *arena, struct str *out) {
    const unsigned char *at = (const unsigned char *)der.p;
    AUTO(ECDSA_SIG_free) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.n);
    unsigned char *raw = arena_alloc(arena, (size_t)P256_BYTES * 2);
    *out = (struct str){(const char *)raw, (size_t)P256_BYTES * 2};
    return pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, P256_BYTES) == P256_BYTES &&
           BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + P256_BYTES, P256_BYTES) == P256_BYTES;
}

bool sign_key_sign(const struct sign_key *key, struct str data, struct arena *arena,
                   struct str *out, struct err *err) {
    AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = (size_t)EVP_PKEY_get_size(key->key);
    unsigned char *signature = arena_alloc(arena, n);
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->key) != 1 ||
        EVP_DigestSign(ctx, signature, &n, (const unsigned char *)data.p, data.n) != 1) {
        return fail(err, "cannot sign");
    }
    *out = (struct str){(const char *)signature, n};
    return key->rsa || ecdsa_to_raw(*out, arena, out) || fail(err, "cannot sign");
}

static int raw_to_ecdsa(struct str raw, unsigned char **der) {
    AUTO(ECDSA_SIG_free) ECDSA_SIG *pair = ECDSA_SIG_new();
    const unsigned char *bytes = (const unsigned char *)raw.p;
    BIGNUM *r = BN_bin2bn(bytes, P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(bytes + P256_BYTES, P256_BYTES, NULL);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    return i2d_ECDSA_SIG(pair, der);
}

bool sign_key_verify(const struct sign_key *key, struct str data, struct str signature) {
    AUTO(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *der = NULL;
    struct str wanted = signature;
    if (!key->rsa) {
        int n = signature.n == (size_t)P256_BYTES * 2 ? raw_to_ecdsa(signature, &der) : 0;
        if (n <= 0) {
            return false;
        }
        wanted = (struct str){(const char *)der, (size_t)n};
    }
    bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
              EVP_DigestVerify(ctx, (const unsigned char *)wanted.p, wanted.n,
                               (const unsigned char *)data.p, data.n) == 1;
    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}
