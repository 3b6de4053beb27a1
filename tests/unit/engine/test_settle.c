/* From a message to its last answer: holds, order, memory, counters. */
#include "small_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define RULE(sql, fields)                                                                                    \
    "{\"sql\": \"" sql "\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": {" fields        \
    ", \"clientProperties\": {}}}]}"

static const char *const plain[] = {RULE("SELECT n FROM 'a/#' WHERE n > 0", "\"topic\": \"${topic(2)}\"")};

/* Everything is given back, and every action is accounted for. */
static void assert_all_settled(const struct small_lane *small)
{
    const struct lane *lane = small->lane;

    assert_int_equal(lane->hold.unsettled, 0);
    assert_int_equal(lane->hold.orphans, 0);
    assert_int_equal(lane->deliveries.used, 0);
    assert_int_equal(lane->batch->open, 0);
    assert_null(lane->old);
    assert_int_equal(lane->streams.waiting_count, 0);
    assert_int_equal(small_count(small, COUNT_begun),
                     small_count(small, COUNT_delivered) + small_count(small, COUNT_error_action) +
                         small_count(small, COUNT_dropped) + small_count(small, COUNT_abandoned));
    assert_int_equal(small_count(small, COUNT_matched) + small_count(small, COUNT_filtered) +
                         small_count(small, COUNT_failed) + small_count(small, COUNT_unmatched),
                     small_count(small, COUNT_received));
}

static void a_message_is_held_until_its_record_is_safe(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/x", -1);
    small_publish_n(small, "b", 1);
    assert_int_equal(small->lane->hold.unsettled, 1);
    small_turn(small, 0);
    assert_int_equal(small->lane->hold.unsettled, 1);
    scripted_command("deliver 1");
    small_turn(small, 0);
    assert_all_settled(small);
    assert_int_equal(small->lane->bytes, 0);
    assert_int_equal(small_count(small, COUNT_filtered), 1);
    assert_int_equal(small_count(small, COUNT_unmatched), 1);
    small_lane_free(small);
}

static void what_comes_back_goes_again_first_and_in_order(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    (void)state;
    for (int n = 1; n <= 4; n++)
        small_publish_n(small, "a/x", n);
    assert_string_equal(small_sent(), "x1 x2 x3 x4");
    scripted_command("deliver 1");
    scripted_command("wait 2"); /* 2 and 3; 4 is still in flight */
    small_turn(small, 0);
    small_publish_n(small, "a/x", 5);
    small_publish_n(small, "a/y", 6); /* another stream goes on */
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "y6");
    scripted_command("wait 1"); /* 4 */
    small_turn(small, 0);
    assert_string_equal(small_sent(), "");
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "x2 x3 x4 x5");
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_all_settled(small);
    assert_int_equal(small_count(small, COUNT_retried), 3);
    small_lane_free(small);
}

static void thousands_that_come_back_keep_their_order(void **state)
{
    enum { MANY = 3000 };
    struct small_lane *small = small_lane_new(plain, 1, NULL);
    int next = 1;

    (void)state;
    for (int n = 1; n <= MANY; n++)
        small_publish_n(small, "a/x", n);
    scripted_command("wait 0");
    small_turn(small, 0);
    small_seen.count = 0;
    small_turn(small, 60000);
    for (size_t i = 0; i < small_seen.count; i++) {
        int n;

        if (sscanf(small_seen.lines[i], "sent 1 x - {\"n\":%d}", &n) == 1)
            assert_int_equal(n, next++);
    }
    assert_int_equal(next, MANY + 1);
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_all_settled(small);
    small_lane_free(small);
}

static void refused_stream_does_not_stop_another(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    (void)state;
    scripted_command("deny x");
    small_turn(small, 0);
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/y", 2);
    small_publish_n(small, "a/x", 3);
    assert_string_equal(small_sent(), "y2");
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "");
    scripted_command("allow x");
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "x1 x3");
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_all_settled(small);
    small_lane_free(small);
}

static void dead_client_hands_its_records_to_the_next(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/x", 2);
    scripted_command("deliver 1");
    scripted_command("die");
    small_turn(small, 0);
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "x1 x2 x2");
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_all_settled(small);
    small_lane_free(small);
}

static void qos_0_keeps_only_its_own_memory(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);
    static char big[20000];

    (void)state;
    memset(big, 'x', sizeof big);
    memcpy(big, "{\"n\":1,\"x\":\"", 12);
    memcpy(big + sizeof big - 2, "\"}", 2);
    /* The statement keeps n alone, so many messages are needed to fill an arena. */
    for (int i = 0; i < 5000; i++)
        small_publish(small, "a/x", (struct span){big, 100}, 0); /* no JSON: `n` is Undefined */
    assert_int_equal(small_count(small, COUNT_filtered), 5000);
    for (int i = 0; i < 5000; i++)
        small_publish(small, "a/x", SPAN("{\"n\":1}"), 0);
    assert_int_equal(small->lane->hold.unsettled, 0);
    small_turn(small, 0); /* nothing is held: the arena is put aside, not reset */
    assert_non_null(small->lane->old);
    small_publish_n(small, "a/x", 2);
    assert_int_equal(small->lane->hold.unsettled, 1);
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_all_settled(small);
    assert_int_equal(small->lane->bytes, 0);
    small_lane_free(small);
}

static void reading_stops_when_there_is_enough(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    (void)state;
    for (int n = 0; n < LANE_MESSAGES; n++) {
        assert_true(lane_has_room(small->lane));
        small_publish_n(small, "b", 1);
    }
    assert_false(lane_has_room(small->lane));
    small_turn(small, 0);
    assert_true(lane_has_room(small->lane));
    small_lane_free(small);
}

static void a_new_connection_forgets_what_the_broker_sends_again(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);
    struct lane *lane = small->lane;

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/x", 2);
    small_publish(small, "a/x", SPAN("{\"n\":3}"), 0);
    small_publish_n(small, "a/y", 4);
    assert_string_equal(small_sent(), "x1 x2 x3 y4");
    scripted_command("wait 3");
    small_turn(small, 0);

    hold_drop(&lane->hold);
    assert_int_equal(lane->hold.orphans, 3);
    lane->resent_before = lane->hold.epoch;
    dispatch_forget_resent(lane);
    assert_int_equal(lane->hold.orphans, 1); /* y4 is in flight, and its answer is awaited */
    assert_int_equal(small_count(small, COUNT_abandoned), 2);
    scripted_command("wait 1");
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "x3"); /* QoS 0 does not come again */
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_all_settled(small);
    small_lane_free(small);
}

static void idle_streams_are_forgotten(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);
    char topic[32];

    (void)state;
    scripted_command("auto on");
    for (int i = 0; i < 3 * STREAM_IDLE_MOST; i++) {
        (void)snprintf(topic, sizeof topic, "a/t%d", i);
        small_publish_n(small, topic, 1);
        if (i % 100 == 0)
            small_turn(small, 0);
        assert_in_range(small->lane->streams.count, 1, STREAM_IDLE_MOST + 200);
    }
    small_turn(small, 0);
    assert_all_settled(small);
    small_lane_free(small);
}

static void many_rules_of_one_large_message_all_run(void **state)
{
    enum { RULES = 120, SIZE = 1 << 20 };
    static const char *texts[RULES];
    char *payload = malloc(SIZE);
    struct err err;

    (void)state;
    for (size_t i = 0; i < RULES; i++)
        texts[i] = RULE("SELECT *, topic() AS t FROM 'a'", "\"topic\": \"x\", \"key\": \"k${x}\"");
    memset(payload, 'x', SIZE);
    memcpy(payload, "{\"x\":\"", 6);
    memcpy(payload + SIZE - 2, "\"}", 2);
    struct small_lane *small = small_lane_new(texts, RULES, NULL);
    small_publish(small, "a", (struct span){payload, SIZE}, 1);
    assert_int_equal(small_count(small, COUNT_failed), 0);
    assert_int_equal(small_count(small, COUNT_matched), RULES);
    assert_int_equal(small->lane->deliveries.used, RULES);
    assert_false(lane_has_room(small->lane));
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_int_equal(small_count(small, COUNT_delivered), RULES);
    assert_int_equal(small->lane->bytes, 0);
    small_lane_free(small);
    free(payload);
    (void)err;
}

static const char *const reporting[] = {
    "{\"sql\": \"SELECT n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\","
    " \"actions\": [{\"kafka\": {\"topic\": \"bad\", \"clientProperties\": {}}},"
    "              {\"kafka\": {\"topic\": \"good\", \"clientProperties\": {}}}],"
    " \"errorAction\": {\"kafka\": {\"topic\": \"errors.${n}\", \"key\": \"${traceid()}\", "
    "\"clientProperties\": {}}}}"};

static void error_action_takes_the_failure(void **state)
{
    struct small_lane *small = small_lane_new(reporting, 1, NULL);

    (void)state;
    small_publish_n(small, "a/x", 7);
    small_turn(small, 0);
    assert_int_equal(small_seen.count, 2); /* open, and the good one: the report waits for it */
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_turn(small, 0);
    assert_non_null(strstr(small_seen.lines[small_seen.count - 1], "sent 1 errors.7 "));
    assert_int_equal(small->lane->hold.unsettled, 1);
    scripted_command("wait 1");
    small_turn(small, 0);
    small_turn(small, 60000);
    scripted_command("deliver 1");
    small_turn(small, 0);
    assert_all_settled(small);
    assert_int_equal(small_count(small, COUNT_error_action), 1);
    assert_int_equal(small_count(small, COUNT_delivered), 1);
    small_lane_free(small);
}

static void client_that_cannot_be_opened_keeps_its_records_waiting(void **state)
{
    const char *const texts[] = {
        RULE("SELECT n FROM 'a/#'", "\"topic\": \"x\""),
        "{\"sql\": \"SELECT n FROM 'b/#'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "
        "{\"topic\": \"y\", \"clientProperties\": {\"refuse.open\": \"1\"}}}]}"};
    struct small_lane *small = small_lane_new(texts, 2, NULL);

    (void)state;
    assert_int_equal(small->plan.target_count, 2);
    small_publish_n(small, "b/x", 1);
    small_publish_n(small, "a/x", 2);
    scripted_command("deliver 0");
    small_turn(small, 60000);
    assert_string_equal(small_sent(), "x2");
    assert_int_equal(small->lane->hold.unsettled, 1);
    small_lane_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_held_until_its_record_is_safe),
        cmocka_unit_test(what_comes_back_goes_again_first_and_in_order),
        cmocka_unit_test(thousands_that_come_back_keep_their_order),
        cmocka_unit_test(refused_stream_does_not_stop_another),
        cmocka_unit_test(dead_client_hands_its_records_to_the_next),
        cmocka_unit_test(qos_0_keeps_only_its_own_memory),
        cmocka_unit_test(reading_stops_when_there_is_enough),
        cmocka_unit_test(a_new_connection_forgets_what_the_broker_sends_again),
        cmocka_unit_test(idle_streams_are_forgotten),
        cmocka_unit_test(many_rules_of_one_large_message_all_run),
        cmocka_unit_test(error_action_takes_the_failure),
        cmocka_unit_test(client_that_cannot_be_opened_keeps_its_records_waiting),
    };

    return cmocka_run_group_tests_name("settle", tests, NULL, NULL);
}
