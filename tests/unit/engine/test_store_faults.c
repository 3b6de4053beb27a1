/* The store on a disk that fails, and under power cuts. Random jobs, a fault at a random call, then: every
 * row whose job was answered is there with its bytes, nothing is there that was not put, what was dropped is
 * gone, counts are true, the database is whole.
 *
 *     unit_engine_store_faults [FIRST [SEEDS]]     the seeds to run; a failure prints its own */
#include "failing_vfs.h"
#include "small_store.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static uint64_t first_seed = 1, seed_count = 20;

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* ---- what should be there ---- */

enum { ROWS = 3000, OPEN_JOBS = 6, JOB_ROWS = 20, QUEUES = 3, TEXT_MOST = 30000 };

enum fate {
    POSTED,  /* no answer yet, or one that leaves it open */
    THERE,   /* answered STORE_DONE */
    REFUSED, /* answered otherwise, and no power cut since */
    GOING,   /* in a job that drops or buries it */
    GONE,    /* and that was answered STORE_DONE */
};

struct world {
    struct small_store *small;
    uint64_t seed, random;
    uint32_t queues[QUEUES];
    struct {
        int64_t number;
        enum fate fate;
        uint32_t queue;
        size_t size;
    } rows[ROWS];
    size_t count;
    struct slot {
        struct store_job job;
        bool busy;
        size_t at[JOB_ROWS];
        struct store_row rows[JOB_ROWS];
        int64_t numbers[JOB_ROWS];
        struct world *world;
    } slots[OPEN_JOBS];
};

static char *texts; /* of record `number`: from texts + number % 97 */

static const char *text_of(int64_t number)
{
    return texts + number % 97;
}

static struct world *world_new(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->seed = seed;
    world->random = seed * 7919;
    world->small = malloc(sizeof *world->small);
    assert_non_null(world->small);
    small_folder(world->small);
    return world;
}

static void world_free(struct world *world)
{
    small_free(world->small);
    failing_vfs_forget();
    free(world);
}

static void know_queues(struct world *world)
{
    for (size_t i = 0; i < QUEUES; i++) {
        const struct store_name name = small_name("r", (const char[]){(char)('a' + i), '\0'});

        world->queues[i] = store_queue(world->small->store, &name);
        assert_int_not_equal(world->queues[i], 0);
    }
}

static void world_open(struct world *world)
{
    small_open(world->small);
    know_queues(world);
}

/* ---- jobs ---- */

static void on_done(struct store_job *job)
{
    struct slot *slot = (struct slot *)job;
    struct world *world = slot->world;

    slot->busy = false;
    for (size_t i = 0;
         i < job->count && (job->work == STORE_PUT || job->work == STORE_DROP || job->work == STORE_BURY);
         i++) {
        enum fate *fate = &world->rows[slot->at[i]].fate;

        if (job->work == STORE_PUT)
            *fate = job->answer == STORE_DONE ? THERE : REFUSED;
        else if (job->answer == STORE_DONE)
            *fate = GONE;
        else
            *fate = job->work == STORE_BURY ? THERE : GOING;
    }
    if (job->work == STORE_READ)
        free(job->result.rows);
}

static void wait_some(const struct world *world)
{
    struct pollfd event = {.fd = store_port_fd(world->small->port), .events = POLLIN};

    (void)poll(&event, 1, 20);
    store_port_poll(world->small->port);
}

/* NULL after a cut: drops wait for the disk then. */
static struct slot *free_slot(struct world *world)
{
    for (; !failing_vfs_is_cut(); wait_some(world))
        for (size_t i = 0; i < OPEN_JOBS; i++)
            if (!world->slots[i].busy)
                return &world->slots[i];
    return NULL;
}

static void wait_all(const struct world *world)
{
    for (size_t i = 0; i < OPEN_JOBS; i++)
        while (world->slots[i].busy && !failing_vfs_is_cut())
            wait_some(world);
}

static void prepare_put(struct world *world, struct slot *slot, size_t count)
{
    const int64_t first = store_numbers(world->small->store, count);

    slot->job = (struct store_job){.work = STORE_PUT, .count = count, .rows = slot->rows};
    for (size_t i = 0; i < count; i++) {
        const size_t at = world->count++;
        const uint64_t kind = next_random(&world->random) % 20;

        world->rows[at].number = first + (int64_t)i;
        world->rows[at].fate = POSTED;
        world->rows[at].queue = world->queues[next_random(&world->random) % QUEUES];
        world->rows[at].size = next_random(&world->random) % (kind == 0 ? TEXT_MOST : 300);
        slot->at[i] = at;
        slot->rows[i] = (struct store_row){.number = first + (int64_t)i,
                                           .queue = world->rows[at].queue,
                                           .at_ms = first,
                                           .record = {text_of(first + (int64_t)i), world->rows[at].size}};
    }
}

static void prepare_end(struct world *world, struct slot *slot, enum store_work work)
{
    size_t count = 0;
    const size_t begin = world->count ? next_random(&world->random) % world->count : 0;

    for (size_t i = 0; i < world->count && count < JOB_ROWS; i++) {
        const size_t at = (begin + i) % world->count;

        if (world->rows[at].fate != THERE || next_random(&world->random) % 3 == 0)
            continue;
        world->rows[at].fate = GOING;
        slot->at[count] = at;
        slot->numbers[count++] = world->rows[at].number;
    }
    slot->job = (struct store_job){.work = work, .count = count, .numbers = slot->numbers};
    slot->job.code = SPAN("CODE");
    slot->job.reason = SPAN("reason");
}

static void post_some(struct world *world)
{
    struct slot *slot = free_slot(world);
    const uint64_t kind = next_random(&world->random) % 10;
    const size_t count = 1 + next_random(&world->random) % JOB_ROWS;

    if (!slot)
        return;
    if (kind < 5 && world->count + count < ROWS)
        prepare_put(world, slot, count);
    else if (kind < 8)
        prepare_end(world, slot, kind == 7 ? STORE_BURY : STORE_DROP);
    else
        slot->job = (struct store_job){.work = STORE_READ,
                                       .count = QUEUES,
                                       .queues = world->queues,
                                       .most_rows = 100,
                                       .most_bytes = 100000};
    slot->world = world;
    slot->busy = true;
    slot->job.done = on_done;
    store_post(world->small->port, &slot->job);
}

/* ---- the proof ---- */

static struct {
    uint64_t rows, bytes;
} counted;

static void count(void *context, const struct store_queue *queue)
{
    (void)context;
    counted.rows += queue->rows;
    counted.bytes += queue->bytes;
}

static void check_rows(struct world *world, const struct store_job *job, bool cut)
{
    size_t at = 0, bytes = 0;

    for (size_t i = 0; i < world->count; i++) { /* both ascend: numbers were given in this order */
        const int64_t number = world->rows[i].number;
        const bool there = at < job->result.count && job->result.rows[at].number == number;
        const enum fate fate = world->rows[i].fate;

        if (fate == THERE && !there)
            fail_msg("seed %llu: row %lld is lost", (unsigned long long)world->seed, (long long)number);
        if (fate == GONE && there)
            fail_msg("seed %llu: row %lld came back", (unsigned long long)world->seed, (long long)number);
        if (fate == REFUSED && there && !cut)
            fail_msg("seed %llu: row %lld was refused, and is there", (unsigned long long)world->seed,
                     (long long)number);
        if (there) {
            const struct store_row *row = &job->result.rows[at++];

            assert_int_equal(row->record.size, world->rows[i].size);
            assert_memory_equal(row->record.data, text_of(number), row->record.size);
            bytes += row->record.size;
        }
        if (cut)
            world->rows[i].fate = there ? THERE : GONE;
    }
    assert_int_equal(at, job->result.count); /* nothing that was never put */
    memset(&counted, 0, sizeof counted);
    store_each_queue(world->small->store, count, NULL);
    assert_int_equal(counted.rows, job->result.count);
    assert_int_equal(counted.bytes, bytes);
}

static void check(struct world *world, bool cut)
{
    struct waited got = {.job = {.work = STORE_READ,
                                 .count = QUEUES,
                                 .queues = world->queues,
                                 .most_rows = ROWS + 1,
                                 .most_bytes = SIZE_MAX}};

    assert_int_equal(small_do(world->small, &got), STORE_DONE);
    check_rows(world, &got.job, cut);
    free(got.job.result.rows);
}

static void check_file(const struct world *world)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_open(world->small->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT letters - (SELECT count(*) FROM dead), letter_bytes - "
                                        "(SELECT total(bytes) FROM dead) FROM meta",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(statement, 0), 0);
    assert_int_equal(sqlite3_column_int64(statement, 1), 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
}

/* ---- the power goes ---- */

static void one_life(struct world *world)
{
    failing_vfs_cut_after(next_random(&world->random) % 120);
    for (size_t i = 0; i < 60 && !failing_vfs_is_cut(); i++)
        post_some(world);
    if (next_random(&world->random) % 4 == 0)
        wait_all(world);
    /* What is still open has no answer by the cut that anybody could have acted on. */
    failing_vfs_cut_after(0);
    store_port_free(world->small->port);
    world->small->port = NULL;
    small_close(world->small);
    failing_vfs_restore(next_random(&world->random));
}

static void a_power_cut_takes_nothing_that_was_answered(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        struct world *world = world_new(seed);

        world_open(world);
        for (int life = 0; life < 4; life++) {
            one_life(world);
            world_open(world);
            check(world, true);
        }
        small_close(world->small);
        check_file(world);
        world_free(world);
    }
}

/* ---- the disk fails for a while ---- */

static void heal(struct world *world)
{
    const int64_t until = clock_mono_ms() + 60000;
    enum store_answer answer;

    failing_vfs_clear();
    do {
        struct slot *slot = free_slot(world);

        prepare_put(world, slot, 1);
        slot->world = world;
        slot->busy = true;
        slot->job.done = on_done;
        store_post(world->small->port, &slot->job);
        wait_all(world);
        answer = slot->job.answer;
        if (answer != STORE_DONE)
            (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    } while (answer != STORE_DONE && clock_mono_ms() < until);
    assert_int_equal(answer, STORE_DONE);
}

static void faults_are_answered_and_leave_nothing_behind(void **state)
{
    static const unsigned calls[] = {FAILING_WRITE,
                                     FAILING_SYNC,
                                     FAILING_READ,
                                     FAILING_TRUNCATE,
                                     FAILING_WRITE | FAILING_SYNC,
                                     FAILING_SYNC | FAILING_OPEN};
    uint64_t met = 0;

    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        struct world *world = world_new(seed);

        world_open(world);
        for (int round = 0; round < 2; round++) {
            failing_vfs_set(calls[next_random(&world->random) % (sizeof calls / sizeof *calls)],
                            (enum failing_error)(next_random(&world->random) % 3),
                            next_random(&world->random) % 60, 1 + next_random(&world->random) % 4);
            for (size_t i = 0; i < 30; i++)
                post_some(world);
            met += failing_vfs_met();
            heal(world);
            check(world, false);
        }
        small_close(world->small);
        check_file(world);
        world_open(world);
        check(world, false);
        world_free(world);
    }
    assert_true(met > seed_count / 4); /* they do fail */
}

/* ---- the disk fails while the store is opened ---- */

/* Tries until it is open, as the daemon does; the disk heals at the third. Returns how many were in vain. */
static size_t open_failing(struct world *world)
{
    struct small_store *small = world->small;
    size_t tries = 0;

    for (;; tries++) {
        struct err err = {0};

        if (tries == 3)
            failing_vfs_clear();
        small->store = store_open(&small->options, &err);
        if (small->store)
            break;
        assert_in_range(tries, 0, 2);
        if (err.code != ERR_IO) /* anything else would end the daemon */
            fail_msg("seed %llu: %s", (unsigned long long)world->seed, err.text);
    }
    small->port = store_port_new(small->store, &(struct err){0});
    assert_non_null(small->port);
    know_queues(world);
    return tries;
}

static void a_start_waits_or_reads_and_holds(void **state)
{
    static const unsigned calls[] = {FAILING_WRITE, FAILING_SYNC, FAILING_READ, FAILING_OPEN,
                                     FAILING_WRITE | FAILING_SYNC | FAILING_TRUNCATE};
    uint64_t met = 0, open_at_once = 0, waited = 0;

    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        struct world *world = world_new(seed);

        world_open(world);
        for (int round = 0; round < 3; round++) {
            for (size_t i = 0; i < 20; i++)
                post_some(world);
            wait_all(world);
            small_close(world->small);
            failing_vfs_set(calls[next_random(&world->random) % (sizeof calls / sizeof *calls)],
                            (enum failing_error)(next_random(&world->random) % 3),
                            next_random(&world->random) % 8,
                            next_random(&world->random) % 2 ? UINT64_MAX / 2 : 1);
            const size_t tries = open_failing(world);
            waited += tries > 0;
            if (tries == 0 &&
                failing_vfs_met() > 0) { /* something was in vain, and it is open all the same */
                open_at_once++;
                for (size_t i = 0; i < 10; i++)
                    post_some(world);
            }
            met += failing_vfs_met();
            heal(world);
            check(world, false);
        }
        small_close(world->small);
        check_file(world);
        world_free(world);
    }
    assert_true(met > seed_count);
    assert_true(waited > seed_count / 10);
    assert_true(open_at_once > seed_count / 10);
}

/* ---- what fails beside what is put ---- */

static void wait_state(const struct world *world, enum store_answer wanted)
{
    const int64_t until = clock_mono_ms() + 60000;
    struct store_figures now;

    do {
        wait_some(world);
        store_figures(world->small->store, &now);
    } while (now.state != wanted && clock_mono_ms() < until);
    assert_int_equal(now.state, wanted);
}

/* Nothing has to be put meanwhile: the store says so, and tries, by itself. */
static void a_drop_that_fails_is_told_and_so_is_its_end(void **state)
{
    struct world *world = world_new(1);
    struct slot *slot = &world->slots[0];

    (void)state;
    world_open(world);
    prepare_put(world, slot, JOB_ROWS);
    slot->world = world;
    slot->busy = true;
    slot->job.done = on_done;
    store_post(world->small->port, &slot->job);
    wait_all(world);
    wait_state(world, STORE_DONE);

    failing_vfs_set(FAILING_SYNC | FAILING_WRITE, FAILING_EIO, 0, UINT64_MAX / 2);
    prepare_end(world, slot, STORE_DROP);
    assert_int_not_equal(slot->job.count, 0);
    slot->busy = true;
    slot->job.done = on_done;
    store_post(world->small->port, &slot->job);
    wait_state(world, STORE_FAILED);
    assert_true(slot->busy);
    failing_vfs_clear();
    wait_state(world, STORE_DONE);
    wait_all(world);
    check(world, false);
    small_close(world->small);
    world_free(world);
}

/* A damaged page, and no room for what can be saved. */
static void a_salvage_without_room_leaves_all_as_it_is(void **state)
{
    struct world *world = world_new(2);
    char half[128], junk[8192];

    (void)state;
    world_open(world);
    for (size_t i = 0; i < 40; i++)
        post_some(world);
    wait_all(world);
    small_close(world->small);
    const int fd = open(world->small->path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, 0), (ssize_t)sizeof junk);
    (void)close(fd);

    (void)snprintf(half, sizeof half, "%s.salvaging", world->small->path);
    failing_vfs_set(FAILING_WRITE, FAILING_FULL, 4, UINT64_MAX / 2);
    for (int i = 0; i < 2; i++) {
        struct err err = {0};

        assert_null(store_open(&world->small->options, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_non_null(strstr(err.text, "damaged"));
        assert_int_equal(access(half, F_OK), -1);
        assert_int_equal(access(world->small->path, F_OK), 0);
    }
    failing_vfs_clear();
    world_open(world);
    heal(world);
    small_close(world->small);
    check_file(world);
    world_free(world);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_cut_takes_nothing_that_was_answered),
        cmocka_unit_test(faults_are_answered_and_leave_nothing_behind),
        cmocka_unit_test(a_start_waits_or_reads_and_holds),
        cmocka_unit_test(a_drop_that_fails_is_told_and_so_is_its_end),
        cmocka_unit_test(a_salvage_without_room_leaves_all_as_it_is),
    };

    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seed_count = strtoull(argv[2], NULL, 10);
    log_setup(LOG_TEXT, LOG_ERROR);
    texts = malloc(TEXT_MOST + 100);
    if (!texts)
        return 1;
    for (size_t i = 0; i < TEXT_MOST + 100; i++)
        texts[i] = (char)('!' + i * i % 89);
    failing_vfs_register();
    const int failed = cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
    free(texts);
    return failed;
}
