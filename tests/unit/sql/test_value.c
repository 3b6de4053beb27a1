/* Values: getting at them, converting, comparing, printing what expressions build. */
#include "base/arena.h"
#include "payload.h"
#include "value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, (size_t)64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* A value as JSON text has it; "" is Undefined. */
static struct value json(const char *text)
{
    struct value root;
    struct err err = {0};

    enum payload_kind kind = payload_read(span_of(text), &arena, &root, &err);
    assert_true(kind == PAYLOAD_JSON || kind == PAYLOAD_SCALAR || kind == PAYLOAD_EMPTY);
    return root;
}

/* The same, rebuilt as lists and plain values all the way down. */
static struct value built(struct value from)
{
    size_t count = value_count(&from), n = 0;
    struct value_walk walk = value_walk(&from);
    struct value item, result = from;
    struct span key = {0};
    bool failed = false;

    if (from.type == VALUE_STRING) {
        assert_true(value_get_text(&from, &arena, &result.text));
        result.form = FORM_PLAIN;
        return result;
    }
    if (value_is_number(&from)) {
        assert_true(value_get_number(&from, &result.number));
        result.form = FORM_PLAIN;
        return result;
    }
    if (from.type != VALUE_ARRAY && from.type != VALUE_OBJECT)
        return from;
    struct value *items = arena_array(&arena, count + 1, sizeof *items);
    struct member *members = arena_array(&arena, count + 1, sizeof *members);
    while (value_next(&walk, &arena, &key, &item, &failed)) {
        members[n] = (struct member){key, built(item)};
        items[n] = members[n].value;
        n++;
    }
    assert_false(failed);
    assert_int_equal(n, count);
    result.form = FORM_LIST;
    result.list.count = count;
    result.list.items = from.type == VALUE_ARRAY ? items : NULL;
    result.list.members = from.type == VALUE_OBJECT ? members : NULL;
    return result;
}

static void assert_prints(struct value value, enum sql_version version, const char *want)
{
    struct buf out = buf_in(&arena, SIZE_MAX);

    buf_reserve(&out, 1);
    out.data[0] = '\0';
    value_print(&value, version, &arena, &out);
    assert_false(out.failed);
    assert_string_equal(out.data, want);
}

/* ---- the standard conversions: one row, all four of them; NULL is Undefined ---- */

static const struct conversion {
    const char *name, *from, *number, *integer, *boolean, *text;
} conversions[] = {
    {"of_an_int", "42", "42", "42", NULL, "42"},
    {"of_a_decimal", "-1.50", "-1.50", "-2", NULL, "-1.5"},
    {"of_a_whole_decimal", "7.0", "7.0", "7", NULL, "7"},
    {"of_a_small_decimal", "0.00000015", "1.5E-7", "0", NULL, "1.5E-7"},
    {"of_true", "true", NULL, NULL, "true", "true"},
    {"of_a_numeric_string", "\"5.9\"", "5.9", "5", NULL, "5.9"},
    {"of_a_negative_numeric_string", "\"-5.9\"", "-5.9", "-5", NULL, "-5.9"},
    {"of_a_string_with_an_exponent", "\"1.25E1\"", "12.5", "12", NULL, "1.25E1"},
    {"of_a_numeric_string_in_escapes", "\"\\u0035\"", "5", "5", NULL, "5"},
    {"of_a_string_with_a_plus", "\"+5\"", NULL, NULL, NULL, "+5"},
    {"of_a_string_with_a_blank", "\" 5\"", NULL, NULL, NULL, " 5"},
    {"of_the_string_true", "\"tRuE\"", NULL, NULL, "true", "tRuE"},
    {"of_the_string_false_in_escapes", "\"fal\\u0073e\"", NULL, NULL, "false", "false"},
    {"of_an_empty_string", "\"\"", NULL, NULL, NULL, ""},
    {"of_an_array", "[1, \"a\", true, null, [2.0]]", NULL, NULL, NULL, "[1,\"a\",true,null,[2]]"},
    {"of_an_object", "{\"a\": {\"b\": [1, 2]}}", NULL, NULL, NULL, "{\"a\":{\"b\":[1,2]}}"},
    {"of_null", "null", NULL, NULL, NULL, NULL},
    {"of_nothing", "", NULL, NULL, NULL, NULL},
};

static void assert_number(enum convert done, const struct number *number, const char *want)
{
    char text[NUMBER_TEXT + 1];

    assert_int_equal(done, want ? CONVERTED : NOT_CONVERTED);
    if (want) {
        text[number_print(number, text)] = '\0';
        assert_string_equal(text, want);
    }
}

static void conversion_row(void **state)
{
    const struct conversion *row = *state;
    struct value forms[2];
    struct number number;
    struct span text;
    bool boolean;

    forms[0] = json(row->from);
    forms[1] = built(forms[0]);
    for (int i = 0; i < 2; i++) {
        enum convert done = value_to_number(&forms[i], &arena, &number);
        assert_number(done, &number, row->number);
        done = value_to_int(&forms[i], &arena, &number);
        assert_number(done, &number, row->integer);
        done = value_to_boolean(&forms[i], &arena, &boolean);
        assert_int_equal(done, row->boolean ? CONVERTED : NOT_CONVERTED);
        if (row->boolean)
            assert_int_equal(boolean, strcmp(row->boolean, "true") == 0);
        done = value_to_text(&forms[i], SQL_2016_03_23, &arena, &text);
        assert_int_equal(done, row->text ? CONVERTED : NOT_CONVERTED);
        if (row->text)
            assert_true(span_is(text, row->text));
    }
}

/* ---- equality ---- */

static const struct equality {
    const char *name, *a, *b;
    bool equal;
} equalities[] = {
    {"int_and_decimal_by_value", "10", "1.0E1", true},
    {"numbers_that_differ_in_the_34th_digit", "1000000000000000000000000000000001",
     "1000000000000000000000000000000002", false},
    {"a_string_is_no_number", "\"5\"", "5", false},
    {"one_is_not_true", "1", "true", false},
    {"null_is_null", "null", "null", true},
    {"null_is_not_zero", "null", "0", false},
    {"true_is_not_false", "true", "false", false},
    {"strings_by_characters", "\"\\u0061\\n\"", "\"a\\u000a\"", true},
    {"strings_by_case", "\"a\"", "\"A\"", false},
    {"arrays_in_order", "[1,[2,{\"a\":3}]]", "[1.0,[2,{\"a\":3.0}]]", true},
    {"arrays_out_of_order", "[1,2]", "[2,1]", false},
    {"arrays_of_other_length", "[1,2]", "[1,2,3]", false},
    {"objects_without_order", "{\"a\":1,\"b\":{\"c\":[],\"d\":2}}", "{\"b\":{\"d\":2,\"c\":[]},\"a\":1}",
     true},
    {"objects_with_another_key", "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
    {"objects_with_a_key_more", "{\"a\":1}", "{\"a\":1,\"b\":2}", false},
    {"keys_by_characters", "{\"\\u0061\\ud83d\\ude00\":1}", "{\"a\xf0\x9f\x98\x80\":1}", true},
    {"empty_array_and_object", "[]", "{}", false},
    {"deep_difference", "[[[[[[1]]]]]]", "[[[[[[2]]]]]]", false},
    {"a_repeated_member_counts_once", "{\"a\":1,\"a\":2}", "{\"a\":2}", true},
    {"undefined_members_equal_nothing", "{\"a\":1E1000}", "{\"b\":1E1000}", false},
};

static void equality_row(void **state)
{
    const struct equality *row = *state;
    struct value as[2], bs[2];
    bool equal;

    as[0] = json(row->a);
    bs[0] = json(row->b);
    as[1] = strstr(row->a, "E1000") ? as[0] : built(as[0]);
    bs[1] = strstr(row->b, "E1000") ? bs[0] : built(bs[0]);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(value_equal(&as[i & 1], &bs[i >> 1], &arena, &equal), CONVERTED);
        assert_int_equal(equal, row->equal);
        assert_int_equal(value_equal(&bs[i >> 1], &as[i & 1], &arena, &equal), CONVERTED);
        assert_int_equal(equal, row->equal);
    }
}

/* {"k0":0,"k1":1,...}, backwards if `step` is -1; the value of `odd` is another. */
static struct value many_members(int count, int step, int odd)
{
    struct buf text = buf_in(&arena, SIZE_MAX);

    buf_char(&text, '{');
    for (int i = 0; i < count; i++) {
        int k = step > 0 ? i : count - 1 - i;

        buf_format(&text, "%s\"k%d\":%d", i ? "," : "", k, k == odd ? -1 : k);
    }
    buf_char(&text, '}');
    return json(text.data);
}

static void large_objects_compare_without_order(void **state)
{
    struct value forward = many_members(3000, 1, -1), backward = many_members(3000, -1, -1);
    struct value other = many_members(3000, -1, 1234);
    bool equal;

    (void)state;
    assert_int_equal(value_equal(&forward, &backward, &arena, &equal), CONVERTED);
    assert_true(equal);
    assert_int_equal(value_equal(&forward, &other, &arena, &equal), CONVERTED);
    assert_false(equal);
}

/* ---- containers ---- */

static void members_are_found_by_their_characters(void **state)
{
    struct value object = json("{\"a\":1,\"b\":{\"x\":[1,2]},\"\\u0063\\\"\":3,\"a\":4,\"n\":null,\"\":5}");
    struct value forms[2];

    (void)state;
    forms[0] = object;
    forms[1] = built(object);
    for (int i = 0; i < 2; i++) {
        const struct value *o = &forms[i];
        struct value inner = value_member(o, SPAN("b"));

        assert_int_equal(value_count(o), 5);
        assert_prints(value_member(o, SPAN("a")), SQL_2016_03_23, "4");
        assert_prints(value_member(&inner, SPAN("x")), SQL_2016_03_23, "[1,2]");
        assert_prints(value_member(o, SPAN("c\"")), SQL_2016_03_23, "3");
        assert_prints(value_member(o, (struct span){0}), SQL_2016_03_23, "5");
        assert_int_equal(value_member(o, SPAN("n")).type, VALUE_NULL);
        assert_int_equal(value_member(o, SPAN("A")).type, VALUE_UNDEFINED);
        assert_int_equal(value_member(o, SPAN("c")).type, VALUE_UNDEFINED);
        assert_int_equal(value_member(o, SPAN("c\"x")).type, VALUE_UNDEFINED);
        assert_int_equal(value_element(o, 0).type, VALUE_UNDEFINED);
    }
    struct value number = json("5");
    assert_int_equal(value_member(&number, SPAN("a")).type, VALUE_UNDEFINED);
    assert_int_equal(value_count(&number), 0);
}

static void elements_are_found_by_index(void **state)
{
    static const char *const texts[] = {"[10,11,12]", "[[1,2],{\"a\":[]},12]", "[]"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct value array = json(texts[i]), list = built(array);
        size_t count = i < 2 ? 3 : 0;

        assert_int_equal(value_count(&array), count);
        if (count) {
            assert_prints(value_element(&array, 2), SQL_2016_03_23, "12");
            assert_prints(value_element(&list, 2), SQL_2016_03_23, "12");
        }
        assert_int_equal(value_element(&array, count).type, VALUE_UNDEFINED);
        assert_int_equal(value_element(&list, count).type, VALUE_UNDEFINED);
        assert_int_equal(value_element(&array, SIZE_MAX).type, VALUE_UNDEFINED);
    }
}

/* ---- output ---- */

static void what_was_built_prints_as_what_was_read(void **state)
{
    static const char text[] =
        "{\"a\":[1,2.50,{\"b\":\"x\\\"\\n\xc3\xa9\"}],\"c\":{},\"d\":[],\"e\":null,\"f\":false}";
    struct value read = json(text), list = built(read);

    (void)state;
    assert_prints(read, SQL_2015_10_08, text);
    assert_prints(list, SQL_2015_10_08, text);
    assert_prints(list, SQL_2016_03_23,
                  "{\"a\":[1,2.5,{\"b\":\"x\\\"\\n\xc3\xa9\"}],\"c\":{},\"d\":[],\"e\":null,\"f\":false}");
}

static void undefined_members_are_left_out(void **state)
{
    struct value items[] = {VALUE_NOTHING, value_boolean(true), VALUE_NOTHING, value_null(), VALUE_NOTHING};
    struct member members[] = {
        {SPAN("a"), VALUE_NOTHING}, {SPAN("b"), value_null()}, {SPAN("c"), VALUE_NOTHING}};
    struct value array = {.type = VALUE_ARRAY, .form = FORM_LIST, .list = {items, NULL, 5}};
    struct value object = {.type = VALUE_OBJECT, .form = FORM_LIST, .list = {NULL, members, 3}};

    (void)state;
    assert_prints(array, SQL_2016_03_23, "[true,null]");
    assert_prints(object, SQL_2016_03_23, "{\"b\":null}");
    assert_prints(VALUE_NOTHING, SQL_2016_03_23, "");
}

static void deep_lists_need_no_call_stack(void **state)
{
    enum { DEPTH = 100000 };
    struct value *levels = arena_array(&arena, DEPTH, sizeof *levels);
    struct value *others = arena_array(&arena, DEPTH, sizeof *others);
    struct buf out = buf_in(&arena, SIZE_MAX);
    bool equal = false;

    (void)state;
    levels[0] = others[0] = value_null();
    for (int i = 1; i < DEPTH; i++) {
        levels[i] = (struct value){.type = VALUE_ARRAY, .form = FORM_LIST, .list = {&levels[i - 1], NULL, 1}};
        others[i] = (struct value){.type = VALUE_ARRAY, .form = FORM_LIST, .list = {&others[i - 1], NULL, 1}};
    }
    value_print(&levels[DEPTH - 1], SQL_2016_03_23, &arena, &out);
    assert_false(out.failed);
    assert_int_equal(out.size, 2 * (DEPTH - 1) + 4);
    assert_int_equal(value_equal(&levels[DEPTH - 1], &others[DEPTH - 1], &arena, &equal), CONVERTED);
    assert_true(equal);
}

static void numbers_take_the_form_of_their_version(void **state)
{
    static const struct {
        const char *text;
        bool is_int;
        enum value_type v1, v2;
        const char *v1_text, *v2_text;
    } rows[] = {
        {"5.0", false, VALUE_DECIMAL, VALUE_INT, "5.0", "5"},
        {"1E3", false, VALUE_DECIMAL, VALUE_INT, "1000", "1000"},
        {"5.50", false, VALUE_DECIMAL, VALUE_DECIMAL, "5.50", "5.5"},
        {"5.0", true, VALUE_INT, VALUE_INT, "5", "5"},
        {"1E33", true, VALUE_INT, VALUE_INT, "1000000000000000000000000000000000",
         "1000000000000000000000000000000000"},
        {"10E40", true, VALUE_DECIMAL, VALUE_DECIMAL, "1.0E41", "1E41"}, /* no Int: more than 34 digits */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct number number;

        assert_true(number_from_string(span_of(rows[i].text), &number));
        struct value v1 = value_number(&number, rows[i].is_int, SQL_2015_10_08);
        struct value v2 = value_number(&number, rows[i].is_int, SQL_2016_03_23);
        assert_int_equal(v1.type, rows[i].v1);
        assert_int_equal(v2.type, rows[i].v2);
        assert_prints(v1, SQL_2015_10_08, rows[i].v1_text);
        assert_prints(v2, SQL_2016_03_23, rows[i].v2_text);
    }
}

static void every_limit_is_reported(void **state)
{
    static const char text[] =
        "{\"a\":\"\\u0061bcdefghijklmnopqrstuvwxyz\",\"\\u0062\":[\"\\u0035\",{\"x\":[1.0, 2]}]}";
    struct value a = json(text), b = json(text), string = value_member(&a, SPAN("a"));
    bool limits[4] = {false};

    (void)state;
    for (size_t limit = 0; limit < 4096; limit += 16) {
        struct arena small;
        struct span span, key;
        struct value item;
        struct buf out;
        bool equal, failed = false;
        enum convert done;

        arena_init(&small, limit);
        limits[0] |= !value_get_text(&string, &small, &span);
        done = value_to_text(&a, SQL_2016_03_23, &small, &span);
        assert_true(done == CONVERTED || done == CONVERT_LIMIT);
        limits[1] |= done == CONVERT_LIMIT;
        done = value_equal(&a, &b, &small, &equal);
        assert_true(done == CONVERTED ? equal : done == CONVERT_LIMIT);
        limits[2] |= done == CONVERT_LIMIT;
        struct value_walk walk = value_walk(&a);
        while (value_next(&walk, &small, &key, &item, &failed))
            continue;
        limits[3] |= failed;
        out = buf_in(&small, SIZE_MAX);
        value_print(&a, SQL_2016_03_23, &small, &out);
        arena_done(&small);
    }
    for (int i = 0; i < 4; i++)
        assert_true(limits[i]);
}

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define FIXED(test) ((struct CMUnitTest){#test, test, setup, teardown, NULL})

int main(void)
{
    struct CMUnitTest tests[COUNT(conversions) + COUNT(equalities) + 8];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(conversions); i++)
        tests[n++] = (struct CMUnitTest){conversions[i].name, conversion_row, setup, teardown,
                                         (void *)(uintptr_t)&conversions[i]};
    for (size_t i = 0; i < COUNT(equalities); i++)
        tests[n++] = (struct CMUnitTest){equalities[i].name, equality_row, setup, teardown,
                                         (void *)(uintptr_t)&equalities[i]};
    tests[n++] = FIXED(large_objects_compare_without_order);
    tests[n++] = FIXED(members_are_found_by_their_characters);
    tests[n++] = FIXED(elements_are_found_by_index);
    tests[n++] = FIXED(what_was_built_prints_as_what_was_read);
    tests[n++] = FIXED(undefined_members_are_left_out);
    tests[n++] = FIXED(deep_lists_need_no_call_stack);
    tests[n++] = FIXED(numbers_take_the_form_of_their_version);
    tests[n++] = FIXED(every_limit_is_reported);
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
