/* The steps that a statement becomes. */
#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void explained(const char *sql, const char *want)
{
    struct err err = {0};
    struct buf text = BUF_INIT;
    struct sql_program *program = sql_compile(span_of(sql), SQL_2016_03_23, NULL, &err);

    if (!program)
        fail_msg("%s", err.text);
    sql_program_explain(program, &text);
    assert_string_equal(text.data, want);
    buf_done(&text);
    sql_program_free(program);
}

static void a_small_rule(void **state)
{
    (void)state;
    explained("SELECT temp AS celsius, pos.lat FROM 'plant/+/temp' WHERE temp > 50",
              "FROM plant/+/temp\n"
              "SELECT\n"
              "   0  FIELD          temp\n"
              "   1  CONST          50\n"
              "   2  GREATER\n"
              "   3  WHERE          -> 11\n"
              "   4  OPEN\n"
              "   5  FIELD          temp\n"
              "   6  PRINT          \"celsius\"\n"
              "   7  FIELD          pos.lat\n"
              "   8  PRINT          \"lat\"\n"
              "   9  CLOSE\n"
              "  10  DONE\n"
              "  11  FILTERED\n");
}

static void constants_are_folded(void **state)
{
    (void)state;
    explained("SELECT upper('a' + 1) AS a, [1, {'k': 2 * 3}] AS b, -5 AS c, cast('7.5' AS Int) AS d, "
              "{'k': 1}.k AS e, NOT true AS f, replace(g, 'x', lower('Y')) AS g FROM 't'",
              "FROM t\n"
              "SELECT\n"
              "   0  OPEN\n"
              "   1  CONST          \"A1\"\n"
              "   2  PRINT          \"a\"\n"
              "   3  CONST          [1,{\"k\":6}]\n"
              "   4  PRINT          \"b\"\n"
              "   5  CONST          -5\n"
              "   6  PRINT          \"c\"\n"
              "   7  CONST          7\n"
              "   8  PRINT          \"d\"\n"
              "   9  CONST          1\n"
              "  10  PRINT          \"e\"\n"
              "  11  CONST          false\n"
              "  12  PRINT          \"f\"\n"
              "  13  FIELD          g\n"
              "  14  CONST          \"x\"\n"
              "  15  CONST          \"y\"\n"
              "  16  CALL           replace 3\n"
              "  17  PRINT          \"g\"\n"
              "  18  CLOSE\n"
              "  19  DONE\n");
}

static void values_of_several_ways_are_not_folded(void **state)
{
    (void)state;
    explained("SELECT (CASE a WHEN 1 THEN 2 ELSE 3 END) + 4 AS r, get_or_default(b, 1) + 1 AS s FROM 't'",
              "FROM t\n"
              "SELECT\n"
              "   0  OPEN\n"
              "   1  FIELD          a\n"
              "   2  CASE           -> 9\n"
              "   3  CONST          1\n"
              "   4  WHEN           -> 7\n"
              "   5  CONST          2\n"
              "   6  JUMP           -> 9\n"
              "   7  POP\n"
              "   8  CONST          3\n"
              "   9  CONST          4\n"
              "  10  ADD\n"
              "  11  PRINT          \"r\"\n"
              "  12  TRY            -> 14\n"
              "  13  FIELD          b\n"
              "  14  MISSING        -> 16\n"
              "  15  CONST          1\n"
              "  16  CONST          1\n"
              "  17  ADD\n"
              "  18  PRINT          \"s\"\n"
              "  19  CLOSE\n"
              "  20  DONE\n");
}

static void conditions_stop_early(void **state)
{
    (void)state;
    explained("SELECT a FROM 't' WHERE a AND (b OR c) AND d = 1", "FROM t\n"
                                                                  "SELECT\n"
                                                                  "   0  FIELD          a\n"
                                                                  "   1  WHERE_AND      -> 15\n"
                                                                  "   2  FIELD          b\n"
                                                                  "   3  FIELD          c\n"
                                                                  "   4  OR\n"
                                                                  "   5  WHERE_AND      -> 15\n"
                                                                  "   6  FIELD          d\n"
                                                                  "   7  CONST          1\n"
                                                                  "   8  EQUAL\n"
                                                                  "   9  WHERE_AND      -> 15\n"
                                                                  "  10  OPEN\n"
                                                                  "  11  FIELD          a\n"
                                                                  "  12  PRINT          \"a\"\n"
                                                                  "  13  CLOSE\n"
                                                                  "  14  DONE\n"
                                                                  "  15  FILTERED\n");
}

static void nested_queries_are_loops(void **state)
{
    (void)state;
    explained("SELECT (SELECT x AS p.q, n, k.* FROM e AS x WHERE n > 1) AS r, EXISTS (SELECT * FROM *.e) AS "
              "s FROM 't'",
              "FROM t\n"
              "SELECT\n"
              "   0  OPEN\n"
              "   1  FIELD          e\n"
              "   2  QUERY          -> 14\n"
              "   3  NEXT           -> 14\n"
              "   4  NAME           1 n\n"
              "   5  CONST          1\n"
              "   6  GREATER\n"
              "   7  WHERE          -> 3\n"
              "   8  ELEMENT        1\n"
              "   9  NAME           1 n\n"
              "  10  NAME           1 k\n"
              "  11  RECORD         p.q, n, *\n"
              "  12  COLLECT\n"
              "  13  JUMP           -> 3\n"
              "  14  PRINT          \"r\"\n"
              "  15  PAYLOAD        e\n"
              "  16  QUERY          -> 21\n"
              "  17  NEXT           -> 21\n"
              "  18  ELEMENT        1\n"
              "  19  FOUND          -> 21\n"
              "  20  JUMP           -> 17\n"
              "  21  PRINT          \"s\"\n"
              "  22  CLOSE\n"
              "  23  DONE\n");
}

static void variables_come_first(void **state)
{
    (void)state;
    explained("SET @a = topic(1), @b = @a.x SELECT *, @b AS c WHERE encode(*, 'base64') = ''",
              "SET\n"
              "   0  CONST          1\n"
              "   1  CALL           topic 1\n"
              "   2  ASSIGN         @a\n"
              "   3  VARIABLE       @a\n"
              "   4  MEMBER         x\n"
              "   5  ASSIGN         @b\n"
              "   6  DONE\n"
              "SELECT\n"
              "   0  BYTES\n"
              "   1  CONST          \"base64\"\n"
              "   2  CALL           encode 2\n"
              "   3  CONST          \"\"\n"
              "   4  EQUAL\n"
              "   5  WHERE          -> 11\n"
              "   6  PAYLOAD\n"
              "   7  VARIABLE       @b\n"
              "   8  RECORD         *, c\n"
              "   9  OUTPUT\n"
              "  10  DONE\n"
              "  11  FILTERED\n");
}

static void calls_are_known(void **state)
{
    struct err err;
    struct sql_program *program = sql_compile(
        SPAN("SET @a = clientid() SELECT upper('x') AS x, topic(1) FROM 't' WHERE EXISTS (SELECT * FROM a "
             "WHERE timestamp() > 1)"),
        SQL_2016_03_23, NULL, &err);

    (void)state;
    assert_non_null(program);
    assert_true(sql_program_calls(program, "clientid"));
    assert_true(sql_program_calls(program, "topic"));
    assert_true(sql_program_calls(program, "timestamp"));
    assert_false(sql_program_calls(program, "upper")); /* nothing is left of it */
    assert_false(sql_program_calls(program, "sourceip"));
    sql_program_free(program);
}

static void the_filter_may_be_missing(void **state)
{
    struct err err;
    struct sql_program *with = sql_compile(SPAN("SELECT a FROM 'it''s/+'"), SQL_2015_10_08, NULL, &err);
    struct sql_program *without = sql_compile(SPAN("SELECT a WHERE a > 1"), SQL_2016_03_23, NULL, &err);

    (void)state;
    assert_true(span_is(sql_program_filter(with), "it's/+"));
    assert_int_equal(sql_program_version(with), SQL_2015_10_08);
    assert_null(sql_program_filter(without).data);
    sql_program_free(with);
    sql_program_free(without);
}

static void versions_have_names(void **state)
{
    enum sql_version version = SQL_2015_10_08;

    (void)state;
    assert_true(sql_version_parse(SPAN("beta"), &version));
    assert_int_equal(version, SQL_2016_03_23);
    assert_true(sql_version_parse(SPAN("2015-10-08"), &version));
    assert_string_equal(sql_version_name(version), "2015-10-08");
    assert_false(sql_version_parse(SPAN("2016"), &version));
}

static void functions_come_by_name(void **state)
{
    struct sql_function_info info, last = {.name = ""};
    size_t count = 0;

    (void)state;
    for (; sql_function_at(count, &info); count++) {
        assert_true(strcmp(last.name, info.name) < 0);
        assert_non_null(info.help);
        last = info;
    }
    assert_true(count > 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_rule),
        cmocka_unit_test(constants_are_folded),
        cmocka_unit_test(values_of_several_ways_are_not_folded),
        cmocka_unit_test(conditions_stop_early),
        cmocka_unit_test(nested_queries_are_loops),
        cmocka_unit_test(variables_come_first),
        cmocka_unit_test(calls_are_known),
        cmocka_unit_test(the_filter_may_be_missing),
        cmocka_unit_test(versions_have_names),
        cmocka_unit_test(functions_come_by_name),
    };
    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
