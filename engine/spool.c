/* Which streams are on the disk, and what was there before: see spool.h. */
#include "lane.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    STRANGE_MS = 60000,   /* see spool_takes */
    LOOK_MS = 1000,       /* has somebody else changed the store? */
    SLOW_LEAST_MS = 5000, /* a stream that is slow stays on the disk for that long, */
    SLOW_MOST_MS = 60000, /* twice as long when that was in vain, and so on up to this */
    ROW_MEMORY = 64 << 20,
};

/* ---- on the disk ---- */

/* Refused, or never heard of while others of the kind have no answer. */
static bool is_made_up(const struct lane *lane, const struct stream *stream)
{
    const struct client *client = stream->client;

    return stream->refused ||
           (!client->stalled && !stream->spool.proven && lane->now_ms < client->strange_until);
}

bool spool_has_place(struct lane *lane, struct stream *stream, struct lane_action *action, struct err *err)
{
    if (!stream->spool.on || !is_made_up(lane, stream) ||
        spool_queue(lane, stream, action, lane->spool.queues_most / 2) != 0)
        return true;
    (void)err_set(err, ERR_LIMIT,
                  "the topic is refused or unknown, and more than %u others have waited already",
                  lane->spool.queues_most / 2);
    return false;
}

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
    client->probe_ms = lane->now_ms + SPOOL_PROBE_MS;
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
    stream->spool.landing = stream->spool.moved = stream->spool.held = false;
    if (overdue)
        has_waited_too_long(lane, stream, overdue);
    stream->spool.on = true;
    lane->spool.sweep |= stream->in_flight > 0 || stream->returned;
    spool_has_more(lane, stream);
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

/* What came to the rows and went without a record of ours. At first all that is there, unless another lane
 * has counted it. */
static void take_figures(struct lane *lane, bool first)
{
    struct spool *spool = &lane->spool;
    struct store_figures now;

    store_figures(lane->options.store, &now);
    counters_add(&lane->counters, COUNT_recovered, first ? now.rows : now.sent_again - spool->sent_again);
    counters_add(&lane->counters, COUNT_withdrawn, first ? 0 : now.withdrawn - spool->withdrawn);
    spool->sent_again = now.sent_again;
    spool->withdrawn = now.withdrawn;
}

void spool_succeed(struct lane *lane, const struct lane *former)
{
    lane->spool.sent_again = former->spool.sent_again;
    lane->spool.withdrawn = former->spool.withdrawn;
}

void spool_begin(struct lane *lane)
{
    if (!lane->spool.port)
        return;
    lane->spool.changes = store_changes(lane->options.store);
    lane->spool.first = store_numbers(lane->options.store, 1);
    take_figures(lane, !lane->options.is_heir);
    look(lane, true);
}

/* `topicrule dead` gives letters back. */
static void look_again(struct lane *lane)
{
    uint64_t changes;

    if (lane->now_ms < lane->spool.look_ms)
        return;
    lane->spool.look_ms = lane->now_ms + LOOK_MS;
    take_figures(lane, false);
    changes = store_changes(lane->options.store);
    if (changes == lane->spool.changes)
        return;
    lane->spool.changes = changes;
    look(lane, false);
}

/* ---- the loop's ---- */

int64_t spool_work(struct lane *lane)
{
    struct spool *spool = &lane->spool;

    if (!spool->port)
        return INT64_MAX;
    look_again(lane);
    spool_retry_errands(lane);
    if (spool->put_answer != STORE_DONE && lane->unsafe_count == 0 && lane->now_ms >= spool->retry_ms)
        spool->put_answer = STORE_DONE; /* nothing has to be put: the next that has to finds out */
    spool_put(lane);
    (void)spool_post_drops(lane);
    spool_age(lane);
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
    lane->spool.queues_most = SPOOL_QUEUES;
    if (!lane->options.store)
        return 0;
    lane->spool.port = store_port_new(lane->options.store, err);
    return lane->spool.port ? 0 : -1;
}

void spool_settle(struct lane *lane)
{
    struct spool *spool = &lane->spool;
    struct err err;

    spool->closing = true;
    while (spool->port) { /* what is on its way may drop rows when it is done: they take another turn */
        (void)spool_post_drops(lane);
        store_port_free(spool->port);
        spool->port = spool->drops.waiting_count > 0 ? store_port_new(lane->options.store, &err) : NULL;
    }
}

void spool_done(struct lane *lane)
{
    struct spool *spool = &lane->spool;

    spool_settle(lane);
    spool_free_errands(lane);
    spool_put_done(lane);
    arena_done(&spool->arena);
    free(spool->ended);
    free(spool->queues);
    *spool = (struct spool){0};
}
