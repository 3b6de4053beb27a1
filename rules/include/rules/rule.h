/* rules/rule.h - rule documents (AWS topicRulePayload, JSON or YAML) -> checked, immutable rules.
 *
 * Rules are immutable once loaded and may be read by any thread; a set is reference counted and swapped
 * whole. */
#ifndef RULES_RULE_H
#define RULES_RULE_H

#include "actions/action.h"
#include "base/report.h"
#include "base/span.h"
#include "sql/sql.h"

#include <stdbool.h>
#include <stddef.h>

struct rule_setting {
    const char *name;
    struct sql_template *value;
    const char
        *text; /* the value as written, for people: a template that calls get_secret is shown, not run */
    struct pos pos;
    const char *path;   /* "actions[0].kafka.clientProperties.acks" */
    const char *origin; /* NULL: the rule's file; else the configuration's */
};

struct rule_pair {
    struct sql_template *key, *value;
};

struct rule_action {
    const struct action_type *type; /* NULL: an AWS action that is not built here, skipped with a warning */
    const char *type_name;
    size_t index;                 /* place in the rule's list; errorAction: SIZE_MAX */
    struct sql_template **fields; /* one for each row of type->fields; NULL: absent (or not a TEMPLATE) */
    struct rule_pair *pairs;
    size_t pair_count;
    struct rule_setting *settings; /* merged: defaults, the rule's, the destination's; later wins */
    size_t setting_count;
    const char *destination_arn; /* NULL: none */
};

struct rule {
    const char *name; /* the file's name without its ending */
    const char *file;
    const char *description; /* NULL: none */
    bool disabled;
    struct sql_program *program;
    struct span filter; /* of the program; data NULL: Basic Ingest only */
    struct rule_action *actions;
    size_t action_count;
    struct rule_action *error_action; /* NULL: none */
};

struct rule_set {
    struct rule **rules; /* by name */
    size_t count;
};

/* How to read them. Borrowed during a load. */
struct rule_options {
    const struct action_type *const *types; /* ended by NULL */
    /* Settings from the configuration, by action type: kafka.defaults and kafka.destinations. Templates not
     * expanded. */
    const struct rule_defaults *defaults; /* NULL: none */
    bool release; /* refuse what is known and not built yet (`run`); false: accept with a warning (`check`) */
    bool skip_unsupported; /* unsupported_actions: skip */
    bool basic_ingest;     /* a rule without FROM is fine */
};

struct rule_default {
    const char *destination_arn; /* NULL: for every rule */
    const char *name, *value;
    struct pos pos;
    const char *path;
};
struct rule_defaults {
    const char *file;
    const struct rule_default *items;
    size_t count;
};

/* One rule from text. `file` names it in messages and gives the rule its name. NULL when it is refused:
 * findings with SEVERITY_ERROR are in the report. Warnings may be there in either case. */
struct rule *rule_read(struct span text, const char *file, const struct rule_options *options,
                       struct report *report);
struct rule *rule_load(const char *file, const struct rule_options *options, struct report *report);
void rule_free(struct rule *rule);
/* Does its statement or a template of a record of it call the SQL function? Client settings do not count. */
bool rule_calls(const struct rule *rule, const char *name);

/* Every *.json, *.yaml, *.yml of a directory (or the one file), in the order of their names. Refused rules
 * are left out and reported; the others are in the set. NULL only when the directory cannot be read or memory
 * is out (reported). Two files with the same rule name: both are refused. */
struct rule_set *rule_set_load(const char *path, const struct rule_options *options, struct report *report);
struct rule_set *rule_set_ref(struct rule_set *set);
void rule_set_free(struct rule_set *set); /* one reference */

#endif
