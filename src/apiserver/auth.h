// SPDX-License-Identifier: Apache-2.0
// Who is behind a bearer token.
#ifndef SKIFF_APISERVER_AUTH_H
#define SKIFF_APISERVER_AUTH_H

#include "apiserver/apiserver.h"

struct api_tokens;
struct api_tokens *api_tokens_create(struct str csv, struct err *err);
void api_tokens_destroy(struct api_tokens *tokens);
// The user of an Authorization header; NULL when it names nobody. Takes the same time for every wrong token.
const struct api_user *api_tokens_find(const struct api_tokens *tokens, struct str authorization);

const struct api_user *api_tokens_find_token(const struct api_tokens *tokens, struct str token);

#endif
