/* Records go to their clients, and stand in line when they cannot.
 *
 * Order. Records of one stream are sent in the order of dispatch. When one comes back (`wait`, `refused`),
 * the stream stops: what came back stays with what was sent before until all of that has its outcome, then
 * goes again first, in its old order, and what was dispatched meanwhile follows. So a retry never overtakes;
 * it can be overtaken only by records that were in the client's hands beside it, and an idempotent Kafka
 * producer keeps those in order too. */
#include "lane.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    BUSY_MS = 20,     /* the client's own queue is full */
    CLOSED_MS = 1000, /* no client; opening one wakes the stream anyway */
    WAIT_LEAST_MS = 200,
    WAIT_MOST_MS = 5000,
    REFUSED_LEAST_MS = 2000, /* less, and librdkafka still has the old answer at hand */
    REFUSED_MOST_MS = 30000,
};

/* ---- streams ---- */

static uint64_t hash_stream(const struct client *client, struct span name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)client;

    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static void free_idle_streams(struct lane *lane, bool all)
{
    for (size_t i = 0; i < STREAM_BUCKETS; i++)
        for (struct stream **link = &lane->streams.bucket[i]; *link;) {
            struct stream *stream = *link;

            if (!all && (stream->in_flight > 0 || stream->waiting)) {
                link = &stream->next;
                continue;
            }
            *link = stream->next;
            free(stream);
            lane->streams.count--;
        }
    for (size_t i = 0; i < lane->action_count; i++)
        lane->actions[i].last = NULL;
}

static struct stream *find_stream(struct lane *lane, struct lane_action *action, struct span name)
{
    struct stream *stream = action->last;

    if (stream && span_equal(stream->name, name))
        return stream;
    uint64_t hash = hash_stream(action->client, name);
    for (stream = lane->streams.bucket[hash % STREAM_BUCKETS]; stream; stream = stream->next)
        if (stream->hash == hash && stream->client == action->client && span_equal(stream->name, name))
            return action->last = stream;

    if (lane->streams.count >= lane->streams.idle_most) {
        free_idle_streams(lane, false);
        lane->streams.idle_most = lane->streams.count + STREAM_IDLE_MOST;
    }
    stream = calloc(1, sizeof *stream + name.size + 1);
    if (!stream)
        return NULL;
    stream->client = action->client;
    stream->hash = hash;
    if (name.size > 0)
        memcpy(stream->text, name.data, name.size);
    stream->name = (struct span){stream->text, name.size};
    stream->next = lane->streams.bucket[hash % STREAM_BUCKETS];
    lane->streams.bucket[hash % STREAM_BUCKETS] = stream;
    lane->streams.count++;
    return action->last = stream;
}

static void wake_at(struct lane *lane, int64_t due_ms)
{
    if (due_ms < lane->streams.due_ms)
        lane->streams.due_ms = due_ms;
}

/* The stream has something that waits, until `due_ms` at least. */
static void make_wait(struct lane *lane, struct stream *stream, int64_t due_ms)
{
    stream->due_ms = due_ms;
    wake_at(lane, due_ms);
    if (stream->waiting)
        return;
    stream->waiting = true;
    stream->next_waiting = lane->streams.waiting;
    lane->streams.waiting = stream;
}

static void back_off(struct lane *lane, struct stream *stream, bool refused)
{
    int64_t wait = refused ? REFUSED_LEAST_MS : WAIT_LEAST_MS,
            most = refused ? REFUSED_MOST_MS : WAIT_MOST_MS;

    if (stream->waiting && stream->due_ms > lane->now_ms && stream->attempts > 0)
        return; /* the same round: many come back at once */
    for (unsigned i = 0; i < stream->attempts && wait < most; i++)
        wait *= 2;
    stream->attempts++;
    make_wait(lane, stream, lane->now_ms + (wait < most ? wait : most));
}

static void say_refused(struct lane *lane, struct stream *stream, const char *why)
{
    uint64_t left_out;

    if (stream->refused)
        return;
    stream->refused = true;
    if (limiter_allows(&lane->streams.refusals, lane->now_ms, &left_out))
        log_warn(stream->client->target->type->name,
                 "'" SPAN_FMT "' is refused: %s; what is for it waits and is tried again for ever"
                 "%s",
                 SPAN_ARG(stream->name), why, left_out ? " (and others)" : "");
}

/* ---- sending ---- */

enum sent { SENT_TAKEN, SENT_SETTLED, SENT_NOT };

static enum sent send_now(struct lane *lane, struct delivery *delivery)
{
    struct stream *stream = delivery->stream;
    struct client *client = stream->client;
    struct err *err = &lane->err;

    if (!client->handle) {
        make_wait(lane, stream, lane->now_ms + CLOSED_MS);
        return SENT_NOT;
    }
    switch (client->target->type->send(client->handle, &delivery->record, delivery, err)) {
    case ACTION_SENT:
        delivery->state = DELIVERY_SENT;
        stream->in_flight++;
        return SENT_TAKEN;
    case ACTION_BUSY: make_wait(lane, stream, lane->now_ms + BUSY_MS); return SENT_NOT;
    case ACTION_NOT_YET: back_off(lane, stream, false); return SENT_NOT;
    case ACTION_STREAM:
        say_refused(lane, stream, err->text);
        back_off(lane, stream, true);
        return SENT_NOT;
    case ACTION_FINAL: break;
    }
    struct firing *firing = delivery->firing;
    const struct rule_action *action = delivery->action->action;
    delivery_free(lane, delivery);
    settle_failure(lane, firing, action, stream->name, err->text);
    return SENT_SETTLED;
}

static void enqueue(struct stream *stream, struct delivery *delivery)
{
    delivery->next = NULL;
    *(stream->queued ? &stream->queued_last->next : &stream->queued) = delivery;
    stream->queued_last = delivery;
}

static struct span copy_span(char **at, struct span from)
{
    if (from.size == 0)
        return (struct span){from.data ? "" : NULL, 0};
    memcpy(*at, from.data, from.size);
    struct span copy = {*at, from.size};
    *at += from.size;
    return copy;
}

/* One allocation for all of it. */
static int copy_record(struct lane *lane, struct batch *batch, size_t field_count,
                       const struct action_record *from, struct action_record *to)
{
    size_t bytes = from->payload.size;

    for (size_t i = 0; i < field_count; i++)
        bytes += from->fields[i].text.size;
    for (size_t i = 0; i < from->pair_count; i++)
        bytes += from->pairs[i].key.size + from->pairs[i].value.size;
    size_t tables = field_count * sizeof(struct action_value) + from->pair_count * sizeof(struct action_pair);
    struct action_value *fields = batch_alloc(lane, batch, tables + bytes);
    if (!fields)
        return -1;

    struct action_pair *pairs = (struct action_pair *)(fields + field_count);
    char *at = (char *)(pairs + from->pair_count);
    for (size_t i = 0; i < field_count; i++)
        fields[i] = (struct action_value){copy_span(&at, from->fields[i].text), from->fields[i].absent};
    for (size_t i = 0; i < from->pair_count; i++)
        pairs[i] =
            (struct action_pair){copy_span(&at, from->pairs[i].key), copy_span(&at, from->pairs[i].value)};
    *to = (struct action_record){copy_span(&at, from->payload), fields, pairs, from->pair_count};
    return 0;
}

void dispatch(struct lane *lane, struct firing *firing, struct lane_action *action,
              const struct action_record *record)
{
    const struct action_type *type = action->action->type;
    struct delivery *delivery = delivery_new(lane);

    if (!delivery)
        lane_out_of_memory();
    if (copy_record(lane, firing->batch, action->field_count, record, &delivery->record) != 0) {
        delivery_free(lane, delivery);
        settle_failure(lane, firing, action->action, type->stream(record),
                       "the message makes more records than fit in memory");
        return;
    }
    delivery->firing = firing;
    delivery->action = action;
    delivery->stream = find_stream(lane, action, type->stream(&delivery->record));
    if (!delivery->stream)
        lane_out_of_memory();
    if (delivery->stream->waiting || send_now(lane, delivery) == SENT_NOT)
        enqueue(delivery->stream, delivery);
}

/* ---- what comes back ---- */

static void one_less(struct lane *lane, struct stream *stream)
{
    if (--stream->in_flight == 0 && stream->waiting)
        wake_at(lane, stream->due_ms);
}

void dispatch_delivered(struct lane *lane, struct delivery *delivery)
{
    struct stream *stream = delivery->stream;

    stream->attempts = 0;
    if (stream->refused) {
        stream->refused = false;
        log_info(stream->client->target->type->name, "'" SPAN_FMT "' is accepted again",
                 SPAN_ARG(stream->name));
    }
    one_less(lane, stream);
}

void dispatch_failed(struct lane *lane, struct delivery *delivery)
{
    one_less(lane, delivery->stream);
}

static void abandon(struct lane *lane, struct delivery *delivery)
{
    struct firing *firing = delivery->firing;

    delivery_free(lane, delivery);
    settle_abandoned(lane, firing);
}

void dispatch_again(struct lane *lane, struct delivery *delivery, bool refused, const char *why)
{
    struct stream *stream = delivery->stream;

    if (settle_is_resent(lane, delivery->firing)) {
        one_less(lane, stream);
        abandon(lane, delivery);
        return;
    }
    delivery->state = DELIVERY_WAITING;
    delivery->next = stream->returned;
    stream->returned = delivery;
    if (refused)
        say_refused(lane, stream, why);
    back_off(lane, stream, refused);
    one_less(lane, stream);
}

/* ---- what waits ---- */

/* Merge sort by number, bottom up: bin[i] holds a sorted run of 2^i or nothing. */
static struct delivery *merge(struct delivery *a, struct delivery *b)
{
    struct delivery *first = NULL, **end = &first;

    while (a && b) {
        struct delivery **lower = a->number < b->number ? &a : &b;

        *end = *lower;
        end = &(*lower)->next;
        *lower = *end;
    }
    *end = a ? a : b;
    return first;
}

static struct delivery *sorted(struct delivery *list)
{
    struct delivery *bin[40] = {0}, *all = NULL;

    while (list) {
        struct delivery *run = list;
        size_t i = 0;

        list = list->next;
        run->next = NULL;
        for (; bin[i]; bin[i++] = NULL)
            run = merge(bin[i], run);
        bin[i] = run;
    }
    for (size_t i = 0; i < sizeof bin / sizeof *bin; i++)
        all = merge(bin[i], all);
    return all;
}

static void put_returned_first(struct lane *lane, struct stream *stream)
{
    struct delivery *last = stream->returned = sorted(stream->returned);

    if (!last)
        return;
    counters_one(&lane->counters, retried);
    for (; last->next; last = last->next)
        counters_one(&lane->counters, retried);
    last->next = stream->queued;
    if (!stream->queued)
        stream->queued_last = last;
    stream->queued = stream->returned;
    stream->returned = NULL;
}

static bool may_go(const struct lane *lane, const struct stream *stream)
{
    return stream->due_ms <= lane->now_ms && (!stream->returned || stream->in_flight == 0);
}

/* Send until one is not taken. True when nothing waits any more. */
static bool send_queue(struct lane *lane, struct stream *stream)
{
    put_returned_first(lane, stream);
    while (stream->queued) {
        struct delivery *delivery = stream->queued, *next = delivery->next;

        /* Out of the queue first: a final failure frees it. */
        stream->queued = next;
        if (send_now(lane, delivery) == SENT_NOT) {
            delivery->next = next;
            stream->queued = delivery;
            return false;
        }
    }
    return true;
}

void dispatch_waiting(struct lane *lane)
{
    if (lane->now_ms < lane->streams.due_ms)
        return;
    lane->streams.due_ms = INT64_MAX;
    for (struct stream **link = &lane->streams.waiting; *link;) {
        struct stream *stream = *link;

        if ((may_go(lane, stream) && send_queue(lane, stream)) || (!stream->queued && !stream->returned)) {
            *link = stream->next_waiting;
            stream->waiting = false;
            continue;
        }
        if (!stream->returned || stream->in_flight == 0)
            wake_at(lane, stream->due_ms);
        link = &stream->next_waiting;
    }
}

void dispatch_client_opened(struct lane *lane, const struct client *client)
{
    for (struct stream *stream = lane->streams.waiting; stream; stream = stream->next_waiting)
        if (stream->client == client) {
            stream->due_ms = lane->now_ms;
            stream->attempts = 0;
        }
    lane->streams.due_ms = lane->now_ms;
}

static void forget(struct lane *lane, struct delivery **link)
{
    while (*link) {
        struct delivery *delivery = *link;

        if (!settle_is_resent(lane, delivery->firing)) {
            link = &delivery->next;
            continue;
        }
        *link = delivery->next;
        abandon(lane, delivery);
    }
}

void dispatch_forget_resent(struct lane *lane)
{
    for (struct stream *stream = lane->streams.waiting; stream; stream = stream->next_waiting) {
        forget(lane, &stream->returned);
        forget(lane, &stream->queued);
        stream->queued_last = stream->queued;
        while (stream->queued_last && stream->queued_last->next)
            stream->queued_last = stream->queued_last->next;
    }
    lane->streams.due_ms = lane->now_ms; /* some have nothing left */
}

void dispatch_init(struct lane *lane)
{
    lane->streams.due_ms = INT64_MAX;
    lane->streams.idle_most = STREAM_IDLE_MOST;
}

void dispatch_done(struct lane *lane)
{
    free_idle_streams(lane, true);
}
