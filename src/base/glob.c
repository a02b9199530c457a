// SPDX-License-Identifier: Apache-2.0
// Globs as github.com/gobwas/glob reads them, which is what Argo CD's projects, directory filters and resource filters
// are written for: *, **, ?, [list], [!list], [lo-hi], {alternative,...} and backslash. A class holds one range or one list,
// not both.
// A pattern becomes a short program whose jumps all go forward, so that one pass over it per character keeps the set of
// live positions: time is (text x pattern) at worst, whatever the pattern.
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

enum { GLOB_DEPTH_MAX = 32 };

enum glob_op {
    GLOB_CHAR,   // one given character
    GLOB_SINGLE, // any one but the separator
    GLOB_ANY,    // any number of characters but the separator
    GLOB_SUPER,  // any number of any characters
    GLOB_LIST,   // one of the characters of pattern[from, to)
    GLOB_RANGE,  // one of lo..hi
    GLOB_SPLIT,  // goes on at the next instruction and at `from`
    GLOB_JUMP,   // goes on at `from`
    GLOB_MATCH,
};

struct glob_inst {
    uint8_t op;
    bool negated;
    uint32_t from, to; // GLOB_CHAR: the character; GLOB_RANGE: the borders
};

struct glob_program {
    struct str pattern;
    struct glob_inst *insts;
    uint32_t len;
};

// One open "{": where its alternatives started and the jumps that wait for its end (linked through `to`).
struct glob_group {
    uint32_t split;
    uint32_t jumps; // index + 1 of the latest, 0: none
};

// As Go reads a string: a byte that is not UTF-8 is one U+FFFD.
static uint32_t next_rune(struct str s, size_t *at) {
    unsigned char c = (unsigned char)s.p[*at];
    unsigned more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
    if (c < 0x80) {
        (*at)++;
        return c;
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t rune = more == 1 ? c & 0x1fu : more == 2 ? c & 0x0fu : c & 0x07u;
    bool ok = c >= 0xc2 && c < 0xf5 && s.n - *at > more;
    for (unsigned i = 1; ok && i <= more; i++) {
        unsigned char d = (unsigned char)s.p[*at + i];
        ok = (d & 0xc0) == 0x80;
        rune = rune << 6 | (d & 0x3fu);
    }
    if (!ok || rune < least[more] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) {
        (*at)++;
        return 0xfffd;
    }
    *at += more + 1;
    return rune;
}

static struct glob_inst *emit(struct glob_program *program, enum glob_op op) {
    struct glob_inst *inst = &program->insts[program->len++];
    *inst = (struct glob_inst){.op = (uint8_t)op};
    return inst;
}

static bool class_error(struct err *err, size_t at) {
    return err_set_at(err, ERR_INVALID, 1, (uint32_t)at + 1,
                      "malformed character class in a glob; a class is one list ([abc]) or one "
                      "range ([a-z]), with ! in front to negate; combine classes as {[a-z],[0-9]}");
}

// After "[". A first character followed by '-' makes a range; anything else is a list up to "]".
static bool compile_class(struct glob_program *program, size_t *at, struct err *err) {
    struct str s = program->pattern;
    size_t start = *at;
    struct glob_inst inst = {.op = GLOB_LIST};
    if (*at < s.n && s.p[*at] == '!') {
        inst.negated = true;
        (*at)++;
    }
    if (*at >= s.n) {
        return class_error(err, start);
    }
    size_t after = *at;
    uint32_t lo = next_rune(s, &after);
    if (after < s.n && s.p[after] == '-') {
        after++;
        if (after >= s.n) {
            return class_error(err, start);
        }
        uint32_t hi = next_rune(s, &after);
        if (hi < lo || after >= s.n || s.p[after] != ']') {
            return class_error(err, start);
        }
        inst.op = GLOB_RANGE;
        inst.from = lo;
        inst.to = hi;
        *at = after + 1;
    } else {
        inst.from = (uint32_t)*at;
        while (*at < s.n && s.p[*at] != ']') {
            *at += s.p[*at] == '\\' && *at + 1 < s.n ? 2 : 1;
        }
        if (*at >= s.n || *at == inst.from) {
            return class_error(err, start);
        }
        inst.to = (uint32_t)*at;
        (*at)++;
    }
    program->insts[program->len++] = inst;
    return true;
}

static void next_alternative(struct glob_program *program, struct glob_group *group) {
    struct glob_inst *jump = emit(program, GLOB_JUMP);
    jump->to = group->jumps;
    group->jumps = program->len; // index + 1
    program->insts[group->split].from = program->len;
    group->split = program->len;
    emit(program, GLOB_SPLIT);
}

// The last alternative has nothing to split to: its split becomes a jump to the next instruction.
static void close_group(struct glob_program *program, struct glob_group *group) {
    program->insts[group->split].op = GLOB_JUMP;
    program->insts[group->split].from = group->split + 1;
    for (uint32_t i = group->jumps; i;) {
        struct glob_inst *jump = &program->insts[i - 1];
        i = jump->to;
        jump->from = program->len;
    }
}

static bool compile(struct glob_program *program, struct err *err) {
    struct str s = program->pattern;
    struct glob_group groups[GLOB_DEPTH_MAX];
    size_t depth = 0;
    for (size_t at = 0; at < s.n;) {
        char c = s.p[at];
        if (c == '*') {
            bool super = at + 1 < s.n && s.p[at + 1] == '*';
            emit(program, super ? GLOB_SUPER : GLOB_ANY);
            at += super ? 2 : 1;
        } else if (c == '?') {
            emit(program, GLOB_SINGLE);
            at++;
        } else if (c == '[') {
            at++;
            if (!compile_class(program, &at, err)) {
                return false;
            }
        } else if (c == '{') {
            if (depth == GLOB_DEPTH_MAX) {
                return err_set(err, ERR_LIMIT, "glob nests { deeper than %d", GLOB_DEPTH_MAX);
            }
            groups[depth++] = (struct glob_group){.split = program->len};
            emit(program, GLOB_SPLIT);
            at++;
        } else if (depth > 0 && c == ',') {
            next_alternative(program, &groups[depth - 1]);
            at++;
        } else if (depth > 0 && c == '}') {
            close_group(program, &groups[--depth]);
            at++;
        } else {
            if (c == '\\') {
                at++; // a backslash at the very end stands for nothing
            }
            if (at < s.n) {
                emit(program, GLOB_CHAR)->from = next_rune(s, &at);
            }
        }
    }
    if (depth > 0) {
        return err_set(err, ERR_INVALID, "glob has a { without }; write \\{ for the character");
    }
    emit(program, GLOB_MATCH);
    return true;
}

static bool glob_compile(struct glob_program *program, struct str pattern, struct err *err) {
    if (pattern.n > LIMIT_GLOB_BYTES) {
        return err_set(err, ERR_LIMIT, "glob is longer than %d bytes (LIMIT_GLOB_BYTES)",
                       LIMIT_GLOB_BYTES);
    }
    program->pattern = pattern;
    program->len = 0;
    // A character gives at most two instructions ("," a jump and a split), and the end one.
    program->insts = xmalloc((pattern.n * 2 + 1) * sizeof *program->insts);
    if (!compile(program, err)) {
        free(program->insts);
        program->insts = NULL;
        return false;
    }
    return true;
}

static bool list_has(struct str pattern, const struct glob_inst *inst, uint32_t rune) {
    struct str list = {pattern.p, inst->to};
    for (size_t at = inst->from; at < list.n;) {
        if (list.p[at] == '\\' && at + 1 < list.n) {
            at++;
        }
        if (next_rune(list, &at) == rune) {
            return true;
        }
    }
    return false;
}

// Whether the instruction takes this character (the star kinds then stay where they are).
static bool takes(const struct glob_program *program, const struct glob_inst *inst, uint32_t rune,
                  char separator) {
    switch (inst->op) {
    case GLOB_CHAR:
        return inst->from == rune;
    case GLOB_SINGLE:
    case GLOB_ANY:
        return !separator || rune != (unsigned char)separator;
    case GLOB_SUPER:
        return true;
    case GLOB_LIST:
        return list_has(program->pattern, inst, rune) != inst->negated;
    case GLOB_RANGE:
        return (rune >= inst->from && rune <= inst->to) != inst->negated;
    default:
        return false;
    }
}

// Follows what needs no character; afterwards `live` holds every position reachable so far.
static void spread(const struct glob_program *program, unsigned char *live, uint32_t first) {
    for (uint32_t i = first; i < program->len; i++) {
        if (!live[i]) {
            continue;
        }
        const struct glob_inst *inst = &program->insts[i];
        if (inst->op == GLOB_ANY || inst->op == GLOB_SUPER || inst->op == GLOB_SPLIT) {
            live[i + 1] = 1;
        }
        if (inst->op == GLOB_SPLIT || inst->op == GLOB_JUMP) {
            live[inst->from] = 1;
        }
    }
}

static bool run(const struct glob_program *program, struct str text, char separator) {
    unsigned char stack[512];
    unsigned char *heap = NULL;
    unsigned char *live = stack;
    if (2 * (size_t)program->len > sizeof stack) {
        live = heap = xmalloc(2 * (size_t)program->len);
    }
    unsigned char *next = live + program->len;
    memset(live, 0, program->len);
    live[0] = 1;
    uint32_t first = 0;
    bool alive = true;
    for (size_t at = 0; alive && at < text.n;) {
        spread(program, live, first);
        uint32_t rune = next_rune(text, &at);
        memset(next, 0, program->len);
        alive = false;
        uint32_t next_first = program->len;
        for (uint32_t i = first; i < program->len; i++) {
            const struct glob_inst *inst = &program->insts[i];
            if (live[i] && takes(program, inst, rune, separator)) {
                uint32_t to = inst->op == GLOB_ANY || inst->op == GLOB_SUPER ? i : i + 1;
                next[to] = 1;
                next_first = to < next_first ? to : next_first;
                alive = true;
            }
        }
        first = next_first;
        unsigned char *swap = live;
        live = next;
        next = swap;
    }
    if (alive) {
        spread(program, live, first);
    }
    bool matched = alive && live[program->len - 1];
    free(heap);
    return matched;
}

static bool is_plain(struct str pattern) {
    for (size_t i = 0; i < pattern.n; i++) {
        if (strchr("*?[{\\", pattern.p[i])) { // also NUL, which then takes the long way
            return false;
        }
    }
    return true;
}

bool glob_match(struct str pattern, struct str text, char separator, struct err *err) {
    if (str_eq_c(pattern, "**") || (!separator && str_eq_c(pattern, "*"))) {
        return true;
    }
    if (is_plain(pattern) && pattern.n <= LIMIT_GLOB_BYTES) {
        return str_eq(pattern, text);
    }
    if (text.n > LIMIT_GLOB_TEXT) {
        return err_set(err, ERR_LIMIT, "text is longer than %d bytes (LIMIT_GLOB_TEXT)",
                       LIMIT_GLOB_TEXT);
    }
    struct glob_program program;
    if (!glob_compile(&program, pattern, err)) {
        return false;
    }
    bool matched = run(&program, text, separator);
    free(program.insts);
    return matched;
}

bool glob_check(struct str pattern, struct err *err) {
    struct glob_program program;
    if (!glob_compile(&program, pattern, err)) {
        return false;
    }
    free(program.insts);
    return true;
}
