/* To the disk and off it again: deliveries become rows, rows that are delivered are dropped. One job of each
 * kind at a time; what comes meanwhile goes with the next, so the busier the disk, the larger the
 * transactions. */
#include "lane.h"
#include "row.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum {
    PUT_ROWS = 4000,
    PUT_BYTES = 4 << 20,
};

/* ---- which queue ---- */

static int know_queue(struct lane *lane, uint32_t id, struct lane_action *action)
{
    struct spool *spool = &lane->spool;

    if (id >= spool->queue_count) {
        size_t count = (size_t)id + 64;
        struct spool_queue *grown = realloc(spool->queues, count * sizeof *grown);

        if (!grown)
            return -1;
        memset(grown + spool->queue_count, 0, (count - spool->queue_count) * sizeof *grown);
        spool->queues = grown;
        spool->queue_count = count;
    }
    spool->queues[id].action = action;
    return 0;
}

int spool_know(struct lane *lane, struct stream *stream, struct lane_action *action, uint32_t id)
{
    struct stream_spool *of = &stream->spool;

    for (size_t i = 0; i < of->queue_count; i++)
        if (of->queues[i].id == id)
            return 0;
    struct stream_queue *grown = realloc(of->queues, (of->queue_count + 1) * sizeof *grown);
    if (!grown)
        return -1;
    of->queues = grown;
    of->queues[of->queue_count++] = (struct stream_queue){id, action};
    return know_queue(lane, id, action);
}

uint32_t spool_queue(struct lane *lane, struct stream *stream, struct lane_action *action, uint32_t most)
{
    for (size_t i = 0; i < stream->spool.queue_count; i++)
        if (stream->spool.queues[i].action == action)
            return stream->spool.queues[i].id;
    const struct store_name name = {.rule = span_of(action->rule->rule->name),
                                    .type = span_of(action->action->type->name),
                                    .stream = stream->name,
                                    .action = action->place};
    const uint32_t id = store_queue_below(lane->options.store, &name, most);
    if (id != 0 && spool_know(lane, stream, action, id) != 0)
        lane_out_of_memory();
    return id;
}

/* ---- putting ---- */

static void make_room(struct spool_put *put)
{
    if (put->count < put->room)
        return;
    put->room = put->room ? 2 * put->room : 1024;
    struct store_row *rows = realloc(put->rows, put->room * sizeof *rows);
    struct delivery **who = rows ? realloc(put->who, put->room * sizeof(struct delivery *)) : NULL;
    if (!who)
        lane_out_of_memory();
    put->rows = rows;
    put->who = who;
}

static bool has_room(const struct spool_put *put)
{
    return put->count < PUT_ROWS && put->bytes.size < PUT_BYTES;
}

static void say_crowded(struct lane *lane, const struct stream *stream)
{
    uint64_t left_out;

    if (limiter_allows(&lane->spool.crowded, lane->now_ms, &left_out))
        log_warn(
            "store",
            "records for %u topics have waited on the disk since the start, which is the most: those for "
            "'" SPAN_FMT "' and others stay in memory, and their messages are held, until they are "
            "delivered; a restart makes room",
            lane->spool.queues_most, SPAN_ARG(stream->name));
}

/* The texts are given their place when all are written: the buffer may move until then. */
static void add(struct lane *lane, struct delivery *delivery)
{
    struct spool_put *put = &lane->spool.put;
    const struct firing *firing = delivery->firing;
    const bool keeps_origin = firing->message && !firing->reporting;
    const size_t start = put->bytes.size;
    const uint32_t queue = spool_queue(lane, delivery->stream, delivery->action, lane->spool.queues_most);

    if (queue == 0) {
        delivery->stream->spool.held = true;
        say_crowded(lane, delivery->stream);
        return;
    }
    make_room(put);
    row_put_record(&put->bytes, delivery->action->action->type, &delivery->record);
    const size_t middle = put->bytes.size;
    if (keeps_origin)
        row_put_message(&put->bytes, firing->message);
    if (put->bytes.failed)
        lane_out_of_memory();
    put->rows[put->count] = (struct store_row){
        .queue = queue,
        .at_ms = clock_wall_ms(),
        .record = {NULL, middle - start},
        .origin = {NULL, put->bytes.size - middle},
    };
    put->who[put->count++] = delivery;
    delivery->storing = true;
    delivery->stream->spool.storing++;
}

static bool is_to_put(const struct delivery *delivery)
{
    const struct stream_spool *of = &delivery->stream->spool;

    return of->on && !of->landing && !delivery->storing;
}

/* What clients have too, in the order of dispatch. True when all of it was taken. */
static bool gather_all(struct lane *lane)
{
    for (struct delivery *at = lane->unsafe; at; at = at->newer) {
        if (!is_to_put(at))
            continue;
        if (!has_room(&lane->spool.put))
            return false;
        add(lane, at);
    }
    return true;
}

void spool_has_more(struct lane *lane, struct stream *stream)
{
    struct stream_spool *of = &stream->spool;

    if (!of->on || of->to_put)
        return;
    of->to_put = true;
    of->next_to_put = lane->spool.to_put;
    lane->spool.to_put = stream;
}

static void gather_queued(struct lane *lane)
{
    struct stream *stream;

    while ((stream = lane->spool.to_put)) {
        for (struct delivery *at = stream->queued; at; at = at->next) {
            if (!is_to_put(at))
                continue;
            if (!has_room(&lane->spool.put))
                return;
            add(lane, at);
        }
        lane->spool.to_put = stream->spool.next_to_put;
        stream->spool.to_put = false;
    }
}

/* A dead letter that is given back may have a higher number than rows that come later, and be read before
 * them: then look again from here. */
static void not_behind(struct stream_spool *of, int64_t row)
{
    if (row > of->after)
        return;
    of->after = row - 1;
    of->rewound = true;
}

static void give_places(struct lane *lane)
{
    struct spool_put *put = &lane->spool.put;
    int64_t number = store_numbers(lane->options.store, put->count);
    const char *at = put->bytes.data;

    for (size_t i = 0; i < put->count; i++) {
        struct store_row *row = &put->rows[i];
        struct stream_spool *of = &put->who[i]->stream->spool;

        row->number = put->who[i]->row = number++;
        row->record.data = at;
        at += row->record.size;
        row->origin.data = row->origin.size ? at : NULL;
        at += row->origin.size;
        not_behind(of, row->number);
    }
}

static void prune(struct delivery **link, struct delivery **last, struct lane *lane, struct stream *stream,
                  bool returned)
{
    *last = NULL;
    while (*link) {
        struct delivery *delivery = *link;

        if (delivery->firing) {
            *last = delivery;
            link = &delivery->next;
            continue;
        }
        *link = delivery->next;
        if (returned)
            spool_returned(stream, delivery->row);
        else
            stream->spool.rows++;
        delivery_free(lane, delivery);
    }
}

/* What waits in memory and is a row now, is a row only. */
static void prune_streams(struct lane *lane, struct stream *touched)
{
    for (struct stream *stream = touched; stream; stream = stream->spool.next_touched) {
        struct delivery *ignored;

        prune(&stream->returned, &ignored, lane, stream, true);
        prune(&stream->queued, &stream->queued_last, lane, stream, false);
        stream->spool.touched = false;
        stream_wake(lane, stream, stream->due_ms);
    }
}

/* Those with something in it. While something is being put they wait, so none of them goes meanwhile. */
static struct stream *touch_streams(const struct spool_put *put)
{
    struct stream *first = NULL;

    for (size_t i = 0; i < put->count; i++) {
        struct stream *stream = put->who[i]->stream;

        if (stream->spool.touched)
            continue;
        stream->spool.touched = true;
        stream->spool.next_touched = first;
        first = stream;
    }
    return first;
}

static void one_is_done(struct lane *lane, struct delivery *delivery, bool stored)
{
    struct firing *firing = delivery->firing;
    struct stream_spool *of = &delivery->stream->spool;

    delivery->storing = false;
    of->storing--;
    if (stored && delivery->state == DELIVERY_SENT) { /* the client has it, or had */
        if (delivery->row > of->handed)
            of->handed = delivery->row;
        if (delivery->row > of->after && !of->rewound && !of->reading)
            of->after = delivery->row; /* else there are others before it, to be read or just being read */
    }
    if (stored && delivery->state == DELIVERY_WAITING)
        not_behind(of, delivery->row);
    if (delivery->over) {
        delivery_free(lane, delivery);
    } else if (stored) {
        dispatch_is_safe(lane, delivery);
        delivery->record = (struct action_record){0};
        settle_stored(lane, firing);
    } else {
        delivery->row = 0;
    }
}

static void on_put(struct store_job *job)
{
    struct spool_put *put = (struct spool_put *)job;
    struct lane *lane = put->lane;
    const bool stored = job->answer == STORE_DONE;

    lane->spool.jobs--;
    put->posted = false;
    lane->spool.put_answer = job->answer;
    if (!stored) {
        lane->spool.retry_ms = lane->now_ms + SPOOL_RETRY_MS;
        lane->spool.sweep = true;
    }
    struct stream *touched = touch_streams(put);
    for (size_t i = 0; i < put->count; i++)
        one_is_done(lane, put->who[i], stored);
    prune_streams(lane, touched);
    put->count = 0;
    put->bytes.size = 0;
    if (put->bytes.room > PUT_BYTES / 4) {
        buf_done(&put->bytes);
        put->bytes = BUF_INIT;
    }
}

void spool_put(struct lane *lane)
{
    struct spool *spool = &lane->spool;
    struct spool_put *put = &spool->put;

    if (put->posted || spool->closing || lane->now_ms < spool->retry_ms)
        return;
    if (spool->sweep)
        spool->sweep = !gather_all(lane);
    else
        gather_queued(lane);
    if (put->count == 0)
        return;
    give_places(lane);
    put->posted = true;
    put->lane = lane;
    put->job = (struct store_job){.work = STORE_PUT, .count = put->count, .rows = put->rows, .done = on_put};
    spool->jobs++;
    store_post(spool->port, &put->job);
}

/* ---- dropping ---- */

void spool_drop(struct lane *lane, int64_t row)
{
    struct spool_drops *drops = &lane->spool.drops;

    if (drops->waiting_count == drops->waiting_room) {
        size_t room = drops->waiting_room ? 2 * drops->waiting_room : 1024;
        int64_t *grown = realloc(drops->waiting, room * sizeof *grown);

        if (!grown)
            lane_out_of_memory();
        drops->waiting = grown;
        drops->waiting_room = room;
    }
    drops->waiting[drops->waiting_count++] = row;
}

static void on_dropped(struct store_job *job)
{
    struct spool_drops *drops = (struct spool_drops *)job;

    for (size_t i = 0; i < job->count; i++)
        spool_gone(drops->lane, job->numbers[i]);
    drops->lane->spool.jobs--;
    drops->posted = false;
    while (drops->lane->spool.after_drops.first)
        stream_next_in_line(drops->lane, &drops->lane->spool.after_drops);
}

bool spool_post_drops(struct lane *lane)
{
    struct spool_drops *drops = &lane->spool.drops;
    int64_t *numbers = drops->waiting;
    size_t count = drops->waiting_count, room = drops->waiting_room;

    if (drops->posted || count == 0)
        return count == 0;
    drops->waiting = drops->sent;
    drops->waiting_room = drops->sent_room;
    drops->waiting_count = 0;
    drops->sent = numbers;
    drops->sent_room = room;
    drops->posted = true;
    drops->lane = lane;
    drops->job =
        (struct store_job){.work = STORE_DROP, .count = count, .numbers = numbers, .done = on_dropped};
    lane->spool.jobs++;
    store_post(lane->spool.port, &drops->job);
    return true;
}

void spool_put_done(struct lane *lane)
{
    struct spool *spool = &lane->spool;

    free(spool->put.rows);
    free(spool->put.who);
    buf_done(&spool->put.bytes);
    free(spool->drops.waiting);
    free(spool->drops.sent);
}
