/* Secrets as JSON: names, and who uses them. Never a value: this file includes nothing that could reveal one.
 */
#include "json.h"
#include "view.h"

#include <stdio.h>
#include <stdlib.h>

enum { USERS_SHOWN = 50 }; /* of one secret; the rest is counted */

/* One get_secret in a rule or in the configuration. */
struct user {
    const char *backend; /* NULL: it leads nowhere */
    struct span id, role_arn;
    const char *rule;  /* NULL: the configuration */
    const char *field; /* "sql"; part of a path otherwise */
    const char *type;  /* of the action; NULL: `field` is the whole path */
    size_t action;     /* its place; SIZE_MAX: errorAction */
};

struct users {
    const struct view *view;
    struct user *items;
    size_t count, room;
    struct user next; /* what the next one found is part of */
    bool failed;
};

static void add_user(void *context, const struct sql_secret_query *query)
{
    struct users *users = context;

    if (users->count == users->room) {
        size_t room = users->room ? users->room * 2 : 64;
        struct user *items = realloc(users->items, room * sizeof *items);

        users->failed |= !items;
        if (!items)
            return;
        users->items = items;
        users->room = room;
    }
    struct user *user = &users->items[users->count++];
    *user = users->next;
    user->role_arn = query->role_arn;
    user->id = query->id;
    if (users->view->of->secrets)
        (void)secrets_where(users->view->of->secrets, query->id, &user->backend, &user->id);
}

static void look_at_action(struct users *users, const struct rule *rule, const struct rule_action *action)
{
    if (!action->type)
        return;
    users->next = (struct user){.rule = rule->name, .type = action->type_name, .action = action->index};
    for (size_t i = 0; action->type->fields[i].name; i++) {
        users->next.field = action->type->fields[i].name;
        if (action->fields[i])
            sql_template_secrets(action->fields[i], add_user, users);
    }
    users->next.field = "headers";
    for (size_t i = 0; i < action->pair_count; i++) {
        sql_template_secrets(action->pairs[i].key, add_user, users);
        sql_template_secrets(action->pairs[i].value, add_user, users);
    }
    users->next.type = NULL;
    for (size_t i = 0; i < action->setting_count; i++) {
        users->next.field = action->settings[i].path ? action->settings[i].path : action->settings[i].name;
        sql_template_secrets(action->settings[i].value, add_user, users);
    }
}

static void look_at_rule(struct users *users, const struct rule *rule)
{
    users->next = (struct user){.rule = rule->name, .field = "sql"};
    sql_program_secrets(rule->program, add_user, users);
    for (size_t i = 0; i < rule->action_count; i++)
        look_at_action(users, rule, &rule->actions[i]);
    if (rule->error_action)
        look_at_action(users, rule, rule->error_action);
}

static void look_at_config(struct users *users, const struct config *config)
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

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        users->next = (struct user){.field = rows[i].key};
        if (rows[i].text->tmpl)
            sql_template_secrets(rows[i].text->tmpl, add_user, users);
    }
}

static bool uses(const struct user *user, const struct view_secret *secret)
{
    return user->backend && strcmp(user->backend, secret->backend) == 0 && span_equal(user->id, secret->id);
}

static void put_user(struct json *json, const struct user *user)
{
    char where[256];

    if (!user->type)
        (void)snprintf(where, sizeof where, "%s", user->field);
    else if (user->action == SIZE_MAX)
        (void)snprintf(where, sizeof where, "errorAction.%s.%s", user->type, user->field);
    else
        (void)snprintf(where, sizeof where, "actions[%zu].%s.%s", user->action, user->type, user->field);
    json_open(json, NULL, '{');
    json_text(json, "rule", user->rule);
    json_text(json, "field", where);
    json_close(json, '}');
}

static void put_secret(struct json *json, const struct users *users, const struct view_secret *secret)
{
    size_t count = 0;

    json_open(json, NULL, '{');
    json_text(json, "backend", secret->backend);
    json_span(json, "id", secret->id);
    json_span(json, "role_arn", secret->role_arn.size ? secret->role_arn : (struct span){0});
    json_text(json, "version", secret->version && *secret->version ? secret->version : NULL);
    json_seconds(json, "age_s", secret->age_ms);
    json_bool(json, "stale", secret->is_stale);
    json_count(json, "fetches", secret->fetches);
    json_count(json, "served", secret->served);
    json_text(json, "problem", secret->problem && *secret->problem ? secret->problem : NULL);
    json_open(json, "users", '[');
    for (size_t i = 0; i < users->count; i++)
        if (uses(&users->items[i], secret) && count++ < USERS_SHOWN)
            put_user(json, &users->items[i]);
    json_close(json, ']');
    json_count(json, "user_count", count);
    json_close(json, '}');
}

void secrets_json(const struct view *view, struct buf *out)
{
    struct users users = {.view = view};
    struct json json = {.out = out};

    look_at_config(&users, view->of->config);
    for (size_t i = 0; i < view->of->rules->count; i++)
        if (!view->of->rules->rules[i]->disabled)
            look_at_rule(&users, view->of->rules->rules[i]);
    out->failed |= users.failed;
    json_open(&json, NULL, '{');
    json_open(&json, "backends", '[');
    for (size_t i = 0; i < view->backend_count; i++) {
        json_open(&json, NULL, '{');
        json_text(&json, "name", view->backends[i].name);
        json_text(&json, "type", view->backends[i].type);
        json_bool(&json, "away", view->backends[i].is_away);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "secrets", '[');
    for (size_t i = 0; i < view->secret_count; i++)
        put_secret(&json, &users, &view->secrets[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    buf_char(out, '\n');
    free(users.items);
}
