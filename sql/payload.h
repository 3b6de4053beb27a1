/* sql/payload.h - JSON (RFC 8259, strict, UTF-8 checked) read once into a flat tape in the arena.
 *
 * Nothing is copied: strings and numbers are spans into the text, which must outlive the tape. No recursion:
 * depth is a number, bounded by PAYLOAD_DEPTH. The tape's layout is this room's affair: use value.h to walk
 * it. Time is linear in the text, n log n where names are repeated or made to collide.
 *
 * Where the RFC leaves a choice: a name that occurs twice keeps the last value, at the first one's place; an
 * escaped surrogate without its other half is no JSON, since it stands for no character; a byte order mark
 * neither. A number beyond 9.99E999 is Undefined, the rest of the payload stands. */
#ifndef SQL_PAYLOAD_H
#define SQL_PAYLOAD_H

#include "value.h"

enum { PAYLOAD_DEPTH = 1000 };

enum payload_kind {
    PAYLOAD_JSON,   /* `root` is an ARRAY or OBJECT */
    PAYLOAD_SCALAR, /* valid JSON, but a bare scalar: counts as binary for rules (docs/sql.md); `root` is
                       set */
    PAYLOAD_EMPTY,  /* no bytes, or white space alone */
    PAYLOAD_BINARY, /* anything else; `err` says why and where */
    PAYLOAD_LIMIT,  /* the arena's limit or PAYLOAD_DEPTH was met */
};

/* `err` is filled for PAYLOAD_BINARY and PAYLOAD_LIMIT: what is wrong, at which byte (pos line/column). */
enum payload_kind payload_read(struct span text, struct arena *arena, struct value *root, struct err *err);

#endif
