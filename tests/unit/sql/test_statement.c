/* Statements that are right: what they make of a message. */
#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct row {
    const char *name, *sql, *payload, *want; /* want NULL: WHERE is not true */
    enum sql_version version;
} rows[] = {
    {"where_comes_first", "SELECT temp AS celsius FROM 't' WHERE temp > 50", "{\"temp\":61}",
     "{\"celsius\":61}", SQL_2015_10_08},
    {"where_needs_true", "SELECT a FROM 't' WHERE b", "{\"a\":1,\"b\":\"true\"}", NULL, SQL_2016_03_23},
    {"and_takes_the_string_true", "SELECT a FROM 't' WHERE b AND a = 1", "{\"a\":1,\"b\":\"TRUE\"}",
     "{\"a\":1}", SQL_2016_03_23},
    {"nothing_has_a_value", "SELECT a, b FROM 't'", "{}", "{}", SQL_2016_03_23},
    {"aliases_with_dots_merge", "SELECT a AS s.x, b AS t, c AS s.y FROM 't'", "{\"a\":1,\"b\":2,\"c\":3}",
     "{\"s\":{\"x\":1,\"y\":3},\"t\":2}", SQL_2016_03_23},
    {"an_alias_steps_into_a_member", "SELECT *, 2 AS s.y FROM 't'", "{\"s\":{\"x\":1},\"u\":0}",
     "{\"s\":{\"x\":1,\"y\":2},\"u\":0}", SQL_2016_03_23},
    {"an_alias_replaces_in_place", "SELECT *, 2 AS s FROM 't'", "{\"s\":{\"x\":1},\"u\":0}",
     "{\"s\":2,\"u\":0}", SQL_2016_03_23},
    {"an_undefined_item_replaces_nothing", "SELECT *, nope AS s FROM 't'", "{\"s\":1}", "{\"s\":1}",
     SQL_2016_03_23},
    {"the_later_of_two_equal_names", "SELECT 1 AS a, 2 AS b, 3 AS a FROM 't'", "{}", "{\"a\":3,\"b\":2}",
     SQL_2016_03_23},
    {"members_join", "SELECT s.*, 1 AS k FROM 't'", "{\"s\":{\"x\":1}}", "{\"x\":1,\"k\":1}", SQL_2016_03_23},
    {"star_with_a_name", "SELECT * AS message FROM 't'", "{\"x\":1}", "{\"message\":{\"x\":1}}",
     SQL_2016_03_23},
    {"names_without_as", "SELECT a.b, upper(c), cast(d AS Int), get(a, 'z').y FROM 't'",
     "{\"a\":{\"b\":1,\"z\":{\"y\":5}},\"c\":\"x\",\"d\":2.5}",
     "{\"b\":1,\"upper\":\"X\",\"cast\":2,\"y\":5}", SQL_2016_03_23},
    {"value_is_a_name_too", "SELECT value, a.value, set FROM 't' WHERE value > 1",
     "{\"value\":2,\"a\":{\"value\":3},\"set\":4}", "{\"value\":3,\"set\":4}", SQL_2016_03_23},
    {"value_is_calculated_with", "SELECT value * 2 AS d, value - 1 AS m FROM 't'", "{\"value\":3}",
     "{\"d\":6,\"m\":2}", SQL_2016_03_23},
    {"the_value_of_a_negative", "select value -value from 't'", "{\"value\":3}", "-3", SQL_2016_03_23},
    {"the_value_of_the_payload", "select value * from 't'", "{\"value\":3}", "{\"value\":3}", SQL_2016_03_23},
    {"the_value_of_a_member", "select value *.value from 't'", "{\"value\":3}", "3", SQL_2016_03_23},
    {"value_as_a_keyword", "select value value from 't'", "{\"value\":[1]}", "[1]", SQL_2016_03_23},
    {"value_of_an_array_in_the_old_version", "SELECT VALUE a FROM 't'", "{\"a\":[1]}", "", SQL_2015_10_08},
    {"the_sign_binds_tighter", "SELECT -a * 2 AS r, - -a AS s FROM 't'", "{\"a\":3}", "{\"r\":-6,\"s\":3}",
     SQL_2016_03_23},
    {"not_is_looser_than_equal", "SELECT NOT a = 1 AS r FROM 't'", "{\"a\":3}", "{\"r\":true}",
     SQL_2016_03_23},
    {"operators_group_left", "SELECT 10 - 4 - 3 AS r, 'n=' + 1 + 2 AS s, 1 + 2 + 'x' AS t FROM 't'", "{}",
     "{\"r\":3,\"s\":\"n=12\",\"t\":\"3x\"}", SQL_2016_03_23},
    {"a_constant_behind_a_choice", "SELECT (CASE a WHEN 1 THEN 10 ELSE 20 END) + 1 AS r FROM 't'",
     "{\"a\":1}", "{\"r\":11}", SQL_2016_03_23},
    {"a_choice_of_nothing", "SELECT isUndefined(CASE a WHEN 1 THEN 2 ELSE 3 END) AS r FROM 't'", "{}",
     "{\"r\":true}", SQL_2016_03_23},
    {"the_element_comes_before_the_payload", "SELECT (SELECT VALUE n + k FROM e) AS r FROM 't'",
     "{\"n\":10,\"k\":5,\"e\":[{\"n\":1},{\"n\":2},{}]}", "{\"r\":[6,7,15]}", SQL_2016_03_23},
    {"an_element_by_its_name",
     "SELECT (SELECT VALUE (SELECT VALUE x * y FROM b AS y) FROM a AS x) AS r FROM 't'",
     "{\"a\":[1,2],\"b\":[3,4]}", "{\"r\":[[3,4],[6,8]]}", SQL_2016_03_23},
    {"a_query_of_nothing",
     "SELECT (SELECT VALUE n FROM nope) AS r, EXISTS (SELECT * FROM nope) AS s FROM 't'", "{}",
     "{\"s\":false}", SQL_2016_03_23},
    {"a_query_of_an_object", "SELECT (SELECT VALUE n FROM o) AS r FROM 't'", "{\"o\":{\"n\":1}}",
     "{\"r\":[1]}", SQL_2016_03_23},
    {"a_query_without_result", "SELECT (SELECT n FROM e WHERE n > 9) AS r FROM 't'", "{\"e\":[{\"n\":1}]}",
     "{\"r\":[]}", SQL_2016_03_23},
    {"the_default_is_not_computed_in_vain",
     "SELECT get_or_default(a, b / 0) AS r, get_or_default(c) AS s FROM 't'", "{\"a\":1}", "{\"r\":1}",
     SQL_2016_03_23},
    {"variables_see_each_other", "SET @a = x, @b = @a + 1 SELECT @b AS r, @a FROM 't' WHERE @b > 1",
     "{\"x\":3}", "{\"r\":4,\"a\":3}", SQL_2016_03_23},
    {"the_whole_payload_as_an_argument", "SELECT get(*, 'my-key') AS r FROM 't'", "{\"my-key\":1}",
     "{\"r\":1}", SQL_2016_03_23},
    {"a_comma_behind_the_last_member", "SELECT {'a': 1, 'b': *,} FROM 't'", "{\"x\":1}",
     "{\"a\":1,\"b\":{\"x\":1}}", SQL_2016_03_23},
    {"a_key_twice_in_a_literal", "SELECT {'a': 1, 'b': 2, 'a': 3} AS r FROM 't'", "{}",
     "{\"r\":{\"a\":3,\"b\":2}}", SQL_2016_03_23},
    {"letters_of_any_script", "SELECT température, дом.k AS ключ1 FROM 't' WHERE é > 1",
     "{\"température\":1,\"дом\":{\"k\":2},\"é\":3}", "{\"température\":1,\"ключ1\":2}", SQL_2016_03_23},
    {"a_doubled_quote", "SELECT 'it''s' AS r, \"a\"\"b\\\" AS s FROM 't'", "{}",
     "{\"r\":\"it's\",\"s\":\"a\\\"b\\\\\"}", SQL_2016_03_23},
    {"wrong_number_of_arguments", "SELECT abs() AS r, 1 AS k FROM 't'", "{}", "{\"k\":1}", SQL_2016_03_23},
    {"binary_passes", "SELECT * FROM 't'", "\x01\x02", "\x01\x02", SQL_2016_03_23},
    {"a_bare_value_passes", "SELECT * FROM 't'", " 80 ", " 80 ", SQL_2016_03_23},
    {"binary_has_no_members", "SELECT a, 1 AS k FROM 't'", "\x01", "{\"k\":1}", SQL_2016_03_23},
    {"an_empty_payload_takes_members", "SELECT *, 1 AS k FROM 't'", "", "{\"k\":1}", SQL_2016_03_23},
    {"an_array_has_no_members_to_join", "SELECT *, 1 AS k FROM 't'", "[1]", "{\"k\":1}", SQL_2016_03_23},
    {"json_is_printed_compact", "SELECT * FROM 't'", " { \"a\" : 10.0 } ", "{\"a\":10}", SQL_2016_03_23},
};

static struct sql_scope *scope_for(const char *payload, struct err *err)
{
    struct sql_scope *scope = sql_scope_new(NULL, SQL_LIMITS_DEFAULT, err);
    struct sql_message message = {.topic = SPAN("t"), .payload = span_of(payload), .payload_format = -1};

    assert_non_null(scope);
    sql_scope_begin(scope, &message);
    return scope;
}

static void statement_row(void **state)
{
    const struct row *row = *state;
    struct err err = {0};
    struct sql_program *program = sql_compile(span_of(row->sql), row->version, NULL, &err);
    struct span out;

    if (!program)
        fail_msg("%s", err.text);

    struct sql_scope *scope = scope_for(row->payload, &err);
    enum sql_outcome outcome = sql_run(program, scope, &out, &err);

    if (outcome == SQL_FAILED)
        fail_msg("%s", err.text);
    assert_int_equal(outcome, row->want ? SQL_MATCHED : SQL_FILTERED);
    if (row->want && !span_is(out, row->want))
        fail_msg("got " SPAN_FMT ", want %s", SPAN_ARG(out), row->want);
    sql_scope_free(scope);
    sql_program_free(program);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS];

    for (size_t i = 0; i < ROWS; i++) {
        union {
            const struct row *row;
            void *state;
        } row = {.row = &rows[i]};

        tests[i] =
            (struct CMUnitTest){.name = rows[i].name, .test_func = statement_row, .initial_state = row.state};
    }
    return cmocka_run_group_tests_name("statement", tests, NULL, NULL);
}
