/* tools/command.h - a subcommand: a row of the table in main.c, a file cmd_NAME.c, a man page. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

/* The exit statuses of every command (docs/design.md, "The surface"). */
enum status {
    STATUS_FINE = 0, /* done; `eval`: the rule matched; `test`: none failed */
    STATUS_NOT = 1,  /* `eval`: no match; `test`: some failed; `doctor`: something does not work;
                      * `dead`: no such letter */
    STATUS_BAD = 2,  /* an error: wrong usage, a file that cannot be read, a rule that is refused */
    STATUS_AWAY = 3, /* `status`, `secrets`, `reload`: no daemon answers */
};

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; gives an exit status */
    const char *help;                  /* one line */
};

int cmd_run(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_secrets(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_dead(int argc, char **argv);
int cmd_functions(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
