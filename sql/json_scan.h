/* sql/json_scan.h - the two tokens of JSON that take work: strings and numbers (RFC 8259, 6 and 7). */
#ifndef SQL_JSON_SCAN_H
#define SQL_JSON_SCAN_H

#include "node.h"

/* From behind the opening quote to the closing one; sets `escaped` when there is a backslash between. NULL:
 * `*wrong` says what, `*at` where. */
const char *json_string(const char *p, const char *end, bool *escaped, const char **at, const char **wrong);

/* Undo the escapes of a JSON string whose syntax has been checked. `out` has room for raw.size bytes. Returns
 * the length, which is never more. */
size_t json_unescape(struct span raw, char *out);

/* The number at `p`, as a node with offsets from `base`. What follows the text must be readable and no digit:
 * a bracket, a comma, a terminator. Returns what follows, or NULL when it is no number. */
const char *json_number(const char *p, const char *base, struct node *node);

#endif
