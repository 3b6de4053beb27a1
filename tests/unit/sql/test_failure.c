/* What goes wrong while a message is evaluated: limits, secrets, members for what has none. Nothing else
 * does. */
#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    (void)context;
    if (!span_is(query->id, "known"))
        return err_set(err, ERR_SECRET, "secret " SPAN_FMT ": there is none", SPAN_ARG(query->id));
    *out = SPAN("hush");
    return 0;
}

static const struct sql_host host = {.secret = secret};

/* Runs it, and prints the outcome: the outgoing payload, "filtered", or the error. */
static const char *run(const char *sql, struct span payload, struct sql_limits limits, struct err *err)
{
    static char said[2000];
    struct sql_message message = {.topic = SPAN("t"), .payload = payload, .payload_format = -1};
    struct sql_program *program = sql_compile(span_of(sql), SQL_2016_03_23, NULL, err);
    struct sql_scope *scope = sql_scope_new(&host, limits, err);
    struct span out;

    if (!program || !scope)
        fail_msg("%s", err->text);
    err->code = ERR_NONE;
    sql_scope_begin(scope, &message);
    switch (sql_run(program, scope, &out, err)) {
    case SQL_MATCHED:
        if (out.size > 200)
            out.size = 200;
        memcpy(said, out.data ? out.data : "", out.size);
        said[out.size] = '\0';
        break;
    case SQL_FILTERED: strcpy(said, "filtered"); break;
    case SQL_FAILED: (void)err_print(err, said, sizeof said); break;
    }
    sql_scope_free(scope);
    sql_program_free(program);
    return said;
}

static const char *run_it(const char *sql, const char *payload)
{
    struct err err = {0};

    return run(sql, span_of(payload), SQL_LIMITS_DEFAULT, &err);
}

static void members_need_an_object(void **state)
{
    (void)state;
    assert_string_equal(
        run_it("SELECT *, 1 AS k FROM 't'", "not json"),
        "1:8: SELECT: nothing can be added to a payload that is no JSON object: the payload is not "
        "JSON: it begins with no value\n"
        "  SELECT *, 1 AS k FROM 't'\n"
        "         ^");
    assert_string_equal(
        run_it("SELECT 1 AS k,\n  * FROM 't'", "80"),
        "2:3: SELECT: nothing can be added to a payload that is no JSON object: it is a bare value\n"
        "    * FROM 't'\n"
        "    ^");
    assert_string_equal(run_it("SELECT *, 1 AS k FROM 't' WHERE a = 1", "\x01"), "filtered");
    assert_string_equal(run_it("SELECT *, 1 AS k FROM 't'", " \n"), "{\"k\":1}");
}

static void a_missing_secret_fails_where_it_is_used(void **state)
{
    (void)state;
    assert_string_equal(run_it("SELECT get_secret('known', 'SecretString', '') AS s FROM 't'", "{}"),
                        "{\"s\":\"hush\"}");
    assert_string_equal(
        run_it("SELECT 1 AS a, get_secret(b, 'SecretString', '') AS s FROM 't'", "{\"b\":\"x\"}"),
        "1:16: SELECT item \"s\": secret x: there is none\n"
        "  SELECT 1 AS a, get_secret(b, 'SecretString', '') AS s FROM 't'\n"
        "                 ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
    assert_string_equal(
        run_it("SELECT a FROM 't' WHERE a > 0 AND get_secret('x', 'SecretString', '') = b", "{\"a\":1}"),
        "1:35: WHERE: secret x: there is none\n"
        "  SELECT a FROM 't' WHERE a > 0 AND get_secret('x', 'SecretString', '') = b\n"
        "                                    ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
    assert_string_equal(
        run_it("SELECT a FROM 't' WHERE a > 0 AND get_secret('x', 'SecretString', '') = b", "{\"a\":0}"),
        "filtered");
    assert_string_equal(run_it("SET @v = get_secret('x', 'SecretString', '') SELECT a FROM 't'", "{}"),
                        "1:10: SET @v: secret x: there is none\n"
                        "  SET @v = get_secret('x', 'SecretString', '') SELECT a FROM 't'\n"
                        "           ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
}

static void get_or_default_catches_a_secret(void **state)
{
    (void)state;
    assert_string_equal(run_it("SELECT 1 + get_or_default(2 * get_secret('x', 'SecretString', ''), 5) AS s, "
                               "get_or_default(get_secret('x', 'SecretString', '')) AS u FROM 't'",
                               "{}"),
                        "{\"s\":6}");
    /* Inside of it a nested query is left as well, and can be entered again. */
    assert_string_equal(
        run_it("SELECT (SELECT VALUE get_or_default((SELECT VALUE get_secret(y, 'SecretString', '') "
               "FROM x AS y), 'none') FROM e AS x) AS r FROM 't'",
               "{\"e\":[[\"known\"],[\"known\",\"x\"],[]]}"),
        "{\"r\":[[\"hush\"],\"none\",[]]}");
    /* An error in the default is not caught, nor one outside. */
    assert_non_null(
        strstr(run_it("SELECT get_or_default(a, get_secret('x', 'SecretString', '')) AS s FROM 't'", "{}"),
               "there is none"));
    assert_non_null(
        strstr(run_it("SELECT get_or_default(get_or_default(a), get_secret('x', 'SecretString', '')) AS s "
                      "FROM 't'",
                      "{}"),
               "there is none"));
}

static void steps_are_bounded(void **state)
{
    struct sql_limits limits = SQL_LIMITS_DEFAULT;
    struct err err = {0};

    (void)state;
    limits.steps = 100;
    assert_string_equal(
        run("SELECT (SELECT VALUE (SELECT VALUE x * y FROM e AS y) FROM e AS x) AS r FROM 't'",
            SPAN("{\"e\":[1,2,3,4,5,6,7,8,9]}"), limits, &err),
        "1:47: SELECT item \"r\": this takes more than the 100 steps that one evaluation may take\n"
        "  SELECT (SELECT VALUE (SELECT VALUE x * y FROM e AS y) FROM e AS x) AS r FROM 't'\n"
        "                                                ^");
    assert_int_equal(err.code, ERR_LIMIT);
    /* A limit is not caught: what is used up stays used up. */
    assert_non_null(
        strstr(run("SELECT get_or_default((SELECT VALUE (SELECT VALUE x * y FROM e AS y) FROM e AS x), 1) "
                   "AS r FROM 't'",
                   SPAN("{\"e\":[1,2,3,4,5,6,7,8,9]}"), limits, &err),
               "100 steps"));
}

static void long_values_are_charged(void **state)
{
    enum { SIZE = 100000 };
    char *payload = malloc(SIZE);
    struct err err = {0};

    (void)state;
    assert_non_null(payload);
    memset(payload, 'x', SIZE);
    memcpy(payload, "{\"e\":[", 6);
    for (size_t i = 0; i < SIZE / 4; i++)
        memcpy(payload + 6 + 2 * i, "1,", 2);
    memcpy(payload + 6 + SIZE / 2, "1],\"s\":\"", 8);
    memcpy(payload + SIZE - 2, "\"}", 2);
    assert_non_null(strstr(run("SELECT (SELECT VALUE indexof(s, 'y') FROM e) AS r FROM 't'",
                               (struct span){payload, SIZE}, SQL_LIMITS_DEFAULT, &err),
                           "10000000 steps"));
    assert_non_null(strstr(run("SELECT (SELECT VALUE 2 IN e FROM e) AS r FROM 't'",
                               (struct span){payload, SIZE}, SQL_LIMITS_DEFAULT, &err),
                           "10000000 steps"));
    free(payload);
}

static void memory_is_bounded(void **state)
{
    struct sql_limits limits = SQL_LIMITS_DEFAULT;
    struct err err = {0};

    (void)state;
    limits.memory = 10000;
    assert_string_equal(
        run("SELECT 1 AS a, length((SELECT VALUE rpad(x, 1000) FROM e AS x)) AS r FROM 't'",
            SPAN("{\"e\":[1,2,3,4,5,6,7,8,9]}"), limits, &err),
        "1:24: SELECT item \"r\": the result does not fit in the memory that one message may take\n"
        "  SELECT 1 AS a, length((SELECT VALUE rpad(x, 1000) FROM e AS x)) AS r FROM 't'\n"
        "                         ^~~~~~");
    assert_int_equal(err.code, ERR_LIMIT);
}

static void output_is_bounded(void **state)
{
    struct sql_limits limits = SQL_LIMITS_DEFAULT;
    struct err err = {0};

    (void)state;
    limits.output = 50;
    assert_string_equal(
        run("SELECT a FROM 't'", SPAN("{\"a\":\"12345678901234567890123456789012345678901\"}"), limits, &err),
        "{\"a\":\"12345678901234567890123456789012345678901\"}");
    assert_non_null(strstr(run("SELECT a, a AS b FROM 't'",
                               SPAN("{\"a\":\"12345678901234567890123456789012345678901\"}"), limits, &err),
                           "the outgoing payload is larger than 50 bytes"));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void variables_are_bounded(void **state)
{
    enum { SIZE = 70000 };
    char *payload = malloc(SIZE);
    struct err err = {0};

    (void)state;
    assert_non_null(payload);
    memset(payload, 'x', SIZE);
    memcpy(payload, "{\"s\":\"", 6);
    memcpy(payload + SIZE - 2, "\"}", 2);
    assert_string_equal(run("SET @a = s SELECT length(@a) AS n FROM 't'", (struct span){payload, SIZE},
                            SQL_LIMITS_DEFAULT, &err),
                        "{\"n\":69992}");
    assert_string_equal(run("SET @a = s, @b = s SELECT 1 AS n FROM 't'", (struct span){payload, SIZE},
                            SQL_LIMITS_DEFAULT, &err),
                        "1:13: SET @b: the variables of a statement take more than 128 KiB as JSON\n"
                        "  SET @a = s, @b = s SELECT 1 AS n FROM 't'\n"
                        "              ^~");
    assert_int_equal(err.code, ERR_LIMIT);
    free(payload);
}

static void a_payload_too_deep_is_an_error(void **state)
{
    char payload[2100];
    struct err err = {0};

    (void)state;
    memset(payload, '[', 1050);
    memset(payload + 1050, ']', 1050);
    assert_string_equal(run("SELECT a FROM 't'", (struct span){payload, 2100}, SQL_LIMITS_DEFAULT, &err),
                        "1:8: SELECT item \"a\": the payload is refused: more than 1000 brackets are open\n"
                        "  SELECT a FROM 't'\n"
                        "         ^");
    assert_string_equal(run("SELECT 1 AS a FROM 't'", (struct span){payload, 2100}, SQL_LIMITS_DEFAULT, &err),
                        "{\"a\":1}"); /* nobody looked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_need_an_object),
        cmocka_unit_test(a_missing_secret_fails_where_it_is_used),
        cmocka_unit_test(get_or_default_catches_a_secret),
        cmocka_unit_test(steps_are_bounded),
        cmocka_unit_test(long_values_are_charged),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(variables_are_bounded),
        cmocka_unit_test(a_payload_too_deep_is_an_error),
    };
    return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
