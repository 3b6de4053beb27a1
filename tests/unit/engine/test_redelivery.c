/* What comes again: the table, row by row. The packets are in tests/contract/test_redelivery.py. */
#include "redelivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NEW, AGAIN };

static struct message message_of(const char *topic, struct span payload)
{
    return (struct message){.sql = {.topic = span_of(topic), .payload = payload, .payload_format = -1},
                            .qos = 1};
}

static bool seen(struct redelivery *redelivery, uint16_t mid, const char *payload, bool dup)
{
    const struct message message = message_of("a/b", span_of(payload));
    uint32_t place;

    return redelivery_read(redelivery, &message, mid, dup, &place);
}

/* One that has read messages 1 to `count` with payload "x", lost the connection, and is let in again. */
static struct redelivery *after_loss(uint16_t count)
{
    struct redelivery *redelivery = redelivery_new();

    assert_non_null(redelivery);
    redelivery_connected(redelivery, false, 0);
    for (uint32_t mid = 1; mid <= count; mid++)
        assert_false(seen(redelivery, (uint16_t)mid, "x", NEW));
    redelivery_lost(redelivery, REDELIVERY_LOST, 1);
    redelivery_connected(redelivery, true, 0);
    return redelivery;
}

static void all_that_there_can_be(void **state)
{
    struct redelivery *redelivery = after_loss(REDELIVERY_MOST);

    (void)state;
    for (uint32_t mid = 1; mid <= REDELIVERY_MOST; mid++) {
        assert_true(redelivery_expects(redelivery));
        assert_true(seen(redelivery, (uint16_t)mid, "x", AGAIN));
    }
    assert_false(redelivery_expects(redelivery));
    assert_false(seen(redelivery, 1, "x", AGAIN)); /* one more than there is room for */
    redelivery_free(redelivery);
}

static void an_identifier_twice_counts_twice(void **state)
{
    struct redelivery *redelivery = redelivery_new();

    (void)state;
    redelivery_connected(redelivery, false, 0);
    (void)seen(redelivery, 1, "x", NEW);
    (void)seen(redelivery, 1, "x", AGAIN); /* a broker that sends again while it waits */
    redelivery_lost(redelivery, REDELIVERY_LOST, 1);
    redelivery_connected(redelivery, true, 0);
    assert_true(seen(redelivery, 1, "x", AGAIN));
    assert_true(seen(redelivery, 1, "x", AGAIN));
    assert_false(seen(redelivery, 1, "x", AGAIN));
    redelivery_free(redelivery);
}

static void given_up_is_of_one_connection(void **state)
{
    struct redelivery *redelivery = after_loss(3);

    (void)state;
    redelivery_given_up(redelivery, 1, 1);
    redelivery_given_up(redelivery, 2, 0);          /* not read on that one */
    redelivery_given_up(redelivery, 1, UINT32_MAX); /* not remembered */
    assert_true(seen(redelivery, 1, "x", AGAIN));
    assert_false(seen(redelivery, 2, "x", AGAIN));
    assert_true(seen(redelivery, 3, "x", AGAIN));
    redelivery_free(redelivery);
}

/* Read on one connection, is `second` taken for `first` on the next? */
static bool taken_for(const struct message *first, const struct message *second)
{
    struct redelivery *redelivery = redelivery_new();
    uint32_t place;

    assert_non_null(redelivery);
    redelivery_connected(redelivery, false, 0);
    (void)redelivery_read(redelivery, first, 1, NEW, &place);
    redelivery_lost(redelivery, REDELIVERY_LOST, 1);
    redelivery_connected(redelivery, true, 0);
    bool taken = redelivery_read(redelivery, second, 1, AGAIN, &place);
    redelivery_free(redelivery);
    return taken;
}

static void every_byte_and_every_length_counts(void **state)
{
    char one[40], other[40];

    (void)state;
    memset(one, 'x', sizeof one);
    memcpy(other, one, sizeof one);
    for (size_t size = 1; size <= sizeof one; size++) {
        const struct message first = message_of("a", (struct span){one, size}),
                             second = message_of("a", (struct span){other, size}),
                             shorter = message_of("a", (struct span){one, size - 1}),
                             shifted = message_of("ax", (struct span){one, size - 1});

        assert_true(taken_for(&first, &second));
        assert_false(taken_for(&first, &shorter));
        assert_false(taken_for(&first, &shifted));
        for (size_t at = 0; at < size; at++) {
            other[at] = 'y';
            assert_false(taken_for(&first, &second));
            other[at] = 'x';
        }
    }
}

/* Properties and retain count; identifiers of subscriptions too, as they say which rules ran. */
static const struct sql_user_property property = {SPAN("k"), SPAN("v")};
static const struct difference {
    const char *name;
    struct message message;
} differences[] = {
    {"content_type", {.sql = {.content_type = SPAN("t")}}},
    {"response_topic", {.sql = {.response_topic = SPAN("t")}}},
    {"correlation_data", {.sql = {.correlation_data = SPAN("t")}}},
    {"payload_format", {.sql = {.payload_format = 1}}},
    {"retain", {.retained = true}},
    {"identifiers", {.ids = {7}, .id_count = 1}},
    {"user_properties", {.sql = {.user_properties = &property, .user_property_count = 1}}},
};

static void difference_row(void **state)
{
    const struct difference *row = *state;
    const struct message plain = {.qos = 1};

    assert_true(taken_for(&plain, &plain));
    assert_false(taken_for(&plain, &row->message));
}

int main(void)
{
    enum { ROWS = sizeof differences / sizeof *differences };
    struct CMUnitTest tests[ROWS + 4] = {
        cmocka_unit_test(all_that_there_can_be),
        cmocka_unit_test(an_identifier_twice_counts_twice),
        cmocka_unit_test(given_up_is_of_one_connection),
        cmocka_unit_test(every_byte_and_every_length_counts),
    };

    for (size_t i = 0; i < ROWS; i++)
        tests[4 + i] = (struct CMUnitTest){.name = differences[i].name,
                                           .test_func = difference_row,
                                           .initial_state = (void *)(uintptr_t)&differences[i]};
    return cmocka_run_group_tests_name("redelivery", tests, NULL, NULL);
}
