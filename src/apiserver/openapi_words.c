// SPDX-License-Identifier: Apache-2.0
// A sentence of our own on the kinds and fields that people ask `kubectl explain` about most.
#include "apiserver/openapi.h"

// In byte order of type, then field; an empty field means the type itself.
static const struct {
    const char *type, *field, *text;
} words[] = {
    {"custom", "apiVersion", "The group and version of this object, as in apps/v1."},
    {"custom", "kind", "The kind of this object, in CamelCase."},
    {"custom", "metadata", "Name, namespace, labels, annotations and what the server adds."},
};

struct str openapi_words(struct str type, struct str field) {
    size_t low = 0, high = ARRAY_LEN(words);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(type, str_from(words[middle].type));
        order = order ? order : str_cmp(field, str_from(words[middle].field));
        if (order == 0) {
            return str_from(words[middle].text);
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return (struct str){NULL, 0};
}
