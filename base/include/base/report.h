/* base/report.h - many findings from one look: errors and warnings, in the order found.
 *
 * Loading a rule or a configuration goes on after a mistake so that a user sees all of them at once. */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include "base/err.h"

#include <stdio.h>

enum severity { SEVERITY_WARNING, SEVERITY_ERROR };

struct finding {
    enum severity severity;
    struct err err;
};

struct report {
    struct finding *findings; /* owned */
    size_t count, room;
    size_t errors, warnings; /* counted even when memory for a finding is missing */
};

#define REPORT_INIT ((struct report){0})

void report_done(struct report *report);
void report_add(struct report *report, enum severity severity, const struct err *err);
void report_warn(struct report *report, const char *file, const char *path, struct pos pos,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
void report_error(struct report *report, const char *file, const char *path, struct pos pos,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* "error: ..." and "warning: ..." lines, marks below them. */
void report_print(const struct report *report, FILE *out);

#endif
