/* tools/options.h - command-line options from one table: parsing, refusal with the nearest known, --help.
 *
 *     enum { OPT_CONFIG, OPT_KEEP };
 *     static const struct option_row rows[] = {
 *         [OPT_CONFIG] = {"config", 'c', "FILE", "the configuration"},
 *         [OPT_KEEP] = {"keep", 0, NULL, "stay until Ctrl-C"},
 *         {0},
 *     };
 *     struct options options = options_begin(&usage, argc, argv);
 *     while (options_next(&options))
 *         switch (options.row) {
 *         case OPT_CONFIG: file = options.value; break;
 *         case OPT_KEEP: keep = true; break;
 *         }
 *     if (options.ended)
 *         return options.status;             after --help, or a word that is not known
 *     for (int i = options.rest; i < argc; i++) ...                      what is no option
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct option_row {
    const char *name;     /* long name without dashes; NULL ends the table */
    char letter;          /* short name, or 0 */
    const char *argument; /* what --help calls the value; NULL: the option takes none */
    const char *help;     /* lines of 55 characters at most, '\n' between them */
};

struct usage {
    const char *command;           /* "eval" */
    const char *synopsis;          /* what follows the command's name; lines indent themselves */
    const char *text;              /* what it does, for --help; ends with a newline */
    const struct option_row *rows; /* ended by a NULL name; may be empty */
    bool words;                    /* words that are no options are welcome */
};

struct options {
    const struct usage *usage;
    int argc;
    char **argv;
    int row;           /* index of the option just read */
    const char *value; /* its argument, or NULL */
    int rest;          /* after the last option: index of the first word that is none */
    bool ended;        /* the command has nothing left to do but return `status` */
    int status;
    void *longs; /* getopt's tables */
    char *shorts;
};

struct options options_begin(const struct usage *usage, int argc, char **argv);
/* The next option, in order; false when there is none left, or `ended` is set. Frees the tables then. */
bool options_next(struct options *options);

/* "topicrule eval: <sentence>" and where help is, on standard error. Returns STATUS_BAD. */
int usage_error(const struct usage *usage, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
