/* The payload reader, by what comes out again: rows of text and the text that value_print makes of it. */
#include "base/arena.h"
#include "payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct row {
    const char *name, *text;
    enum payload_kind kind;
    const char *v2, *v1; /* v1 NULL: as v2 */
} rows[] = {
    {"an_object", "{\"a\":1,\"b\":[true,false,null,\"x\"]}", PAYLOAD_JSON,
     "{\"a\":1,\"b\":[true,false,null,\"x\"]}", NULL},
    {"an_array", "[1,[2,[]],{}]", PAYLOAD_JSON, "[1,[2,[]],{}]", NULL},
    {"blanks_go", " \t\r\n{ \"a\" : [ 1 , { \"b\" : 2 } ] , \"c\" : { } } \n", PAYLOAD_JSON,
     "{\"a\":[1,{\"b\":2}],\"c\":{}}", NULL},
    {"blanks_inside_one_member", "{\"a\":[1,2],\"b\":[3, 4],\"c\":{\"d\":5}}", PAYLOAD_JSON,
     "{\"a\":[1,2],\"b\":[3,4],\"c\":{\"d\":5}}", NULL},
    {"whole_decimals", "[10.0,5.50,1E3,-0,-0.0,0.0]", PAYLOAD_JSON, "[10,5.5,1000,0,0,0]",
     "[10.0,5.50,1000,0,0.0,0.0]"},
    {"small_decimals", "[0.000001,0.0000001,0.0000000]", PAYLOAD_JSON, "[0.000001,1E-7,0]",
     "[0.000001,1E-7,0E-7]"},
    {"more_than_34_digits", "[12345678901234567890123456789012345]", PAYLOAD_JSON,
     "[1.234567890123456789012345678901234E34]", NULL},
    {"34_digits", "[9876543210987654321098765432109876]", PAYLOAD_JSON,
     "[9876543210987654321098765432109876]", NULL},
    {"beyond_binary64", "[1E400,-1e+400]", PAYLOAD_JSON, "[1E400,-1E400]", NULL},
    {"out_of_range_is_undefined", "{\"a\":1E1000,\"b\":1,\"c\":[1E1000]}", PAYLOAD_JSON, "{\"b\":1,\"c\":[]}",
     NULL},
    {"escapes_that_must_be", "{\"a\\n\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\"}", PAYLOAD_JSON,
     "{\"a\\n\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\"}", NULL},
    {"escapes_that_need_not_be", "{\"\\u00e9\":\"\\/x\\ud83d\\ude00y\\u007f\"}", PAYLOAD_JSON,
     "{\"\xc3\xa9\":\"/x\xf0\x9f\x98\x80y\x7f\"}", NULL},
    {"escapes_in_another_spelling", "[\"\\u001F\\u000a\\u0022\\u005C\\u000B\"]", PAYLOAD_JSON,
     "[\"\\u001f\\n\\\"\\\\\\u000b\"]", NULL},
    {"utf8", "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]", PAYLOAD_JSON,
     "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]", NULL},
    {"a_name_twice", "{\"a\":1,\"b\":2,\"a\":{\"x\":3}}", PAYLOAD_JSON, "{\"a\":{\"x\":3},\"b\":2}", NULL},
    {"a_name_three_times", "{\"a\":[1],\"a\":2,\"b\":0,\"a\":3}", PAYLOAD_JSON, "{\"a\":3,\"b\":0}", NULL},
    {"a_name_twice_once_escaped", "{\"ab\":1,\"c\":2,\"\\u0061b\":3}", PAYLOAD_JSON, "{\"ab\":3,\"c\":2}",
     NULL},
    {"an_empty_name_twice", "{\"\":1,\"\":2}", PAYLOAD_JSON, "{\"\":2}", NULL},
    {"the_last_one_is_out_of_range", "{\"a\":1,\"b\":2,\"a\":1E1000}", PAYLOAD_JSON, "{\"b\":2}", NULL},
    {"a_name_twice_at_the_very_end", "{\"ab\":1,\"c\":22222222,\"ab\":2}", PAYLOAD_JSON,
     "{\"ab\":2,\"c\":22222222}", NULL},
    {"twice_inside_twice", "{\"o\":{\"a\":1,\"a\":2},\"p\":0,\"o\":{\"b\":3,\"b\":[4,5]}}", PAYLOAD_JSON,
     "{\"o\":{\"b\":[4,5]},\"p\":0}", NULL},
    {"among_many_members",
     "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,\"l\":12,"
     "\"m\":13,"
     "\"c\":{\"x\":14},\"n\":15}",
     PAYLOAD_JSON,
     "{\"a\":1,\"b\":2,\"c\":{\"x\":14},\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,"
     "\"l\":12,"
     "\"m\":13,\"n\":15}",
     NULL},
    {"long_names_alike_at_both_ends", "{\"temperature_of_1_x_probe\":1,\"temperature_of_2_x_probe\":2}",
     PAYLOAD_JSON, "{\"temperature_of_1_x_probe\":1,\"temperature_of_2_x_probe\":2}", NULL},

    {"a_bare_number", " 80.0 ", PAYLOAD_SCALAR, "80", "80.0"},
    {"a_bare_string", "\"a\\tb\"", PAYLOAD_SCALAR, "\"a\\tb\"", NULL},
    {"a_bare_word", "true", PAYLOAD_SCALAR, "true", NULL},
    {"a_bare_null", "null", PAYLOAD_SCALAR, "null", NULL},
    {"nothing", "", PAYLOAD_EMPTY, NULL, NULL},
    {"blanks_alone", " \n", PAYLOAD_EMPTY, NULL, NULL},

    {"plain_text", "hello", PAYLOAD_BINARY, NULL, NULL},
    {"an_open_object", "{", PAYLOAD_BINARY, NULL, NULL},
    {"an_open_array_inside", "{\"a\":[1,2}", PAYLOAD_BINARY, NULL, NULL},
    {"the_wrong_bracket", "{\"a\":1]", PAYLOAD_BINARY, NULL, NULL},
    {"too_many_brackets", "[1]]", PAYLOAD_BINARY, NULL, NULL},
    {"two_values", "{}{}", PAYLOAD_BINARY, NULL, NULL},
    {"two_scalars", "1 2", PAYLOAD_BINARY, NULL, NULL},
    {"a_comma_too_many", "[1,]", PAYLOAD_BINARY, NULL, NULL},
    {"a_comma_too_many_in_an_object", "{\"a\":1,}", PAYLOAD_BINARY, NULL, NULL},
    {"no_comma", "[1 2]", PAYLOAD_BINARY, NULL, NULL},
    {"no_colon", "{\"a\" 1}", PAYLOAD_BINARY, NULL, NULL},
    {"no_value", "{\"a\":}", PAYLOAD_BINARY, NULL, NULL},
    {"no_quotes", "{a:1}", PAYLOAD_BINARY, NULL, NULL},
    {"a_leading_zero", "[01]", PAYLOAD_BINARY, NULL, NULL},
    {"a_plus", "[+1]", PAYLOAD_BINARY, NULL, NULL},
    {"an_open_point", "[1.]", PAYLOAD_BINARY, NULL, NULL},
    {"a_bare_point", "[.5]", PAYLOAD_BINARY, NULL, NULL},
    {"an_open_exponent", "[1e]", PAYLOAD_BINARY, NULL, NULL},
    {"a_minus_alone", "[-]", PAYLOAD_BINARY, NULL, NULL},
    {"a_minus_alone_bare", "-", PAYLOAD_BINARY, NULL, NULL},
    {"not_a_number", "[NaN]", PAYLOAD_BINARY, NULL, NULL},
    {"a_word_cut_short", "[tru]", PAYLOAD_BINARY, NULL, NULL},
    {"a_word_that_goes_on", "[truex]", PAYLOAD_BINARY, NULL, NULL},
    {"a_word_in_capitals", "[True]", PAYLOAD_BINARY, NULL, NULL},
    {"single_quotes", "['a']", PAYLOAD_BINARY, NULL, NULL},
    {"a_newline_in_a_string", "[\"a\nb\"]", PAYLOAD_BINARY, NULL, NULL},
    {"a_string_without_end", "[\"abc]", PAYLOAD_BINARY, NULL, NULL},
    {"an_unknown_escape", "[\"\\x41\"]", PAYLOAD_BINARY, NULL, NULL},
    {"a_short_escape", "[\"\\u12\"]", PAYLOAD_BINARY, NULL, NULL},
    {"half_a_surrogate_pair", "[\"\\ud800\"]", PAYLOAD_BINARY, NULL, NULL},
    {"the_other_half", "[\"\\udc00\"]", PAYLOAD_BINARY, NULL, NULL},
    {"two_first_halves", "[\"\\ud800\\ud800\"]", PAYLOAD_BINARY, NULL, NULL},
    {"a_wrong_byte", "[\"\xff\"]", PAYLOAD_BINARY, NULL, NULL},
    {"a_cut_character", "[\"\xe2\x82\"]", PAYLOAD_BINARY, NULL, NULL},
    {"a_surrogate_in_utf8", "[\"\xed\xa0\x80\"]", PAYLOAD_BINARY, NULL, NULL},
    {"an_overlong_slash", "[\"\xc0\xaf\"]", PAYLOAD_BINARY, NULL, NULL},
    {"a_byte_order_mark", "\xef\xbb\xbf{}", PAYLOAD_BINARY, NULL, NULL},
    {"a_comment", "{/**/}", PAYLOAD_BINARY, NULL, NULL},
};

/* In memory of exactly its size, so that the sanitizer sees one byte too many. */
static struct span exact(const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, text, size);
    return (struct span){copy, size};
}

static void payload_row(void **state)
{
    const struct row *row = *state;
    struct arena arena;
    struct value root;
    struct err err = {0};
    struct span text = exact(row->text, strlen(row->text));

    arena_init(&arena, 1 << 20);
    assert_int_equal(payload_read(text, &arena, &root, &err), row->kind);
    if (row->kind == PAYLOAD_BINARY) {
        assert_int_equal(err.code, ERR_SYNTAX);
        assert_int_not_equal(err.pos.line, 0);
        assert_true(err.text[0] && err.mark[0]);
    } else {
        assert_int_equal(err.code, ERR_NONE);
    }
    for (int version = SQL_2015_10_08; row->v2 && version <= SQL_2016_03_23; version++) {
        struct buf out = BUF_INIT;

        value_print(&root, (enum sql_version)version, &arena, &out);
        assert_false(out.failed);
        assert_string_equal(out.data, version == SQL_2015_10_08 && row->v1 ? row->v1 : row->v2);
        buf_done(&out);
    }
    arena_done(&arena);
    free((void *)(uintptr_t)text.data);
}

static void depth_has_a_limit_that_is_met_at_once(void **state)
{
    struct arena arena;
    struct value root;
    struct err err = {0};
    size_t size = 100000;
    char *text = malloc(size);

    (void)state;
    assert_non_null(text);
    memset(text, '[', size);
    arena_init(&arena, 1 << 20);
    text[size - 1] = ']';
    assert_int_equal(payload_read((struct span){text, size}, &arena, &root, &err), PAYLOAD_LIMIT);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(err.pos.column, PAYLOAD_DEPTH + 1);

    struct buf out = BUF_INIT;
    memset(text + PAYLOAD_DEPTH, ']', PAYLOAD_DEPTH);
    assert_int_equal(payload_read((struct span){text, (size_t)2 * PAYLOAD_DEPTH}, &arena, &root, &err),
                     PAYLOAD_JSON);
    value_print(&root, SQL_2016_03_23, &arena, &out);
    assert_int_equal(out.size, 2 * PAYLOAD_DEPTH);
    buf_done(&out);
    arena_done(&arena);
    free(text);
}

static void errors_name_line_and_column(void **state)
{
    static const char text[] = "\n\n {\"a\": 1,\n  \"b\": tru}";
    struct arena arena;
    struct value root;
    struct err err = {0};

    (void)state;
    arena_init(&arena, 1 << 20);
    assert_int_equal(payload_read(SPAN(text), &arena, &root, &err), PAYLOAD_BINARY);
    assert_int_equal(err.pos.line, 4);
    assert_int_equal(err.pos.column, 8);
    assert_string_equal(err.text, "the payload is not JSON: expected true, false or null");
    assert_int_equal(payload_read((struct span){0}, &arena, &root, &err), PAYLOAD_EMPTY);
    arena_done(&arena);
}

static void every_small_limit_is_met_without_a_crash(void **state)
{
    static const char text[] = "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,"
                               "27,28,29,30,31,32,33,34,35],"
                               "\"\\u0062\":{\"b\":1,\"\\u0062\":2,\"c\":\"\\u0063\"},\"d\":1.0}";
    bool met = false, passed = false;

    (void)state;
    for (size_t limit = 0; limit < 6000; limit += 8) {
        struct arena arena;
        struct value root;
        struct err err = {0};
        struct buf out = buf_in(&arena, SIZE_MAX);

        arena_init(&arena, limit);
        enum payload_kind kind = payload_read(SPAN(text), &arena, &root, &err);
        assert_true(kind == PAYLOAD_JSON || kind == PAYLOAD_LIMIT);
        assert_int_equal(kind == PAYLOAD_LIMIT, err.code == ERR_LIMIT);
        met |= kind == PAYLOAD_LIMIT;
        if (kind == PAYLOAD_JSON) {
            struct span converted;

            value_print(&root, SQL_2016_03_23, &arena, &out);
            passed |= !out.failed;
            enum convert convert = value_to_text(&root, SQL_2016_03_23, &arena, &converted);
            assert_true(convert == CONVERTED || convert == CONVERT_LIMIT);
        }
        arena_done(&arena);
    }
    assert_true(met && passed);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 3];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, payload_row, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(depth_has_a_limit_that_is_met_at_once);
    tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(every_small_limit_is_met_without_a_crash);
    tests[ROWS + 2] = (struct CMUnitTest)cmocka_unit_test(errors_name_line_and_column);
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
