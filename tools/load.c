#include "load.h"

#include "engine/named.h"
#include "engine/render.h"
#include "types.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int load_secrets(const struct config *config, struct secrets **out, struct err *err)
{
    const struct secrets_config wanted = {
        .file = config->file,
        .base_directory = config->directory,
        .default_backend = config->secrets.default_backend,
        .backends = config->secrets.backends,
        .backend_count = config->secrets.backend_count,
        .cache_ms = config->secrets.cache_ms,
        .stale_limit_ms = config->secrets.stale_limit_ms,
    };

    *out = NULL;
    if (wanted.backend_count == 0)
        return 0;
    *out = secrets_new(&wanted, err);
    return *out ? 0 : -1;
}

/* ---- who published it: MQTT does not say, so the configuration must ---- */

static bool is_set(const struct config_identity *identity)
{
    return identity->topic_level > 0 || identity->user_property;
}

static void doubt_identity(const struct rule *rule, const struct config *config, struct report *report)
{
    const struct {
        const char *function, *key, *says;
        bool set;
    } rows[] = {
        {"clientid", "client_id", "'n/a'", is_set(&config->identity.client_id)},
        {"principal", "principal", "Undefined", is_set(&config->identity.principal)},
        {"sourceip", "source_ip", "Undefined", is_set(&config->identity.source_ip)},
        {"accountid", "account_id", "Undefined", config->identity.account_id},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!rows[i].set && rule_calls(rule, rows[i].function))
            report_warn(
                report, rule->file, NULL, (struct pos){0, 0},
                "%s() will be %s: an MQTT subscriber is not told; the configuration's identity.%s says "
                "where to take it from",
                rows[i].function, rows[i].says, rows[i].key);
}

/* Of three arguments the last one is a role, as AWS has it; people who mean a member write it there. */
static void doubt_role(void *context, const struct named_secret *named)
{
    const struct span role = named->query->role_arn;
    struct report *report = context;

    if (role.size > 0 && !span_starts_with(role, "arn:"))
        report_warn(report, named->file, named->path, named->pos,
                    "get_secret: \"" SPAN_FMT
                    "\" is no role's ARN; a member of a secret is named by the third of "
                    "four arguments: get_secret('ID', 'SecretString', '" SPAN_FMT "', '')",
                    SPAN_ARG(role), SPAN_ARG(role));
}

static void doubt_secrets(const struct rule *rule, const struct config *config, struct report *report)
{
    if (config->secrets.allow_count == 0 && render_computes_secrets(rule))
        report_warn(
            report, rule->file, NULL, (struct pos){0, 0},
            "get_secret() with an id that messages compute always fails: secrets.allow names no such ids");
    named_in_rule(rule, doubt_role, report);
}

static void doubt_topic(const struct rule *rule, const struct rule_action *action, struct report *report)
{
    for (size_t i = 0; action->type && action->type->fields[i].name; i++)
        if (strcmp(action->type->fields[i].name, "topic") == 0 && action->fields[i] &&
            sql_template_calls(action->fields[i], "get_secret"))
            report_warn(report, rule->file, NULL, (struct pos){0, 0},
                        "a topic with a secret in it: log, status and dead letters name topics");
}

static void doubt_topics(const struct rule *rule, struct report *report)
{
    for (size_t i = 0; i < rule->action_count; i++)
        doubt_topic(rule, &rule->actions[i], report);
    if (rule->error_action)
        doubt_topic(rule, rule->error_action, report);
}

/* ---- secrets that lead nowhere ---- */

struct leading {
    const struct secrets *secrets;
    struct report *report;
};

/* One mistake in the configuration is one finding, however many rules share the setting. */
static bool is_told(const struct report *report, const struct err *err)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct err *told = &report->findings[i].err;

        if (told->pos.line == err->pos.line && strcmp(told->text, err->text) == 0 &&
            strcmp(told->path, err->path) == 0 && strcmp(told->file, err->file) == 0)
            return true;
    }
    return false;
}

static void follow(void *context, const struct named_secret *named)
{
    const struct leading *leading = context;
    struct err err = {0};
    const char *backend;
    struct span there;
    const bool has_key = named->query->type == SQL_SECRET_BINARY && named->query->key.data;

    if (secrets_where(leading->secrets, named->query->id, &backend, &there, &err) == 0 && !has_key)
        return;
    if (err.code == ERR_NONE)
        err_set(&err, ERR_SECRET,
                "secret \"" SPAN_FMT "\": 'SecretBinary' takes no key: only a 'SecretString' has members",
                SPAN_ARG(named->query->id));
    err.pos = named->pos;
    err_in(&err, named->file, named->path);
    if (!is_told(leading->report, &err))
        report_add(leading->report, SEVERITY_ERROR, &err);
}

void load_check_config_secrets(const struct config *config, const struct secrets *secrets,
                               struct report *report)
{
    named_in_config(config, follow, &(struct leading){secrets, report});
}

void load_check_rule_secrets(const struct rule *rule, const struct secrets *secrets, struct report *report)
{
    named_in_rule(rule, follow, &(struct leading){secrets, report});
}

/* ---- files of the configuration ---- */

static void check_file(const struct config *config, const char *key, struct span name, struct pos pos,
                       struct report *report)
{
    char path[4096];

    if (name.size == 0)
        return;
    (void)snprintf(path, sizeof path, "%s%s" SPAN_FMT, name.data[0] == '/' ? "" : config->directory,
                   name.data[0] == '/' ? "" : "/", SPAN_ARG(name));
    if (access(path, R_OK) == 0)
        return;
    if (errno == EACCES) /* the service may have the right that we lack */
        report_warn(report, config->file, key, pos, "%s: we may not read it: %s", path, strerror(errno));
    else
        report_error(report, config->file, key, pos, "%s: %s", path, strerror(errno));
}

static void check_text(const struct config *config, const char *key, const struct config_text *text,
                       struct report *report)
{
    if (text->tmpl)
        check_file(config, key, sql_template_constant(text->tmpl), text->pos, report);
}

/* Those for TLS alone: a file with a token may come later, and is waited for. */
static void check_backend(const struct config *config, const struct option_group *backend,
                          struct report *report)
{
    char key[256];

    for (size_t i = 0; i < backend->option_count; i++) {
        const struct option_pair *option = &backend->options[i];

        if (strcmp(option->name, "ca_file") != 0 && strcmp(option->name, "cert_file") != 0 &&
            strcmp(option->name, "key_file") != 0)
            continue;
        (void)snprintf(key, sizeof key, "secrets.backends.%s.%s", backend->name, option->name);
        check_file(config, key, span_of(option->value), option->pos, report);
    }
}

void load_check_files(const struct config *config, struct report *report)
{
    check_text(config, "mqtt.tls.ca_file", &config->mqtt.tls.ca_file, report);
    check_text(config, "mqtt.tls.cert_file", &config->mqtt.tls.cert_file, report);
    check_text(config, "mqtt.tls.key_file", &config->mqtt.tls.key_file, report);
    for (size_t i = 0; i < config->secrets.backend_count; i++)
        check_backend(config, &config->secrets.backends[i], report);
}

/* ---- rules ---- */

struct rule_set *load_rules(const char *path, const struct config *config, bool release,
                            struct report *report)
{
    const struct rule_options options = {
        .types = action_types,
        .defaults = config ? &config->kafka : NULL,
        .release = release,
        .skip_unsupported = config && config->skip_unsupported,
        .basic_ingest = config && config->mqtt.basic_ingest,
    };
    struct rule_set *set = rule_set_load(path, &options, report);

    for (size_t i = 0; set && config && i < set->count; i++) {
        doubt_identity(set->rules[i], config, report);
        doubt_secrets(set->rules[i], config, report);
        doubt_topics(set->rules[i], report);
    }
    return set;
}

size_t load_runnable(const struct rule_set *set)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++)
        count += !set->rules[i]->disabled;
    return count;
}
