/* Records that cannot be delivered wait on the disk, in order, and nothing is sent twice. */
#include "session_state.h"
#include "small_lane.h"

#include <ftw.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HOLD = 1000, LONG = 60000 };

#define RULE(more)                                                                                           \
    "{\"sql\": \"SELECT n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "    \
    "{\"topic\": \"${topic(2)}\", \"clientProperties\": {}}}]" more "}"

static const char *const plain[] = {RULE("")};
static const char *const reporting[] = {
    RULE(", \"errorAction\": {\"kafka\": {\"topic\": \"errors\", \"clientProperties\": {}}}")};

/* ---- a store in a folder of its own ---- */

static struct {
    char folder[64], path[80];
    struct store *store;
    int64_t max_bytes;
} disk;

static void open_store(void)
{
    const struct store_options options = {
        .path = disk.path, .max_bytes = disk.max_bytes, .dead_max_bytes = 1 << 30};
    struct err err = {0};

    disk.store = store_open(&options, &err);
    if (!disk.store)
        (void)fprintf(stderr, "%s\n", err.text);
    assert_non_null(disk.store);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(disk.folder, sizeof disk.folder, "/tmp/test_spool.XXXXXX");
    assert_non_null(mkdtemp(disk.folder));
    (void)snprintf(disk.path, sizeof disk.path, "%s/store.db", disk.folder);
    disk.max_bytes = 1 << 30;
    open_store();
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    store_close(disk.store);
    return nftw(disk.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct store_figures figures(void)
{
    struct store_figures now;

    store_figures(disk.store, &now);
    return now;
}

/* ---- messages and what became of them ---- */

static void put(struct small_lane *small, const char *topic, int n)
{
    char text[32];

    (void)snprintf(text, sizeof text, "{\"n\":%d}", n);
    small_publish(small, topic, span_of(text), 1);
}

/* "x1 x2": what was sent since the last call. */
static const char *sent(void)
{
    static char text[65536];
    size_t size = 0;

    text[0] = '\0';
    for (size_t i = 0; i < small_seen.count; i++) {
        char topic[32], payload[48];

        if (sscanf(small_seen.lines[i], "sent %*d %31s %*s {\"n\":%47[0-9]", topic, payload) == 2)
            size +=
                (size_t)snprintf(text + size, sizeof text - size, "%s%s%s", size ? " " : "", topic, payload);
    }
    small_seen.count = 0;
    return text;
}

static void assert_nothing_is_left(const struct small_lane *small)
{
    const struct lane *lane = small->lane;

    assert_int_equal(lane->hold.unsettled, 0);
    assert_int_equal(lane->hold.orphans, 0);
    assert_int_equal(lane->deliveries.used, 0);
    assert_int_equal(lane->unsafe_count, 0);
    assert_null(lane->unsafe);
    assert_int_equal(lane->batch->open, 0);
    assert_null(lane->streams.waiting);
    assert_int_equal(figures().rows, 0);
    assert_int_equal(small_count(small, COUNT_begun) + small_count(small, COUNT_recovered),
                     small_count(small, COUNT_delivered) + small_count(small, COUNT_error_action) +
                         small_count(small, COUNT_dead) + small_count(small, COUNT_dropped) +
                         small_count(small, COUNT_abandoned));
}

/* What waits is delivered until nothing waits any more. */
static void deliver_all(struct small_lane *small)
{
    for (int i = 0; i < 200 && (small->lane->deliveries.used > 0 || small->lane->streams.waiting); i++) {
        scripted_command("deliver 0");
        small_turn(small, LONG);
        small_disk(small);
    }
}

static void what_has_waited_for_the_hold_goes_to_the_disk_and_is_settled(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    put(small, "a/x", 1);
    put(small, "a/x", 2);
    small_turn(small, HOLD - 1);
    small_disk(small);
    assert_int_equal(figures().rows, 0);
    assert_int_equal(small->lane->hold.unsettled, 2);
    small_turn(small, 1);
    small_disk(small);
    assert_int_equal(figures().rows, 2);
    assert_int_equal(small->lane->hold.unsettled, 0);
    assert_int_equal(small_count(small, COUNT_stored), 2);
    assert_string_equal(sent(), "x1 x2");
    /* The client still has them: its answer drops the rows, and nothing is sent again. */
    deliver_all(small);
    assert_string_equal(sent(), "");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void during_an_outage_new_records_go_to_the_disk_at_once_and_come_back_in_order(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    put(small, "a/x", 0);
    scripted_command("deliver 0");
    small_turn(small, 1);
    (void)sent();
    put(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    for (int n = 2; n <= 5; n++) {
        put(small, "a/x", n);
        put(small, "a/y", n); /* another stream of the same client: without a hold of its own */
        small_disk(small);
        assert_int_equal(small->lane->hold.unsettled, 0);
    }
    assert_int_equal(figures().rows, 9);
    assert_string_equal(sent(), "x1");
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_disk(small);
    put(small, "a/x", 6);
    small_turn(small, 0);
    deliver_all(small);
    const char *all = sent();
    const char *x = strstr(all, "x2 x3 x4 x5"), *y = strstr(all, "y2 y3 y4 y5");
    assert_non_null(x);
    assert_non_null(y);
    assert_non_null(strstr(x, "x6"));
    assert_int_equal(strlen(all), 9 * 3 - 1);
    assert_nothing_is_left(small);
    put(small, "a/x", 7); /* live again */
    assert_string_equal(sent(), "x7");
    small_lane_free(small);
}

static void a_row_that_comes_back_is_read_again_in_its_place(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    for (int n = 1; n <= 4; n++)
        put(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    assert_string_equal(sent(), "x1 x2 x3 x4");
    scripted_command("deliver 1");
    scripted_command("wait 1"); /* 2 */
    scripted_command("deliver 1");
    small_turn(small, 0);
    put(small, "a/x", 5);
    small_turn(small, LONG);
    small_disk(small);
    assert_string_equal(sent(), ""); /* 4 is still in the client's hands */
    scripted_command("deliver 1");
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(sent(), "x2 x5");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void rows_being_read_are_not_forgotten_for_what_was_put_beside_them(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    for (int n = 1; n <= 3; n++)
        put(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_disk(small); /* live again; 2 and 3 are rows, and in the client's hands */
    put(small, "a/x", 4);
    put(small, "a/x", 5);
    assert_string_equal(sent(), "x1 x2 x3 x4 x5");
    scripted_command("wait 2"); /* 2 and 3; so 4 and 5 are being put */
    small_turn(small, 0);
    scripted_command("wait 1");    /* 4 */
    scripted_command("deliver 1"); /* 5 */
    small_turn(small, LONG);
    small_turn(small, LONG); /* 2 and 3 are being read */
    small_disk(small);
    deliver_all(small);
    assert_string_equal(sent(), "x2 x3 x4");
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
        put(small, "a/x", n);
    put(small, "a/y", 1);
    small_disk(small); /* no hold for it */
    assert_string_equal(sent(), "y1");
    assert_int_equal(small->lane->hold.unsettled, 1);
    scripted_command("deliver 1");
    small_turn(small, 0);
    assert_int_equal(small->lane->hold.unsettled, 0);
    assert_int_equal(figures().rows, 20);
    small_turn(small, LONG);
    small_disk(small);
    assert_string_equal(sent(), "");
    scripted_command("allow x");
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(sent(), "x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20");
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
        put(small, "a/x", n);
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
        put(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    small_lane_free(small);
    store_close(disk.store);
    open_store();

    small = small_lane_on(plain, 1, NULL, disk.store);
    assert_int_equal(small_count(small, COUNT_recovered), 3);
    put(small, "a/x", 4);
    assert_string_equal(sent(), "");
    small_disk(small);
    deliver_all(small);
    assert_string_equal(sent(), "x1 x2 x3 x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void rows_of_a_rule_that_is_gone_wait(void **state)
{
    static const char *const two[] = {RULE(""), RULE("")};
    struct small_lane *small = small_lane_on(two, 2, NULL, disk.store);

    (void)state;
    put(small, "a/x", 1);
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
        put(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    put(small, "a/x", 4);
    small_disk(small);
    scripted_command("die");
    small_turn(small, 0);
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(sent(), "x1 x2 x3 x1 x2 x3 x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_failure_for_good_is_a_dead_letter_before_it_is_settled(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    put(small, "a/bad", 1);
    assert_int_equal(small->lane->hold.unsettled, 1);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 0);
    put(small, "a/x", 2);
    scripted_command("fail 1");
    small_turn(small, 0);
    assert_int_equal(small->lane->hold.unsettled, 1);
    small_disk(small);
    assert_int_equal(figures().letters, 2);
    assert_int_equal(small_count(small, COUNT_dead), 2);
    assert_nothing_is_left(small);
    small_lane_free(small);

    small = small_lane_on(plain, 1, "delivery: {failures: drop}", disk.store);
    put(small, "a/bad", 1);
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
    put(small, "b", 1);
    put(small, "c", 1);
    small_disk(small);
    assert_int_equal(figures().letters, 1);
    deliver_all(small);
    assert_int_equal(small_count(small, COUNT_dead), 1);
    assert_int_equal(small_count(small, COUNT_error_action), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);

    small = small_lane_on(texts, 2, "delivery: {rule_errors: drop}", disk.store);
    put(small, "b", 1);
    put(small, "c", 1);
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
    put(small, "a/x", 1);
    put(small, "a/x", 2);
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
    put(small, "a/x", 7);
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
        put(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    put(small, "a/x", 4);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 4);
    assert_string_equal(sent(), "x1 x2 x3");
    deliver_all(small);
    assert_string_equal(sent(), "x4");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_new_topic_has_no_hold_while_strange_ones_come(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    char topic[16];

    (void)state;
    put(small, "a/x", 1);
    scripted_command("deliver 1");
    small_turn(small, 1);
    put(small, "a/strange", 1); /* nobody answers for it */
    small_turn(small, HOLD / 2);
    put(small, "a/x", 2);
    small_turn(small, 0);
    for (int i = 0; i < 3; i++) { /* the stranger is the first that is open */
        scripted_command("wait 1");
        scripted_command("deliver 0");
        small_turn(small, HOLD / 2);
        small_disk(small);
    }
    deliver_all(small);
    (void)sent();
    small->lane->clients[0].strange_until = small->lane->now_ms + LONG;
    for (int n = 0; n < 5; n++) {
        (void)snprintf(topic, sizeof topic, "a/t%d", n);
        put(small, topic, n);
    }
    put(small, "a/x", 3); /* known: live */
    assert_string_equal(sent(), "x3");
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
    put(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small); /* 1 is stored */
    scripted_command("later on");
    small_turn(small, 0);
    put(small, "a/y", 2);
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

    put(small, "a/x", 0);
    put(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    scripted_command("deliver 1");
    small_turn(small, 0);
    small_turn(small, LONG);
    small_disk(small);
    put(small, "a/x", 2);
    assert_string_equal(sent(), "x0 x1 x2");
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
    assert_string_equal(sent(), "x1");
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
    assert_string_equal(sent(), "x1");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void what_is_given_up_while_it_is_stored_is_not_read_back(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct lane *lane = small->lane;

    (void)state;
    put(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    put(small, "a/x", 2);
    small_disk(small);
    put(small, "a/x", 3);
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
    assert_string_equal(sent(), "x1 x2");
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_row_whose_failure_is_told_is_not_sent_again(void **state)
{
    struct small_lane *small = small_lane_on(reporting, 1, NULL, disk.store);
    size_t reports = 0;

    (void)state;
    for (int n = 0; n <= 2; n++)
        put(small, "a/x", n);
    small_turn(small, HOLD);
    small_disk(small);
    assert_string_equal(sent(), "x0 x1 x2");
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
    assert_string_equal(sent(), "x1");
    deliver_all(small);
    assert_string_equal(sent(), "");
    assert_int_equal(small_count(small, COUNT_error_action), 1);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_stream_that_was_forgotten_does_not_read_what_it_delivered(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct lane *lane = small->lane;

    (void)state;
    put(small, "a/y", 1);
    put(small, "a/x", 1);
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
    put(small, "a/z", 1);
    put(small, "a/x", 2);
    small_turn(small, HOLD);
    disk_alone(small);
    scripted_command("later off");
    small_turn(small, LONG);
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_null(strstr(sent() + strlen("y1 x1"), "x1"));
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void the_end_does_not_wait_for_what_is_being_read(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    put(small, "a/x", 1);
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
    put(small, "a/x", 1);
    put(small, "a/y", 1);
    scripted_command("deliver 0");
    small_turn(small, 1);
    put(small, "a/x", 2); /* hangs */
    small_turn(small, HOLD);
    small_disk(small);
    put(small, "a/y", 2);
    small_disk(small);
    assert_string_equal(sent(), "x1 y1 x2");
    for (int i = 0; i < 10; i++) {
        small_turn(small, LONG);
        small_disk(small);
    }
    assert_string_equal(sent(), "y2");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* As `topicrule dead retry` does it. */
static void retry_letters(void)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(disk.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 10000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE dead SET retry = 1", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (int i = 0; i < 600 && figures().letters > 0; i++)
        (void)poll(NULL, 0, 100);
    assert_int_equal(figures().letters, 0);
}

static void a_letter_that_is_sent_again_is_found_beside_what_is_on_its_way(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    put(small, "a/x", 1);
    scripted_command("fail 1");
    small_turn(small, 0);
    small_disk(small);
    put(small, "a/x", 2);
    assert_string_equal(sent(), "x1 x2");
    retry_letters();
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_string_equal(sent(), "x1");
    assert_int_equal(figures().rows, 0);
    small_lane_free(small);
}

/* ---- at random ---- */

enum { TOPICS = 4, NUMBERS = 4000, UNACKED = 8192 };

/* What may happen in a life, beside what always does. */
enum {
    SOME_COME_BACK = 1, /* and are overtaken by those in the client's hands beside them */
    FULL_DISK = 2,
    RECONNECTS = 4,
    FAILURES = 8,
    REPORTS = 16,
    CRASHES = 32, /* between two turns, whatever is under way */
    ALL_TRAITS = 63,
};

static struct {
    int seen[TOPICS][NUMBERS], last[TOPICS];
    uint64_t reported;
    bool ordered;
} world;

struct life {
    struct small_lane *small;
    unsigned seed, traits;
    int next[TOPICS];
    /* The broker: what it has no acknowledgement for; what of that it sends again. */
    struct sent_message {
        int topic, n;
    } unacked[UNACKED], again[UNACKED];
    size_t unacked_count, again_count;
};

static void on_taken(struct span topic, struct span payload)
{
    int t = topic.data[0] - 'p', n = 0;

    if (span_is(topic, "errors")) {
        world.reported++;
        return;
    }
    if (sscanf(payload.data, "{\"n\":%d", &n) != 1 || t < 0 || t >= TOPICS || n >= NUMBERS)
        abort();
    if (world.seen[t][n]++ == 0) {
        world.ordered = world.ordered && n > world.last[t];
        world.last[t] = n;
    }
}

static unsigned dice(struct life *life, unsigned sides)
{
    return (unsigned)rand_r(&life->seed) % sides;
}

static void begin_life(struct life *life)
{
    life->small = small_lane_on(life->traits & REPORTS ? reporting : plain, 1, NULL, disk.store);
    scripted_taken(on_taken);
}

/* As the session does it. */
static void publish(struct life *life, struct sent_message sent, bool dup)
{
    struct lane *lane = life->small->lane;
    char topic[8], text[32];
    uint32_t epoch;

    (void)snprintf(topic, sizeof topic, "a/%c", 'p' + sent.topic);
    (void)snprintf(text, sizeof text, "{\"n\":%d}", sent.n);
    struct message message = {
        .sql = {.topic = span_of(topic), .payload = span_of(text), .payload_format = -1}, .qos = 1};
    assert_true(life->unacked_count < UNACKED);
    life->unacked[life->unacked_count++] = sent;
    if (redelivery_read(lane->session->redelivery, &message, (uint16_t)life->unacked_count, dup,
                        &message.place) != REDELIVERY_EVALUATE)
        return;
    epoch = hold_take(&lane->hold);
    evaluate(lane, &message);
    hold_release(&lane->hold, epoch);
}

static void read_messages(struct life *life)
{
    const struct lane *lane = life->small->lane;
    const int t = (int)dice(life, TOPICS);

    if (lane->hold.orphans > 0)
        return;
    for (size_t i = 0; i < life->again_count; i++)
        publish(life, life->again[i], true);
    life->again_count = 0;
    for (unsigned n = dice(life, 8); n > 0 && lane_has_room(lane); n--)
        if (life->next[t] + 1 < NUMBERS)
            publish(life, (struct sent_message){t, ++life->next[t]}, false);
}

static void acknowledge(struct life *life)
{
    struct lane *lane = life->small->lane;

    if (lane->hold.unsettled > 0 || lane->hold.orphans > 0 || life->again_count > 0)
        return;
    redelivery_flushing(lane->session->redelivery);
    life->unacked_count = 0;
}

static void reconnect(struct life *life)
{
    struct lane *lane = life->small->lane;
    const bool resumed = life->traits & CRASHES || dice(life, 4) > 0;

    if (life->again_count > 0 || lane->hold.orphans > 0)
        return; /* what is not met again on the next connection may come twice: see redelivery.h */
    redelivery_lost(lane->session->redelivery, REDELIVERY_LOST, lane->hold.epoch);
    hold_drop(&lane->hold);
    redelivery_connected(lane->session->redelivery, resumed, 0);
    if (resumed) {
        memcpy(life->again, life->unacked, life->unacked_count * sizeof life->unacked[0]);
        life->again_count = life->unacked_count;
        lane->resent_before = lane->hold.epoch;
        dispatch_forget_resent(lane);
    } else {
        lane->session_since = lane->hold.epoch;
    }
    life->unacked_count = 0;
}

static void crash(struct life *life)
{
    memcpy(life->again + life->again_count, life->unacked, life->unacked_count * sizeof life->unacked[0]);
    life->again_count += life->unacked_count;
    life->unacked_count = 0;
    small_lane_free(life->small);
    begin_life(life);
}

static void kafka_does_something(struct life *life)
{
    const unsigned some = life->traits & SOME_COME_BACK ? dice(life, 9) : 0;
    char line[32];

    switch (dice(life, 12)) {
    case 0: (void)snprintf(line, sizeof line, "wait %u", some); break;
    case 1: (void)snprintf(line, sizeof line, "refuse %u", some); break;
    case 2:
        (void)snprintf(line, sizeof line, "%s %c", dice(life, 2) ? "deny" : "allow",
                       'p' + (int)dice(life, TOPICS));
        break;
    case 3: (void)snprintf(line, sizeof line, "later %s", dice(life, 3) ? "off" : "on"); break;
    case 4: (void)snprintf(line, sizeof line, "take %d", dice(life, 3) ? -1 : (int)dice(life, 9)); break;
    case 5: (void)snprintf(line, sizeof line, "die"); break;
    case 6:
        (void)snprintf(line, sizeof line, "%s %u", life->traits & FAILURES ? "fail" : "deliver",
                       1 + dice(life, 3));
        break;
    default: (void)snprintf(line, sizeof line, "deliver %u", dice(life, 20)); break;
    }
    scripted_command(line);
}

static bool is_all_safe(const struct life *life)
{
    const struct lane *lane = life->small->lane;

    return life->unacked_count == 0 && life->again_count == 0 && lane->unsafe_count == 0 && !lane->reports &&
           spool_is_quiet(lane);
}

static void one_step(struct life *life)
{
    kafka_does_something(life);
    read_messages(life);
    small_turn(life->small, dice(life, 700));
    if (dice(life, 3) == 0)
        small_disk(life->small);
    else
        spool_poll(life->small->lane);
    acknowledge(life);
    if (life->traits & RECONNECTS && dice(life, 20) == 0)
        reconnect(life);
    if (life->traits & CRASHES && dice(life, 60) == 0)
        crash(life);
    if (dice(life, 100) == 0) {
        small_disk(life->small);
        acknowledge(life);
        if (is_all_safe(life)) { /* an end here neither loses nor doubles anything */
            small_lane_free(life->small);
            begin_life(life);
        }
    }
    small_seen.count = 0;
}

static void assert_all_arrived(const struct life *life, uint64_t letters)
{
    uint64_t sent = 0, seen = 0;

    for (int t = 0; t < TOPICS; t++)
        for (int n = 1; n <= life->next[t]; n++) {
            sent++;
            seen += world.seen[t][n] > 0;
            if (world.seen[t][n] > 1 && !(life->traits & CRASHES))
                fail_msg("%c%d was delivered %d times", 'p' + t, n, world.seen[t][n]);
            if (world.seen[t][n] == 0 && !(life->traits & FAILURES))
                fail_msg("%c%d was not delivered", 'p' + t, n);
        }
    if (life->traits & CRASHES)
        assert_true(seen + world.reported + letters >= sent);
    else
        assert_int_equal(seen + world.reported + letters, sent);
    if (!(life->traits & (SOME_COME_BACK | RECONNECTS | CRASHES)))
        assert_true(world.ordered);
}

static void random_life(unsigned seed, unsigned traits)
{
    struct life *life = calloc(1, sizeof *life);

    assert_non_null(life);
    life->seed = seed;
    life->traits = traits;
    memset(&world, 0, sizeof world);
    world.ordered = true;
    store_close(disk.store);
    disk.max_bytes = traits & FULL_DISK ? 500 : 1 << 30;
    open_store();
    const uint64_t letters = figures().letters;
    begin_life(life);
    for (int step = 0; step < 400; step++)
        one_step(life);
    scripted_command("later off");
    scripted_command("take -1");
    for (int t = 0; t < TOPICS; t++) {
        char line[16];

        (void)snprintf(line, sizeof line, "allow %c", 'p' + t);
        scripted_command(line);
    }
    deliver_all(life->small);
    for (size_t i = 0; i < life->again_count; i++)
        publish(life, life->again[i], true);
    deliver_all(life->small);
    assert_all_arrived(life, figures().letters - letters);
    assert_nothing_is_left(life->small);
    small_lane_free(life->small);
    free(life);
}

/* TOPICRULE_LIVES: how many, when more are wanted than a test should take time for. */
static void whatever_happens_all_arrive_once_and_in_order(void **state)
{
    const char *wanted = getenv("TOPICRULE_LIVES");
    const unsigned lives = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 40;

    (void)state;
    for (unsigned seed = 1; seed <= lives; seed++) {
        print_message("life %u\n", seed);
        random_life(seed, seed * 37 & ALL_TRAITS);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_has_waited_for_the_hold_goes_to_the_disk_and_is_settled),
        TEST(during_an_outage_new_records_go_to_the_disk_at_once_and_come_back_in_order),
        TEST(a_row_that_comes_back_is_read_again_in_its_place),
        TEST(rows_being_read_are_not_forgotten_for_what_was_put_beside_them),
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
        TEST(the_end_does_not_wait_for_what_is_being_read),
        TEST(a_topic_that_hangs_does_not_hold_back_the_others),
        TEST(a_letter_that_is_sent_again_is_found_beside_what_is_on_its_way),
        TEST(whatever_happens_all_arrive_once_and_in_order),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
