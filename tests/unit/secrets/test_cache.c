/* What the cache keeps, for how long, and how much of it: without its thread. */
#include "small_cache.h"

#include <stdio.h>

static void a_value_is_kept_for_its_time(void **state)
{
    struct cache *cache = make(60000, 0);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    answer("two", ERR_NONE);
    pass(59000);
    ask(cache, "a", "one");
    fetched(1);
    pass(2000);
    ask(cache, "a", "two");
    fetched(2);
    ask(cache, "b", "two");
    fetched(3);
    cache_free(cache);
}

static void without_a_time_nothing_is_kept(void **state)
{
    struct cache *cache = make(0, 0);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    ask(cache, "a", "one");
    fetched(2);
    answer(NULL, ERR_IO);
    ask(cache, "a", NULL);
    answer("two", ERR_NONE);
    ask(cache, "a", "two");
    cache_free(cache);
}

static void the_last_good_value_is_served_until_the_limit(void **state)
{
    struct cache *cache = make(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    answer(NULL, ERR_IO);
    pass(3500000);
    ask(cache, "a", "one");
    pass(200000);
    ask(cache, "a", NULL);
    answer("two", ERR_NONE);
    pass(200000);
    ask(cache, "a", "two");
    cache_free(cache);
}

static void a_failure_is_believed_for_a_moment(void **state)
{
    struct cache *cache = make(60000, 0);

    (void)state;
    answer(NULL, ERR_IO);
    ask(cache, "a", NULL);
    ask(cache, "a", NULL);
    fetched(1);
    pass(1500); /* the first is tried again after a second ... */
    ask(cache, "a", NULL);
    fetched(2);
    pass(1500); /* ... the next after two */
    ask(cache, "a", NULL);
    fetched(2);
    pass(1000);
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    fetched(3);
    cache_free(cache);
}

static void whoever_asks_for_many_waits_for_a_silent_backend_once(void **state)
{
    struct cache *cache = make(60000, 0);

    (void)state;
    answer(NULL, ERR_IO);
    ask(cache, "a", NULL);
    ask(cache, "b", NULL);
    ask(cache, "c", NULL);
    fetched(1);
    pass(1500);
    answer("one", ERR_NONE);
    ask(cache, "b", "one");
    ask(cache, "c", "one");
    fetched(3);
    cache_free(cache);
}

static void what_does_not_exist_is_not_asked_for_again_soon(void **state)
{
    struct cache *cache = make(60000, 0);

    (void)state;
    answer(NULL, ERR_SECRET);
    ask(cache, "a", NULL);
    pass(25000);
    ask(cache, "a", NULL);
    fetched(1);
    pass(10000);
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    cache_free(cache);
}

static void gone_must_be_said_twice(void **state)
{
    struct cache *cache = make(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    answer(NULL, ERR_SECRET);
    pass(61000);
    ask(cache, "a", "one"); /* someone may be replacing it */
    pass(1500);
    ask(cache, "a", NULL);
    fetched(3);
    cache_free(cache);
}

static void refused_is_not_gone(void **state)
{
    struct cache *cache = make(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    answer(NULL, ERR_VALUE);
    for (int i = 0; i < 5; i++) {
        pass(100000);
        ask(cache, "a", "one");
    }
    fetched(6);
    assert_false(place.away);
    cache_free(cache);
}

static void the_number_of_secrets_is_bounded(void **state)
{
    struct cache *cache = make(60000, 0);
    char id[16];

    (void)state;
    answer("one", ERR_NONE);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        ask(cache, id, "one");
        if (i == 3000) {
            pass(10);
            ask(cache, "s0", "one"); /* used again: not the oldest */
        }
    }
    fetched(5000);
    ask(cache, "s4999", "one");
    ask(cache, "s0", "one");
    fetched(5000);
    ask(cache, "s1", "one");
    fetched(5001);
    cache_free(cache);
}

static void count_one(void *context, const struct secrets_entry *entry)
{
    unsigned *seen = context;

    (*seen)++;
    assert_string_equal(entry->backend, "vault");
    if (span_is(entry->id, "a")) {
        assert_string_equal(entry->version, "7");
        assert_true(entry->age_ms >= 61000 && entry->is_stale && entry->is_away);
        assert_int_equal(entry->served, 2);
        assert_string_equal(entry->problem, "scripted failure");
    } else {
        assert_int_equal(entry->age_ms, -1);
    }
}

static void secrets_are_listed_without_their_values(void **state)
{
    struct cache *cache = make(60000, 3600000);
    unsigned seen = 0;

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    answer(NULL, ERR_IO);
    pass(61000);
    ask(cache, "a", "one");
    ask(cache, "b", NULL);
    cache_each(cache, count_one, &seen);
    assert_int_equal(seen, 2);
    cache_free(cache);
}

/* ---- ids that messages compute ---- */

static void who_may_not_wait_gets_what_is_at_hand(void **state)
{
    struct cache *cache = make(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    assert_int_equal(ask_computed(cache, "a", false), CACHE_UNKNOWN);
    fetched(0);
    assert_int_equal(ask_computed(cache, "a", true), CACHE_HERE);
    assert_int_equal(ask_computed(cache, "a", false), CACHE_HERE);
    answer(NULL, ERR_SECRET);
    assert_int_equal(ask_computed(cache, "b", true), CACHE_REFUSED);
    assert_int_equal(ask_computed(cache, "b", false), CACHE_REFUSED);
    fetched(2);
    pass(31000); /* a miss is believed for a while */
    assert_int_equal(ask_computed(cache, "b", false), CACHE_UNKNOWN);
    answer(NULL, ERR_IO);
    assert_int_equal(ask_computed(cache, "c", true), CACHE_AWAY);
    assert_int_equal(ask_computed(cache, "c", false), CACHE_AWAY);
    fetched(3);
    cache_free(cache);
}

static void hostile_ids_drive_out_only_their_like(void **state)
{
    struct cache *cache = make(900000, 3600000);
    struct count count = {0};
    char id[16];

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "password", "one");
    assert_int_equal(ask_computed(cache, "mine", true), CACHE_HERE);
    pass(1);
    answer(NULL, ERR_SECRET);
    for (int i = 0; i < 10000; i++) { /* misses do not drive out values */
        (void)snprintf(id, sizeof id, "miss%d", i);
        assert_int_equal(ask_computed(cache, id, true), CACHE_REFUSED);
    }
    assert_int_equal(ask_computed(cache, "mine", false), CACHE_HERE);
    cache_each(cache, count_kinds, &count);
    assert_int_equal(count.empty, 256);

    answer("one", ERR_NONE);
    pass(1);
    for (int i = 0; i < 10000; i++) { /* nor values those that are named */
        (void)snprintf(id, sizeof id, "hit%d", i);
        assert_int_equal(ask_computed(cache, id, true), CACHE_HERE);
    }
    fetched(20002);
    ask(cache, "password", "one");
    fetched(20002);
    count = (struct count){0};
    cache_each(cache, count_kinds, &count);
    assert_int_equal(count.named, 1);
    assert_int_equal(count.computed, 1024);
    cache_free(cache);
}

static void what_is_named_as_well_is_kept_as_named(void **state)
{
    struct cache *cache = make(60000, 3600000);
    struct count count = {0};

    (void)state;
    answer("one", ERR_NONE);
    assert_int_equal(ask_computed(cache, "a", true), CACHE_HERE);
    ask(cache, "a", "one");
    assert_int_equal(ask_computed(cache, "a", true), CACHE_HERE);
    cache_each(cache, count_kinds, &count);
    assert_int_equal(count.named, 1);
    assert_int_equal(count.computed, 0);
    cache_free(cache);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_not_wait_gets_what_is_at_hand),
        cmocka_unit_test(hostile_ids_drive_out_only_their_like),
        cmocka_unit_test(what_is_named_as_well_is_kept_as_named),
        cmocka_unit_test(a_value_is_kept_for_its_time),
        cmocka_unit_test(without_a_time_nothing_is_kept),
        cmocka_unit_test(the_last_good_value_is_served_until_the_limit),
        cmocka_unit_test(a_failure_is_believed_for_a_moment),
        cmocka_unit_test(whoever_asks_for_many_waits_for_a_silent_backend_once),
        cmocka_unit_test(what_does_not_exist_is_not_asked_for_again_soon),
        cmocka_unit_test(gone_must_be_said_twice),
        cmocka_unit_test(refused_is_not_gone),
        cmocka_unit_test(the_number_of_secrets_is_bounded),
        cmocka_unit_test(secrets_are_listed_without_their_values),
    };

    return cmocka_run_group_tests_name("secrets kept for a while", tests, NULL, NULL);
}
