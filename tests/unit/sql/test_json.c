/* A JSON text taken apart and compared: rule tests rest on it. */
#include "sql/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct row {
    const char *name, *want, *got;
    double tolerance;
    bool equal;
} rows[] = {
    {"members_have_no_order", "{\"a\":1,\"b\":[2]}", "{ \"b\" : [2] , \"a\" : 1 }", 0, true},
    {"elements_have_one", "[1,2]", "[2,1]", 0, false},
    {"a_member_more_is_a_difference", "{\"a\":1}", "{\"a\":1,\"b\":2}", 0, false},
    {"a_member_less_is_a_difference", "{\"a\":1,\"b\":2}", "{\"a\":1}", 0, false},
    {"a_name_matters", "{\"a\":1}", "{\"b\":1}", 0, false},
    {"null_is_not_absent", "{\"a\":null}", "{}", 0, false},
    {"null_is_no_value_of_the_other", "{\"a\":null}", "{\"b\":null}", 0, false},
    {"numbers_by_value", "[10, 10.0, 1E1]", "[1e1, 10, 10.00]", 0, true},
    {"every_digit_counts", "0.3", "0.30000000000000004", 0, false},
    {"thirty_four_digits", "1234567890123456789012345678901234", "1234567890123456789012345678901235", 0,
     false},
    {"beyond_a_double", "1E400", "10E399", 0, true},
    {"beyond_every_range_is_no_number", "1E9999", "1E9999", 0, false},
    {"tolerance_is_relative", "1000", "1000.9", 1e-3, true},
    {"and_ends", "1000", "1001.1", 1e-3, false},
    {"tolerance_knows_negatives", "-1000", "-999.1", 1e-3, true},
    {"zero_is_exact", "0", "1E-300", 1e-3, false},
    {"tolerance_goes_deep", "{\"a\":[{\"b\":1.0}]}", "{\"a\":[{\"b\":1.0000001}]}", 1e-6, true},
    {"strings_by_characters", "\"\\u0041\\n\"", "\"A\\u000a\"", 0, true},
    {"a_string_is_no_number", "\"5\"", "5", 0, false},
    {"no_json_equals_nothing", "{}", "{", 0, false},
    {"an_empty_text_equals_nothing", "{}", "", 0, false},
    {"empty_containers_differ", "[]", "{}", 0, false},
};

static void equal_row(void **state)
{
    const struct row *row = *state;
    struct err err;
    bool equal;

    assert_int_equal(sql_json_equal(span_of(row->want), span_of(row->got), row->tolerance, &equal, &err), 0);
    assert_int_equal(equal, row->equal);
}

static void members_come_in_the_order_of_the_text(void **state)
{
    static const char text[] = " { \"a\\u0062\" : {\"x\":[1,\"]}\"]} , \"n\":-1.50E+2, \"n\" : null } ";
    static const struct {
        const char *name, *text;
        enum sql_json_kind kind;
    } want[] = {{"ab", "{\"x\":[1,\"]}\"]}", SQL_JSON_OBJECT},
                {"n", "-1.50E+2", SQL_JSON_NUMBER},
                {"n", "null", SQL_JSON_NULL}};
    struct sql_json root, name, item;
    struct arena arena;
    struct span characters;
    struct err err;
    size_t i = 0;

    (void)state;
    arena_init(&arena, 4096);
    assert_int_equal(sql_json_read(SPAN(text), &root, &err), 0);
    for (struct sql_json_walk walk = sql_json_walk(&root); sql_json_next(&walk, &name, &item); i++) {
        assert_true(i < 3);
        assert_true(sql_json_text(&name, &arena, &characters));
        assert_true(span_is(characters, want[i].name));
        assert_true(span_is(item.text, want[i].text));
        assert_int_equal(item.kind, want[i].kind);
    }
    assert_int_equal(i, 3);
    arena_done(&arena);
}

static void compact_keeps_numbers_and_strings_as_written(void **state)
{
    struct sql_json root;
    struct buf out = BUF_INIT;
    struct err err;

    (void)state;
    assert_int_equal(sql_json_read(SPAN("[ 1.0 ,\n\t\"a  \\\" b\" , { \"k\" : 1E400 } ]"), &root, &err), 0);
    sql_json_compact(&root, &out);
    assert_string_equal(out.data, "[1.0,\"a  \\\" b\",{\"k\":1E400}]");
    buf_done(&out);
}

static void what_is_no_json_has_a_place(void **state)
{
    struct sql_json root;
    struct err err = {0};

    (void)state;
    assert_int_equal(sql_json_read(SPAN("{\"a\":\n tru}"), &root, &err), -1);
    assert_int_equal(err.pos.line, 2);
    assert_int_equal(sql_json_read(SPAN("  "), &root, &err), -1);
    assert_string_equal(err.text, "expected a JSON value, found nothing");
}

static void a_scalar_has_no_members(void **state)
{
    struct sql_json root, name, item;
    struct err err;

    (void)state;
    assert_int_equal(sql_json_read(SPAN("\"{}\""), &root, &err), 0);
    struct sql_json_walk walk = sql_json_walk(&root);
    assert_false(sql_json_next(&walk, &name, &item));
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 4] = {
        cmocka_unit_test(members_come_in_the_order_of_the_text),
        cmocka_unit_test(compact_keeps_numbers_and_strings_as_written),
        cmocka_unit_test(what_is_no_json_has_a_place),
        cmocka_unit_test(a_scalar_has_no_members),
    };

    for (size_t i = 0; i < ROWS; i++)
        tests[i + 4] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = equal_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
