/* What a case expects against what came. */
#include "base/utf8.h"
#include "case_run.h"
#include "trial.h"

enum {
    SHOWN = 4096, /* bytes of a value that a failure prints */
    COMPARE_MEMORY = 256 << 20,
};

void show_bytes(struct span bytes, struct buf *out)
{
    struct span shown = bytes.size <= SHOWN ? bytes : (struct span){bytes.data, SHOWN};

    if (!bytes.data || bytes.size == 0) {
        buf_text(out, "(an empty payload)");
    } else if (utf8_valid(bytes) == bytes.size) {
        buf_add(out, shown.data, utf8_valid(shown));
    } else {
        buf_text(out, "base64 ");
        trial_encode64(shown, out);
    }
    if (shown.size < bytes.size)
        buf_format(out, "... (%zu bytes)", bytes.size);
}

static bool differ(struct verdict *verdict, const char *words, struct span want, struct span got)
{
    buf_text(&verdict->want, words);
    show_bytes(want, &verdict->want);
    show_bytes(got, &verdict->got);
    return false;
}

static bool trouble(struct verdict *verdict, const char *field, const struct err *err)
{
    buf_format(&verdict->want, "%s", field);
    buf_format(&verdict->got, "%s", err->text);
    if (err->code == ERR_NAME) /* a regular expression without regexp_matches */
        buf_text(&verdict->missing, err->text);
    return false;
}

/* Does `text` hold a match of `pattern`? The language's own regexp_matches answers, so that a test means by a
 * pattern what a rule does. 1, 0, or -1 with `err`. */
static int search(struct span text, struct span pattern, struct err *err)
{
    struct sql_program *program =
        sql_compile(SPAN("SELECT VALUE regexp_matches(text, pattern) FROM 'x'"), SQL_2016_03_23, NULL, err);
    struct trial trial;
    struct buf payload = BUF_INIT;
    struct span out;
    int result = -1;

    if (!program)
        return -1;
    trial_init(&trial);
    struct sql_scope *scope = sql_scope_new(&trial.host, SQL_LIMITS_DEFAULT, err);
    if (scope) {
        buf_text(&payload, "{\"text\":");
        buf_json(&payload, text);
        buf_text(&payload, ",\"pattern\":");
        buf_json(&payload, pattern);
        buf_text(&payload, "}");
        struct sql_message message = {
            .topic = SPAN("x"), .payload = buf_view(&payload), .payload_format = -1};
        sql_scope_begin(scope, &message);
        if (sql_run(program, scope, &out, err) == SQL_MATCHED) {
            result = span_is(out, "true");
            if (out.size == 0)
                result =
                    err_set(err, ERR_SYNTAX, "'" SPAN_FMT "' is no regular expression", SPAN_ARG(pattern));
        }
    }
    sql_scope_free(scope);
    sql_program_free(program);
    buf_done(&payload);
    trial_done(&trial);
    return result;
}

/* The text that a pattern of expectMatch is held against. False: there is no such member. */
static bool member_text(const struct sql_json *object, struct span name, struct arena *arena,
                        struct span *out)
{
    struct sql_json key, item;
    struct sql_json_walk walk = sql_json_walk(object);
    struct buf compact = buf_in(arena, SIZE_MAX);
    struct span text;

    while (sql_json_next(&walk, &key, &item)) {
        if (!sql_json_text(&key, arena, &text) || !span_equal(text, name))
            continue;
        if (item.kind == SQL_JSON_STRING)
            return sql_json_text(&item, arena, out);
        sql_json_compact(&item, &compact);
        *out = buf_view(&compact);
        return true;
    }
    return false;
}

static bool compare_members(const struct test_case *test, struct span payload, struct arena *arena,
                            struct verdict *verdict)
{
    struct sql_json got, name, item;
    struct sql_json_walk walk = sql_json_walk(&test->json[CASE_expectMatch]);
    struct span key, pattern, text;
    struct err err;

    if (sql_json_read(payload, &got, &err) || got.kind != SQL_JSON_OBJECT)
        return differ(verdict, "an object that matches ", test->json[CASE_expectMatch].text, payload);
    while (sql_json_next(&walk, &name, &item)) {
        if (item.kind != SQL_JSON_STRING)
            return differ(verdict, "a regular expression for ", name.text, item.text);
        if (!sql_json_text(&name, arena, &key) || !sql_json_text(&item, arena, &pattern))
            return trouble(verdict, "expectMatch", (err_memory(&err), &err));
        bool there = member_text(&got, key, arena, &text);
        int result = there ? search(text, pattern, &err) : 0;
        if (result < 0)
            return trouble(verdict, "expectMatch", &err);
        if (result == 0) {
            buf_format(&verdict->want, SPAN_FMT " to match ", SPAN_ARG(name.text));
            return differ(verdict, "", pattern, there ? text : payload);
        }
    }
    return true;
}

bool compare_payload(const struct test_case *test, struct span got, struct verdict *verdict)
{
    struct buf bytes = BUF_INIT;
    struct arena arena;
    struct err err;
    bool same = true;

    if (test->has[CASE_expect]) {
        if (sql_json_equal(test->json[CASE_expect].text, got, test->tolerance, &same, &err))
            return trouble(verdict, "expect", &err);
        return same || differ(verdict, "", test->json[CASE_expect].text, got);
    }
    if (test->has[CASE_expectText])
        return span_equal(test->text[CASE_expectText], got) ||
               differ(verdict, "exactly ", test->text[CASE_expectText], got);
    if (test->has[CASE_expectMatch]) {
        arena_init(&arena, COMPARE_MEMORY);
        same = compare_members(test, got, &arena, verdict);
        arena_done(&arena);
        return same;
    }
    if (!test->has[CASE_expectBase64])
        return true;
    if (trial_decode64(test->text[CASE_expectBase64], &bytes, &err))
        same = trouble(verdict, "expectBase64", &err);
    else
        same = span_equal(buf_view(&bytes), got) || differ(verdict, "", buf_view(&bytes), got);
    buf_done(&bytes);
    return same;
}

bool compare_text(const struct test_case *test, const struct sql_text *got, struct verdict *verdict)
{
    struct err err;

    if (test->has[CASE_expectString])
        return span_equal(test->text[CASE_expectString], got->text) ||
               differ(verdict, "", test->text[CASE_expectString], got->text);
    if (!test->has[CASE_expectStringMatch])
        return true;
    int result = search(got->text, test->text[CASE_expectStringMatch], &err);
    if (result < 0)
        return trouble(verdict, "expectStringMatch", &err);
    return result == 1 || differ(verdict, "a match of ", test->text[CASE_expectStringMatch], got->text);
}
