// SPDX-License-Identifier: Apache-2.0
// Quantities as numbers that can be added, in billionths; and what a pod asks for in sum.
#include "apiserver/chain.h"

static const amount_int NANO = 1000000000;

static bool scale_of(struct str suffix, amount_int *scale, bool *binary) {
    static const char decimal[] = "numkMGTPE";
    static const char units[] = "KMGTPE";
    *binary = suffix.n == 2 && suffix.p[1] == 'i';
    if (*binary) {
        const char *at = strchr(units, suffix.p[0]);
        for (*scale = NANO; at && at >= units; at--) {
            *scale *= 1024;
        }
        return at != NULL;
    }
    if (suffix.n == 0) {
        *scale = NANO;
        return true;
    }
    if (suffix.p[0] == 'e' || (suffix.p[0] == 'E' && suffix.n > 1)) {
        int64_t exponent;
        struct str digits = str_skip(suffix, suffix.n > 1 && suffix.p[1] == '+' ? 2 : 1);
        if (!str_to_int64(digits, &exponent) || exponent < -9 || exponent > 18) {
            return false;
        }
        *scale = 1;
        for (int64_t i = -9; i < exponent; i++) {
            *scale *= 10;
        }
        return true;
    }
    const char *at = suffix.n == 1 ? strchr(decimal, suffix.p[0]) : NULL;
    if (!at) {
        return false;
    }
    *scale = 1;
    for (long i = 0; i < at - decimal + (at - decimal >= 3); i++) { // there is no letter for 1
        *scale *= 1000;
    }
    return true;
}

bool amount_parse(const struct doc_value *value, struct amount *out) {
    if (doc_is(value, DOC_INT)) {
        *out = (struct amount){.nano = doc_int(value, 0) * NANO};
        return true;
    }
    struct str text = doc_str(value);
    size_t at = 0, point = STR_NPOS;
    bool negative = text.n && text.p[0] == '-';
    amount_int digits = 0, scale;
    size_t count = 0;
    for (at = text.n && (text.p[0] == '-' || text.p[0] == '+'); at < text.n; at++) {
        char c = text.p[at];
        if (c == '.' && point == STR_NPOS) {
            point = at;
        } else if (c >= '0' && c <= '9' && count < 19) {
            digits = digits * 10 + (c - '0');
            count++;
        } else {
            break;
        }
    }
    bool binary;
    if (!count || !scale_of(str_skip(text, at), &scale, &binary)) {
        return false;
    }
    amount_int nano;
    if (__builtin_mul_overflow(digits, scale, &nano)) {
        return false;
    }
    for (size_t i = point == STR_NPOS ? at : point + 1; i < at; i++) {
        nano /= 10;
    }
    *out = (struct amount){.nano = negative ? -nano : nano, .binary = binary};
    return true;
}

struct str amount_text(struct arena *arena, struct amount amount) {
    static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    static const char *const decimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
    amount_int value = amount.nano;
    size_t step = 0;
    if (value == 0) {
        return STR("0");
    }
    if (amount.binary && value % NANO == 0) {
        for (value /= NANO; value % 1024 == 0 && step + 1 < ARRAY_LEN(binary); step++) {
            value /= 1024;
        }
        return arena_printf(arena, "%lld%s", (long long)value, binary[step]);
    }
    for (; value % 1000 == 0 && step + 1 < ARRAY_LEN(decimal); step++) {
        value /= 1000;
    }
    return arena_printf(arena, "%lld%s", (long long)value, decimal[step]);
}

void amount_add(struct amount *sum, struct amount more) {
    sum->binary = sum->nano ? sum->binary : more.binary;
    if (__builtin_add_overflow(sum->nano, more.nano, &sum->nano)) {
        sum->nano = (amount_int)INT64_MAX * INT64_MAX; // more than any quota allows
    }
}

// ---- Pods ----
static bool of_container(const struct doc_value *container, const char *list, struct str resource,
                         struct amount *out) {
    return amount_parse(doc_find(doc_get(container, "resources", list), resource), out);
}

static void at_least(struct amount *most, struct amount value) {
    if (value.nano > most->nano) {
        *most = value;
    }
}

bool amount_of_pod(const struct doc_value *spec, const char *list, struct str resource,
                   struct amount *out) {
    struct amount sum = {0}, side = {0}, most = {0}, one;
    bool named = false;
    for (DOC_EACH_ITEM(doc_get(spec, "containers"), container)) {
        if (of_container(container, list, resource, &one)) {
            amount_add(&sum, one);
            named = true;
        }
    }
    for (DOC_EACH_ITEM(doc_get(spec, "initContainers"), init)) {
        if (!of_container(init, list, resource, &one)) {
            continue;
        }
        named = true;
        if (str_eq(doc_get_str(init, "restartPolicy"), STR("Always"))) {
            amount_add(&sum, one); // runs beside all that come after it
            amount_add(&side, one);
            at_least(&most, side);
        } else {
            amount_add(&one, side);
            at_least(&most, one);
        }
    }
    at_least(&sum, most);
    if (amount_parse(doc_find(doc_get(spec, "overhead"), resource), &one) &&
        (named || !str_eq_c(STR("limits"), list))) {
        amount_add(&sum, one);
        named = true;
    }
    if (named) {
        *out = sum;
    }
    return named;
}
