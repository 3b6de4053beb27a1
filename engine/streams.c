/* The streams of a lane: found by name, and looked at when they are due.
 *
 * There may be a hundred thousand that wait (a device that makes up topics, all of them refused), and one
 * that does not must not feel it. So nothing here or elsewhere walks over those that wait while messages
 * flow: they lie in a heap by when they are to be looked at next. */
#include "lane.h"

#include <stdlib.h>

/* ---- by name ---- */

static uint64_t hash_stream(const struct client *client, struct span name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)client;

    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static struct stream **bucket_of(const struct streams *streams, uint64_t hash)
{
    return &streams->buckets[hash % streams->bucket_count];
}

static bool is_idle(const struct stream *stream)
{
    return stream->in_flight == 0 && !stream->waiting && !stream->in_line && !stream->spool.to_put;
}

static void free_idle_streams(struct lane *lane, bool all)
{
    struct streams *streams = &lane->streams;

    for (size_t i = 0; i < streams->bucket_count; i++)
        for (struct stream **link = &streams->buckets[i]; *link;) {
            struct stream *stream = *link;

            if (!all && !is_idle(stream)) {
                link = &stream->next;
                continue;
            }
            *link = stream->next;
            streams->refused -= stream->refused;
            free(stream->spool.queues);
            free(stream);
            streams->count--;
        }
    for (size_t i = 0; i < lane->action_count; i++)
        lane->actions[i].last = NULL;
}

/* Without memory the chains become longer, and that is all. */
static void grow(struct streams *streams)
{
    const size_t old_count = streams->bucket_count;
    struct stream **old = streams->buckets;
    struct stream **buckets = calloc(2 * old_count, sizeof *buckets);

    if (!buckets)
        return;
    streams->buckets = buckets;
    streams->bucket_count = 2 * old_count;
    for (size_t i = 0; i < old_count; i++)
        while (old[i]) {
            struct stream *stream = old[i], **bucket = bucket_of(streams, stream->hash);

            old[i] = stream->next;
            stream->next = *bucket;
            *bucket = stream;
        }
    if (old != streams->few)
        free(old);
}

static struct stream *make(struct lane *lane, struct client *client, uint64_t hash, struct span name)
{
    struct streams *streams = &lane->streams;

    if (streams->count >= streams->idle_most) {
        free_idle_streams(lane, false);
        streams->idle_most = streams->count + STREAM_IDLE_MOST;
    }
    if (streams->count >= streams->bucket_count)
        grow(streams);
    struct stream *stream = calloc(1, sizeof *stream + name.size + 1);
    if (!stream)
        return NULL;
    stream->client = client;
    stream->hash = hash;
    if (name.size > 0)
        memcpy(stream->text, name.data, name.size);
    stream->name = (struct span){stream->text, name.size};
    if (lane->spool.port) /* it may have been here before, and what it delivered be on the disk still */
        stream->spool.after = store_numbers(lane->options.store, 0) - 1;
    stream->next = *bucket_of(streams, hash);
    *bucket_of(streams, hash) = stream;
    streams->count++;
    return stream;
}

struct stream *dispatch_stream(struct lane *lane, struct lane_action *action, struct span name)
{
    struct stream *stream = action->last;

    if (stream && span_equal(stream->name, name))
        return stream;
    const uint64_t hash = hash_stream(action->client, name);
    for (stream = *bucket_of(&lane->streams, hash); stream; stream = stream->next)
        if (stream->hash == hash && stream->client == action->client && span_equal(stream->name, name))
            return action->last = stream;
    return action->last = make(lane, action->client, hash, name);
}

/* ---- by when they are looked at: a heap, the parent of place p at (p - 1) / 2 ---- */

static void put_at(struct streams *streams, size_t place, struct stream *stream)
{
    streams->waiting[place] = stream;
    stream->place = place;
}

static void sift(struct streams *streams, struct stream *stream)
{
    size_t place = stream->place;

    for (; place > 0; place = (place - 1) / 2) {
        struct stream *parent = streams->waiting[(place - 1) / 2];

        if (parent->wake_ms <= stream->wake_ms)
            break;
        put_at(streams, place, parent);
    }
    for (size_t child; (child = 2 * place + 1) < streams->waiting_count; place = child) {
        if (child + 1 < streams->waiting_count &&
            streams->waiting[child + 1]->wake_ms < streams->waiting[child]->wake_ms)
            child++;
        if (streams->waiting[child]->wake_ms >= stream->wake_ms)
            break;
        put_at(streams, place, streams->waiting[child]);
    }
    put_at(streams, place, stream);
    streams->due_ms = streams->waiting[0]->wake_ms;
}

static void enter(struct streams *streams, struct stream *stream, int64_t wake_ms)
{
    if (streams->waiting_count == streams->waiting_room) {
        const size_t room = streams->waiting_room ? 2 * streams->waiting_room : 64;
        struct stream **grown = reallocarray(streams->waiting, room, sizeof(struct stream *));

        if (!grown)
            lane_out_of_memory();
        streams->waiting = grown;
        streams->waiting_room = room;
    }
    stream->waiting = true;
    stream->wake_ms = wake_ms;
    put_at(streams, streams->waiting_count++, stream);
    sift(streams, stream);
}

void stream_rest(struct lane *lane, struct stream *stream)
{
    struct streams *streams = &lane->streams;
    struct stream *last = streams->waiting[--streams->waiting_count];

    stream->waiting = false;
    if (last != stream) {
        put_at(streams, stream->place, last);
        sift(streams, last);
    }
    if (streams->waiting_count == 0)
        streams->due_ms = INT64_MAX;
}

void stream_wake(struct lane *lane, struct stream *stream, int64_t at_ms)
{
    if (!stream->waiting || stream->wake_ms <= at_ms)
        return;
    stream->wake_ms = at_ms;
    sift(&lane->streams, stream);
}

struct stream *stream_due(struct lane *lane)
{
    struct streams *streams = &lane->streams;

    if (streams->waiting_count == 0 || streams->due_ms > lane->now_ms)
        return NULL;
    struct stream *stream = streams->waiting[0];
    stream->wake_ms = INT64_MAX;
    sift(streams, stream);
    streams->looks++;
    return stream;
}

void streams_wake_all(struct lane *lane)
{
    struct streams *streams = &lane->streams;

    for (size_t i = 0; i < streams->waiting_count; i++)
        streams->waiting[i]->wake_ms = lane->now_ms; /* all the same: any order is a heap */
    if (streams->waiting_count > 0)
        streams->due_ms = lane->now_ms;
}

void dispatch_make_wait(struct lane *lane, struct stream *stream, int64_t due_ms)
{
    stream->due_ms = due_ms;
    if (stream->waiting)
        stream_wake(lane, stream, due_ms);
    else
        enter(&lane->streams, stream, due_ms);
}

/* ---- in line for something that they share ---- */

void stream_line_up(struct stream_line *line, struct stream *stream)
{
    if (stream->in_line)
        return;
    stream->in_line = true;
    stream->next_in_line = NULL;
    *(line->first ? &line->last->next_in_line : &line->first) = stream;
    line->last = stream;
}

void stream_next_in_line(struct lane *lane, struct stream_line *line)
{
    struct stream *stream = line->first;

    if (!stream)
        return;
    line->first = stream->next_in_line;
    stream->in_line = false;
    stream_wake(lane, stream, lane->now_ms);
}

/* ---- in their old order ---- */

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

void stream_put_returned_first(struct lane *lane, struct stream *stream)
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

/* ---- all of them ---- */

void dispatch_init(struct lane *lane)
{
    struct streams *streams = &lane->streams;

    streams->buckets = streams->few;
    streams->bucket_count = sizeof streams->few / sizeof *streams->few;
    streams->due_ms = INT64_MAX;
    streams->idle_most = STREAM_IDLE_MOST;
}

void dispatch_done(struct lane *lane)
{
    struct streams *streams = &lane->streams;

    free_idle_streams(lane, true);
    free(streams->waiting);
    if (streams->buckets != streams->few)
        free(streams->buckets);
}
