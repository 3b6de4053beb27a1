/* rule_action.c - one entry of a rule's actions, checked against the table of fields that its type publishes.
 */
#include "action_reader.h"

#include "base/nearest.h"

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

/* What stands around the expressions is in every record: a text that the type can never take is found here.
 */
static void check_parts(struct action_reader *in, const struct doc_node *node, size_t row)
{
    const struct action_type *type = in->action->type;
    struct span literal;
    struct err err = {0};
    size_t at = 0;

    while (type->check_part && (literal = sql_template_literal(in->action->fields[row], &at)).data) {
        if (type->check_part(row, literal, &err) == 0)
            continue;
        reader_error(in->reader, node, ERR_VALUE, "%s", err.text);
        in->failed = true;
        return;
    }
}

/* "${topic()}" is what comes to mind first, and the topic of MQTT that it gives has levels. */
static void doubt_whole_topic(struct action_reader *in, const struct doc_node *node, size_t row)
{
    const struct action_type *type = in->action->type;
    const struct sql_program *program = in->reader->program;
    const struct span filter = program ? sql_program_filter(program) : (struct span){0};
    struct err err = {0};

    if (filter.size > 0 && memchr(filter.data, '/', filter.size) &&
        (strstr(node->text.data, "${topic()}") || strstr(node->text.data, "$<topic()>")) &&
        type->check_part && type->check_part(row, SPAN("/"), &err) != 0)
        reader_warn(
            in->reader, node,
            "topic() is the whole MQTT topic, and its '/' cannot stand in a %s: topic(2) is one level "
            "of it, replace(topic(), '/', '.') another spelling",
            type->fields[row].name);
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
    const char *flaw = tmpl ? sql_template_flaw(tmpl) : NULL;
    if (flaw)
        reader_warn(in->reader, node, "%s", flaw);
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
            if (in->action->fields[row] && !in->constants[row].data) {
                check_parts(in, node, row);
                doubt_whole_topic(in, node, row);
            }
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
        action_read_settings(in, settings);
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
            action_run_check(&in);
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

/* Names are exact, as in AWS. "Kafka" is a slip and no other action. */
static bool is_built_but_for_case(const struct reader *reader, struct span name)
{
    for (size_t i = 0; reader->options->types[i]; i++)
        if (span_is_nocase(name, reader->options->types[i]->name))
            return true;
    return false;
}

static void refuse_unknown(struct reader *reader, const struct doc_node *member)
{
    const char *near = nearest(member->key, type_name, reader);
    struct buf known = BUF_INIT;

    for (size_t i = 0; reader->options->types[i]; i++)
        buf_format(&known, "%s%s", i ? ", " : "", reader->options->types[i]->name);
    if (near)
        reader_key_error(reader, member, ERR_NAME,
                         "there is no action \"" SPAN_FMT "\": did you mean \"%s\"?", SPAN_ARG(member->key),
                         near);
    else
        reader_key_error(reader, member, ERR_NAME, "there is no action \"" SPAN_FMT "\"; built here: %s",
                         SPAN_ARG(member->key), known.data ? known.data : "none");
    buf_done(&known);
}

/* An action that is not built here. True: the rule lives on without it. */
static bool read_unknown(struct reader *reader, const struct doc_node *member, bool is_error_action)
{
    if (aws_action_known(member->key) && !is_built_but_for_case(reader, member->key)) {
        if (is_error_action) {
            reader_warn(reader, member,
                        "the AWS action \"" SPAN_FMT
                        "\" is not built here: what fails is counted, logged and dropped instead",
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
    refuse_unknown(reader, member);
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
