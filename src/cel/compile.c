// SPDX-License-Identifier: Apache-2.0
// An expression becomes a program, or a text that shows what is wrong and where.
#include "cel/cel_internal.h"

void cel_issue_add(struct cel_compiler *c, uint32_t line, uint32_t column, const char *format,
                   ...) {
    if (c->issue_count == ARRAY_LEN(c->issues)) {
        return;
    }
    va_list args;
    va_start(args, format);
    struct str message = arena_vprintf(c->arena, format, args);
    va_end(args);
    for (size_t i = 0; i < c->issue_count; i++) { // a macro may use an argument twice
        if (c->issues[i].line == line && c->issues[i].column == column &&
            str_eq(c->issues[i].message, message)) {
            return;
        }
    }
    size_t at = c->issue_count++;
    while (at > 0 && (c->issues[at - 1].line > line ||
                      (c->issues[at - 1].line == line && c->issues[at - 1].column > column))) {
        c->issues[at] = c->issues[at - 1];
        at--;
    }
    c->issues[at] = (struct cel_issue){line, column, message};
}

static struct str line_of(struct str text, uint32_t line) {
    struct str part = {NULL, 0}, rest = text;
    for (uint32_t i = 0; i < line; i++) {
        struct str after;
        str_cut(rest, '\n', &part, &after);
        rest = after;
    }
    return part;
}

static void add_issue(struct cel_compiler *c, const struct cel_issue *issue, struct buf *out) {
    buf_printf(out, "%sERROR: <input>:%u:%u: %.*s", out->len ? "\n" : "", issue->line,
               issue->column + 1, STR_ARG(issue->message));
    struct str line = line_of(c->text, issue->line);
    if (line.n > 16384) {
        return;
    }
    buf_add_c(out, "\n | ");
    for (size_t i = 0; i < line.n; i++) {
        buf_add_char(out, line.p[i] == '\t' ? ' ' : line.p[i]);
    }
    buf_add_c(out, "\n | ");
    size_t at = 0;
    for (uint32_t i = 0; i <= issue->column; i++) { // a wide character gets a wide mark
        size_t start = at;
        at += at < line.n ? 1 : 0;
        while (at < line.n && ((unsigned char)line.p[at] & 0xC0) == 0x80) {
            at++;
        }
        bool wide = at - start > 1, end = i == issue->column;
        if (start >= line.n && !end) {
            continue;
        }
        buf_add_c(out, end ? (wide ? "\xef\xbc\xbe" : "^") : (wide ? "\xef\xbc\x8e" : "."));
    }
}

struct str cel_issues_text(struct cel_compiler *c) {
    AUTO_BUF struct buf buf = {0};
    buf_init(&buf, 1024 * 1024);
    for (size_t i = 0; i < c->issue_count; i++) {
        add_issue(c, &c->issues[i], &buf);
    }
    return arena_dup(c->arena, buf_str(&buf));
}

struct cel_program *cel_compile(struct arena *arena, struct str text, const struct cel_env *env,
                                struct cel_problem *problem) {
    struct cel_program *program = ARENA_NEW(arena, struct cel_program);
    program->arena = arena;
    program->text = arena_dup(arena, text);
    struct cel_compiler c = {.arena = arena, .text = program->text, .env = env, .program = program};
    program->root = cel_parse(&c);
    if (program->root && cel_check(&c, program->root)) {
        if (cel_fold_constants(&c, program->root, &problem->text)) {
            return program;
        }
        problem->late = true;
    } else {
        *problem = (struct cel_problem){cel_issues_text(&c), false};
    }
    cel_program_release(program);
    return NULL;
}

void cel_program_release(struct cel_program *program) {
    if (!program) {
        return;
    }
    for (size_t i = 0; i < program->patterns.len; i++) {
        regex_destroy(program->patterns.items[i]);
    }
    VEC_FREE(&program->patterns);
}

const struct cel_type *cel_program_type(const struct cel_program *program) {
    return cel_type_root(program->root->type);
}

static bool uses(const struct cel_node *node, struct str name) {
    if (!node) {
        return false;
    }
    if (node->kind == NODE_IDENT && str_eq(node->name, name)) {
        return true;
    }
    if (node->kind == NODE_SELECT) {
        return uses(node->operand, name);
    }
    for (size_t i = 0; i < node->args.len; i++) {
        if (uses(node->args.items[i], name)) {
            return true;
        }
    }
    const struct cel_fold *f = node->fold;
    return f && (uses(f->range, name) || uses(f->init, name) || uses(f->condition, name) ||
                 uses(f->step, name) || uses(f->result, name));
}

bool cel_program_uses(const struct cel_program *program, struct str variable) {
    return uses(program->root, variable);
}
