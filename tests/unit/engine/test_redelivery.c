/* What comes again: the table, row by row. The packets are in tests/contract/test_redelivery.py. */
#include "redelivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

    return redelivery_read(redelivery, &message, mid, dup, &place) == REDELIVERY_PASS_OVER;
}

/* One that has read messages 1 to `count` with payload "x", lost the connection, and is let in again. */
static struct redelivery *after_loss(uint16_t count)
{
    struct redelivery *redelivery = redelivery_new();

    assert_non_null(redelivery);
    redelivery_connected(redelivery, false, 0, true);
    for (uint32_t mid = 1; mid <= count; mid++)
        assert_false(seen(redelivery, (uint16_t)mid, "x", NEW));
    redelivery_lost(redelivery, REDELIVERY_LOST, 1);
    redelivery_connected(redelivery, true, 0, true);
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
    redelivery_connected(redelivery, false, 0, true);
    (void)seen(redelivery, 1, "x", NEW);
    (void)seen(redelivery, 1, "x", AGAIN); /* a broker that sends again while it waits */
    redelivery_lost(redelivery, REDELIVERY_LOST, 1);
    redelivery_connected(redelivery, true, 0, true);
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
    redelivery_connected(redelivery, false, 0, true);
    (void)redelivery_read(redelivery, first, 1, NEW, &place);
    redelivery_lost(redelivery, REDELIVERY_LOST, 1);
    redelivery_connected(redelivery, true, 0, true);
    bool taken = redelivery_read(redelivery, second, 1, AGAIN, &place) == REDELIVERY_PASS_OVER;
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

/* ---- what was flushed ---- */

/* Each message has a reading of its own, and its identifier is its number and 10; with "=" in front all have
 * the same reading, and the number is the identifier.
 *
 * Text, word by word: "r5" message 5 is read for the first time, "f" a flush, "f5" one while message 5 waits
 * in the socket, "s5" message 5 was left there, "t5" again, "l" the connection is lost and another let in,
 * "d5" message 5 comes again, "n5" a new one has its identifier and its reading, "o5" it comes again with
 * another reading. The answers: e evaluated, p passed over, P the same in doubt, x the connection must go. */
static void live(const char *script, const char *answers)
{
    struct redelivery *redelivery = redelivery_new();
    const bool same = *script == '=';
    char text[64] = "", reading[8];
    size_t size = 0;
    uint32_t epoch = 0, place;

    redelivery_connected(redelivery, true, 0, true);
    for (const char *at = script + same; *at; at += strcspn(at, " "), at += *at == ' ') {
        const int number = atoi(at + 1);
        const uint16_t mid = (uint16_t)(number > 0 && !same ? number + 10 : number);

        (void)snprintf(reading, sizeof reading, "%d", same ? 0 : number);
        if (*at == 'f') {
            redelivery_flushing(redelivery, mid);
        } else if (*at == 's' || *at == 't') {
            const struct message message = message_of("a", span_of(reading));

            redelivery_left(redelivery, &message, mid, *at == 't');
        } else if (*at == 'l') {
            redelivery_lost(redelivery, REDELIVERY_LOST, ++epoch);
            redelivery_connected(redelivery, true, 0, true);
        } else {
            const struct message message = message_of("a", span_of(*at == 'o' ? "other" : reading));
            enum redelivery_verdict verdict =
                redelivery_read(redelivery, &message, mid, *at == 'd' || *at == 'o', &place);

            text[size++] = verdict == REDELIVERY_BROKEN      ? 'x'
                           : verdict == REDELIVERY_EVALUATE  ? 'e'
                           : redelivery_in_doubt(redelivery) ? 'P'
                                                             : 'p';
        }
    }
    redelivery_free(redelivery);
    assert_string_equal(text, answers);
}

static const struct life {
    const char *name, *script, *answers;
} lives[] = {
    {"all PUBACKs were lost", "r1 r2 r3 f r4 r5 l d1 d2 d3 d4 d5 n6", "eeeeePPPppe"},
    {"some PUBACKs arrived", "r1 r2 r3 f r4 l d3 d4", "eeeePp"},
    {"all PUBACKs arrived", "r1 r2 f r3 l d3", "eeep"},
    {"of several flushes", "r1 f r2 f r3 f r4 l d2 d3 d4", "eeeePPp"},
    {"nothing after the flush proves nothing", "r1 r2 f l d1 d2", "eeee"},
    {"one is left out", "r1 r2 r3 f r4 l d1 d3", "eeeePx"},
    {"another reading", "r1 r2 f r3 l d1 o2", "eeePx"},
    {"a new message in doubt", "r1 r2 f r3 l d1 n2", "eeePx"},
    {"a stranger in doubt", "r1 r2 f r3 l d1 d9", "eeePx"},
    {"one of later in doubt", "r1 r2 f r3 r4 l d1 d4", "eeeePx"},
    {"broken: all is evaluated on the next", "r1 r2 f r3 l d1 d9 l d1 d9 d3", "eeePxeee"},
    {"lost in doubt: the same on the next", "r1 r2 f r3 l d1 d2 l d1 d2 d3", "eeePPPPp"},
    {"lost in doubt twice", "r1 r2 f r3 l d1 l d1 d2 l d1 d2 d3", "eeePPPPPp"},
    {"lost in doubt, and broken", "r1 r2 f r3 l d1 d2 l d1 n2 l d1 d2", "eeePPPxee"},
    {"lost in doubt after a flush", "r1 r2 f r3 l d1 d2 d3 f l d1 d2 d3", "eeePPpeee"},
    {"proven, and lost again", "r1 r2 f r3 l d1 d2 d3 l d1 d2 d3", "eeePPpppp"},
    {"proven, flushed, and lost again", "r1 f r2 l d1 d2 f r3 l d1 d2 d3", "eePpePPp"},
    {"not after the first that is certain", "r1 r2 f r3 r4 l d3 d1 d4", "eeeepee"},
    {"strangers first", "r1 r2 l d8 d1 d2", "eeeee"},
    {"not all that followed", "r1 r2 r3 f r4 l d2 d4", "eeeePx"},
    {"sent again by identifier, and not by age", "r9 r2 r3 f r8 l d2 d8", "eeeePx"},
    /* The identifier came again on that connection, so its PUBACK had arrived, and those before. */
    {"an identifier used again", "r1 r2 f r1 r3 l d2 d1 d3", "eeeePpp"},
    {"two of them", "r1 r2 f r1 f r2 r3 l d1 d2 d3", "eeeeePpp"},
    {"acknowledged, so a stranger", "r1 r2 f r2 r3 l d1 d2 d3", "eeeeeee"},
    /* What was left in the socket comes again, and is evaluated then. */
    {"left in the socket proves", "r1 r2 f s3 s4 l d1 d2 d3 d4", "eePPee"},
    {"left, and none of the flushed comes", "r1 r2 f s3 l d3 d1", "eeee"},
    {"left after what was read", "r1 f r2 s3 l d1 d2 d3", "eePpe"},
    {"left, and lost again", "r1 f s2 l d1 d2 l d1 d2", "ePepp"},
    {"safe, left, and lost again", "r1 r2 l t1 t2 l d1 d2", "eepp"},
    {"proven by what was left", "r1 f r2 l d1 t2 l d1 d2", "eePpp"},
    {"broken by what was left", "r1 r2 f r3 l d1 t9 l d1 d9", "eeePee"},
    {"seen in the socket proves", "r1 r2 f3 l d1 d2 d3 d4", "eePPee"},
    {"seen, and none of the flushed comes", "r1 r2 f3 l d3 d1", "eeee"},
    {"seen, and read", "r1 f2 r2 l d1 d2", "eePp"},
    {"seen, and read, and flushed", "r1 f2 r2 f l d1 d2", "eeee"},
    {"seen: all of the flushed or none", "r1 r2 r3 f4 l d1 d2 d4", "eeePPx"},
    {"seen: not the next", "r1 r2 f3 l d1 d2 d4", "eePPx"},
    {"seen under an identifier used again", "r1 r2 r3 f2 l d3 d2", "eeePe"},
    {"seen, the lowest free", "r1 r2 r3 f1 l d1 d2 d3", "eeeeee"},
    {"only of the connection before", "r1 f r2 l l d1 d2", "eeee"},
    {"equal readings", "=r2 r3 f r4 r5 l d3 d4 d5", "eeeePpp"},
    {"equal readings, and lost in doubt", "=r2 r3 f r4 l d2 l d2 d3 d4", "eeePeee"},
    /* A broker that gives identifiers from 1 on with each connection: what comes is one that was flushed, or
     * what was sent after those, under another identifier. */
    {"numbered afresh", "=r1 r2 r3 f r4 r5 l d1 d2 d3 d4 d5 d6", "eeeeeeeeeee"},
    {"numbered afresh, seen in the socket", "=r1 r2 r3 f4 l d1 d2 d3 d4 d5", "eeeeeeee"},
    {"numbered afresh, nothing was flushed", "=r1 r2 r3 l d1 d2 d3 d4", "eeepppe"},
};

static void life_row(void **state)
{
    const struct life *row = *state;

    live(row->script, row->answers);
}

/* ---- where nothing came after the flush ---- */

enum { TURN = 65535, LAST = TURN + 100, TAIL = 2000 };

/* A session in which messages were read under identifiers that follow each other, and flushed; then the last
 * TAIL come again from `from` on, and the answers are returned: those passed over. */
struct session_of {
    uint32_t most;    /* read */
    uint32_t wrap;    /* the identifier after which 1 comes */
    uint32_t gap_at;  /* where one is left out */
    uint32_t from;    /* what of the tail comes first */
    uint32_t lost_at; /* another loss in between */
    bool old, stranger, same;
};

static uint16_t identifier_of(const struct session_of *of, uint32_t number)
{
    return (uint16_t)((number + (of->gap_at && number >= of->gap_at)) % of->wrap + 1);
}

static bool seen_of(const struct session_of *of, struct redelivery *redelivery, uint32_t number, bool dup)
{
    char reading[16];

    (void)snprintf(reading, sizeof reading, "%u", of->same ? 0 : number);
    return seen(redelivery, identifier_of(of, number), reading, dup);
}

static uint32_t passed_in(const struct session_of *of)
{
    struct redelivery *redelivery = redelivery_new();
    uint32_t passed = 0;

    redelivery_connected(redelivery, false, 0, !of->old);
    for (uint32_t i = 0; i < of->most; i++) {
        (void)seen_of(of, redelivery, i, NEW);
        if (i % 1000 == 999)
            redelivery_flushing(redelivery, 0);
        if (of->lost_at && i == of->lost_at) {
            redelivery_flushing(redelivery, 0);
            redelivery_lost(redelivery, REDELIVERY_LOST, 1);
            redelivery_connected(redelivery, true, 0, !of->old);
        }
    }
    redelivery_flushing(redelivery, 0);
    redelivery_lost(redelivery, REDELIVERY_LOST, 2);
    redelivery_connected(redelivery, true, 0, !of->old);
    if (of->stranger)
        (void)seen(redelivery, identifier_of(of, of->most), "y", AGAIN);
    for (uint32_t i = of->most - TAIL + of->from; i < of->most; i++) {
        passed += seen_of(of, redelivery, i, AGAIN);
        assert_int_equal(redelivery_in_doubt(redelivery), passed > 0 && i < of->most - 1);
    }
    assert_false(seen_of(of, redelivery, of->most, AGAIN));
    redelivery_free(redelivery);
    return passed;
}

static const struct counted {
    const char *name;
    struct session_of of;
    uint32_t passed;
} counted[] = {
    {"a broker that counts", {LAST, TURN, .from = 0}, TAIL},
    {"some PUBACKs arrived", {LAST, TURN, .from = 1500}, 500},
    {"over a reconnect", {LAST, TURN, .lost_at = LAST - 1000}, 999},
    {"not round yet", {TURN - 1, TURN, .from = 0}, 0},
    {"one that goes round earlier", {LAST, 20000, .from = 0}, 0},
    {"one that goes round one earlier", {LAST, TURN - 1, .from = 0}, 0},
    {"a gap", {LAST, TURN, .gap_at = LAST - 3000}, 0},
    {"a gap, long ago", {LAST + TURN, TURN, .gap_at = 3000}, TAIL},
    {"readings that repeat", {LAST, TURN, .same = true}, 0},
    {"MQTT 3.1.1", {LAST, TURN, .old = true}, 0},
    {"another comes first", {LAST, TURN, .stranger = true}, 0},
};

static void counted_row(void **state)
{
    const struct counted *row = *state;
    struct session_of of = row->of;

    if (of.lost_at)
        of.from = TAIL - 999; /* those of this connection */
    assert_int_equal(passed_in(&of), row->passed);
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
    enum {
        ROWS = sizeof differences / sizeof *differences,
        LIVES = sizeof lives / sizeof *lives,
        COUNTED = sizeof counted / sizeof *counted
    };
    struct CMUnitTest tests[ROWS + 4 + LIVES + COUNTED] = {
        cmocka_unit_test(all_that_there_can_be),
        cmocka_unit_test(an_identifier_twice_counts_twice),
        cmocka_unit_test(given_up_is_of_one_connection),
        cmocka_unit_test(every_byte_and_every_length_counts),
    };

    for (size_t i = 0; i < ROWS; i++)
        tests[4 + i] = (struct CMUnitTest){.name = differences[i].name,
                                           .test_func = difference_row,
                                           .initial_state = (void *)(uintptr_t)&differences[i]};
    for (size_t i = 0; i < LIVES; i++)
        tests[4 + ROWS + i] = (struct CMUnitTest){
            .name = lives[i].name, .test_func = life_row, .initial_state = (void *)(uintptr_t)&lives[i]};
    for (size_t i = 0; i < COUNTED; i++)
        tests[4 + ROWS + LIVES + i] = (struct CMUnitTest){.name = counted[i].name,
                                                          .test_func = counted_row,
                                                          .initial_state = (void *)(uintptr_t)&counted[i]};
    return cmocka_run_group_tests_name("redelivery", tests, NULL, NULL);
}
