#include "computed.h"

#include "known.h"

#include "base/clock.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PACE_MS = 10 }; /* between two fetches: ids that nobody has are no way to load a backend */

struct computed {
    struct secrets *secrets;
    const struct config *config;
    struct known_list held;   /* by the message under way */
    struct known_list wanted; /* by the try: one at most */
    bool trying;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t wake;
    pthread_t thread;
    struct known_list asked; /* being fetched: one at most */
    bool started, stop;
    atomic_bool busy;
    int wake_fd;
};

/* ---- the thread ---- */

static void pace(struct computed *computed, int64_t until_ms)
{
    struct timespec end = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

    while (!computed->stop && clock_mono_ms() < until_ms)
        (void)pthread_cond_timedwait(&computed->wake, &computed->lock, &end);
}

static void fetch(struct computed *computed)
{
    const struct known *asked = &computed->asked.items[0];
    const uint64_t one = 1;
    struct wiped *value;
    struct err err;

    (void)pthread_mutex_unlock(&computed->lock);
    (void)secrets_ask(computed->secrets, &asked->query, true, &value,
                      &err); /* into the cache, with its error */
    wiped_free(value);
    (void)pthread_mutex_lock(&computed->lock);
    known_clear(&computed->asked);
    atomic_store(&computed->busy, false);
    (void)!write(computed->wake_fd, &one, sizeof one);
}

static void *fetch_all(void *context)
{
    struct computed *computed = context;
    int64_t next_ms = 0;

    (void)pthread_mutex_lock(&computed->lock);
    while (!computed->stop) {
        if (!atomic_load(&computed->busy)) {
            (void)pthread_cond_wait(&computed->wake, &computed->lock);
            continue;
        }
        pace(computed, next_ms);
        if (computed->stop)
            break;
        next_ms = clock_mono_ms() + PACE_MS;
        fetch(computed);
    }
    (void)pthread_mutex_unlock(&computed->lock);
    return NULL;
}

static int start(struct computed *computed, struct err *err)
{
    const int error = thread_start(&computed->thread, fetch_all, computed);

    if (error)
        return err_set(err, ERR_IO, "cannot start a thread: %s", strerror(error));
    computed->started = true;
    return 0;
}

/* ---- its life ---- */

struct computed *computed_new(const struct config *config, struct secrets *secrets, int wake_fd,
                              struct err *err)
{
    struct computed *computed = calloc(1, sizeof *computed);
    pthread_condattr_t monotonic;

    if (!computed) {
        err_memory(err);
        return NULL;
    }
    computed->config = config;
    computed->secrets = secrets;
    computed->wake_fd = wake_fd;
    atomic_init(&computed->busy, false);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&computed->lock, NULL);
    (void)pthread_cond_init(&computed->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (start(computed, err) == 0)
        return computed;
    computed_free(computed);
    return NULL;
}

void computed_free(struct computed *computed)
{
    if (!computed)
        return;
    if (computed->started) {
        (void)pthread_mutex_lock(&computed->lock);
        computed->stop = true;
        (void)pthread_cond_broadcast(&computed->wake);
        (void)pthread_mutex_unlock(&computed->lock);
        (void)pthread_join(computed->thread, NULL);
    }
    known_done(&computed->held);
    known_done(&computed->wanted);
    known_done(&computed->asked);
    (void)pthread_cond_destroy(&computed->wake);
    (void)pthread_mutex_destroy(&computed->lock);
    free(computed);
}

/* ---- the lane ---- */

/* A long id must not leave the reason without room. */
static int refuse(struct err *err, struct span id, const char *why)
{
    enum { SHOWN = 100 };

    if (id.size > SHOWN)
        id.size = SHOWN;
    return err_set(err, ERR_SECRET, "secret '" SPAN_FMT "' is named by the message, and %s", SPAN_ARG(id),
                   why);
}

/* Out of the cache into what the message holds. */
static int look_up(struct computed *computed, const struct sql_secret_query *query, struct span *out,
                   struct err *err)
{
    struct wiped *value;
    struct known *item = known_add(&computed->held, query, err);

    if (!item)
        return -1;
    item->query.computed = true;
    enum secrets_answer answer = secrets_ask(computed->secrets, &item->query, false, &value, err);
    if (answer == SECRETS_HERE && known_set(item, value, err) == 0) {
        *out = wiped_reveal(item->value);
        return 0;
    }
    known_pop(&computed->held);
    if (answer != SECRETS_UNKNOWN)
        return -1;
    if (computed->trying && computed->wanted.count == 0) {
        item = known_add(&computed->wanted, query, err);
        if (!item)
            return -1;
        item->query.computed = true;
    }
    return refuse(err, query->id, "it has not come in time: its backend is slow, or away");
}

int computed_get(struct computed *computed, const struct sql_secret_query *query, struct span *out,
                 struct err *err)
{
    const struct known *item = known_find(&computed->held, query);

    if (item) {
        *out = wiped_reveal(item->value);
        return 0;
    }
    if (!secrets_allowed(computed->config->secrets.allow, computed->config->secrets.allow_count, query->id))
        return refuse(err, query->id, "no pattern of secrets.allow lets it");
    if (computed->held.count >= COMPUTED_MESSAGE_MAX)
        return refuse(err, query->id, "it asks for too many of them");
    return look_up(computed, query, out, err);
}

void computed_try(struct computed *computed)
{
    computed->trying = true;
    known_clear(&computed->wanted);
}

bool computed_wants(struct computed *computed)
{
    computed->trying = false;
    return computed->wanted.count > 0;
}

void computed_fetch(struct computed *computed)
{
    struct known_list wanted = computed->wanted;

    if (wanted.count == 0 || atomic_load(&computed->busy))
        return;
    (void)pthread_mutex_lock(&computed->lock);
    computed->wanted = computed->asked; /* it is empty, and has room */
    computed->asked = wanted;
    atomic_store(&computed->busy, true);
    (void)pthread_cond_signal(&computed->wake);
    (void)pthread_mutex_unlock(&computed->lock);
}

bool computed_is_busy(const struct computed *computed)
{
    return atomic_load(&computed->busy);
}

void computed_end(struct computed *computed)
{
    computed->trying = false;
    known_clear(&computed->held);
    known_clear(&computed->wanted);
}
