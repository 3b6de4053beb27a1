#include "options.h"

#include "base/nearest.h"
#include "command.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HELP = -2, MISSING = ':', UNKNOWN = '?', NAME_COLUMN = 27 };

static const char *row_name(const void *context, size_t index)
{
    const struct option_row *rows = context;

    return rows[index].name ? rows[index].name : NULL;
}

static size_t row_count(const struct usage *usage)
{
    size_t count = 0;

    while (usage->rows && usage->rows[count].name)
        count++;
    return count;
}

int usage_error(const struct usage *usage, const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "topicrule %s: ", usage->command);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "\ntry: topicrule %s --help\n", usage->command);
    return STATUS_BAD;
}

static void print_row(const struct option_row *row)
{
    char names[80];
    int used = row->letter ? snprintf(names, sizeof names, "  -%c, --%s", row->letter, row->name)
                           : snprintf(names, sizeof names, "      --%s", row->name);

    if (row->argument && used > 0 && (size_t)used < sizeof names)
        (void)snprintf(names + used, sizeof names - (size_t)used, " %s", row->argument);
    (void)printf("%-*s", NAME_COLUMN, names);
    if (strlen(names) >= NAME_COLUMN)
        (void)printf("\n%*s", NAME_COLUMN, "");
    for (const char *c = row->help; *c; c++) {
        (void)putchar(*c);
        if (*c == '\n')
            (void)printf("%*s", NAME_COLUMN, "");
    }
    (void)putchar('\n');
}

static void print_help(const struct usage *usage)
{
    (void)printf("usage: topicrule %s %s\n\n%s\n", usage->command, usage->synopsis, usage->text);
    for (size_t i = 0; usage->rows && usage->rows[i].name; i++)
        print_row(&usage->rows[i]);
    print_row(&(struct option_row){"help", 'h', NULL, "this text"});
    (void)printf("\nmanual: man topicrule-%s\n", usage->command);
}

struct options options_begin(const struct usage *usage, int argc, char **argv)
{
    struct options options = {.usage = usage, .argc = argc, .argv = argv, .rest = argc};
    size_t count = row_count(usage), letters = 0;
    struct option *longs = calloc(count + 2, sizeof *longs);
    char *shorts = calloc(count * 2 + 4, 1);

    optind = 0; /* GNU: start over, with new tables */
    opterr = 0;
    if (!longs || !shorts) {
        free(longs);
        free(shorts);
        options.ended = true;
        options.status = usage_error(usage, "out of memory");
        return options;
    }
    shorts[letters++] = ':'; /* a missing argument is told apart from an unknown option */
    for (size_t i = 0; i < count; i++) {
        const struct option_row *row = &usage->rows[i];

        longs[i] = (struct option){row->name, row->argument ? required_argument : no_argument, NULL, 0};
        if (row->letter)
            shorts[letters++] = row->letter;
        if (row->letter && row->argument)
            shorts[letters++] = ':';
    }
    longs[count] = (struct option){"help", no_argument, NULL, 0};
    shorts[letters] = 'h';
    options.longs = longs;
    options.shorts = shorts;
    return options;
}

static bool stop(struct options *options, int status)
{
    free(options->longs);
    free(options->shorts);
    options->longs = NULL;
    options->shorts = NULL;
    options->ended = true;
    options->status = status;
    return false;
}

/* The word that getopt could not read, without dashes and value. */
static bool refuse(struct options *options, const char *word)
{
    const char *equals = strchr(word, '=');
    struct span name = {word, equals ? (size_t)(equals - word) : strlen(word)};

    while (name.size > 0 && *name.data == '-') {
        name.data++;
        name.size--;
    }
    const char *near = nearest(name, row_name, options->usage->rows);
    if (!near && span_starts_with(name, "h") && name.size < 5)
        near = "help";
    if (near)
        return stop(options,
                    usage_error(options->usage, "unknown option '%s'; did you mean '--%s'?", word, near));
    return stop(options, usage_error(options->usage, "unknown option '%s'", word));
}

static int row_of_letter(const struct options *options, int letter)
{
    for (size_t i = 0; i < row_count(options->usage); i++)
        if (options->usage->rows[i].letter == letter)
            return (int)i;
    return HELP;
}

bool options_next(struct options *options)
{
    int index = 0;

    if (options->ended)
        return false;
    int got = getopt_long(options->argc, options->argv, options->shorts, options->longs, &index);
    if (got == -1) {
        (void)stop(options, STATUS_FINE);
        options->ended = false;
        options->rest = optind;
        if (optind < options->argc && !options->usage->words) {
            options->ended = true;
            options->status = usage_error(options->usage, "'%s' is not expected here", options->argv[optind]);
        }
        return false;
    }
    if (got == UNKNOWN && optopt && isprint(optopt)) {
        char word[3] = {'-', (char)optopt, '\0'};

        return refuse(options, word);
    }
    if (got == UNKNOWN)
        return refuse(options, options->argv[optind - 1]);
    if (got == MISSING)
        return stop(options, usage_error(options->usage, "%s needs a value", options->argv[optind - 1]));

    int row = got == 0 ? index : row_of_letter(options, got);
    if (row == HELP || (size_t)row == row_count(options->usage)) {
        print_help(options->usage);
        return stop(options, STATUS_FINE);
    }
    options->row = row;
    options->value = optarg;
    return true;
}
