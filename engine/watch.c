/* Asks the broker now and then what it has dropped. */
#include "dropped.h"

#include "base/log.h"
#include "base/thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    FIRST_MS = 20000,     /* after the start */
    EVERY_MS = 300000,    /* a connection each: often enough to see a queue that runs over */
    ANSWER_MS = 5000,     /* for each broker */
    SECRET_MS = 86400000, /* a broker that tells nothing is asked once a day: it may be another by then */
};

struct watch {
    const struct config *config;
    struct session_login *login; /* of the question on its way */
    pthread_t thread;
    bool asking;
    atomic_bool answered;
    enum dropped answer;
    uint64_t count, told;
    int64_t due_ms;
};

struct watch *watch_new(const struct config *config)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->config = config;
    atomic_init(&watch->answered, false);
    return watch;
}

static void *ask(void *context)
{
    struct watch *watch = context;

    watch->answer = dropped_ask(watch->config, watch->login, ANSWER_MS, &watch->count);
    atomic_store(&watch->answered, true);
    return NULL;
}

static void tell(struct watch *watch)
{
    if (watch->count < watch->told)
        watch->told = 0; /* it was started again */
    if (watch->count == watch->told)
        return;
    log_warn("mqtt",
             "the broker has dropped %" PRIu64 " messages since its start, %" PRIu64
             " of them since it was asked last: the queue of a client was full, ours or another's; "
             "`topicrule doctor` says what to set",
             watch->count, watch->count - watch->told);
    watch->told = watch->count;
}

static void take_answer(struct watch *watch, int64_t now_ms)
{
    (void)pthread_join(watch->thread, NULL);
    watch->asking = false;
    session_login_free(watch->login);
    watch->login = NULL;
    watch->due_ms = now_ms + (watch->answer == DROPPED_SECRET ? SECRET_MS : EVERY_MS);
    if (watch->answer == DROPPED_TOLD)
        tell(watch);
}

static void start(struct watch *watch, struct session_login *login, int64_t now_ms)
{
    watch->login = session_login_ref(login);
    atomic_store(&watch->answered, false);
    watch->asking = thread_start(&watch->thread, ask, watch) == 0;
    if (watch->asking)
        return;
    session_login_free(watch->login);
    watch->login = NULL;
    watch->due_ms = now_ms + EVERY_MS;
}

void watch_turn(struct watch *watch, struct session_login *login, int64_t now_ms)
{
    if (!watch)
        return;
    if (watch->due_ms == 0)
        watch->due_ms = now_ms + FIRST_MS;
    if (watch->asking && atomic_load(&watch->answered))
        take_answer(watch, now_ms);
    else if (!watch->asking && now_ms >= watch->due_ms)
        start(watch, login, now_ms);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    if (watch->asking)
        (void)pthread_join(watch->thread, NULL);
    session_login_free(watch->login);
    free(watch);
}
