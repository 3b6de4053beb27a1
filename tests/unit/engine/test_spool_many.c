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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_refused_topics_cost_a_live_one_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("spool, very many streams", tests, NULL, NULL);
}
