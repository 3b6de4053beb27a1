/* topicrule check: are configuration and rules right? Contacts nothing. */
#include "base/auto.h"
#include "command.h"
#include "load.h"
#include "options.h"
#include "paint.h"

enum { OPT_CONFIG };

static const struct option_row rows[] = {
    [OPT_CONFIG] = {"config", 'c', "FILE", "the configuration; without FILE and PATH\n" CONFIG_FILE},
    {0},
};

static const struct usage usage = {
    .command = "check",
    .synopsis = "[-c FILE] [PATH...]",
    .text = "Validate a configuration and rules. Contacts nothing and changes nothing.\n"
            "PATH is a rule document or a folder of them; without one the configuration's rules are\n"
            "checked. Rules that need what this version cannot run yet are warned of: run refuses them.\n\n"
            "exit status: 0 all is fine (there may be warnings), 2 something is not\n",
    .rows = rows,
    .words = true,
};

static void print_rule(const struct rule *rule)
{
    struct span filter = rule->filter.data ? rule->filter : SPAN("(Basic Ingest)");

    (void)printf("%s: %s%s%s, %zu %s, topic " SPAN_FMT "\n", rule->name,
                 paint_on(stdout, rule->disabled ? PAINT_YELLOW : PAINT_GREEN),
                 rule->disabled ? "ok, disabled" : "ok", paint_off(stdout), rule->action_count,
                 rule->action_count == 1 ? "action" : "actions", SPAN_ARG(filter));
}

/* What the rules are checked against. */
struct surroundings {
    const struct config *config; /* NULL: none is given */
    struct secrets *secrets;     /* NULL: there are no backends */
    bool knows_secrets;          /* false: nobody can say where a secret leads */
};

/* "ok" is said of a rule whose secrets lead somewhere. */
static void check_rules(const struct rule_set *set, const struct surroundings *around, struct report *report)
{
    for (size_t i = 0; i < set->count; i++) {
        const size_t errors = report->errors;

        if (around->knows_secrets)
            load_check_rule_secrets(set->rules[i], around->secrets, report);
        if (report->errors == errors)
            print_rule(set->rules[i]);
    }
}

static void check_path(const char *path, const struct surroundings *around, struct report *report)
{
    struct rule_set *set = load_rules(path, around->config, false, report);

    if (!set)
        return;
    if (set->count > 0 && load_runnable(set) == 0 && around->config)
        report_warn(report, path, NULL, (struct pos){0, 0},
                    "every rule here is disabled: there is nothing to run");
    check_rules(set, around, report);
    rule_set_free(set);
}

static void check_secrets(struct surroundings *around, struct report *report)
{
    struct err err;

    if (load_secrets(around->config, &around->secrets, &err)) {
        err_in(&err, around->config->file, NULL);
        report_add(report, SEVERITY_ERROR, &err);
        return;
    }
    around->knows_secrets = true;
    load_check_config_secrets(around->config, around->secrets, report);
}

static void check(const char *file, char **paths, struct report *report)
{
    struct config *config = NULL;
    struct surroundings around = {0};

    if (file) {
        config = config_load(file, report);
        if (!config && !*paths)
            return;
        around.config = config;
        if (config) {
            load_check_files(config, report);
            check_secrets(&around, report);
        }
    }
    if (config && !*paths && config->rules_path)
        check_path(config->rules_path, &around, report);
    for (; *paths; paths++)
        check_path(*paths, &around, report);
    secrets_free(around.secrets);
    config_free(config);
}

int cmd_check(int argc, char **argv)
{
    const char *file = NULL;
    AUTO(report_done) struct report report = REPORT_INIT;
    struct options options = options_begin(&usage, argc, argv);

    while (options_next(&options))
        file = options.value; /* the only option */
    if (options.ended)
        return options.status;
    if (!file && options.rest == argc)
        file = CONFIG_FILE;
    check(file, argv + options.rest, &report);
    (void)fflush(stdout);
    paint_report(&report, stderr);
    return report.errors ? STATUS_BAD : STATUS_FINE;
}
