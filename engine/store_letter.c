/* Dead letters, within a transaction: new ones, rows that become one, too many of them, and those that are to
 * be sent again. */
#include "store_state.h"

enum { RETRY_ROWS = 1000, RETRY_BYTES = 8 << 20 }; /* in one transaction */

static int64_t bytes_of(struct span code, struct span reason)
{
    return (int64_t)(code.size + reason.size);
}

int store_miss(struct store *store, const struct store_letter *letter)
{
    const int64_t bytes =
        bytes_of(letter->code, letter->reason) + (int64_t)(letter->record.size + letter->origin.size);
    sqlite3_stmt *statement = base_sql(&store->base, SQL_MISS);

    (void)sqlite3_bind_int64(statement, 1, letter->at_ms);
    (void)base_bind_text(statement, 2, letter->name.rule);
    (void)sqlite3_bind_int(statement, 3, letter->name.action);
    (void)base_bind_text(statement, 4, letter->name.type);
    (void)base_bind(statement, 5, letter->name.stream.data ? letter->name.stream : SPAN(""));
    (void)base_bind_text(statement, 6, letter->code);
    (void)base_bind_text(statement, 7, letter->reason);
    (void)sqlite3_bind_int64(statement, 8, bytes);
    (void)base_bind(statement, 9, letter->record);
    (void)base_bind(statement, 10, letter->origin);
    store->more_letters++;
    store->more_letter_bytes += bytes;
    return base_do(&store->base, SQL_MISS);
}

int store_bury(struct store *store, int64_t number, const struct store_job *job)
{
    const int64_t bytes_before = store->more_bytes, own = bytes_of(job->code, job->reason);
    sqlite3_stmt *statement = base_sql(&store->base, SQL_BURY);

    (void)sqlite3_bind_int64(statement, 1, number);
    (void)base_bind_text(statement, 2, job->code);
    (void)base_bind_text(statement, 3, job->reason);
    (void)sqlite3_bind_int64(statement, 4, own);
    int code = base_do(&store->base, SQL_BURY);
    if (code != SQLITE_OK)
        return code;
    if (sqlite3_changes(store->base.db) == 0) /* it is not there: delivered after all */
        return SQLITE_OK;
    code = store_drop(store, number, number);
    store->more_letters++;
    store->more_letter_bytes += bytes_before - store->more_bytes + own;
    return code;
}

int store_limit_letters(struct store *store)
{
    int64_t bytes = (int64_t)store->figures.letter_bytes + store->more_letter_bytes;
    int code = SQLITE_OK;

    while (bytes > store->options.dead_max_bytes && code == SQLITE_OK) {
        sqlite3_stmt *statement = base_sql(&store->base, SQL_OLDEST_LETTER);
        code = sqlite3_step(statement);
        const int64_t id = sqlite3_column_int64(statement, 0), size = sqlite3_column_int64(statement, 1);

        base_end(statement);
        if (code != SQLITE_ROW)
            return code == SQLITE_DONE ? SQLITE_OK : code;
        (void)sqlite3_bind_int64(base_sql(&store->base, SQL_DROP_LETTER), 1, id);
        code = base_do(&store->base, SQL_DROP_LETTER);
        bytes -= size;
        store->more_letters--;
        store->more_letter_bytes -= size;
        store->dropped_letters++;
    }
    return code;
}

/* One letter back to its queue, under a fresh number. */
static int retry_one(struct store *store, sqlite3_stmt *letter, int64_t *bytes)
{
    const struct store_name name = {.rule = base_column(letter, 2),
                                    .action = sqlite3_column_int(letter, 3),
                                    .type = base_column(letter, 4),
                                    .stream = base_column(letter, 5)};
    const struct store_row row = {.number = store_numbers(store, 1),
                                  .at_ms = sqlite3_column_int64(letter, 1),
                                  .record = base_column(letter, 7),
                                  .origin = base_column(letter, 8)};

    (void)pthread_mutex_lock(&store->lock);
    struct queue *queue = queues_of_name(&store->queues, &name);
    (void)pthread_mutex_unlock(&store->lock);
    if (!queue)
        return SQLITE_NOMEM;
    const int code = store_put(store, queue, &row);
    if (code != SQLITE_OK)
        return code;
    *bytes += (int64_t)(row.record.size + row.origin.size);
    store->sent_again++;
    store->more_letters--;
    store->more_letter_bytes -= sqlite3_column_int64(letter, 6);
    (void)sqlite3_bind_int64(base_sql(&store->base, SQL_DROP_LETTER), 1, sqlite3_column_int64(letter, 0));
    return base_do(&store->base, SQL_DROP_LETTER);
}

int store_retry(struct store *store, struct store_call *call)
{
    int64_t bytes = 0;
    int code = SQLITE_OK;

    call->job.result.count = 0;
    while (code == SQLITE_OK && call->job.result.count < RETRY_ROWS && bytes < RETRY_BYTES) {
        sqlite3_stmt *statement = base_sql(&store->base, SQL_RETRY);

        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            code = retry_one(store, statement, &bytes);
        base_end(statement);
        call->job.result.count += code == SQLITE_OK;
    }
    call->job.count = code == SQLITE_OK;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}
