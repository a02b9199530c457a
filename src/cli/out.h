// SPDX-License-Identifier: Apache-2.0
// How commands print: columns aligned with spaces, documents, times. Everything goes to a buffer first, so that the same
// functions serve standard output, the live view of a terminal and the tests.
#ifndef SKIFF_CLI_OUT_H
#define SKIFF_CLI_OUT_H

#include "base/buf.h"
#include "cli/cli.h"
#include "doc/doc.h"

enum { OUT_MAX = 256 * 1024 * 1024 };

// Aligns text whose cells end in tabs, as Go's text/tabwriter does: a column is a run of lines that have a cell there; the
// last cell of a line is in no column. `text` holds whole lines.
void out_columns(struct str text, size_t min_width, size_t padding, struct buf *out);

size_t out_width(struct str text); // characters
// A time as Argo CD's command line prints it ("2026-11-23 18:54:05 +0000 UTC", local zone); "<nil>" for none.
struct str out_time(struct arena *arena, struct str rfc3339);
// First `n` characters of a commit.
struct str out_short(struct str revision, size_t n);
// What a terminal must not see of texts from elsewhere: control characters become '?'. Line feeds stay when `lines`.
struct str out_clean(struct arena *arena, struct str text, bool lines);

// Members in order of their keys, all the way down, as Kubernetes tools print them.
struct doc_value out_sorted(struct arena *arena, const struct doc_value *value);
// "yaml" or "json" (indented by `indent`), with a final line feed.
bool out_document(const struct doc_value *value, struct str format, unsigned indent,
                  struct buf *out);
bool out_is_document(struct str format);

bool out_print(const struct buf *text); // to standard output
bool out_is_terminal(void);             // standard output
// Asks on the terminal; true for "y" and "yes".
bool out_confirm(const char *question);

#endif
