/* small_cache.h - the cache before a scripted backend, with a clock that can be moved on. For one file of
 * tests: it defines the clock. */
#ifndef SMALL_CACHE_H
#define SMALL_CACHE_H

#include "cache.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
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

static inline void pass(int64_t ms)
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

static inline void answer(const char *value, enum err_code code)
{
    (void)pthread_mutex_lock(&script.lock);
    script.value = value;
    script.code = code;
    (void)pthread_mutex_unlock(&script.lock);
}

static inline void nap(void)
{
    (void)usleep(1000);
}

static inline int script_fetch(struct backend *backend, struct span id, struct span role_arn,
                               struct stored *out, struct err *err)
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

static inline void script_stop(struct backend *backend)
{
    (void)backend;
    atomic_store(&script.stopped, true);
}

static const struct backend_type scripted = {.name = "scripted", .fetch = script_fetch, .stop = script_stop};

static struct place place;

static inline struct cache *make(int64_t cache_ms, int64_t stale_ms)
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
static inline void ask(struct cache *cache, const char *id, const char *want)
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

static inline void fetched(unsigned count)
{
    assert_int_equal(atomic_load(&script.fetches), count);
}

static inline enum cache_answer ask_computed(struct cache *cache, const char *id, bool may_wait)
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

struct count {
    unsigned named, computed, empty;
};

static inline void count_kinds(void *context, const struct secrets_entry *entry)
{
    struct count *count = context;

    count->named += !entry->computed;
    count->computed += entry->computed;
    count->empty += entry->computed && entry->age_ms < 0;
}

#endif
