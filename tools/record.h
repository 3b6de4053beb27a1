/* tools/record.h - a rendered record as people and rule tests see it. */
#ifndef TOOLS_RECORD_H
#define TOOLS_RECORD_H

#include "actions/action.h"
#include "sql/json.h"

/* One JSON object on one line: "action", the type's fields (null where absent), "value" or, for bytes that
 * are no UTF-8, "valueBase64". `settings` adds the effective client properties, secrets masked; NULL: without
 * them. */
void record_print(const struct action_type *type, const struct action_record *record,
                  const struct action_settings *settings, struct buf *out);

/* Hold a record against what a test wants: an object whose members are as record_print writes them; members
 * it does not name are free. 1: the same; 0: not; -1 with `err`: `want` is no such object. */
int record_matches(const struct action_type *type, const struct action_record *record,
                   const struct sql_json *want, struct err *err);

#endif
