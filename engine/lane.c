/* The loop of a lane: read a batch, let it go, wait until all of it is safe, then acknowledge. */
#include "lane.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    HOLD_MS = 1000,    /* delivery.hold */
    OLD_HOLD_MS = 200, /* the same under MQTT 3.1.1, whose brokers queue little */
    STORING_MS = 2000, /* what the disk may take; a hold longer than both is worth a line */
    GRACE_MS = 10000,  /* to settle what was read, after lane_stop */
    IDLE_MS = 1000,    /* the loop turns at least that often: the watchdog looks at it */
    EVENTS = 64,
};

void lane_out_of_memory(void)
{
    log_error("engine", "out of memory: stopping here, so that the broker sends again what is not safe");
    abort();
}

bool lane_has_room(const struct lane *lane)
{
    return lane->read_messages < LANE_MESSAGES && lane->read_bytes < LANE_PAYLOAD &&
           lane->unsafe_count + lane->spool.errands < LANE_RECORDS &&
           lane->bytes + lane->spool.errand_bytes < LANE_RECORD_BYTES;
}

/* ---- what the session tells ---- */

static void on_message(void *context, const struct message *message)
{
    evaluate(context, message);
}

/* Messages of an earlier connection first: read now, the same ones would be produced beside them. */
static bool may_read(const struct lane *lane)
{
    return lane->hold.orphans == 0 && park_is_empty(lane) && lane_has_room(lane);
}

static bool on_more(void *context)
{
    return may_read(context);
}

static void on_connected(void *context, bool resumed)
{
    struct lane *lane = context;

    if (resumed) {
        lane->resent_before = lane->hold.epoch;
        dispatch_forget_resent(lane);
    } else {
        lane->session_since = lane->hold.epoch;
    }
    park_connected(lane);
}

static void on_lost(void *context)
{
    struct lane *lane = context;

    lane->read_messages = lane->read_bytes = 0;
    park_lost(lane);
}

struct session_events lane_session_events(struct lane *lane)
{
    return (struct session_events){lane, on_message, on_more, on_connected, on_lost};
}

void lane_give_secrets(struct lane *lane, struct render_secrets *secrets)
{
    render_secrets_free(atomic_exchange(&lane->fresh_secrets, secrets));
}

/* Between batches: nothing that came out of the old ones is in use. */
static void take_secrets(struct lane *lane)
{
    struct render_secrets *fresh = atomic_exchange(&lane->fresh_secrets, NULL);

    if (!fresh)
        return;
    host_set_computed(fresh, lane->computed);
    lane->host = render_host(fresh);
    render_secrets_free(lane->secrets);
    lane->secrets = fresh;
}

static void wake(struct lane *lane)
{
    const uint64_t one = 1;

    (void)!write(lane->wake_fd, &one, sizeof one);
}

void lane_stop(struct lane *lane)
{
    atomic_store(&lane->stop, true);
    wake(lane);
}

void lane_part(struct lane *lane)
{
    atomic_store(&lane->parting, true);
    lane_stop(lane);
}

void lane_begin(struct lane *lane)
{
    atomic_store(&lane->begun, true);
    wake(lane);
}

/* ---- running ---- */

static int64_t soonest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void take_event(struct lane *lane, const struct epoll_event *event)
{
    uint64_t count;

    switch (event->data.u64) {
    case SOURCE_WAKE: (void)!read(lane->wake_fd, &count, sizeof count); break;
    case SOURCE_SESSION: session_event(lane->session, event->events, lane->now_ms); break;
    case SOURCE_STORE: spool_poll(lane); break;
    default: client_poll(&lane->clients[event->data.u64 - SOURCE_CLIENTS]); break;
    }
}

static void wait_for_events(struct lane *lane, int64_t due_ms)
{
    struct epoll_event events[EVENTS];
    int64_t wait = due_ms - clock_mono_ms();
    int count = epoll_wait(lane->epoll_fd, events, EVENTS,
                           wait < 0         ? 0
                           : wait > IDLE_MS ? IDLE_MS
                                            : (int)wait);

    lane->now_ms = clock_mono_ms();
    atomic_store_explicit(&lane->heartbeat_ms, lane->now_ms, memory_order_relaxed);
    for (int i = 0; i < count; i++)
        take_event(lane, &events[i]);
    /* A wake-up that was lost would hold a batch for ever: a quiet moment is a good one to look. */
    for (size_t i = 0; count == 0 && i < lane->options.target_count; i++)
        client_poll(&lane->clients[i]);
}

int64_t lane_hold_ms(const struct lane *lane)
{
    int64_t wanted = lane->options.config->delivery.hold_ms;

    if (wanted > 0)
        return wanted;
    return lane->session && session_is_up(lane->session) && !session_is_v5(lane->session) ? OLD_HOLD_MS
                                                                                          : HOLD_MS;
}

static int64_t patience_ms(const struct lane *lane)
{
    return lane_hold_ms(lane) + (lane->options.store ? STORING_MS : 0);
}

/* One line when a hold is long, one when it ends. */
static void watch_hold(struct lane *lane)
{
    const size_t held = lane->hold.unsettled + lane->hold.orphans;

    if (held == 0) {
        if (lane->holding_logged)
            log_info("engine", "everything read is safe again after %lld s; reading on",
                     (long long)(lane->now_ms - lane->holding_since_ms) / 1000);
        lane->holding_since_ms = 0;
        lane->holding_logged = false;
    } else if (lane->holding_since_ms == 0) {
        lane->holding_since_ms = lane->now_ms;
    } else if (!lane->holding_logged && lane->now_ms - lane->holding_since_ms >= patience_ms(lane)) {
        lane->holding_logged = true;
        log_warn(
            "engine",
            "%zu rule match%s not safe after %lld ms%s: held, not acknowledged, and nothing more is read "
            "until then",
            held, held == 1 ? " is" : "es are", (long long)(lane->now_ms - lane->holding_since_ms),
            spool_trouble(lane));
    }
}

static void publish_gauges(struct lane *lane)
{
    atomic_store_explicit(&lane->gauges.in_flight, lane->unsafe_count + lane->spool.errands,
                          memory_order_relaxed);
    atomic_store_explicit(&lane->gauges.held, lane->hold.unsettled + lane->hold.orphans,
                          memory_order_relaxed);
}

/* Everything that is not an event. Returns when to come again at the latest. */
static int64_t do_work(struct lane *lane)
{
    take_secrets(lane);
    client_work(lane);
    int64_t due = park_work(lane);
    spool_overdue(lane);
    dispatch_waiting(lane);
    settle_reports(lane);
    due = soonest(due, soonest(spool_work(lane), client_next_due(lane)));
    watch_hold(lane);
    publish_gauges(lane);
    return soonest(due, lane->streams.due_ms);
}

/* Hold, then flush: nothing is written while something is unsettled, nothing is read until all is written. */
static void acknowledge(struct lane *lane)
{
    if (lane->hold.unsettled > 0)
        return;
    if (session_wants_flush(lane->session))
        (void)session_flush(lane->session);
    batch_turn(lane);
}

static int64_t tick_session(struct lane *lane)
{
    /* Resolving a name may take long, and is not a hang. */
    if (!session_is_up(lane->session))
        atomic_store_explicit(&lane->heartbeat_ms, INT64_MAX, memory_order_relaxed);
    int64_t due = session_tick(lane->session, lane->now_ms);
    lane->now_ms = clock_mono_ms();
    atomic_store_explicit(&lane->heartbeat_ms, lane->now_ms, memory_order_relaxed);
    return due;
}

/* Clients come first, so that the first batch finds them ready. But not for ever: once we are connected and
 * subscribed, the broker queues for us what we cannot take yet. */
static void wait_for_clients(struct lane *lane)
{
    const int64_t until = lane->now_ms + lane_hold_ms(lane);

    while (!atomic_load(&lane->stop)) {
        int64_t due = do_work(lane);

        if (client_all_ready(lane) || lane->now_ms >= until)
            return;
        wait_for_events(lane, soonest(due, until));
    }
}

static void run_until_stopped(struct lane *lane)
{
    while (!atomic_load(&lane->stop)) {
        int64_t due = do_work(lane);

        acknowledge(lane);
        session_read(lane->session,
                     (lane->hold.unsettled == 0 || session_must_read_on(lane->session)) && may_read(lane));
        due = soonest(due, tick_session(lane));
        wait_for_events(lane, due);
    }
}

/* What it has may still be delivered, and then need not be sent again: but it may be for a topic that is
 * refused, or a partition without a leader, and stay there for ever. */
static bool is_delivering(const struct lane *lane, const struct client *client, int64_t since_ms)
{
    const int64_t last_ms = client->delivered_ms > since_ms ? client->delivered_ms : since_ms;

    return client->in_flight > 0 && !client->stalled && lane->now_ms - last_ms < lane_hold_ms(lane);
}

bool lane_is_busy(const struct lane *lane, int64_t since_ms)
{
    if (session_must_read_on(lane->session)) /* else all of it would come twice */
        return true;
    if (lane->unsafe_count > 0 || lane->reports || park_is_moving(lane) || !spool_is_quiet(lane))
        return true;
    for (size_t i = 0; i < lane->options.target_count; i++)
        if (is_delivering(lane, &lane->clients[i], since_ms))
            return true;
    return false;
}

/* Bring what was read to its end and acknowledge it. False: it is not safe in time, and not acknowledged. */
static bool settle_all(struct lane *lane, int64_t until)
{
    const int64_t since_ms = lane->now_ms;

    while (lane_is_busy(lane, since_ms) && lane->now_ms < until) {
        int64_t due = do_work(lane);

        session_read(lane->session, session_must_read_on(lane->session) && may_read(lane));
        if (session_is_up(lane->session))
            due = soonest(due, session_tick(lane->session, lane->now_ms));
        wait_for_events(lane, soonest(soonest(due, until), lane->now_ms + 100));
    }
    session_read(lane->session, false);
    settle_reports(lane);
    if (lane->hold.unsettled > 0) {
        log_warn(
            "engine",
            "%zu rule matches are not safe and stay unacknowledged: the broker sends their messages again",
            lane->hold.unsettled);
        return false;
    }
    for (bool flushed = session_flush(lane->session); !flushed;
         flushed = !session_is_flushing(lane->session)) {
        if (lane->now_ms >= until)
            return false;
        wait_for_events(lane, lane->now_ms + 100);
    }
    return true;
}

/* Leave so that every acknowledgement arrives. */
static void leave(struct lane *lane, int64_t until)
{
    while (!session_finish(lane->session, lane->now_ms) && lane->now_ms < until)
        wait_for_events(lane, lane->now_ms + 100);
}

/* The lane before this one still runs: only clients are opened. */
static void wait_for_turn(struct lane *lane)
{
    while (!atomic_load(&lane->begun) && !atomic_load(&lane->stop)) {
        client_work(lane);
        if (client_all_ready(lane))
            atomic_store(&lane->prepared, true);
        wait_for_events(lane, client_next_due(lane));
    }
}

void lane_run(struct lane *lane)
{
    lane->now_ms = clock_mono_ms();
    if (lane->options.is_heir)
        wait_for_turn(lane);
    if (lane->session) {
        spool_begin(lane);
        if (lane->options.is_heir)
            session_go_on(lane->session);
        else
            wait_for_clients(lane);
        run_until_stopped(lane);

        const int64_t until = lane->now_ms + GRACE_MS;
        const bool settled = settle_all(lane, until);
        if (atomic_load(&lane->parting))
            lane->parted = settled && lane->hold.orphans == 0;
        else if (settled)
            leave(lane, until);
    }
    client_close_all(lane, lane->now_ms);
    if (atomic_load(&lane->parting))
        spool_settle(lane); /* it still counts, and the heir is to see it on the disk */
    publish_gauges(lane);
    atomic_store(&lane->over, true);
}
