/* Very many streams that wait, and one that does not. */
#include "small_spool.h"

#include <time.h>

enum { MANY = 40000, ROUNDS = 10, MESSAGES = 200 };

static void refuse_many(struct small_lane *small, int from, int count)
{
    char topic[24];

    for (int n = from; n < from + count; n++) {
        (void)snprintf(topic, sizeof topic, "a/made-up-%d", n);
        small_publish_n(small, topic, n);
        if (n % 2000 == 1999)
            small_disk(small);
    }
    small_disk(small);
    small_seen.count = 0;
}

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Messages for a live topic, a turn of a millisecond each. */
static double publish_live(struct small_lane *small)
{
    const double start = cpu_seconds();

    for (int n = 0; n < MESSAGES; n++) {
        small_publish_n(small, "a/live", n);
        small_turn(small, 1);
        spool_poll(small->lane);
    }
    small_seen.count = 0;
    return cpu_seconds() - start;
}

static void many_refused_topics_cost_a_live_one_nothing(void **state)
{
    struct small_lane *alone = small_lane_on(plain, 1, NULL, disk.store);
    struct small_lane *crowded = small_lane_on(plain, 1, NULL, disk.store);
    double alone_s = 0, crowded_s = 0;

    (void)state;
    scripted_command("auto on");
    scripted_command("deny made-up-*");
    small_turn(alone, 0);
    small_turn(crowded, 0);
    refuse_many(crowded, 0, MANY);
    assert_int_equal(figures().rows, MANY);
    assert_int_equal(crowded->lane->streams.waiting_count, MANY);
    const uint64_t looks = crowded->lane->streams.looks;
    for (int round = 0; round < ROUNDS; round++) {
        alone_s += publish_live(alone);
        crowded_s += publish_live(crowded);
    }
    print_message("CPU for a message: %.1f us alone, %.1f us beside %d topics that are refused\n",
                  alone_s * 1e6 / (ROUNDS * MESSAGES), crowded_s * 1e6 / (ROUNDS * MESSAGES), MANY);
    /* Two seconds: 200 tries in each, of a few looks; and not MANY in each of 2,000 turns. */
    assert_in_range(crowded->lane->streams.looks - looks, 0, 5000);
    assert_int_equal(crowded->lane->hold.unsettled, 0);
    small_lane_free(alone);
    small_lane_free(crowded);
}

/* Ten queues for those that are refused, twenty in all. */
static void topics_without_end_become_dead_letters(void **state)
{
    enum { ALL = 3000 };
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small->lane->spool.queues_most = 20;
    scripted_command("deny made-up-*");
    small_turn(small, 0);
    refuse_many(small, 0, ALL);
    assert_int_equal(figures().rows, 10);
    assert_int_equal(figures().letters, ALL - 10);
    assert_int_equal(small_count(small, COUNT_dead), ALL - 10);
    assert_int_equal(small->lane->hold.unsettled, 0);
    refuse_many(small, 0, 10); /* those that have one keep it */
    assert_int_equal(figures().rows, 20);
    small_turn(small, LONG);
    small_disk(small);
    assert_int_equal(small->lane->streams.waiting_count, 10); /* and the others are forgotten */
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 0); /* there is room for a topic that is only late */
    scripted_command("allow made-up-*");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void an_answer_that_comes_late_is_a_letter_as_well(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small->lane->spool.queues_most = 2;
    for (int i = 0; i < 3; i++) {
        static const char *const topics[] = {"a/s", "a/t", "a/u"};

        small_publish_n(small, topics[i], i);
    }
    scripted_command("refuse 0");
    small_turn(small, 0);
    small_disk(small);
    assert_int_equal(figures().rows, 1);
    assert_int_equal(figures().letters, 2);
    assert_int_equal(small->lane->hold.unsettled, 0);
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void a_topic_too_many_in_an_outage_is_held(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small->lane->spool.queues_most = 1;
    small_publish_n(small, "a/x", 0);
    scripted_command("deliver 1");
    small_turn(small, 1);
    small_publish_n(small, "a/x", 1);
    small_turn(small, HOLD);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 0);
    small_publish_n(small, "a/y", 1);
    small_publish_n(small, "a/x", 2);
    small_turn(small, LONG);
    small_disk(small);
    assert_int_equal(small->lane->hold.unsettled, 1);
    assert_int_equal(figures().letters, 0);
    assert_int_equal(figures().rows, 2);
    scripted_command("deliver 1");
    small_turn(small, LONG);
    small_disk(small);
    deliver_all(small);
    assert_int_equal(small_count(small, COUNT_delivered), 4);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

static void many_refused_topics_leave_half_of_the_store_before_it_is_full(void **state)
{
    enum { ALL = 20000, TOPICS = 20 };
    struct small_lane *small = small_lane_on(plain, 1, "delivery: {store: {max: 1MiB}}", disk.store);
    char topic[24];

    (void)state;
    scripted_command("deny made-up-*");
    small_turn(small, 0);
    for (int n = 0; n < ALL; n++) {
        (void)snprintf(topic, sizeof topic, "a/made-up-%d", n % TOPICS);
        small_publish_n(small, topic, n);
    }
    small_disk(small);
    assert_true(figures().bytes > 3 << 18);
    small_turn(small, 2000);
    for (int i = 0; i < 40; i++) { /* four seconds more */
        small_disk(small);
        small_turn(small, 100);
    }
    assert_in_range(figures().bytes, 1, 1 << 19);
    assert_int_equal(figures().rows + figures().letters, ALL);
    small_lane_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_refused_topics_cost_a_live_one_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_refused_topics_leave_half_of_the_store_before_it_is_full, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(topics_without_end_become_dead_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_comes_late_is_a_letter_as_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_topic_too_many_in_an_outage_is_held, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("spool, very many streams", tests, NULL, NULL);
}
