#include "gather.h"

#include <stdio.h>

enum { PATH_ROOM = 192 };

struct walk {
    const struct gathering *gathering;
    struct gathered found;
    const char *file, *path; /* of what is being looked at */
    struct pos pos;
};

static void fetch(void *context, const struct sql_secret_query *asked)
{
    struct walk *walk = context;
    const struct gathering *gathering = walk->gathering;
    const struct secret_query query = {.id = asked->id,
                                       .form =
                                           asked->type == SQL_SECRET_BINARY ? SECRET_BINARY : SECRET_STRING,
                                       .key = asked->key,
                                       .role_arn = asked->role_arn};
    struct wiped *value = NULL;
    struct err err = {0};

    walk->found.gave_up = walk->found.gave_up || !gathering->go_on(gathering->context);
    if (walk->found.gave_up)
        return;
    enum secrets_answer answer = SECRETS_REFUSED;
    if (gathering->secrets)
        answer = secrets_ask(gathering->secrets, &query, true, &value, &err);
    else
        err_set(&err, ERR_SECRET,
                "secret \"" SPAN_FMT "\": there is no backend; configure one under secrets.backends",
                SPAN_ARG(query.id));
    wiped_free(value);
    if (answer == SECRETS_HERE)
        return;
    const bool is_away = answer == SECRETS_UNREACHED;
    *(is_away ? &walk->found.away : &walk->found.refused) += 1;
    err.pos = walk->pos;
    err_in(&err, walk->file, walk->path);
    gathering->missing(gathering->context, &err, is_away);
}

static void look_at_template(struct walk *walk, const struct sql_template *tmpl, const char *path)
{
    if (!tmpl)
        return;
    walk->path = path;
    sql_template_secrets(tmpl, fetch, walk);
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

        walk->file = setting->origin ? setting->origin : rule->file;
        walk->pos = setting->pos;
        look_at_template(walk, setting->value, setting->path);
    }
    walk->file = rule->file;
    walk->pos = (struct pos){0, 0};
}

static void look_at_rule(struct walk *walk, const struct rule *rule)
{
    walk->file = rule->file;
    walk->path = "sql";
    sql_program_secrets(rule->program, fetch, walk);
    for (size_t i = 0; i < rule->action_count; i++)
        look_at_action(walk, rule, &rule->actions[i]);
    if (rule->error_action)
        look_at_action(walk, rule, rule->error_action);
}

/* ---- the configuration ---- */

static void look_at_config(struct walk *walk)
{
    const struct config *config = walk->gathering->config;
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

    walk->file = config->file;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        walk->pos = rows[i].text->pos;
        look_at_template(walk, rows[i].text->tmpl, rows[i].key);
    }
    walk->pos = (struct pos){0, 0};
}

struct gathered gather(const struct gathering *gathering)
{
    struct walk walk = {.gathering = gathering};

    look_at_config(&walk);
    for (size_t i = 0; i < gathering->rules->count; i++)
        if (!gathering->rules->rules[i]->disabled)
            look_at_rule(&walk, gathering->rules->rules[i]);
    return walk.found;
}
