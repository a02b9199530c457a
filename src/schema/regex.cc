// SPDX-License-Identifier: Apache-2.0
// The one file that includes RE2; its syntax is the one of Go's regexp package.
#include "schema/regex.h"

#include <cstdio>
#include <new>
#include <re2/re2.h>

struct schema_regex {
    RE2 re;
    schema_regex(const re2::StringPiece &pattern, const RE2::Options &options)
        : re(pattern, options) {
    }
};

extern "C" struct schema_regex *schema_regex_create(const char *pattern, size_t len, char *problem,
                                                    size_t problem_size) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    auto *regex = new (std::nothrow) schema_regex(re2::StringPiece(pattern, len), options);
    if (regex && regex->re.ok()) {
        return regex;
    }
    snprintf(problem, problem_size, "%s", regex ? regex->re.error().c_str() : "out of memory");
    delete regex;
    return nullptr;
}

extern "C" void schema_regex_destroy(struct schema_regex *regex) {
    delete regex;
}

extern "C" bool schema_regex_matches(const struct schema_regex *regex, const char *text,
                                     size_t len) {
    return RE2::PartialMatch(re2::StringPiece(text ? text : "", len), regex->re);
}
