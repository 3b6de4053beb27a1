/* topicrule doctor: does what the configuration and the rules name work? Connects to all of it. */
#include "base/auto.h"
#include "command.h"
#include "doctor_secrets.h"
#include "engine/probe.h"
#include "engine/render.h"
#include "findings.h"
#include "load.h"
#include "options.h"
#include "paint.h"
#include "process.h"

#include <stdlib.h>
#include <string.h>

enum { OPT_CONFIG };
enum { WAIT_MS = 10000 };

static const struct option_row rows[] = {
    [OPT_CONFIG] = {"config", 'c', "FILE", "the configuration; default\n" CONFIG_FILE},
    {0},
};

static const struct usage usage = {
    .command = "doctor",
    .synopsis = "[-c FILE]",
    .text =
        "Connect to everything that the daemon would: each backend of secrets, each MQTT broker, each\n"
        "Kafka cluster and its KDC; and say of each step whether it works, or why not and what to do.\n"
        "Publishes, subscribes and produces nothing, and leaves the session of a running daemon alone.\n\n"
        "exit status: 0 all works (there may be warnings), 1 something does not,\n"
        "2 the configuration cannot be used\n",
    .rows = rows,
};

DEFINE_DROP(config, struct config *, config_free)
DEFINE_DROP(secrets, struct secrets *, secrets_free)
DEFINE_DROP(rule_set, struct rule_set *, rule_set_free)

/* ---- actions: rules with the same settings share a connection, and a section ---- */

enum { FIELDS_MOST = 32 }; /* of a kind of action */

struct target {
    const struct action_type *type;
    const char *rule; /* the first that has it */
    size_t more;      /* other actions that have it too */
    char *identity;
    struct render_settings *settings;
    const struct rule_action **actions; /* one for each stream; room for every action */
    size_t action_count;
};

struct targets {
    struct target *items;
    size_t count, room; /* room: one for each action of each rule */
};

/* What is the same for every message; data NULL: the field is not. */
static void constants_of(const struct rule_action *action, struct span constants[FIELDS_MOST])
{
    memset(constants, 0, FIELDS_MOST * sizeof *constants);
    for (size_t i = 0; action->type->fields[i].name && i < FIELDS_MOST; i++)
        if (action->fields[i])
            constants[i] = sql_template_constant(action->fields[i]);
}

/* The stream of the action's records; data NULL: messages decide. */
static struct span stream_of(const struct rule_action *action)
{
    struct span constants[FIELDS_MOST];
    struct action_value values[FIELDS_MOST];
    const struct action_record record = {.payload = SPAN(""), .fields = values};

    constants_of(action, constants);
    for (size_t i = 0; i < FIELDS_MOST; i++)
        values[i] = (struct action_value){.text = constants[i]};
    return action->type->stream(&record);
}

static void add_stream(struct target *target, const struct rule_action *action)
{
    for (size_t i = 0; i < target->action_count; i++)
        if (span_equal(stream_of(target->actions[i]), stream_of(action)))
            return;
    target->actions[target->action_count++] = action;
}

static struct target *target_of(struct targets *targets, const struct action_type *type, const char *identity)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].type == type && strcmp(targets->items[i].identity, identity) == 0)
            return &targets->items[i];
    return NULL;
}

static int add_action(struct targets *targets, const struct rule *rule, const struct rule_action *action,
                      struct secrets *secrets, struct err *err)
{
    struct render_settings *settings = render_settings_new(action, secrets, false, err);
    struct buf identity = BUF_INIT;

    if (!settings || action->type->identity(&settings->settings, &identity, err) != 0) {
        render_settings_free(settings);
        buf_done(&identity);
        return -1;
    }
    struct target *target = target_of(targets, action->type, identity.data ? identity.data : "");
    if (target) {
        target->more++;
        render_settings_free(settings);
    } else {
        target = &targets->items[targets->count];
        *target = (struct target){.type = action->type, .rule = rule->name, .settings = settings};
        targets->count++;
        target->identity = strdup(identity.data ? identity.data : "");
        target->actions = calloc(targets->room, sizeof *target->actions);
    }
    buf_done(&identity);
    if (!target->identity || !target->actions)
        return err_memory(err);
    add_stream(target, action);
    return 0;
}

static void add_rule(struct targets *targets, const struct rule *rule, struct secrets *secrets,
                     struct findings *findings)
{
    const struct health_report report = findings_report(findings);
    const size_t missing = doctor_rule_secrets(secrets, rule, &report);

    for (size_t i = 0; i <= rule->action_count; i++) {
        const struct rule_action *action = i < rule->action_count ? &rule->actions[i] : rule->error_action;
        struct err err = {0};
        char text[1200];

        if (!action || !action->type || !action->type->examine ||
            add_action(targets, rule, action, secrets, &err) == 0 || (err.code == ERR_SECRET && missing > 0))
            continue;
        err.mark[0] = '\0';
        (void)err_print(&err, text, sizeof text);
        health_tell(&report, HEALTH_BROKEN, rule->name, "%s", text);
    }
}

struct examining {
    const struct health_report *report;
    struct findings *findings;
};

static void on_step(void *context, const struct action_step *step)
{
    static const enum health health[] = {[ACTION_GOOD] = HEALTH_FINE,
                                         [ACTION_DOUBT] = HEALTH_DOUBT,
                                         [ACTION_BAD] = HEALTH_BROKEN,
                                         [ACTION_SKIPPED] = HEALTH_UNSEEN};
    const struct examining *examining = context;
    char what[400];

    (void)snprintf(what, sizeof what, step->whom[0] ? "%s %s" : "%s", step->what, step->whom);
    if (step->finding == ACTION_BEGUN)
        findings_progress(examining->findings, what);
    else
        health_tell(examining->report, health[step->finding], what, "%s", step->text);
}

/* Everything that shares the connection in one look. */
static int look_at_target(const struct target *target, struct findings *findings)
{
    const struct health_report report = findings_report(findings);
    struct examining examining = {&report, findings};
    struct span(*constants)[FIELDS_MOST] = calloc(target->action_count, sizeof *constants);
    const struct span **lines = calloc(target->action_count, sizeof *lines);
    const bool room = constants && lines;

    for (size_t i = 0; room && i < target->action_count; i++) {
        constants_of(target->actions[i], constants[i]);
        lines[i] = constants[i];
    }
    if (room)
        target->type->examine(lines, target->action_count, &target->settings->settings, on_step, &examining);
    free(lines);
    free(constants);
    return room ? 0 : -1;
}

static void look_at_targets(const struct targets *targets, struct findings *findings)
{
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];

        if (target->more)
            findings_begin(findings, "%s of rule %s and %zu more", target->type->name, target->rule,
                           target->more);
        else
            findings_begin(findings, "%s of rule %s", target->type->name, target->rule);
        findings->failed |= look_at_target(target, findings) != 0;
        findings_end(findings);
    }
}

static void targets_done(struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        render_settings_free(targets->items[i].settings);
        free(targets->items[i].identity);
        free(targets->items[i].actions);
    }
    free(targets->items);
}

static int look_at_rules(const struct rule_set *set, struct secrets *secrets, struct findings *findings,
                         struct err *err)
{
    AUTO(targets_done) struct targets targets = {.room = 1};

    for (size_t i = 0; i < set->count; i++)
        targets.room += set->rules[i]->action_count + 1;
    targets.items = calloc(targets.room, sizeof *targets.items);
    if (!targets.items)
        return err_memory(err);
    findings_begin(findings, "rules");
    for (size_t i = 0; i < set->count; i++)
        if (!set->rules[i]->disabled)
            add_rule(&targets, set->rules[i], secrets, findings);
    findings_end(findings);
    look_at_targets(&targets, findings);
    return 0;
}

/* ---- the command ---- */

static int give_up(const struct err *err)
{
    paint_err(err, stderr);
    return STATUS_BAD;
}

static int look(const struct config *config, struct findings *findings)
{
    AUTO(secrets_drop) struct secrets *secrets = NULL;
    AUTO(report_done) struct report refusals = REPORT_INIT;
    struct err err = {0};

    if (load_secrets(config, &secrets, &err) != 0) {
        err_in(&err, config->file, NULL);
        return give_up(&err);
    }
    AUTO(rule_set_drop) struct rule_set *set = load_rules(config->rules_path, config, true, &refusals);
    paint_errors(&refusals, stderr);
    if (!set)
        return STATUS_BAD;

    const struct health_report report = findings_report(findings);
    findings_begin(findings, "secrets");
    doctor_backends(secrets, &report);
    findings_end(findings);
    findings_begin(findings, "mqtt");
    engine_probe(config, secrets, WAIT_MS, &report);
    findings_end(findings);
    if (refusals.errors > 0) {
        findings_begin(findings, "rules");
        health_tell(&report, HEALTH_BROKEN, config->rules_path,
                    "rules are refused, and not looked at; `topicrule check` says more");
        findings_end(findings);
    }
    if (look_at_rules(set, secrets, findings, &err) != 0)
        return give_up(&err);
    if (findings->failed)
        return give_up((err_memory(&err), &err));
    return findings->total[HEALTH_BROKEN] ? STATUS_NOT : STATUS_FINE;
}

int cmd_doctor(int argc, char **argv)
{
    const char *file = CONFIG_FILE;
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(config_drop) struct config *config = NULL;
    struct findings findings = {0};
    struct err err = {0};
    struct options options = options_begin(&usage, argc, argv);

    while (options_next(&options))
        file = options.value; /* the only option */
    if (options.ended)
        return options.status;
    if (process_init(&err) != 0)
        return give_up(&err);
    config = config_load(file, &report);
    paint_report(&report, stderr);
    if (!config)
        return STATUS_BAD;
    int status = look(config, &findings);
    if (status != STATUS_BAD)
        (void)printf("%zu ok, %zu %s, %zu failed\n", findings.total[HEALTH_FINE],
                     findings.total[HEALTH_DOUBT], findings.total[HEALTH_DOUBT] == 1 ? "warning" : "warnings",
                     findings.total[HEALTH_BROKEN]);
    findings_done(&findings);
    return status;
}
