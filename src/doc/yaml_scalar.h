// SPDX-License-Identifier: Apache-2.0
// Private to doc/: what a plain YAML scalar means, shared by the reader (which value is it?) and the printer (would this
// text be read back as something else?).
#ifndef SKIFF_DOC_YAML_SCALAR_H
#define SKIFF_DOC_YAML_SCALAR_H

#include "doc/yaml.h"

enum yaml_tag {
    YAML_TAG_STR,
    YAML_TAG_NULL,
    YAML_TAG_BOOL,
    YAML_TAG_INT,  // fits an int64
    YAML_TAG_UINT, // above INT64_MAX
    YAML_TAG_FLOAT,
    YAML_TAG_TIMESTAMP,
};

struct yaml_scalar {
    enum yaml_tag tag;
    bool boolean;
    int64_t integer;
    uint64_t natural;
    double number;
};

struct yaml_scalar yaml_resolve(struct str text, enum yaml_profile profile);
// A date or time in one of the four layouts go-yaml knows, as RFC 3339 with nanoseconds; false when it is none.
bool yaml_timestamp_format(struct str text, struct buf *out);
bool yaml_is_base60(struct str text); // 12:30:45, a number to old readers

enum { YAML_NUMBER_MAX = 40 };
// As Go's strconv.FormatFloat(d, 'g', -1, bits): shortest digits, exponent below -4 or from 6 digits on. Returns the length.
size_t yaml_format_g(double d, unsigned bits, char out[YAML_NUMBER_MAX]);

// The next code point of valid UTF-8; an invalid byte gives U+FFFD and length 1.
uint32_t yaml_next_rune(struct str text, size_t at, size_t *len);

#endif
