/* What each kind of job does within a transaction. */
#include "store_state.h"

#include <stdlib.h>

enum { BURY_MOST = 5000 }; /* rows of a BURY_OLD in one transaction */

/* ---- what happens to a queue ---- */

int store_count(struct store *store, struct queue *queue, int64_t rows, int64_t bytes)
{
    const int code = queues_touch(&store->queues, queue);

    queue->more_rows += rows;
    queue->more_bytes += bytes;
    store->more_bytes += bytes;
    queue->first_uncertain |= rows < 0 || queue->rows == 0;
    return code;
}

/* Its row in the database, made if there is none. */
int store_queue_key(struct store *store, struct queue *queue)
{
    int64_t key = 0;

    if (queue->key)
        return SQLITE_OK;
    sqlite3_stmt *statement = base_sql(&store->base, SQL_NEW_QUEUE);
    (void)base_bind_text(statement, 1, queue->name.rule);
    (void)sqlite3_bind_int(statement, 2, queue->name.action);
    (void)base_bind_text(statement, 3, queue->name.type);
    (void)base_bind(statement, 4, queue->name.stream);
    int code = base_number(&store->base, SQL_NEW_QUEUE, &key);
    if (code != SQLITE_OK || (code = queues_touch(&store->queues, queue)) != SQLITE_OK)
        return code;
    queue->is_new = true;
    (void)pthread_mutex_lock(&store->lock);
    code = queues_set_key(&store->queues, queue, key);
    (void)pthread_mutex_unlock(&store->lock);
    return code;
}

/* ---- one job ---- */

int store_keep_generation(struct store *store, int64_t number)
{
    const int64_t generation = number >> NUMBER_BITS;

    if (generation <= store->generation || generation <= store->new_generation)
        return SQLITE_OK;
    (void)sqlite3_bind_int64(base_sql(&store->base, SQL_GENERATION), 1, generation);
    const int code = base_do(&store->base, SQL_GENERATION);
    if (code == SQLITE_OK)
        store->new_generation = generation;
    return code;
}

int store_put(struct store *store, struct queue *queue, const struct store_row *row)
{
    const int64_t bytes = (int64_t)(row->record.size + row->origin.size);
    int code = store_queue_key(store, queue);

    if (code == SQLITE_OK)
        code = store_keep_generation(store, row->number);
    if (code != SQLITE_OK)
        return code;
    sqlite3_stmt *statement = base_sql(&store->base, SQL_PUT);
    (void)sqlite3_bind_int64(statement, 1, row->number);
    (void)sqlite3_bind_int64(statement, 2, queue->key);
    (void)sqlite3_bind_int64(statement, 3, row->at_ms);
    (void)sqlite3_bind_int64(statement, 4, bytes);
    (void)base_bind(statement, 5, row->record.data ? row->record : SPAN(""));
    (void)base_bind(statement, 6, row->origin);
    code = base_do(&store->base, SQL_PUT);
    return code == SQLITE_OK ? store_count(store, queue, 1, bytes) : code;
}

static int put(struct store *store, struct store_job *job)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < job->count && code == SQLITE_OK; i++) {
        struct queue *queue = queues_at(&store->queues, job->rows[i].queue);

        code = queue ? store_put(store, queue, &job->rows[i]) : SQLITE_MISUSE;
    }
    return code;
}

/* Numbers first to last, which follow one another. */
int store_drop(struct store *store, int64_t first, int64_t last)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_SIZES);
    bool any = false;
    int code;

    (void)sqlite3_bind_int64(statement, 1, first);
    (void)sqlite3_bind_int64(statement, 2, last);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct queue *queue = queues_of_key(&store->queues, sqlite3_column_int64(statement, 0));

        any = true;
        if (queue && store_count(store, queue, -1, -sqlite3_column_int64(statement, 1)) != SQLITE_OK) {
            code = SQLITE_NOMEM;
            break;
        }
    }
    base_end(statement);
    if (code != SQLITE_DONE || !any)
        return code == SQLITE_DONE ? SQLITE_OK : code;
    statement = base_sql(&store->base, SQL_DROP);
    (void)sqlite3_bind_int64(statement, 1, first);
    (void)sqlite3_bind_int64(statement, 2, last);
    return base_do(&store->base, SQL_DROP);
}

int store_compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int64_t *sorted(const int64_t *numbers, size_t count)
{
    int64_t *copy = reallocarray(NULL, count + 1, sizeof *copy);
    bool ascending = true;

    if (!copy)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        copy[i] = numbers[i];
        ascending &= i == 0 || copy[i - 1] <= copy[i];
    }
    if (!ascending)
        qsort(copy, count, sizeof *copy, store_compare);
    return copy;
}

/* Deliveries are reported almost in order: runs of numbers go in one statement. */
int store_drop_numbers(struct store *store, const int64_t *numbers, size_t count)
{
    if (count == 0)
        return SQLITE_OK;
    int64_t *list = sorted(numbers, count);
    int code = list ? SQLITE_OK : SQLITE_NOMEM;

    for (size_t i = 0; i < count && code == SQLITE_OK;) {
        size_t end = i + 1;

        while (end < count && list[end] - list[end - 1] <= 1)
            end++;
        code = store_drop(store, list[i], list[end - 1]);
        i = end;
    }
    free(list);
    return code;
}

static int bury(struct store *store, struct store_job *job)
{
    const int64_t before = store->more_letters;
    int code = SQLITE_OK;

    for (size_t i = 0; i < job->count && code == SQLITE_OK; i++)
        code = store_bury(store, job->numbers[i], job);
    job->result.buried_rows = (uint64_t)(store->more_letters - before);
    return code == SQLITE_OK ? store_limit_letters(store) : code;
}

static int row_at(struct store *store, int64_t number, int64_t *at_ms)
{
    (void)sqlite3_bind_int64(base_sql(&store->base, SQL_AT), 1, number);
    return base_number(&store->base, SQL_AT, at_ms);
}

/* A piece of it; `more`: there is another. What is done counts in the answer once it is committed. */
static int bury_old(struct store *store, struct store_job *job, bool *more)
{
    const int64_t bytes_before = store->more_bytes;
    struct merge *merge = merge_new(store, job->queues, job->count, INT64_MIN, BURY_MOST);
    int64_t number = 0, at_ms = 0, buried = 0;
    uint64_t rows = 0;
    int code = merge ? SQLITE_ROW : SQLITE_NOMEM;

    *more = false;
    while (code == SQLITE_ROW && (code = merge_next(merge, &number)) == SQLITE_ROW) {
        const int found = row_at(store, number, &at_ms);

        buried = bytes_before - store->more_bytes;
        if (found == SQLITE_OK && at_ms >= job->before_ms &&
            (int64_t)job->result.buried_bytes + buried >= job->bury_bytes)
            break;
        if ((*more = rows == BURY_MOST))
            break;
        const int done = found == SQLITE_OK ? store_bury(store, number, job) : found;
        if (done != SQLITE_OK)
            code = done;
        rows++;
    }
    merge_free(merge);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        code = store_limit_letters(store);
    store->buried_rows = rows;
    store->buried_bytes = (uint64_t)(bytes_before - store->more_bytes);
    return code;
}

int store_do(struct store *store, struct store_job *job, bool *more)
{
    int code = SQLITE_OK;

    switch (job->work) {
    case STORE_PUT: return put(store, job);
    case STORE_DROP: return store_drop_numbers(store, job->numbers, job->count);
    case STORE_MISS:
        for (size_t i = 0; i < job->count && code == SQLITE_OK; i++)
            code = store_miss(store, &job->letters[i]);
        return code == SQLITE_OK ? store_limit_letters(store) : code;
    case STORE_BURY: return bury(store, job);
    case STORE_BURY_OLD: return bury_old(store, job, more);
    case STORE_READ: return store_select(store, job);
    case STORE_FETCH: return store_fetch(store, job);
    case STORE_OWN: return ((struct store_call *)job)->run(store, (struct store_call *)job);
    }
    return SQLITE_MISUSE;
}
