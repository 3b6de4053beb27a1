/* Groups of jobs get their answers: from one transaction for all, or, when that fails, each from its own. */
#include "store_state.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { CALM_MS = 10000 }; /* that long nothing was refused: all is well again */

/* ---- answers ---- */

/* All is well only after some time of it. What we ask too much of (ERR_LIMIT) says nothing about the disk. */
void store_tell(struct store *store, enum store_answer answer, const struct err *err)
{
    const int64_t now = clock_mono_ms();

    if (answer != STORE_DONE) {
        if (store->told != answer)
            log_warn("store", "%s; messages are held, not acknowledged", err->text);
        store->told = answer;
        store->bad_ms = now;
        store->proven &= err->code == ERR_LIMIT;
    } else if (store->told != STORE_DONE && now - store->bad_ms >= CALM_MS) {
        log_info("store", "%s: takes records again", store->path);
        store->told = STORE_DONE;
    }
    (void)pthread_mutex_lock(&store->lock);
    store->figures.state = answer;
    (void)pthread_mutex_unlock(&store->lock);
}

void store_check(struct store *store, int code)
{
    struct err err = {0};

    if (code == SQLITE_OK || !base_is_broken(code))
        return;
    (void)base_err(&store->base, code, &err);
    base_close(&store->base, code, &err);
    store->recount = true;
    store_tell(store, STORE_FAILED, &err);
}

static bool is_kept(const struct store_job *job)
{
    return job->work == STORE_PUT || job->work == STORE_MISS || job->work == STORE_BURY ||
           job->work == STORE_BURY_OLD;
}

/* `STORE_DONE` jobs may have been refused one by one already: then theirs stands. */
static void answer(struct store *store, struct store_job *job, enum store_answer answer,
                   const struct err *err)
{
    if (job->answer == STORE_DONE && answer != STORE_DONE) {
        job->answer = answer;
        job->err = *err;
        free(job->result.rows);
        job->result.rows = NULL;
        job->result.count = 0;
    }
    if (is_kept(job))
        store_tell(store, job->answer, &job->err);
    store_answer(store, job);
}

/* Drops that the disk refuses become the store's own to try again. */
static bool keep_drop(struct store *store, struct store_job *job)
{
    struct store_job **last = &store->stuck;
    int64_t *numbers = reallocarray(store->missing, store->missing_count + job->count + 1, sizeof *numbers);

    if (!numbers)
        return false;
    store->missing = numbers;
    if (job->count > 0)
        memcpy(numbers + store->missing_count, job->numbers, job->count * sizeof *numbers);
    store->missing_count += job->count;
    qsort(numbers, store->missing_count, sizeof *numbers, store_compare);
    while (*last)
        last = &(*last)->next;
    job->next = NULL;
    *last = job;
    const int64_t again_ms = clock_mono_ms() + store->base.back_off_ms;
    if (store->tick_ms > again_ms)
        store->tick_ms = again_ms;
    return true;
}

/* They are done; or, with `err`, given up for those who go. */
void store_release(struct store *store, const struct err *err)
{
    struct store_job *jobs = store->stuck;
    struct err ignored = {0};

    store->stuck = NULL;
    store->missing_count = 0;
    while (jobs) {
        struct store_job *next = jobs->next;

        (void)pthread_mutex_lock(&store->lock);
        const bool closing = jobs->port->closing;
        (void)pthread_mutex_unlock(&store->lock);
        if (err && !closing && keep_drop(store, jobs))
            ;
        else
            answer(store, jobs, err ? STORE_FAILED : STORE_DONE, err ? err : &ignored);
        jobs = next;
    }
}

static void answer_all(struct store *store, struct store_job *jobs, bool more)
{
    struct err none = {0};

    while (jobs) {
        struct store_job *next = jobs->next;

        if (more && jobs->work == STORE_BURY_OLD)
            store_again(store, jobs);
        else
            answer(store, jobs, STORE_DONE, &none);
        jobs = next;
    }
}

/* Of the log: it may grow while somebody else reads, but not without end. */
static int64_t most_log(const struct store *store)
{
    enum { LEAST = 64 << 20 };

    return store->options.max_bytes > LEAST ? store->options.max_bytes : LEAST;
}

/* What is refused without asking the disk. */
static void refuse(struct store *store, struct store_job *jobs)
{
    int64_t bytes = (int64_t)store->figures.bytes;
    const bool room = base_has_room(&store->base);

    for (struct store_job *job = jobs; job; job = job->next) {
        int64_t more = 0;

        if (job->answer != STORE_DONE)
            continue;
        for (size_t i = 0; job->work == STORE_PUT && i < job->count; i++)
            more += (int64_t)(job->rows[i].record.size + job->rows[i].origin.size);
        if (is_kept(job) && !room) {
            const int error = store->base.room_error;
            const bool full = error == ENOSPC || error == EDQUOT;

            job->answer = full ? STORE_FULL : STORE_FAILED;
            (void)err_set(&job->err, ERR_IO, "%s: %s", store->path,
                          full ? "the disk is full" : strerror(error));
        } else if (job->work == STORE_PUT && bytes + more > store->options.max_bytes) {
            job->answer = STORE_FULL;
            (void)err_set(&job->err, ERR_LIMIT, "%s: delivery.store.max is met: %" PRId64 " bytes wait",
                          store->path, bytes);
        } else if (is_kept(job) && base_log_size(&store->base) > most_log(store)) {
            job->answer = STORE_FULL;
            (void)err_set(&job->err, ERR_LIMIT,
                          "%s-wal has more than %" PRId64 " bytes, and another process keeps it from being "
                          "emptied: it has been reading the database all the time",
                          store->path, most_log(store));
        } else {
            bytes += more;
        }
    }
}

enum store_answer store_answer_of(int code)
{
    return code == SQLITE_FULL ? STORE_FULL : STORE_FAILED;
}

static void one_by_one(struct store *store, struct store_job *job)
{
    struct err err = {0};
    bool more;

    job->next = NULL;
    free(job->result.rows); /* of the attempt before */
    job->result.rows = NULL;
    if (job->answer != STORE_DONE) { /* refused already */
        answer(store, job, STORE_DONE, &err);
        return;
    }
    int code = store_attempt(store, job, &more, &err);
    if (code == SQLITE_FULL && job->work == STORE_DROP) /* now without the reserve */
        code = store_attempt(store, job, &more, &err);
    if (code == SQLITE_OK) {
        if (store_writes(job)) /* then they were done as well */
            store_release(store, NULL);
        answer_all(store, job, more);
    } else if (job->work == STORE_DROP && keep_drop(store, job)) {
        store_tell(store, store_answer_of(code), &err);
    } else {
        answer(store, job, store_answer_of(code), &err);
    }
}

void store_carry_out(struct store *store, struct store_job *jobs)
{
    struct err err = {0};
    bool more, write = false;

    refuse(store, jobs);
    for (const struct store_job *job = jobs; job; job = job->next)
        write |= store_writes(job);
    if (store_attempt(store, jobs, &more, &err) == SQLITE_OK) {
        if (write)
            store_release(store, NULL);
        answer_all(store, jobs, more);
    } else {
        /* If that was for want of room, the reserve is given up: either there is room again without the log,
         * and the reserve comes back, or its room is for those that drop. */
        store->base.reserve_ms = 0;
        refuse(store, jobs);
        while (jobs) {
            struct store_job *next = jobs->next;

            one_by_one(store, jobs);
            jobs = next;
        }
    }
    store_check(store, base_checkpoint(&store->base, false));
}
