/* action_reader.h - one action while it is read. */
#ifndef RULES_ACTION_READER_H
#define RULES_ACTION_READER_H

#include "reader.h"

struct action_reader {
    struct reader *reader;
    const struct doc_node *object; /* the action's fields */
    struct rule_action *action;
    struct span *constants; /* for type->check: one for each field row */
    struct doc_node **nodes;
    bool failed;
};

/* Settings in the order defaults, rule, destination: later ones win. `node` may be NULL. */
void action_read_settings(struct action_reader *in, const struct doc_node *node);

/* What the type itself says of constants and settings. */
void action_run_check(struct action_reader *in);

#endif
