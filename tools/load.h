/* tools/load.h - configuration -> secrets -> rules, in the one order in which they need each other. */
#ifndef TOOLS_LOAD_H
#define TOOLS_LOAD_H

#include "rules/config.h"
#include "rules/rule.h"
#include "secrets/secrets.h"

#define CONFIG_FILE "/etc/topicrule/topicrule.yaml"

/* The secrets that the configuration names. 0 with `*out` (NULL: it names no backend), or -1 with `err`. */
int load_secrets(const struct config *config, struct secrets **out, struct err *err);

/* The rules of a file or folder, as this configuration wants them (NULL: the defaults). `release`: refuse
 * what this version cannot run yet. Adds what `config` makes doubtful about them to the report. NULL when the
 * path cannot be read. */
struct rule_set *load_rules(const char *path, const struct config *config, bool release,
                            struct report *report);

/* Adds an error for each secret that the configuration, or a rule, names and for which there is no backend.
 * Asks none. `secrets` may be NULL: the configuration has no backend. */
void load_check_config_secrets(const struct config *config, const struct secrets *secrets,
                               struct report *report);
void load_check_rule_secrets(const struct rule *rule, const struct secrets *secrets, struct report *report);

/* Adds an error for each file for TLS (mqtt.tls, backends of secrets) that is not there, and a warning for
 * one that we may not read. */
void load_check_files(const struct config *config, struct report *report);

/* How many rules of the set would run: those that are not disabled. */
size_t load_runnable(const struct rule_set *set);

#endif
