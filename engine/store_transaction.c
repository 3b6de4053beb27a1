/* Jobs in a transaction: all of them or nothing, here as in the database. */
#include "store_state.h"

#include "base/log.h"

#include <stdlib.h>

/* ---- the counts ---- */

/* The queues and letters as the database has them: at the start, and after another process was there. */
int store_load_counts(struct store *store)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_QUEUES);
    uint64_t rows = 0, bytes = 0;
    int code;

    (void)pthread_mutex_lock(&store->lock);
    for (uint32_t id = 1; id <= store->queues.count; id++) {
        struct queue *queue = queues_at(&store->queues, id);

        queue->rows = queue->bytes = 0;
        queue->key = 0;
    }
    code = queues_rekey(&store->queues);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct store_name name = {.rule = base_column(statement, 1),
                                        .action = sqlite3_column_int(statement, 2),
                                        .type = base_column(statement, 3),
                                        .stream = base_column(statement, 4)};
        struct queue *queue = queues_of_name(&store->queues, &name);

        code =
            queue ? queues_set_key(&store->queues, queue, sqlite3_column_int64(statement, 0)) : SQLITE_NOMEM;
        if (code != SQLITE_OK)
            break;
        queue->rows = (uint64_t)sqlite3_column_int64(statement, 5);
        queue->bytes = (uint64_t)sqlite3_column_int64(statement, 6);
        rows += queue->rows;
        bytes += queue->bytes;
    }
    base_end(statement);
    for (uint32_t id = 1; id <= store->queues.count && code == SQLITE_DONE; id++) {
        struct queue *queue = queues_at(&store->queues, id);

        if (queue->rows == 0)
            continue;
        (void)sqlite3_bind_int64(base_sql(&store->base, SQL_FIRST), 1, queue->key);
        if (base_number(&store->base, SQL_FIRST, &queue->oldest_ms) != SQLITE_OK)
            queue->oldest_ms = 0;
    }
    statement = base_sql(&store->base, SQL_META);
    if (code == SQLITE_DONE && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        store->generation = sqlite3_column_int64(statement, 0);
        store->figures.rows = rows;
        store->figures.bytes = bytes;
        store->figures.letters = (uint64_t)sqlite3_column_int64(statement, 1);
        store->figures.letter_bytes = (uint64_t)sqlite3_column_int64(statement, 2);
    }
    base_end(statement);
    (void)pthread_mutex_unlock(&store->lock);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_CORRUPT : code;
}

/* Has another process been here? Within a transaction, so that what is counted is what is there. */
static int look_around(struct store *store)
{
    int64_t version = store->base.data_version;
    int code = base_number(&store->base, SQL_DATA_VERSION, &version);

    if (code != SQLITE_OK || (version == store->base.data_version && !store->recount))
        return code;
    store->recount = true; /* until it went well */
    code = store_load_counts(store);
    if (code == SQLITE_OK) {
        store->base.data_version = version;
        store->recount = false;
        store->reloaded = true;
        store->retries = true;
    }
    return code;
}

/* What the transaction did to its queues, into their rows. */
static int write_counts(struct store *store)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < store->queues.touched_count && code == SQLITE_OK; i++) {
        struct queue *queue = store->queues.touched[i];
        sqlite3_stmt *statement = base_sql(&store->base, SQL_COUNT_QUEUE);

        (void)sqlite3_bind_int64(statement, 1, queue->key);
        (void)sqlite3_bind_int64(statement, 2, queue->more_rows);
        (void)sqlite3_bind_int64(statement, 3, queue->more_bytes);
        code = base_do(&store->base, SQL_COUNT_QUEUE);
        if (code != SQLITE_OK || !queue->first_uncertain)
            continue;
        queue->first_ms = 0;
        (void)sqlite3_bind_int64(base_sql(&store->base, SQL_FIRST), 1, queue->key);
        code = base_number(&store->base, SQL_FIRST, &queue->first_ms);
    }
    if (code != SQLITE_OK || (store->more_letters == 0 && store->more_letter_bytes == 0))
        return code;
    sqlite3_stmt *statement = base_sql(&store->base, SQL_LETTERS);
    (void)sqlite3_bind_int64(statement, 1, store->more_letters);
    (void)sqlite3_bind_int64(statement, 2, store->more_letter_bytes);
    return base_do(&store->base, SQL_LETTERS);
}

/* The transaction is over: what it did is true from here on, or never was. */
static void finish(struct store *store, bool committed, bool wrote)
{
    struct queues *queues = &store->queues;
    bool undone = false;

    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < queues->touched_count; i++) {
        struct queue *queue = queues->touched[i];

        if (committed) {
            queue->rows += (uint64_t)queue->more_rows;
            queue->bytes += (uint64_t)queue->more_bytes;
            store->figures.rows += (uint64_t)queue->more_rows;
            store->figures.bytes += (uint64_t)queue->more_bytes;
            if (queue->first_uncertain)
                queue->oldest_ms = queue->first_ms;
        } else if (queue->is_new) {
            queue->key = 0;
            undone = true;
        }
        queue->more_rows = queue->more_bytes = 0;
        queue->touched = queue->is_new = queue->first_uncertain = false;
    }
    queues->touched_count = 0;
    if (undone && queues_rekey(queues) != SQLITE_OK)
        store->recount = true; /* stale places lead to queues of another key, which are passed over */
    if (committed) {
        store->figures.letters += (uint64_t)store->more_letters;
        store->figures.letter_bytes += (uint64_t)store->more_letter_bytes;
        store->figures.letters_dropped += (uint64_t)store->dropped_letters;
        store->letters_untold += (uint64_t)store->dropped_letters;
        store->figures.commits += wrote;
    } else {
        store->figures.failures++;
    }
    (void)pthread_mutex_unlock(&store->lock);
    store->more_bytes = store->more_letters = store->more_letter_bytes = store->dropped_letters = 0;
    if (committed && store->reloaded) {
        store->reloaded = false;
        (void)atomic_fetch_add(&store->changes, 1);
    }
}

/* ---- the transaction ---- */

/* Numbers whose commit failed. The log may hold them all the same, and give them back when it is read. */
static void doubt(struct store *store, const struct store_job *jobs)
{
    for (const struct store_job *job = jobs; job; job = job->next) {
        if (job->work != STORE_PUT || job->answer != STORE_DONE)
            continue;
        int64_t *numbers = reallocarray(store->doubtful, store->doubtful_count + job->count, sizeof *numbers);
        if (!numbers)
            return; /* then a record may be sent twice */
        store->doubtful = numbers;
        for (size_t i = 0; i < job->count; i++)
            numbers[store->doubtful_count++] = job->rows[i].number;
    }
}

bool store_writes(const struct store_job *job)
{
    return job->work != STORE_READ && job->work != STORE_FETCH;
}

static int work(struct store *store, struct store_job *jobs, bool write, bool *more)
{
    int code = look_around(store);

    if (write && code == SQLITE_OK)
        code = store_drop_numbers(store, store->doubtful, store->doubtful_count);
    if (write && code == SQLITE_OK)
        code = store_drop_numbers(store, store->missing, store->missing_count);
    for (struct store_job *job = jobs; job && code == SQLITE_OK; job = job->next)
        if (job->answer == STORE_DONE) /* not refused already */
            code = store_do(store, job, more);
    return write && code == SQLITE_OK ? write_counts(store) : code;
}

/* All of them, or nothing. The code. */
int store_attempt(struct store *store, struct store_job *jobs, bool *more, struct err *err)
{
    struct base *base = &store->base;
    bool write = !jobs || store->doubtful_count > 0;

    *more = false;
    for (const struct store_job *job = jobs; job; job = job->next)
        write |= store_writes(job);
    if (base_reopen(base, err) != 0)
        return SQLITE_CANTOPEN;
    int code = base_do(base, write ? SQL_BEGIN : SQL_BEGIN_READ);
    const bool begun = code == SQLITE_OK;
    if (begun)
        code = work(store, jobs, write, more);
    const bool worked = code == SQLITE_OK;
    if (worked)
        code = base_do(base, SQL_COMMIT);
    if (code == SQLITE_OK) {
        if (write)
            store->doubtful_count = 0;
        if (jobs && jobs->work == STORE_BURY_OLD) {
            jobs->result.buried_rows += store->buried_rows;
            jobs->result.buried_bytes += store->buried_bytes;
        }
        finish(store, true, write);
        return code;
    }
    (void)base_err(base, code, err);
    const bool full = base_is_full(base, code);
    if (full) {
        (void)err_set(err, ERR_IO, "%s: the disk is full", store->path);
    }
    if (begun)
        (void)base_do(base, SQL_ROLLBACK);
    if (full)
        base_give_reserve(base);
    finish(store, false, write);
    if (base_is_broken(code)) {
        if (worked)
            doubt(store, jobs);
        base_close(base, code, err);
        store->recount = true;
    }
    return full ? SQLITE_FULL : code;
}
