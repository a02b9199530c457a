// SPDX-License-Identifier: Apache-2.0
// kubeconfig text (YAML), a cluster Secret's config and an exec plugin's answer (JSON): whatever it is, an error or a
// configuration that passes the checks. File names are never followed.
#include "base/limits.h"
#include "kube/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = {(const char *)data, size};
    AUTO(arena_destroy) struct arena *arena = arena_create();
    struct kube_config config;
    struct err err = {0};
    struct kubeconfig_options options = {.allow_exec = true, .base = STR("/nowhere")};
    if (kube_config_parse(text, &options, arena, &config, &err)) {
        CHECK(kube_config_check(&config, &err));
        struct kube_config copy;
        kube_config_copy(arena, &copy, &config);
    }
    if (kube_config_from_cluster_secret(STR("https://h"), text, arena, &config, &err)) {
        CHECK(config.exec_argc == 0 && config.token_file.n == 0);
    }
    struct kube_exec_credential credential;
    if (kube_exec_credential_parse(text, arena, &credential, &err)) {
        CHECK(credential.token.n || credential.cert.n);
    }
    return 0;
}
