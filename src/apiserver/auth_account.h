// SPDX-License-Identifier: Apache-2.0
// Tokens of service accounts: given out by the sub-resource "token" and in Secrets, believed while the account and the
// object they are bound to exist.
#ifndef SKIFF_APISERVER_AUTH_ACCOUNT_H
#define SKIFF_APISERVER_AUTH_ACCOUNT_H

#include "apiserver/auth_jwt.h"
#include "apiserver/core.h"

struct api_accounts;
struct api_accounts *api_accounts_create(struct apiserver *server, struct str key_pem,
                                         struct str issuer, struct err *err);
void api_accounts_destroy(struct api_accounts *accounts);
struct str api_accounts_issuer(const struct api_accounts *accounts);
const struct sign_key *api_accounts_key(const struct api_accounts *accounts);

struct api_account_check {
    const struct str *audiences; // one of them must be the token's; none: the server's own
    size_t audience_count;
    struct api_user user;        // the answer, from the arena
    struct str *token_audiences; // those that fit
    size_t token_audience_count;
    struct str problem; // why not; empty: not a token of ours
};
bool api_account_check(struct api_accounts *accounts, struct str token, struct arena *arena,
                       struct api_account_check *check);
// The user that such a name stands for, with its groups; false when it is none.
bool api_account_user(struct arena *arena, struct str name, struct api_user *out);
// Follows Secrets of the type kubernetes.io/service-account-token, and accounts that go.
void api_accounts_committed(struct apiserver *server, const struct api_event *event);
void api_accounts_start(struct apiserver *server); // looks at all of those
bool api_token_request(struct api_op *op);         // POST .../serviceaccounts/NAME/token

#endif
