/* sql/value.h - a value of the language: 32 bytes, copied freely; what it points to lives in the message
 * arena (or in the program, for constants).
 *
 * Containers come in two forms with one way to walk them: nodes of the payload's tape, which are read in
 * place, and lists that an expression built. A number from the payload stays text until somebody calculates
 * with it. */
#ifndef SQL_VALUE_H
#define SQL_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "number.h"
#include "sql/sql.h"

enum value_type {
    VALUE_UNDEFINED,
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_INT,
    VALUE_DECIMAL,
    VALUE_STRING, /* valid UTF-8, may hold NUL */
    VALUE_ARRAY,
    VALUE_OBJECT,
};

enum value_form {
    FORM_PLAIN, /* boolean, number, text: as the union says */
    FORM_RAW,   /* STRING: `text` is the JSON text between the quotes, escapes not undone.
                 * INT, DECIMAL: `text` is the JSON text of the number. */
    FORM_NODE,  /* ARRAY, OBJECT: on a payload's tape */
    FORM_LIST,  /* ARRAY, OBJECT: built */
};

struct node;   /* sql/node.h */
struct member; /* below */

struct value {
    unsigned char type; /* enum value_type */
    unsigned char form; /* enum value_form */
    bool secret;        /* get_secret took part */
    /* FORM_RAW: bit 1 << version when `text` is just what value_print would write (a STRING: between the
     * quotes). 0 is always right. */
    unsigned char verbatim;
    union {
        bool boolean;
        struct number number;
        struct span text;
        struct {
            const struct node *node;
            const char *base; /* the payload's first byte: nodes hold offsets */
        };
        struct {
            const struct value *items;    /* ARRAY */
            const struct member *members; /* OBJECT: keys differ from each other */
            size_t count;
        } list;
    };
};

struct member {
    struct span key; /* unescaped */
    struct value value;
};

#define VALUE_NOTHING ((struct value){.type = VALUE_UNDEFINED})

static inline struct value value_null(void)
{
    return (struct value){.type = VALUE_NULL};
}

static inline struct value value_boolean(bool boolean)
{
    return (struct value){.type = VALUE_BOOLEAN, .boolean = boolean};
}

static inline struct value value_string(struct span text)
{
    return (struct value){.type = VALUE_STRING, .text = text};
}

static inline bool value_is_number(const struct value *value)
{
    return value->type == VALUE_INT || value->type == VALUE_DECIMAL;
}

/* A result as the version has it: 2016-03-23 turns whole Decimals into Int (reduced), 2015-10-08 keeps them.
 */
struct value value_number(const struct number *number, bool is_int, enum sql_version version);

/* Undo FORM_RAW. The number, or false if it is out of range (then the value counts as Undefined). */
bool value_get_number(const struct value *value, struct number *out);
/* The characters of a STRING: in place when there is no escape, else unescaped into the arena. False: limit.
 */
bool value_get_text(const struct value *value, struct arena *arena, struct span *out);

/* ---- containers ---- */

size_t value_count(const struct value *container); /* members or elements; 0 for anything else */
/* About how many steps it takes to look at all of it: what an evaluation is charged for long values. */
size_t value_weight(const struct value *value);
/* The member, or Undefined when `object` is no Object or lacks it. */
struct value value_member(const struct value *object, struct span key);
/* The element, or Undefined. */
struct value value_element(const struct value *array, size_t index);

struct value_walk {
    const struct value *container;
    const struct node *node;
    size_t index;
};
/* for (walk = value_walk(&v); value_next(&walk, &key, &item);) - `key` may be NULL for arrays; it is
 * unescaped into `arena` if need be. A false return with `*failed` set means the arena's limit was met. */
struct value_walk value_walk(const struct value *container);
bool value_next(struct value_walk *walk, struct arena *arena, struct span *key, struct value *item,
                bool *failed);

/* ---- the standard conversions (docs/sql.md) ---- */

enum convert {
    CONVERTED,
    NOT_CONVERTED, /* the result is Undefined */
    CONVERT_LIMIT, /* the arena's limit was met: an SQL error */
};
/* To Decimal: numbers, and Strings that match the pattern. Null is NOT_CONVERTED (as a function argument). */
enum convert value_to_number(const struct value *value, struct arena *arena, struct number *out);
/* To Int: a number is floored, a String cut toward zero (A4). */
enum convert value_to_int(const struct value *value, struct arena *arena, struct number *out);
enum convert value_to_boolean(const struct value *value, struct arena *arena, bool *out);
enum convert value_to_text(const struct value *value, enum sql_version version, struct arena *arena,
                           struct span *out);

/* `=` without conversion between types; deep for containers. Undefined operands are the caller's affair. */
enum convert value_equal(const struct value *a, const struct value *b, struct arena *arena, bool *equal);

/* ---- output ---- */

/* Compact JSON. Undefined prints nothing; Undefined members and elements are left out. Never recurses deeper
 * than the payload's depth limit allows. Failure is remembered in `out` (buf.h). */
void value_print(const struct value *value, enum sql_version version, struct arena *arena, struct buf *out);

#endif
