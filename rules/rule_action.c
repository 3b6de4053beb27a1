/* rule_action.c - one entry of a rule's actions, checked against the table of fields that its type publishes.
 */
#include "reader.h"

#include "base/nearest.h"

#include <stdio.h>

struct action_reader {
    struct reader *reader;
    const struct doc_node *object; /* the action's fields */
    struct rule_action *action;
    struct span *constants; /* for type->check: one for each field row */
    struct doc_node **nodes;
    bool failed;
};

static size_t field_count(const struct action_type *type)
{
    size_t count = 0;

    while (type->fields[count].name)
        count++;
    return count;
}

/* ---- the fields ---- */

static const char *field_name(const void *context, size_t index)
{
    const struct action_type *type = context;

    return type->fields[index].name;
}

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

static void read_text(struct action_reader *in, const struct doc_node *node, size_t row)
{
    if (!reader_expect(in->reader, node, DOC_STRING)) {
        in->failed = true;
        return;
    }
    if (strstr(node->text.data, "${") || strstr(node->text.data, "$<")) {
        reader_error(in->reader, node, ERR_VALUE,
                     "%s takes no template: its value is the same for every message",
                     in->action->type->fields[row].name);
        in->failed = true;
        return;
    }
    in->constants[row] = node->text;
    if (strcmp(in->action->type->fields[row].name, "destinationArn") == 0) {
        in->action->destination_arn = reader_copy(in->reader, node->text);
        in->failed |= !in->action->destination_arn;
    }
}

/* A string, or for people who forget the quotes of a number field a number. NULL: reported. */
static struct sql_template *read_template(struct action_reader *in, const struct doc_node *node,
                                          bool is_number)
{
    struct sql_template *tmpl = NULL;

    if (is_number && node->type == DOC_NUMBER)
        reader_warn(in->reader, node, "a number, which AWS wants in quotes: read as \"" SPAN_FMT "\"",
                    SPAN_ARG(node->text));
    else if (!reader_expect(in->reader, node, DOC_STRING)) {
        in->failed = true;
        return NULL;
    }
    tmpl = reader_template(in->reader, node);
    in->failed |= !tmpl;
    return tmpl;
}

static void read_pair(struct action_reader *in, const struct doc_node *node, struct rule_pair *pair)
{
    static const char *const names[] = {"key", "value", NULL};

    if (!reader_expect(in->reader, node, DOC_MAP)) {
        in->failed = true;
        return;
    }
    size_t errors = in->reader->report->errors;
    reader_check_keys(in->reader, node, names);
    in->failed |= in->reader->report->errors > errors;
    for (size_t i = 0; i < 2; i++) {
        const struct doc_node *member = doc_get(node, names[i]);

        if (member) {
            *(i == 0 ? &pair->key : &pair->value) = read_template(in, member, false);
        } else {
            reader_error(in->reader, node, ERR_VALUE,
                         "lacks \"%s\": an entry is {\"key\": ..., \"value\": ...}", names[i]);
            in->failed = true;
        }
    }
}

static void read_pairs(struct action_reader *in, const struct doc_node *node,
                       const struct action_field *field)
{
    if (!reader_expect(in->reader, node, DOC_LIST)) {
        in->failed = true;
        return;
    }
    if (field->most && node->count > field->most) {
        reader_error(in->reader, node, ERR_LIMIT, "%zu entries: at most %zu are allowed", node->count,
                     field->most);
        in->failed = true;
        return;
    }
    in->action->pairs = calloc(node->count + 1, sizeof *in->action->pairs);
    if (!in->action->pairs) {
        reader_memory(in->reader);
        in->failed = true;
        return;
    }
    for (const struct doc_node *entry = node->first; entry; entry = entry->next)
        read_pair(in, entry, &in->action->pairs[in->action->pair_count++]);
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
    return true;
}

/* Settings in the order defaults, rule, destination: later ones win. `node` may be NULL. */
static void read_settings(struct action_reader *in, const struct doc_node *node)
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

static void run_check(struct action_reader *in)
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

/* ---- the action ---- */

static void read_fields(struct action_reader *in)
{
    const struct action_type *type = in->action->type;
    const struct doc_node *settings = NULL;
    bool has_settings = false;

    for (const struct doc_node *member = in->object->first; member; member = member->next) {
        size_t row = 0;

        while (type->fields[row].name && !span_is(member->key, type->fields[row].name))
            row++;
        if (type->fields[row].name)
            continue;
        const char *near = nearest(member->key, field_name, type);
        reader_key_error(in->reader, member, ERR_NAME, "the action %s has no field \"" SPAN_FMT "\"%s%s%s",
                         type->name, SPAN_ARG(member->key), near ? ": did you mean \"" : "", near ? near : "",
                         near ? "\"?" : "");
        in->failed = true;
    }
    for (size_t row = 0; type->fields[row].name; row++) {
        const struct action_field *field = &type->fields[row];
        struct doc_node *node = doc_get(in->object, field->name);

        in->nodes[row] = node;
        has_settings |= field->kind == ACTION_SETTINGS;
        if (!node && field->required) {
            reader_error(in->reader, in->object, ERR_VALUE, "lacks the field \"%s\"", field->name);
            in->failed = true;
        }
        if (!node)
            continue;
        switch (field->kind) {
        case ACTION_TEXT: read_text(in, node, row); break;
        case ACTION_TEMPLATE:
            in->action->fields[row] = read_template(in, node, field->is_number);
            if (in->action->fields[row])
                in->constants[row] = sql_template_constant(in->action->fields[row]);
            break;
        case ACTION_PAIRS: read_pairs(in, node, field); break;
        case ACTION_SETTINGS:
            if (reader_expect(in->reader, node, DOC_MAP))
                settings = node;
            else
                in->failed = true;
            break;
        }
    }
    if (has_settings)
        read_settings(in, settings);
}

static bool read_known(struct reader *reader, const struct doc_node *object, struct rule_action *action)
{
    struct action_reader in = {.reader = reader, .object = object, .action = action};
    size_t rows = field_count(action->type);

    action->fields = calloc(rows + 1, sizeof *action->fields);
    in.constants = calloc(rows + 1, sizeof *in.constants);
    in.nodes = calloc(rows + 1, sizeof *in.nodes);
    if (action->fields && in.constants && in.nodes) {
        read_fields(&in);
        if (!in.failed)
            run_check(&in);
    } else {
        reader_memory(reader);
        in.failed = true;
    }
    free(in.constants);
    free(in.nodes);
    return !in.failed;
}

static const char *type_name(const void *context, size_t index)
{
    const struct reader *reader = context;
    size_t count = 0;

    while (reader->options->types[count])
        count++;
    return index < count ? reader->options->types[index]->name : aws_action_name(NULL, index - count);
}

/* An action that is not built here. True: the rule lives on without it. */
static bool read_unknown(struct reader *reader, const struct doc_node *member, bool is_error_action)
{
    const char *near;

    if (aws_action_known(member->key)) {
        if (is_error_action) {
            reader_warn(reader, member,
                        "the AWS action \"" SPAN_FMT
                        "\" is not built here: what fails becomes a dead letter instead",
                        SPAN_ARG(member->key));
            return true;
        }
        if (reader->options->skip_unsupported) {
            reader_warn(reader, member,
                        "the AWS action \"" SPAN_FMT
                        "\" is left out (unsupported_actions: skip): nothing goes there",
                        SPAN_ARG(member->key));
            return true;
        }
        reader_key_error(reader, member, ERR_UNSUPPORTED,
                         "the AWS action \"" SPAN_FMT
                         "\" is not built here: take it out of the rule, or have it left "
                         "out with a warning by unsupported_actions: skip in the configuration",
                         SPAN_ARG(member->key));
        return false;
    }
    near = nearest(member->key, type_name, reader);
    reader_key_error(reader, member, ERR_NAME, "there is no action \"" SPAN_FMT "\"%s%s%s",
                     SPAN_ARG(member->key), near ? ": did you mean \"" : "", near ? near : "",
                     near ? "\"?" : "");
    return false;
}

bool rule_action_read(struct reader *reader, const struct doc_node *object, size_t index,
                      struct rule_action *action)
{
    *action = (struct rule_action){.index = index};
    if (!reader_expect(reader, object, DOC_MAP))
        return false;
    if (object->count == 0) {
        reader_error(reader, object, ERR_VALUE,
                     "an empty action: expected its name and fields, as in {\"kafka\": {...}}");
        return false;
    }
    if (object->count > 1) {
        reader_error(reader, object, ERR_VALUE,
                     "%zu keys (\"" SPAN_FMT "\", \"" SPAN_FMT
                     "\"...): an action object has one, the action's name; "
                     "write an object for each",
                     object->count, SPAN_ARG(object->first->key), SPAN_ARG(object->first->next->key));
        return false;
    }
    const struct doc_node *member = object->first;
    for (size_t i = 0; reader->options->types[i] && !action->type; i++)
        if (span_is(member->key, reader->options->types[i]->name))
            action->type = reader->options->types[i];
    action->type_name = reader_copy(reader, member->key);
    if (!action->type_name)
        return false;
    if (!action->type)
        return read_unknown(reader, member, index == SIZE_MAX);
    return reader_expect(reader, member, DOC_MAP) && read_known(reader, member, action);
}

void rule_action_done(struct rule_action *action)
{
    for (size_t i = 0; action->type && action->fields && action->type->fields[i].name; i++)
        sql_template_free(action->fields[i]);
    free(action->fields);
    for (size_t i = 0; i < action->pair_count; i++) {
        sql_template_free(action->pairs[i].key);
        sql_template_free(action->pairs[i].value);
    }
    free(action->pairs);
    for (size_t i = 0; i < action->setting_count; i++) {
        struct rule_setting *setting = &action->settings[i];

        if (setting->origin)
            continue; /* shared */
        sql_template_free(setting->value);
        free_text(setting->name);
        free_text(setting->text);
        free_text(setting->path);
    }
    free(action->settings);
    free_text(action->type_name);
    free_text(action->destination_arn);
}
