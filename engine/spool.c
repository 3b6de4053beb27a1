/* Which streams are on the disk, and how they come back: see spool.h. */
#include "lane.h"
#include "row.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    WINDOW_ROWS = 4000, /* handed to a client at once */
    WINDOW_BYTES = 4 << 20,
    PROBE_ROWS = 16,      /* for a topic that is refused */
    CLIENT_ROWS = 20000,  /* of all streams of a client */
    PROBE_MS = 5000,      /* and for a client that has stalled: see may_read */
    STRANGE_MS = 60000,   /* see spool_takes */
    LOOK_MS = 1000,       /* has somebody else changed the store? */
    AGE_MS = 2000,        /* between two looks at what waits for refused topics */
    READ_AGAIN_MS = 1000, /* after a read that failed */
    SLOW_LEAST_MS = 5000, /* a stream that is slow stays on the disk for that long, */
    SLOW_MOST_MS = 60000, /* twice as long when that was in vain, and so on up to this */
    ROW_MEMORY = 64 << 20,
};

/* ---- on the disk ---- */

bool spool_takes(const struct lane *lane, const struct stream *stream)
{
    const struct client *client = stream->client;

    return lane->spool.port &&
           (client->stalled || (!stream->spool.proven && lane->now_ms < client->strange_until));
}

static void say_stalled(const struct lane *lane, struct client *client)
{
    if (client->stalled)
        return;
    client->stalled = true;
    log_warn(client->target->type->name,
             "rule %s: nothing was confirmed for %lld ms: records wait on the disk, and their messages are "
             "acknowledged",
             client->target->rule->name, (long long)lane_hold_ms(lane));
}

/* The client is well, as far as it knows, but nothing was ever delivered to this stream. */
static bool is_strange(const struct stream *stream, const struct delivery *overdue)
{
    const struct client *client = stream->client;

    return !stream->spool.proven &&
           (client->delivered_ms > overdue->born_ms ||
            (client->handle && client->current && client->current->state == ACTION_READY));
}

/* Others of its client are delivered. */
static void is_slow_again(const struct lane *lane, struct stream_spool *of)
{
    const bool at_once = lane->now_ms - of->slow_until < SLOW_MOST_MS;

    of->slow_ms = of->slow_ms == 0 || !at_once ? SLOW_LEAST_MS : 2 * of->slow_ms;
    if (of->slow_ms > SLOW_MOST_MS)
        of->slow_ms = SLOW_MOST_MS;
    of->slow_until = lane->now_ms + of->slow_ms;
}

static void has_waited_too_long(struct lane *lane, struct stream *stream, const struct delivery *overdue)
{
    struct client *client = stream->client;
    struct stream_spool *of = &stream->spool;

    if (is_strange(stream, overdue))
        client->strange_until = lane->now_ms + STRANGE_MS;
    else if (client->delivered_ms <= overdue->born_ms)
        say_stalled(lane, client);
    else
        is_slow_again(lane, of);
    client->probe_ms = lane->now_ms + PROBE_MS;
    if (overdue->state == DELIVERY_SENT)
        of->hung = overdue;
    of->moved = of->delivered_ms > overdue->born_ms;
}

void spool_answered(const struct delivery *delivery)
{
    struct stream_spool *of = &delivery->stream->spool;

    if (of->hung == delivery)
        of->hung = NULL;
}

void spool_stream(struct lane *lane, struct stream *stream, const struct delivery *overdue)
{
    if (!lane->spool.port || stream->spool.on)
        return;
    stream->spool.landing = stream->spool.moved = false;
    if (overdue)
        has_waited_too_long(lane, stream, overdue);
    stream->spool.on = true;
    lane->spool.sweep = true;
    dispatch_make_wait(lane, stream, stream->waiting ? stream->due_ms : lane->now_ms);
}

static int64_t due_of(const struct lane *lane)
{
    return lane->unsafe ? lane->unsafe->born_ms + lane_hold_ms(lane) : INT64_MAX;
}

void spool_overdue(struct lane *lane)
{
    const int64_t hold_ms = lane_hold_ms(lane);

    if (!lane->spool.port || lane->now_ms < due_of(lane))
        return;
    for (struct delivery *at = lane->unsafe; at && lane->now_ms - at->born_ms >= hold_ms; at = at->newer) {
        struct stream_spool *of = &at->stream->spool;

        if (!of->on) {
            spool_stream(lane, at->stream, at);
        } else if (of->landing) {
            of->landing = false;
            lane->spool.sweep = true;
        }
    }
}

void spool_returned(struct stream *stream, int64_t row)
{
    struct stream_spool *of = &stream->spool;

    of->rows++;
    of->rewound = true;
    if (row <= of->after)
        of->after = row - 1;
}

/* ---- and back ---- */

struct spool_read {
    struct store_job job; /* first: a job is its read */
    struct lane *lane;
    struct stream *stream;
    uint32_t queues[];
};

/* New records are better put on the disk than sent, as long as it takes them. */
static bool stays_on(const struct lane *lane, const struct stream_spool *of)
{
    return (of->hung || lane->now_ms < of->slow_until) && lane->spool.put_answer == STORE_DONE;
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
    stream->spool.reading = false;
    if (job->answer != STORE_DONE)
        due_ms += READ_AGAIN_MS;
    else if (!stream->spool.rewound && !lane->spool.closing) /* else it is not what comes next, or too late */
        take_rows(lane, stream, job);
    free(job->result.rows);
    free(read);
    dispatch_make_wait(lane, stream, stream->due_ms > due_ms ? stream->due_ms : due_ms);
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
    lane->spool.jobs++;
    store_post(lane->spool.port, &read->job);
}

/* One window is on its way at most until something of it arrives. A stalled client has enough with what it
 * has; but that may be for a topic, or a part of one, that hangs alone (its partitions have no leader), so
 * now and then some of the others are tried. */
static bool may_read(struct lane *lane, const struct stream *stream)
{
    const struct stream_spool *of = &stream->spool;
    struct client *client = stream->client;

    if (of->reading || !client->handle || client->in_flight >= CLIENT_ROWS)
        return false;
    if (of->rewound) /* those that are delivered must be off the disk, or they are sent again */
        return stream->in_flight == 0 && spool_post_drops(lane);
    if (stream->in_flight > WINDOW_ROWS / 2)
        return false;
    if (is_moving(stream))
        return true;
    if (lane->now_ms < client->probe_ms)
        return false;
    client->probe_ms = lane->now_ms + PROBE_MS;
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
    if (stream->queued && !of->landing && !of->moved && lane->spool.put_answer == STORE_DONE)
        return false; /* about to be put */
    of->on = of->landing = false;
    return true;
}

/* ---- what waits from before ---- */

struct waiting_queue {
    struct waiting_queue *next;
    uint32_t id;
    int action;
    uint64_t rows;
    struct span rule, type, stream;
    char text[];
};

static void note_queue(void *context, const struct store_queue *queue)
{
    struct waiting_queue **list = context;
    const struct store_name *name = &queue->name;
    struct waiting_queue *noted =
        malloc(sizeof *noted + name->rule.size + name->type.size + name->stream.size + 1);
    char *at = noted ? noted->text : NULL;

    if (!noted)
        lane_out_of_memory();
    *noted =
        (struct waiting_queue){.next = *list, .id = queue->id, .action = name->action, .rows = queue->rows};
    const struct span *const from[] = {&name->rule, &name->type, &name->stream};
    struct span *const to[] = {&noted->rule, &noted->type, &noted->stream};
    for (size_t i = 0; i < 3; i++) {
        if (from[i]->size)
            memcpy(at, from[i]->data, from[i]->size);
        *to[i] = (struct span){at, from[i]->size};
        at += from[i]->size;
    }
    *list = noted;
}

static struct lane_action *action_of(struct lane *lane, const struct waiting_queue *queue)
{
    for (size_t i = 0; i < lane->action_count; i++) {
        struct lane_action *action = &lane->actions[i];

        if (action->place == queue->action && span_is(queue->rule, action->rule->rule->name) &&
            span_is(queue->type, action->action->type->name) && !action->rule->rule->disabled)
            return action;
    }
    return NULL;
}

static bool begin_queue(struct lane *lane, const struct waiting_queue *queue)
{
    struct lane_action *action = action_of(lane, queue);

    if (!action)
        return false;
    struct stream *stream = dispatch_stream(lane, action, queue->stream);
    if (!stream || spool_know(lane, stream, action, queue->id) != 0)
        lane_out_of_memory();
    spool_stream(lane, stream, NULL);
    stream->spool.rows += queue->rows;
    stream->spool.after = 0;
    stream->spool.rewound = true;
    stream->spool.landing = false;
    lane->spool.sweep = true; /* what waited for the landing */
    dispatch_make_wait(lane, stream, lane->now_ms);
    return true;
}

static void look(struct lane *lane, bool first)
{
    struct waiting_queue *list = NULL;
    uint64_t rows = 0, lost = 0;
    size_t queues = 0;

    store_each_queue(lane->options.store, note_queue, &list);
    while (list) {
        struct waiting_queue *queue = list;

        list = queue->next;
        if (begin_queue(lane, queue)) {
            rows += queue->rows;
            queues++;
        } else {
            lost += queue->rows;
        }
        free(queue);
    }
    if (!first)
        return;
    counters_add(&lane->counters, COUNT_recovered, rows + lost);
    if (rows > 0)
        log_info("store", "%" PRIu64 " records for %zu topics wait on the disk and are delivered first", rows,
                 queues);
    if (lost > 0)
        log_warn("store",
                 "%" PRIu64
                 " records wait for rules or actions that are gone or disabled: `topicrule dead list "
                 "--waiting` shows them",
                 lost);
}

void spool_begin(struct lane *lane)
{
    if (!lane->spool.port)
        return;
    lane->spool.changes = store_changes(lane->options.store);
    lane->spool.first = store_numbers(lane->options.store, 1);
    look(lane, true);
}

/* `topicrule dead` gives letters back. */
static void look_again(struct lane *lane)
{
    uint64_t changes;

    if (lane->now_ms < lane->spool.look_ms)
        return;
    lane->spool.look_ms = lane->now_ms + LOOK_MS;
    changes = store_changes(lane->options.store);
    if (changes == lane->spool.changes)
        return;
    lane->spool.changes = changes;
    look(lane, false);
}

/* ---- refused for too long ---- */

static void note_size(void *context, const struct store_queue *queue)
{
    struct lane *lane = context;

    if (queue->id < lane->spool.queue_count) {
        lane->spool.queues[queue->id].bytes = queue->bytes;
        lane->spool.queues[queue->id].oldest_ms = queue->oldest_ms;
    }
}

struct refused {
    struct stream *stream;
    int64_t bytes, oldest_ms;
};

static struct refused measure(const struct lane *lane, struct stream *stream)
{
    struct refused all = {stream, 0, INT64_MAX};

    for (size_t i = 0; i < stream->spool.queue_count; i++) {
        const struct spool_queue *queue = &lane->spool.queues[stream->spool.queues[i].id];

        all.bytes += (int64_t)queue->bytes;
        if (queue->bytes > 0 && queue->oldest_ms < all.oldest_ms)
            all.oldest_ms = queue->oldest_ms;
    }
    return all;
}

/* One stream at a time: the one with the oldest rows, if they are too old; else, if there are too many, the
 * largest. */
static void age(struct lane *lane)
{
    const struct config *config = lane->options.config;
    const int64_t half =
        config->delivery.store_bytes / 2; /* refused topics must not fill the store for all */
    const int64_t most = config->delivery.refused_bytes < half ? config->delivery.refused_bytes : half;
    const int64_t before_ms = clock_wall_ms() - config->delivery.refused_ms;
    struct refused oldest = {NULL, 0, before_ms}, largest = {0};
    int64_t bytes = 0;

    store_each_queue(lane->options.store, note_size, lane);
    for (struct stream *stream = lane->streams.waiting; stream; stream = stream->next_waiting) {
        if (!stream->refused || !stream->spool.on)
            continue;
        struct refused one = measure(lane, stream);
        bytes += one.bytes;
        if (stream->in_flight > 0 || stream->spool.reading || stream->spool.storing > 0)
            continue;
        if (one.oldest_ms < oldest.oldest_ms)
            oldest = one;
        if (one.bytes > largest.bytes)
            largest = one;
    }
    if (oldest.stream)
        spool_bury_old(lane, oldest.stream, before_ms, 0);
    else if (bytes > most && largest.stream)
        spool_bury_old(lane, largest.stream, 0, bytes - most);
}

/* ---- the loop's ---- */

int64_t spool_work(struct lane *lane)
{
    struct spool *spool = &lane->spool;

    if (!spool->port)
        return INT64_MAX;
    look_again(lane);
    spool_retry_errands(lane);
    spool_put(lane);
    (void)spool_post_drops(lane);
    if (lane->now_ms >= spool->age_ms && !spool->ageing) {
        spool->age_ms = lane->now_ms + AGE_MS;
        age(lane);
    }
    int64_t due = due_of(lane);
    if (due < lane->now_ms) /* they are on their way; else the next try is what is due */
        due = spool->retry_ms > lane->now_ms ? spool->retry_ms : lane->now_ms + LOOK_MS;
    return due < spool->look_ms ? due : spool->look_ms;
}

int spool_fd(const struct lane *lane)
{
    return lane->spool.port ? store_port_fd(lane->spool.port) : -1;
}

void spool_poll(struct lane *lane)
{
    if (lane->spool.port)
        store_port_poll(lane->spool.port);
}

bool spool_is_quiet(const struct lane *lane)
{
    return lane->spool.jobs == 0 && lane->spool.errands == 0 && lane->spool.drops.waiting_count == 0;
}

const char *spool_trouble(const struct lane *lane)
{
    const struct spool *spool = &lane->spool;
    const enum store_answer answer =
        spool->put_answer != STORE_DONE ? spool->put_answer : spool->errand_answer;

    return answer == STORE_FULL     ? ", and the disk, or delivery.store.max, is full"
           : answer == STORE_FAILED ? ", and the disk fails"
                                    : "";
}

int spool_init(struct lane *lane, struct err *err)
{
    arena_init(&lane->spool.arena, ROW_MEMORY);
    lane->spool.put.bytes = BUF_INIT;
    if (!lane->options.store)
        return 0;
    lane->spool.port = store_port_new(lane->options.store, err);
    return lane->spool.port ? 0 : -1;
}

void spool_done(struct lane *lane)
{
    struct spool *spool = &lane->spool;
    struct err err;

    spool->closing = true;
    while (spool->port) { /* rows dropped while others were on their way take a second turn */
        bool all = spool_post_drops(lane);

        store_port_free(spool->port);
        spool->port = all ? NULL : store_port_new(lane->options.store, &err);
    }
    spool_free_errands(lane);
    spool_put_done(lane);
    arena_done(&spool->arena);
    free(spool->ended);
    free(spool->queues);
    *spool = (struct spool){0};
}
