/* row.h - a record, and the message it was made from, as bytes for the store.
 *
 * Bytes on disk outlive the program that wrote them, so they name what they hold: an action's fields by their
 * names, with a version in front. Reading trusts nothing: a damaged row is an error, never a crash. */
#ifndef ENGINE_ROW_H
#define ENGINE_ROW_H

#include "actions/action.h"
#include "base/arena.h"
#include "base/buf.h"
#include "sql/sql.h"

/* Append; see buf.failed. */
void row_put_record(struct buf *out, const struct action_type *type, const struct action_record *record);
void row_put_message(struct buf *out, const struct sql_message *message);

/* Texts are borrowed from `bytes`, tables come from the arena. Fields that `type` does not know are left out,
 * those that the row lacks are absent. 0, or -1 with `err`. */
int row_get_record(struct span bytes, const struct action_type *type, struct arena *arena,
                   struct action_record *out, struct err *err);
int row_get_message(struct span bytes, struct arena *arena, struct sql_message *out, struct err *err);

/* One JSON object for people, of either or both (data NULL: not there): texts as they are where they are
 * UTF-8, else
 * {"base64": "..."}. 0, or -1 with `err`. */
int row_print(struct span record, struct span origin, struct buf *out, struct err *err);

#endif
