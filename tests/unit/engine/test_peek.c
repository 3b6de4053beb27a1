/* Which message is next in the socket: row by row, and cut off anywhere. */
#include "peek.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) text, sizeof text - 1

static const struct row {
    const char *name;
    const char *bytes;
    size_t size;
    uint16_t identifier;
} rows[] = {
    {"a_publish", BYTES("\x32\x07\0\3a/b\x12\x34"), 0x1234},
    {"marked_dup_and_retained", BYTES("\x3b\x07\0\3a/b\x12\x34"), 0x1234},
    {"more_behind_it", BYTES("\x32\x09\0\3a/b\x12\x34\0{\x32\x07\0\3a/b\x12\x35"), 0x1234},
    {"a_length_of_two_bytes", BYTES("\x32\x80\x01\0\1a\0\5"), 5},
    {"a_length_of_four_bytes", BYTES("\x32\xff\xff\xff\x01\0\1a\0\5"), 5},
    {"quality_of_service_0", BYTES("\x30\x07\0\3a/b\x12\x34"), 0},
    {"quality_of_service_2", BYTES("\x34\x07\0\3a/b\x12\x34"), 0},
    {"a_puback", BYTES("\x40\x02\0\5"), 0},
    {"a_suback", BYTES("\x92\x04\0\5\0\1"), 0},
    {"a_pingresp", BYTES("\xd0\0"), 0},
    {"nothing", BYTES(""), 0},
};

/* In memory of its own size, so that a look behind its end is seen. */
static uint16_t look(const char *bytes, size_t size)
{
    unsigned char *copy = malloc(size + !size);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    uint16_t found = peek_identifier(copy, size);
    free(copy);
    return found;
}

static void row(void **state)
{
    const struct row *row = *state;

    assert_int_equal(look(row->bytes, row->size), row->identifier);
}

static void cut_off_there_is_none(void **state)
{
    (void)state;
    for (size_t size = 0; size < 9; size++)
        assert_int_equal(look(rows[0].bytes, size), 0);
    for (size_t size = 0; size < rows[4].size; size++)
        assert_int_equal(look(rows[4].bytes, size), 0);
}

/* Every text of a header and a topic's length stays inside. */
static void any_bytes_are_looked_at_safely(void **state)
{
    char bytes[12];

    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        bytes[0] = 0x32;
        for (size_t at = 1; at < sizeof bytes; at++)
            bytes[at] = (char)(rand() % 3 ? rand() % 8 : rand());
        (void)look(bytes, (size_t)rand() % (sizeof bytes + 1));
    }
}

/* Four bytes, and no other: not what MQTT 5 says, nor another return code, nor the beginning of more. */
static void an_old_refusal_is_known(void **state)
{
    (void)state;
    assert_true(peek_is_old_refusal((const unsigned char *)"\x20\x02\x00\x01", 4));
    assert_false(peek_is_old_refusal((const unsigned char *)"\x20\x02\x00\x01", 3));
    assert_false(peek_is_old_refusal((const unsigned char *)"\x20\x02\x00\x05", 4));
    assert_false(peek_is_old_refusal((const unsigned char *)"\x20\x03\x00\x01", 4));
    assert_false(peek_is_old_refusal((const unsigned char *)"HTTP", 4));
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 3] = {
        cmocka_unit_test(cut_off_there_is_none),
        cmocka_unit_test(any_bytes_are_looked_at_safely),
        cmocka_unit_test(an_old_refusal_is_known),
    };

    for (size_t i = 0; i < ROWS; i++)
        tests[3 + i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = row, .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("peek", tests, NULL, NULL);
}
