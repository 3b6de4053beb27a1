/* What the demo publishes, and what should come of it. */
#include "base/auto.h"
#include "demo.h"
#include "engine/render.h"
#include "load.h"
#include "trial.h"

const struct demo_sample demo_samples[] = {
    {"plant/7/temp", "{\"temp\":61.5,\"unit\":\"C\"}"},
    {"plant/8/temp", "{\"temp\":21}"},
    {"fleet/truck-3/status", "{\"site\":\"oslo\",\"battery\":12,\"faults\":[]}"},
    {"fleet/truck-4/status", "{\"site\":\"oslo\",\"battery\":88,\"faults\":[]}"},
    {"plant/7/temp", "{\"temp\":49.9999999999999999999}"},
    {"fleet/truck-9/status",
     "{\"site\":\"lima\",\"battery\":71,\"faults\":[{\"code\":17,\"level\":\"high\"}]}"},
    {"fleet/truck-1/status", "{\"site\":\"a/b\",\"battery\":3,\"faults\":[]}"},
    {0},
};

DEFINE_DROP(rule_set, struct rule_set *, rule_set_free)
DEFINE_DROP(scope, struct sql_scope *, sql_scope_free)

static size_t records_of(const struct rule *rule, struct sql_scope *scope, struct sql_message message)
{
    struct action_record record;
    struct span payload;
    struct err err;
    size_t count = 0, failed = 0;

    if (!trial_routes(rule->program, span_of(rule->name), &message))
        return 0;
    sql_scope_begin(scope, &message);
    if (sql_run(rule->program, scope, &payload, &err) != SQL_MATCHED)
        return 0;
    for (size_t i = 0; i < rule->action_count; i++) {
        const struct rule_action *action = &rule->actions[i];
        bool fine = action->type && render_record(action, scope, payload, &record, &err) == 0 &&
                    action->type->inspect(&record, &err) == ACTION_SENT;

        *(fine ? &count : &failed) += 1;
    }
    return count + (failed > 0 && rule->error_action); /* one error message for all that failed */
}

int demo_expect(const char *rules, size_t *count, struct err *err)
{
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(rule_set_drop) struct rule_set *set = load_rules(rules, NULL, true, &report);
    AUTO(scope_drop) struct sql_scope *scope = NULL;
    struct trial trial;

    if (!set || report.errors) {
        *err = report.count ? report.findings[0].err : (struct err){.text = "the example rules are refused"};
        return -1;
    }
    trial_init(&trial);
    scope = sql_scope_new(&trial.host, SQL_LIMITS_DEFAULT, err);
    *count = 0;
    for (const struct demo_sample *sample = demo_samples; scope && sample->topic; sample++)
        for (size_t i = 0; i < set->count; i++)
            *count += records_of(set->rules[i], scope,
                                 (struct sql_message){.topic = span_of(sample->topic),
                                                      .payload = span_of(sample->payload),
                                                      .payload_format = -1});
    trial_done(&trial);
    return scope ? 0 : -1;
}
