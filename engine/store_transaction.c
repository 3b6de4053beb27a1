/* Jobs in a transaction: all of them or nothing, here as in the database. */
#include "store_state.h"

#include "base/log.h"

#include <stdlib.h>

/* ---- the counts ---- */

/* A queue as the database has it, and its texts one after the other. */
struct found {
    int64_t key, rows, bytes, oldest_ms;
    int action;
    size_t rule, type, stream; /* sizes */
};

struct reading {
    struct buf queues, texts;
    int64_t generation, letters, letter_bytes;
};

static int64_t not_negative(int64_t number)
{
    return number > 0 ? number : 0;
}

static int read_queues(struct store *store, struct reading *reading)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_QUEUES);
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct span rule = base_column(statement, 1), type = base_column(statement, 3),
                          stream = base_column(statement, 4);
        struct found found = {.key = sqlite3_column_int64(statement, 0),
                              .rows = not_negative(sqlite3_column_int64(statement, 5)),
                              .bytes = not_negative(sqlite3_column_int64(statement, 6)),
                              .action = sqlite3_column_int(statement, 2),
                              .rule = rule.size,
                              .type = type.size,
                              .stream = stream.size};

        if (found.rows > 0) {
            (void)sqlite3_bind_int64(base_sql(&store->base, SQL_FIRST), 1, found.key);
            if ((code = base_number(&store->base, SQL_FIRST, &found.oldest_ms)) != SQLITE_OK)
                break;
        }
        buf_add(&reading->queues, &found, sizeof found);
        buf_span(&reading->texts, rule);
        buf_span(&reading->texts, type);
        buf_span(&reading->texts, stream);
    }
    base_end(statement);
    return reading->queues.failed || reading->texts.failed ? SQLITE_NOMEM : code;
}

static int read_meta(struct store *store, struct reading *reading)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_META);
    const int code = sqlite3_step(statement);

    reading->generation = sqlite3_column_int64(statement, 0);
    reading->letters = not_negative(sqlite3_column_int64(statement, 1));
    reading->letter_bytes = not_negative(sqlite3_column_int64(statement, 2));
    base_end(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_CORRUPT : code;
}

/* Under the lock. */
static int take_over(struct store *store, const struct reading *reading)
{
    const char *at = reading->texts.data;
    uint64_t rows = 0, bytes = 0;
    int code;

    for (uint32_t id = 1; id <= store->queues.count; id++) {
        struct queue *queue = queues_at(&store->queues, id);

        queue->rows = queue->bytes = 0;
        queue->key = 0;
    }
    code = queues_rekey(&store->queues);
    for (size_t i = 0; i < reading->queues.size && code == SQLITE_OK; i += sizeof(struct found)) {
        struct found found;

        memcpy(&found, reading->queues.data + i, sizeof found);
        const struct store_name name = {.rule = {at, found.rule},
                                        .type = {at + found.rule, found.type},
                                        .stream = {at + found.rule + found.type, found.stream},
                                        .action = found.action};
        struct queue *queue = queues_of_name(&store->queues, &name);

        at += found.rule + found.type + found.stream;
        code = queue ? queues_set_key(&store->queues, queue, found.key) : SQLITE_NOMEM;
        if (code != SQLITE_OK)
            break;
        queue->rows = (uint64_t)found.rows;
        queue->bytes = (uint64_t)found.bytes;
        queue->oldest_ms = found.oldest_ms;
        rows += queue->rows;
        bytes += queue->bytes;
    }
    store->generation = reading->generation;
    store->figures.rows = rows;
    store->figures.bytes = bytes;
    store->figures.letters = (uint64_t)reading->letters;
    store->figures.letter_bytes = (uint64_t)reading->letter_bytes;
    return code;
}

/* The queues and letters as the database has them: at the start, and after another process was there. All is
 * read before anything is changed here, and before the lock is taken: a slow disk holds nobody up. */
int store_load_counts(struct store *store)
{
    struct reading reading = {.queues = BUF_INIT, .texts = BUF_INIT};
    int code = read_queues(store, &reading);

    if (code == SQLITE_DONE)
        code = read_meta(store, &reading);
    if (code == SQLITE_OK) {
        (void)pthread_mutex_lock(&store->lock);
        code = take_over(store, &reading);
        (void)pthread_mutex_unlock(&store->lock);
    }
    buf_done(&reading.queues);
    buf_done(&reading.texts);
    return code;
}

static void note_withdrawn(struct store *store, uint64_t rows)
{
    (void)pthread_mutex_lock(&store->lock);
    store->figures.withdrawn += rows;
    (void)pthread_mutex_unlock(&store->lock);
}

/* Has another process been here? Within a transaction, so that what is counted is what is there. */
static int look_around(struct store *store)
{
    int64_t version = store->base.data_version;
    int code = base_number(&store->base, SQL_DATA_VERSION, &version);

    if (code != SQLITE_OK || (version == store->base.data_version && !store->recount))
        return code;
    const bool others = version != store->base.data_version && !store->recount;
    const uint64_t rows = store->figures.rows;
    store->recount = true; /* until it went well */
    code = store_load_counts(store);
    if (code == SQLITE_OK) {
        note_withdrawn(store, others && rows > store->figures.rows ? rows - store->figures.rows : 0);
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
        store->figures.sent_again += (uint64_t)store->sent_again;
        store->figures.commits += wrote;
        if (store->new_generation)
            store->generation = store->new_generation;
    } else {
        store->figures.failures++;
    }
    (void)pthread_mutex_unlock(&store->lock);
    store->new_generation = 0;
    store->more_bytes = store->more_letters = store->more_letter_bytes = 0;
    store->dropped_letters = store->sent_again = 0;
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
        return base->opened_full ? SQLITE_FULL : SQLITE_CANTOPEN;
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
