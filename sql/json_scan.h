/* sql/json_scan.h - the two tokens of JSON that take work: strings and numbers (RFC 8259, 6 and 7). */
#ifndef SQL_JSON_SCAN_H
#define SQL_JSON_SCAN_H

#include "node.h"

/* What json_string has seen. */
struct json_string {
    bool escaped;  /* there is a backslash */
    bool verbatim; /* each escape is as buf_json writes it: \" \\ \b \f \n \r \t, \u001f for the rest below
                      0x20 */
    const char *at, *wrong; /* why it is none, and where */
};

/* From behind the opening quote to the closing one, or NULL: `seen` says why. */
const char *json_string(const char *p, const char *end, struct json_string *seen);

/* Undo the escapes of a JSON string whose syntax has been checked. `out` has room for raw.size bytes. Returns
 * the length, which is never more. */
size_t json_unescape(struct span raw, char *out);

/* Write such a string with its quotes as buf_json would have it: a character is escaped where it must be. */
void json_rewrite(struct span raw, struct buf *out);

/* The number at `p`, as a node with offsets from `base`. What follows the text must be readable and no digit:
 * a bracket, a comma, a terminator. Returns what follows, or NULL when it is no number. */
const char *json_number(const char *p, const char *base, struct node *node);

#endif
