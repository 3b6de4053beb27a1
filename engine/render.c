/* Rule and message -> record. Nothing here keeps anything: all memory is the message's. */
#include "engine/render.h"

static int no_memory(struct err *err)
{
    return err_set(err, ERR_LIMIT, "the message takes more memory than one message may");
}

static int render_fields(const struct rule_action *action, struct sql_scope *scope, struct action_record *out,
                         struct err *err)
{
    const struct action_field *field = action->type->fields;
    size_t count = 0;

    while (field[count].name)
        count++;
    struct action_value *values = arena_array(sql_scope_arena(scope), count ? count : 1, sizeof *values);
    if (!values)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct action_value){.absent = true};
        if (field[i].kind != ACTION_TEMPLATE || !action->fields[i])
            continue;

        struct sql_text text;
        if (sql_template_expand(action->fields[i], scope, &text, err) != 0) {
            err_prefix(err, "%s", field[i].name);
            return -1;
        }
        values[i] = (struct action_value){text.text, text.absent && field[i].null_if_absent};
    }
    out->fields = values;
    return 0;
}

static const char *pairs_name(const struct action_type *type)
{
    const struct action_field *field = type->fields;

    while (field->name && field->kind != ACTION_PAIRS)
        field++;
    return field->name ? field->name : "pairs";
}

static int render_pairs(const struct rule_action *action, struct sql_scope *scope, struct action_record *out,
                        struct err *err)
{
    struct action_pair *pairs = NULL;

    if (action->pair_count > 0) {
        pairs = arena_array(sql_scope_arena(scope), action->pair_count, sizeof *pairs);
        if (!pairs)
            return no_memory(err);
    }
    for (size_t i = 0; i < action->pair_count; i++) {
        struct sql_text key, value;

        if (sql_template_expand(action->pairs[i].key, scope, &key, err) != 0 ||
            sql_template_expand(action->pairs[i].value, scope, &value, err) != 0) {
            err_prefix(err, "%s[%zu]", pairs_name(action->type), i);
            return -1;
        }
        pairs[i] = (struct action_pair){key.text, value.text};
    }
    out->pairs = pairs;
    out->pair_count = action->pair_count;
    return 0;
}

int render_record(const struct rule_action *action, struct sql_scope *scope, struct span payload,
                  struct action_record *out, struct err *err)
{
    *out = (struct action_record){.payload = payload};
    if (render_fields(action, scope, out, err) != 0)
        return -1;
    return render_pairs(action, scope, out, err);
}
