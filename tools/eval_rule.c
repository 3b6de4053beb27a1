#include "eval_rule.h"

#include "command.h"
#include "engine/render.h"
#include "paint.h"
#include "record.h"
#include "trial.h"
#include "types.h"

static int failed(const struct err *err)
{
    paint_err(err, stderr);
    return STATUS_BAD;
}

/* The record of one action as a line. */
static int print_action(const struct rule_action *action, struct sql_scope *scope, struct span payload,
                        struct buf *line, struct err *err)
{
    struct action_record record;
    struct render_settings *settings;

    if (render_record(action, scope, payload, &record, err))
        return -1;
    if (action->type->inspect(&record, err) != ACTION_SENT)
        return -1;
    settings = render_settings_new(action, NULL, true, err);
    if (!settings)
        return -1;
    record_print(action->type, &record, &settings->settings, line);
    render_settings_free(settings);
    return line->failed ? err_memory(err) : 0;
}

static int print_actions(const struct rule *rule, struct sql_scope *scope, struct span payload)
{
    int status = STATUS_FINE;

    for (size_t i = 0; i < rule->action_count; i++) {
        const struct rule_action *action = &rule->actions[i];
        struct buf line = BUF_INIT;
        struct err err;

        if (!action->type) {
            (void)fprintf(stderr, "actions[%zu]: '%s' is skipped: there is no such action here\n", i,
                          action->type_name);
        } else if (print_action(action, scope, payload, &line, &err)) {
            err_prefix(&err, "actions[%zu].%s", i, action->type_name);
            err_in(&err, rule->file, NULL);
            status = failed(&err);
        } else {
            (void)printf("%s\n", line.data);
        }
        buf_done(&line);
    }
    return status;
}

static int try_rule(const struct rule *rule, struct sql_scope *scope, struct sql_message *message)
{
    struct span payload;
    struct err err;
    const char *topic = message->topic.data; /* argv's: terminated */

    if (rule->disabled)
        (void)fprintf(stderr, "note: the rule is disabled; the daemon would not run it\n");
    bool routed = trial_routes(rule->program, span_of(rule->name), message);
    sql_scope_begin(scope, message);
    if (!routed) {
        (void)fprintf(stderr, "no match: the topic filter does not take '%s'\n", topic);
        return STATUS_NOT;
    }
    switch (sql_run(rule->program, scope, &payload, &err)) {
    case SQL_MATCHED: return print_actions(rule, scope, payload);
    case SQL_FILTERED: (void)fprintf(stderr, "no match: WHERE is not true\n"); return STATUS_NOT;
    case SQL_FAILED: err_in(&err, rule->file, NULL); return failed(&err);
    }
    return STATUS_BAD;
}

int eval_rule(const char *file, bool explain, struct sql_scope *scope, struct sql_message *message)
{
    const struct rule_options options = {.types = action_types, .basic_ingest = true};
    struct report report = REPORT_INIT;
    struct rule *rule = rule_load(file, &options, &report);
    int status = STATUS_FINE;

    paint_errors(&report, stderr);
    report_done(&report);
    if (!rule)
        return STATUS_BAD;
    if (explain)
        trial_explain(rule->program);
    if (message)
        status = try_rule(rule, scope, message);
    rule_free(rule);
    return status;
}
