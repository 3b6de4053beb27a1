#include "paint.h"

#include <stdlib.h>
#include <unistd.h>

static const char *const sequences[] = {
    [PAINT_PLAIN] = "",        [PAINT_BOLD] = "\033[1m",   [PAINT_DIM] = "\033[2m",
    [PAINT_RED] = "\033[31m",  [PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m",
    [PAINT_CYAN] = "\033[36m",
};

bool paint_terminal(FILE *out)
{
    return isatty(fileno(out)) == 1;
}

static bool coloured(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return paint_terminal(out) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *paint_on(FILE *out, enum paint paint)
{
    return coloured(out) ? sequences[paint] : "";
}

const char *paint_off(FILE *out)
{
    return coloured(out) ? "\033[0m" : "";
}

void paint_put(const char *text, FILE *out)
{
    for (; *text; text++)
        (void)putc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

static void finding(const struct err *err, const char *word, enum paint paint, FILE *out)
{
    char text[2048];

    err_print(err, text, sizeof text);
    (void)fprintf(out, "%s%s:%s %s\n", paint_on(out, paint), word, paint_off(out), text);
}

void paint_err(const struct err *err, FILE *out)
{
    finding(err, "error", PAINT_RED, out);
}

void paint_report(const struct report *report, FILE *out)
{
    for (size_t i = 0; i < report->count; i++) {
        if (report->findings[i].severity == SEVERITY_ERROR)
            finding(&report->findings[i].err, "error", PAINT_RED, out);
        else
            finding(&report->findings[i].err, "warning", PAINT_YELLOW, out);
    }
}

void paint_errors(const struct report *report, FILE *out)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->findings[i].severity == SEVERITY_ERROR)
            finding(&report->findings[i].err, "error", PAINT_RED, out);
}
