#include "plan.h"

#include "base/auto.h"
#include "base/log.h"

#include <stdio.h>

DEFINE_DROP(settings, struct render_settings *, render_settings_free)
DEFINE_DROP(known, struct render_secrets *, render_secrets_free)
DEFINE_DROP(scope, struct sql_scope *, sql_scope_free)

/* ---- targets ---- */

/* Room first: lanes keep pointers to targets, so all of them are there before the first lane. */
static int make_room(struct plan *plan, struct err *err)
{
    size_t actions = 0;

    for (size_t i = 0; i < plan->rules->count; i++)
        actions += plan->rules->rules[i]->action_count + 1;
    plan->targets = calloc(actions + 1, sizeof *plan->targets);
    plan->target_of = calloc(plan->rules->count + 1, sizeof *plan->target_of);
    if (!plan->targets || !plan->target_of)
        return err_memory(err);
    return 0;
}

static int make_identity(const struct target *target, const struct render_settings *settings, char **identity,
                         struct err *err)
{
    struct buf text = BUF_INIT;

    if (target->type->identity(&settings->settings, &text, err) != 0) {
        buf_done(&text);
        return -1;
    }
    *identity = text.failed ? NULL : strdup(text.data ? text.data : "");
    buf_done(&text);
    return *identity ? 0 : err_memory(err);
}

static bool same(const struct target *a, const struct target *b)
{
    return a->type == b->type && a->identity && b->identity && strcmp(a->identity, b->identity) == 0;
}

/* Returns 0 also when a secret is missing: the target then stands alone, and has no settings yet. */
static int add_target(struct plan *plan, const struct rule *rule, const struct rule_action *action,
                      size_t *place, struct err *err)
{
    struct target *target = &plan->targets[plan->target_count];
    AUTO(settings_drop) struct render_settings *settings = NULL;

    *target = (struct target){.type = action->type, .action = action, .rule = rule};
    settings = render_settings_new(action, plan->secrets, false, err);
    if (!settings && err->code != ERR_SECRET)
        return -1;
    if (!settings) {
        err_in(err, rule->file, NULL);
        log_err(LOG_ERROR, "secrets", err);
        plan->unresolved++;
    } else if (make_identity(target, settings, &target->identity, err) != 0) {
        return -1;
    }
    for (*place = 0; *place < plan->target_count; (*place)++)
        if (same(&plan->targets[*place], target)) {
            free(target->identity);
            return 0;
        }
    atomic_init(&target->settings, TAKE(settings));
    plan->target_count++;
    return 0;
}

static int add_targets(struct plan *plan, struct err *err)
{
    for (size_t i = 0; i < plan->rules->count; i++) {
        const struct rule *rule = plan->rules->rules[i];

        plan->target_of[i] = calloc(rule->action_count + 1, sizeof **plan->target_of);
        if (!plan->target_of[i])
            return err_memory(err);
        if (rule->disabled)
            continue;
        for (size_t a = 0; a <= rule->action_count; a++) {
            const struct rule_action *action =
                a < rule->action_count ? &rule->actions[a] : rule->error_action;

            if (action && action->type && add_target(plan, rule, action, &plan->target_of[i][a], err) != 0) {
                err_in(err, rule->file, NULL);
                return -1;
            }
        }
    }
    return 0;
}

bool plan_resolve(struct plan *plan)
{
    bool some = false;

    for (size_t i = 0; i < plan->target_count; i++) {
        struct target *target = &plan->targets[i];
        struct err err;

        if (atomic_load_explicit(&target->settings, memory_order_relaxed))
            continue;
        struct render_settings *settings = render_settings_new(target->action, plan->secrets, false, &err);
        if (!settings)
            continue;
        log_info("secrets", "rule %s: its secrets are here now", target->rule->name);
        atomic_store_explicit(&target->settings, settings, memory_order_release);
        plan->unresolved--;
        some = true;
    }
    return some;
}

/* ---- the login ---- */

static int expand(const struct config_text *text, struct sql_scope *scope, const char *key, struct span *out,
                  struct err *err)
{
    const struct sql_message none = {.topic = SPAN(""), .payload = SPAN(""), .payload_format = -1};
    struct sql_text expanded;

    *out = (struct span){0};
    if (!text->text)
        return 0;
    sql_scope_begin(scope, &none);
    if (sql_template_expand(text->tmpl, scope, &expanded, err) != 0) {
        err_prefix(err, "%s", key);
        return -1;
    }
    *out = expanded.text.data ? expanded.text : SPAN("");
    if (memchr(out->data, '\0', out->size))
        return err_set(err, ERR_VALUE, "%s: has a zero byte", key);
    return 0;
}

static int expand_text(const struct config_text *text, struct sql_scope *scope, const char *key, char **out,
                       struct err *err)
{
    struct span value;

    if (expand(text, scope, key, &value, err) != 0)
        return -1;
    *out = value.data ? strndup(value.data, value.size) : NULL;
    return value.data && !*out ? err_memory(err) : 0;
}

static int expand_secret(const struct config_text *text, struct sql_scope *scope, const char *key,
                         struct wiped **out, struct err *err)
{
    struct span value;

    if (expand(text, scope, key, &value, err) != 0)
        return -1;
    *out = value.data ? wiped_new(value) : NULL;
    if (value.size > 0) {
        void *copy;

        memcpy(&copy, &value.data, sizeof copy);
        wipe(copy, value.size);
    }
    return value.data && !*out ? err_memory(err) : 0;
}

static int expand_path(const struct config *config, const struct config_text *text, struct sql_scope *scope,
                       const char *key, char **out, struct err *err)
{
    char *path;

    if (expand_text(text, scope, key, &path, err) != 0)
        return -1;
    if (!path || path[0] == '/') {
        *out = path;
        return 0;
    }
    int size = asprintf(out, "%s/%s", config->directory, path);
    free(path);
    if (size < 0) {
        *out = NULL;
        return err_memory(err);
    }
    return 0;
}

int plan_login(struct session_login *login, const struct config *config, struct secrets *secrets,
               struct err *err)
{
    AUTO(known_drop) struct render_secrets *known = NULL;

    *login = (struct session_login){0};
    if (secrets && !(known = render_secrets_new(secrets, true, err)))
        return -1;
    const struct sql_host host = render_host(known);
    AUTO(scope_drop) struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, err);
    if (!scope ||
        expand_text(&config->mqtt.client_id, scope, "mqtt.client_id", &login->client_id, err) != 0 ||
        expand_text(&config->mqtt.username, scope, "mqtt.username", &login->username, err) != 0 ||
        expand_secret(&config->mqtt.password, scope, "mqtt.password", &login->password, err) != 0 ||
        expand_path(config, &config->mqtt.tls.ca_file, scope, "mqtt.tls.ca_file", &login->ca_file, err) !=
            0 ||
        expand_path(config, &config->mqtt.tls.cert_file, scope, "mqtt.tls.cert_file", &login->cert_file,
                    err) != 0 ||
        expand_path(config, &config->mqtt.tls.key_file, scope, "mqtt.tls.key_file", &login->key_file, err) !=
            0 ||
        expand_secret(&config->mqtt.tls.key_password, scope, "mqtt.tls.key_password", &login->key_password,
                      err) != 0)
        return -1;
    if (!login->client_id || !login->client_id[0])
        return err_set(err, ERR_VALUE, "mqtt.client_id: is empty; the broker keeps our messages under it");
    return 0;
}

int plan_make(struct plan *plan, const struct config *config, const struct rule_set *rules,
              struct secrets *secrets, struct err *err)
{
    *plan = (struct plan){.config = config, .rules = rules, .secrets = secrets};
    if (config->mqtt.broker_count == 0)
        return err_set(err, ERR_VALUE, "mqtt.url is missing: there is no broker to connect to");
    if (plan_login(&plan->login, config, secrets, err) != 0) {
        err_in(err, config->file, NULL);
        return -1;
    }
    plan->route = route_new(rules, config->mqtt.basic_ingest, err);
    if (!plan->route || make_room(plan, err) != 0)
        return -1;
    return add_targets(plan, err);
}

void plan_login_done(struct session_login *login)
{
    free(login->client_id);
    free(login->username);
    free(login->ca_file);
    free(login->cert_file);
    free(login->key_file);
    wiped_free(login->password);
    wiped_free(login->key_password);
    *login = (struct session_login){0};
}

void plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->target_count; i++) {
        render_settings_free(atomic_load(&plan->targets[i].settings));
        free(plan->targets[i].identity);
    }
    for (size_t i = 0; plan->target_of && i < plan->rules->count; i++)
        free(plan->target_of[i]);
    free(plan->targets);
    free(plan->target_of);
    route_free(plan->route);
    plan_login_done(&plan->login);
    *plan = (struct plan){0};
}
