/* rule_set.h - reading one rule when the settings from the configuration are already compiled. */
#ifndef RULES_RULE_SET_H
#define RULES_RULE_SET_H

#include "reader.h"

/* rule_read with `options->defaults` compiled as `shared` (NULL: none). */
struct rule *rule_read_shared(struct span text, const char *file, const struct rule_options *options,
                              struct shared_settings *shared, struct report *report);

#endif
