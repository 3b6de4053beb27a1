/* Rows from the database: several queues as one, by number. */
#include "store_state.h"

#include <stdlib.h>

enum { CHUNK_LEAST = 8, CHUNK_MOST = 512 }; /* numbers of one queue that are looked up at once */

/* ---- which numbers ---- */

struct cursor {
    int64_t key, last; /* the queue; the last number that was looked up */
    int64_t *numbers;  /* looked up and not given yet: [at, have) */
    size_t at, have;
    bool ended;
};

/* A heap of cursors, the one with the lowest number first. */
struct merge {
    struct store *store;
    size_t count, chunk;
    bool fresh; /* nothing was looked up yet */
    int64_t *numbers;
    struct cursor cursors[];
};

static int64_t number_of(const struct cursor *cursor)
{
    return cursor->numbers[cursor->at];
}

static void sift(struct merge *merge, size_t at)
{
    const struct cursor moved = merge->cursors[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < merge->count &&
            number_of(&merge->cursors[child + 1]) < number_of(&merge->cursors[child]))
            child++;
        if (child >= merge->count || number_of(&moved) <= number_of(&merge->cursors[child]))
            break;
        merge->cursors[at] = merge->cursors[child];
        at = child;
    }
    merge->cursors[at] = moved;
}

/* More numbers; `ended` when there are none. */
static int fill(struct merge *merge, struct cursor *cursor)
{
    int code = SQLITE_DONE;

    cursor->at = cursor->have = 0;
    while (cursor->have == 0 && !cursor->ended) {
        sqlite3_stmt *statement = base_sql(&merge->store->base, SQL_NEXT);
        size_t found = 0;

        (void)sqlite3_bind_int64(statement, 1, cursor->key);
        (void)sqlite3_bind_int64(statement, 2, cursor->last);
        (void)sqlite3_bind_int64(statement, 3, (int64_t)merge->chunk);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW && found++ < merge->chunk) {
            cursor->last = sqlite3_column_int64(statement, 0);
            if (!store_is_missing(merge->store, cursor->last))
                cursor->numbers[cursor->have++] = cursor->last;
        }
        base_end(statement);
        if (code != SQLITE_DONE)
            return code;
        cursor->ended = found < merge->chunk;
    }
    return SQLITE_OK;
}

struct merge *merge_new(struct store *store, const uint32_t *queues, size_t count, int64_t after, size_t most)
{
    const size_t share = count ? most / count : 0;
    struct merge *merge = calloc(1, sizeof *merge + (count + 1) * sizeof *merge->cursors);

    if (!merge)
        return NULL;
    merge->store = store;
    merge->chunk = share < CHUNK_LEAST ? CHUNK_LEAST : share > CHUNK_MOST ? CHUNK_MOST : share;
    merge->numbers = reallocarray(NULL, (count + 1) * merge->chunk, sizeof *merge->numbers);
    if (!merge->numbers) {
        free(merge);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct queue *queue = queues_at(&store->queues, queues[i]);

        if (queue && queue->key) {
            merge->cursors[merge->count] = (struct cursor){
                .key = queue->key, .last = after, .numbers = merge->numbers + merge->count * merge->chunk};
            merge->count++;
        }
    }
    merge->fresh = true;
    return merge;
}

void merge_free(struct merge *merge)
{
    if (!merge)
        return;
    free(merge->numbers);
    free(merge);
}

/* The first cursor has nothing more. */
static void leave(struct merge *merge, size_t at)
{
    merge->cursors[at] = merge->cursors[--merge->count];
}

static int start(struct merge *merge)
{
    for (size_t i = 0; i < merge->count;) {
        const int code = fill(merge, &merge->cursors[i]);

        if (code != SQLITE_OK)
            return code;
        if (merge->cursors[i].have == 0)
            leave(merge, i);
        else
            i++;
    }
    for (size_t i = merge->count / 2; i-- > 0;)
        sift(merge, i);
    merge->fresh = false;
    return SQLITE_OK;
}

int merge_next(struct merge *merge, int64_t *number)
{
    int code = merge->fresh ? start(merge) : SQLITE_OK;

    if (code != SQLITE_OK || merge->count == 0)
        return code == SQLITE_OK ? SQLITE_DONE : code;
    struct cursor *cursor = &merge->cursors[0];
    *number = cursor->numbers[cursor->at++];
    if (cursor->at == cursor->have) {
        code = fill(merge, cursor);
        if (code != SQLITE_OK)
            return code;
        if (cursor->have == 0)
            leave(merge, 0);
    }
    if (merge->count > 1)
        sift(merge, 0);
    return SQLITE_ROW;
}

/* Its drop was posted and the disk does not want it: for callers it is gone. */
bool store_is_missing(const struct store *store, int64_t number)
{
    size_t low = 0, high = store->missing_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (store->missing[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < store->missing_count && store->missing[low] == number;
}

/* ---- what they hold ---- */

/* Texts one after the other in `bytes`, in the order of the rows: they become spans once all are there. */
struct rows {
    struct store_row *rows;
    size_t count, room;
    struct buf bytes;
};

static void rows_done(struct rows *rows)
{
    free(rows->rows);
    buf_done(&rows->bytes);
}

static int add_row(struct store *store, struct rows *rows, int64_t number)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_ROW);

    (void)sqlite3_bind_int64(statement, 1, number);
    int code = sqlite3_step(statement);
    const struct queue *queue = queues_of_key(&store->queues, sqlite3_column_int64(statement, 0));
    if (code == SQLITE_ROW && queue && rows->count == rows->room) {
        const size_t room = rows->room ? rows->room * 2 : 64;
        struct store_row *grown = reallocarray(rows->rows, room, sizeof *grown);

        if (grown) {
            rows->rows = grown;
            rows->room = room;
        } else {
            code = SQLITE_NOMEM;
        }
    }
    if (code == SQLITE_ROW && queue) {
        struct store_row *row = &rows->rows[rows->count++];

        *row = (struct store_row){.number = number,
                                  .queue = queue->id,
                                  .at_ms = sqlite3_column_int64(statement, 1),
                                  .record = base_column(statement, 2),
                                  .origin = base_column(statement, 3)};
        buf_span(&rows->bytes, row->record);
        buf_span(&rows->bytes, row->origin);
        if (rows->bytes.failed)
            code = SQLITE_NOMEM;
    }
    base_end(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* One block: the rows, then all texts. */
static int hand_over(struct rows *rows, struct store_job *job)
{
    const size_t head = rows->count * sizeof *rows->rows;
    char *block = rows->count ? malloc(head + rows->bytes.size + 1) : NULL;
    size_t at = head;

    if (rows->count == 0)
        return SQLITE_OK;
    if (!block)
        return SQLITE_NOMEM;
    memcpy(block, rows->rows, head);
    if (rows->bytes.size > 0)
        memcpy(block + head, rows->bytes.data, rows->bytes.size);
    job->result.rows = (struct store_row *)(void *)block;
    job->result.count = rows->count;
    for (size_t i = 0; i < rows->count; i++) {
        struct store_row *row = &job->result.rows[i];

        row->record.data = block + at;
        at += row->record.size;
        row->origin.data = row->origin.data ? block + at : NULL;
        at += row->origin.size;
    }
    return SQLITE_OK;
}

int store_select(struct store *store, struct store_job *job)
{
    struct merge *merge = merge_new(store, job->queues, job->count, job->after, job->most_rows);
    struct rows rows = {.bytes = BUF_INIT};
    int64_t number = 0;
    int code = merge ? SQLITE_ROW : SQLITE_NOMEM;

    while (code == SQLITE_ROW &&
           (rows.count == 0 || (rows.count < job->most_rows && rows.bytes.size < job->most_bytes)) &&
           (code = merge_next(merge, &number)) == SQLITE_ROW) {
        const int added = add_row(store, &rows, number);

        if (added != SQLITE_OK)
            code = added;
    }
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        code = hand_over(&rows, job);
    merge_free(merge);
    rows_done(&rows);
    return code;
}

int store_fetch(struct store *store, struct store_job *job)
{
    struct rows rows = {.bytes = BUF_INIT};
    int code = SQLITE_OK;

    for (size_t i = 0; i < job->count && code == SQLITE_OK; i++)
        if (!store_is_missing(store, job->numbers[i]))
            code = add_row(store, &rows, job->numbers[i]);
    if (code == SQLITE_OK)
        code = hand_over(&rows, job);
    rows_done(&rows);
    return code;
}
