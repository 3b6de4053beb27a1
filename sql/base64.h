/* sql/base64.h - base64 (RFC 4648, section 4) into an arena. */
#ifndef SQL_BASE64_H
#define SQL_BASE64_H

#include "base/arena.h"
#include "base/span.h"

#include <stdbool.h>

/* False: the arena's limit is met, or `bytes` is longer than OpenSSL takes (1.5 GiB). */
bool base64_encode(struct span bytes, struct arena *arena, struct span *out);

enum base64 {
    BASE64_DECODED,
    BASE64_INVALID, /* a character that is not of the alphabet, or padding where none belongs */
    BASE64_LIMIT,   /* the arena's limit was met */
};

/* As strict as java.util.Base64, which AWS uses: no white space and no other alphabet; the padding must be
 * right or be left out whole. */
enum base64 base64_decode(struct span text, struct arena *arena, struct span *out);

#endif
