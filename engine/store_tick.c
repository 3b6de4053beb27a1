/* What the store does by itself: it starts, looks for what another process did, tidies up. */
#include "store_state.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>

enum {
    TICK_MS = 1000,
    ASKED_MS = 3000, /* lanes ask again each second */
};

/* ---- between jobs ---- */

static void tell_letters(struct store *store, int64_t now)
{
    enum { EACH_MS = 60000 };

    if (store->letters_untold == 0 || now < store->letters_told_ms)
        return;
    log_warn("store", "delivery.dead.max is met: %" PRIu64 " of the oldest dead letters were dropped",
             store->letters_untold);
    store->letters_untold = 0;
    store->letters_told_ms = now + EACH_MS;
}

/* Letters that `topicrule dead retry` marked go back to their queues, some in each transaction. */
static void send_again(struct store *store)
{
    struct store_call call = {.job = {.work = STORE_OWN}, .run = store_retry};
    struct err err = {0};
    bool more;

    call.job.count = 1;
    if (store_attempt(store, &call.job, &more, &err) != SQLITE_OK)
        return;
    store->retries = call.job.count > 0;
    if (store->retries)
        store->tick_ms = 0;
    if (call.job.count > 0 || call.job.result.count > 0)
        (void)atomic_fetch_add(&store->changes, 1);
}

static bool is_idle(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    const bool idle = !store->first;
    (void)pthread_mutex_unlock(&store->lock);
    return idle;
}

static void tidy(struct store *store)
{
    bool more = false;
    int code = base_checkpoint(&store->base, true);

    if (code == SQLITE_OK)
        code = base_shrink(&store->base, &more);
    if (code == SQLITE_OK)
        code = base_checkpoint(&store->base, true); /* only now is the file smaller */
    if (more)
        store->tick_ms = 0;
    store_check(store, code);
}

/* A reader that never ends (`sqlite3`, a backup that hangs) keeps the log from being emptied. */
static void tell_log(struct store *store, int64_t now)
{
    enum { LONG = 64 << 20, EACH_MS = 600000 };
    const int64_t size = base_log_size(&store->base);

    if (size < LONG || !store->base.busy_log || now < store->log_told_ms)
        return;
    log_warn("store",
             "%s-wal has grown to %" PRId64
             " MiB: another process has been reading the database all the time",
             store->path, size >> 20);
    store->log_told_ms = now + EACH_MS;
}

/* ---- a start, and a disk that has to prove itself ---- */

/* What a start writes. None of it is needed to read, or to put; that it is written shows how the disk is, so
 * it is done again after a failure, when nobody may have anything else to write. */
static int begin(struct store *store, struct store_call *call)
{
    (void)call;
    int code = base_do(&store->base, SQL_DROP_QUEUES);

    if (code == SQLITE_OK)
        code = store_load_counts(store);
    if (code == SQLITE_OK) {
        const int64_t generation = atomic_load(&store->next_number) >> NUMBER_BITS;

        store->new_generation = generation > store->generation ? generation : store->generation;
        (void)sqlite3_bind_int64(base_sql(&store->base, SQL_GENERATION), 1, store->new_generation);
        code = base_do(&store->base, SQL_GENERATION);
    }
    return code == SQLITE_OK ? store_limit_letters(store) : code;
}

static void begin_writing(struct store *store)
{
    struct store_call call = {.job = {.work = STORE_OWN}, .run = begin};
    struct err err = {0};
    bool more;
    const int code = store_attempt(store, &call.job, &more, &err);

    store->proven = code == SQLITE_OK;
    store->recount |= !store->proven;
    store_tell(store, store->proven ? STORE_DONE : store_answer_of(code), &err);
}

/* ---- the time ---- */

void store_look_at_clocks(struct store *store)
{
    store->set_ms += history_look(&store->history, clock_wall_ms(), clock_boot_ms());
}

static void note_history(struct store *store)
{
    char text[HISTORY_TEXT];

    (void)pthread_mutex_lock(&store->lock);
    history_print(&store->history, text);
    (void)pthread_mutex_unlock(&store->lock);
    base_note(&store->base, text, clock_wall_ms());
}

/* The next life wants to know when this one ended; as long as nothing waits, it does not matter. */
static void note_time(struct store *store, int64_t now)
{
    enum { EACH_MS = 60000 };

    (void)pthread_mutex_lock(&store->lock);
    store_look_at_clocks(store);
    const int64_t set_ms = store->set_ms;
    store->set_ms = 0;
    (void)pthread_mutex_unlock(&store->lock);
    if (set_ms != 0) {
        log_warn("store", "the wall clock was set %s by %" PRId64 " s; what waits is no older for it",
                 set_ms > 0 ? "forward" : "back", (set_ms > 0 ? set_ms : -set_ms) / 1000);
        note_history(store);
    }
    if (store->figures.rows == 0 || now < store->note_ms)
        return;
    store->note_ms = now + EACH_MS;
    base_note_time(&store->base, clock_wall_ms());
}

/* ---- the tick ---- */

void store_tick(struct store *store)
{
    const int64_t now = clock_mono_ms();
    struct err err = {0};
    int64_t version = store->base.data_version;
    bool more;

    store->tick_ms = now + TICK_MS;
    if (store->stuck) {
        int code = store_attempt(store, NULL, &more, &err);

        if (code == SQLITE_FULL)
            code = store_attempt(store, NULL, &more, &err);
        store_release(store, code == SQLITE_OK ? NULL : &err);
    } else if (base_reopen(&store->base, &err) == 0 &&
               (base_number(&store->base, SQL_DATA_VERSION, &version) != SQLITE_OK || store->recount ||
                version != store->base.data_version)) {
        (void)store_attempt(store, NULL, &more, &err);
    }
    if (!store->proven && store->base.db && base_has_room(&store->base))
        begin_writing(store);
    else if (store->proven && store->figures.state != STORE_DONE && now - store->bad_ms >= ASKED_MS)
        store_tell(store, STORE_DONE, NULL); /* a limit was met, and nobody asks for more since */
    else if (store->told != STORE_DONE && store->figures.state == STORE_DONE)
        store_tell(store, STORE_DONE, NULL); /* once it has been so for long enough */
    if (store->retries && store->base.db)
        send_again(store);
    if (store->base.db && (is_idle(store) || !base_has_room(&store->base)))
        tidy(store);
    tell_letters(store, now);
    tell_log(store, now);
    note_time(store, now);
    (void)pthread_mutex_lock(&store->lock);
    store->figures.file_bytes = (uint64_t)base_size(&store->base);
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- the start ---- */

int store_load(struct store *store, struct err *err)
{
    struct store_job look = {.work = STORE_FETCH}; /* of nothing: but before that all is counted */
    bool more;

    store->recount = true;
    int code = store_attempt(store, &look, &more, err);
    if (code != SQLITE_OK && store->base.damaged) { /* found only now: large ones are not looked through */
        store->base.reopen_ms = 0;
        code = store_attempt(store, &look, &more, err);
    }
    if (code != SQLITE_OK)
        return -1;
    history_begin(&store->history, store->base.notes, store->base.seen_ms, clock_wall_ms(), clock_boot_ms());
    note_history(store);
    atomic_store(&store->next_number, (store->generation + 1) << NUMBER_BITS);
    begin_writing(store);
    store->retries = true;
    store_tick(store);
    return 0;
}
