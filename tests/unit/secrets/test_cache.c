/* The cache before a scripted backend, with a clock that can be moved on. */
#include "cache.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the clock: real, and moved on at will ---- */

static atomic_llong moved_ms;

int64_t clock_mono_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + atomic_load(&moved_ms);
}

static void pass(int64_t ms)
{
    atomic_fetch_add(&moved_ms, ms);
}

/* ---- the backend: says what the test wants ---- */

static struct {
    pthread_mutex_t lock;
    const char *value; /* NULL: fail with `code` */
    enum err_code code;
    atomic_uint fetches;
    atomic_bool hold, stopped; /* do not answer yet; told to give up */
} script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void answer(const char *value, enum err_code code)
{
    (void)pthread_mutex_lock(&script.lock);
    script.value = value;
    script.code = code;
    (void)pthread_mutex_unlock(&script.lock);
}

static void nap(void)
{
    (void)usleep(1000);
}

static int script_fetch(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
                        struct err *err)
{
    (void)backend;
    (void)id;
    (void)role_arn;
    atomic_fetch_add(&script.fetches, 1);
    while (atomic_load(&script.hold) && !atomic_load(&script.stopped))
        nap();
    (void)pthread_mutex_lock(&script.lock);
    *out = (struct stored){.as = STORED_TEXT, .version = "7"};
    if (script.value)
        out->bytes = wiped_new(span_of(script.value));
    else
        err_set(err, script.code, "scripted failure");
    (void)pthread_mutex_unlock(&script.lock);
    return out->bytes ? 0 : -1;
}

static void script_stop(struct backend *backend)
{
    (void)backend;
    atomic_store(&script.stopped, true);
}

static const struct backend_type scripted = {.name = "scripted", .fetch = script_fetch, .stop = script_stop};

static struct place place;

static struct cache *make(int64_t cache_ms, int64_t stale_ms)
{
    struct secrets_config config = {.cache_ms = cache_ms, .stale_limit_ms = stale_ms};
    struct err err = {0};
    static char name[] = "vault";

    place = (struct place){.name = name, .type = &scripted};
    atomic_store(&script.fetches, 0);
    atomic_store(&script.hold, false);
    atomic_store(&script.stopped, false);
    struct cache *cache = cache_new(&config, &place, 1, &err);
    assert_non_null(cache);
    return cache;
}

/* `want` NULL: it fails. */
static void ask(struct cache *cache, const char *id, const char *want)
{
    struct stored got = {0};
    struct err err = {0};
    const struct cache_query query = {.id = span_of(id), .role_arn = SPAN(""), .may_wait = true};
    enum cache_answer answer = cache_ask(cache, &place, &query, &got, &err);

    if (want && answer != CACHE_HERE)
        fail_msg("%s", err.text);
    assert_int_equal(answer == CACHE_HERE, want != NULL);
    if (want)
        assert_true(span_is(wiped_reveal(got.bytes), want));
    wiped_free(got.bytes);
}

static void fetched(unsigned count)
{
    assert_int_equal(atomic_load(&script.fetches), count);
}

/* ---- without the thread ---- */

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

static enum cache_answer ask_computed(struct cache *cache, const char *id, bool may_wait)
{
    const struct cache_query query = {span_of(id), SPAN(""), true, may_wait};
    struct stored got = {0};
    struct err err = {0};
    enum cache_answer answer = cache_ask(cache, &place, &query, &got, &err);

    assert_int_equal(answer == CACHE_HERE, got.bytes != NULL);
    assert_int_equal(answer == CACHE_REFUSED || answer == CACHE_AWAY, err.text[0] != '\0');
    wiped_free(got.bytes);
    return answer;
}

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

struct count {
    unsigned named, computed, empty;
};

static void count_kinds(void *context, const struct secrets_entry *entry)
{
    struct count *count = context;

    count->named += !entry->computed;
    count->computed += entry->computed;
    count->empty += entry->computed && entry->age_ms < 0;
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

/* ---- with threads ---- */

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
        cmocka_unit_test(who_may_not_wait_gets_what_is_at_hand),
        cmocka_unit_test(hostile_ids_drive_out_only_their_like),
        cmocka_unit_test(what_is_named_as_well_is_kept_as_named),
        cmocka_unit_test(what_no_message_asks_for_any_more_is_forgotten),
        cmocka_unit_test(giving_up_ends_the_waiting),
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
        cmocka_unit_test(all_who_wait_share_one_fetch),
        cmocka_unit_test(a_change_is_seen_and_told_while_nobody_waits),
        cmocka_unit_test(away_and_back_are_told_once),
        cmocka_unit_test(a_lost_secret_is_told_and_comes_back_as_a_change),
        cmocka_unit_test(nothing_is_told_any_more_once_it_is_quiet),
        cmocka_unit_test(the_end_does_not_wait_for_a_backend),
    };

    return cmocka_run_group_tests_name("secrets kept for a while", tests, NULL, NULL);
}
