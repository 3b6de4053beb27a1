/* sql/func_string.c - functions of text.
 *
 * Text is valid UTF-8 and is counted in code points (A24). Every function is linear in what it reads and
 * writes; results are cut from their argument where that is enough, else taken from the message arena. */
#include "base/utf8.h"
#include "func.h"

#include <unicode/uchar.h>

static int give_text(struct span text, struct value *out)
{
    *out = value_string(text);
    return 0;
}

static int give_count(const struct call *call, size_t count, struct value *out)
{
    struct number number = number_from_int((int64_t)count);

    *out = value_number(&number, true, call->version);
    return 0;
}

/* The first two arguments as text: 1, 0 (Undefined) or -1, as arg_text. */
static int two_texts(const struct call *call, struct span *a, struct span *b, struct err *err)
{
    int had = arg_text(call, 0, a, err);

    return had <= 0 ? had : arg_text(call, 1, b, err);
}

/* Where `needle` begins in `text` at or after `from`, or SIZE_MAX. memmem is linear. */
static size_t find(struct span text, struct span needle, size_t from)
{
    if (needle.size == 0)
        return from;
    const char *at = needle.size == 1 ? memchr(text.data + from, needle.data[0], text.size - from)
                                      : memmem(text.data + from, text.size - from, needle.data, needle.size);

    return at ? (size_t)(at - text.data) : SIZE_MAX;
}

/* ---- case, white space, padding ---- */

/* Simple mappings, one code point to one, no locale (A25). They lengthen text by half at most: two bytes to
 * three, as in U+023A and U+2C65. */
static int map_case(const struct call *call, UChar32 (*map)(UChar32), char first, struct value *out,
                    struct err *err)
{
    struct span text;
    int had = arg_text(call, 0, &text, err);

    if (had <= 0)
        return had;
    char *mapped = call_alloc(call, text.size + text.size / 2 + 4, err);
    if (!mapped)
        return -1;
    size_t size = 0;

    for (size_t i = 0; i < text.size;) {
        unsigned char c = (unsigned char)text.data[i];
        uint32_t code;

        if (c < 0x80) {
            mapped[size++] = (char)((unsigned char)(c - first) < 26 ? c ^ 0x20 : c);
            i++;
            continue;
        }
        size_t step = utf8_decode((struct span){text.data + i, text.size - i}, &code);
        if (step == 0)
            return 0; /* not text: unreachable for Strings */
        size += utf8_encode((uint32_t)map((UChar32)code), mapped + size);
        i += step;
    }
    return give_text((struct span){mapped, size}, out);
}

static int fn_lower(const struct call *call, struct value *out, struct err *err)
{
    return map_case(call, u_tolower, 'A', out, err);
}

static int fn_upper(const struct call *call, struct value *out, struct err *err)
{
    return map_case(call, u_toupper, 'a', out, err);
}

static struct span trim_left(struct span text, const char *white)
{
    while (text.size > 0 && text.data[0] != '\0' && strchr(white, text.data[0])) {
        text.data++;
        text.size--;
    }
    return text;
}

static struct span trim_right(struct span text, const char *white)
{
    while (text.size > 0 && text.data[text.size - 1] != '\0' && strchr(white, text.data[text.size - 1]))
        text.size--;
    return text;
}

static int fn_ltrim(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    int had = arg_text(call, 0, &text, err);

    return had <= 0 ? had : give_text(trim_left(text, " \t"), out);
}

static int fn_rtrim(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    int had = arg_text(call, 0, &text, err);

    return had <= 0 ? had : give_text(trim_right(text, " \t"), out);
}

static int fn_trim(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    int had = arg_text(call, 0, &text, err);

    return had <= 0 ? had : give_text(trim_left(trim_right(text, " \t\r\n"), " \t\r\n"), out); /* A26 */
}

enum { PAD_MOST = 1000 };

static int pad(const struct call *call, bool left, struct value *out, struct err *err)
{
    struct span text;
    struct number width;
    int had = arg_text(call, 0, &text, err);

    if (had > 0)
        had = arg_int(call, 1, &width, err);
    if (had <= 0)
        return had;
    size_t spaces = (size_t)number_clamp(&width, 0, PAD_MOST);
    char *padded = call_alloc(call, text.size + spaces, err);
    if (!padded)
        return -1;
    memset(padded + (left ? 0 : text.size), ' ', spaces);
    if (text.size > 0)
        memcpy(padded + (left ? spaces : 0), text.data, text.size);
    return give_text((struct span){padded, text.size + spaces}, out);
}

static int fn_lpad(const struct call *call, struct value *out, struct err *err)
{
    return pad(call, true, out, err);
}

static int fn_rpad(const struct call *call, struct value *out, struct err *err)
{
    return pad(call, false, out, err);
}

/* ---- parts ---- */

static int fn_chr(const struct call *call, struct value *out, struct err *err)
{
    struct number code;
    int64_t ascii;
    int had = arg_int(call, 0, &code, err);

    if (had <= 0)
        return had;
    if (!number_to_int64(&code, &ascii) || ascii < 0 || ascii > 127)
        return 0;
    char *text = call_alloc(call, 1, err);
    if (!text)
        return -1;
    text[0] = (char)ascii;
    return give_text((struct span){text, 1}, out);
}

static int fn_length(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    int had = arg_text(call, 0, &text, err);

    return had <= 0 ? had : give_count(call, utf8_length(text), out);
}

static int fn_numbytes(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    int had = arg_text(call, 0, &text, err);

    return had <= 0 ? had : give_count(call, text.size, out);
}

static int fn_substring(const struct call *call, struct value *out, struct err *err)
{
    struct span text;
    struct number index;
    int had = arg_text(call, 0, &text, err);

    if (had > 0)
        had = arg_int(call, 1, &index, err);
    if (had <= 0)
        return had;
    /* No character is longer than its bytes, so clamping to the size in bytes is as good as to the length. */
    size_t from = (size_t)number_clamp(&index, 0, (int64_t)text.size), to = text.size;

    if (call->argc == 3) {
        had = arg_int(call, 2, &index, err);
        if (had <= 0)
            return had;
        to = (size_t)number_clamp(&index, 0, (int64_t)text.size);
    }
    if (from >= to)
        return give_text(SPAN(""), out);
    size_t begin = utf8_offset(text, from);
    struct span rest = {text.data + begin, text.size - begin};

    return give_text((struct span){rest.data, utf8_offset(rest, to - from)}, out);
}

static int fn_indexof(const struct call *call, struct value *out, struct err *err)
{
    struct span text, needle;
    int had = two_texts(call, &text, &needle, err);

    if (had <= 0)
        return had;
    size_t at = find(text, needle, 0);

    if (at == SIZE_MAX) {
        struct number none = number_from_int(-1); /* A23 */
        *out = value_number(&none, true, call->version);
        return 0;
    }
    return give_count(call, utf8_length((struct span){text.data, at}), out);
}

static int fn_startswith(const struct call *call, struct value *out, struct err *err)
{
    struct span text, head;
    int had = two_texts(call, &text, &head, err);

    if (had > 0)
        *out = value_boolean(text.size >= head.size && span_equal((struct span){text.data, head.size}, head));
    return had < 0 ? -1 : 0;
}

static int fn_endswith(const struct call *call, struct value *out, struct err *err)
{
    struct span text, tail;
    int had = two_texts(call, &text, &tail, err);

    if (had > 0)
        *out = value_boolean(text.size >= tail.size &&
                             (tail.size == 0 ||
                              span_equal((struct span){text.data + text.size - tail.size, tail.size}, tail)));
    return had < 0 ? -1 : 0;
}

/* An empty `old` stands before every character and at the end, as in Java. */
static int put_between(const struct call *call, struct span text, struct span put, struct value *out,
                       struct err *err)
{
    size_t size, gaps = utf8_length(text) + 1;

    if (__builtin_mul_overflow(gaps, put.size, &size) || __builtin_add_overflow(size, text.size, &size))
        size = SIZE_MAX;
    char *result = call_alloc(call, size, err), *at = result;
    if (!result)
        return -1;
    for (size_t i = 0; i <= text.size;) {
        uint32_t code;
        size_t step = utf8_decode((struct span){text.data + i, text.size - i}, &code);

        if (put.size > 0)
            at = mempcpy(at, put.data, put.size);
        if (step == 0)
            break;
        at = mempcpy(at, text.data + i, step);
        i += step;
    }
    return give_text((struct span){result, (size_t)(at - result)}, out);
}

static int fn_replace(const struct call *call, struct value *out, struct err *err)
{
    struct span text, old, put;
    int had = two_texts(call, &text, &old, err);

    if (had > 0)
        had = arg_text(call, 2, &put, err);
    if (had <= 0)
        return had;
    if (old.size == 0)
        return put_between(call, text, put, out, err);

    size_t count = 0, size;
    for (size_t at = 0; (at = find(text, old, at)) != SIZE_MAX; at += old.size)
        count++;
    if (count == 0)
        return give_text(text, out);
    if (!scope_charge(call->scope, count / 4, err))
        return -1;
    if (__builtin_mul_overflow(count, put.size, &size) ||
        __builtin_add_overflow(size, text.size - count * old.size, &size))
        size = SIZE_MAX;
    char *result = call_alloc(call, size, err), *to = result;
    if (!result)
        return -1;
    size_t done = 0;
    for (size_t at; (at = find(text, old, done)) != SIZE_MAX; done = at + old.size) {
        to = mempcpy(to, text.data + done, at - done);
        if (put.size > 0)
            to = mempcpy(to, put.data, put.size);
    }
    memcpy(to, text.data + done, text.size - done);
    return give_text((struct span){result, size}, out);
}

const struct sql_func sql_string_funcs[] = {
    {"chr", 1, 1, FUNC_PURE, fn_chr, "chr(code): the ASCII character with that code, 0 to 127"},
    {"endswith", 2, 2, FUNC_PURE, fn_endswith, "endswith(text, tail): true if the text ends with the tail"},
    {"indexof", 2, 2, FUNC_PURE | FUNC_V2, fn_indexof,
     "indexof(text, part): where the part first begins, from 0; -1 if nowhere"},
    {"length", 1, 1, FUNC_PURE | FUNC_V2, fn_length, "length(text): number of characters"},
    {"lower", 1, 1, FUNC_PURE, fn_lower, "lower(text): in lower case"},
    {"lpad", 2, 2, FUNC_PURE, fn_lpad, "lpad(text, n): n blanks (0 to 1000) before the text"},
    {"ltrim", 1, 1, FUNC_PURE, fn_ltrim, "ltrim(text): without blanks and tabs at the start"},
    {"numbytes", 1, 1, FUNC_PURE | FUNC_V2, fn_numbytes, "numbytes(text): number of bytes in UTF-8"},
    {"replace", 3, 3, FUNC_PURE, fn_replace, "replace(text, old, new): every old part becomes the new"},
    {"rpad", 2, 2, FUNC_PURE, fn_rpad, "rpad(text, n): n blanks (0 to 1000) after the text"},
    {"rtrim", 1, 1, FUNC_PURE, fn_rtrim, "rtrim(text): without blanks and tabs at the end"},
    {"startswith", 2, 2, FUNC_PURE, fn_startswith,
     "startswith(text, head): true if the text begins with the head"},
    {"substring", 2, 3, FUNC_PURE, fn_substring,
     "substring(text, from[, to]): characters from, from 0, up to and without to"},
    {"trim", 1, 1, FUNC_PURE, fn_trim, "trim(text): without white space at both ends"},
    {"upper", 1, 1, FUNC_PURE, fn_upper, "upper(text): in upper case"},
    {.name = NULL},
};
