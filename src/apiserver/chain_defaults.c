// SPDX-License-Identifier: Apache-2.0
// The class that a claim or an ingress without one gets, and the finalizers that keep claims and volumes in use.
#include "apiserver/chain.h"

bool chain_is(const struct chain_write *write, const char *group, const char *plural) {
    return str_eq_c(write->kind->group, group) && str_eq_c(write->kind->plural, plural);
}

// Among several the newest counts, then the first by name.
static struct str default_class(struct chain_write *write, struct api_collection *classes,
                                const char *annotation) {
    struct str name = {NULL, 0}, newest = {NULL, 0};
    struct api_cursor cursor = api_cursor_at(classes, name);
    for (struct api_entry *entry; classes->count && (entry = api_cursor_next(&cursor));) {
        if (entry->deleted) {
            continue;
        }
        const struct doc_value *class =
            chain_find(write->op, classes, STR(""), api_entry_name(entry));
        struct str created = doc_get_str(class, "metadata", "creationTimestamp");
        if (str_eq(doc_get_str(class, "metadata", "annotations", annotation), STR("true")) &&
            (!name.n || str_cmp(created, newest) > 0)) {
            name = doc_get_str(class, "metadata", "name");
            newest = created;
        }
    }
    return name;
}

void chain_default_classes(struct chain_write *write) {
    const struct doc_value *spec = doc_get(write->object, "spec");
    const struct doc_value *notes = doc_get(write->object, "metadata", "annotations");
    struct str class = {NULL, 0};
    const char *field = NULL;
    if (chain_is(write, "", "persistentvolumeclaims") && !doc_get(spec, "storageClassName") &&
        !doc_get(notes, "volume.beta.kubernetes.io/storage-class")) {
        field = "storageClassName";
        class = default_class(write, write->chain->storage_classes,
                              "storageclass.kubernetes.io/is-default-class");
    } else if (chain_is(write, "networking.k8s.io", "ingresses") &&
               !doc_get(spec, "ingressClassName") &&
               !doc_get(notes, "kubernetes.io/ingress.class")) {
        field = "ingressClassName";
        class = default_class(write, write->chain->ingress_classes,
                              "ingressclass.kubernetes.io/is-default-class");
    }
    if (class.n) {
        *write->object = doc_with_path(write->op->arena, write->object, doc_make_str(class),
                                       (const char *const[]){"spec", field, NULL});
    }
}

void chain_protect(struct chain_write *write) {
    bool claim = chain_is(write, "", "persistentvolumeclaims");
    if (!claim && !chain_is(write, "", "persistentvolumes")) {
        return;
    }
    struct str finalizer =
        claim ? STR("kubernetes.io/pvc-protection") : STR("kubernetes.io/pv-protection");
    struct doc_array list = doc_array_start(write->op->arena);
    for (DOC_EACH_ITEM(doc_get(write->object, "metadata", "finalizers"), item)) {
        if (str_eq(doc_str(item), finalizer)) {
            return;
        }
        doc_array_add(&list, *item);
    }
    doc_array_add(&list, doc_make_str(finalizer));
    *write->object =
        doc_with(write->op->arena, write->object, doc_array_done(&list), "metadata", "finalizers");
}
