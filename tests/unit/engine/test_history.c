/* Time that passed, and time that only the wall clock says has passed. Here the clocks are the test's own. */
#include "history.h"
#include "small_spool.h"

#include "base/log.h"

#include <stdatomic.h>
#include <time.h>

#define HOUR  (INT64_C(3600) * 1000)
#define DAY   (24 * HOUR)
#define YEARS (INT64_C(365) * DAY)

/* ---- clocks that can be set: instead of base/clock.c ---- */

static _Atomic int64_t set_ms, passed_ms; /* by hand; while nobody looked */

static int64_t read_ns(clockid_t id)
{
    struct timespec now = {0};

    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000 + set_ms + passed_ms;
}

int64_t clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

int64_t clock_boot_ms(void)
{
    return clock_mono_ms() + passed_ms;
}

/* ---- gaps ---- */

static void time_that_passes_counts(void **state)
{
    struct history history;

    (void)state;
    history_begin(&history, "", 0, 100 * YEARS, 5000);
    assert_int_equal(history_look(&history, 100 * YEARS + DAY, 5000 + DAY), 0);
    assert_int_equal(history_before(&history, 100 * YEARS + DAY, HOUR), 100 * YEARS + DAY - HOUR);
    assert_int_equal(history_look(&history, 100 * YEARS + DAY + 50000, 5000 + DAY), 0); /* a little */
    assert_int_equal(history.count, 0);
}

static void a_clock_set_forward_is_walked_over(void **state)
{
    struct history history;
    const int64_t then = HOUR, now = 56 * YEARS;

    (void)state;
    history_begin(&history, "", 0, 0, 7);
    assert_int_equal(history_look(&history, now, 7 + then), now - then);
    assert_int_equal(history_before(&history, now, HOUR / 2), then - HOUR / 2);
    assert_int_equal(history_before(&history, now + HOUR, HOUR), now);
    assert_int_equal(history_before(&history, now + HOUR, HOUR + 1), then - 1);
}

static void a_clock_set_back_shortens_the_gap(void **state)
{
    struct history history;

    (void)state;
    history_begin(&history, "", 0, HOUR, 0);
    (void)history_look(&history, 10 * YEARS, 0);
    assert_true(history_look(&history, 3 * HOUR, HOUR) < 0);
    assert_int_equal(history_before(&history, 4 * HOUR, 2 * HOUR), 0); /* from 4 to 3, and from 1 to 0 */
    (void)history_look(&history, 0, HOUR);
    assert_int_equal(history.count, 0);
}

static void an_hour_between_two_lives_is_believed_and_a_day_is_not(void **state)
{
    struct history history;

    (void)state;
    history_begin(&history, "", 50 * DAY, 50 * DAY + HOUR, 0);
    assert_int_equal(history.count, 0);
    history_begin(&history, "", 50 * DAY, 51 * DAY, 0);
    assert_int_equal(history_before(&history, 51 * DAY, HOUR), 50 * DAY - HOUR);
    history_begin(&history, "", 50 * DAY, HOUR, 0); /* it starts in 1970 again */
    assert_int_equal(history_before(&history, HOUR, HOUR), 0);
}

static void gaps_are_written_and_read(void **state)
{
    struct history history, again;
    char text[HISTORY_TEXT], twice[HISTORY_TEXT];

    (void)state;
    history_begin(&history, "", 0, 0, 0);
    for (int i = 1; i <= 5; i++)
        (void)history_look(&history, i * DAY, i * HOUR);
    assert_int_equal(history.count, 5);
    history_print(&history, text);
    history_begin(&again, text, 0, 6 * DAY, 0);
    history_print(&again, twice);
    assert_string_equal(text, twice);
    history_begin(&again, "7 6\n-5 4\nnonsense 1 2", 0, 6 * DAY, 0);
    assert_int_equal(again.count, 0);
}

/* Many gaps become few, and nothing looks older for it. */
static void too_many_gaps_make_rows_younger(void **state)
{
    struct history history;
    char text[HISTORY_TEXT];
    int64_t wall = 0, run = 0;

    (void)state;
    history_begin(&history, "", 0, 0, 0);
    for (int i = 1; i <= 200; i++) {
        run += i % 7 * HOUR + HOUR;
        wall += i % 7 * HOUR + HOUR + DAY;
        (void)history_look(&history, wall, run);
        assert_true(history.count <= HISTORY_GAPS);
        for (int64_t age = HOUR; age <= run; age += 13 * HOUR)
            assert_true(history_before(&history, wall, age) <= wall - age);
        assert_true(history_before(&history, wall, run + 1) < 0);
        history_print(&history, text);
        assert_true(strlen(text) < HISTORY_TEXT - 1);
    }
}

/* ---- what waits for a refused topic: a day, of time that passes ---- */

enum { WAITING = 20 };

static struct small_lane *lane_that_waits(void)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    scripted_command("deny x");
    small_turn(small, 0);
    return small;
}

static void put_some(struct small_lane *small)
{
    for (int n = 1; n <= WAITING; n++)
        small_publish_n(small, "a/x", n);
    small_disk(small);
    assert_int_equal(figures().rows, WAITING);
}

static void look_for_old_ones(struct small_lane *small)
{
    for (int i = 0; i < 20; i++) { /* not while it is tried again */
        small_turn(small, 3000);
        small_disk(small);
    }
}

static void a_clock_set_forward_makes_no_dead_letters(void **state)
{
    struct small_lane *small = lane_that_waits();

    (void)state;
    put_some(small);
    set_ms += 56 * YEARS;
    look_for_old_ones(small);
    assert_int_equal(figures().letters, 0);
    assert_int_equal(figures().rows, WAITING);
    passed_ms += DAY - HOUR;
    look_for_old_ones(small);
    assert_int_equal(figures().letters, 0);
    passed_ms += 2 * HOUR;
    look_for_old_ones(small);
    assert_int_equal(figures().letters, WAITING);
    small_lane_free(small);
}

static void nor_does_one_set_between_two_lives(void **state)
{
    struct small_lane *small = lane_that_waits();

    (void)state;
    put_some(small);
    passed_ms += DAY - HOUR;
    look_for_old_ones(small);
    for (int life = 0; life < 3; life++) { /* the gap is known in later lives, too */
        small_lane_free(small);
        store_close(disk.store);
        set_ms += life == 0 ? 56 * YEARS : 1000;
        open_store();
        small = lane_that_waits();
        look_for_old_ones(small);
        assert_int_equal(figures().letters, 0);
        assert_int_equal(figures().rows, WAITING);
    }
    passed_ms += 2 * HOUR;
    look_for_old_ones(small);
    assert_int_equal(figures().letters, WAITING);
    small_lane_free(small);
}

static void a_restart_is_time_that_passes(void **state)
{
    struct small_lane *small = lane_that_waits();

    (void)state;
    put_some(small);
    for (int i = 0; i < 30; i++) {
        small_lane_free(small);
        passed_ms += HOUR / 2;
        store_close(disk.store);
        set_ms += HOUR / 2; /* nobody has seen it pass */
        open_store();
        small = lane_that_waits();
    }
    look_for_old_ones(small);
    assert_int_equal(figures().letters, WAITING);
    small_lane_free(small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_that_passes_counts),
        cmocka_unit_test(a_clock_set_forward_is_walked_over),
        cmocka_unit_test(a_clock_set_back_shortens_the_gap),
        cmocka_unit_test(an_hour_between_two_lives_is_believed_and_a_day_is_not),
        cmocka_unit_test(gaps_are_written_and_read),
        cmocka_unit_test(too_many_gaps_make_rows_younger),
        TEST(a_clock_set_forward_makes_no_dead_letters),
        TEST(nor_does_one_set_between_two_lives),
        TEST(a_restart_is_time_that_passes),
    };

    log_setup(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
