#include "reload.h"

#include "engine_state.h"
#include "gather.h"
#include "json.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    PREPARE_MS = 10000, /* for the connections of the new rules; they are tried on afterwards */
    LOOK_MS = 5,        /* between two looks whether a lane has come so far */
};

/* ---- asking, and what came of it ---- */

void reload_init(struct reload *reload, int wake_fd)
{
    *reload = (struct reload){.wake_fd = wake_fd, .said = BUF_INIT};
    (void)pthread_mutex_init(&reload->lock, NULL);
}

void reload_done(struct reload *reload)
{
    buf_done(&reload->said);
    (void)pthread_mutex_destroy(&reload->lock);
}

uint64_t reload_ask(struct reload *reload)
{
    const uint64_t number = atomic_fetch_add(&reload->asked, 1) + 1, one = 1;
    int saved = errno;

    (void)!write(reload->wake_fd, &one, sizeof one);
    errno = saved;
    return number;
}

void reload_json(struct reload *reload, struct buf *out)
{
    struct json json = {.out = out};

    (void)pthread_mutex_lock(&reload->lock);
    json_open(&json, NULL, '{');
    json_count(&json, "asked", atomic_load(&reload->asked));
    json_count(&json, "done", reload->done);
    json_bool(&json, "refused", reload->refused);
    json_text(&json, "text", reload->said.data ? reload->said.data : "");
    json_close(&json, '}');
    buf_char(out, '\n');
    (void)pthread_mutex_unlock(&reload->lock);
}

/* `said` is taken. */
static void tell_outcome(struct reload *reload, uint64_t number, bool refused, struct buf *said)
{
    (void)pthread_mutex_lock(&reload->lock);
    reload->done = number;
    reload->refused = refused;
    buf_done(&reload->said);
    reload->said = *said;
    (void)pthread_mutex_unlock(&reload->lock);
    *said = BUF_INIT;
}

static void say_err(struct buf *said, const char *severity, const struct err *err)
{
    char text[1024];

    (void)err_print(err, text, sizeof text);
    buf_format(said, "%s: %s\n", severity, text);
}

/* ---- the new ones ---- */

struct missing {
    struct engine *engine;
    struct buf *said;
};

static void on_missing(void *context, const struct err *err, bool is_away)
{
    const struct missing *missing = context;

    (void)is_away;
    log_err(LOG_ERROR, "secrets", err);
    say_err(missing->said, "error", err);
}

static bool on_fetch(void *context)
{
    const struct missing *missing = context;

    engine_tell_systemd(missing->engine);
    return !atomic_load(&missing->engine->stopping);
}

static int gather_secrets(struct engine *engine, const struct generation *next, struct buf *said,
                          struct err *err)
{
    struct missing missing = {engine, said};
    const struct gathering gathering = {.config = next->config,
                                        .rules = next->rules,
                                        .secrets = engine->options.secrets,
                                        .context = &missing,
                                        .missing = on_missing,
                                        .go_on = on_fetch};
    const struct gathered found = gather(&gathering);

    if (found.gave_up)
        return err_set(err, ERR_IO, "the daemon is stopping");
    if (found.refused + found.away > 0)
        return err_set(err, ERR_SECRET, "%zu %s cannot be had, see above", found.refused + found.away,
                       found.refused + found.away == 1 ? "secret" : "secrets");
    return 0;
}

static bool store_fails(struct store *store)
{
    struct store_figures figures = {.state = STORE_DONE};

    if (store)
        store_figures(store, &figures);
    return figures.state != STORE_DONE;
}

/* Read, checked, planned; nothing is changed yet. NULL with `err`. */
static struct generation *make_next(struct engine *engine, struct buf *said, struct err *err)
{
    const struct engine_source *source = &engine->options.source;
    const struct generation_frame frame = {engine->options.secrets, engine->store, engine->now};
    struct config *config = NULL;
    struct rule_set *rules = NULL;
    const char *key;

    if (source->load(source->context, &config, &rules, said) != 0) {
        (void)err_set(err, ERR_VALUE, "see above");
        return NULL;
    }
    struct generation *next = generation_new(config, config, rules, err);
    if (!next)
        return NULL;
    if (store_fails(engine->store)) {
        (void)err_set(err, ERR_IO,
                      "the store takes nothing at the moment, so what was delivered could be sent "
                      "twice; try again when it works");
    } else if ((key = config_needs_restart(engine->now->config, config))) {
        (void)err_set(err, ERR_VALUE, "%s has changed, which needs a restart", key);
        err_in(err, config->file, NULL);
    } else if (gather_secrets(engine, next, said, err) == 0 && generation_make(next, &frame, err) == 0) {
        return next;
    }
    generation_free(next);
    return NULL;
}

/* ---- the change ---- */

static bool wait_for(struct engine *engine, const atomic_bool *what, int64_t until_ms)
{
    while (!atomic_load(what)) {
        if (clock_mono_ms() >= until_ms)
            return false;
        engine_tell_systemd(engine);
        (void)poll(NULL, 0, LOOK_MS);
    }
    return true;
}

/* Its connections are made while the former lane runs. False: the engine is to stop. */
static bool prepare(struct engine *engine, const struct generation *next)
{
    const int64_t until_ms = clock_mono_ms() + PREPARE_MS;

    while (!atomic_load(&engine->stopping) && clock_mono_ms() < until_ms)
        if (wait_for(engine, &next->lane->prepared, clock_mono_ms() + LOOK_MS))
            break;
    return !atomic_load(&engine->stopping);
}

/* Returns how long nothing was read, in milliseconds. */
static int64_t take_over(struct engine *engine, struct generation *next)
{
    struct generation *former = engine->now;
    const int64_t began_ms = clock_mono_ms();

    lane_part(former->lane);
    (void)wait_for(engine, &former->lane->over, INT64_MAX);
    generation_join(former);
    admin_begin_change(engine->admin);
    lane_succeed(next->lane, former->lane);
    engine->now = next;
    log_setup(next->config->log.format, next->config->log.level);
    atomic_store(&engine->lane, next->lane);
    const struct subject whole = engine_subject(engine);
    admin_end_change(engine->admin, &whole);
    renewal_begin(&engine->renewal, &next->plan, next->lane);
    lane_begin(next->lane);
    const int64_t paused_ms = clock_mono_ms() - began_ms;
    generation_free(former);
    return paused_ms;
}

static int reload_now(struct engine *engine, struct buf *said, struct err *err)
{
    struct generation *next = make_next(engine, said, err);

    if (!next)
        return -1;
    const size_t before = engine->now->rules->count, count = next->rules->count;
    if (generation_start(next, err) != 0) {
        generation_free(next);
        return -1;
    }
    if (!prepare(engine, next)) {
        lane_stop(next->lane);
        generation_join(next);
        generation_free(next);
        return err_set(err, ERR_IO, "the daemon is stopping");
    }
    const int64_t paused_ms = take_over(engine, next);
    buf_format(said, "reloaded: %zu %s, %zu before\n", count, count == 1 ? "rule" : "rules", before);
    log_info("engine", "reloaded: %zu %s, %zu before; nothing was read for %" PRId64 " ms", count,
             count == 1 ? "rule" : "rules", before, paused_ms);
    return 0;
}

void reload_turn(struct engine *engine)
{
    const uint64_t asked = atomic_load(&engine->reload.asked);
    struct buf said = BUF_INIT;
    struct err err = {0};
    bool refused = false;

    if (asked == engine->reload.done)
        return;
    if (!engine->options.source.load) {
        (void)err_set(&err, ERR_UNSUPPORTED, "this daemon has nowhere to read its rules from");
        refused = true;
    } else {
        (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_ns() / 1000);
        refused = reload_now(engine, &said, &err) != 0;
        (void)sd_notify(0, "READY=1");
    }
    if (refused) {
        err_prefix(&err, "reload refused, the former rules run on");
        log_err(LOG_ERROR, "engine", &err);
        say_err(&said, "error", &err);
    }
    tell_outcome(&engine->reload, asked, refused, &said);
}
