/* The callers' side of the store, and the rhythm of its thread. */
#include "store_state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    GROUP_ITEMS = 20000,   /* rows and numbers in one transaction: so that nobody waits long */
    GROUP_BYTES = 4 << 20, /* of rows: the log and the reserve are made for that */
    GATHER_MS = 50,        /* what only drops may wait for more of its like */
    GATHER_ITEMS = 10000,  /* but then it goes */
    TICK_MS = 1000,
};

/* ---- open and close ---- */

static void *thread_main(void *argument);

static int start_thread(struct store *store, struct err *err)
{
    const int error = pthread_create(&store->thread, NULL, thread_main, store);

    if (error)
        return err_set(err, ERR_IO, "cannot start the store's thread: %s", strerror(error));
    store->started = true;
    (void)pthread_setname_np(store->thread, "store");
    return 0;
}

static int init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return -1;
    const int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0
                           ? pthread_cond_init(wake, &attributes)
                           : -1;
    (void)pthread_condattr_destroy(&attributes);
    return result;
}

struct store *store_open(const struct store_options *options, struct err *err)
{
    struct store *store = calloc(1, sizeof *store);

    if (!store || !(store->path = strdup(options->path)) || init_wake(&store->wake) != 0) {
        if (store)
            free(store->path);
        free(store);
        err_memory(err);
        return NULL;
    }
    (void)pthread_mutex_init(&store->lock, NULL);
    store->options = *options;
    store->options.path = store->path;
    store->last = &store->first;
    store->told = STORE_DONE;
    if (base_init(&store->base, store->path, err) != 0 || store_load(store, err) != 0 ||
        start_thread(store, err) != 0) {
        store_close(store);
        return NULL;
    }
    return store;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    (void)pthread_mutex_lock(&store->lock);
    store->stopping = true;
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->lock);
    if (store->started)
        (void)pthread_join(store->thread, NULL);
    if (store->started && store->figures.rows > 0)
        base_note_time(&store->base, clock_wall_ms());
    base_done(&store->base);
    queues_done(&store->queues);
    (void)pthread_cond_destroy(&store->wake);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->missing);
    free(store->doubtful);
    free(store->path);
    free(store);
}

/* ---- what needs no job ---- */

uint32_t store_queue(struct store *store, const struct store_name *name)
{
    return store_queue_below(store, name, UINT32_MAX);
}

uint32_t store_queue_below(struct store *store, const struct store_name *name, uint32_t most)
{
    (void)pthread_mutex_lock(&store->lock);
    const struct queue *queue = store->queues.count < most ? queues_of_name(&store->queues, name)
                                                           : queues_known(&store->queues, name);
    const uint32_t id = queue ? queue->id : 0;
    (void)pthread_mutex_unlock(&store->lock);
    return id;
}

void store_each_queue(struct store *store, void (*seen)(void *context, const struct store_queue *queue),
                      void *context)
{
    (void)pthread_mutex_lock(&store->lock);
    for (uint32_t id = 1; id <= store->queues.count; id++) {
        const struct queue *queue = queues_at(&store->queues, id);
        const struct store_queue shown = {id, queue->name, queue->rows, queue->bytes, queue->oldest_ms};

        if (queue->rows > 0)
            seen(context, &shown);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

uint64_t store_changes(const struct store *store)
{
    return atomic_load_explicit(&store->changes, memory_order_acquire);
}

int64_t store_numbers(struct store *store, size_t count)
{
    return atomic_fetch_add_explicit(&store->next_number, (int64_t)count, memory_order_relaxed);
}

int64_t store_before(struct store *store, int64_t age_ms)
{
    (void)pthread_mutex_lock(&store->lock);
    store_look_at_clocks(store);
    const int64_t before_ms = history_before(&store->history, store->history.wall, age_ms);
    (void)pthread_mutex_unlock(&store->lock);
    return before_ms;
}

void store_figures(const struct store *store, struct store_figures *out)
{
    struct store *mine = (struct store *)(uintptr_t)store; /* for its lock */

    (void)pthread_mutex_lock(&mine->lock);
    *out = store->figures;
    (void)pthread_mutex_unlock(&mine->lock);
}

/* ---- jobs ---- */

struct store_port *store_port_new(struct store *store, struct err *err)
{
    struct store_port *port = calloc(1, sizeof *port);

    if (!port) {
        err_memory(err);
        return NULL;
    }
    port->store = store;
    port->last = &port->first;
    port->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (port->event < 0) {
        (void)err_set(err, ERR_IO, "cannot make an event descriptor: %s", strerror(errno));
        free(port);
        return NULL;
    }
    return port;
}

void store_port_free(struct store_port *port)
{
    if (!port)
        return;
    struct store *store = port->store;

    (void)pthread_mutex_lock(&store->lock);
    port->closing = true;
    store->hurried++;
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->lock);
    while (port->open > 0) {
        struct pollfd event = {.fd = port->event, .events = POLLIN};

        (void)poll(&event, 1, -1);
        store_port_poll(port);
    }
    (void)pthread_mutex_lock(&store->lock);
    store->hurried--;
    (void)pthread_mutex_unlock(&store->lock);
    (void)close(port->event);
    free(port);
}

int store_port_fd(const struct store_port *port)
{
    return port->event;
}

void store_port_poll(struct store_port *port)
{
    uint64_t count;

    (void)!read(port->event, &count, sizeof count);
    (void)pthread_mutex_lock(&port->store->lock);
    struct store_job *job = port->first;
    port->first = NULL;
    port->last = &port->first;
    (void)pthread_mutex_unlock(&port->store->lock);
    while (job) {
        struct store_job *next = job->next; /* `done` may free it, or post it again */

        port->open--;
        job->done(job);
        job = next;
    }
}

/* Under the lock. */
static void add(struct store *store, struct store_job *job)
{
    job->next = NULL;
    if (!store->first) {
        store->since_ms = clock_mono_ms();
        store->drops_only = 0;
    }
    if (job->work != STORE_DROP)
        store->drops_only = SIZE_MAX;
    else if (store->drops_only != SIZE_MAX)
        store->drops_only += job->count;
    *store->last = job;
    store->last = &job->next;
    if (store->waiting)
        (void)pthread_cond_signal(&store->wake);
}

void store_post(struct store_port *port, struct store_job *job)
{
    job->port = port;
    job->answer = STORE_DONE;
    memset(&job->result, 0, sizeof job->result);
    port->open++;
    (void)pthread_mutex_lock(&port->store->lock);
    add(port->store, job);
    (void)pthread_mutex_unlock(&port->store->lock);
}

void store_again(struct store *store, struct store_job *job)
{
    (void)pthread_mutex_lock(&store->lock);
    add(store, job);
    (void)pthread_mutex_unlock(&store->lock);
}

void store_answer(struct store *store, struct store_job *job)
{
    struct store_port *port = job->port;
    const uint64_t one = 1;

    (void)pthread_mutex_lock(&store->lock);
    job->next = NULL;
    const bool first = !port->first;
    *port->last = job;
    port->last = &job->next;
    if (first) /* under the lock: after it the port may be gone */
        (void)!write(port->event, &one, sizeof one);
    (void)pthread_mutex_unlock(&store->lock);
}

static void nothing(struct store_job *job)
{
    (void)job;
}

int store_wait(struct store *store, struct store_call *call, struct err *err)
{
    struct store_port *port = store_port_new(store, err);

    if (!port)
        return -1;
    call->job.work = STORE_OWN;
    call->job.done = nothing;
    store_post(port, &call->job);
    store_port_free(port);
    if (call->job.answer == STORE_DONE)
        return 0;
    *err = call->job.err;
    return -1;
}

/* ---- the thread ---- */

static size_t bytes_of(const struct store_job *job)
{
    size_t bytes = 0;

    for (size_t i = 0; job->work == STORE_PUT && i < job->count; i++)
        bytes += job->rows[i].record.size + job->rows[i].origin.size;
    for (size_t i = 0; job->work == STORE_MISS && i < job->count; i++)
        bytes += job->letters[i].record.size + job->letters[i].origin.size;
    return bytes;
}

/* The first jobs of the line, as many as one transaction should hold. Under the lock. */
static struct store_job *take(struct store *store)
{
    struct store_job *const jobs = store->first, **end = &store->first;
    size_t items = 0, bytes = 0;

    while (*end && (end == &store->first || (items < GROUP_ITEMS && bytes < GROUP_BYTES))) {
        const struct store_job *job = *end;

        if (job->work == STORE_BURY_OLD && end != &store->first)
            break; /* long: it goes alone */
        items += job->count;
        bytes += bytes_of(job);
        end = &(*end)->next;
        if (job->work == STORE_BURY_OLD)
            break;
    }
    store->first = *end;
    *end = NULL;
    if (!store->first)
        store->last = &store->first;
    store->drops_only = SIZE_MAX; /* what is left has waited */
    return jobs;
}

/* Under the lock. How long the jobs that wait may wait on; 0: none, or not at all. */
static int64_t gathering(const struct store *store)
{
    if (!store->first || store->hurried > 0 || store->stopping || store->drops_only >= GATHER_ITEMS)
        return 0;
    const int64_t left = store->since_ms + GATHER_MS - clock_mono_ms();
    return left > 0 ? left : 0;
}

static void wait_ms(struct store *store, int64_t ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    store->waiting = true;
    (void)pthread_cond_timedwait(&store->wake, &store->lock, &until);
    store->waiting = false;
}

/* The next jobs; NULL when the time of a tick has come, or the end. */
static struct store_job *next_jobs(struct store *store, bool *end)
{
    struct store_job *jobs = NULL;
    bool woken = false;

    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        const int64_t gather_ms = gathering(store);
        const int64_t tick_ms = store->tick_ms - clock_mono_ms();

        if (store->first && gather_ms == 0) {
            jobs = take(store);
            break;
        }
        if (tick_ms <= 0 || store->stopping || (store->hurried > 0 && woken))
            break;
        wait_ms(store, gather_ms > 0 && gather_ms < tick_ms ? gather_ms : tick_ms);
        woken = true;
    }
    *end = !jobs && store->stopping;
    (void)pthread_mutex_unlock(&store->lock);
    return jobs;
}

static void *thread_main(void *argument)
{
    struct store *store = argument;

    for (bool end = false; !end;) {
        struct store_job *jobs = next_jobs(store, &end);

        if (jobs)
            store_carry_out(store, jobs);
        if (!jobs || clock_mono_ms() >= store->tick_ms)
            store_tick(store);
    }
    return NULL;
}
