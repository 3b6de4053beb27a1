/* The part of a case that names a whole rule: loading it, and the records that its actions produce. */
#include "case_run.h"
#include "engine/render.h"
#include "record.h"
#include "types.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct rule *case_rule(const struct test_case *test, const char *folder, struct err *err)
{
    const struct rule_options options = {.types = action_types, .basic_ingest = true};
    struct span name = test->text[CASE_rule];
    struct report report = REPORT_INIT;
    char *path = NULL;

    int size = name.size > 0 && name.data[0] == '/' ? asprintf(&path, SPAN_FMT, SPAN_ARG(name))
                                                    : asprintf(&path, "%s/" SPAN_FMT, folder, SPAN_ARG(name));
    if (size < 0) {
        (void)err_memory(err);
        return NULL;
    }
    struct rule *rule = NULL;
    if (access(path, R_OK) != 0) {
        (void)err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (!(rule = rule_load(path, &options, &report))) {
        (void)err_set(err, ERR_VALUE, "%s: the rule is refused", path);
        for (size_t i = report.count; i-- > 0;)
            if (report.findings[i].severity == SEVERITY_ERROR)
                *err = report.findings[i].err; /* the first one */
    }
    report_done(&report);
    free(path);
    return rule;
}

static int render(const struct rule_action *action, struct sql_scope *scope, struct span payload,
                  struct action_record *record, struct err *err)
{
    if (render_record(action, scope, payload, record, err))
        return -1;
    return action->type->inspect(record, err) == ACTION_SENT ? 0 : -1;
}

static bool differ(const struct rule_action *action, const struct action_record *record,
                   const struct sql_json *want, struct verdict *verdict)
{
    buf_span(&verdict->want, want->text);
    record_print(action->type, record, NULL, &verdict->got);
    return false;
}

static bool trouble(const struct sql_json *want, const struct rule_action *action, size_t index,
                    const struct err *err, struct verdict *verdict)
{
    buf_span(&verdict->want, want->text);
    buf_format(&verdict->got, "actions[%zu].%s: %s", index, action->type_name, err->text);
    return false;
}

bool compare_records(const struct test_case *test, const struct rule *rule, struct sql_scope *scope,
                     struct span payload, struct verdict *verdict)
{
    const struct sql_json *list = &test->json[CASE_expectRecords];
    struct sql_json_walk walk = sql_json_walk(list);
    struct sql_json want = {.text = SPAN("no further record")};

    for (size_t i = 0; i < rule->action_count; i++) {
        const struct rule_action *action = &rule->actions[i];
        struct action_record record;
        struct err err;

        if (!action->type)
            continue;
        bool wanted = sql_json_next(&walk, NULL, &want);
        if (!wanted)
            want.text = SPAN("no further record");
        if (render(action, scope, payload, &record, &err))
            return trouble(&want, action, i, &err, verdict);
        int result = wanted ? record_matches(action->type, &record, &want, &err) : 0;
        if (result < 0)
            return trouble(&want, action, i, &err, verdict);
        if (result == 0)
            return differ(action, &record, &want, verdict);
    }
    if (!sql_json_next(&walk, NULL, &want))
        return true;
    buf_span(&verdict->want, want.text);
    buf_text(&verdict->got, "no further record: the rule has no more actions");
    return false;
}
