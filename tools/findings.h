/* tools/findings.h - what `topicrule doctor` found, in sections: a table where a person looks, in a pipe one
 * line each. */
#ifndef TOOLS_FINDINGS_H
#define TOOLS_FINDINGS_H

#include "base/health.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct finding_row {
    enum health health;
    char *what, *text; /* owned */
};

struct findings {
    char section[128];
    struct finding_row *rows; /* of the section under way */
    size_t count, room;
    size_t total[4]; /* by health, of all sections */
    bool failed;     /* no memory for a row */
};

/* Begin a section; on a terminal, standard error shows what is being looked at. */
void findings_begin(struct findings *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* On a terminal, show what of the section is being looked at. */
void findings_progress(struct findings *findings, const char *what);
/* Print its rows on standard output and forget them. */
void findings_end(struct findings *findings);
void findings_done(struct findings *findings);

/* A report that adds rows, each once in a section; `findings` must outlive it. */
struct health_report findings_report(struct findings *findings);

#endif
