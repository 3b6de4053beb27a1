#include "findings.h"

#include "paint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    enum paint paint;
} looks[] = {
    [HEALTH_FINE] = {"ok", PAINT_GREEN},
    [HEALTH_DOUBT] = {"warning", PAINT_YELLOW},
    [HEALTH_BROKEN] = {"failed", PAINT_RED},
    [HEALTH_UNSEEN] = {"skipped", PAINT_DIM},
};
enum { WORD_WIDTH = sizeof "warning" - 1, WIDEST = 44 };

/* Names of servers and their answers come from others: what would move a terminal's cursor becomes '?'. */
static char *clean_copy(const char *text)
{
    char *copy = strdup(text);

    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    return copy;
}

/* Rules of one cluster are looked at one by one, and most of what is seen is the same. */
static bool is_there(const struct findings *findings, enum health health, const char *what, const char *text)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding_row *row = &findings->rows[i];

        if (row->health == health && row->what && row->text && strcmp(row->what, what) == 0 &&
            strcmp(row->text, text) == 0)
            return true;
    }
    return false;
}

static void add(void *context, enum health health, const char *what, const char *text)
{
    struct findings *findings = context;

    if (is_there(findings, health, what, text))
        return;
    findings->total[health]++;
    if (findings->count == findings->room) {
        size_t room = findings->room ? findings->room * 2 : 16;
        struct finding_row *rows = realloc(findings->rows, room * sizeof *rows);

        if (!rows) {
            findings->failed = true;
            return;
        }
        findings->rows = rows;
        findings->room = room;
    }
    struct finding_row *row = &findings->rows[findings->count++];
    *row = (struct finding_row){health, clean_copy(what), clean_copy(text)};
    findings->failed |= !row->what || !row->text;
}

struct health_report findings_report(struct findings *findings)
{
    return (struct health_report){findings, add};
}

void findings_begin(struct findings *findings, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(findings->section, sizeof findings->section, format, args);
    va_end(args);
    if (paint_terminal(stderr))
        (void)fprintf(stderr, "\rlooking at %.60s ...\033[K", findings->section);
}

void findings_progress(struct findings *findings, const char *what)
{
    char *clean = paint_terminal(stderr) ? clean_copy(what) : NULL;

    if (clean)
        (void)fprintf(stderr, "\rlooking at %.40s: %.60s ...\033[K", findings->section, clean);
    free(clean);
}

static void print_row(const struct finding_row *row, const char *section, size_t width)
{
    const char *word = looks[row->health].word, *what = row->what ? row->what : "",
               *text = row->text ? row->text : "";

    if (paint_terminal(stdout))
        (void)printf("  %s%-*s%s  %-*s  %s\n", paint_on(stdout, looks[row->health].paint), WORD_WIDTH, word,
                     paint_off(stdout), (int)width, what, text);
    else
        (void)printf("%s: %s: %s: %s\n", word, section, what, text);
}

void findings_end(struct findings *findings)
{
    size_t width = 0;

    if (paint_terminal(stderr))
        (void)fputs("\r\033[K", stderr);
    for (size_t i = 0; i < findings->count; i++) {
        size_t size = findings->rows[i].what ? strlen(findings->rows[i].what) : 0;

        if (size > width && size <= WIDEST)
            width = size;
    }
    if (findings->count > 0 && paint_terminal(stdout))
        (void)printf("%s%s%s\n", paint_on(stdout, PAINT_BOLD), findings->section, paint_off(stdout));
    for (size_t i = 0; i < findings->count; i++) {
        print_row(&findings->rows[i], findings->section, width);
        free(findings->rows[i].what);
        free(findings->rows[i].text);
    }
    findings->count = 0;
    (void)fflush(stdout);
}

void findings_done(struct findings *findings)
{
    free(findings->rows);
    *findings = (struct findings){0};
}
