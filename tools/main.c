/* topicrule - rules from MQTT to Apache Kafka. A table of commands and a loop; each command is one file. */
#include "base/nearest.h"
#include "command.h"
#include "kafka/kafka.h"
#include "process.h"
#include "types.h"

#include <stdio.h>

const struct action_type *const action_types[] = {&kafka_action_type, NULL};

static const struct command commands[] = {
    {"run", cmd_run, "run the rules: the daemon, in the foreground"},
    {"reload", cmd_reload, "have the daemon that runs read configuration and rules anew"},
    {"status", cmd_status, "how the daemon that runs is doing"},
    {"secrets", cmd_secrets, "secrets that it knows: names, ages, users, never values"},
    {"check", cmd_check, "validate a configuration and rules"},
    {"doctor", cmd_doctor, "connect to everything, and say what works and why not"},
    {"eval", cmd_eval, "try a statement or a rule on one message"},
    {"test", cmd_test, "run rule tests: cases of message and expected result"},
    {"demo", cmd_demo, "see it run, with everything embedded"},
    {"dead", cmd_dead, "see, send again or drop what failed for good"},
    {"functions", cmd_functions, "list the functions of the SQL dialect"},
    {"version", cmd_version, "versions of the program and of its libraries"},
    {0},
};

static const char *command_name(const void *context, size_t index)
{
    (void)context;
    return commands[index].name;
}

static int help(FILE *out)
{
    (void)fputs("usage: topicrule COMMAND [OPTION]...\n\n"
                "Rules of AWS IoT Core, self-hosted: from MQTT through SQL to Apache Kafka.\n\n",
                out);
    for (const struct command *command = commands; command->name; command++)
        (void)fprintf(out, "  %-11s %s\n", command->name, command->help);
    (void)fputs("\n`topicrule COMMAND --help` explains one; `man topicrule` all of it.\n", out);
    return out == stdout ? STATUS_FINE : STATUS_BAD;
}

int main(int argc, char **argv)
{
    process_harden();
    if (argc < 2)
        return help(stderr);

    struct span word = span_of(argv[1]);
    char *asks_help[] = {argv[0], argc > 2 ? argv[2] : NULL, (char[]){"--help"}, NULL};
    if (span_is(word, "help") && argc > 2) { /* `topicrule help eval` is `topicrule eval --help` */
        argv = asks_help;
        argc = 3;
        word = span_of(argv[1]);
    }
    if (span_is(word, "--help") || span_is(word, "-h") || span_is(word, "help"))
        return process_finish(help(stdout));
    if (span_is(word, "--version") || span_is(word, "-V"))
        word = SPAN("version");
    for (const struct command *command = commands; command->name; command++)
        if (span_is(word, command->name))
            return process_finish(command->run(argc - 1, argv + 1));

    const char *near = nearest(word, command_name, NULL);
    (void)fprintf(stderr, "topicrule: unknown command '%s'", argv[1]);
    (void)fprintf(stderr, near ? "; did you mean '%s'?\n" : "\n", near);
    (void)fputs("try: topicrule --help\n", stderr);
    return STATUS_BAD;
}
