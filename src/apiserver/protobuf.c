// SPDX-License-Identifier: Apache-2.0
// Reads an object in Kubernetes' protobuf form: the bytes "k8s\0", then an envelope with apiVersion, kind and the object.
// Replies are always JSON, which every client accepts beside protobuf; only bodies need this.
//
// The fields of a message are text: "NUMBER JSON-NAME [?][*%<]KIND [MESSAGE]", separated by commas. `?` leaves the zero
// value out (protobuf always sends it), `*` is a list, `%` a map with text keys, `<` a part whose fields belong to the
// object around it. KIND: s text, b bytes (base64 in JSON), i integer, t boolean, m message, T and M times, Q quantity,
// I integer or text, R and F embedded JSON, D duration, L a list of texts in a message of its own.
#include "apiserver/protobuf.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "base/timefmt.h"

enum { DEPTH = 64, MAPS_OF_A_MESSAGE = 8, MAP_ENTRIES = 8 * 1024 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct wire {
    uint32_t number;
    uint64_t integer; // WIRE_VARINT
    struct str bytes; // WIRE_BYTES
    unsigned type;
};

struct field {
    struct str name;
    bool skip_zero, list, map, inlined;
    char kind;
    struct str message;
};

struct reader {
    struct arena *arena;
    struct err *err;
    unsigned depth;
    uint32_t values;
};

static bool bad(struct reader *reader, const char *what) {
    return err_set(reader->err, ERR_INVALID, "not valid protobuf: %s", what);
}

// ---- The wire ----
static bool read_varint(struct str *in, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
        unsigned char c = (unsigned char)*in->p;
        *in = str_skip(*in, 1);
        value |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool read_wire(struct reader *reader, struct str *in, struct wire *out) {
    uint64_t tag;
    uint64_t length;
    if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        return bad(reader, "a field has no number");
    }
    *out = (struct wire){.number = (uint32_t)(tag >> 3), .type = (unsigned)(tag & 7)};
    switch (out->type) {
    case WIRE_VARINT:
        return read_varint(in, &out->integer) || bad(reader, "an integer is cut off");
    case WIRE_BYTES:
        if (!read_varint(in, &length) || length > in->n) {
            return bad(reader, "a field is cut off");
        }
        out->bytes = str_first(*in, (size_t)length);
        *in = str_skip(*in, (size_t)length);
        return true;
    case WIRE_64:
    case WIRE_32: {
        size_t size = out->type == WIRE_64 ? 8 : 4;
        if (in->n < size) {
            return bad(reader, "a number is cut off");
        }
        *in = str_skip(*in, size);
        return true;
    }
    default:
        return bad(reader, "a field has an unknown form");
    }
}

// ---- The table ----
static const struct protobuf_message *find_message(struct str name) {
    size_t low = 0;
    size_t high = protobuf_message_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(str_from(protobuf_messages[middle].name), name);
        if (order == 0) {
            return &protobuf_messages[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool find_field(const struct protobuf_message *message, uint32_t number, struct field *out) {
    struct str rest = str_from(message->fields);
    struct str text;
    while (str_next(&rest, ',', &text)) {
        struct str part, code;
        int64_t n = 0;
        str_next(&text, ' ', &part);
        if (!str_to_int64(part, &n) || n != (int64_t)number) {
            continue;
        }
        *out = (struct field){0};
        str_next(&text, ' ', &out->name);
        str_next(&text, ' ', &code);
        out->message = text;
        for (; code.n > 1; code = str_skip(code, 1)) {
            out->skip_zero |= code.p[0] == '?';
            out->list |= code.p[0] == '*';
            out->map |= code.p[0] == '%';
            out->inlined |= code.p[0] == '<';
        }
        out->kind = code.p[0];
        return true;
    }
    return false;
}

// A message of the same version is named without it.
static const struct protobuf_message *message_of(const struct protobuf_message *parent,
                                                 struct str name, struct arena *arena) {
    if (str_find_char(name, '.') == STR_NPOS) {
        struct str full = str_from(parent->name);
        struct str version = str_first(full, str_rfind_char(full, '.') + 1);
        name = arena_concat(arena, version, name);
    }
    return find_message(name);
}

// ---- Values ----
static bool read_message(struct reader *reader, const struct protobuf_message *message,
                         struct str in, struct doc_object *out);

// Small messages with fixed fields: numbers 1 to 3.
struct triple {
    uint64_t integers[4];
    struct str texts[4];
    struct doc_array list; // all texts with number 1
    bool any;
};

static bool read_triple(struct reader *reader, struct str in, struct triple *out) {
    *out = (struct triple){.list = doc_array_start(reader->arena)};
    while (in.n) {
        struct wire wire = {0}; // gcc at -O3 does not see that bad() is always false
        if (!read_wire(reader, &in, &wire)) {
            return false;
        }
        if (wire.number < 4) {
            out->integers[wire.number] = wire.integer;
            out->texts[wire.number] = wire.bytes;
            out->any |= wire.integer != 0 || wire.bytes.n > 0;
            if (wire.number == 1 && wire.type == WIRE_BYTES) {
                if (!utf8_is_valid(wire.bytes)) {
                    return bad(reader, "a text is not UTF-8");
                }
                doc_array_add(&out->list, doc_make_str(wire.bytes));
            }
        }
    }
    return true;
}

static bool make_time(struct reader *reader, char kind, const struct triple *parts,
                      struct doc_value *out) {
    int64_t seconds = (int64_t)parts->integers[1];
    int64_t ns;
    *out = doc_null();
    if (!parts->any) {
        return true;
    }
    if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &ns) || parts->integers[2] > 999999999 ||
        __builtin_add_overflow(ns, (int64_t)parts->integers[2], &ns)) {
        return bad(reader, "a time is out of range");
    }
    *out = doc_make_str(kind == 'T' ? time_format(reader->arena, ns)
                                    : time_format_micro(reader->arena, ns));
    return true;
}

static bool make_special(struct reader *reader, char kind, struct str bytes,
                         struct doc_value *out) {
    struct triple parts;
    if (!read_triple(reader, bytes, &parts)) {
        return false;
    }
    switch (kind) {
    case 'T':
    case 'M':
        return make_time(reader, kind, &parts, out);
    case 'Q':
        *out = doc_make_str(parts.texts[1]);
        return true;
    case 'I':
        *out = parts.integers[1] == 0 ? doc_make_int((int64_t)(int32_t)parts.integers[2])
                                      : doc_make_str(parts.texts[3]);
        return utf8_is_valid(parts.texts[3]) || bad(reader, "a text is not UTF-8");
    case 'D':
        *out = doc_make_str(duration_format(reader->arena, (int64_t)parts.integers[1]));
        return true;
    case 'L':
        *out = doc_array_done(&parts.list);
        return true;
    default: // 'R', 'F'
        *out = doc_null();
        return parts.texts[1].n == 0 ||
               doc_parse_json(parts.texts[1], reader->arena, out, reader->err);
    }
}

static bool make_value(struct reader *reader, const struct protobuf_message *parent,
                       const struct field *field, const struct wire *wire, struct doc_value *out) {
    bool is_integer = field->kind == 'i' || field->kind == 't';
    if (field->kind == 'd') {
        *out = doc_null();
        return true;
    }
    if (wire->type != (is_integer ? WIRE_VARINT : WIRE_BYTES)) {
        return bad(reader, "a field has the wrong form");
    }
    if (++reader->values > LIMIT_YAML_NODES) {
        return err_set(reader->err, ERR_LIMIT, "more than %d values", LIMIT_YAML_NODES);
    }
    switch (field->kind) {
    case 'i':
        *out = doc_make_int((int64_t)wire->integer);
        return true;
    case 't':
        *out = doc_make_bool(wire->integer != 0);
        return true;
    case 's':
        *out = doc_make_str(wire->bytes);
        return utf8_is_valid(wire->bytes) || bad(reader, "a text is not UTF-8");
    case 'b':
        *out = doc_make_str(base64_encode(reader->arena, wire->bytes));
        return true;
    case 'm': {
        const struct protobuf_message *message = message_of(parent, field->message, reader->arena);
        struct doc_object object = doc_object_start(reader->arena);
        if (!message || !read_message(reader, message, wire->bytes, &object)) {
            return message ? false : bad(reader, "a message is not known");
        }
        *out = doc_object_done(&object);
        return true;
    }
    default:
        return make_special(reader, field->kind, wire->bytes, out);
    }
}

static bool is_zero(const struct doc_value *value) {
    switch (doc_kind(value)) {
    case DOC_NULL:
        return true;
    case DOC_BOOL:
        return !doc_bool(value, false);
    case DOC_INT:
        return doc_int(value, 0) == 0;
    case DOC_STRING:
        return doc_str(value).n == 0;
    case DOC_NUMBER:
        return false;
    case DOC_ARRAY:
    case DOC_OBJECT:
        return doc_len(value) == 0;
    }
    return false;
}

// ---- Messages ----
// Lists grow by doubling from 4; their memory is ours alone.
static struct doc_value appended(struct reader *reader, const struct doc_object *object,
                                 struct str name, struct doc_value value) {
    struct doc_value so_far = doc_object_done(object);
    const struct doc_value *list = doc_find(&so_far, name);
    uint32_t n = (uint32_t)doc_len(list);
    struct doc_array out = {.arena = reader->arena, .len = n + 1};
    if (n > 0) {
        out.items = (struct doc_value *)(uintptr_t)doc_at(list, 0);
    }
    if (n == 0 || (n >= 4 && (n & (n - 1)) == 0)) {
        struct doc_value *items =
            ARENA_ARRAY(reader->arena, n ? (size_t)n * 2 : 4, struct doc_value);
        if (n) {
            memcpy(items, out.items, n * sizeof *items);
        }
        out.items = items;
    }
    out.items[n] = value;
    out.cap = out.len;
    return doc_array_done(&out);
}

// The maps of a message while it is being read: entries come one by one.
struct open_maps {
    struct str names[MAPS_OF_A_MESSAGE];
    struct doc_object objects[MAPS_OF_A_MESSAGE];
    size_t count;
};

static struct doc_object *open_map(struct reader *reader, struct open_maps *maps, struct str name) {
    for (size_t i = 0; i < maps->count; i++) {
        if (str_eq(maps->names[i], name)) {
            return &maps->objects[i];
        }
    }
    CHECK(maps->count < MAPS_OF_A_MESSAGE); // the table's business, not the client's
    maps->names[maps->count] = name;
    maps->objects[maps->count] = doc_object_start(reader->arena);
    return &maps->objects[maps->count++];
}

static bool read_map_entry(struct reader *reader, const struct protobuf_message *parent,
                           const struct field *field, struct str in, struct doc_object *map) {
    struct field value_field = *field;
    struct str key = {NULL, 0};
    struct doc_value value = field->kind == 's' || field->kind == 'b' ? DOC_S("") : doc_null();
    value_field.map = false;
    while (in.n) {
        struct wire wire;
        if (!read_wire(reader, &in, &wire)) {
            return false;
        }
        if (wire.number == 1) {
            key = wire.bytes;
        } else if (wire.number == 2 && !make_value(reader, parent, &value_field, &wire, &value)) {
            return false;
        }
    }
    if (!utf8_is_valid(key)) {
        return bad(reader, "a text is not UTF-8");
    }
    if (map->len >= MAP_ENTRIES) { // each is compared with the others
        return err_set(reader->err, ERR_LIMIT, "a map has more than %d entries: send JSON",
                       MAP_ENTRIES);
    }
    doc_object_set(map, key, value);
    return true;
}

static bool read_packed(struct reader *reader, const struct field *field, struct str in,
                        struct doc_object *out) {
    while (in.n) {
        uint64_t integer;
        if (!read_varint(&in, &integer)) {
            return bad(reader, "a list of integers is cut off");
        }
        doc_object_set(out, field->name,
                       appended(reader, out, field->name, doc_make_int((int64_t)integer)));
    }
    return true;
}

static bool read_field(struct reader *reader, const struct protobuf_message *message,
                       const struct wire *wire, struct doc_object *out, struct open_maps *maps) {
    struct field field;
    struct doc_value value;
    if (!find_field(message, wire->number, &field)) {
        return true; // of a newer version
    }
    if (field.map) {
        return wire->type == WIRE_BYTES ? read_map_entry(reader, message, &field, wire->bytes,
                                                         open_map(reader, maps, field.name))
                                        : bad(reader, "a map has the wrong form");
    }
    if (field.list && field.kind == 'i' && wire->type == WIRE_BYTES) {
        return read_packed(reader, &field, wire->bytes, out);
    }
    if (field.inlined) {
        const struct protobuf_message *part = message_of(message, field.message, reader->arena);
        return wire->type == WIRE_BYTES && part ? read_message(reader, part, wire->bytes, out)
                                                : bad(reader, "a message has the wrong form");
    }
    if (!make_value(reader, message, &field, wire, &value)) {
        return false;
    }
    if (field.list) {
        doc_object_set(out, field.name, appended(reader, out, field.name, value));
    } else if (!field.skip_zero || !is_zero(&value)) {
        doc_object_set(out, field.name, value);
    }
    return true;
}

static bool read_message(struct reader *reader, const struct protobuf_message *message,
                         struct str in, struct doc_object *out) {
    if (++reader->depth > DEPTH) {
        return err_set(reader->err, ERR_LIMIT, "nested deeper than %d", DEPTH);
    }
    struct open_maps maps = {.count = 0};
    while (in.n) {
        struct wire wire;
        if (!read_wire(reader, &in, &wire) || !read_field(reader, message, &wire, out, &maps)) {
            return false;
        }
    }
    for (size_t i = 0; i < maps.count; i++) {
        doc_object_set(out, maps.names[i], doc_object_done(&maps.objects[i]));
    }
    reader->depth--;
    return true;
}

bool api_protobuf_parse(struct str body, struct arena *arena, struct doc_value *out,
                        struct err *err) {
    struct reader reader = {.arena = arena, .err = err};
    struct triple envelope;
    struct triple type;
    if (!str_starts(body, (struct str){"k8s\0", 4})) {
        return bad(&reader, "the body does not begin with the mark of Kubernetes");
    }
    if (!read_triple(&reader, str_skip(body, 4), &envelope) ||
        !read_triple(&reader, envelope.texts[1], &type)) {
        return false;
    }
    struct str version = type.texts[1];
    struct str kind = type.texts[2];
    const struct protobuf_message *message =
        str_eq(kind, STR("DeleteOptions"))
            ? find_message(STR("meta.k8s.io/v1.DeleteOptions"))
            : find_message(arena_printf(arena, "%.*s.%.*s", STR_ARG(version), STR_ARG(kind)));
    if (!message) {
        return err_set(err, ERR_UNSUPPORTED, "%.*s %.*s is not known in protobuf: send JSON",
                       STR_ARG(version), STR_ARG(kind));
    }
    struct doc_object object = doc_object_start(arena);
    doc_object_set_c(&object, "apiVersion", doc_make_str(version));
    doc_object_set_c(&object, "kind", doc_make_str(kind));
    if (!read_message(&reader, message, envelope.texts[2], &object)) {
        return false;
    }
    *out = doc_object_done(&object);
    return true;
}
