#include "engine/named.h"

#include <stdio.h>

enum { PATH_ROOM = 192 };

struct walk {
    struct named_secret at; /* what is being looked at */
    named_seen *seen;
    void *context;
};

static void found(void *context, const struct sql_secret_query *query)
{
    struct walk *walk = context;

    walk->at.query = query;
    walk->seen(walk->context, &walk->at);
}

static void look_at_template(struct walk *walk, const struct sql_template *tmpl, const char *path)
{
    if (!tmpl)
        return;
    walk->at.path = path;
    sql_template_secrets(tmpl, found, walk);
}

/* ---- rules ---- */

static const char *pairs_name(const struct action_type *type)
{
    const struct action_field *field = type->fields;

    while (field->name && field->kind != ACTION_PAIRS)
        field++;
    return field->name ? field->name : "pairs";
}

static void look_at_fields(struct walk *walk, const struct rule_action *action, const char *prefix)
{
    char path[PATH_ROOM];

    for (size_t i = 0; action->type->fields[i].name; i++) {
        (void)snprintf(path, sizeof path, "%s.%s", prefix, action->type->fields[i].name);
        look_at_template(walk, action->fields[i], path);
    }
    for (size_t i = 0; i < action->pair_count; i++) {
        (void)snprintf(path, sizeof path, "%s.%s[%zu]", prefix, pairs_name(action->type), i);
        look_at_template(walk, action->pairs[i].key, path);
        look_at_template(walk, action->pairs[i].value, path);
    }
}

static void look_at_action(struct walk *walk, const struct rule *rule, const struct rule_action *action)
{
    char prefix[PATH_ROOM / 2];

    if (!action->type)
        return;
    if (action->index == SIZE_MAX)
        (void)snprintf(prefix, sizeof prefix, "errorAction.%s", action->type_name);
    else
        (void)snprintf(prefix, sizeof prefix, "actions[%zu].%s", action->index, action->type_name);
    look_at_fields(walk, action, prefix);
    for (size_t i = 0; i < action->setting_count; i++) {
        const struct rule_setting *setting = &action->settings[i];

        walk->at.file = setting->origin ? setting->origin : rule->file;
        walk->at.pos = setting->pos;
        look_at_template(walk, setting->value, setting->path);
    }
    walk->at.file = rule->file;
    walk->at.pos = (struct pos){0, 0};
}

static void look_at_rule(struct walk *walk, const struct rule *rule)
{
    walk->at.rule = rule;
    walk->at.file = rule->file;
    walk->at.path = "sql";
    sql_program_secrets(rule->program, found, walk);
    for (size_t i = 0; i < rule->action_count; i++)
        look_at_action(walk, rule, &rule->actions[i]);
    if (rule->error_action)
        look_at_action(walk, rule, rule->error_action);
}

/* ---- the configuration ---- */

static void look_at_config(struct walk *walk, const struct config *config)
{
    const struct {
        const char *key;
        const struct config_text *text;
    } rows[] = {
        {"mqtt.client_id", &config->mqtt.client_id},
        {"mqtt.username", &config->mqtt.username},
        {"mqtt.password", &config->mqtt.password},
        {"mqtt.tls.ca_file", &config->mqtt.tls.ca_file},
        {"mqtt.tls.cert_file", &config->mqtt.tls.cert_file},
        {"mqtt.tls.key_file", &config->mqtt.tls.key_file},
        {"mqtt.tls.key_password", &config->mqtt.tls.key_password},
    };

    walk->at.file = config->file;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        walk->at.pos = rows[i].text->pos;
        look_at_template(walk, rows[i].text->tmpl, rows[i].key);
    }
}

void named_in_config(const struct config *config, named_seen *seen, void *context)
{
    struct walk walk = {.seen = seen, .context = context};

    look_at_config(&walk, config);
}

void named_in_rule(const struct rule *rule, named_seen *seen, void *context)
{
    struct walk walk = {.seen = seen, .context = context};

    look_at_rule(&walk, rule);
}

void named_each(const struct config *config, const struct rule_set *rules, named_seen *seen, void *context)
{
    named_in_config(config, seen, context);
    for (size_t i = 0; i < rules->count; i++)
        if (!rules->rules[i]->disabled)
            named_in_rule(rules->rules[i], seen, context);
}

struct secret_query named_ask(const struct sql_secret_query *asked)
{
    return (struct secret_query){.id = asked->id,
                                 .form = asked->type == SQL_SECRET_BINARY ? SECRET_BINARY : SECRET_STRING,
                                 .key = asked->key,
                                 .role_arn = asked->role_arn};
}
