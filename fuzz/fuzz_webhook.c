// SPDX-License-Identifier: Apache-2.0
// A webhook payload. It is signed here, or the parser behind the signature would never be reached; the first byte decides
// whether a wrong signature is tried instead.
#include "base/mem.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "vcs/vcs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str body = str_make((const char *)data, size);
    AUTO(arena_destroy) struct arena *arena = arena_create();
    unsigned char mac[SHA256_BYTES];
    hmac_sha256(STR("secret"), body, mac);
    mac[0] ^= size > 0 && data[0] == '!';
    struct vcs_webhook_request request = {
        .event = STR("push"),
        .gitea_signature = hex_encode(arena, str_make((const char *)mac, sizeof mac)),
        .body = body};
    struct vcs_push push;
    struct err err = {0};
    if (vcs_webhook_parse(&request, STR("secret"), arena, &push, &err)) {
        CHECK(push.url_count > 0 && push.ref.n > 0 && data[0] != '!');
        vcs_push_matches(&push, STR("https://git.example.com/org/repo"), STR("main"));
        vcs_push_matches(&push, push.urls[0], STR("HEAD"));
    } else {
        CHECK(err.code != ERR_NONE);
    }
    return 0;
}
