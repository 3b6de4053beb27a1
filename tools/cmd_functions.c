/* topicrule functions: the function table of the SQL dialect. */
#include "command.h"
#include "options.h"
#include "paint.h"
#include "sql/sql.h"

static const struct option_row rows[] = {{0}};
static const struct usage usage = {
    .command = "functions",
    .synopsis = "",
    .text = "List the functions of the SQL dialect: name, number of arguments, first SQL version,\n"
            "what it does. Tab-separated when the output is no terminal.\n",
    .rows = rows,
};

static void arguments(const struct sql_function_info *info, char *out, size_t room)
{
    if (info->most < 0)
        (void)snprintf(out, room, "%d+", info->least);
    else if (info->most == info->least)
        (void)snprintf(out, room, "%d", info->least);
    else
        (void)snprintf(out, room, "%d-%d", info->least, info->most);
}

int cmd_functions(int argc, char **argv)
{
    struct sql_function_info info;
    struct options options = options_begin(&usage, argc, argv);
    bool people = paint_terminal(stdout);

    while (options_next(&options))
        continue;
    if (options.ended)
        return options.status;
    if (people)
        (void)printf("%s%-24s %-5s %-10s %s%s\n", paint_on(stdout, PAINT_BOLD), "name", "args", "since", "",
                     paint_off(stdout));
    for (size_t i = 0; sql_function_at(i, &info); i++) {
        char args[16];
        enum paint paint = info.refused ? PAINT_DIM : PAINT_CYAN;
        const char *since = info.refused ? "refused" : info.v2_only ? "2016-03-23" : "2015-10-08";

        arguments(&info, args, sizeof args);
        if (people)
            (void)printf("%s%-24s%s %-5s %-10s %s\n", paint_on(stdout, paint), info.name, paint_off(stdout),
                         args, since, info.help);
        else
            (void)printf("%s\t%s\t%s\t%s\n", info.name, args, since, info.help);
    }
    return STATUS_FINE;
}
