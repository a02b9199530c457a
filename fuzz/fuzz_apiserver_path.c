// SPDX-License-Identifier: Apache-2.0
// A request line and headers as they come from the network: "METHOD PATH?QUERY\nACCEPT\nCONTENT-TYPE".
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/auth.h"
#include "apiserver/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    struct str line, headers, method, target, path, query, accept, type;
    str_cut(text, '\n', &line, &headers);
    str_cut(headers, '\n', &accept, &type);
    str_cut(line, ' ', &method, &target);
    str_cut(target, '?', &path, &query);
    struct arena *arena = arena_create();
    struct api_request request;
    struct api_error error = {0};
    if (api_request_parse(arena, method, path, query, &request, &error)) {
        CHECK(request.gvr.version.n > 0 && request.gvr.resource.n > 0);
        CHECK(request.name.n > 0 || !request.subresource.n);
        struct api_error wrong = {0};
        CHECK(api_request_check_list(arena, &request, &wrong) || wrong.status == 422);
        if (!api_request_accept(arena, accept, &request, &error) ||
            !api_request_content_type(arena, type, &request, &error)) {
            CHECK(error.status >= 400 && error.message.n > 0);
        }
    } else {
        CHECK(error.status >= 400 && error.status < 500 && error.message.n > 0);
    }
    struct api_tokens *tokens = api_tokens_create(text, NULL);
    if (tokens) {
        api_tokens_find(tokens, accept);
        api_tokens_destroy(tokens);
    }
    arena_destroy(arena);
    return 0;
}
