// SPDX-License-Identifier: Apache-2.0
// The picture that a terminal shows while an application is followed: redrawn in place, cut to the window.
#include "cli/app.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void window(unsigned *rows, unsigned *columns) {
    struct winsize size = {0};
    *rows = 24;
    *columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 3 && size.ws_col > 10) {
        *rows = size.ws_row;
        *columns = size.ws_col;
    }
}

void app_live_erase(struct app_live *live) {
    if (live->rows) {
        printf("\x1b[%uA\x1b[J", live->rows);
        live->rows = 0;
    }
}

static struct str cut(struct str line, unsigned columns) {
    size_t width = 0;
    for (size_t i = 0; i < line.n; i++) {
        width += ((unsigned char)line.p[i] & 0xc0) != 0x80;
        if (width > columns) {
            return str_first(line, i);
        }
    }
    return line;
}

static void head(const struct doc_value *app, struct arena *arena, struct buf *out) {
    const struct doc_value *state = doc_get(app, "status", "operationState");
    struct app_name name = app_name_of(app);
    buf_printf(out, "%.*s/%.*s  sync %.*s  health %.*s", STR_ARG(name.ns), STR_ARG(name.name),
               STR_ARG(doc_get_str(app, "status", "sync", "status")),
               STR_ARG(doc_get_str(app, "status", "health", "status")));
    if (!doc_is_null(doc_get(app, "operation"))) {
        buf_add_c(out, "  operation requested");
    } else if (state) {
        buf_printf(out, "  operation %.*s: %.*s", STR_ARG(doc_get_str(state, "phase")),
                   STR_ARG(out_clean(arena, doc_get_str(state, "message"), false)));
    }
    buf_add_char(out, '\n');
}

void app_live_draw(struct app_live *live, const struct doc_value *app,
                   const struct app_picks *picks) {
    AUTO(arena_destroy) struct arena *arena = arena_create();
    AUTO_BUF struct buf text, table;
    unsigned rows, columns;
    size_t count;
    buf_init(&text, OUT_MAX);
    buf_init(&table, OUT_MAX);
    window(&rows, &columns);
    head(app, arena, &table);
    buf_add_c(&text, "KIND\tNAMESPACE\tNAME\tSTATUS\tHEALTH\tHOOK\tMESSAGE\n");
    struct app_state *states = app_states(app, picks, arena, &count);
    for (size_t i = 0; i < count; i++) {
        const struct app_state *s = &states[i];
        buf_printf(&text, "%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\n", STR_ARG(s->kind),
                   STR_ARG(s->ns), STR_ARG(s->name), STR_ARG(s->status), STR_ARG(s->health),
                   STR_ARG(s->hook), STR_ARG(s->message));
    }
    out_columns(buf_str(&text), 0, 2, &table);
    app_live_erase(live);
    struct str rest = buf_str(&table), line;
    while (live->rows + 1 < rows && str_next(&rest, '\n', &line)) {
        line = cut(line, columns);
        printf("%.*s\n", STR_ARG(line));
        live->rows++;
    }
    fflush(stdout);
}
