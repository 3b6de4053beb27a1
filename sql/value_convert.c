/* The standard conversions (docs/sql.md, "Conversions"). */
#include "value.h"

enum convert value_to_number(const struct value *value, struct arena *arena, struct number *out)
{
    if (value_is_number(value))
        return value_get_number(value, out) ? CONVERTED : NOT_CONVERTED;
    if (value->type != VALUE_STRING)
        return NOT_CONVERTED;

    struct arena_mark mark = arena_mark(arena);
    struct span text;
    if (!value_get_text(value, arena, &text))
        return CONVERT_LIMIT;
    bool is_number = number_from_string(text, out);
    arena_rewind(arena, mark);
    return is_number ? CONVERTED : NOT_CONVERTED;
}

enum convert value_to_int(const struct value *value, struct arena *arena, struct number *out)
{
    enum convert converted = value_to_number(value, arena, out);

    if (converted == CONVERTED)
        number_round(out, 0, value->type == VALUE_STRING ? NUMBER_TRUNCATE : NUMBER_FLOOR, out);
    return converted;
}

enum convert value_to_boolean(const struct value *value, struct arena *arena, bool *out)
{
    if (value->type == VALUE_BOOLEAN) {
        *out = value->boolean;
        return CONVERTED;
    }
    if (value->type != VALUE_STRING)
        return NOT_CONVERTED;

    struct arena_mark mark = arena_mark(arena);
    struct span text;
    if (!value_get_text(value, arena, &text))
        return CONVERT_LIMIT;
    *out = span_is_nocase(text, "true");
    bool is_boolean = *out || span_is_nocase(text, "false");
    arena_rewind(arena, mark);
    return is_boolean ? CONVERTED : NOT_CONVERTED;
}

static enum convert number_to_text(const struct value *value, enum sql_version version, struct arena *arena,
                                   struct span *out)
{
    struct number number;

    if (value->form == FORM_RAW && (value->verbatim >> version & 1)) {
        *out = value->text;
        return CONVERTED;
    }
    if (!value_get_number(value, &number))
        return NOT_CONVERTED;
    char *text = arena_alloc(arena, NUMBER_TEXT);
    if (!text)
        return CONVERT_LIMIT;
    if (version == SQL_2016_03_23)
        number_reduce(&number);
    *out = (struct span){text, number_print(&number, text)};
    return CONVERTED;
}

enum convert value_to_text(const struct value *value, enum sql_version version, struct arena *arena,
                           struct span *out)
{
    switch ((enum value_type)value->type) {
    case VALUE_UNDEFINED:
    case VALUE_NULL: return NOT_CONVERTED;
    case VALUE_BOOLEAN: *out = value->boolean ? SPAN("true") : SPAN("false"); return CONVERTED;
    case VALUE_INT:
    case VALUE_DECIMAL: return number_to_text(value, version, arena, out);
    case VALUE_STRING: return value_get_text(value, arena, out) ? CONVERTED : CONVERT_LIMIT;
    case VALUE_ARRAY:
    case VALUE_OBJECT: break;
    }
    struct buf buf = buf_in(arena, SIZE_MAX);

    value_print(value, version, arena, &buf);
    if (buf.failed)
        return CONVERT_LIMIT;
    *out = buf_view(&buf);
    return CONVERTED;
}
