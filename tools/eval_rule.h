/* tools/eval_rule.h - a whole rule on one message: `topicrule eval --rule`. */
#ifndef TOOLS_EVAL_RULE_H
#define TOOLS_EVAL_RULE_H

#include "sql/sql.h"

#include <stdbool.h>

/* Load the rule of `file` and print one JSON line per action. `message` NULL: load (and explain) only. Says
 * what is wrong on standard error. Returns an exit status. */
int eval_rule(const char *file, bool explain, struct sql_scope *scope, struct sql_message *message);

#endif
