#include "sql/json.h"

#include "payload.h"
#include "value.h"

enum { JSON_MEMORY = 256 << 20 }; /* bytes a comparison may take: files of our user, not of a device */

const char *sql_json_kind_name(enum sql_json_kind kind)
{
    static const char *const names[] = {
        [SQL_JSON_NULL] = "null",       [SQL_JSON_BOOLEAN] = "a Boolean", [SQL_JSON_NUMBER] = "a number",
        [SQL_JSON_STRING] = "a string", [SQL_JSON_ARRAY] = "an array",    [SQL_JSON_OBJECT] = "an object",
    };

    return names[kind];
}

/* ---- taking apart: the text has been checked, so only strings and brackets matter ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* `at` is on the opening quote. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;

    do {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
        } else {
            while (at < end && !is_blank(*at) && *at != ',' && *at != ']' && *at != '}')
                at++;
        }
    } while (depth > 0 && at < end);
    return at;
}

static struct sql_json json_at(const char *from, const char *to)
{
    struct sql_json json = {.text = {from, (size_t)(to - from)}};

    switch (*from) {
    case '{': json.kind = SQL_JSON_OBJECT; break;
    case '[': json.kind = SQL_JSON_ARRAY; break;
    case '"': json.kind = SQL_JSON_STRING; break;
    case 't':
    case 'f': json.kind = SQL_JSON_BOOLEAN; break;
    case 'n': json.kind = SQL_JSON_NULL; break;
    default: json.kind = SQL_JSON_NUMBER; break;
    }
    return json;
}

/* Parse into `arena`. 0, or -1 with `err`. */
static int read_value(struct span text, struct arena *arena, struct value *root, struct err *err)
{
    switch (payload_read(text, arena, root, err)) {
    case PAYLOAD_JSON:
    case PAYLOAD_SCALAR: return 0;
    case PAYLOAD_EMPTY: return err_set(err, ERR_SYNTAX, "expected a JSON value, found nothing");
    case PAYLOAD_BINARY:
    case PAYLOAD_LIMIT: return -1;
    }
    return -1;
}

int sql_json_read(struct span text, struct sql_json *out, struct err *err)
{
    struct arena arena;
    struct value root;

    arena_init(&arena, JSON_MEMORY);
    int status = read_value(text, &arena, &root, err);
    arena_done(&arena);
    if (status)
        return -1;

    const char *end = text.data + text.size, *from = skip_blanks(text.data, end);
    *out = json_at(from, skip_value(from, end));
    return 0;
}

struct sql_json_walk sql_json_walk(const struct sql_json *container)
{
    bool object = container->kind == SQL_JSON_OBJECT;

    if (!object && container->kind != SQL_JSON_ARRAY)
        return (struct sql_json_walk){0};
    return (struct sql_json_walk){container->text.data + 1, container->text.data + container->text.size - 1,
                                  object};
}

bool sql_json_next(struct sql_json_walk *walk, struct sql_json *name, struct sql_json *item)
{
    const char *at = walk->at, *end = walk->end, *from;

    while (at < end && (is_blank(*at) || *at == ','))
        at++;
    if (at >= end)
        return false;
    if (walk->object) {
        from = at;
        at = skip_string(at, end);
        *name = json_at(from, at);
        while (at < end && (is_blank(*at) || *at == ':'))
            at++;
    }
    from = at;
    walk->at = skip_value(at, end);
    *item = json_at(from, walk->at);
    return true;
}

bool sql_json_text(const struct sql_json *string, struct arena *arena, struct span *out)
{
    struct value value = {.type = VALUE_STRING, .form = FORM_RAW};

    value.text = (struct span){string->text.data + 1, string->text.size - 2};
    return value_get_text(&value, arena, out);
}

void sql_json_compact(const struct sql_json *json, struct buf *out)
{
    const char *at = json->text.data, *end = at + json->text.size;

    while (at < end) {
        const char *from = at;

        if (*at == '"') {
            at = skip_string(at, end);
            buf_add(out, from, (size_t)(at - from));
        } else {
            if (!is_blank(*at))
                buf_char(out, *at);
            at++;
        }
    }
}

/* ---- comparing ---- */

static bool number_close(const struct number *want, const struct number *got, double tolerance)
{
    struct number difference, bound, allowed, floor_;

    if (number_compare(want, got) == 0)
        return true;
    if (tolerance <= 0 || number_is_zero(want))
        return false;
    bound = *want;
    bound.negative = false;
    floor_ = (struct number){.low = 1, .exponent = -300};
    if (number_compare(&bound, &floor_) < 0)
        bound = floor_;
    if (!number_from_double(tolerance, &allowed) || !number_multiply(&bound, &allowed, &allowed) ||
        !number_subtract(got, want, &difference))
        return false;
    difference.negative = false;
    return number_compare(&difference, &allowed) <= 0;
}

/* Two values that are no containers. */
static bool scalar_equal(const struct value *want, const struct value *got, double tolerance,
                         struct arena *arena)
{
    struct number a, b;
    struct span left, right;

    if (value_is_number(want) && value_is_number(got))
        return value_get_number(want, &a) && value_get_number(got, &b) && number_close(&a, &b, tolerance);
    if (want->type != got->type)
        return false;
    if (want->type == VALUE_STRING)
        return value_get_text(want, arena, &left) && value_get_text(got, arena, &right) &&
               span_equal(left, right);
    return want->type == VALUE_NULL || (want->type == VALUE_BOOLEAN && want->boolean == got->boolean);
}

struct level {
    struct value want, got;
    struct value_walk walk;
    size_t index;
};

/* No recursion: one level per container that is open, no more than the reader's depth. 1, 0, or -1: memory.
 */
static int deep_equal(const struct value *want, const struct value *got, double tolerance,
                      struct arena *arena)
{
    struct level *levels = arena_array(arena, PAYLOAD_DEPTH + 1, sizeof *levels);
    struct value a = *want, b = *got;
    size_t depth = 0;

    if (!levels)
        return -1;
    for (;;) {
        bool container = a.type == VALUE_ARRAY || a.type == VALUE_OBJECT;

        if (container && (a.type != b.type || value_count(&a) != value_count(&b)))
            return 0;
        if (!container && !scalar_equal(&a, &b, tolerance, arena))
            return 0;
        if (container) {
            struct level *level = &levels[depth++];

            level->want = a;
            level->got = b;
            level->walk = value_walk(&level->want);
            level->index = 0;
        }
        /* The next pair, from the innermost container that has one left. */
        bool found = false;
        while (depth > 0 && !found) {
            struct level *level = &levels[depth - 1];
            struct span key;
            bool failed = false;

            found = value_next(&level->walk, arena, &key, &a, &failed);
            if (failed)
                return -1;
            if (!found)
                depth--;
            else if (level->want.type == VALUE_OBJECT)
                b = value_member(&level->got, key);
            else
                b = value_element(&level->got, level->index++);
        }
        if (!found)
            return 1;
    }
}

int sql_json_equal(struct span want, struct span got, double tolerance, bool *equal, struct err *err)
{
    struct arena arena;
    struct value a, b;
    struct err ignored;

    *equal = false;
    arena_init(&arena, JSON_MEMORY);
    int result = 0;
    if (read_value(want, &arena, &a, &ignored) == 0 && read_value(got, &arena, &b, &ignored) == 0)
        result = deep_equal(&a, &b, tolerance, &arena);
    arena_done(&arena);
    if (result < 0)
        return err_memory(err);
    *equal = result == 1;
    return 0;
}
