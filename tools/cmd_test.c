/* topicrule test: run rule tests (docs/testing-rules.md). Failures and the sum go to standard output. */
#include "base/auto.h"
#include "case_run.h"
#include "command.h"
#include "options.h"
#include "paint.h"

#include <errno.h>
#include <stdlib.h>

static const struct option_row rows[] = {{0}};
static const struct usage usage = {
    .command = "test",
    .synopsis = "FILE.jsonl...",
    .text = "Run rule tests. A file holds one case a line: a message and what the rule should make of it.\n"
            "Prints each failure with want and got, and at the end 'N passed, N failed'.\n\n"
            "exit status: 0 none failed, 1 some did, 2 a file could not be read\n",
    .rows = rows,
    .words = true,
};

enum { MISSING_MOST = 64, MISSING_TEXT = 200 };

struct tally {
    size_t passed, failed;
    /* Functions that cases need and that do not exist: the sentence, and how many cases it stopped. */
    struct {
        char text[MISSING_TEXT];
        size_t count;
    } missing[MISSING_MOST];
    size_t missing_count;
};

static void miss(struct tally *tally, struct span text)
{
    size_t i = 0;

    if (text.size == 0)
        return;
    while (i < tally->missing_count && !span_is(text, tally->missing[i].text))
        i++;
    if (i == MISSING_MOST || text.size >= MISSING_TEXT)
        return;
    if (i == tally->missing_count) {
        memcpy(tally->missing[i].text, text.data, text.size);
        tally->missing_count++;
    }
    tally->missing[i].count++;
}

/* Continuation lines of a value stand below its first. */
static void print_value(const char *word, enum paint paint, struct span text)
{
    (void)printf("  %s%-4s%s ", paint_on(stdout, paint), word, paint_off(stdout));
    for (size_t i = 0; i < text.size; i++) {
        (void)putchar(text.data[i]);
        if (text.data[i] == '\n')
            (void)fputs("       ", stdout);
    }
    (void)putchar('\n');
}

static void print_failure(const char *file, size_t line, struct span id, struct span want, struct span got)
{
    (void)printf("%sFAIL%s %s:%zu " SPAN_FMT "\n", paint_on(stdout, PAINT_RED), paint_off(stdout), file, line,
                 SPAN_ARG(id));
    print_value("want", PAINT_GREEN, want);
    print_value("got", PAINT_RED, got);
}

static void run_line(const char *file, const char *folder, size_t number, struct span line,
                     struct tally *tally)
{
    struct test_case test;
    struct verdict verdict = {.want = BUF_INIT};
    struct err err = {0};

    if (case_read(line, &test, &err)) {
        print_failure(file, number, test.text[CASE_id], SPAN("a case"), span_of(err.text));
        tally->failed++;
    } else {
        case_run(&test, folder, &verdict);
        if (!verdict.passed)
            print_failure(file, number, test.text[CASE_id], buf_view(&verdict.want), buf_view(&verdict.got));
        miss(tally, buf_view(&verdict.missing));
        *(verdict.passed ? &tally->passed : &tally->failed) += 1;
        verdict_done(&verdict);
    }
    case_done(&test);
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (!strchr(" \t\r\n", line.data[i]))
            return false;
    return true;
}

static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    if (!slash)
        return strdup(".");
    return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

/* False, said on standard error, when the file cannot be read. */
static bool run_file(const char *file, struct tally *tally)
{
    bool is_stdin = strcmp(file, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(file, "r");
    AUTO(free_drop) char *folder = folder_of(file);
    AUTO(free_drop) char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t size;

    if (!in || !folder) {
        (void)fprintf(stderr, "topicrule test: %s: %s\n", file, strerror(errno));
        if (in && !is_stdin)
            (void)fclose(in);
        return false;
    }
    errno = 0;
    while ((size = getline(&line, &room, in)) >= 0) {
        struct span text = {line, (size_t)size};

        number++;
        if (!is_blank(text))
            run_line(file, folder, number, text, tally);
        errno = 0;
    }
    int error = ferror(in) ? errno : 0;
    if (!is_stdin)
        (void)fclose(in);
    if (error)
        (void)fprintf(stderr, "topicrule test: %s: %s\n", file, strerror(error));
    return error == 0;
}

int cmd_test(int argc, char **argv)
{
    struct tally tally = {0};
    bool unread = false;
    struct options options = options_begin(&usage, argc, argv);

    while (options_next(&options))
        continue;
    if (options.ended)
        return options.status;
    if (options.rest == argc)
        return usage_error(&usage, "which file?");
    for (int i = options.rest; i < argc; i++)
        unread |= !run_file(argv[i], &tally);

    for (size_t i = 0; i < tally.missing_count; i++)
        (void)printf("%zu %s: %s\n", tally.missing[i].count, tally.missing[i].count == 1 ? "case" : "cases",
                     tally.missing[i].text);
    (void)printf("%zu passed, %zu failed\n", tally.passed, tally.failed);
    return unread ? STATUS_BAD : tally.failed ? STATUS_NOT : STATUS_FINE;
}
