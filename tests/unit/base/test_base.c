/* The floor: arena, buffer, UTF-8, errors with places, nearest names, wiped bytes. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/nearest.h"
#include "base/report.h"
#include "base/utf8.h"
#include "base/wiped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void arena_holds_its_limit(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 100000);
    size_t got = 0;
    while (arena_alloc(&arena, 1000))
        got += 1008;
    assert_in_range(got, 50000, 100800);
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 60000));
    assert_null(arena_alloc(&arena, 60000));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
    arena_done(&arena);
}

static void arena_rewinds_to_a_mark(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    char *first = arena_alloc(&arena, 10);
    struct arena_mark mark = arena_mark(&arena);
    char *second = arena_alloc(&arena, 10);
    assert_non_null(arena_alloc(&arena, 200000));
    arena_rewind(&arena, mark);
    assert_ptr_equal(arena_alloc(&arena, 10), second);
    assert_ptr_not_equal(first, second);
    arena_done(&arena);
}

static void buffer_grows_in_heap_and_arena(void **state)
{
    struct arena arena;
    struct buf heap = BUF_INIT;

    (void)state;
    arena_init(&arena, 1 << 20);
    struct buf inside = buf_in(&arena, 5000);
    for (int i = 0; i < 1000; i++) {
        buf_format(&heap, "%d,", i);
        buf_format(&inside, "%d,", i);
        if (i % 100 == 0)
            assert_non_null(arena_alloc(&arena, 1)); /* something in the way */
    }
    assert_false(heap.failed || inside.failed);
    assert_string_equal(heap.data, inside.data);
    for (int i = 0; i < 2000; i++)
        buf_char(&inside, 'x');
    assert_true(inside.failed);
    assert_true(inside.size <= 5000);
    buf_done(&heap);
    arena_done(&arena);
}

static void json_strings_are_escaped(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    buf_json(&out, SPAN("a\"b\\c\n\x01 \xc3\xa9 \xff"));
    assert_string_equal(out.data, "\"a\\\"b\\\\c\\n\\u0001 \xc3\xa9 \xef\xbf\xbd\"");
    buf_done(&out);
}

static void utf8_is_strict(void **state)
{
    static const struct {
        const char *text;
        size_t valid;
    } rows[] = {
        {"plain ascii text", 16}, {"\xc3\xa9", 2},         {"\xc0\x80", 0},         {"\xed\xa0\x80", 0},
        {"\xf4\x8f\xbf\xbf", 4},  {"\xf4\x90\x80\x80", 0}, {"12345678\xe2\x82", 8}, {"\xe2\x82\xac!", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(utf8_valid(span_of(rows[i].text)), rows[i].valid);
    for (uint32_t code = 0; code < 0x110000; code++) {
        char text[4];
        uint32_t back;
        size_t size = utf8_encode(code, text);

        if (code >= 0xd800 && code <= 0xdfff) {
            assert_int_equal(size, 0);
            continue;
        }
        assert_int_equal(utf8_decode((struct span){text, size}, &back), size);
        assert_int_equal(back, code);
    }
}

static void errors_show_their_place(void **state)
{
    struct span source = SPAN("SELECT a\nWHERE b FROM 'x'");
    char out[1024];
    struct err err = {0};

    (void)state;
    assert_int_equal(err_set(&err, ERR_SYNTAX, "expected %s, found %s", "FROM", "WHERE"), -1);
    err_mark(&err, source, 9, 5);
    err_in(&err, "rules/heat.json", "sql");
    err_print(&err, out, sizeof out);
    assert_string_equal(out, "rules/heat.json: sql: 2:1: expected FROM, found WHERE\n"
                             "  WHERE b FROM 'x'\n"
                             "  ^~~~~");
    char far[3000];
    memset(far, 'y', sizeof far);
    err_mark(&err, (struct span){far, sizeof far}, 2500, 700);
    assert_int_equal(err.pos.column, 2501);
    assert_non_null(strstr(err.mark, "...yyy"));
    assert_non_null(strchr(err.mark, '^'));
    err_mark(&err, SPAN(""), 0, 0);
    assert_int_equal(err.pos.column, 1);
}

static const char *function_name(const void *context, size_t index)
{
    static const char *const names[] = {"substring", "startswith", "sin", "sinh", "topic", NULL};

    (void)context;
    return names[index];
}

static void nearest_name_is_found(void **state)
{
    (void)state;
    assert_string_equal(nearest(SPAN("substr1ng"), function_name, NULL), "substring");
    assert_string_equal(nearest(SPAN("TOPCI"), function_name, NULL), "topic");
    assert_null(nearest(SPAN("elephant"), function_name, NULL));
    assert_null(nearest(SPAN(""), function_name, NULL));
}

static void wiped_bytes_are_a_copy(void **state)
{
    char source[] = "hunter2";
    struct wiped *secret = wiped_new((struct span){source, 7}), *again = wiped_ref(secret);

    (void)state;
    memset(source, 'x', 7);
    wiped_free(secret);
    assert_true(span_is(wiped_reveal(again), "hunter2"));
    wiped_free(again);
    wiped_free(NULL);
}

static void report_counts(void **state)
{
    struct report report = REPORT_INIT;

    (void)state;
    for (int i = 0; i < 20; i++)
        report_warn(&report, "f", "p", (struct pos){1, 2}, "w%d", i);
    report_error(&report, NULL, NULL, (struct pos){0, 0}, "e");
    assert_int_equal(report.warnings, 20);
    assert_int_equal(report.errors, 1);
    assert_string_equal(report.findings[3].err.text, "w3");
    report_done(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_holds_its_limit),
        cmocka_unit_test(arena_rewinds_to_a_mark),
        cmocka_unit_test(buffer_grows_in_heap_and_arena),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(errors_show_their_place),
        cmocka_unit_test(nearest_name_is_found),
        cmocka_unit_test(wiped_bytes_are_a_copy),
        cmocka_unit_test(report_counts),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
