/* The loop of a lane: read a batch, let it go, wait until all of it is safe, then acknowledge. */
#include "lane.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    HOLD_MS = 1000,    /* delivery.hold */
    OLD_HOLD_MS = 200, /* the same under MQTT 3.1.1, whose brokers queue little */
    STORING_MS = 2000, /* what the disk may take; a hold longer than both is worth a line */
    GRACE_MS = 10000,  /* to settle what was read, after lane_stop */
    IDLE_MS = 1000,    /* the loop turns at least that often: the watchdog looks at it */
    EVENTS = 64,
};

/* What epoll reports: one of these, or SOURCE_CLIENTS + the client's place. */
enum { SOURCE_WAKE, SOURCE_SESSION, SOURCE_STORE, SOURCE_CLIENTS };

DEFINE_DROP(lane, struct lane *, lane_free)

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

/* ---- making one ---- */

static bool calls(const struct sql_template *tmpl, const char *name)
{
    return tmpl && sql_template_calls(tmpl, name);
}

static bool action_calls(const struct rule_action *action, const char *name)
{
    if (!action->type)
        return false;
    for (size_t i = 0; action->type->fields[i].name; i++)
        if (calls(action->fields[i], name))
            return true;
    for (size_t i = 0; i < action->pair_count; i++)
        if (calls(action->pairs[i].key, name) || calls(action->pairs[i].value, name))
            return true;
    return false;
}

static bool rule_calls(const struct rule *rule, const char *name)
{
    if (sql_program_calls(rule->program, name) ||
        (rule->error_action && action_calls(rule->error_action, name)))
        return true;
    for (size_t i = 0; i < rule->action_count; i++)
        if (action_calls(&rule->actions[i], name))
            return true;
    return false;
}

static bool wants_properties(const struct config *config, const struct rule_set *rules)
{
    if (config->identity.client_id.user_property || config->identity.principal.user_property ||
        config->identity.source_ip.user_property)
        return true;
    for (size_t i = 0; i < rules->count; i++)
        if (rule_calls(rules->rules[i], "get_mqtt_property") ||
            rule_calls(rules->rules[i], "get_user_properties"))
            return true;
    return false;
}

static struct lane_action *add_action(struct lane *lane, struct lane_rule *rule, int place,
                                      const struct rule_action *action, size_t target)
{
    struct lane_action *added = &lane->actions[lane->action_count++];

    *added = (struct lane_action){
        .action = action, .rule = rule, .place = place, .client = &lane->clients[target]};
    while (action->type->fields[added->field_count].name)
        added->field_count++;
    return added;
}

static int make_rules(struct lane *lane, struct err *err)
{
    const struct rule_set *set = lane->options.rules;
    size_t actions = 0;

    for (size_t i = 0; i < set->count; i++)
        actions += set->rules[i]->action_count + 1;
    lane->rules = calloc(set->count + 1, sizeof *lane->rules);
    lane->actions = calloc(actions + 1, sizeof *lane->actions);
    lane->matches = calloc(set->count + 1, sizeof *lane->matches);
    if (!lane->rules || !lane->actions || !lane->matches)
        return err_memory(err);
    for (size_t i = 0; i < set->count; i++) {
        const struct rule *rule = set->rules[i];
        const size_t *targets = lane->options.target_of[i];
        struct lane_rule *made = &lane->rules[i];

        *made = (struct lane_rule){.rule = rule, .actions = &lane->actions[lane->action_count]};
        for (size_t a = 0; a < rule->action_count; a++)
            if (rule->actions[a].type) {
                (void)add_action(lane, made, (int)a, &rule->actions[a], targets[a]);
                made->action_count++;
            }
        if (rule->error_action && rule->error_action->type)
            made->error_action =
                add_action(lane, made, STORE_ERROR_ACTION, rule->error_action, targets[rule->action_count]);
        made->asks = render_computes_secrets(rule);
        made->traced = made->error_action && rule_calls(rule, "traceid");
    }
    return 0;
}

static int make_clients(struct lane *lane, struct err *err)
{
    return client_init(lane, SOURCE_CLIENTS) == 0 ? 0 : err_memory(err);
}

static int make_loop(struct lane *lane, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOURCE_WAKE};

    lane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->epoll_fd < 0 || lane->wake_fd < 0 ||
        epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, lane->wake_fd, &event) != 0)
        return err_set(err, ERR_IO, "cannot make an event loop: %s", strerror(errno));
    return 0;
}

static int make_spool(struct lane *lane, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOURCE_STORE};

    if (spool_init(lane, err) != 0)
        return -1;
    if (spool_fd(lane) >= 0 && epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, spool_fd(lane), &event) != 0)
        return err_set(err, ERR_IO, "cannot watch the store: %s", strerror(errno));
    return 0;
}

static int make_scope(struct lane *lane, struct err *err)
{
    lane->host = render_host(NULL);
    lane->scope = sql_scope_new(&lane->host, SQL_LIMITS_DEFAULT, err);
    lane->trace_id = sql_template_compile(SPAN("${traceid()}"), NULL, SQL_2016_03_23, err);
    return lane->scope && lane->trace_id ? 0 : -1;
}

static int make_computed(struct lane *lane, struct err *err)
{
    const struct lane_options *options = &lane->options;
    bool asked = false;

    for (size_t i = 0; i < options->rules->count; i++)
        asked |= lane->rules[i].asks && !lane->rules[i].rule->disabled;
    if (!asked || !options->secrets)
        return 0;
    lane->computed = computed_new(options->config, options->secrets, lane->wake_fd, err);
    return lane->computed ? 0 : -1;
}

static int make_session(struct lane *lane, struct err *err)
{
    const struct lane_options *options = &lane->options;
    const struct session_options session = {
        .config = options->config,
        .login = options->login,
        .route = options->route,
        .rules = options->rules,
        .wants_properties = wants_properties(options->config, options->rules),
        .epoll_fd = lane->epoll_fd,
        .epoll_data = SOURCE_SESSION,
        .hold = &lane->hold,
        .counters = &lane->counters,
        .events = {lane, on_message, on_more, on_connected, on_lost},
    };

    lane->session = session_new(&session, err);
    return lane->session ? 0 : -1;
}

struct lane *lane_new(const struct lane_options *options, struct err *err)
{
    AUTO(lane_drop) struct lane *lane = calloc(1, sizeof *lane);

    if (!lane) {
        err_memory(err);
        return NULL;
    }
    lane->options = *options;
    lane->epoll_fd = lane->wake_fd = -1;
    lane->hold.epoch = 1;
    lane->reports_end = &lane->reports;
    atomic_init(&lane->heartbeat_ms, clock_mono_ms());
    dispatch_init(lane);
    if (batch_init(lane) != 0) {
        err_memory(err);
        return NULL;
    }
    if (make_loop(lane, err) != 0 || make_spool(lane, err) != 0 || make_clients(lane, err) != 0 ||
        make_rules(lane, err) != 0 || make_scope(lane, err) != 0 || make_computed(lane, err) != 0 ||
        make_session(lane, err) != 0)
        return NULL;
    return TAKE(lane);
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    client_done(lane); /* what comes back from it may be given up, which the session is told */
    session_free(lane->session);
    computed_free(lane->computed);
    park_done(lane);
    spool_done(lane);
    dispatch_done(lane);
    batch_done(lane);
    sql_template_free(lane->trace_id);
    sql_scope_free(lane->scope);
    render_secrets_free(lane->secrets);
    render_secrets_free(atomic_load(&lane->fresh_secrets));
    free(lane->rules);
    free(lane->actions);
    free(lane->matches);
    if (lane->epoll_fd >= 0)
        (void)close(lane->epoll_fd);
    if (lane->wake_fd >= 0)
        (void)close(lane->wake_fd);
    free(lane);
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

void lane_stop(struct lane *lane)
{
    const uint64_t one = 1;

    atomic_store(&lane->stop, true);
    (void)!write(lane->wake_fd, &one, sizeof one);
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
    return session_is_up(lane->session) && !session_is_v5(lane->session) ? OLD_HOLD_MS : HOLD_MS;
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

/* Is there something that a little time may bring to its end? What a stalled client has is on the disk. */
static bool is_busy(const struct lane *lane)
{
    if (lane->unsafe_count > 0 || lane->reports || park_is_moving(lane) || !spool_is_quiet(lane))
        return true;
    for (size_t i = 0; i < lane->options.target_count; i++)
        if (lane->clients[i].in_flight > 0 && !lane->clients[i].stalled)
            return true;
    return false;
}

/* Settle what was read, acknowledge it, and leave so that every acknowledgement arrives. What is not safe in
 * time is not acknowledged. */
static void leave(struct lane *lane)
{
    const int64_t until = lane->now_ms + GRACE_MS;

    session_read(lane->session, false);
    while (is_busy(lane) && lane->now_ms < until) {
        int64_t due = do_work(lane);

        if (session_is_up(lane->session))
            due = soonest(due, session_tick(lane->session, lane->now_ms));
        wait_for_events(lane, soonest(due, until));
    }
    settle_reports(lane);
    if (lane->hold.unsettled > 0) {
        log_warn(
            "engine",
            "%zu rule matches are not safe and stay unacknowledged: the broker sends their messages again",
            lane->hold.unsettled);
        return;
    }
    bool flushed = session_flush(lane->session);
    while (!flushed || !session_finish(lane->session, lane->now_ms)) {
        if (lane->now_ms >= until)
            return;
        wait_for_events(lane, lane->now_ms + 100);
        flushed = flushed || !session_is_flushing(lane->session);
    }
}

void lane_run(struct lane *lane)
{
    lane->now_ms = clock_mono_ms();
    spool_begin(lane);
    wait_for_clients(lane);
    run_until_stopped(lane);
    leave(lane);
    client_close_all(lane, lane->now_ms);
}
