/* sql/json.h - a JSON text taken apart and compared with every digit kept.
 *
 * For those who read rule tests and show results: JSON libraries turn 34-digit numbers and 1E400 into
 * doubles. Not for the path of a message. Values are spans into the caller's text. */
#ifndef SQL_JSON_H
#define SQL_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>

enum sql_json_kind {
    SQL_JSON_NULL,
    SQL_JSON_BOOLEAN,
    SQL_JSON_NUMBER,
    SQL_JSON_STRING,
    SQL_JSON_ARRAY,
    SQL_JSON_OBJECT,
};
const char *sql_json_kind_name(enum sql_json_kind kind); /* "a number", "an array": for messages */

/* One value inside a checked text: its text without blanks around it. */
struct sql_json {
    enum sql_json_kind kind;
    struct span text;
};

/* Check the whole of `text` (RFC 8259, valid UTF-8, no deeper than the payload reader allows). 0 with the
 * value in `out`, or -1 with `err`, placed in `text`. */
int sql_json_read(struct span text, struct sql_json *out, struct err *err);

/* Step through an Array or Object: members in the order of the text, names repeated if they are.
 *
 *     struct sql_json_walk walk = sql_json_walk(&object);
 *     while (sql_json_next(&walk, &name, &item)) ... */
struct sql_json_walk {
    const char *at, *end;
    bool object;
};
struct sql_json_walk sql_json_walk(const struct sql_json *container);
/* `name` is a String (its quotes included); it may be NULL for arrays. */
bool sql_json_next(struct sql_json_walk *walk, struct sql_json *name, struct sql_json *item);

/* The characters of a String: in place where nothing is escaped, else in `arena`; never a NULL address. False
 * when the arena is full. */
bool sql_json_text(const struct sql_json *string, struct arena *arena, struct span *out);
/* Append the text without blanks between its tokens; numbers and strings stay as written. */
void sql_json_compact(const struct sql_json *json, struct buf *out);

/* Are two texts the same JSON? Objects without regard to the order of their members, arrays in order, strings
 * by characters, numbers by exact decimal value. With `tolerance` above 0 a number of `want` that is not 0
 * allows |got - want| <= tolerance * max(|want|, 1e-300). Returns 0, or -1 with `err` (out of memory); a text
 * that is no JSON equals nothing. */
int sql_json_equal(struct span want, struct span got, double tolerance, bool *equal, struct err *err);

#endif
