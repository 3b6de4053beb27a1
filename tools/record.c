#include "record.h"

#include "base/nearest.h"
#include "base/utf8.h"
#include "trial.h"

static struct span pairs_name(const struct action_type *type)
{
    for (const struct action_field *field = type->fields; field->name; field++)
        if (field->kind == ACTION_PAIRS)
            return span_of(field->name);
    return (struct span){0};
}

static bool is_json(struct span text)
{
    struct sql_json json;
    struct err ignored;

    return sql_json_read(text, &json, &ignored) == 0;
}

static bool is_number(struct span text)
{
    struct sql_json json;
    struct err ignored;

    return sql_json_read(text, &json, &ignored) == 0 && json.kind == SQL_JSON_NUMBER;
}

static void print_field(const struct action_field *field, const struct action_value *value, struct buf *out)
{
    if (value->absent)
        buf_text(out, "null");
    else if (field->is_number && is_number(value->text))
        buf_span(out, value->text);
    else
        buf_json(out, value->text);
}

static void print_pairs(const struct action_record *record, struct buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < record->pair_count; i++) {
        buf_text(out, i ? ",[" : "[");
        buf_json(out, record->pairs[i].key);
        buf_char(out, ',');
        buf_json(out, record->pairs[i].value);
        buf_char(out, ']');
    }
    buf_char(out, ']');
}

/* The one member that carries the payload. */
static void print_value(struct span payload, struct buf *out)
{
    if (is_json(payload)) {
        buf_text(out, "\"value\":");
        buf_span(out, payload);
    } else if (utf8_valid(payload) == payload.size) {
        buf_text(out, "\"value\":");
        buf_json(out, payload);
    } else {
        buf_text(out, "\"valueBase64\":\"");
        trial_encode64(payload, out);
        buf_char(out, '"');
    }
}

void record_print(const struct action_type *type, const struct action_record *record,
                  const struct action_settings *settings, struct buf *out)
{
    const struct action_field *field = type->fields;

    buf_text(out, "{\"action\":");
    buf_json(out, span_of(type->name));
    for (size_t i = 0; field[i].name; i++) {
        if (field[i].kind != ACTION_TEMPLATE && field[i].kind != ACTION_PAIRS)
            continue;
        buf_format(out, ",\"%s\":", field[i].name);
        if (field[i].kind == ACTION_PAIRS)
            print_pairs(record, out);
        else
            print_field(&field[i], &record->fields[i], out);
    }
    buf_char(out, ',');
    print_value(record->payload, out);
    for (size_t i = 0; settings && field[i].name; i++) {
        if (field[i].kind != ACTION_SETTINGS)
            continue;
        buf_format(out, ",\"%s\":", field[i].name);
        type->describe(settings, out);
    }
    buf_char(out, '}');
}

/* ---- what a test wants ------------------------------------------------------------------------------------
 */

static const char *member_name(const void *context, size_t index)
{
    static const char *const own[] = {"action", "value", "valueBase64"};
    const struct action_field *field = ((const struct action_type *)context)->fields;
    const size_t count = sizeof own / sizeof *own;

    if (index < count)
        return own[index];
    for (size_t i = 0, seen = count; field[i].name; i++)
        if ((field[i].kind == ACTION_TEMPLATE || field[i].kind == ACTION_PAIRS) && seen++ == index)
            return field[i].name;
    return NULL;
}

static int value_matches(struct span payload, const struct sql_json *want, struct arena *arena,
                         struct err *err)
{
    struct span text;
    bool equal;

    if (is_json(payload))
        return sql_json_equal(want->text, payload, 0, &equal, err) ? -1 : equal;
    if (want->kind != SQL_JSON_STRING)
        return 0;
    return sql_json_text(want, arena, &text) ? span_equal(text, payload) : err_memory(err);
}

static int field_matches(const struct action_value *value, const struct sql_json *want, struct arena *arena,
                         struct err *err)
{
    struct span text = want->text;
    bool equal;

    if (want->kind == SQL_JSON_NULL || value->absent)
        return want->kind == SQL_JSON_NULL && value->absent;
    if (want->kind == SQL_JSON_NUMBER && is_number(value->text))
        return sql_json_equal(want->text, value->text, 0, &equal, err) ? -1 : equal;
    if (want->kind == SQL_JSON_STRING && !sql_json_text(want, arena, &text))
        return err_memory(err);
    return span_equal(text, value->text);
}

static int member_matches(const struct action_type *type, const struct action_record *record,
                          struct span name, const struct sql_json *want, struct arena *arena, struct err *err)
{
    const struct action_field *field = type->fields;
    struct buf bytes = buf_in(arena, SIZE_MAX), pairs = buf_in(arena, SIZE_MAX);
    struct span text;
    bool equal;

    if (span_is(name, "action"))
        return sql_json_text(want, arena, &text) ? span_is(text, type->name) : err_memory(err);
    if (span_is(name, "value"))
        return value_matches(record->payload, want, arena, err);
    if (span_is(name, "valueBase64")) {
        if (!sql_json_text(want, arena, &text) || trial_decode64(text, &bytes, err))
            return -1;
        return span_equal(buf_view(&bytes), record->payload);
    }
    if (span_equal(name, pairs_name(type))) {
        print_pairs(record, &pairs);
        return sql_json_equal(want->text, buf_view(&pairs), 0, &equal, err) ? -1 : equal;
    }
    for (size_t i = 0; field[i].name; i++)
        if (span_is(name, field[i].name) && field[i].kind == ACTION_TEMPLATE)
            return field_matches(&record->fields[i], want, arena, err);

    const char *near = nearest(name, member_name, type);
    return err_set(err, ERR_NAME, "a record of '%s' has no '" SPAN_FMT "'%s%s%s", type->name, SPAN_ARG(name),
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int record_matches(const struct action_type *type, const struct action_record *record,
                   const struct sql_json *want, struct err *err)
{
    struct sql_json name, item;
    struct sql_json_walk walk = sql_json_walk(want);
    struct arena arena;
    int result = 1;

    if (want->kind != SQL_JSON_OBJECT)
        return err_set(err, ERR_VALUE, "a record is an object, and 'expectRecords' holds %s",
                       sql_json_kind_name(want->kind));
    arena_init(&arena, (size_t)64 << 20);
    while (result == 1 && sql_json_next(&walk, &name, &item)) {
        struct span text;

        result = sql_json_text(&name, &arena, &text) ? member_matches(type, record, text, &item, &arena, err)
                                                     : err_memory(err);
    }
    arena_done(&arena);
    return result;
}
