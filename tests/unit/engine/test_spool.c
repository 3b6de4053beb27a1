/* Records that cannot be delivered wait on the disk, in order, and nothing is sent twice. */
#include "engine/dead.h"
#include "session_state.h"
#include "small_spool.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void what_has_waited_for_the_hold_goes_to_the_disk_and_is_settled(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/x", 2);
    small_turn(small, HOLD - 1);
    small_disk(small);
    assert_int_equal(figures().rows, 0);
    assert_int_equal(small->lane->hold.unsettled, 2);
    small_turn(small, 1);
    small_disk(small);
    assert_int_equal(figures().rows, 2);
    assert_int_equal(small->lane->hold.unsettled, 0);
    assert_int_equal(small_count(small, COUNT_stored), 2);
    assert_string_equal(small_sent(), "x1 x2");
    /* The client still has them: its answer drops the rows, and nothing is sent again. */
    deliver_all(small);
    assert_string_equal(small_sent(), "");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* A reload or a stop waits for what is safe only as long as deliveries come. */
static void what_is_on_the_disk_keeps_nobody_from_leaving(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct lane *lane = small->lane;

    (void)state;
    small_publish_n(small, "a/x", 1);
    assert_true(lane_is_busy(lane, lane->now_ms - LONG)); /* it is not safe */
    small_turn(small, HOLD);
    small_disk(small);
    assert_int_equal(figures().rows, 1);
    assert_int_equal(lane->hold.unsettled, 0);
    lane->clients[0].stalled = false; /* other topics of it are delivered */
    assert_true(lane_is_busy(lane, lane->now_ms));
    assert_false(lane_is_busy(lane, lane->now_ms - HOLD));
    lane->clients[0].delivered_ms = lane->now_ms - HOLD + 1;
    assert_true(lane_is_busy(lane, lane->now_ms - LONG));
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* Nothing more is handed over at the end: else a long backlog would hold up a reload. */
static void a_lane_that_stops_reads_no_more_of_its_backlog(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_publish_n(small, "a/x", 2);
    small_disk(small);
    assert_string_equal(small_sent(), "x1");
    atomic_store(&small->lane->stop, true);
    scripted_command("deliver 0");
    for (int i = 0; i < 3; i++) {
        small_turn(small, LONG);
        small_disk(small);
    }
    assert_string_equal(small_sent(), "");
    assert_int_equal(figures().rows, 1);
    atomic_store(&small->lane->stop, false);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void during_an_outage_new_records_go_to_the_disk_at_once_and_come_back_in_order(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 0);
    scripted_command("deliver 0");
    small_turn(small, 1);
    (void)small_sent();
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    for (int n = 2; n <= 5; n++) {
        small_publish_n(small, "a/x", n);
        small_publish_n(small, "a/y", n); /* another stream of the same client: without a hold of its own */
        small_disk(small);
        assert_int_equal(small->lane->hold.unsettled, 0);
    }
    assert_int_equal(figures().rows, 9);
    assert_string_equal(small_sent(), "x1");
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_disk(small);
    small_publish_n(small, "a/x", 6);
    small_turn(small, 0);
    deliver_all(small);
    const char *all = small_sent();
    const char *x = strstr(all, "x2 x3 x4 x5"), *y = strstr(all, "y2 y3 y4 y5");
    assert_non_null(x);
    assert_non_null(y);
    assert_non_null(strstr(x, "x6"));
    assert_int_equal(strlen(all), 9 * 3 - 1);
    assert_nothing_is_left(small);
    small_publish_n(small, "a/x", 7); /* live again */
    assert_string_equal(small_sent(), "x7");
    small_lane_free(small);
}

static void a_row_that_comes_back_is_read_again_in_its_place(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    for (int n = 1; n <= 4; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    assert_string_equal(small_sent(), "x1 x2 x3 x4");
    scripted_command("deliver 1");
    scripted_command("wait 1"); /* 2 */
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_publish_n(small, "a/x", 5);
    small_turn(small, LONG);
    small_disk(small);
    assert_string_equal(small_sent(), ""); /* 4 is still in the client's hands */
    scripted_command("deliver 1");
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x2 x5");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void rows_being_read_are_not_forgotten_for_what_was_put_beside_them(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    for (int n = 1; n <= 3; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_disk(small); /* live again; 2 and 3 are rows, and in the client's hands */
    small_publish_n(small, "a/x", 4);
    small_publish_n(small, "a/x", 5);
    assert_string_equal(small_sent(), "x1 x2 x3 x4 x5");
    scripted_command("wait 2"); /* 2 and 3; so 4 and 5 are being put */
    small_turn(small, 0);
    scripted_command("wait 1");    /* 4 */
    scripted_command("deliver 1"); /* 5 */
    small_turn(small, LONG);
    small_turn(small, LONG); /* 2 and 3 are being read */
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x2 x3 x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_refused_topic_waits_alone(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    scripted_command("deny x");
    small_turn(small, 0);
    for (int n = 1; n <= 20; n++)
        small_publish_n(small, "a/x", n);
    small_publish_n(small, "a/y", 1);
    small_disk(small); /* no hold for it */
    assert_string_equal(small_sent(), "y1");
    assert_int_equal(small->lane->hold.unsettled, 1);
    scripted_command("deliver 1");
    small_turn(small, 0);
    assert_int_equal(small->lane->hold.unsettled, 0);
    assert_int_equal(figures().rows, 20);
    small_turn(small, LONG);
    small_disk(small);
    assert_string_equal(small_sent(), "");
    scripted_command("allow x");
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(),
                        "x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void refused_topics_leave_half_of_the_store_to_the_others(void **state)
{
    enum { MANY = 20000 };
    struct small_lane *small = small_lane_on(plain, 1, "delivery: {store: {max: 1MiB}}", disk.store);

    (void)state;
    scripted_command("deny x");
    small_turn(small, 0);
    for (int n = 1; n <= MANY; n++)
        small_publish_n(small, "a/x", n);
    small_disk(small);
    assert_true(figures().bytes > 1 << 19);
    for (int i = 0; i < 20; i++) { /* not while it is tried again */
        small_turn(small, 3000);
        small_disk(small);
    }
    assert_in_range(figures().bytes, 1, 1 << 19);
    assert_int_equal(figures().rows + figures().letters, MANY);
    assert_int_equal(small_count(small, COUNT_dead), figures().letters);
    small_lane_free(small);
}

static void what_waits_survives_a_restart_and_goes_first(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    for (int n = 1; n <= 3; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    small_lane_free(small);
    store_close(disk.store);
    open_store();

    small = small_lane_on(plain, 1, NULL, disk.store);
    assert_int_equal(small_count(small, COUNT_recovered), 3);
    small_publish_n(small, "a/x", 4);
    assert_string_equal(small_sent(), "");
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x1 x2 x3 x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void rows_of_a_rule_that_is_gone_wait(void **state)
{
    static const char *const two[] = {RULE(""), RULE("")};
    struct small_lane *small = small_lane_on(two, 2, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    assert_int_equal(figures().rows, 2);
    small_lane_free(small);
    small = small_lane_on(two, 1, NULL, disk.store);
    deliver_all(small);
    assert_int_equal(figures().rows, 1);
    small_lane_free(small);
    small = small_lane_on(two, 2, NULL, disk.store);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void the_next_client_gets_what_the_dead_one_had(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    for (int n = 1; n <= 3; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    small_publish_n(small, "a/x", 4);
    small_disk(small);
    scripted_command("die");
    small_turn(small, 0);
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x1 x2 x3 x1 x2 x3 x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_failure_for_good_is_a_dead_letter_before_it_is_settled(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/bad", 1);
    assert_int_equal(small->lane->hold.unsettled, 1);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 0);
    small_publish_n(small, "a/x", 2);
    scripted_command("fail 1");
    small_turn(small, 0);
    assert_int_equal(small->lane->hold.unsettled, 1);
    small_disk(small);
    assert_int_equal(figures().letters, 2);
    assert_int_equal(small_count(small, COUNT_dead), 2);
    assert_nothing_is_left(small);
    small_lane_free(small);

    small = small_lane_on(plain, 1, "delivery: {failures: drop}", disk.store);
    small_publish_n(small, "a/bad", 1);
    small_disk(small);
    assert_int_equal(figures().letters, 2);
    assert_int_equal(small_count(small, COUNT_dropped), 1);
    small_lane_free(small);
}

static void what_a_rule_fails_on_is_reported_kept_or_dropped(void **state)
{
    static const char *const texts[] = {
        "{\"sql\": \"SELECT get_secret('x', 'SecretString', '') AS s FROM 'b'\", \"awsIotSqlVersion\": "
        "\"2016-03-23\", \"actions\": [{\"kafka\": {\"topic\": \"t\", \"clientProperties\": {}}}]}",
        "{\"sql\": \"SELECT n FROM 'c'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "
        "{\"topic\": \"${get_secret('x', 'SecretString', '')}\", \"clientProperties\": {}}}], "
        "\"errorAction\": "
        "{\"kafka\": {\"topic\": \"errors\", \"clientProperties\": {}}}}"};
    struct small_lane *small = small_lane_on(texts, 2, NULL, disk.store);

    (void)state;
    small_publish_n(small, "b", 1);
    small_publish_n(small, "c", 1);
    small_disk(small);
    assert_int_equal(figures().letters, 1);
    deliver_all(small);
    assert_int_equal(small_count(small, COUNT_dead), 1);
    assert_int_equal(small_count(small, COUNT_error_action), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);

    small = small_lane_on(texts, 2, "delivery: {rule_errors: drop}", disk.store);
    small_publish_n(small, "b", 1);
    small_publish_n(small, "c", 1);
    small_disk(small);
    assert_int_equal(figures().letters, 1);
    assert_int_equal(small_count(small, COUNT_dropped), 2);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_row_that_fails_for_good_is_buried(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/x", 2);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("fail 1");
    small_turn(small, 0);
    small_disk(small);
    assert_int_equal(figures().letters, 1);
    assert_int_equal(figures().rows, 1);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_row_that_fails_for_good_goes_to_the_error_action_with_its_message(void **state)
{
    struct small_lane *small = small_lane_on(reporting, 1, NULL, disk.store);
    char last[96] = "";

    (void)state;
    small_publish_n(small, "a/x", 7);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("fail 1");
    small_turn(small, 0);
    small_disk(small);
    small_turn(small, 0);
    assert_int_equal(figures().rows, 1); /* until the report is safe */
    for (size_t i = 0; i < small_seen.count; i++)
        if (strncmp(small_seen.lines[i], "sent", 4) == 0)
            (void)snprintf(last, sizeof last, "%s", small_seen.lines[i]);
    assert_non_null(strstr(last, "sent 1 errors - {\"ruleName\":\"r0\""));
    scripted_command("deliver 0");
    small_turn(small, 0);
    small_disk(small);
    assert_int_equal(small_count(small, COUNT_error_action), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_full_store_holds_and_what_is_held_is_delivered(void **state)
{
    struct small_lane *small;

    (void)state;
    store_close(disk.store);
    disk.max_bytes = 1;
    open_store();
    small = small_lane_on(plain, 1, NULL, disk.store);
    for (int n = 1; n <= 3; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    small_publish_n(small, "a/x", 4);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 4);
    assert_string_equal(small_sent(), "x1 x2 x3");
    deliver_all(small);
    assert_string_equal(small_sent(), "x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_new_topic_has_no_hold_while_strange_ones_come(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    char topic[16];

    (void)state;
    small_publish_n(small, "a/x", 1);
    scripted_command("deliver 1");
    small_turn(small, 1);
    small_publish_n(small, "a/strange", 1); /* nobody answers for it */
    small_turn(small, HOLD / 2);
    small_publish_n(small, "a/x", 2);
    small_turn(small, 0);
    for (int i = 0; i < 3; i++) { /* the stranger is the first that is open */
        scripted_command("wait 1");
        scripted_command("deliver 0");
        small_turn(small, HOLD / 2);
        small_disk(small);
    }
    deliver_all(small);
    (void)small_sent();
    small->lane->clients[0].strange_until = small->lane->now_ms + LONG;
    for (int n = 0; n < 5; n++) {
        (void)snprintf(topic, sizeof topic, "a/t%d", n);
        small_publish_n(small, topic, n);
    }
    small_publish_n(small, "a/x", 3); /* known: live */
    assert_string_equal(small_sent(), "x3");
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 1);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void what_the_broker_sends_again_is_forgotten_unless_it_is_stored(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct lane *lane = small->lane;

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small); /* 1 is stored */
    scripted_command("later on");
    small_turn(small, 0);
    small_publish_n(small, "a/y", 2);
    small_turn(small, 0); /* 2 is on its way to the disk */
    hold_drop(&lane->hold);
    lane->resent_before = lane->hold.epoch;
    dispatch_forget_resent(lane);
    assert_int_equal(small_count(small, COUNT_abandoned), 1);
    assert_int_equal(lane->hold.orphans, 0);
    small_disk(small);
    scripted_command("later off");
    deliver_all(small);
    assert_int_equal(small_count(small, COUNT_delivered), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* ---- what overtakes what ---- */

/* All that was posted is answered, and nothing else happens. */
static void disk_alone(const struct small_lane *small)
{
    struct pollfd answers = {.fd = spool_fd(small->lane), .events = POLLIN};

    while (small->lane->spool.jobs > 0) {
        (void)poll(&answers, 1, 100);
        spool_poll(small->lane);
    }
}

/* x1 is a row that the client has; x2 was sent after it, and is on its way to the disk. */
static struct small_lane *row_and_record_in_one_hand(void)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    small_publish_n(small, "a/x", 0);
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_turn(small, LONG);
    small_disk(small);
    small_publish_n(small, "a/x", 2);
    assert_string_equal(small_sent(), "x0 x1 x2");
    small_turn(small, HOLD);
    assert_true(small->lane->spool.put.posted);
    return small;
}

static void a_row_that_comes_back_while_a_later_record_is_stored_is_not_passed_over(void **state)
{
    struct small_lane *small = row_and_record_in_one_hand();

    (void)state;
    scripted_command("wait 1");
    small_turn(small, 0);
    disk_alone(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x1");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void what_is_delivered_while_it_is_stored_is_not_read_back(void **state)
{
    struct small_lane *small = row_and_record_in_one_hand();

    (void)state;
    scripted_command("wait 1");
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x1");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void what_is_given_up_while_it_is_stored_is_not_read_back(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct lane *lane = small->lane;

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    small_publish_n(small, "a/x", 2);
    small_disk(small);
    small_publish_n(small, "a/x", 3);
    small_turn(small, 0);
    assert_true(lane->spool.put.posted);
    hold_drop(&lane->hold);
    lane->resent_before = lane->hold.epoch;
    dispatch_forget_resent(lane);
    assert_int_equal(small_count(small, COUNT_abandoned), 1);
    scripted_command("deliver 1");
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x1 x2");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_row_whose_failure_is_told_is_not_sent_again(void **state)
{
    struct small_lane *small = small_lane_on(reporting, 1, NULL, disk.store);
    size_t reports = 0;

    (void)state;
    for (int n = 0; n <= 2; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    assert_string_equal(small_sent(), "x0 x1 x2");
    scripted_command("deliver 1");
    small_turn(small, 0);
    small->lane->clients[0].strange_until = 0; /* the report is tried */
    scripted_command("wait 1");
    scripted_command("fail 1");
    small_turn(small, 0);
    small_disk(small);
    small_turn(small, LONG);
    small_disk(small);
    for (size_t i = 0; i < small_seen.count; i++)
        reports += strstr(small_seen.lines[i], " errors ") != NULL;
    assert_int_equal(reports, 1);
    assert_string_equal(small_sent(), "x1");
    deliver_all(small);
    assert_string_equal(small_sent(), "");
    assert_int_equal(small_count(small, COUNT_error_action), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_stream_that_was_forgotten_does_not_read_what_it_delivered(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct lane *lane = small->lane;

    (void)state;
    small_publish_n(small, "a/y", 1);
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("deliver 1");
    small_turn(small, 0);
    scripted_command("deliver 1");
    small_turn(small, 0);
    assert_int_equal(lane->spool.drops.waiting_count, 1); /* x1, behind y1 */
    lane->streams.idle_most = 0;
    scripted_command("later on");
    small_turn(small, 0);
    small_publish_n(small, "a/z", 1);
    small_publish_n(small, "a/x", 2);
    small_turn(small, HOLD);
    disk_alone(small);
    scripted_command("later off");
    small_turn(small, LONG);
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_null(strstr(small_sent() + strlen("y1 x1"), "x1"));
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_report_that_is_stored_at_the_very_end_is_not_made_again(void **state)
{
    struct small_lane *small = small_lane_on(reporting, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    scripted_command("refuse 0");
    small_turn(small, 0);
    small_disk(small);
    small_turn(small, LONG);
    small_disk(small);
    small_turn(small, 0);
    scripted_command("fail 1");
    small_disk(small);    /* its message is fetched for the report */
    small_turn(small, 0); /* which is sent */
    scripted_command("refuse 0");
    small_turn(small, 0); /* and put, and the end does not wait until that is told */
    assert_int_equal(small->lane->spool.put.posted, true);
    small_lane_free(small);
    assert_int_equal(figures().rows, 1);
}

static void the_end_does_not_wait_for_what_is_being_read(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    small_lane_free(small);
    small = small_lane_on(plain, 1, NULL, disk.store);
    small_turn(small, 0);
    assert_int_equal(small->lane->spool.jobs, 1);
    small_lane_free(small);
}

/* A topic without a leader has no answer for as long as that lasts; the cluster is well. */
static void a_topic_that_hangs_does_not_hold_back_the_others(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_publish_n(small, "a/y", 1);
    scripted_command("deliver 0");
    small_turn(small, 1);
    small_publish_n(small, "a/x", 2); /* hangs */
    small_turn(small, HOLD);
    small_disk(small);
    small_publish_n(small, "a/y", 2);
    small_disk(small);
    assert_string_equal(small_sent(), "x1 y1 x2");
    for (int i = 0; i < 10; i++) {
        small_turn(small, LONG);
        small_disk(small);
    }
    assert_string_equal(small_sent(), "y2");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* One partition without a leader: its records hang, the others of the topic are delivered. */
static void a_partition_that_hangs_holds_a_batch_now_and_then_not_each(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    enum { BATCHES = 30 };
    int held = 0;

    (void)state;
    scripted_command("auto on");
    small_turn(small, 1);
    small_publish_n(small, "a/x", 2);
    small_turn(small, 1);
    scripted_command("hang 1}");
    small_turn(small, 0);
    for (int batch = 1; batch <= BATCHES; batch++) {
        small_publish_n(small, "a/x", 10 * batch);
        small_publish_n(small, "a/x", 10 * batch + 1);
        for (int i = 0; i < 3; i++) {
            small_turn(small, 10);
            small_disk(small);
        }
        if (small->lane->hold.unsettled == 0)
            continue;
        held++;
        small_turn(small, HOLD);
        small_disk(small);
        assert_int_equal(small->lane->hold.unsettled, 0);
    }
    assert_in_range(held, 1, 2);
    assert_in_range(small_count(small, COUNT_delivered), BATCHES - 1, BATCHES + 1); /* and wait for nobody */
    assert_int_equal(small->lane->deliveries.used, BATCHES);
    scripted_command("hang");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_publish_n(small, "a/x", 1); /* live again */
    (void)small_sent();
    small_lane_free(small);
}

/* The same, but each of its records has an answer in the end. */
static void a_partition_that_is_slow_is_tried_ever_more_seldom(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    int held = 0;

    (void)state;
    scripted_command("auto on");
    small_turn(small, 1);
    small_publish_n(small, "a/x", 2);
    for (int batch = 1; batch <= 120; batch++) { /* of a second, more or less */
        scripted_command("hang 1}");
        small_turn(small, 0);
        small_publish_n(small, "a/x", 10 * batch);
        small_publish_n(small, "a/x", 10 * batch + 1);
        for (int i = 0; i < 2; i++) {
            small_turn(small, 250);
            small_disk(small);
        }
        if (small->lane->hold.unsettled > 0) {
            held++;
            small_turn(small, HOLD);
            small_disk(small);
        }
        assert_int_equal(small->lane->hold.unsettled, 0);
        scripted_command("hang");
        small_turn(small, 500);
        small_disk(small);
    }
    assert_in_range(held, 3, 7);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* The client takes ten at a time. What it does not take is read again when there is room, not all the while.
 */
static void a_client_whose_queue_is_full_is_not_offered_the_same_again_and_again(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    int reads = 0;

    (void)state;
    scripted_command("deny x");
    small_turn(small, 0);
    for (int n = 1; n <= 100; n++)
        small_publish_n(small, "a/x", n);
    small_disk(small);
    scripted_command("allow x");
    scripted_command("take 1"); /* the probe */
    scripted_command("auto on");
    small_turn(small, 0);
    small_turn(small, LONG);
    small_disk(small);
    scripted_command("auto off");
    scripted_command("take 10");
    for (int i = 0; i < 100; i++) {
        const bool reading = small->lane->clients[0].reads > 0;

        small_turn(small, 25);
        reads += !reading && small->lane->clients[0].reads > 0;
        disk_alone(small);
    }
    assert_string_equal(small_sent(), "x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11");
    assert_in_range(reads, 1, 4); /* 100 looks in 2.5 seconds */
    scripted_command("take -1");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void sql(const char *text)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(disk.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 10000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t number_of(const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_open(disk.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t number = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

static void a_letter_that_is_not_taken_does_not_stop_what_is_put(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    sql("CREATE TRIGGER no BEFORE INSERT ON dead BEGIN SELECT RAISE(ABORT, 'no'); END");
    small_publish_n(small, "a/bad", 1);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 1);
    assert_string_equal(spool_trouble(small->lane), ", and the disk fails");
    scripted_command("deny x");
    small_turn(small, 0);
    small_publish_n(small, "a/x", 2);
    small_turn(small, 0); /* at once */
    assert_true(small->lane->spool.put.posted);
    while (small->lane->spool.put.posted)
        small_disk(small);
    assert_int_equal(figures().rows, 1);
    assert_int_equal(small->lane->hold.unsettled, 1);
    sql("DROP TRIGGER no");
    small_turn(small, SPOOL_RETRY_MS);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 0);
    assert_string_equal(spool_trouble(small->lane), "");
    scripted_command("allow x");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* A full store, and letters that it takes. */
static void what_is_not_put_is_not_forgotten_for_a_letter(void **state)
{
    struct small_lane *small;

    (void)state;
    store_close(disk.store);
    disk.max_bytes = 1;
    open_store();
    small = small_lane_on(plain, 1, NULL, disk.store);
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    small_publish_n(small, "a/bad", 1);
    while (small->lane->spool.errands > 0)
        small_disk(small);
    assert_string_equal(spool_trouble(small->lane), ", and the disk, or delivery.store.max, is full");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* As `topicrule dead retry` does it. */
static void retry_letters(void)
{
    sql("UPDATE dead SET retry = 1");
    for (int i = 0; i < 600 && figures().letters > 0; i++)
        (void)poll(NULL, 0, 100);
    assert_int_equal(figures().letters, 0);
}

static void a_letter_that_is_sent_again_is_found_beside_what_is_on_its_way(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    scripted_command("fail 1");
    small_turn(small, 0);
    small_disk(small);
    small_publish_n(small, "a/x", 2);
    assert_string_equal(small_sent(), "x1 x2");
    retry_letters();
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(small_sent(), "x1");
    assert_int_equal(small_count(small, COUNT_dead), 1);
    assert_int_equal(small_count(small, COUNT_recovered), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* As `topicrule dead purge --waiting` and `retry --waiting` do it. */
static void what_another_process_does_with_rows_is_counted(void **state)
{
    static const char *const two[] = {RULE(""), RULE("")};
    const struct dead_filter gone = {.rule = "r1", .waiting = true};
    struct small_lane *small = small_lane_on(two, 2, NULL, disk.store);
    struct err err = {0};
    int64_t left = 0;

    (void)state;
    for (int n = 1; n <= 4; n++)
        small_publish_n(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    assert_int_equal(figures().rows, 8);
    small_lane_free(small);
    store_close(disk.store);
    open_store();
    small = small_lane_on(two, 1, NULL, disk.store);
    struct dead *dead = dead_open(disk.path, &err);
    assert_non_null(dead);
    struct dead_filter one = gone;
    one.id =
        number_of("SELECT max(number) FROM spool WHERE queue = (SELECT id FROM queue WHERE rule = 'r1')");
    assert_int_equal(dead_purge(dead, &one, &err), 1);
    assert_int_equal(dead_retry(dead, &gone, "r0", &left, &err), 3);
    dead_close(dead);
    for (int i = 0; i < 600 && small_count(small, COUNT_recovered) < 11; i++) {
        small_turn(small, LONG);
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(small_count(small, COUNT_recovered), 8 + 3);
    assert_int_equal(small_count(small, COUNT_withdrawn), 1 + 3);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_has_waited_for_the_hold_goes_to_the_disk_and_is_settled),
        TEST(during_an_outage_new_records_go_to_the_disk_at_once_and_come_back_in_order),
        TEST(a_row_that_comes_back_is_read_again_in_its_place),
        TEST(rows_being_read_are_not_forgotten_for_what_was_put_beside_them),
        TEST(what_is_on_the_disk_keeps_nobody_from_leaving),
        TEST(a_lane_that_stops_reads_no_more_of_its_backlog),
        TEST(a_refused_topic_waits_alone),
        TEST(refused_topics_leave_half_of_the_store_to_the_others),
        TEST(what_waits_survives_a_restart_and_goes_first),
        TEST(rows_of_a_rule_that_is_gone_wait),
        TEST(the_next_client_gets_what_the_dead_one_had),
        TEST(a_failure_for_good_is_a_dead_letter_before_it_is_settled),
        TEST(what_a_rule_fails_on_is_reported_kept_or_dropped),
        TEST(a_row_that_fails_for_good_is_buried),
        TEST(a_row_that_fails_for_good_goes_to_the_error_action_with_its_message),
        TEST(a_full_store_holds_and_what_is_held_is_delivered),
        TEST(a_new_topic_has_no_hold_while_strange_ones_come),
        TEST(what_the_broker_sends_again_is_forgotten_unless_it_is_stored),
        TEST(a_row_that_comes_back_while_a_later_record_is_stored_is_not_passed_over),
        TEST(what_is_delivered_while_it_is_stored_is_not_read_back),
        TEST(what_is_given_up_while_it_is_stored_is_not_read_back),
        TEST(a_row_whose_failure_is_told_is_not_sent_again),
        TEST(a_stream_that_was_forgotten_does_not_read_what_it_delivered),
        TEST(a_report_that_is_stored_at_the_very_end_is_not_made_again),
        TEST(the_end_does_not_wait_for_what_is_being_read),
        TEST(a_topic_that_hangs_does_not_hold_back_the_others),
        TEST(a_partition_that_hangs_holds_a_batch_now_and_then_not_each),
        TEST(a_partition_that_is_slow_is_tried_ever_more_seldom),
        TEST(a_client_whose_queue_is_full_is_not_offered_the_same_again_and_again),
        TEST(a_letter_that_is_not_taken_does_not_stop_what_is_put),
        TEST(what_is_not_put_is_not_forgotten_for_a_letter),
        TEST(a_letter_that_is_sent_again_is_found_beside_what_is_on_its_way),
        TEST(what_another_process_does_with_rows_is_counted),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
