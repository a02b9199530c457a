// SPDX-License-Identifier: Apache-2.0
// Published vectors (FIPS 180-4, RFC 4231, RFC 2202), and certificates as other programs see them.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "crypto/crypto.h"

static void to_hex(const unsigned char *data, size_t n, char *out) {
    for (size_t i = 0; i < n; i++) {
        snprintf(out + i * 2, 3, "%02x", data[i]);
    }
}

static void test_sha256(void **state) {
    (void)state;
    static const struct {
        const char *text, *sum;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    AUTO(arena_destroy) struct arena *arena = arena_create();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(str_eq_c(sha256_hex(arena, str_from(rows[i].text)), rows[i].sum));
    }
    assert_true(str_eq_c(sha256_hex(arena, (struct str){NULL, 0}), rows[0].sum));
}

static void test_hmac(void **state) {
    (void)state;
    static const struct {
        const char *key, *text, *sha256, *sha1;
    } rows[] = {
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
         "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
         "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "b617318655057264e28bc0b6fb378c8ef146be00"},
        {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
         "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned char sum[SHA256_BYTES];
        char hex[SHA256_BYTES * 2 + 1];
        hmac_sha256(str_from(rows[i].key), str_from(rows[i].text), sum);
        to_hex(sum, SHA256_BYTES, hex);
        assert_string_equal(hex, rows[i].sha256);
        hmac_sha1(str_from(rows[i].key), str_from(rows[i].text), sum);
        to_hex(sum, SHA1_BYTES, hex);
        assert_string_equal(hex, rows[i].sha1);
    }
}

static void test_secure_equal(void **state) {
    (void)state;
    assert_true(secure_equal(STR("abc"), STR("abc")));
    assert_true(secure_equal(STR(""), (struct str){NULL, 0}));
    assert_false(secure_equal(STR("abc"), STR("abd")));
    assert_false(secure_equal(STR("abc"), STR("ab")));
}

static void test_random(void **state) {
    (void)state;
    unsigned char a[32] = {0};
    unsigned char b[32] = {0};
    secure_random(a, sizeof a);
    secure_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    secure_wipe(a, sizeof a);
    for (size_t i = 0; i < sizeof a; i++) {
        assert_int_equal(a[i], 0);
    }
}

// ---- Certificates ----

struct certs {
    struct arena *arena;
    struct cert_pair ca, server;
};

static int setup(void **state) {
    struct certs *certs = NEW(struct certs);
    struct err err = {0};
    struct str names[] = {STR("localhost"), STR("127.0.0.1"), STR("::1"), STR("a,DNS:b")};
    certs->arena = arena_create();
    CHECK(cert_create_ca(STR("skiff-ca"), certs->arena, &certs->ca, &err));
    CHECK(cert_create_server(&certs->ca, names, 4, certs->arena, &certs->server, &err));
    *state = certs;
    return 0;
}

static int teardown(void **state) {
    struct certs *certs = *state;
    arena_destroy(certs->arena);
    free(certs);
    return 0;
}

static void test_validity(void **state) {
    struct certs *certs = *state;
    struct err err = {0};
    int64_t now = (int64_t)time(NULL) * NS_PER_SECOND;
    int64_t day = 86400 * NS_PER_SECOND;
    int64_t end;
    assert_true(cert_check_pem(certs->ca.cert, &err));
    assert_true(cert_not_after(certs->ca.cert, &end, &err));
    assert_true(end > now + 3649 * day && end < now + 3651 * day);
    assert_true(cert_not_after(certs->server.cert, &end, &err));
    assert_true(end > now + 824 * day && end < now + 826 * day);
}

static void test_bad_pem(void **state) {
    struct certs *certs = *state;
    static const char *const rows[] = {
        "", "nonsense", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = {0};
        int64_t end = 7;
        assert_false(cert_check_pem(str_from(rows[i]), &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_false(cert_not_after(str_from(rows[i]), &end, &err));
        assert_int_equal(end, 7);
    }
    struct err err = {0};
    assert_false(cert_check_pem(certs->ca.key, &err)); // a key is no certificate
}

static void test_bad_requests(void **state) {
    struct certs *certs = *state;
    struct cert_pair out;
    struct err err = {0};
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    assert_false(cert_create_ca(STR(""), certs->arena, &out, &err));
    assert_false(cert_create_ca((struct str){long_name, 65}, certs->arena, &out, &err));
    struct str bad[] = {STR(""), STR("a b"), {long_name, 254}, STR("a\nb"), STR("\xc3\xa4")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(cert_create_server(&certs->ca, &bad[i], 1, certs->arena, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
    assert_false(cert_create_server(&certs->ca, bad, 0, certs->arena, &out, &err));
    struct str name = STR("localhost");
    struct cert_pair mixed = {certs->ca.cert, certs->server.key};
    assert_false(cert_create_server(&mixed, &name, 1, certs->arena, &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
    struct str longest = {long_name, 253};
    assert_true(cert_create_server(&certs->ca, &longest, 1, certs->arena, &out, &err));
}

static void write_file(const char *folder, const char *name, struct str text) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    fclose(file);
}

// What the openssl program says: it checks the chain and shows the names.
static void test_against_openssl_program(void **state) {
    struct certs *certs = *state;
    if (access("/usr/bin/openssl", X_OK) != 0) {
        skip();
    }
    char folder[] = "/tmp/skiff-crypto-XXXXXX";
    assert_non_null(mkdtemp(folder));
    write_file(folder, "ca", certs->ca.cert);
    write_file(folder, "cert", certs->server.cert);
    static const struct {
        const char *args;
        const char *expected;
    } rows[] = {
        {"verify -x509_strict -purpose sslserver -verify_hostname localhost -CAfile ca cert",
         "cert: OK"},
        {"verify -verify_ip 127.0.0.1 -CAfile ca cert", "cert: OK"},
        {"verify -verify_ip ::1 -CAfile ca cert", "cert: OK"},
        {"verify -verify_hostname b -CAfile ca cert", "hostname mismatch"},
        {"x509 -noout -text -in cert", "prime256v1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char command[300];
        char out_path[200];
        char text[8192] = "";
        snprintf(out_path, sizeof out_path, "%s/out", folder);
        snprintf(command, sizeof command, "cd %s && openssl %s > out 2>&1", folder, rows[i].args);
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", command, (char *)NULL);
            _exit(127);
        }
        int status;
        while (waitpid(pid, &status, 0) < 0) {
        }
        FILE *file = fopen(out_path, "r");
        assert_non_null(file);
        size_t n = fread(text, 1, sizeof text - 1, file);
        text[n] = '\0';
        fclose(file);
        if (!strstr(text, rows[i].expected)) {
            fail_msg("%s: %s", rows[i].args, text);
        }
        unlink(out_path);
    }
    static const char *const names[] = {"ca", "cert"};
    for (size_t i = 0; i < 2; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void test_signatures(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct err err = {0};
    struct str pem, signature, again, numbers[2];
    assert_true(sign_key_generate(arena, &pem, &err));
    struct sign_key *key = sign_key_parse(pem, &err);
    assert_non_null(key);
    assert_string_equal(sign_key_algorithm(key), "ES256");
    assert_true(sign_key_public(key, arena, numbers));
    assert_int_equal(numbers[0].n, 32);
    assert_int_equal(numbers[1].n, 32);
    assert_true(sign_key_sign(key, STR("data"), arena, &signature, &err));
    assert_int_equal(signature.n, 64);
    assert_true(sign_key_verify(key, STR("data"), signature));
    assert_false(sign_key_verify(key, STR("Data"), signature));
    assert_false(sign_key_verify(key, STR("data"), str_first(signature, 63)));
    assert_false(sign_key_verify(key, STR("data"), STR("")));
    char *bytes = arena_cstr(arena, signature);
    for (size_t i = 0; i < signature.n; i++) { // each bit counts
        bytes[i] ^= 1;
        assert_false(sign_key_verify(key, STR("data"), (struct str){bytes, signature.n}));
        bytes[i] ^= 1;
    }
    memset(bytes, 0, signature.n);
    assert_false(sign_key_verify(key, STR("data"), (struct str){bytes, signature.n}));
    // Another key is another fingerprint, and knows nothing of this signature.
    unsigned char a[SHA256_BYTES], b[SHA256_BYTES];
    assert_true(sign_key_generate(arena, &again, &err));
    struct sign_key *other = sign_key_parse(again, &err);
    sign_key_fingerprint(key, a);
    sign_key_fingerprint(other, b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_false(sign_key_verify(other, STR("data"), signature));
    sign_key_destroy(other);
    sign_key_destroy(key);
    assert_null(sign_key_parse(STR("-----BEGIN PRIVATE KEY-----\n"), &err));
    assert_int_equal(err.code, ERR_INVALID);
    arena_destroy(arena);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_secure_equal),
        cmocka_unit_test(test_random),
        CASE(test_validity),
        CASE(test_bad_pem),
        CASE(test_bad_requests),
        cmocka_unit_test(test_signatures),
        CASE(test_against_openssl_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
