#include "plan.h"

#include "base/auto.h"
#include "base/log.h"

#include <stdlib.h>

DEFINE_DROP(settings, struct render_settings *, render_settings_free)

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

static bool has_secrets(const struct rule_action *action)
{
    for (size_t i = 0; i < action->setting_count; i++)
        if (sql_template_calls(action->settings[i].value, "get_secret"))
            return true;
    return false;
}

/* Two actions share a client when their settings are equal and their secrets come from the same places: then
 * they stay equal when a secret changes. */
static int make_identity(const struct target *target, const struct render_settings *settings, char **identity,
                         struct err *err)
{
    const struct rule_action *action = target->action;
    struct buf text = BUF_INIT;

    if (target->type->identity(&settings->settings, &text, err) != 0) {
        buf_done(&text);
        return -1;
    }
    for (size_t i = 0; i < action->setting_count; i++) {
        const struct rule_setting *setting = &action->settings[i];

        if (sql_template_calls(setting->value, "get_secret"))
            buf_format(&text, "%s from %s\n", setting->name, setting->text ? setting->text : "");
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

    *target = (struct target){
        .type = action->type, .action = action, .rule = rule, .has_secrets = has_secrets(action)};
    settings = render_settings_new(action, plan->secrets, false, err);
    if (!settings && err->code != ERR_SECRET)
        return -1;
    if (!settings) {
        err_in(err, rule->file, NULL);
        log_err(LOG_ERROR, "secrets", err);
        target->behind = true;
    } else if (make_identity(target, settings, &target->identity, err) != 0) {
        return -1;
    }
    for (*place = 0; *place < plan->target_count; (*place)++)
        if (same(&plan->targets[*place], target)) {
            free(target->identity);
            return 0;
        }
    target->settings = TAKE(settings);
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

/* ---- secrets change ---- */

/* Told once, until it works again. */
static void stay_behind(struct target *target, const struct err *err)
{
    if (!target->behind)
        log_error("secrets", "rule %s: its settings cannot be made anew: %s; %s", target->rule->name,
                  err->text, target->settings ? "it goes on with the former ones" : "it waits");
    target->behind = true;
}

/* True when its settings are other ones now. */
static bool refresh_target(const struct plan *plan, struct target *target)
{
    AUTO(settings_drop)
    struct render_settings *settings = NULL;
    char *identity = NULL;
    struct err err;

    settings = render_settings_new(target->action, plan->secrets, false, &err);
    if (!settings || make_identity(target, settings, &identity, &err) != 0) {
        stay_behind(target, &err);
        return false;
    }
    if (target->behind)
        log_info("secrets", "rule %s: its secrets are here now", target->rule->name);
    target->behind = false;
    if (target->identity && strcmp(target->identity, identity) == 0) {
        free(identity);
        return false;
    }
    free(target->identity);
    target->identity = identity;
    render_settings_free(target->settings);
    target->settings = TAKE(settings);
    return true;
}

/* The client id names the broker's queue of our messages: another one would leave them there. */
static void keep_client_id(const struct session_login *from, struct session_login *to)
{
    char *copy = strcmp(from->client_id, to->client_id) == 0 ? NULL : strdup(from->client_id);

    if (!copy)
        return;
    log_warn("mqtt", "mqtt.client_id has changed: the new one is used after a restart");
    free(to->client_id);
    to->client_id = copy;
}

void plan_keep_client_id(struct plan *plan, const struct plan *former)
{
    keep_client_id(former->login, plan->login);
}

static void refresh_login(struct plan *plan, struct lane *lane)
{
    struct err err = {0};
    struct session_login *login = session_login_new(plan->config, plan->secrets, &err);

    if (!login) {
        if (!plan->login_behind)
            log_error("mqtt", "%s; the broker is told the former login", err.text);
        plan->login_behind = true;
        return;
    }
    plan->login_behind = false;
    keep_client_id(plan->login, login);
    if (session_login_same(plan->login, login)) {
        session_login_free(login);
        return;
    }
    session_login_free(plan->login);
    plan->login = login;
    log_info("mqtt", "the login has changed: the next connection to the broker uses it");
    session_give_login(lane->session, session_login_ref(login));
}

bool plan_is_behind(const struct plan *plan)
{
    for (size_t i = 0; i < plan->target_count; i++)
        if (plan->targets[i].behind)
            return true;
    return plan->login_behind;
}

void plan_refresh(struct plan *plan, struct lane *lane, bool all)
{
    for (size_t i = 0; i < plan->target_count; i++) {
        struct target *target = &plan->targets[i];

        if ((target->behind || (all && target->has_secrets)) && refresh_target(plan, target))
            lane_give_settings(lane, i, render_settings_ref(target->settings));
    }
    if (all || plan->login_behind)
        refresh_login(plan, lane);
}

int plan_make(struct plan *plan, const struct config *config, const struct rule_set *rules,
              struct secrets *secrets, struct err *err)
{
    *plan = (struct plan){.config = config, .rules = rules, .secrets = secrets};
    if (config->mqtt.broker_count == 0)
        return err_set(err, ERR_VALUE, "mqtt.url is missing: there is no broker to connect to");
    if (!(plan->login = session_login_new(config, secrets, err))) {
        err_in(err, config->file, NULL);
        return -1;
    }
    plan->route = route_new(rules, config->mqtt.basic_ingest, err);
    if (!plan->route || make_room(plan, err) != 0)
        return -1;
    return add_targets(plan, err);
}

void plan_done(struct plan *plan)
{
    for (size_t i = 0; i < plan->target_count; i++) {
        render_settings_free(plan->targets[i].settings);
        free(plan->targets[i].identity);
    }
    for (size_t i = 0; plan->target_of && i < plan->rules->count; i++)
        free(plan->target_of[i]);
    free(plan->targets);
    free(plan->target_of);
    route_free(plan->route);
    session_login_free(plan->login);
    *plan = (struct plan){0};
}
