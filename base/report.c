#include "base/report.h"

#include <stdarg.h>
#include <stdlib.h>

void report_done(struct report *report)
{
    free(report->findings);
    *report = REPORT_INIT;
}

void report_add(struct report *report, enum severity severity, const struct err *err)
{
    if (severity == SEVERITY_ERROR)
        report->errors++;
    else
        report->warnings++;
    if (report->count == report->room) {
        size_t room = report->room ? report->room * 2 : 8;
        struct finding *more = reallocarray(report->findings, room, sizeof *more);

        if (!more)
            return; /* still counted */
        report->findings = more;
        report->room = room;
    }
    report->findings[report->count++] = (struct finding){severity, *err};
}

static void report_vadd(struct report *report, enum severity severity, const char *file, const char *path,
                        struct pos pos, const char *format, va_list args)
    __attribute__((format(printf, 6, 0)));

static void report_vadd(struct report *report, enum severity severity, const char *file, const char *path,
                        struct pos pos, const char *format, va_list args)
{
    struct err err = {.code = ERR_VALUE, .pos = pos};

    (void)vsnprintf(err.text, sizeof err.text, format, args);
    err_in(&err, file, path);
    report_add(report, severity, &err);
}

void report_warn(struct report *report, const char *file, const char *path, struct pos pos,
                 const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_vadd(report, SEVERITY_WARNING, file, path, pos, format, args);
    va_end(args);
}

void report_error(struct report *report, const char *file, const char *path, struct pos pos,
                  const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_vadd(report, SEVERITY_ERROR, file, path, pos, format, args);
    va_end(args);
}

void report_print(const struct report *report, FILE *out)
{
    char line[2048];

    for (size_t i = 0; i < report->count; i++) {
        const struct finding *finding = &report->findings[i];

        err_print(&finding->err, line, sizeof line);
        (void)fprintf(out, "%s: %s\n", finding->severity == SEVERITY_ERROR ? "error" : "warning", line);
    }
}
