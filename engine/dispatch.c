/* Records go to their clients, and stand in line when they cannot.
 *
 * Order. Records of one stream are sent in the order of dispatch. When one comes back (`wait`, `refused`),
 * the stream stops: what came back stays with what was sent before until all of that has its outcome, then
 * goes again first, in its old order, and what was dispatched meanwhile follows. So a retry never overtakes;
 * it can be overtaken only by records that were in the client's hands beside it, and an idempotent Kafka
 * producer keeps those in order too. */
#include "lane.h"

#include "base/log.h"

enum {
    BUSY_MS = 20,     /* the client's own queue is full */
    CLOSED_MS = 1000, /* no client; opening one wakes the stream anyway */
    WAIT_LEAST_MS = 200,
    WAIT_MOST_MS = 5000,
    REFUSED_LEAST_MS = 2000, /* less, and librdkafka still has the old answer at hand */
    REFUSED_MOST_MS = 30000,
    REFUSED_EACH_MS =
        5, /* and so much more for each topic that is refused: all together try 200 times a second */
    LOOK_AGAIN_MS = 1000,
};

/* ---- when to try again ---- */

static void back_off(struct lane *lane, struct stream *stream, bool refused)
{
    int64_t wait = refused ? REFUSED_LEAST_MS : WAIT_LEAST_MS,
            most = refused ? REFUSED_MOST_MS : WAIT_MOST_MS;

    if (stream->waiting && stream->due_ms > lane->now_ms && stream->attempts > 0)
        return; /* the same round: many come back at once */
    for (unsigned i = 0; i < stream->attempts && wait < most; i++)
        wait *= 2;
    stream->attempts++;
    wait = wait < most ? wait : most;
    if (refused)
        wait += (int64_t)lane->streams.refused * REFUSED_EACH_MS;
    dispatch_make_wait(lane, stream, lane->now_ms + wait);
}

static void say_refused(struct lane *lane, struct stream *stream, const char *why)
{
    uint64_t left_out;

    if (stream->refused)
        return;
    stream->refused = true;
    lane->streams.refused++;
    if (limiter_allows(&lane->streams.refusals, lane->now_ms, &left_out))
        log_warn(stream->client->target->type->name,
                 "'" SPAN_FMT "' is refused: %s; what is for it waits and is tried again, for as long as "
                 "delivery.refused allows"
                 "%s",
                 SPAN_ARG(stream->name), why, left_out ? " (and others)" : "");
}

/* ---- sending ---- */

enum sent { SENT_TAKEN, SENT_FINAL, SENT_NOT };

enum { PAIRS_MOST = 128 }; /* more headers than any action takes */

/* A header of our own for a record that may be there already, if the configuration wants it. The AWS action
 * has no such thing. `pairs` has room for PAIRS_MOST. */
static struct action_record marked(const struct lane *lane, const struct delivery *delivery,
                                   struct action_pair *pairs)
{
    struct action_record record = delivery->record;

    if (!delivery->again || !lane->options.config->delivery.dup_header || record.pair_count >= PAIRS_MOST)
        return record;
    if (record.pair_count > 0)
        memcpy(pairs, record.pairs, record.pair_count * sizeof *pairs);
    pairs[record.pair_count++] = (struct action_pair){SPAN("topicrule-dup"), SPAN("1")};
    record.pairs = pairs;
    return record;
}

static enum sent send_now(struct lane *lane, struct delivery *delivery)
{
    struct action_pair pairs[PAIRS_MOST];
    const struct action_record record = marked(lane, delivery, pairs);
    struct stream *stream = delivery->stream;
    struct client *client = stream->client;
    struct err *err = &lane->err;

    if (!client->handle) {
        dispatch_make_wait(lane, stream, lane->now_ms + CLOSED_MS);
        return SENT_NOT;
    }
    switch (client->target->type->send(client->handle, &record, delivery, err)) {
    case ACTION_SENT:
        delivery->state = DELIVERY_SENT;
        stream->in_flight++;
        client->in_flight++;
        return SENT_TAKEN;
    case ACTION_BUSY:
        if (!delivery->firing)
            spool_client_is_full(lane, client);
        dispatch_make_wait(lane, stream, lane->now_ms + BUSY_MS);
        return SENT_NOT;
    case ACTION_NOT_YET: back_off(lane, stream, false); return SENT_NOT;
    case ACTION_STREAM:
        say_refused(lane, stream, err->text);
        spool_stream(lane, stream, NULL);
        back_off(lane, stream, true);
        return SENT_NOT;
    case ACTION_FINAL: break;
    }
    return SENT_FINAL;
}

/* The words are in lane->err. */
static void fail(struct lane *lane, struct delivery *delivery, const char *code)
{
    struct firing *firing = delivery->firing;
    char text[sizeof lane->err.text];
    const struct lane_failure failure = {.action = delivery->action,
                                         .stream = delivery->stream->name,
                                         .code = code,
                                         .text = text,
                                         .record = &delivery->record};

    memcpy(text, lane->err.text, sizeof text);
    dispatch_is_safe(lane, delivery);
    settle_failure(lane, firing, &failure);
    dispatch_over(lane, delivery);
}

static enum sent send_or_fail(struct lane *lane, struct delivery *delivery)
{
    enum sent sent = send_now(lane, delivery);

    if (sent == SENT_FINAL)
        fail(lane, delivery, "NOT_ACCEPTED");
    return sent;
}

static void enqueue(struct lane *lane, struct stream *stream, struct delivery *delivery)
{
    delivery->next = NULL;
    *(stream->queued ? &stream->queued_last->next : &stream->queued) = delivery;
    stream->queued_last = delivery;
    spool_has_more(lane, stream);
}

/* ---- what is not safe yet, the oldest first ---- */

static void is_unsafe(struct lane *lane, struct delivery *delivery, struct firing *firing)
{
    delivery->firing = firing;
    delivery->born_ms = lane->now_ms;
    delivery->older = lane->unsafe_newest;
    *(delivery->older ? &delivery->older->newer : &lane->unsafe) = delivery;
    lane->unsafe_newest = delivery;
    lane->unsafe_count++;
}

void dispatch_is_safe(struct lane *lane, struct delivery *delivery)
{
    *(delivery->older ? &delivery->older->newer : &lane->unsafe) = delivery->newer;
    *(delivery->newer ? &delivery->newer->older : &lane->unsafe_newest) = delivery->older;
    delivery->older = delivery->newer = NULL;
    delivery->firing = NULL;
    lane->unsafe_count--;
}

void dispatch_over(struct lane *lane, struct delivery *delivery)
{
    if (!delivery->storing) {
        delivery_free(lane, delivery);
        return;
    }
    delivery->over = true; /* its slot waits for the disk's answer */
    spool_ended(lane, delivery->row);
    spool_drop(lane, delivery->row);
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

/* The end of it, if there are too many that wait. */
static bool has_no_place(struct lane *lane, struct delivery *delivery)
{
    if (spool_has_place(lane, delivery->stream, delivery->action, &lane->err))
        return false;
    fail(lane, delivery, "REFUSED");
    return true;
}

static void wait_in_line(struct lane *lane, struct delivery *delivery)
{
    if (!has_no_place(lane, delivery))
        enqueue(lane, delivery->stream, delivery);
}

void dispatch(struct lane *lane, struct firing *firing, struct lane_action *action,
              const struct action_record *record)
{
    const struct action_type *type = action->action->type;
    struct delivery *delivery = delivery_new(lane);

    if (!delivery)
        lane_out_of_memory();
    if (copy_record(lane, firing->batch, action->field_count, record, &delivery->record) != 0) {
        const struct lane_failure failure = {.action = action,
                                             .stream = type->stream(record),
                                             .code = "LIMIT",
                                             .text = "the message makes more records than fit in memory",
                                             .record = record};

        delivery_free(lane, delivery);
        settle_failure(lane, firing, &failure);
        return;
    }
    delivery->action = action;
    delivery->stream = dispatch_stream(lane, action, type->stream(&delivery->record));
    if (!delivery->stream)
        lane_out_of_memory();
    is_unsafe(lane, delivery, firing);
    if (!delivery->stream->waiting && spool_takes(lane, delivery->stream))
        spool_stream(lane, delivery->stream, NULL);
    if (delivery->stream->waiting || send_or_fail(lane, delivery) == SENT_NOT)
        wait_in_line(lane, delivery);
}

bool dispatch_row(struct lane *lane, struct lane_action *action, struct stream *stream,
                  const struct action_record *record, int64_t row, bool again)
{
    struct delivery *delivery = delivery_new(lane);

    if (!delivery)
        lane_out_of_memory();
    delivery->action = action;
    delivery->stream = stream;
    delivery->record = *record;
    delivery->row = row;
    delivery->again = again;
    switch (send_now(lane, delivery)) {
    case SENT_TAKEN: delivery->record = (struct action_record){0}; return true;
    case SENT_NOT: delivery_free(lane, delivery); return false;
    case SENT_FINAL: break;
    }
    delivery_free(lane, delivery);
    spool_row_failed(lane, action, stream, row, "NOT_ACCEPTED", lane->err.text);
    return true;
}

/* ---- what comes back ---- */

static void one_less(struct lane *lane, const struct delivery *delivery)
{
    struct stream *stream = delivery->stream;

    spool_answered(delivery);
    stream->client->in_flight--;
    if (--stream->in_flight == 0 || stream->spool.on)
        stream_wake(lane, stream, stream->due_ms);
    spool_next_reader(lane, stream->client);
}

static void client_moves(struct lane *lane, struct client *client)
{
    client->delivered_ms = lane->now_ms;
    if (!client->stalled)
        return;
    client->stalled = false;
    log_info(client->target->type->name, "rule %s: delivers again; what waits on the disk goes first",
             client->target->rule->name);
    dispatch_client_opened(lane, client);
}

void dispatch_delivered(struct lane *lane, struct delivery *delivery)
{
    struct stream *stream = delivery->stream;

    stream->attempts = 0;
    stream->spool.moved = stream->spool.proven = true;
    stream->spool.delivered_ms = lane->now_ms;
    client_moves(lane, stream->client);
    if (stream->refused) {
        stream->refused = false;
        lane->streams.refused--;
        log_info(stream->client->target->type->name, "'" SPAN_FMT "' is accepted again",
                 SPAN_ARG(stream->name));
    }
    one_less(lane, delivery);
}

void dispatch_failed(struct lane *lane, struct delivery *delivery)
{
    one_less(lane, delivery);
}

static void abandon(struct lane *lane, struct delivery *delivery)
{
    struct firing *firing = delivery->firing;

    dispatch_is_safe(lane, delivery); /* at the broker */
    dispatch_over(lane, delivery);
    settle_abandoned(lane, firing);
}

void dispatch_again(struct lane *lane, struct delivery *delivery, bool refused, const char *why)
{
    struct stream *stream = delivery->stream;

    if (delivery->firing && settle_is_resent(lane, delivery->firing)) {
        one_less(lane, delivery);
        abandon(lane, delivery);
        return;
    }
    if (refused)
        say_refused(lane, stream, why);
    if (refused || !delivery->firing)
        spool_stream(lane, stream, NULL);
    back_off(lane, stream, refused);
    one_less(lane, delivery);
    if (!delivery->firing) {
        spool_returned(stream, delivery->row);
        delivery_free(lane, delivery);
    } else if (!refused || delivery->storing || !has_no_place(lane, delivery)) {
        delivery->state = DELIVERY_WAITING;
        delivery->again = true;
        delivery->next = stream->returned;
        stream->returned = delivery;
    }
}

/* ---- what waits ---- */

static bool may_go(struct lane *lane, struct stream *stream)
{
    if (stream->due_ms > lane->now_ms || (stream->spool.on && !spool_step(lane, stream)))
        return false;
    return !stream->returned || stream->in_flight == 0;
}

/* Send until one is not taken. True when nothing waits any more. */
static bool send_queue(struct lane *lane, struct stream *stream)
{
    stream_put_returned_first(lane, stream);
    while (stream->queued) {
        struct delivery *delivery = stream->queued, *next = delivery->next;

        /* Out of the queue first: a final failure frees it. */
        stream->queued = next;
        if (send_or_fail(lane, delivery) == SENT_NOT) {
            delivery->next = next;
            stream->queued = delivery;
            return false;
        }
    }
    return true;
}

/* When to look at it again if nothing happens to it. */
static int64_t next_look(const struct lane *lane, const struct stream *stream)
{
    if (stream->spool.on) /* what happens wakes it; this is for a time that has come, or something missed */
        return stream->due_ms > lane->now_ms
                   ? stream->due_ms
                   : lane->now_ms + LOOK_AGAIN_MS + (int64_t)lane->streams.waiting_count;
    return stream->returned && stream->in_flight > 0 ? INT64_MAX : stream->due_ms;
}

void dispatch_waiting(struct lane *lane)
{
    struct stream *stream;

    while ((stream = stream_due(lane))) {
        if ((may_go(lane, stream) && send_queue(lane, stream)) ||
            (!stream->queued && !stream->returned && !stream->spool.on)) {
            stream_rest(lane, stream);
            continue;
        }
        const int64_t next_ms = next_look(lane, stream);
        stream_wake(lane, stream, next_ms > lane->now_ms ? next_ms : lane->now_ms + 1);
    }
}

void dispatch_client_opened(struct lane *lane, const struct client *client)
{
    int64_t refused_ms = lane->now_ms; /* not all of those at once */

    for (size_t i = 0; i < lane->streams.waiting_count; i++) {
        struct stream *stream = lane->streams.waiting[i];

        if (stream->client != client)
            continue;
        stream->attempts = 0;
        stream->due_ms = stream->refused ? refused_ms : lane->now_ms;
        refused_ms += stream->refused ? REFUSED_EACH_MS : 0;
    }
    streams_wake_all(lane);
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
    for (size_t i = 0; i < lane->streams.waiting_count; i++) {
        struct stream *stream = lane->streams.waiting[i];

        forget(lane, &stream->returned);
        forget(lane, &stream->queued);
        stream->queued_last = stream->queued;
        while (stream->queued_last && stream->queued_last->next)
            stream->queued_last = stream->queued_last->next;
    }
    streams_wake_all(lane); /* some have nothing left */
}
