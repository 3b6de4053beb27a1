/* The store: what is put is there, in order, over a restart; what is dropped is gone; counts are true. */
#include "small_store.h"

#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = small_new();
    return 0;
}

static int teardown(void **state)
{
    small_free(*state);
    return 0;
}

/* "a b c": the records of the queues after `after`, in their order. */
static const char *read_texts(struct small_store *small, const uint32_t *queues, size_t count, int64_t after)
{
    static char text[4096];
    struct waited got = {.job = {.work = STORE_READ,
                                 .count = count,
                                 .queues = queues,
                                 .after = after,
                                 .most_rows = 1000,
                                 .most_bytes = 1 << 20}};
    size_t size = 0;

    assert_int_equal(small_do(small, &got), STORE_DONE);
    text[0] = '\0';
    for (size_t i = 0; i < got.job.result.count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, i ? " " SPAN_FMT : SPAN_FMT,
                                 SPAN_ARG(got.job.result.rows[i].record));
    free(got.job.result.rows);
    return text;
}

static void sum(void *context, const struct store_queue *queue)
{
    struct store_queue *total = context;

    total->rows += queue->rows;
    total->bytes += queue->bytes;
    total->id = queue->id;
    total->oldest_ms = queue->oldest_ms;
    assert_true(span_is(queue->name.rule, "r"));
    assert_true(span_is(queue->name.type, "kafka"));
}

static struct store_queue total(const struct small_store *small)
{
    struct store_queue result = {0};

    store_each_queue(small->store, sum, &result);
    return result;
}

static void rows_are_read_in_order_and_counted(void **state)
{
    struct small_store *small = *state;
    int64_t first = store_numbers(small->store, 3);
    struct store_row rows[3];
    struct waited put = {.job = {.work = STORE_PUT, .count = 3, .rows = rows}};

    for (int i = 0; i < 3; i++)
        rows[i] = (struct store_row){.number = first + i,
                                     .queue = small->queue,
                                     .at_ms = 100 + i,
                                     .record = {&"abc"[i], 1},
                                     .origin = {i == 1 ? "origin" : NULL, i == 1 ? 6 : 0}};
    assert_int_equal(small_do(small, &put), STORE_DONE);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "a b c");
    assert_string_equal(read_texts(small, &small->queue, 1, first), "b c");
    assert_int_equal(total(small).rows, 3);
    assert_int_equal(total(small).bytes, 9);
    assert_int_equal(total(small).oldest_ms, 100);

    const int64_t gone[] = {first + 2, first};
    assert_int_equal(small_drop(small, gone, 2), STORE_DONE);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "b");
    assert_int_equal(total(small).rows, 1);
    assert_int_equal(total(small).bytes, 7);
    assert_int_equal(total(small).oldest_ms, 101);
}

static void rows_live_over_a_restart(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 2);

    assert_int_equal(small_put(small, small->queue, first, "a"), STORE_DONE);
    assert_int_equal(small_put(small, small->queue, first + 1, "b"), STORE_DONE);
    small_close(small);
    small_open(small);
    assert_int_equal(total(small).rows, 2);
    assert_int_equal(total(small).id, small->queue);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "a b");
}

static void numbers_never_come_again(void **state)
{
    struct small_store *small = *state;
    int64_t last = store_numbers(small->store, 10) + 9;

    for (int round = 0; round < 3; round++) {
        assert_int_equal(small_put(small, small->queue, last, "x"), STORE_DONE);
        assert_int_equal(small_drop(small, &last, 1), STORE_DONE);
        small_close(small);
        small_open(small);
        const int64_t next = store_numbers(small->store, 10);
        assert_true(next > last);
        last = next + 9;
    }
}

static void several_queues_are_read_as_one(void **state)
{
    struct small_store *small = *state;
    const struct store_name other = small_name("r", "other"), none = small_name("r", "none");
    const uint32_t queues[] = {small->queue, store_queue(small->store, &none),
                               store_queue(small->store, &other)};
    const int64_t first = store_numbers(small->store, 4);

    assert_int_equal(small_put(small, queues[2], first, "a"), STORE_DONE);
    assert_int_equal(small_put(small, queues[0], first + 1, "b"), STORE_DONE);
    assert_int_equal(small_put(small, queues[2], first + 2, "c"), STORE_DONE);
    assert_int_equal(small_put(small, queues[0], first + 3, "d"), STORE_DONE);
    assert_string_equal(read_texts(small, queues, 3, 0), "a b c d");
    assert_string_equal(read_texts(small, queues, 2, 0), "b d");
    assert_string_equal(read_texts(small, queues, 3, first + 1), "c d");
}

static void a_read_keeps_to_its_bounds(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 3);
    struct waited got = {.job = {.work = STORE_READ, .count = 1, .queues = &small->queue}};

    for (int i = 0; i < 3; i++)
        assert_int_equal(small_put(small, small->queue, first + i, "0123456789"), STORE_DONE);
    got.job.most_rows = 2;
    got.job.most_bytes = 1000;
    assert_int_equal(small_do(small, &got), STORE_DONE);
    assert_int_equal(got.job.result.count, 2);
    free(got.job.result.rows);
    got.job.most_rows = 1000;
    got.job.most_bytes = 1; /* one at least */
    assert_int_equal(small_do(small, &got), STORE_DONE);
    assert_int_equal(got.job.result.count, 1);
    free(got.job.result.rows);
}

static void fetch_gives_those_that_are_there(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 3);
    const int64_t wanted[] = {first + 2, first + 1, first};
    struct waited got = {.job = {.work = STORE_FETCH, .count = 3, .numbers = wanted}};

    assert_int_equal(small_put(small, small->queue, first, "a"), STORE_DONE);
    assert_int_equal(small_put(small, small->queue, first + 2, ""), STORE_DONE);
    assert_int_equal(small_do(small, &got), STORE_DONE);
    assert_int_equal(got.job.result.count, 2);
    assert_int_equal(got.job.result.rows[0].number, first + 2);
    assert_int_equal(got.job.result.rows[0].record.size, 0);
    assert_non_null(got.job.result.rows[0].record.data);
    assert_null(got.job.result.rows[0].origin.data);
    assert_true(span_is(got.job.result.rows[1].record, "a"));
    free(got.job.result.rows);
}

static void what_is_over_the_bound_is_refused(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 3);

    small_close(small);
    small->options.max_bytes = 10;
    small_open(small);
    assert_int_equal(small_put(small, small->queue, first, "0123456"), STORE_DONE);
    assert_int_equal(small_put(small, small->queue, first + 1, "0123456"), STORE_FULL);
    assert_int_equal(small_put(small, small->queue, first + 2, "012"), STORE_DONE);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "0123456 012");
    assert_int_equal(small_drop(small, &first, 1), STORE_DONE);
    assert_int_equal(small_put(small, small->queue, first + 1, "0123456"), STORE_DONE);
}

/* Nobody would ever say that it is well again, if nothing has to be stored any more. */
static void a_bound_that_was_met_is_forgotten(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 2);
    struct store_figures figures;

    small_close(small);
    small->options.max_bytes = 10;
    small_open(small);
    assert_int_equal(small_put(small, small->queue, first, "0123456"), STORE_DONE);
    assert_int_equal(small_put(small, small->queue, first + 1, "0123456"), STORE_FULL);
    store_figures(small->store, &figures);
    assert_int_equal(figures.state, STORE_FULL);
    for (int i = 0; i < 600 && figures.state != STORE_DONE; i++) {
        (void)poll(NULL, 0, 100);
        store_figures(small->store, &figures);
    }
    assert_int_equal(figures.state, STORE_DONE);
}

static void one_bad_job_does_not_fail_the_others(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 2);
    struct store_row rows[3];
    struct waited puts[3];

    /* The second has a number that is taken. Whether they share a transaction or not is up to the store. */
    for (int i = 0; i < 3; i++) {
        rows[i] =
            (struct store_row){.number = first + i / 2, .queue = small->queue, .record = {&"abc"[i], 1}};
        puts[i] = (struct waited){.job = {.work = STORE_PUT, .count = 1, .rows = &rows[i]}};
    }
    for (int i = 0; i < 3; i++)
        small_post(small, &puts[i]);
    assert_int_equal(small_wait(small, &puts[0]), STORE_DONE);
    assert_int_equal(small_wait(small, &puts[1]), STORE_FAILED);
    assert_int_equal(small_wait(small, &puts[2]), STORE_DONE);
    assert_int_not_equal(puts[1].job.err.text[0], 0);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "a c");
    assert_int_equal(total(small).rows, 2);
}

/* ---- letters ---- */

static void rows_become_letters(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 3);
    struct waited bury = {.job = {.work = STORE_BURY,
                                  .count = 2,
                                  .numbers = (int64_t[]){first, first + 2},
                                  .code = SPAN("CODE"),
                                  .reason = SPAN("a reason")}};
    struct store_figures figures;

    for (int i = 0; i < 3; i++)
        assert_int_equal(small_put(small, small->queue, first + i, "0123456789"), STORE_DONE);
    assert_int_equal(small_do(small, &bury), STORE_DONE);
    store_figures(small->store, &figures);
    assert_int_equal(figures.rows, 1);
    assert_int_equal(figures.letters, 2);
    assert_int_equal(figures.letter_bytes, 2 * (10 + 4 + 8));
    small_close(small);
    small_open(small);
    store_figures(small->store, &figures);
    assert_int_equal(figures.rows, 1);
    assert_int_equal(figures.letters, 2);
    assert_int_equal(figures.letter_bytes, 2 * (10 + 4 + 8));
}

static void old_rows_are_buried_by_age_and_by_size(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, 6);
    struct store_row rows[6];
    struct waited put = {.job = {.work = STORE_PUT, .count = 6, .rows = rows}};
    struct waited bury = {.job = {.work = STORE_BURY_OLD, .count = 1, .queues = &small->queue}};

    for (int i = 0; i < 6; i++)
        rows[i] = (struct store_row){
            .number = first + i, .queue = small->queue, .at_ms = 100 * i, .record = {&"abcdef"[i], 1}};
    assert_int_equal(small_do(small, &put), STORE_DONE);
    bury.job.before_ms = 200;
    assert_int_equal(small_do(small, &bury), STORE_DONE);
    assert_int_equal(bury.job.result.buried_rows, 2);
    assert_int_equal(bury.job.result.buried_bytes, 2);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "c d e f");
    bury.job.before_ms = 0;
    bury.job.bury_bytes = 3;
    assert_int_equal(small_do(small, &bury), STORE_DONE);
    assert_int_equal(bury.job.result.buried_rows, 3);
    assert_string_equal(read_texts(small, &small->queue, 1, 0), "f");
}

enum { MANY = 12000 };

static void a_long_burial_goes_to_its_end(void **state)
{
    struct small_store *small = *state;
    const int64_t first = store_numbers(small->store, MANY);
    struct store_row *rows = calloc(MANY, sizeof *rows);
    struct waited put = {.job = {.work = STORE_PUT, .count = MANY, .rows = rows}};
    struct waited bury = {
        .job = {.work = STORE_BURY_OLD, .count = 1, .queues = &small->queue, .before_ms = MANY - 1}};

    assert_non_null(rows);
    for (int i = 0; i < MANY; i++)
        rows[i] = (struct store_row){
            .number = first + i, .queue = small->queue, .at_ms = i, .record = SPAN("record")};
    assert_int_equal(small_do(small, &put), STORE_DONE);
    assert_int_equal(small_do(small, &bury), STORE_DONE);
    assert_int_equal(bury.job.result.buried_rows, MANY - 1);
    assert_int_equal(total(small).rows, 1);
    free(rows);
}

static void the_oldest_letters_go_when_there_are_too_many(void **state)
{
    struct small_store *small = *state;
    struct store_letter letters[5];
    struct waited miss = {.job = {.work = STORE_MISS, .count = 5, .letters = letters}};
    struct store_figures figures;

    small_close(small);
    small->options.dead_max_bytes = 30;
    small_open(small);
    for (int i = 0; i < 5; i++)
        letters[i] = (struct store_letter){
            .name = small_name("r", ""), .code = SPAN("C"), .reason = SPAN("R"), .origin = SPAN("01234567")};
    assert_int_equal(small_do(small, &miss), STORE_DONE);
    store_figures(small->store, &figures);
    assert_int_equal(figures.letters, 3);
    assert_int_equal(figures.letter_bytes, 30);
    assert_int_equal(figures.letters_dropped, 2);
}

/* ---- subscriptions ---- */

static void count_filter(void *context, const char *filter, uint32_t id)
{
    (void)filter;
    *(uint32_t *)context += id;
}

static void a_filter_keeps_its_identifier(void **state)
{
    struct small_store *small = *state;
    const char *const filters[] = {"a/#", "b/+", "a/#"};
    uint32_t ids[3], again[3], known = 0;
    struct err err = {0};

    assert_int_equal(store_filter_ids(small->store, filters, 3, ids, &err), 0);
    assert_true(ids[0] >= STORE_FIRST_ID && ids[1] >= STORE_FIRST_ID);
    assert_int_not_equal(ids[1], ids[0]);
    assert_int_equal(ids[2], ids[0]);
    assert_int_equal(store_forget_filters(small->store, &(const char *){"b/+"}, 1, &err), 0);
    assert_int_equal(store_each_filter(small->store, count_filter, &known, &err), 0);
    assert_int_equal(known, ids[0]);
    small_close(small);
    small_open(small);
    assert_int_equal(store_filter_ids(small->store, (const char *const[]){"c"}, 1, again, &err), 0);
    assert_true(again[0] != ids[0] && again[0] != ids[1]);
    const uint32_t third = again[0];
    assert_int_equal(store_filter_ids(small->store, filters, 3, again, &err), 0);
    assert_memory_equal(ids, again, sizeof ids);
    known = 0;
    assert_int_equal(store_each_filter(small->store, count_filter, &known, &err), 0);
    assert_int_equal(known, ids[0] + ids[1] + third);
}

/* What a lost database gave may still be known to the broker. */
static void a_new_database_gives_no_identifier_to_another_filter(void **state)
{
    struct small_store *small = *state;
    const char *const before[] = {"a/#", "b/+"}, *const after[] = {"b/+", "c", "d"};
    uint32_t lost[2], ids[3];
    struct err err = {0};

    assert_int_equal(store_filter_ids(small->store, before, 2, lost, &err), 0);
    small_close(small);
    small_remove(small);
    small_open(small);
    assert_int_equal(store_filter_ids(small->store, after, 3, ids, &err), 0);
    assert_int_equal(ids[0], lost[1]);
    assert_true(ids[1] != lost[0] && ids[1] != lost[1] && ids[2] != lost[0] && ids[2] != lost[1]);
}

/* ---- the files ---- */

static void a_second_daemon_is_kept_out(void **state)
{
    struct small_store *small = *state;
    struct err err = {0};
    char process[32];

    (void)snprintf(process, sizeof process, "process %ld", (long)getpid());
    assert_null(store_open(&small->options, &err));
    assert_non_null(strstr(err.text, "another topicrule"));
    assert_non_null(strstr(err.text, process));
}

/* Who reads and never ends keeps the log from being emptied: it has an end all the same. */
static void the_log_does_not_grow_without_end(void **state)
{
    enum { RECORD = 1 << 20, MOST = 400 };
    struct small_store *small = *state;
    char *text = calloc(1, RECORD + 1);
    sqlite3 *other = NULL;
    int count = 0;
    struct stat info;

    assert_non_null(text);
    memset(text, 'x', RECORD);
    small_close(small);
    small->options.max_bytes = 10 * RECORD;
    small_open(small);
    assert_int_equal(sqlite3_open(small->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM spool", NULL, NULL, NULL), SQLITE_OK);
    for (; count < MOST; count++) {
        const int64_t number = store_numbers(small->store, 1);

        if (small_put(small, small->queue, number, text) != STORE_DONE)
            break;
        assert_int_equal(small_drop(small, &number, 1), STORE_DONE);
    }
    assert_in_range(count, 20, MOST - 1);
    char log[128];
    (void)snprintf(log, sizeof log, "%s-wal", small->path);
    assert_int_equal(stat(log, &info), 0);
    assert_in_range(info.st_size, 64 << 20, 80 << 20);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(other);
    for (int i = 0; i < 600 && count < MOST; i++) {
        (void)poll(NULL, 0, 100); /* the store empties it when it has nothing else to do */
        if (small_put(small, small->queue, store_numbers(small->store, 1), "x") == STORE_DONE)
            count = MOST;
    }
    assert_int_equal(count, MOST);
    free(text);
}

static void nobody_else_can_read_it(void **state)
{
    static const char *const files[] = {"", "-wal", "-shm", ".lock", ".reserve"};
    struct small_store *small = *state;
    const mode_t before = umask(0);

    small_close(small);
    for (int round = 0; round < 2; round++) {
        small_open(small);
        assert_int_equal(small_put(small, small->queue, store_numbers(small->store, 1), "a"), STORE_DONE);
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char path[128];
            struct stat info;

            (void)snprintf(path, sizeof path, "%s%s", small->path, files[i]);
            assert_int_equal(stat(path, &info), 0);
            assert_int_equal(info.st_mode & 0777, 0600);
        }
        small_close(small);
        assert_int_equal(round ? 0 : chmod(small->path, 0644), 0); /* as a careless copy would be */
    }
    (void)umask(before);
}

/* ---- threads ---- */

enum { POSTERS = 4, ROUNDS = 100, EACH = 5 };

struct poster {
    struct small_store *small;
    pthread_t thread;
    int64_t first;
};

static void *post_many(void *argument)
{
    struct poster *poster = argument;
    struct small_store mine = *poster->small;
    struct err err = {0};
    const struct store_name name = small_name("r", (const char[]){(char)('0' + poster->first % 10), 0});

    mine.port = store_port_new(mine.store, &err);
    assert(mine.port);
    mine.queue = store_queue(mine.store, &name);
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t first = store_numbers(mine.store, EACH);
        struct store_row rows[EACH];
        int64_t numbers[EACH];
        struct waited put = {.job = {.work = STORE_PUT, .count = EACH, .rows = rows}};

        for (int i = 0; i < EACH; i++) {
            rows[i] = (struct store_row){.number = first + i, .queue = mine.queue, .record = SPAN("x")};
            numbers[i] = first + i;
        }
        assert(small_do(&mine, &put) == STORE_DONE);
        struct waited drop = {.job = {.work = STORE_DROP, .count = EACH - 1, .numbers = numbers}};
        small_post(&mine, &drop);
        assert(small_wait(&mine, &drop) == STORE_DONE);
    }
    store_port_free(mine.port);
    return NULL;
}

static void many_threads_share_it(void **state)
{
    struct small_store *small = *state;
    struct poster posters[POSTERS];
    struct store_figures figures;

    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.small = small, .first = i};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
    store_figures(small->store, &figures);
    assert_int_equal(figures.rows, POSTERS * ROUNDS);
    assert_int_equal(total(small).rows, POSTERS * ROUNDS);
}

/* Waits for what is still open, without a poll of the caller's. */
static void a_port_that_goes_waits_for_its_jobs(void **state)
{
    struct small_store *small = *state;
    const int64_t number = store_numbers(small->store, 1);
    const struct store_row row = {.number = number, .queue = small->queue, .record = SPAN("x")};
    struct waited put = {.job = {.work = STORE_PUT, .count = 1, .rows = &row}};
    struct waited drop = {.job = {.work = STORE_DROP, .count = 1, .numbers = &number}};
    struct err err = {0};

    small_post(small, &put);
    small_post(small, &drop);
    store_port_free(small->port);
    assert_true(put.done && drop.done);
    assert_int_equal(put.job.answer, STORE_DONE);
    assert_int_equal(drop.job.answer, STORE_DONE);
    small->port = store_port_new(small->store, &err);
    assert_int_equal(total(small).rows, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void a_queue_more_than_wanted_is_not_made(void **state)
{
    struct small_store *small = *state;
    const struct store_name known = small_name("r", "t"), other = small_name("r", "u");

    assert_int_equal(store_queue_below(small->store, &known, 1), small->queue);
    assert_int_equal(store_queue_below(small->store, &other, 1), 0);
    assert_int_equal(store_queue_below(small->store, &other, 2), small->queue + 1);
    assert_int_equal(store_queue_below(small->store, &other, 1), small->queue + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_read_in_order_and_counted),
        TEST(rows_live_over_a_restart),
        TEST(numbers_never_come_again),
        TEST(several_queues_are_read_as_one),
        TEST(a_read_keeps_to_its_bounds),
        TEST(fetch_gives_those_that_are_there),
        TEST(what_is_over_the_bound_is_refused),
        TEST(a_bound_that_was_met_is_forgotten),
        TEST(one_bad_job_does_not_fail_the_others),
        TEST(rows_become_letters),
        TEST(old_rows_are_buried_by_age_and_by_size),
        TEST(a_long_burial_goes_to_its_end),
        TEST(the_oldest_letters_go_when_there_are_too_many),
        TEST(a_queue_more_than_wanted_is_not_made),
        TEST(a_filter_keeps_its_identifier),
        TEST(a_new_database_gives_no_identifier_to_another_filter),
        TEST(a_second_daemon_is_kept_out),
        TEST(the_log_does_not_grow_without_end),
        TEST(nobody_else_can_read_it),
        TEST(many_threads_share_it),
        TEST(a_port_that_goes_waits_for_its_jobs),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
