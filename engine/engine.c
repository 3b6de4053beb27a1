/* The daemon around its lanes: what they are made from, when they start and stop, and what systemd is told.
 */
#include "engine/engine.h"

#include "admin.h"
#include "backlog.h"
#include "dropped.h"
#include "gather.h"
#include "lane.h"
#include "opening.h"
#include "plan.h"
#include "renewal.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    TICK_MS = 250,
    READY_MS = 10000, /* systemd is told that we are ready after this, connected or not: we go on trying */
    STATUS_MS = 5000, /* between two status lines */
    GATHER_MS = 1000, /* between two looks at backends that are away at the start */
};

struct engine {
    struct engine_options options;
    struct rule_set *rules;
    int stop_fd;
    atomic_bool stopping;
    struct lane *_Atomic lane; /* while engine_run runs, and after */
    pthread_t thread;
    struct store *store; /* NULL: none */
    struct opening opening;
    struct plan plan;
    struct admin *admin; /* NULL: nowhere */
    struct watch *watch; /* of what the broker drops */
    struct backlog backlog;
    struct renewal renewal;
    bool planned;

    int64_t started_ms, status_ms, watchdog_ms;
    int64_t started_wall_ms;
    bool told_ready;
};

DEFINE_DROP(engine, struct engine *, engine_free)

struct engine *engine_new(const struct engine_options *options, struct err *err)
{
    AUTO(engine_drop) struct engine *engine = calloc(1, sizeof *engine);

    if (!engine) {
        err_memory(err);
        return NULL;
    }
    (void)mosquitto_lib_init(); /* counted: every engine has its own */
    engine->options = *options;
    engine->rules = rule_set_ref(options->rules);
    engine->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (engine->stop_fd < 0) {
        (void)err_set(err, ERR_IO, "cannot make an event descriptor: %s", strerror(errno));
        return NULL;
    }
    return TAKE(engine);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    admin_free(engine->admin);
    renewal_end(&engine->renewal);
    lane_free(atomic_load(&engine->lane));
    store_close(engine->store);
    watch_free(engine->watch);
    if (engine->planned)
        plan_done(&engine->plan);
    rule_set_free(engine->rules);
    if (engine->stop_fd >= 0)
        (void)close(engine->stop_fd);
    (void)mosquitto_lib_cleanup();
    free(engine);
}

void engine_stop(struct engine *engine)
{
    const uint64_t one = 1;
    int saved = errno;

    atomic_store(&engine->stopping, true);
    if (engine->options.secrets && !atomic_load(&engine->lane))
        secrets_give_up(engine->options.secrets); /* the start waits for them */
    (void)!write(engine->stop_fd, &one, sizeof one);
    errno = saved;
}

bool engine_is_ready(const struct engine *engine)
{
    const struct lane *lane = atomic_load(&engine->lane);

    return lane && session_is_ready(lane->session);
}

void engine_counters(const struct engine *engine, struct engine_counters *out)
{
    const struct lane *lane = atomic_load(&engine->lane);

    *out = (struct engine_counters){0};
    if (!lane)
        return;
#define X(name) out->name += atomic_load_explicit(&lane->counters.value[COUNT_##name], memory_order_relaxed);
    COUNTERS(X)
#undef X
    _Static_assert(sizeof *out == COUNTER_COUNT * sizeof(uint64_t),
                   "a counter is missing in one of the lists");
}

/* ---- systemd ---- */

static void tell_status(struct engine *engine, int64_t now_ms)
{
    struct engine_counters counters;

    engine_counters(engine, &counters);
    (void)sd_notifyf(0, "STATUS=%s; %llu messages received, %llu records delivered, %llu failures dropped",
                     engine->opening.problem[0]    ? engine->opening.problem
                     : !atomic_load(&engine->lane) ? "waiting for secrets"
                     : engine_is_ready(engine)     ? "subscribed"
                                                   : "not connected to the broker",
                     (unsigned long long)counters.received, (unsigned long long)counters.delivered,
                     (unsigned long long)counters.dropped);
    engine->status_ms = now_ms + STATUS_MS;
}

static void tell_systemd(struct engine *engine, int64_t now_ms)
{
    const struct lane *lane = atomic_load(&engine->lane);

    if (!engine->told_ready && (engine_is_ready(engine) || now_ms - engine->started_ms >= READY_MS)) {
        engine->told_ready = true;
        engine->status_ms = 0;
        (void)sd_notify(0, "READY=1");
    }
    if (now_ms >= engine->status_ms)
        tell_status(engine, now_ms);
    if (engine->watchdog_ms > 0) {
        int64_t beat = lane ? atomic_load_explicit(&lane->heartbeat_ms, memory_order_relaxed) : INT64_MAX;

        if (beat == INT64_MAX || now_ms - beat < engine->watchdog_ms)
            (void)sd_notify(0, "WATCHDOG=1");
    }
}

/* ---- secrets that are needed to start ---- */

struct start {
    struct engine *engine;
    struct err away; /* the first of this round */
    size_t awaited;  /* in the last round */
};

static void on_missing(void *context, const struct err *err, bool is_away)
{
    struct start *start = context;

    if (!is_away || !start->engine->options.config->secrets.wait_at_start)
        log_err(LOG_ERROR, "secrets", err);
    else if (start->away.code == ERR_NONE)
        start->away = *err;
}

static bool on_fetch(void *context)
{
    struct start *start = context;

    tell_systemd(start->engine, clock_mono_ms());
    return !atomic_load(&start->engine->stopping);
}

/* One line when the wait begins, ends, or is for fewer or more. */
static void say_awaited(struct start *start, size_t awaited)
{
    if (awaited == start->awaited)
        return;
    start->awaited = awaited;
    if (awaited == 0) {
        log_info("secrets", "all secrets that configuration and rules name are here now");
        return;
    }
    err_prefix(&start->away, "waiting for %zu %s", awaited,
               awaited == 1 ? "secret" : "secrets, this is the first");
    log_err(LOG_WARN, "secrets", &start->away);
}

static void pause_start(struct start *start)
{
    struct pollfd stop = {.fd = start->engine->stop_fd, .events = POLLIN};
    const int64_t until = clock_mono_ms() + GATHER_MS;

    while (clock_mono_ms() < until && on_fetch(start))
        (void)poll(&stop, 1, TICK_MS);
}

/* Nothing is evaluated before every secret that stands in configuration and rules was there once. Returns 0
 * also when the engine was stopped meanwhile. */
static int gather_secrets(struct engine *engine, struct err *err)
{
    struct start start = {.engine = engine};
    const struct gathering gathering = {.config = engine->options.config,
                                        .rules = engine->rules,
                                        .secrets = engine->options.secrets,
                                        .context = &start,
                                        .missing = on_missing,
                                        .go_on = on_fetch};

    for (;;) {
        start.away.code = ERR_NONE;
        const struct gathered found = gather(&gathering);
        if (found.gave_up || atomic_load(&engine->stopping))
            return 0;
        if (found.refused > 0 || (found.away > 0 && !engine->options.config->secrets.wait_at_start))
            return err_set(err, ERR_SECRET, "not started: what was logged above cannot be had (%zu %s)",
                           found.refused + found.away,
                           found.refused + found.away == 1 ? "secret" : "secrets");
        say_awaited(&start, found.away);
        if (found.away == 0)
            return 0;
        pause_start(&start);
    }
}

/* ---- running ---- */

static void *run_lane(void *lane)
{
    lane_run(lane);
    return NULL;
}

/* Signals are for the caller's thread. */
static int start_lane(struct engine *engine, struct lane *lane, struct err *err)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&engine->thread, NULL, run_lane, lane);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? err_set(err, ERR_IO, "cannot start a thread: %s", strerror(error)) : 0;
}

static int make_lane(struct engine *engine, struct err *err)
{
    const struct plan *plan = &engine->plan;
    const struct lane_options options = {
        .config = engine->options.config,
        .rules = engine->rules,
        .route = plan->route,
        .secrets = engine->options.secrets,
        .login = plan->login,
        .targets = plan->targets,
        .target_count = plan->target_count,
        .store = engine->store,
        .target_of = (const size_t *const *)plan->target_of,
    };
    struct lane *lane = lane_new(&options, err);

    atomic_store(&engine->lane, lane);
    return lane ? 0 : -1;
}

static void forget_filters(struct engine *engine)
{
    if (engine->store)
        plan_forget(&engine->plan, engine->store, atomic_load(&engine->lane));
}

static void look_after(struct engine *engine)
{
    struct pollfd stop = {.fd = engine->stop_fd, .events = POLLIN};

    while (!atomic_load(&engine->stopping)) {
        int64_t now_ms = clock_mono_ms();

        tell_systemd(engine, now_ms);
        renewal_turn(&engine->renewal, now_ms);
        watch_turn(engine->watch, engine->plan.login, now_ms);
        backlog_turn(&engine->backlog, engine->store, now_ms);
        forget_filters(engine);
        (void)poll(&stop, 1, TICK_MS);
    }
}

static void stop_lane(struct engine *engine)
{
    struct lane *lane = atomic_load(&engine->lane);

    struct engine_counters counters;

    (void)sd_notify(0, "STOPPING=1");
    log_info("engine", "stopping: what was read is brought to its end first");
    lane_stop(lane);
    (void)pthread_join(engine->thread, NULL);
    forget_filters(engine);
    engine_counters(engine, &counters);
    log_info("engine", "stopped: %" PRIu64 " messages received, %" PRIu64 " records delivered",
             counters.received, counters.delivered);
}

static struct subject subject_of(struct engine *engine)
{
    return (struct subject){
        .config = engine->options.config,
        .rules = engine->rules,
        .lane = atomic_load(&engine->lane),
        .secrets = engine->options.secrets,
        .store = engine->store,
        .opening = engine->opening,
        .stopping = &engine->stopping,
        .version = engine->options.version,
        .started_ms = engine->started_wall_ms,
    };
}

/* An address of our own choice that cannot be had is no reason to leave messages where they are. */
static int open_admin(struct engine *engine, struct err *err)
{
    const struct listen *listen = &engine->options.config->admin.listen;

    engine->started_wall_ms = clock_wall_ms();
    const struct subject subject = subject_of(engine);
    engine->admin = admin_new(listen, &subject, err);
    if (engine->admin || err->code == ERR_NONE)
        return 0;
    if (listen->how != LISTEN_STANDARD)
        return -1;
    log_err(LOG_WARN, "admin", err);
    return 0;
}

/* A first try. 0 also when only time can help: then `opening.problem` says with what. */
static int open_store(struct engine *engine, struct err *err)
{
    const struct config *config = engine->options.config;

    engine->opening.options = (struct store_options){.path = engine->options.store_path,
                                                     .max_bytes = config->delivery.store_bytes,
                                                     .dead_max_bytes = config->delivery.dead_bytes};
    return engine->options.store_path ? opening_try(&engine->opening, &engine->store, err) : 0;
}

/* 0 also when the engine was stopped meanwhile. */
static int await_store(struct engine *engine, struct err *err)
{
    struct start start = {.engine = engine};

    while (engine->opening.problem[0] && !atomic_load(&engine->stopping)) {
        pause_start(&start);
        if (opening_try(&engine->opening, &engine->store, err) != 0)
            return -1;
        const struct subject subject = subject_of(engine);
        admin_show(engine->admin, &subject);
    }
    return 0;
}

/* Without kept identifiers a message that was queued for us may run a rule twice: no reason not to start. */
static void identify_filters(struct engine *engine)
{
    struct err err;

    if (engine->store && plan_identify(&engine->plan, engine->store, &err) != 0)
        log_err(LOG_WARN, "store", &err);
}

int engine_run(struct engine *engine, struct err *err)
{
    uint64_t watchdog_us = 0;

    engine->started_ms = clock_mono_ms();
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        engine->watchdog_ms = (int64_t)(watchdog_us / 1000);
    if (open_store(engine, err) != 0 || renewal_start(&engine->renewal, engine->options.secrets, err) != 0 ||
        open_admin(engine, err) != 0 || await_store(engine, err) != 0 || gather_secrets(engine, err) != 0)
        return -1;
    if (atomic_load(&engine->stopping))
        return 0;
    engine->planned = true;
    if (plan_make(&engine->plan, engine->options.config, engine->rules, engine->options.secrets, err) != 0)
        return atomic_load(&engine->stopping) ? 0 : -1;
    identify_filters(engine);
    if (make_lane(engine, err) != 0)
        return atomic_load(&engine->stopping) ? 0 : -1;
    const struct subject whole = subject_of(engine);
    admin_show(engine->admin, &whole);
    renewal_begin(&engine->renewal, &engine->plan, atomic_load(&engine->lane));
    engine->started_ms = clock_mono_ms();
    if (start_lane(engine, atomic_load(&engine->lane), err) != 0)
        return -1;
    engine->watch = watch_new(engine->options.config);
    look_after(engine);
    stop_lane(engine);
    return 0;
}
