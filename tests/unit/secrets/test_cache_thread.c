/* What is refreshed on the thread, who is told, and who waits: the cache with more than one thread. */
#include "small_cache.h"

static void *ask_in_thread(void *context)
{
    struct stored got = {0};
    struct err err = {0};

    const struct cache_query query = {.id = SPAN("a"), .role_arn = SPAN(""), .may_wait = true};

    (void)cache_ask(context, &place, &query, &got, &err);
    wiped_free(got.bytes);
    return NULL;
}

static void all_who_wait_share_one_fetch(void **state)
{
    struct cache *cache = make(60000, 0);
    pthread_t threads[8];

    (void)state;
    answer("one", ERR_NONE);
    atomic_store(&script.hold, true);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_in_thread, cache), 0);
    while (atomic_load(&script.fetches) == 0)
        nap();
    for (int i = 0; i < 20; i++)
        nap();
    atomic_store(&script.hold, false);
    for (size_t i = 0; i < 8; i++)
        (void)pthread_join(threads[i], NULL);
    fetched(1);
    cache_free(cache);
}

static atomic_uint told[4];

static void notice(void *context, const struct secrets_event *event)
{
    (void)context;
    assert_string_equal(event->backend, "vault");
    assert_true((event->what == SECRETS_CHANGED || event->what == SECRETS_LOST) == (event->id.data != NULL));
    atomic_fetch_add(&told[event->what], 1);
}

static struct cache *start(int64_t cache_ms, int64_t stale_ms)
{
    struct cache *cache = make(cache_ms, stale_ms);
    struct err err = {0};

    for (size_t i = 0; i < 4; i++)
        atomic_store(&told[i], 0);
    assert_int_equal(cache_start(cache, notice, NULL, &err), 0);
    return cache;
}

/* Whoever asks wakes the thread, which then sees that the clock has moved on. */
static void until(struct cache *cache, enum secrets_happening what, unsigned count, const char *value)
{
    while (atomic_load(&told[what]) < count) {
        if (value)
            ask(cache, "a", value);
        else
            (void)ask_in_thread(cache);
        nap();
    }
}

static void a_change_is_seen_and_told_while_nobody_waits(void **state)
{
    struct cache *cache = start(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    fetched(1);
    atomic_store(&script.hold, true);
    answer("two", ERR_NONE);
    pass(70000);
    while (atomic_load(&script.fetches) == 1) {
        ask(cache, "a", "one"); /* although it is old, and a fetch is under way */
        nap();
    }
    ask(cache, "a", "one");
    assert_int_equal(atomic_load(&told[SECRETS_CHANGED]), 0);
    atomic_store(&script.hold, false);
    until(cache, SECRETS_CHANGED, 1, NULL);
    ask(cache, "a", "two");
    assert_int_equal(atomic_load(&told[SECRETS_AWAY]), 0);
    cache_free(cache);
}

static void away_and_back_are_told_once(void **state)
{
    struct cache *cache = start(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    ask(cache, "b", "one");
    answer(NULL, ERR_IO);
    pass(61000);
    until(cache, SECRETS_AWAY, 1, "one");
    for (int i = 0; i < 5; i++) {
        unsigned before = atomic_load(&script.fetches);

        pass(61000);
        while (atomic_load(&script.fetches) == before) {
            ask(cache, "b", "one");
            nap();
        }
    }
    answer("one", ERR_NONE);
    pass(61000);
    until(cache, SECRETS_BACK, 1, "one");
    assert_int_equal(atomic_load(&told[SECRETS_AWAY]), 1);
    assert_int_equal(atomic_load(&told[SECRETS_CHANGED]), 0); /* the same value */
    cache_free(cache);
}

static void a_lost_secret_is_told_and_comes_back_as_a_change(void **state)
{
    struct cache *cache = start(60000, 120000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    answer(NULL, ERR_IO);
    pass(130000);
    until(cache, SECRETS_LOST, 1, NULL);
    ask(cache, "a", NULL);
    answer("one", ERR_NONE);
    pass(130000);
    until(cache, SECRETS_CHANGED, 1, NULL);
    ask(cache, "a", "one");
    cache_free(cache);
}

static void nothing_is_told_any_more_once_it_is_quiet(void **state)
{
    struct cache *cache = start(60000, 3600000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    cache_quiet(cache);
    answer("two", ERR_NONE);
    pass(70000);
    while (atomic_load(&script.fetches) == 1) {
        (void)ask_in_thread(cache);
        nap();
    }
    cache_free(cache);
    assert_int_equal(atomic_load(&told[SECRETS_CHANGED]), 0);
}

static void the_end_does_not_wait_for_a_backend(void **state)
{
    struct cache *cache = start(60000, 120000);

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    atomic_store(&script.hold, true);
    pass(70000);
    while (atomic_load(&script.fetches) == 1) {
        ask(cache, "a", "one");
        nap();
    }
    cache_free(cache); /* hangs unless the backend is told to give up */
    assert_true(atomic_load(&script.stopped));
}

/* The time of all has come: those that were used are fetched again, the others forgotten. */
static void what_no_message_asks_for_any_more_is_forgotten(void **state)
{
    struct cache *cache = start(60000, 3600000);
    struct count count;

    (void)state;
    answer("one", ERR_NONE);
    ask(cache, "a", "one");
    assert_int_equal(ask_computed(cache, "used", true), CACHE_HERE);
    assert_int_equal(ask_computed(cache, "once", true), CACHE_HERE);
    pass(1000);
    assert_int_equal(ask_computed(cache, "used", false), CACHE_HERE);
    pass(61000);
    do {
        ask(cache, "a", "one");
        nap();
        count = (struct count){0};
        cache_each(cache, count_kinds, &count);
    } while (count.computed > 1 || atomic_load(&script.fetches) < 5);
    assert_int_equal(ask_computed(cache, "used", false), CACHE_HERE);
    assert_int_equal(ask_computed(cache, "once", false), CACHE_UNKNOWN);
    answer("two", ERR_NONE); /* a change of it is nobody's business: it is looked up for each message */
    pass(61000);
    until(cache, SECRETS_CHANGED, 1, NULL);
    cache_free(cache);
    assert_int_equal(atomic_load(&told[SECRETS_CHANGED]), 1);
}

static void giving_up_ends_the_waiting(void **state)
{
    struct cache *cache = start(60000, 120000);
    pthread_t thread;

    (void)state;
    answer("one", ERR_NONE);
    atomic_store(&script.hold, true);
    assert_int_equal(pthread_create(&thread, NULL, ask_in_thread, cache), 0);
    while (atomic_load(&script.fetches) == 0)
        nap();
    cache_give_up(cache);
    (void)pthread_join(thread, NULL);
    ask(cache, "b", NULL);
    fetched(1);
    assert_int_equal(atomic_load(&told[SECRETS_AWAY]), 0); /* it is not the backend's fault */
    cache_free(cache);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_message_asks_for_any_more_is_forgotten),
        cmocka_unit_test(giving_up_ends_the_waiting),
        cmocka_unit_test(all_who_wait_share_one_fetch),
        cmocka_unit_test(a_change_is_seen_and_told_while_nobody_waits),
        cmocka_unit_test(away_and_back_are_told_once),
        cmocka_unit_test(a_lost_secret_is_told_and_comes_back_as_a_change),
        cmocka_unit_test(nothing_is_told_any_more_once_it_is_quiet),
        cmocka_unit_test(the_end_does_not_wait_for_a_backend),
    };

    return cmocka_run_group_tests_name("secrets refreshed while nobody waits", tests, NULL, NULL);
}
