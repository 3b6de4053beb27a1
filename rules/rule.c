/* rule.c - a document -> a rule: what AWS's CreateTopicRule takes, GetTopicRule prints, or the payload alone.
 */
#include "rules/rule.h"

#include "reader.h"
#include "rule_set.h"

#include "base/auto.h"

enum { ACTIONS_MAX = 10, NAME_MAX_SIZE = 128 }; /* AWS's limits */

/* A rule and what only we know of it. */
struct rule_box {
    struct rule rule; /* first: a rule is its box */
    struct shared_settings *shared;
};

DEFINE_DROP(rule, struct rule *, rule_free)
DEFINE_DROP(shared, struct shared_settings *, shared_settings_free)

/* ---- the name ---- */

/* The file's name without folder and ending. */
static struct span name_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct span name = span_of(slash ? slash + 1 : file);
    const char *dot = strrchr(name.data, '.');

    if (dot && dot != name.data &&
        (!strcasecmp(dot, ".json") || !strcasecmp(dot, ".yaml") || !strcasecmp(dot, ".yml")))
        name.size = (size_t)(dot - name.data);
    return name;
}

/* AWS allows letters, digits and the underscore. A hyphen and a dot do no harm in topics, metrics and logs.
 */
static bool is_rule_name(struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-' || (c == '.' && i > 0)))
            return false;
    }
    return name.size > 0 && name.size <= NAME_MAX_SIZE;
}

static bool read_name(struct reader *reader, struct rule *rule)
{
    struct span name = name_of(reader->file);

    if (!is_rule_name(name)) {
        report_error(reader->report, reader->file, NULL, (struct pos){0, 0},
                     "the file's name is the rule's name, and \"" SPAN_FMT
                     "\" cannot be one: 1 to %d letters, digits, "
                     "'_', '-' and '.'",
                     SPAN_ARG(name), NAME_MAX_SIZE);
        return false;
    }
    rule->name = reader_copy(reader, name);
    rule->file = reader_copy(reader, span_of(reader->file));
    return rule->name && rule->file;
}

static void check_rule_name(struct reader *reader, const struct rule *rule, const struct doc_node *map)
{
    const struct doc_node *name = doc_get(map, "ruleName");

    if (name && reader_expect(reader, name, DOC_STRING) && !span_is(name->text, rule->name))
        reader_warn(reader, name, "no effect: a rule is named after its file, so this one is \"%s\"",
                    rule->name);
}

/* ---- the frame ---- */

static bool refuse_template_language(struct reader *reader)
{
    static const char *const keys[] = {"Resources", "TopicRulePayload", "AWSTemplateFormatVersion"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct doc_node *found = doc_get(reader->doc.root, keys[i]);

        if (!found)
            continue;
        reader_key_error(
            reader, found, ERR_UNSUPPORTED,
            "this is a CloudFormation template: `aws iot get-topic-rule --rule-name NAME` prints the rule "
            "in the form that is read here");
        return true;
    }
    return false;
}

/* Take off what stands around the payload. False: reported. */
static bool unwrap(struct reader *reader, const struct rule *rule, bool *from_aws)
{
    static const char *const create[] = {"topicRulePayload", "ruleName", "tags", NULL};
    static const char *const got[] = {"rule", "ruleArn", NULL};
    struct doc_node *root = reader->doc.root, *inner = NULL;

    *from_aws = false;
    if (!reader_expect(reader, root, DOC_MAP) || refuse_template_language(reader))
        return false;
    if ((inner = doc_get(root, "topicRulePayload"))) {
        reader_check_keys(reader, root, create);
        check_rule_name(reader, rule, root);
    } else if (!doc_get(root, "sql") && (inner = doc_get(root, "rule"))) {
        reader_check_keys(reader, root, got);
        *from_aws = true;
    }
    if (!inner)
        return true;
    if (!reader_expect(reader, inner, DOC_MAP))
        return false;
    if (*from_aws)
        check_rule_name(reader, rule, inner);
    reader->doc.root = inner;
    return true;
}

/* ---- the payload ---- */

static void read_version(struct reader *reader)
{
    const struct doc_node *node = doc_get(reader->doc.root, "awsIotSqlVersion");

    reader->version = SQL_2015_10_08; /* what AWS takes for a rule that names none */
    if (node && reader_expect(reader, node, DOC_STRING) && !sql_version_parse(node->text, &reader->version))
        reader_error(reader, node, ERR_VALUE,
                     "unknown SQL version: expected \"2016-03-23\" or \"2015-10-08\"");
}

static void read_sql(struct reader *reader, struct rule *rule)
{
    const struct doc_node *node = doc_get(reader->doc.root, "sql");
    struct report warnings = REPORT_INIT;
    struct err err = {0};

    if (!node) {
        reader_error(
            reader, reader->doc.root, ERR_VALUE,
            "lacks \"sql\": a rule needs its statement, as in \"sql\": \"SELECT * FROM 'plant/+/temp'\"");
        return;
    }
    if (!reader_expect(reader, node, DOC_STRING))
        return;
    rule->program = sql_compile(node->text, reader->version, &warnings, &err);
    reader->program = rule->program;
    for (size_t i = 0; i < warnings.count; i++)
        reader_inside(reader, node, warnings.findings[i].severity, &warnings.findings[i].err);
    report_done(&warnings);
    if (!rule->program) {
        reader_inside(reader, node, SEVERITY_ERROR, &err);
        return;
    }
    rule->filter = sql_program_filter(rule->program);
    if (span_starts_with(rule->filter, "$share/"))
        reader_error(reader, node, ERR_VALUE,
                     "'" SPAN_FMT "' is a shared subscription, and a rule hears a topic filter: leave "
                     "$share/GROUP/ out",
                     SPAN_ARG(rule->filter));
    if (rule->filter.data || reader->options->basic_ingest)
        return;
    if (reader->options->release)
        reader_error(
            reader, node, ERR_VALUE,
            "without FROM a rule hears only $aws/rules/%s/...: add FROM, or set mqtt.basic_ingest: true",
            rule->name);
    else
        reader_warn(reader, node,
                    "without FROM a rule hears only $aws/rules/%s/..., and that with mqtt.basic_ingest: true",
                    rule->name);
}

static void read_actions(struct reader *reader, struct rule *rule)
{
    const struct doc_node *list = doc_get(reader->doc.root, "actions");

    if (!list) {
        reader_error(reader, reader->doc.root, ERR_VALUE, "lacks \"actions\": a rule needs at least one");
        return;
    }
    if (!reader_expect(reader, list, DOC_LIST))
        return;
    if (list->count == 0)
        reader_warn(reader, list,
                    "the list of actions is empty: the rule does nothing"); /* AWS takes 0 to 10 */
    if (list->count > ACTIONS_MAX)
        reader_error(reader, list, ERR_LIMIT, "%zu actions: a rule has at most %d", list->count, ACTIONS_MAX);
    if (list->count == 0 || list->count > ACTIONS_MAX)
        return;
    rule->actions = calloc(list->count, sizeof *rule->actions);
    if (!rule->actions) {
        reader_memory(reader);
        return;
    }
    for (const struct doc_node *entry = list->first; entry; entry = entry->next, rule->action_count++)
        reader->failed |= !rule_action_read(reader, entry, entry->index, &rule->actions[rule->action_count]);
}

static void read_error_action(struct reader *reader, struct rule *rule)
{
    const struct doc_node *node = doc_get(reader->doc.root, "errorAction");

    if (!node)
        return;
    rule->error_action = calloc(1, sizeof *rule->error_action);
    if (!rule->error_action) {
        reader_memory(reader);
        return;
    }
    reader->failed |= !rule_action_read(reader, node, SIZE_MAX, rule->error_action);
    if (!rule->error_action->type) { /* one of AWS's others: there is none here */
        rule_action_done(rule->error_action);
        free(rule->error_action);
        rule->error_action = NULL;
    }
}

static void read_payload(struct reader *reader, struct rule *rule, bool from_aws)
{
    static const char *const given[] = {
        "sql", "description", "awsIotSqlVersion", "ruleDisabled", "actions", "errorAction", NULL};
    static const char *const printed[] = {"sql",          "description", "awsIotSqlVersion",
                                          "ruleDisabled", "actions",     "errorAction",
                                          "ruleName",     "createdAt",   NULL};
    const struct doc_node *disabled = doc_get(reader->doc.root, "ruleDisabled");
    const struct doc_node *description = doc_get(reader->doc.root, "description");

    reader_check_keys(reader, reader->doc.root, from_aws ? printed : given);
    read_version(reader);
    read_sql(reader, rule);
    if (description && reader_expect(reader, description, DOC_STRING))
        rule->description = reader_copy(reader, description->text);
    if (disabled && reader_expect(reader, disabled, DOC_BOOL))
        rule->disabled = disabled->on;
    read_actions(reader, rule);
    read_error_action(reader, rule);
}

struct rule *rule_read_shared(struct span text, const char *file, const struct rule_options *options,
                              struct shared_settings *shared, struct report *report)
{
    AUTO(rule_drop) struct rule *rule = NULL;
    struct reader reader = {.file = file, .options = options, .shared = shared, .report = report};
    struct rule_box *box = calloc(1, sizeof *box);
    size_t errors = report->errors;
    struct err err = {0};
    bool from_aws;

    if (!box) {
        reader_memory(&reader);
        return NULL;
    }
    rule = &box->rule;
    box->shared = shared_settings_ref(shared);
    if (read_name(&reader, rule)) {
        if (doc_read(&reader.doc, text, doc_format_of(file, text), &err) != 0) {
            err_in(&err, file, NULL);
            report_add(report, SEVERITY_ERROR, &err);
        } else if (unwrap(&reader, rule, &from_aws)) {
            read_payload(&reader, rule, from_aws);
        }
        doc_done(&reader.doc);
    }
    return report->errors > errors || reader.failed ? NULL : TAKE(rule);
}

struct rule *rule_read(struct span text, const char *file, const struct rule_options *options,
                       struct report *report)
{
    AUTO(shared_drop) struct shared_settings *shared = NULL;

    if (options->defaults && !(shared = shared_settings_new(options->defaults, report)))
        return NULL;
    return rule_read_shared(text, file, options, shared, report);
}

void rule_free(struct rule *rule)
{
    if (!rule)
        return;
    struct rule_box *box = (struct rule_box *)rule;
    for (size_t i = 0; i < rule->action_count; i++)
        rule_action_done(&rule->actions[i]);
    free(rule->actions);
    if (rule->error_action)
        rule_action_done(rule->error_action);
    free(rule->error_action);
    sql_program_free(rule->program);
    free_text(rule->name);
    free_text(rule->file);
    free_text(rule->description);
    shared_settings_free(box->shared);
    free(box);
}

/* ---- looking ---- */

static bool calls(const struct sql_template *tmpl, const char *name)
{
    return tmpl && sql_template_calls(tmpl, name);
}

static bool action_calls(const struct rule_action *action, const char *name)
{
    if (!action->type)
        return false;
    for (size_t i = 0; action->type->fields[i].name; i++)
        if (calls(action->fields[i], name))
            return true;
    for (size_t i = 0; i < action->pair_count; i++)
        if (calls(action->pairs[i].key, name) || calls(action->pairs[i].value, name))
            return true;
    return false;
}

bool rule_calls(const struct rule *rule, const char *name)
{
    if (sql_program_calls(rule->program, name) ||
        (rule->error_action && action_calls(rule->error_action, name)))
        return true;
    for (size_t i = 0; i < rule->action_count; i++)
        if (action_calls(&rule->actions[i], name))
            return true;
    return false;
}
