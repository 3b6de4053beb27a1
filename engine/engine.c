/* The daemon around its lanes: what they are made from, when they start and stop, and what systemd is told.
 */
#include "engine_state.h"

#include "gather.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trim.h"

#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    TICK_MS = 250,
    READY_MS = 10000, /* systemd is told that we are ready after this, connected or not: we go on trying */
    STATUS_MS = 5000, /* between two status lines */
    GATHER_MS = 1000, /* between two looks at backends that are away at the start */
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
    engine->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    reload_init(&engine->reload, engine->wake_fd);
    engine->now = generation_new(options->config, NULL, rule_set_ref(options->rules), err);
    if (!engine->now)
        return NULL;
    if (engine->wake_fd < 0) {
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
    generation_free(engine->now);
    store_close(engine->store);
    watch_free(engine->watch);
    reload_done(&engine->reload);
    if (engine->wake_fd >= 0)
        (void)close(engine->wake_fd);
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
    (void)!write(engine->wake_fd, &one, sizeof one);
    errno = saved;
}

void engine_reload(struct engine *engine)
{
    (void)reload_ask(&engine->reload);
}

void engine_pause(struct engine *engine, int wait_ms)
{
    struct pollfd woken = {.fd = engine->wake_fd, .events = POLLIN};
    uint64_t count;

    if (poll(&woken, 1, wait_ms) > 0)
        (void)!read(engine->wake_fd, &count, sizeof count);
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
                     engine->opening.problem[0]                     ? engine->opening.problem
                     : !engine->store && engine->options.store_path ? "opening the store"
                     : !atomic_load(&engine->lane)                  ? "waiting for secrets"
                     : engine_is_ready(engine)                      ? "subscribed"
                                                                    : "not connected to the broker",
                     (unsigned long long)counters.received, (unsigned long long)counters.delivered,
                     (unsigned long long)counters.dropped);
    engine->status_ms = now_ms + STATUS_MS;
}

void engine_tell_systemd(struct engine *engine)
{
    const struct lane *lane = atomic_load(&engine->lane);
    const int64_t now_ms = clock_mono_ms();

    if (!engine->told_ready && (engine_is_ready(engine) || now_ms - engine->started_ms >= READY_MS)) {
        engine->told_ready = true;
        engine->status_ms = 0;
        (void)sd_notify(0, "READY=1");
        trim_memory();
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

    engine_tell_systemd(start->engine);
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
    const int64_t until = clock_mono_ms() + GATHER_MS;

    while (clock_mono_ms() < until && on_fetch(start))
        engine_pause(start->engine, TICK_MS);
}

/* Nothing is evaluated before every secret that stands in configuration and rules was there once. Returns 0
 * also when the engine was stopped meanwhile. */
static int gather_secrets(struct engine *engine, struct err *err)
{
    struct start start = {.engine = engine};
    const struct gathering gathering = {.config = engine->options.config,
                                        .rules = engine->now->rules,
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

static void forget_filters(struct engine *engine)
{
    if (engine->store)
        plan_forget(&engine->now->plan, engine->store, engine->now->lane);
}

static void look_after(struct engine *engine)
{
    while (!atomic_load(&engine->stopping)) {
        int64_t now_ms = clock_mono_ms();

        engine_tell_systemd(engine);
        renewal_turn(&engine->renewal, now_ms);
        watch_turn(engine->watch, engine->now->plan.login, now_ms);
        backlog_turn(&engine->backlog, engine->store, now_ms);
        forget_filters(engine);
        reload_turn(engine);
        engine_pause(engine, TICK_MS);
    }
}

static void stop_lane(struct engine *engine)
{
    struct engine_counters counters;

    (void)sd_notify(0, "STOPPING=1");
    log_info("engine", "stopping: what was read is brought to its end first");
    lane_stop(engine->now->lane);
    generation_join(engine->now);
    forget_filters(engine);
    engine_counters(engine, &counters);
    log_info("engine", "stopped: %" PRIu64 " messages received, %" PRIu64 " records delivered",
             counters.received, counters.delivered);
}

struct subject engine_subject(struct engine *engine)
{
    return (struct subject){
        .config = engine->now->config,
        .rules = engine->now->rules,
        .lane = atomic_load(&engine->lane),
        .secrets = engine->options.secrets,
        .store = engine->store,
        .opening = engine->opening,
        .reload = &engine->reload,
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
    const struct subject subject = engine_subject(engine);
    engine->admin = admin_new(listen, &subject, err);
    if (engine->admin || err->code == ERR_NONE)
        return 0;
    if (listen->how != LISTEN_STANDARD)
        return -1;
    log_err(LOG_WARN, "admin", err);
    return 0;
}

static int try_store(struct engine *engine, struct err *err)
{
    struct start start = {.engine = engine};

    if (!engine->options.store_path)
        return 0;
    const int result = opening_try(&engine->opening, on_fetch, &start, &engine->store, err);
    engine->status_ms = 0; /* it may be another status now */
    return result;
}

/* A first try. 0 also when only time can help: then `opening.problem` says with what. */
static int open_store(struct engine *engine, struct err *err)
{
    const struct config *config = engine->options.config;

    engine->opening.options = (struct store_options){.path = engine->options.store_path,
                                                     .max_bytes = config->delivery.store_bytes,
                                                     .dead_max_bytes = config->delivery.dead_bytes};
    return try_store(engine, err);
}

/* 0 also when the engine was stopped meanwhile. */
static int await_store(struct engine *engine, struct err *err)
{
    struct start start = {.engine = engine};

    while (engine->opening.problem[0] && !atomic_load(&engine->stopping)) {
        pause_start(&start);
        if (try_store(engine, err) != 0)
            return -1;
        const struct subject subject = engine_subject(engine);
        admin_show(engine->admin, &subject);
    }
    return 0;
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
    const struct generation_frame frame = {engine->options.secrets, engine->store, NULL};
    if (generation_make(engine->now, &frame, err) != 0)
        return atomic_load(&engine->stopping) ? 0 : -1;
    atomic_store(&engine->lane, engine->now->lane);
    const struct subject whole = engine_subject(engine);
    admin_show(engine->admin, &whole);
    renewal_begin(&engine->renewal, &engine->now->plan, engine->now->lane);
    engine->started_ms = clock_mono_ms();
    if (generation_start(engine->now, err) != 0)
        return -1;
    engine->watch = watch_new(engine->options.config);
    look_after(engine);
    stop_lane(engine);
    return 0;
}
