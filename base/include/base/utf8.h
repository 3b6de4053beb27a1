/* base/utf8.h - UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/span.h"

#include <stdint.h>

/* Length of the longest valid prefix: `text.size` if all of it is valid. */
size_t utf8_valid(struct span text);

/* Decode the character at `text.data` (not empty). Returns its length 1..4 and sets `code`, or 0 if invalid.
 */
size_t utf8_decode(struct span text, uint32_t *code);

/* Encode `code` into `out`, 4 bytes at most. Returns the length, 0 for a surrogate or a value out of range.
 */
size_t utf8_encode(uint32_t code, char *out);

/* Number of code points in valid UTF-8. */
size_t utf8_length(struct span text);

/* Byte offset of code point `index`, at most `text.size`. */
size_t utf8_offset(struct span text, size_t index);

#endif
