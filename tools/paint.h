/* tools/paint.h - what a person sees: colour and alignment on a terminal, plain text in a pipe.
 *
 * NO_COLOR (https://no-color.org) and TERM=dumb switch colours off. */
#ifndef TOOLS_PAINT_H
#define TOOLS_PAINT_H

#include "base/report.h"

#include <stdbool.h>
#include <stdio.h>

enum paint { PAINT_PLAIN, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW, PAINT_CYAN };

bool paint_terminal(FILE *out); /* a person is looking */
/* The escape sequence that starts `paint`, "" where colours are off; and the one that ends it. */
const char *paint_on(FILE *out, enum paint paint);
const char *paint_off(FILE *out);

/* Text that others wrote (a server, a file): what would move a terminal's cursor becomes '?'. */
void paint_put(const char *text, FILE *out);

/* report_print with coloured severities. */
void paint_report(const struct report *report, FILE *out);
/* Without the warnings: where something else is asked for than what `check` says. */
void paint_errors(const struct report *report, FILE *out);
/* "error: ..." with the mark below. */
void paint_err(const struct err *err, FILE *out);

#endif
