// SPDX-License-Identifier: Apache-2.0
// OpenAPI version 2 as gnostic's protobuf messages (openapi.v2.Document), which client-go asks for: a translation of the
// JSON form, piece by piece, so that the whole document never exists as a tree. Field numbers are those of gnostic's
// OpenAPIv2.proto; extensions and values are texts of YAML, for which JSON will do.
#include "apiserver/openapi.h"

enum wire { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_BYTES = 2 };

static void put_varint(struct buf *out, uint64_t n) {
    while (n >= 128) {
        buf_add_char(out, (char)(unsigned char)(n | 128));
        n >>= 7;
    }
    buf_add_char(out, (char)(unsigned char)n);
}

static void put_tag(struct buf *out, unsigned field, enum wire wire) {
    put_varint(out, (uint64_t)field << 3 | wire);
}

static void put_str(struct buf *out, unsigned field, struct str s) {
    put_tag(out, field, WIRE_BYTES);
    put_varint(out, s.n);
    buf_add_str(out, s);
}

static void put_bool(struct buf *out, unsigned field, bool value) {
    if (value) {
        put_tag(out, field, WIRE_VARINT);
        put_varint(out, 1);
    }
}

static void put_int(struct buf *out, unsigned field, int64_t value) {
    put_tag(out, field, WIRE_VARINT);
    put_varint(out, (uint64_t)value);
}

static void put_double(struct buf *out, unsigned field, double value) {
    put_tag(out, field, WIRE_I64);
    buf_add(out, &value,
            sizeof(value)); // IEEE 754, little endian, as on every machine we build for
}

// A nested message is written behind a gap of one byte for its length, which is widened when that is not enough.
static size_t begin(struct buf *out, unsigned field) {
    put_tag(out, field, WIRE_BYTES);
    buf_add_char(out, 0);
    return out->len;
}

static void end(struct buf *out, size_t start) {
    if (out->overflow || out->len < start) {
        return;
    }
    size_t n = out->len - start;
    char digits[10];
    size_t count = 0;
    for (size_t rest = n; count == 0 || rest; rest >>= 7) {
        digits[count++] = (char)(unsigned char)((rest & 127) | (rest >= 128 ? 128 : 0));
    }
    if (count > 1) {
        if (!buf_add_repeat(out, 0, count - 1)) {
            return;
        }
        memmove(out->data + start + count - 1, out->data + start, n);
    }
    memcpy(out->data + start - 1, digits, count);
}

static void put_any(struct buf *out, unsigned field, const struct doc_value *value) {
    size_t any = begin(out, field);
    put_tag(out, 2, WIRE_BYTES); // yaml
    buf_add_char(out, 0);
    size_t text = out->len;
    doc_print_json(value, out);
    end(out, text);
    end(out, any);
}

static void put_extensions(struct buf *out, unsigned field, const struct doc_value *object) {
    for (DOC_EACH_MEMBER(object, i)) {
        if (str_starts(doc_key_at(object, i), STR("x-"))) {
            size_t named = begin(out, field);
            put_str(out, 1, doc_key_at(object, i));
            put_any(out, 2, doc_value_at(object, i));
            end(out, named);
        }
    }
}

static void put_strings(struct buf *out, unsigned field, const struct doc_value *list) {
    for (DOC_EACH_ITEM(list, item)) {
        put_str(out, field, doc_str(item));
    }
}

// ---- Schemas ----

static void put_schema(struct buf *out, const struct doc_value *schema);

static void put_named_schema(struct buf *out, unsigned field, struct str name,
                             const struct doc_value *schema) {
    size_t named = begin(out, field);
    put_str(out, 1, name);
    size_t value = begin(out, 2);
    put_schema(out, schema);
    end(out, value);
    end(out, named);
}

static void put_inner(struct buf *out, unsigned field, const struct doc_value *schema) {
    size_t item = begin(out, field);
    size_t inner = begin(out, 1);
    put_schema(out, schema);
    end(out, inner);
    end(out, item);
}

static void put_numbers(struct buf *out, const struct doc_value *schema) {
    static const struct {
        const char *name;
        unsigned field;
        char type; // of double, bool or int
    } numbers[] = {
        {"multipleOf", 6, 'd'},   {"maximum", 7, 'd'},           {"exclusiveMaximum", 8, 'b'},
        {"minimum", 9, 'd'},      {"exclusiveMinimum", 10, 'b'}, {"maxLength", 11, 'i'},
        {"minLength", 12, 'i'},   {"maxItems", 14, 'i'},         {"minItems", 15, 'i'},
        {"uniqueItems", 16, 'b'}, {"maxProperties", 17, 'i'},    {"minProperties", 18, 'i'},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct doc_value *value = doc_find(schema, str_from(numbers[i].name));
        if (doc_is_null(value)) {
            continue;
        }
        if (numbers[i].type == 'd') {
            put_double(out, numbers[i].field, doc_double(value, 0));
        } else if (numbers[i].type == 'b') {
            put_bool(out, numbers[i].field, doc_bool(value, false));
        } else {
            put_int(out, numbers[i].field, doc_int(value, 0));
        }
    }
}

static void put_schema(struct buf *out, const struct doc_value *schema) {
    static const struct {
        const char *name;
        unsigned field;
    } texts[] = {{"$ref", 1}, {"format", 2}, {"title", 3}, {"description", 4}, {"pattern", 13}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct doc_value *value = doc_find(schema, str_from(texts[i].name));
        if (doc_is(value, DOC_STRING)) {
            put_str(out, texts[i].field, doc_str(value));
        }
    }
    put_numbers(out, schema);
    put_strings(out, 19, doc_get(schema, "required"));
    for (DOC_EACH_ITEM(doc_get(schema, "enum"), value)) {
        put_any(out, 20, value);
    }
    const struct doc_value *more = doc_get(schema, "additionalProperties");
    if (doc_is(more, DOC_OBJECT)) {
        put_inner(out, 21, more);
    } else if (doc_is(more, DOC_BOOL)) {
        size_t item = begin(out, 21);
        put_int(out, 2, doc_bool(more, false));
        end(out, item);
    }
    const struct doc_value *type = doc_get(schema, "type"), *items = doc_get(schema, "items");
    if (doc_is(type, DOC_STRING)) {
        size_t item = begin(out, 22);
        put_str(out, 1, doc_str(type));
        end(out, item);
    }
    if (doc_is(items, DOC_OBJECT)) {
        put_inner(out, 23, items);
    }
    const struct doc_value *properties = doc_get(schema, "properties");
    if (doc_is(properties, DOC_OBJECT)) {
        size_t all = begin(out, 25);
        for (DOC_EACH_MEMBER(properties, i)) {
            put_named_schema(out, 1, doc_key_at(properties, i), doc_value_at(properties, i));
        }
        end(out, all);
    }
    put_extensions(out, 31, schema);
}

// ---- Paths ----

static void put_parameter(struct buf *out, unsigned field, const struct doc_value *parameter) {
    struct str in = doc_get_str(parameter, "in");
    bool required = doc_bool(doc_get(parameter, "required"), false);
    size_t item = begin(out, field);
    size_t any = begin(out, 1); // ParametersItem.parameter
    if (str_eq(in, STR("body"))) {
        size_t body = begin(out, 1);
        put_str(out, 2, doc_get_str(parameter, "name"));
        put_str(out, 3, in);
        put_bool(out, 4, required);
        size_t schema = begin(out, 5);
        put_schema(out, doc_get(parameter, "schema"));
        end(out, schema);
        end(out, body);
    } else {
        bool path = str_eq(in, STR("path"));
        size_t other = begin(out, 2); // NonBodyParameter
        size_t value = begin(out, path ? 4 : 3);
        put_bool(out, 1, required);
        put_str(out, 2, in);
        put_str(out, 4, doc_get_str(parameter, "name"));
        put_str(out, path ? 5 : 6, doc_get_str(parameter, "type"));
        put_bool(out, path ? 19 : 20, doc_bool(doc_get(parameter, "uniqueItems"), false));
        end(out, value);
        end(out, other);
    }
    end(out, any);
    end(out, item);
}

static void put_responses(struct buf *out, unsigned field, const struct doc_value *responses) {
    size_t all = begin(out, field);
    for (DOC_EACH_MEMBER(responses, i)) {
        const struct doc_value *reply = doc_value_at(responses, i);
        const struct doc_value *schema = doc_get(reply, "schema");
        size_t named = begin(out, 1);
        put_str(out, 1, doc_key_at(responses, i));
        size_t value = begin(out, 2), response = begin(out, 1);
        put_str(out, 1, doc_get_str(reply, "description"));
        if (schema) {
            put_inner(out, 2, schema);
        }
        end(out, response);
        end(out, value);
        end(out, named);
    }
    end(out, all);
}

static void put_operation(struct buf *out, unsigned field, const struct doc_value *operation) {
    size_t value = begin(out, field);
    put_strings(out, 1, doc_get(operation, "tags"));
    put_str(out, 5, doc_get_str(operation, "operationId"));
    put_strings(out, 6, doc_get(operation, "produces"));
    put_strings(out, 7, doc_get(operation, "consumes"));
    for (DOC_EACH_ITEM(doc_get(operation, "parameters"), parameter)) {
        put_parameter(out, 8, parameter);
    }
    put_responses(out, 9, doc_get(operation, "responses"));
    put_strings(out, 10, doc_get(operation, "schemes"));
    put_extensions(out, 13, operation);
    end(out, value);
}

void openapi_proto_start(struct buf *out) {
    put_str(out, 1, STR("2.0"));
    size_t info = begin(out, 2);
    put_str(out, 1, STR("Kubernetes"));
    put_str(out, 2, STR("v1.36.3"));
    end(out, info);
}

// Paths and definitions are messages with one repeated field each; pieces of a message may come one after the other and
// are merged by the reader.
void openapi_proto_path(struct buf *out, struct str path, const struct doc_value *item) {
    static const char *const methods[] = {"get",     "put",  "post", "delete",
                                          "options", "head", "patch"};
    size_t paths = begin(out, 8);
    size_t named = begin(out, 2);
    put_str(out, 1, path);
    size_t value = begin(out, 2);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        const struct doc_value *operation = doc_find(item, str_from(methods[i]));
        if (operation) {
            put_operation(out, (unsigned)(i + 2), operation);
        }
    }
    for (DOC_EACH_ITEM(doc_get(item, "parameters"), parameter)) {
        put_parameter(out, 9, parameter);
    }
    end(out, value);
    end(out, named);
    end(out, paths);
}

void openapi_proto_definition(struct buf *out, struct str name, const struct doc_value *schema) {
    size_t definitions = begin(out, 9);
    put_named_schema(out, 1, name, schema);
    end(out, definitions);
}
