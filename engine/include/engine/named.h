/* engine/named.h - every secret that configuration and rules name by constants, and where. Fetches nothing.
 */
#ifndef ENGINE_NAMED_H
#define ENGINE_NAMED_H

#include "rules/config.h"
#include "rules/rule.h"
#include "secrets/secrets.h"
#include "sql/sql.h"

/* All valid during the call; the texts of `query` as long as rules and configuration. */
struct named_secret {
    const struct rule *rule; /* NULL: the configuration itself */
    const char *file;        /* where it stands: a setting of a rule may come from the configuration */
    const char *path;        /* "sql", "actions[0].kafka.key", "mqtt.password" */
    struct pos pos;          /* of the template, where that is known */
    const struct sql_secret_query *query;
};

/* What to ask the secrets for it. Borrows the texts. */
struct secret_query named_ask(const struct sql_secret_query *asked);

typedef void named_seen(void *context, const struct named_secret *named);

/* Disabled rules are left out. */
void named_each(const struct config *config, const struct rule_set *rules, named_seen *seen, void *context);
void named_in_config(const struct config *config, named_seen *seen, void *context);
void named_in_rule(const struct rule *rule, named_seen *seen, void *context); /* also a disabled one */

#endif
