/* cache.c - whole secrets, kept for a while.
 *
 * An entry is one (backend, id, role). At most one fetch of it is under way; whoever asks meanwhile waits for
 * that one, or takes the last good value at once. With the thread of cache_start an entry is fetched again
 * before it is too old to serve, so that nobody ever waits for a refresh.
 *
 * A failure never replaces a value. The value goes when the backend has said twice that there is no such
 * secret, or when it is older than the stale limit. */
#include "cache.h"

#include "cache_table.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    STANDARD_MS = 900000, /* AWS's 15 minutes */
    RETRY_LEAST_MS = 1000,
    RETRY_MOST_MS = 60000,
    MISSING_MS = 30000, /* how long "no such secret" is believed */
};

struct cache {
    pthread_mutex_t lock;
    pthread_cond_t done; /* a fetch has ended */
    pthread_cond_t wake; /* the thread has something to do */
    pthread_t thread;
    bool started;
    atomic_bool stop; /* no fetch is worth waiting for */
    int64_t cache_ms, stale_ms;
    struct place *places;
    size_t place_count;
    struct table table;
    secrets_notice *notice;
    void *context;
    unsigned telling; /* threads inside `notice` */
};

/* ---- a life ---- */

struct cache *cache_new(const struct secrets_config *config, struct place *places, size_t count,
                        struct err *err)
{
    struct cache *cache = calloc(1, sizeof *cache);
    pthread_condattr_t monotonic;

    if (!cache) {
        err_memory(err);
        return NULL;
    }
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&cache->lock, NULL);
    (void)pthread_cond_init(&cache->done, NULL);
    (void)pthread_cond_init(&cache->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    cache->cache_ms = config->cache_ms;
    cache->stale_ms = config->stale_limit_ms > config->cache_ms ? config->stale_limit_ms : config->cache_ms;
    cache->places = places;
    cache->place_count = count;
    for (size_t i = 0; i < count; i++)
        places[i].tend_ms = INT64_MAX;
    return cache;
}

void cache_give_up(struct cache *cache)
{
    atomic_store(&cache->stop, true);
    for (size_t i = 0; i < cache->place_count; i++)
        if (cache->places[i].type->stop)
            cache->places[i].type->stop(cache->places[i].backend);
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    if (cache->started) {
        cache_give_up(cache);
        (void)pthread_mutex_lock(&cache->lock);
        (void)pthread_cond_broadcast(&cache->wake);
        (void)pthread_mutex_unlock(&cache->lock);
        (void)pthread_join(cache->thread, NULL);
    }
    while (cache->table.first)
        table_drop(&cache->table, cache->table.first);
    (void)pthread_cond_destroy(&cache->wake);
    (void)pthread_cond_destroy(&cache->done);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* ---- entries; the lock is held ---- */

/* How long the entry's value is good without a look. */
static int64_t fresh_ms(const struct cache *cache, const struct entry *entry)
{
    int64_t ms = cache->cache_ms > 0 ? cache->cache_ms : STANDARD_MS, poll = entry->place->type->poll_ms;

    return poll > 0 && poll < ms ? poll : ms;
}

static bool same_value(const struct stored *a, const struct stored *b)
{
    return a->as == b->as && span_equal(wiped_reveal(a->bytes), wiped_reveal(b->bytes));
}

/* ---- one fetch ---- */

/* What to tell once the lock is free. */
struct news {
    struct secrets_event events[2];
    size_t count;
    char text[sizeof((struct err *)0)->text];
};

static void add_news(struct news *news, enum secrets_happening what, const struct entry *entry,
                     const struct err *err)
{
    struct secrets_event *event = &news->events[news->count++];

    *event = (struct secrets_event){.what = what, .backend = entry->place->name, .text = ""};
    if (what == SECRETS_CHANGED || what == SECRETS_LOST)
        event->id = entry->id;
    if (err) {
        memcpy(news->text, err->text, sizeof news->text);
        event->text = news->text;
    }
}

static void take_value(struct cache *cache, struct entry *entry, struct stored *got, int64_t now,
                       struct news *news)
{
    bool had = entry->stored.bytes, same = had && same_value(&entry->stored, got);

    if (entry->place->away)
        add_news(news, SECRETS_BACK, entry, NULL);
    if (entry->computed)
        ; /* it is looked up for every message: nothing was made from it */
    else if ((had && !same) || (!had && entry->good_ms > 0)) /* the latter: it had been lost */
        add_news(news, SECRETS_CHANGED, entry, NULL);
    wiped_free(entry->stored.bytes);
    entry->stored = *got;
    entry->place->away = false;
    entry->place->failures = 0;
    entry->place->retry_ms = 0;
    entry->err.code = ERR_NONE;
    entry->failures = entry->missing = 0;
    entry->good_ms = now;
    int64_t fresh = fresh_ms(cache, entry);
    entry->due_ms = now + fresh - fresh / 16; /* before anyone could have to wait */
}

static int64_t back_off_ms(unsigned failures)
{
    int64_t wait = RETRY_LEAST_MS << (failures < 6 ? failures : 6);

    return wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS;
}

static void take_failure(struct cache *cache, struct entry *entry, const struct err *err, int64_t now,
                         struct news *news)
{
    struct place *place = entry->place;

    entry->err = *err;
    entry->due_ms = now + back_off_ms(entry->failures++);
    entry->missing = err->code == ERR_SECRET ? entry->missing + 1 : 0;
    if (entry->missing > 1 || (entry->missing == 1 && !entry->stored.bytes))
        entry->due_ms = now + (place->type->poll_ms ? place->type->poll_ms : MISSING_MS);
    if (err->code == ERR_IO) {
        place->retry_ms = now + back_off_ms(place->failures++);
        if (!place->away)
            add_news(news, SECRETS_AWAY, entry, err);
        place->away = true;
        place->why = *err;
    }
    if (entry->stored.bytes && (entry->missing > 1 || now - entry->good_ms >= cache->stale_ms)) {
        if (!entry->computed)
            add_news(news, SECRETS_LOST, entry, err);
        wiped_free(entry->stored.bytes);
        entry->stored.bytes = NULL;
    }
}

/* Fetch `entry`, whose `users` the caller has raised and which nobody else fetches. The lock is held on entry
 * and on return, and free in between. */
static void fetch(struct cache *cache, struct entry *entry)
{
    struct stored got = {0};
    struct news news = {.count = 0};
    struct err err = {0};

    entry->fetching = true;
    entry->fetches++;
    (void)pthread_mutex_unlock(&cache->lock);
    int result = entry->place->type->fetch(entry->place->backend, entry->id, entry->role_arn, &got, &err);
    (void)pthread_mutex_lock(&cache->lock);
    entry->fetching = false;
    if (atomic_load(&cache->stop)) /* whatever it says: it was told to give up */
        wiped_free(got.bytes);
    else if (result == 0)
        take_value(cache, entry, &got, clock_mono_ms(), &news);
    else
        take_failure(cache, entry, &err, clock_mono_ms(), &news);
    entry->place->tend_ms = 0;
    (void)pthread_cond_broadcast(&cache->done);
    secrets_notice *notice = cache->notice;
    if (!notice || news.count == 0)
        return;
    cache->telling++;
    (void)pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; i < news.count; i++)
        notice(cache->context, &news.events[i]);
    (void)pthread_mutex_lock(&cache->lock);
    cache->telling--;
    (void)pthread_cond_broadcast(&cache->done);
}

/* ---- asking ---- */

enum answer { SERVE, FAIL, TRY };

/* What to do for one who asks. `tried`: a fetch has ended since he came. */
static enum answer judge(const struct cache *cache, const struct entry *entry, int64_t now, bool tried)
{
    int64_t age = now - entry->good_ms;

    if (entry->stored.bytes) {
        if (age < fresh_ms(cache, entry) && cache->cache_ms > 0)
            return SERVE;
        if (age < cache->stale_ms && (cache->started || tried || now < entry->due_ms))
            return SERVE; /* the thread is at it, or nobody can do better now */
        if (tried && entry->failures == 0)
            return SERVE;
    }
    if (atomic_load(&cache->stop))
        return FAIL;
    if (entry->place->away && cache->cache_ms > 0 && now < entry->place->retry_ms)
        return FAIL; /* it has just not answered another: whoever asks for ten secrets waits once */
    if (entry->err.code != ERR_NONE && (tried || (cache->cache_ms > 0 && now < entry->due_ms)))
        return FAIL;
    return TRY;
}

static enum cache_answer failed(struct err *err, const struct err *why)
{
    *err = *why;
    return why->code == ERR_IO || why->code == ERR_MEMORY ? CACHE_AWAY : CACHE_REFUSED;
}

static enum cache_answer serve(struct cache *cache, struct entry *entry, bool may_wait, struct stored *out,
                               struct err *err)
{
    bool tried = false;

    for (;;) {
        int64_t now = clock_mono_ms();

        entry->used_ms = now;
        switch (judge(cache, entry, now, tried)) {
        case SERVE:
            *out = entry->stored;
            out->bytes = wiped_ref(entry->stored.bytes);
            entry->served++;
            return CACHE_HERE;
        case FAIL:
            if (atomic_load(&cache->stop)) {
                (void)err_set(err, ERR_IO, "the program ends");
                return CACHE_AWAY;
            }
            return failed(err, entry->err.code != ERR_NONE ? &entry->err : &entry->place->why);
        case TRY: break;
        }
        if (!may_wait)
            return CACHE_UNKNOWN;
        if (entry->fetching)
            (void)pthread_cond_wait(&cache->done, &cache->lock);
        else
            fetch(cache, entry);
        tried = true;
    }
}

enum cache_answer cache_ask(struct cache *cache, struct place *place, const struct cache_query *query,
                            struct stored *out, struct err *err)
{
    enum cache_answer answer = CACHE_UNKNOWN;

    (void)pthread_mutex_lock(&cache->lock);
    struct entry *entry = table_find(&cache->table, place, query->id, query->role_arn);
    if (!entry && query->may_wait)
        entry = table_add(&cache->table, place, query->id, query->role_arn, query->computed);
    if (entry) {
        entry->computed &= query->computed;
        entry->users++;
        answer = serve(cache, entry, query->may_wait, out, err);
        entry->users--;
        if (cache->started && query->may_wait)
            (void)pthread_cond_signal(&cache->wake);
    } else if (query->may_wait) {
        err_memory(err);
        answer = CACHE_AWAY;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return answer;
}

void cache_look_again(struct cache *cache)
{
    int64_t now = clock_mono_ms();

    (void)pthread_mutex_lock(&cache->lock);
    for (struct entry *entry = cache->table.first; entry; entry = entry->next)
        if (!entry->computed && entry->due_ms > now && entry->err.code == ERR_NONE)
            entry->due_ms = now;
    if (cache->started)
        (void)pthread_cond_signal(&cache->wake);
    (void)pthread_mutex_unlock(&cache->lock);
}

void cache_each(struct cache *cache, secrets_look *look, void *context)
{
    int64_t now = clock_mono_ms();

    (void)pthread_mutex_lock(&cache->lock);
    for (struct entry *entry = cache->table.first; entry; entry = entry->next) {
        struct secrets_entry shown = {
            .backend = entry->place->name,
            .id = entry->id,
            .role_arn = entry->role_arn,
            .computed = entry->computed,
            .version = entry->stored.version,
            .age_ms = entry->stored.bytes ? now - entry->good_ms : -1,
            .is_stale = entry->stored.bytes && now - entry->good_ms >= fresh_ms(cache, entry),
            .is_away = entry->place->away,
            .fetches = entry->fetches,
            .served = entry->served,
            .problem = entry->err.code != ERR_NONE ? entry->err.text : "",
        };

        look(context, &shown);
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

/* ---- the thread ---- */

/* A backend that is away is asked by one entry at a time: the others come when it is back. */
static int64_t due_ms(const struct entry *entry)
{
    return entry->due_ms > entry->place->retry_ms ? entry->due_ms : entry->place->retry_ms;
}

/* Computed once, and not asked for since: the next message that asks has it fetched. */
static bool is_idle(const struct entry *entry)
{
    return entry->computed && entry->users == 0 && (!entry->stored.bytes || entry->used_ms <= entry->good_ms);
}

static struct entry *most_due(struct cache *cache)
{
    struct entry *found = NULL;

    for (struct entry *entry = cache->table.first; entry; entry = entry->next)
        if (!entry->fetching && entry->fetches > 0 && (!found || due_ms(entry) < due_ms(found)))
            found = entry;
    return found;
}

static void wait_until(struct cache *cache, int64_t ms)
{
    struct timespec end = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)pthread_cond_timedwait(&cache->wake, &cache->lock, &end);
}

static struct place *most_untended(struct cache *cache)
{
    struct place *found = NULL;

    for (size_t i = 0; i < cache->place_count; i++)
        if (cache->places[i].type->tend && (!found || cache->places[i].tend_ms < found->tend_ms))
            found = &cache->places[i];
    return found;
}

static void tend(struct cache *cache, struct place *place)
{
    place->tend_ms = INT64_MAX; /* unless a fetch says otherwise meanwhile */
    (void)pthread_mutex_unlock(&cache->lock);
    int64_t next = place->type->tend(place->backend);
    (void)pthread_mutex_lock(&cache->lock);
    if (next < place->tend_ms)
        place->tend_ms = next;
}

static void *refresh(void *context)
{
    struct cache *cache = context;

    (void)pthread_mutex_lock(&cache->lock);
    while (!atomic_load(&cache->stop)) {
        struct entry *entry = most_due(cache);
        struct place *place = most_untended(cache);
        int64_t now = clock_mono_ms();

        if (place && place->tend_ms <= now) {
            tend(cache, place);
        } else if (place && place->tend_ms < INT64_MAX && (!entry || place->tend_ms < due_ms(entry))) {
            wait_until(cache, place->tend_ms);
        } else if (!entry) {
            (void)pthread_cond_wait(&cache->wake, &cache->lock);
        } else if (due_ms(entry) > now) {
            wait_until(cache, due_ms(entry));
        } else if (is_idle(entry)) {
            table_drop(&cache->table, entry);
        } else {
            entry->users++;
            fetch(cache, entry);
            entry->users--;
        }
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return NULL;
}

int cache_start(struct cache *cache, secrets_notice *notice, void *context, struct err *err)
{
    cache->notice = notice;
    cache->context = context;
    cache->started = true;
    int failed = pthread_create(&cache->thread, NULL, refresh, cache);
    if (failed) {
        cache->started = false;
        return err_set(err, ERR_MEMORY, "cannot start the thread that refreshes secrets: %s",
                       strerror(failed));
    }
    return 0;
}

void cache_quiet(struct cache *cache)
{
    (void)pthread_mutex_lock(&cache->lock);
    cache->notice = NULL;
    while (cache->telling > 0)
        (void)pthread_cond_wait(&cache->done, &cache->lock);
    (void)pthread_mutex_unlock(&cache->lock);
}
