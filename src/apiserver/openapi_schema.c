// SPDX-License-Identifier: Apache-2.0
// Shapes in OpenAPI documents: of built-in kinds from the tables of schema/ (with decode.c the one file outside that
// module which looks into them), of custom kinds from their definitions. What a shape refers to is noted, so that a
// document holds just what it needs.
#include "apiserver/openapi.h"
#include "schema/data.h"

// ---- Names ----

// The tables have the last three parts of a name; "apps.v1.Deployment" is io.k8s.api.apps.v1.Deployment.
static struct str full_name(struct arena *arena, struct str name) {
    static const char *const prefixes[][2] = {
        {"meta.", "io.k8s.apimachinery.pkg.apis."},
        {"pkg.runtime.", "io.k8s.apimachinery."},
        {"api.resource.", "io.k8s.apimachinery.pkg."},
        {"util.intstr.", "io.k8s.apimachinery.pkg."},
        {"apiextensions.", "io.k8s.apiextensions-apiserver.pkg.apis."},
        {"apiregistration.", "io.k8s.kube-aggregator.pkg.apis."},
    };
    const char *prefix = "io.k8s.api.";
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (str_starts(name, str_from(prefixes[i][0]))) {
            prefix = prefixes[i][1];
        }
    }
    return arena_printf(arena, "%s%.*s", prefix, STR_ARG(name));
}

// "com.example.v1.Widget" of the group example.com.
static struct str custom_name(struct arena *arena, const struct api_kind *kind,
                              struct str kind_name) {
    struct str rest = kind->group, part, out = STR("");
    while (str_next(&rest, '.', &part)) {
        out = out.n ? arena_printf(arena, "%.*s.%.*s", STR_ARG(part), STR_ARG(out)) : part;
    }
    return arena_printf(arena, "%.*s.%.*s.%.*s", STR_ARG(out), STR_ARG(kind->version),
                        STR_ARG(kind_name));
}

static struct str kind_name(struct arena *arena, const struct api_kind *kind) {
    return kind->merge ? full_name(arena, str_from(kind->merge->name))
                       : custom_name(arena, kind, kind->kind);
}

static struct doc_value ref_to(struct openapi *o, struct str name) {
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(
        &out, "$ref",
        doc_make_str(arena_printf(o->scratch, "#/%s/%.*s",
                                  o->v3 ? "components/schemas" : "definitions", STR_ARG(name))));
    return doc_object_done(&out);
}

static struct doc_value need(struct openapi *o, struct openapi_need need) {
    if (!map_find(o->known, need.name)) {
        need.name = arena_dup(o->arena, need.name);
        VEC_PUSH(&o->needs, need);
        map_put(o->known, need.name, o);
    }
    return ref_to(o, need.name);
}

static struct doc_value type_ref(struct openapi *o, const struct schema_type *type) {
    struct str name = full_name(o->scratch, str_from(type->name));
    return need(o, (struct openapi_need){.name = name, .shape = OPENAPI_TYPE, .type = type});
}

static struct doc_value special_ref(struct openapi *o, struct str short_name) {
    struct str name = full_name(o->scratch, short_name);
    return need(o, (struct openapi_need){.name = name, .shape = OPENAPI_SPECIAL});
}

struct doc_value openapi_kind_ref(struct openapi *o, const struct api_kind *kind) {
    if (kind->merge) {
        return type_ref(o, kind->merge);
    }
    return need(o, (struct openapi_need){
                       .name = kind_name(o->scratch, kind), .shape = OPENAPI_CUSTOM, .kind = kind});
}

struct doc_value openapi_list_ref(struct openapi *o, const struct api_kind *kind) {
    struct str name = kind->merge
                          ? arena_concat(o->scratch, kind_name(o->scratch, kind), STR("List"))
                          : custom_name(o->scratch, kind, kind->list_kind);
    return need(o, (struct openapi_need){.name = name, .shape = OPENAPI_LIST, .kind = kind});
}

struct doc_value openapi_meta_ref(struct openapi *o, const char *name) {
    static const struct schema_type *const types[] = {
        &schema_meta_v1_DeleteOptions, &schema_meta_v1_Status, &schema_meta_v1_ListMeta,
        &schema_meta_v1_ObjectMeta, &schema_meta_v1_APIResourceList};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_eq_c(str_skip(str_from(types[i]->name), strlen("meta.v1.")), name)) {
            return type_ref(o, types[i]);
        }
    }
    return special_ref(o, arena_printf(o->scratch, "meta.v1.%s", name));
}

struct doc_value openapi_body_ref(struct openapi *o, struct str group, struct str version,
                                  struct str kind) {
    const struct schema_type *type = schema_find(group, version, kind);
    return type ? type_ref(o, type) : openapi_meta_ref(o, "Status");
}

// ---- Built-in types ----

static struct doc_value typed(struct openapi *o, const char *type, const char *format) {
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(&out, "type", doc_make_str(str_from(type)));
    if (format) {
        doc_object_set_c(&out, "format", doc_make_str(str_from(format)));
    }
    return doc_object_done(&out);
}

static struct doc_value scalar_schema(struct openapi *o, const struct schema_field *field,
                                      const struct doc_value *note) {
    switch ((enum schema_scalar)field->scalar) {
    case SCHEMA_OBJECT:
        return type_ref(o, field->type);
    case SCHEMA_STRING:
        return typed(o, "string", NULL);
    case SCHEMA_BYTES:
        return typed(o, "string", "byte");
    case SCHEMA_BOOL:
        return typed(o, "boolean", NULL);
    case SCHEMA_INT32:
        return typed(o, "integer", "int32");
    case SCHEMA_INT64:
        return typed(o, "integer", "int64");
    case SCHEMA_DOUBLE:
        return typed(o, "number", "double");
    case SCHEMA_QUANTITY:
        return special_ref(o, STR("api.resource.Quantity"));
    case SCHEMA_INT_OR_STRING:
        return special_ref(o, STR("util.intstr.IntOrString"));
    case SCHEMA_TIME:
        return special_ref(o, STR("meta.v1.Time"));
    case SCHEMA_MICRO_TIME:
        return special_ref(o, STR("meta.v1.MicroTime"));
    case SCHEMA_ANY:
        break;
    }
    struct str ref = doc_get_str(note, "$ref");
    return ref.n ? special_ref(o, ref) : typed(o, "object", NULL);
}

static struct doc_value zero_of(struct openapi *o, enum schema_scalar scalar) {
    struct doc_object empty = doc_object_start(o->scratch);
    switch (scalar) {
    case SCHEMA_STRING:
        return DOC_S("");
    case SCHEMA_BOOL:
        return doc_make_bool(false);
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        return doc_make_int(0);
    default:
        return doc_object_done(&empty);
    }
}

// In version 3 a reference with anything beside it stands in allOf.
static struct doc_value beside(struct openapi *o, const struct doc_value *schema) {
    if (!o->v3 || !doc_get(schema, "$ref")) {
        return *schema;
    }
    struct doc_array all = doc_array_start(o->scratch);
    doc_array_add(&all, *schema);
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(&out, "allOf", doc_array_done(&all));
    return doc_object_done(&out);
}

static bool has_zero(enum schema_scalar scalar) {
    return scalar == SCHEMA_STRING || scalar == SCHEMA_BOOL || scalar == SCHEMA_INT32 ||
           scalar == SCHEMA_INT64 || scalar == SCHEMA_DOUBLE || scalar == SCHEMA_OBJECT;
}

// Lists and maps around a value; what they hold has its zero value as default.
static struct doc_value shaped(struct openapi *o, const struct schema_field *field,
                               struct doc_value value) {
    const uint8_t shapes[] = {field->inner, field->outer};
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        if (!shapes[i]) {
            continue;
        }
        bool innermost = i == 0 || !field->inner;
        if (o->v3 && innermost && has_zero(field->scalar)) {
            value = beside(o, &value);
            value = doc_with(o->scratch, &value, zero_of(o, field->scalar), "default");
        }
        struct doc_object out = doc_object_start(o->scratch);
        bool list = shapes[i] == SCHEMA_LIST;
        doc_object_set_c(&out, "type", doc_make_str(list ? STR("array") : STR("object")));
        doc_object_set_c(&out, list ? "items" : "additionalProperties", value);
        value = doc_object_done(&out);
    }
    return value;
}

static struct doc_value words_value(struct openapi *o, const char *words) {
    struct doc_array list = doc_array_start(o->scratch);
    struct str rest = str_from(words), word;
    while (str_next(&rest, ' ', &word)) {
        doc_array_add(&list, doc_make_str(word));
    }
    return doc_array_done(&list);
}

static void add_extensions(struct openapi *o, const struct schema_field *field,
                           struct doc_object *out) {
    unsigned flags = field->flags;
    if (flags & SCHEMA_MAP_ATOMIC) {
        doc_object_set_c(out, "x-kubernetes-map-type", DOC_S("atomic"));
    }
    if ((flags & SCHEMA_LIST_MAP) && field->keys) {
        doc_object_set_c(out, "x-kubernetes-list-map-keys", words_value(o, field->keys));
    }
    if (flags & (SCHEMA_LIST_ATOMIC | SCHEMA_LIST_SET | SCHEMA_LIST_MAP)) {
        doc_object_set_c(out, "x-kubernetes-list-type",
                         flags & SCHEMA_LIST_ATOMIC ? DOC_S("atomic")
                         : flags & SCHEMA_LIST_SET  ? DOC_S("set")
                                                    : DOC_S("map"));
    }
    if ((flags & SCHEMA_PATCH_MERGE) && field->keys) {
        struct str key, rest;
        str_cut(str_from(field->keys), ' ', &key, &rest);
        doc_object_set_c(out, "x-kubernetes-patch-merge-key", doc_make_str(key));
    }
    if (flags & (SCHEMA_PATCH_MERGE | SCHEMA_PATCH_RETAIN_KEYS | SCHEMA_PATCH_REPLACE)) {
        bool both = (flags & SCHEMA_PATCH_MERGE) && (flags & SCHEMA_PATCH_RETAIN_KEYS);
        doc_object_set_c(out, "x-kubernetes-patch-strategy",
                         both                               ? DOC_S("merge,retainKeys")
                         : flags & SCHEMA_PATCH_MERGE       ? DOC_S("merge")
                         : flags & SCHEMA_PATCH_RETAIN_KEYS ? DOC_S("retainKeys")
                                                            : DOC_S("replace"));
    }
}

// The JSON of a line of the type's notes that begins with this name.
static struct doc_value note_of(struct openapi *o, const struct schema_type *type,
                                struct str field) {
    struct str rest = str_from(type->notes), line, name, json;
    struct doc_value value;
    struct err err = {0};
    while (str_next(&rest, '\n', &line)) {
        if (str_cut(line, ' ', &name, &json) && str_eq(name, field)) {
            return doc_parse_json(json, o->scratch, &value, &err) ? value : doc_null();
        }
    }
    return doc_null();
}

static struct doc_value field_schema(struct openapi *o, const struct schema_type *type,
                                     const struct schema_field *field) {
    struct doc_value note = type->notes ? note_of(o, type, str_from(field->name)) : doc_null();
    struct doc_value value = scalar_schema(o, field, &note);
    const struct doc_value *values = doc_get(&note, "enum"), *preset = doc_get(&note, "default");
    if (values) {
        value = doc_with(o->scratch, &value, *values, "enum");
    }
    value = shaped(o, field, value);
    value = beside(o, &value);
    struct doc_object out = doc_object_start(o->scratch);
    struct str words = openapi_words(str_from(type->name), str_from(field->name));
    if (words.n) {
        doc_object_set_c(&out, "description", doc_make_str(words));
    }
    for (DOC_EACH_MEMBER(&value, i)) {
        doc_object_set(&out, doc_key_at(&value, i), *doc_value_at(&value, i));
    }
    if (o->v3 && preset) {
        doc_object_set_c(&out, "default", *preset);
    } else if (o->v3 && (field->flags & SCHEMA_DEFAULT_ZERO)) {
        doc_object_set_c(&out, "default", zero_of(o, field->outer ? SCHEMA_ANY : field->scalar));
    }
    add_extensions(o, field, &out);
    for (DOC_EACH_MEMBER(&note, i)) {
        if (str_starts(doc_key_at(&note, i), STR("x-"))) {
            doc_object_set(&out, doc_key_at(&note, i), *doc_value_at(&note, i));
        }
    }
    return doc_object_done(&out);
}

static struct doc_value one_gvk(struct openapi *o, struct str group, struct str version,
                                struct str kind) {
    struct doc_object out = doc_object_start(o->scratch);
    doc_object_set_c(&out, "group", doc_make_str(group));
    doc_object_set_c(&out, "kind", doc_make_str(kind));
    doc_object_set_c(&out, "version", doc_make_str(version));
    return doc_object_done(&out);
}

struct doc_value openapi_gvk(struct openapi *o, const struct api_kind *kind) {
    return one_gvk(o, kind->group, kind->version, kind->kind);
}

// Which kinds a type stands for: most for none, DeleteOptions for one in every served version of a group.
static struct doc_value gvks_of(struct openapi *o, const struct schema_type *type) {
    struct doc_array list = doc_array_start(o->scratch);
    for (size_t i = 0; i < schema_kind_count; i++) {
        const struct schema_kind *row = &schema_kinds[i];
        if (row->type == type) {
            doc_array_add(&list, one_gvk(o, str_from(row->group), str_from(row->version),
                                         str_from(row->kind)));
        }
    }
    if (type == &schema_meta_v1_Status || type == &schema_meta_v1_APIResourceList) {
        doc_array_add(&list, one_gvk(o, STR(""), STR("v1"),
                                     str_skip(str_from(type->name), strlen("meta.v1."))));
    }
    if (type == &schema_meta_v1_DeleteOptions) {
        const struct api_kind *kind, *last = NULL;
        for (size_t i = 0; api_kinds_next(o->kinds, &i, &kind);) {
            bool next =
                !last || !str_eq(last->group, kind->group) || !str_eq(last->version, kind->version);
            bool wanted = !o->v3 || !kind->group.n ||
                          (str_eq(kind->group, o->group) && str_eq(kind->version, o->version));
            if (next && wanted) {
                doc_array_add(&list, one_gvk(o, kind->group, kind->version, STR("DeleteOptions")));
            }
            last = kind;
        }
    }
    return doc_array_done(&list);
}

static struct doc_value type_schema(struct openapi *o, const struct schema_type *type) {
    struct doc_object out = doc_object_start(o->scratch), properties = doc_object_start(o->scratch);
    struct doc_array required = doc_array_start(o->scratch);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct schema_field *field = &type->fields[i];
        doc_object_set_c(&properties, field->name, field_schema(o, type, field));
        if (field->flags & SCHEMA_REQUIRED) {
            doc_array_add(&required, doc_make_str(str_from(field->name)));
        }
    }
    struct str words = openapi_words(str_from(type->name), STR(""));
    if (words.n) {
        doc_object_set_c(&out, "description", doc_make_str(words));
    }
    doc_object_set_c(&out, "type", DOC_S("object"));
    if (required.len) {
        doc_object_set_c(&out, "required", doc_array_done(&required));
    }
    if (properties.len) {
        doc_object_set_c(&out, "properties", doc_object_done(&properties));
    }
    struct doc_value gvks = gvks_of(o, type), note = note_of(o, type, STR(""));
    if (doc_len(&gvks)) {
        doc_object_set_c(&out, "x-kubernetes-group-version-kind", gvks);
    }
    if (type->atomic) {
        doc_object_set_c(&out, "x-kubernetes-map-type", DOC_S("atomic"));
    }
    for (DOC_EACH_MEMBER(&note, i)) {
        doc_object_set(&out, doc_key_at(&note, i), *doc_value_at(&note, i));
    }
    return doc_object_done(&out);
}

// Quantities, times and other values without fields.
static struct doc_value special_schema(struct openapi *o, struct str name) {
    struct doc_object out = doc_object_start(o->scratch);
    bool quantity = str_ends(name, STR(".Quantity"));
    bool either = str_ends(name, STR(".IntOrString"));
    if (str_ends(name, STR("Time"))) {
        return typed(o, "string", "date-time");
    }
    if (!quantity && !either) {
        bool any = str_ends(name, STR(".JSON")) || str_has(name, STR(".JSONSchemaPropsOr"));
        struct doc_value empty = doc_object_done(&out);
        return any ? empty : typed(o, "object", NULL);
    }
    if (!o->v3) {
        return typed(o, "string", either ? "int-or-string" : NULL);
    }
    struct doc_array one = doc_array_start(o->scratch);
    doc_array_add(&one, typed(o, either ? "integer" : "string", NULL));
    doc_array_add(&one, typed(o, either ? "string" : "number", NULL));
    if (either) {
        doc_object_set_c(&out, "format", DOC_S("int-or-string"));
    }
    doc_object_set_c(&out, "oneOf", doc_array_done(&one));
    return doc_object_done(&out);
}

static struct doc_value list_schema(struct openapi *o, const struct api_kind *kind) {
    struct doc_object out = doc_object_start(o->scratch), properties = doc_object_start(o->scratch);
    struct doc_object items = doc_object_start(o->scratch), empty = doc_object_start(o->scratch);
    struct doc_value item = openapi_kind_ref(o, kind), metadata = openapi_meta_ref(o, "ListMeta");
    struct doc_value nothing = doc_object_done(&empty);
    metadata = beside(o, &metadata);
    if (o->v3 && !kind->custom) {
        item = beside(o, &item);
        item = doc_with(o->scratch, &item, nothing, "default");
        metadata = doc_with(o->scratch, &metadata, nothing, "default");
    }
    doc_object_set_c(&items, "type", DOC_S("array"));
    doc_object_set_c(&items, "items", item);
    doc_object_set_c(&properties, "apiVersion", typed(o, "string", NULL));
    doc_object_set_c(&properties, "items", doc_object_done(&items));
    doc_object_set_c(&properties, "kind", typed(o, "string", NULL));
    doc_object_set_c(&properties, "metadata", metadata);
    doc_object_set_c(&out, "type", DOC_S("object"));
    doc_object_set_c(&out, "required", words_value(o, "items"));
    doc_object_set_c(&out, "properties", doc_object_done(&properties));
    struct doc_array gvks = doc_array_start(o->scratch);
    doc_array_add(&gvks, one_gvk(o, kind->group, kind->version, kind->list_kind));
    doc_object_set_c(&out, "x-kubernetes-group-version-kind", doc_array_done(&gvks));
    return doc_object_done(&out);
}

// ---- Custom kinds ----

static void add_identity(struct openapi *o, struct doc_object *properties) {
    struct doc_value metadata = openapi_meta_ref(o, "ObjectMeta");
    const char *const names[] = {"apiVersion", "kind"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct doc_value value = typed(o, "string", NULL);
        struct str words = openapi_words(STR("custom"), str_from(names[i]));
        doc_object_set_c(properties, names[i],
                         doc_with(o->scratch, &value, doc_make_str(words), "description"));
    }
    metadata = beside(o, &metadata);
    struct str words = openapi_words(STR("custom"), STR("metadata"));
    doc_object_set_c(properties, "metadata",
                     doc_with(o->scratch, &metadata, doc_make_str(words), "description"));
}

static struct doc_value custom_value(struct openapi *o, const struct doc_value *schema);

static struct doc_value custom_properties(struct openapi *o, const struct doc_value *properties) {
    struct doc_object out = doc_object_start(o->scratch);
    for (DOC_EACH_MEMBER(properties, i)) {
        doc_object_set(&out, doc_key_at(properties, i),
                       custom_value(o, doc_value_at(properties, i)));
    }
    return doc_object_done(&out);
}

// Version 2 cannot say what these say; a real server leaves them out there, and with them the type, rather than lie.
static bool dropped_in_v2(struct str key, bool vague) {
    static const char *const always[] = {"default", "nullable", "oneOf", "anyOf",
                                         "allOf",   "not",      NULL};
    static const char *const when_vague[] = {
        "type", "items", "properties", "required", "additionalProperties", NULL};
    for (size_t i = 0; always[i]; i++) {
        if (str_eq_c(key, always[i])) {
            return true;
        }
    }
    for (size_t i = 0; vague && when_vague[i]; i++) {
        if (str_eq_c(key, when_vague[i])) {
            return true;
        }
    }
    return false;
}

// An embedded object has the three members of every object.
static void embed(struct openapi *o, struct doc_object *out, const struct doc_value *properties) {
    struct doc_object all = doc_is(properties, DOC_OBJECT) ? doc_object_copy(o->scratch, properties)
                                                           : doc_object_start(o->scratch);
    add_identity(o, &all);
    doc_object_set_c(out, "properties", doc_object_done(&all));
    doc_object_set_c(out, "required", words_value(o, "kind apiVersion"));
}

static struct doc_value custom_value(struct openapi *o, const struct doc_value *schema) {
    if (!doc_is(schema, DOC_OBJECT)) {
        return *schema; // additionalProperties: true
    }
    bool either = doc_bool(doc_get(schema, "x-kubernetes-int-or-string"), false);
    bool open = doc_bool(doc_get(schema, "x-kubernetes-preserve-unknown-fields"), false);
    bool nullable = doc_bool(doc_get(schema, "nullable"), false);
    struct doc_object out = doc_object_start(o->scratch);
    for (DOC_EACH_MEMBER(schema, i)) {
        struct str key = doc_key_at(schema, i);
        const struct doc_value *value = doc_value_at(schema, i);
        if (!o->v3 && dropped_in_v2(key, either || open || nullable)) {
            continue;
        }
        if (doc_is_null(value)) {
            continue; // "default: null"
        }
        if (str_eq(key, STR("properties"))) {
            doc_object_set(&out, key, custom_properties(o, value));
        } else if (str_eq(key, STR("items")) || str_eq(key, STR("additionalProperties"))) {
            doc_object_set(&out, key, custom_value(o, value));
        } else {
            doc_object_set(&out, key, *value);
        }
    }
    if (o->v3 && either && !doc_get(schema, "anyOf") && !doc_get(schema, "allOf")) {
        struct doc_array any = doc_array_start(o->scratch);
        doc_array_add(&any, typed(o, "integer", NULL));
        doc_array_add(&any, typed(o, "string", NULL));
        doc_object_set_c(&out, "anyOf", doc_array_done(&any));
    }
    if (o->v3 && doc_bool(doc_get(schema, "x-kubernetes-embedded-resource"), false)) {
        struct doc_value so_far = doc_object_done(&out);
        out = doc_object_copy(o->scratch, &so_far);
        embed(o, &out, doc_get(&so_far, "properties"));
    }
    return doc_object_done(&out);
}

static struct doc_value custom_schema(struct openapi *o, const struct api_kind *kind) {
    const struct doc_value *known = crd_kind_schema(o->kinds, kind);
    bool open = doc_bool(doc_get(known, "x-kubernetes-preserve-unknown-fields"), false);
    struct doc_value value = doc_is(known, DOC_OBJECT) ? custom_value(o, known) : doc_null();
    struct doc_object out = doc_is(&value, DOC_OBJECT) ? doc_object_copy(o->scratch, &value)
                                                       : doc_object_start(o->scratch);
    doc_object_set_c(&out, "type", DOC_S("object"));
    if (!o->v3) {
        doc_object_remove(&out, STR("x-kubernetes-preserve-unknown-fields"));
    }
    if (o->v3 || !open) {
        const struct doc_value *before = doc_get(&value, "properties");
        struct doc_object properties = doc_is(before, DOC_OBJECT)
                                           ? doc_object_copy(o->scratch, before)
                                           : doc_object_start(o->scratch);
        add_identity(o, &properties);
        doc_object_set_c(&out, "properties", doc_object_done(&properties));
    }
    struct doc_array gvks = doc_array_start(o->scratch);
    doc_array_add(&gvks, openapi_gvk(o, kind));
    doc_object_set_c(&out, "x-kubernetes-group-version-kind", doc_array_done(&gvks));
    return doc_object_done(&out);
}

void openapi_follow(struct openapi *o, const struct openapi_need *need) {
    if (need->shape == OPENAPI_SPECIAL) {
        return;
    }
    if (need->shape != OPENAPI_TYPE) {
        openapi_definition(o, need); // notes what it refers to
        return;
    }
    for (size_t i = 0; i < need->type->field_count; i++) {
        const struct schema_field *field = &need->type->fields[i];
        bool any = field->scalar == SCHEMA_ANY && need->type->notes;
        struct doc_value note = any ? note_of(o, need->type, str_from(field->name)) : doc_null();
        scalar_schema(o, field, &note);
    }
}

struct doc_value openapi_definition(struct openapi *o, const struct openapi_need *need) {
    switch (need->shape) {
    case OPENAPI_TYPE:
        return type_schema(o, need->type);
    case OPENAPI_LIST:
        return list_schema(o, need->kind);
    case OPENAPI_CUSTOM:
        return custom_schema(o, need->kind);
    case OPENAPI_SPECIAL:
        break;
    }
    return special_schema(o, need->name);
}
