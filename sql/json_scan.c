#include "json_scan.h"

#include "base/utf8.h"

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* ---- strings ---- */

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Bit 7 of the first byte that a string may not just run over: quote, backslash, control, not ASCII. Bits of
 * later bytes may be wrong (borrows run upward), the lowest one is right. */
static uint64_t special_bytes(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    uint64_t quote = word ^ EACH_BYTE('"'), slash = word ^ EACH_BYTE('\\');

    return (((quote - EACH_BYTE(1)) & ~quote) | ((slash - EACH_BYTE(1)) & ~slash) |
            ((word - EACH_BYTE(0x20)) & ~word) | word) &
           EACH_BYTE(0x80);
}

/* Length of the UTF-8 character at `p`, which is not ASCII; 0 when it is none. */
static size_t character(const char *p, const char *end)
{
    const unsigned char *s = (const unsigned char *)p;
    uint32_t code;

    if (end - p >= 3) { /* the usual two and three byte forms, without a call */
        if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
            return 2;
        if (s[0] >= 0xe1 && s[0] <= 0xec && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80)
            return 3;
    }
    return utf8_decode((struct span){p, (size_t)(end - p)}, &code);
}

static int hex4(const char *p)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = is_digit(c)              ? c - '0'
                    : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                    : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                             : -1;

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Is this \uXXXX, which stands for `code`, what buf_json would write? */
static bool is_ours(const char *p, int code)
{
    return code < 0x20 && !(code >= '\b' && code <= '\r' && code != '\v') && (p[5] < 'A' || p[5] > 'F');
}

/* Length of the escape at `p`, a backslash; 0 when it is none. A surrogate counts only as half of a pair:
 * alone it is no character, and a String is UTF-8 (RFC 8259, 8.2 leaves this open; jansson refuses it too).
 */
static size_t escape(const char *p, const char *end, bool *verbatim)
{
    if (end - p < 2)
        return 0;
    switch (p[1]) {
    case '/': *verbatim = false; return 2;
    case '"':
    case '\\':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return 2;
    case 'u': break;
    default: return 0;
    }
    if (end - p < 6)
        return 0;
    int code = hex4(p + 2);
    if (code < 0 || (code >= 0xdc00 && code <= 0xdfff))
        return 0;
    *verbatim &= is_ours(p, code);
    if (code < 0xd800 || code > 0xdbff)
        return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return 0;
    code = hex4(p + 8);
    return code >= 0xdc00 && code <= 0xdfff ? 12 : 0;
}

const char *json_string(const char *p, const char *end, struct json_string *seen)
{
    seen->escaped = false;
    seen->verbatim = true;
    for (;;) {
        while (end - p >= 8) {
            uint64_t special = special_bytes(p);

            if (special) {
                p += __builtin_ctzll(special) >> 3;
                goto found;
            }
            p += 8;
        }
        while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
            p++;
        seen->at = p;
        if (p == end) {
            seen->wrong = "a string has no end";
            return NULL;
        }
    found:
        if (*p == '"')
            return p;
        seen->at = p;
        if ((unsigned char)*p >= 0x80) {
            do {
                size_t size = character(p, end);

                if (size == 0) {
                    seen->at = p;
                    seen->wrong = "a byte that is not UTF-8";
                    return NULL;
                }
                p += size;
            } while (p < end && (unsigned char)*p >= 0x80);
            continue;
        }
        if (*p != '\\') {
            seen->wrong = "a control character in a string";
            return NULL;
        }
        size_t size = escape(p, end, &seen->verbatim);
        if (size == 0) {
            seen->wrong = "an escape that stands for no character";
            return NULL;
        }
        seen->escaped = true;
        p += size;
    }
}

/* Undo the escape at `*p`, a backslash, and step over it. Returns the length in `out`. */
static size_t unescape(const char **p, char out[4])
{
    char c = (*p)[1];

    *p += 2;
    switch (c) {
    case 'b': *out = '\b'; return 1;
    case 'f': *out = '\f'; return 1;
    case 'n': *out = '\n'; return 1;
    case 'r': *out = '\r'; return 1;
    case 't': *out = '\t'; return 1;
    case 'u': break;
    default: *out = c; return 1; /* quote, backslash, slash */
    }
    uint32_t code = (uint32_t)hex4(*p);

    *p += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(*p + 2) - 0xdc00);
        *p += 6;
    }
    return utf8_encode(code, out);
}

size_t json_unescape(struct span raw, char *out)
{
    const char *p = raw.data, *end = p + raw.size;
    size_t size = 0;

    while (p < end) {
        const char *next = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((next ? next : end) - p);

        memcpy(out + size, p, plain);
        size += plain;
        p += plain;
        if (next)
            size += unescape(&p, out + size);
    }
    return size;
}

void json_rewrite(struct span raw, struct buf *out)
{
    const char *p = raw.data, *end = p + raw.size;

    buf_char(out, '"');
    while (p < end) {
        const char *next = memchr(p, '\\', (size_t)(end - p));
        char plain[4], quoted[16];

        buf_add(out, p, (size_t)((next ? next : end) - p));
        if (!next)
            break;
        p = next;
        struct span character = {plain, unescape(&p, plain)};
        struct buf buf = {.data = quoted, .room = sizeof quoted, .limit = sizeof quoted - 1};

        buf_json(&buf, character);
        buf_add(out, quoted + 1, buf.size - 2); /* without the quotes */
    }
    buf_char(out, '"');
}

/* ---- numbers ---- */

/* Which versions print this number just as it is written? Not quite all, but no wrong ones. */
static unsigned verbatim_number(const char *from, const char *point, const char *to)
{
    const char *first = from + (*from == '-');

    if (to - first > NUMBER_DIGITS)
        return 0;
    if (*first != '0')
        return !point || to[-1] != '0' ? BOTH_VERSIONS : 1 << SQL_2015_10_08;
    /* 0.00..: plain only while a digit or the end comes within six places, and zero has no sign. */
    if (!point)
        return first == from ? BOTH_VERSIONS : 0;
    for (const char *p = point + 1; p < to && p <= point + 6; p++)
        if (*p != '0')
            return to[-1] != '0' ? BOTH_VERSIONS : 1 << SQL_2015_10_08;
    return first == from && to - point <= 7 ? 1 << SQL_2015_10_08 : 0;
}

const char *json_number(const char *p, const char *base, struct node *node)
{
    const char *from = p, *point = NULL, *digits;
    bool exponent = false;

    p += *p == '-';
    digits = p;
    if (*p == '0')
        p++;
    else
        while (is_digit(*p))
            p++;
    if (p == digits)
        return NULL;
    size_t whole = (size_t)(p - digits);
    if (*p == '.') {
        point = p++;
        while (is_digit(*p))
            p++;
        if (p == point + 1)
            return NULL;
    }
    if (*p == 'e' || *p == 'E') {
        exponent = true;
        p++;
        p += *p == '-' || *p == '+';
        for (digits = p; is_digit(*p);)
            p++;
        if (p == digits)
            return NULL;
    }
    *node = (struct node){
        .at = (uint32_t)(from - base),
        .size = (uint32_t)(p - from),
        .next = 1,
        .kind = !point && !exponent && whole <= NUMBER_DIGITS ? VALUE_INT : VALUE_DECIMAL,
        .verbatim = (exponent ? 0 : verbatim_number(from, point, p)) & BOTH_VERSIONS,
    };
    if (exponent || whole > 900) { /* only these can be out of range */
        struct number number;

        if (!number_from_json(node_text(node, base), &number)) {
            node->kind = VALUE_UNDEFINED;
            node->verbatim = 0;
        }
    }
    return p;
}
