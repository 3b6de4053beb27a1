/* rule_setting.c - the settings of an action, merged with the configuration's, and the check that its type
 * makes. */
#include "action_reader.h"

#include <stdio.h>

static bool is_one_of(struct span text, const char *const *parts)
{
    char low[64];
    size_t size = text.size < sizeof low - 1 ? text.size : sizeof low - 1;

    for (size_t i = 0; i < size; i++)
        low[i] = (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + 32 : text.data[i]);
    low[size] = '\0';
    for (; *parts; parts++)
        if (strstr(low, *parts))
            return true;
    return false;
}

/* A setting whose value must not be printed, judged by its name alone: this room knows no setting. */
static bool is_delicate(struct span name)
{
    static const char *const parts[] = {"password", "secret", "token",      "jaas",
                                        "key",      "keytab", "credential", NULL};

    return is_one_of(name, parts);
}

/* ---- the settings ---- */

/* False: reported. */
static bool read_setting(struct action_reader *in, const struct doc_node *node, struct rule_setting *setting)
{
    struct err err = {0};
    char path[DOC_PATH_MAX];

    if (node->type == DOC_NUMBER || node->type == DOC_BOOL) {
        reader_warn(in->reader, node, "%s, which AWS wants in quotes: read as \"" SPAN_FMT "\"",
                    node->type == DOC_NUMBER ? "a number" : "true or false", SPAN_ARG(node->text));
    } else if (!reader_expect(in->reader, node, DOC_STRING)) {
        return false;
    }
    setting->pos = node->pos;
    setting->name = reader_copy(in->reader, node->key);
    setting->text = reader_copy(in->reader, node->text);
    setting->path = reader_copy(in->reader, span_of(doc_path(&in->reader->doc, node, path)));
    if (!setting->name || !setting->text || !setting->path)
        return false;
    setting->value = sql_template_compile(node->text, NULL, in->reader->version, &err);
    if (!setting->value) {
        if (is_delicate(node->key))
            err.mark[0] = '\0';
        reader_inside(in->reader, node, SEVERITY_ERROR, &err);
        return false;
    }
    if (!sql_template_is_settled(setting->value)) {
        reader_error(
            in->reader, node, ERR_VALUE,
            "a connection is made before there is a message: only constants and get_secret(...) can stand "
            "in this template");
        return false;
    }
    const char *flaw = sql_template_flaw(setting->value);
    if (flaw) {
        reader_error(in->reader, node, ERR_VALUE, "%s", flaw);
        return false;
    }
    return true;
}

/* Settings in the order defaults, rule, destination: later ones win. `node` may be NULL. */
void action_read_settings(struct action_reader *in, const struct doc_node *node)
{
    const struct shared_settings *shared = in->reader->shared;
    size_t count = shared_settings_count(shared), room = count + (node ? node->count : 0);
    struct rule_action *action = in->action;
    const struct rule_setting *from;
    bool known = false;
    const char *arn;

    action->settings = calloc(room + 1, sizeof *action->settings);
    if (!action->settings) {
        reader_memory(in->reader);
        in->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        from = shared_settings_at(shared, i, &arn);
        if (!arn)
            action->settings[action->setting_count++] = *from;
    }
    for (const struct doc_node *member = node ? node->first : NULL; member; member = member->next)
        if (!read_setting(in, member, &action->settings[action->setting_count++]))
            in->failed = true;
    for (size_t i = 0; i < count && action->destination_arn; i++) {
        from = shared_settings_at(shared, i, &arn);
        if (arn && strcmp(arn, action->destination_arn) == 0) {
            action->settings[action->setting_count++] = *from;
            known = true;
        }
    }
    const struct doc_node *named = doc_get(in->object, "destinationArn");
    if (action->destination_arn && !known && named)
        reader_warn(
            in->reader, named,
            "no destination of that name is in the configuration (%s.destinations): recorded, no effect",
            action->type->name);
}

/* ---- the type's own check ---- */

/* The action speaks of settings, which have a place, and of fields by name or of itself, which get theirs
 * here. */
static void adopt(struct action_reader *in, struct finding *finding)
{
    const struct doc_node *about = in->object;
    char path[DOC_PATH_MAX];

    for (size_t i = 0; in->action->type->fields[i].name; i++)
        if (strcmp(finding->err.path, in->action->type->fields[i].name) == 0 && in->nodes[i])
            about = in->nodes[i];
    if (about != in->object || finding->err.path[0] == '\0') {
        if (finding->err.file[0] == '\0')
            (void)snprintf(finding->err.path, sizeof finding->err.path, "%s",
                           doc_path(&in->reader->doc, about, path));
        if (finding->err.pos.line == 0)
            finding->err.pos = about->pos;
    }
    err_in(&finding->err, in->reader->file, NULL);
}

/* One mistake in the configuration is one finding, however many rules meet it. */
static bool is_known(const struct report *report, const struct err *err)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->findings[i].err.text, err->text) == 0 &&
            strcmp(report->findings[i].err.path, err->path) == 0 &&
            strcmp(report->findings[i].err.file, err->file) == 0)
            return true;
    return false;
}

void action_run_check(struct action_reader *in)
{
    struct report found = REPORT_INIT;
    const struct rule_action *action = in->action;
    struct action_setting *items = calloc(action->setting_count + 1, sizeof *items);

    if (!items) {
        reader_memory(in->reader);
        in->failed = true;
        return;
    }
    for (size_t i = 0; i < action->setting_count; i++) {
        const struct rule_setting *setting = &action->settings[i];
        struct span constant = sql_template_constant(setting->value);

        items[i] = (struct action_setting){.name = setting->name,
                                           .value = constant.data ? constant : span_of(setting->text),
                                           .is_template = !constant.data,
                                           .pos = setting->pos,
                                           .path = setting->path,
                                           .origin = setting->origin};
    }
    struct action_settings settings = {items, action->setting_count};
    action->type->check(in->constants, &settings, in->reader->options->release, &found);
    for (size_t i = 0; i < found.count; i++) {
        struct finding *finding = &found.findings[i];

        adopt(in, finding);
        in->failed |= finding->severity == SEVERITY_ERROR;
        if (strcmp(finding->err.file, in->reader->file) == 0 || !is_known(in->reader->report, &finding->err))
            report_add(in->reader->report, finding->severity, &finding->err);
    }
    if (found.count < found.errors + found.warnings) { /* memory for a finding was missing */
        reader_memory(in->reader);
        in->failed = true;
    }
    report_done(&found);
    free(items);
}
