/* The first byte chooses a function; the rest, cut at the first two line ends, are its texts: a regular
 * expression, a text, a replacement; or a pattern of times and a text. Whatever they are, the function gives
 * a value or an error within its steps. Times that are written can be read again. */
#include "fuzz.h"

#include "func.h"

#include "base/utf8.h"

static const struct sql_limits limits = {.memory = 8 << 20, .output = 1 << 20, .steps = 200000};

static struct value call_of(struct sql_scope *scope, const char *name, const struct value *args,
                            unsigned argc)
{
    const struct sql_func *func = sql_func_find(span_of(name));
    struct call call = {.scope = scope, .args = args, .argc = argc, .version = SQL_2016_03_23};
    struct value out = VALUE_NOTHING;
    struct err err = {0};

    scope->steps = limits.steps;
    if (func->run(&call, &out, &err) != 0) {
        CHECK(err.code == ERR_LIMIT && err.text[0] != '\0');
        return VALUE_NOTHING;
    }
    CHECK(out.type != VALUE_STRING || utf8_valid(out.text) == out.text.size);
    return out;
}

/* Up to the next line end, or what is left. */
static struct span cut(struct span *rest)
{
    const char *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    struct span part = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t taken = part.size + (end ? 1 : 0);

    *rest = (struct span){rest->size > 0 ? rest->data + taken : rest->data, rest->size - taken};
    return part;
}

static void match(struct sql_scope *scope, struct span pattern, struct span text, struct span by)
{
    struct value args[3] = {value_string(text), value_string(pattern), value_string(by)};
    struct value matches = call_of(scope, "regexp_matches", args, 2);
    struct value found = call_of(scope, "regexp_substr", args, 2);
    size_t at;

    (void)call_of(scope, "regexp_replace", args, 3);
    if (matches.type == VALUE_BOOLEAN) {
        CHECK(!sql_regex_doubt(pattern, &at));
        CHECK(matches.boolean || found.type == VALUE_UNDEFINED);
    }
}

static void tell_time(struct sql_scope *scope, struct span pattern, struct span text)
{
    struct value args[2] = {value_string(text), value_string(pattern)};
    struct value ms = call_of(scope, "time_to_epoch", args, 2);
    struct number number = number_from_int((int64_t)text.size * 86399999999);

    if (ms.type == VALUE_INT)
        CHECK(!sql_time_doubt(pattern, true) && value_get_number(&ms, &number));
    args[0] = value_string(pattern);
    args[1] = value_number(&number, true, SQL_2016_03_23);
    struct value written = call_of(scope, "parse_time", args, 2);

    CHECK(written.type == VALUE_UNDEFINED || !sql_time_doubt(pattern, false));

    args[0] = value_string(SPAN("yyyy-MM-dd'T'HH:mm:ss.SSS"));
    written = call_of(scope, "parse_time", args, 2);
    if (ms.type != VALUE_INT || written.text.data[0] == '-')
        return;
    struct value again[2] = {written, args[0]};
    struct value back = call_of(scope, "time_to_epoch", again, 2);
    struct number both;

    if (written.text.size == sizeof "yyyy-MM-ddTHH:mm:ss.SSS" - 1 && !span_starts_with(written.text, "0000"))
        CHECK(value_get_number(&back, &both) && number_compare(&number, &both) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sql_host host;
    struct sql_message message = {.topic = SPAN("t"), .payload_format = -1};
    struct span rest = {(const char *)data, size};
    struct err err = {0};

    if (size == 0 || utf8_valid(rest) != size)
        return 0;
    struct sql_scope *scope = sql_scope_new(&host, limits, &err);

    CHECK(scope);
    sql_scope_begin(scope, &message);
    bool is_time = data[0] == 't';

    rest = (struct span){rest.data + 1, size - 1};
    struct span first = cut(&rest), second = cut(&rest);

    if (is_time)
        tell_time(scope, first, second);
    else
        match(scope, first, second, rest);
    sql_scope_free(scope);
    return 0;
}
