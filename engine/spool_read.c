/* How what waits on the disk comes back: rows are read in their order, a window at a time, and handed over.
 */
#include "lane.h"
#include "row.h"

#include <stdlib.h>

enum {
    WINDOW_ROWS = 4000, /* handed to a client at once */
    WINDOW_BYTES = 4 << 20,
    PROBE_ROWS = 16,      /* for a topic that is refused */
    CLIENT_ROWS = 20000,  /* of all streams of a client */
    READS_MOST = 4,       /* windows being read for a client: they are in memory until it takes them */
    FULL_MS = 1000,       /* a client whose queue is full answers something in that time, or is tried again */
    READ_AGAIN_MS = 1000, /* after a read that failed */
};

void spool_returned(struct stream *stream, int64_t row)
{
    struct stream_spool *of = &stream->spool;

    of->rows++;
    of->rewound = true;
    if (row <= of->after)
        of->after = row - 1;
}

struct spool_read {
    struct store_job job; /* first: a job is its read */
    struct lane *lane;
    struct stream *stream;
    uint32_t queues[];
};

bool spool_is_open(const struct lane *lane, const struct stream_spool *of)
{
    return lane->spool.put_answer == STORE_DONE && !of->held;
}

/* New records are better put on the disk than sent, as long as it takes them. */
static bool stays_on(const struct lane *lane, const struct stream_spool *of)
{
    return (of->hung || lane->now_ms < of->slow_until) && spool_is_open(lane, of);
}

/* False: it stays where it is, and so do those behind it. */
static bool hand_over(struct lane *lane, struct stream *stream, const struct store_row *row)
{
    const struct spool_queue *queue = &lane->spool.queues[row->queue];
    struct action_record record;
    struct err err;

    arena_reset(&lane->spool.arena);
    if (spool_has_ended(lane, row->number))
        ; /* it is about to go */
    else if (row_get_record(row->record, queue->action->action->type, &lane->spool.arena, &record, &err) != 0)
        spool_row_failed(lane, queue->action, stream, row->number, "DAMAGED", err.text);
    else if (!dispatch_row(lane, queue->action, stream, &record, row->number,
                           row->number < lane->spool.first || row->number <= stream->spool.handed))
        return false;
    stream->spool.after = row->number;
    if (row->number > stream->spool.handed)
        stream->spool.handed = row->number;
    if (stream->spool.rows > 0)
        stream->spool.rows--;
    return true;
}

static void take_rows(struct lane *lane, struct stream *stream, const struct store_job *job)
{
    struct stream_spool *of = &stream->spool;
    size_t taken = 0, bytes = 0;

    for (; taken < job->result.count; taken++) {
        if (!hand_over(lane, stream, &job->result.rows[taken]))
            break;
        bytes += job->result.rows[taken].record.size;
    }
    if (taken < job->result.count || taken >= job->most_rows || bytes >= job->most_bytes) {
        of->rows = of->rows > 0 ? of->rows : 1; /* there may be more */
        return;
    }
    of->rows = 0;
    of->landing = of->moved && !stays_on(lane, of);
}

static void on_read(struct store_job *job)
{
    struct spool_read *read = (struct spool_read *)job;
    struct lane *lane = read->lane;
    struct stream *stream = read->stream;
    int64_t due_ms = lane->now_ms;

    lane->spool.jobs--;
    if (lane->spool.closing) { /* too late: the clients are gone */
        free(job->result.rows);
        free(read);
        return;
    }
    stream->client->reads--;
    stream->spool.reading = false;
    if (job->answer != STORE_DONE)
        due_ms += READ_AGAIN_MS;
    else if (!stream->spool.rewound) /* else it is not what comes next */
        take_rows(lane, stream, job);
    free(job->result.rows);
    free(read);
    dispatch_make_wait(lane, stream, stream->due_ms > due_ms ? stream->due_ms : due_ms);
    spool_next_reader(lane, stream->client);
}

/* It answers nothing, and has something to answer. */
static bool has_enough(const struct client *client)
{
    return client->stalled && client->in_flight > 0;
}

/* Nothing says that what is handed over would lie there. */
static bool is_moving(const struct stream *stream)
{
    return stream->in_flight > 0 ? stream->spool.moved : !has_enough(stream->client);
}

static void read_on(struct lane *lane, struct stream *stream)
{
    struct stream_spool *of = &stream->spool;
    struct spool_read *read = calloc(1, sizeof *read + of->queue_count * sizeof(uint32_t));

    if (!read)
        lane_out_of_memory();
    for (size_t i = 0; i < of->queue_count; i++)
        read->queues[i] = of->queues[i].id;
    read->lane = lane;
    read->stream = stream;
    read->job = (struct store_job){
        .work = STORE_READ,
        .count = of->queue_count,
        .queues = read->queues,
        .after = of->after,
        .most_rows = stream->refused || !is_moving(stream) ? PROBE_ROWS : WINDOW_ROWS,
        .most_bytes = WINDOW_BYTES,
        .done = on_read,
    };
    of->reading = true;
    of->rewound = false;
    stream->client->reads++;
    lane->spool.jobs++;
    store_post(lane->spool.port, &read->job);
}

/* Could another stream of it read? */
static bool has_room(const struct lane *lane, const struct client *client)
{
    return client->reads < READS_MOST && client->in_flight < CLIENT_ROWS &&
           (client->in_flight <= client->rest || lane->now_ms >= client->full_until);
}

void spool_next_reader(struct lane *lane, struct client *client)
{
    if (client->readers.first && has_room(lane, client))
        stream_next_in_line(lane, &client->readers);
}

void spool_client_is_full(const struct lane *lane, struct client *client)
{
    client->rest = client->in_flight / 2;
    client->full_until = lane->now_ms + FULL_MS;
}

/* One window is on its way at most until something of it arrives. A stalled client has enough with what it
 * has; but that may be for a topic, or a part of one, that hangs alone (its partitions have no leader), so
 * now and then some of the others are tried. */
static bool may_read(struct lane *lane, struct stream *stream)
{
    const struct stream_spool *of = &stream->spool;
    struct client *client = stream->client;

    if (of->reading || !client->handle || atomic_load_explicit(&lane->stop, memory_order_relaxed))
        return false; /* at the end: a backlog is for whoever comes after */
    if (!has_room(lane, client)) {
        stream_line_up(&client->readers, stream);
        return false;
    }
    if (of->rewound) { /* those that are delivered must be off the disk, or they are sent again */
        if (stream->in_flight > 0)
            return false;
        if (!spool_post_drops(lane)) {
            stream_line_up(&lane->spool.after_drops, stream);
            return false;
        }
        return true;
    }
    if (stream->in_flight > WINDOW_ROWS / 2)
        return false;
    if (is_moving(stream))
        return true;
    if (lane->now_ms < client->probe_ms)
        return false;
    client->probe_ms = lane->now_ms + SPOOL_PROBE_MS;
    return true;
}

bool spool_step(struct lane *lane, struct stream *stream)
{
    struct stream_spool *of = &stream->spool;
    const struct client *client = stream->client;

    if (of->rows > 0) {
        if (may_read(lane, stream))
            read_on(lane, stream);
        return false;
    }
    if (stays_on(lane, of))
        return false;
    if (of->moved)
        of->landing = true;
    if (of->storing > 0 || of->reading || (stream->in_flight > 0 && !of->moved))
        return false;
    if (has_enough(client))
        return false;
    if (stream->queued && !of->landing && !of->moved && spool_is_open(lane, of))
        return false; /* about to be put */
    of->on = of->landing = false;
    return true;
}
