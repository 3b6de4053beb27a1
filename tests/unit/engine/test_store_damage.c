/* A store whose file is damaged: what can be read of it lives on in a new one; and a store whose process is
 * killed at any moment. */
#include "engine/dead.h"
#include "small_store.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

enum { ROWS = 2000, PAGE = 8192 };

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

/* Rows of 100 bytes, the number in front. */
static int64_t fill(struct small_store *small)
{
    static struct store_row rows[ROWS];
    static char records[ROWS][100];
    const int64_t first = store_numbers(small->store, ROWS);
    struct waited put = {.job = {.work = STORE_PUT, .count = ROWS, .rows = rows}};

    for (int i = 0; i < ROWS; i++) {
        memset(records[i], 'x', sizeof records[i]);
        (void)snprintf(records[i], sizeof records[i], "%d", i);
        rows[i] = (struct store_row){.number = first + i, .queue = small->queue, .record = {records[i], 100}};
    }
    assert_int_equal(small_do(small, &put), STORE_DONE);
    return first;
}

/* How many rows there are; each is what it was. */
static size_t read_rows(struct small_store *small, int64_t first)
{
    struct waited got = {.job = {.work = STORE_READ,
                                 .count = 1,
                                 .queues = &small->queue,
                                 .most_rows = ROWS,
                                 .most_bytes = SIZE_MAX}};

    assert_int_equal(small_do(small, &got), STORE_DONE);
    for (size_t i = 0; i < got.job.result.count; i++) {
        const struct store_row *row = &got.job.result.rows[i];

        assert_int_equal(row->record.size, 100);
        assert_int_equal(strtoll(row->record.data, NULL, 10), row->number - first);
    }
    free(got.job.result.rows);
    return got.job.result.count;
}

static void overwrite(const char *path, off_t at, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    char junk[PAGE];

    assert_true(fd >= 0);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(pwrite(fd, junk, size, at), (ssize_t)size);
    (void)close(fd);
}

static size_t files_like(const struct small_store *small, const char *prefix)
{
    DIR *folder = opendir(small->folder);
    size_t count = 0;

    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry;
         entry = readdir(folder)) // NOLINT(concurrency-mt-unsafe)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    (void)closedir(folder);
    return count;
}

static void a_damaged_page_costs_its_rows_alone(void **state)
{
    struct small_store *small = *state;
    const int64_t first = fill(small);
    struct stat info;

    small_close(small);
    assert_int_equal(stat(small->path, &info), 0);
    /* One page after the other, as long as there is something left to tell. */
    for (off_t page = 8; page < info.st_size / PAGE; page += 9)
        overwrite(small->path, page * PAGE, PAGE);
    small_open(small);
    const size_t rows = read_rows(small, first);
    assert_in_range(rows, ROWS / 2, ROWS - 1);
    assert_int_equal(files_like(small, "store.db.damaged-"), 1);
    assert_int_equal(files_like(small, "store.db.salvag"), 0);

    struct store_figures figures;
    store_figures(small->store, &figures);
    assert_int_equal(figures.rows, rows);
    assert_int_equal(figures.bytes, rows * 100);
    assert_true(store_numbers(small->store, 1) > first + ROWS);
    assert_int_equal(small_put(small, small->queue, store_numbers(small->store, 1), "x"), STORE_DONE);
}

static void damage_is_found_while_it_runs(void **state)
{
    struct small_store *small = *state;
    const int64_t first = fill(small);
    const int64_t until = clock_mono_ms() + 60000;
    struct stat info;
    sqlite3 *other = NULL;
    enum store_answer answer;

    small_close(small); /* all is in the one file */
    small_open(small);
    assert_int_equal(stat(small->path, &info), 0);
    assert_int_equal(sqlite3_open(small->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(other, 60000), SQLITE_OK);
    /* Another process writes, so what the store has in memory does not count any more. */
    assert_int_equal(sqlite3_exec(other, "INSERT INTO filter VALUES(2, 'a', 0)", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(other);
    for (off_t page = 9; page < info.st_size / PAGE; page += 4)
        overwrite(small->path, page * PAGE, PAGE);
    do {
        struct waited got = {.job = {.work = STORE_READ,
                                     .count = 1,
                                     .queues = &small->queue,
                                     .most_rows = ROWS,
                                     .most_bytes = SIZE_MAX}};

        answer = small_do(small, &got);
        free(got.job.result.rows);
    } while (answer != STORE_DONE && clock_mono_ms() < until);
    assert_int_equal(answer, STORE_DONE);
    assert_in_range(read_rows(small, first), 1, ROWS - 1);
    assert_int_equal(files_like(small, "store.db.damaged-"), 1);
    assert_int_equal(small_put(small, small->queue, store_numbers(small->store, 1), "x"), STORE_DONE);
}

/* A statement that cannot even be prepared fails like any other. */
static void a_table_that_is_gone_is_an_error(void **state)
{
    struct small_store *small = *state;
    sqlite3 *other = NULL;

    small_close(small);
    small_open(small); /* nothing is prepared for a put */
    assert_int_equal(sqlite3_open(small->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(other, 60000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "DROP TABLE spool", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(other);
    assert_int_equal(small_put(small, small->queue, store_numbers(small->store, 1), "x"), STORE_FAILED);
}

static int64_t root_of(const char *path, const char *table)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t page = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return page;
}

/* One that is too large to be looked through at the start, and cannot be started with as it is. */
static void damage_that_only_the_start_meets_loses_no_start(void **state)
{
    enum { RECORD = 1 << 20, RECORDS = 70 };
    struct small_store *small = *state;
    char *text = calloc(1, RECORD + 1);

    assert_non_null(text);
    memset(text, 'x', RECORD);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(small_put(small, small->queue, store_numbers(small->store, 1), text), STORE_DONE);
    free(text);
    small_close(small);
    overwrite(small->path, (off_t)(root_of(small->path, "queue") - 1) * PAGE, PAGE);
    small_open(small);

    struct store_figures figures;
    store_figures(small->store, &figures);
    assert_int_equal(figures.letters, RECORDS); /* nobody knows where they were to go */
    assert_int_equal(files_like(small, "store.db.damaged-"), 1);
}

static void a_lost_header_loses_no_start(void **state)
{
    struct small_store *small = *state;

    (void)fill(small);
    small_close(small);
    overwrite(small->path, 0, 100);
    small_open(small);
    assert_int_equal(files_like(small, "store.db.damaged-"), 1);
    assert_int_equal(small_put(small, small->queue, store_numbers(small->store, 1), "x"), STORE_DONE);
}

static void a_file_of_somebody_else_is_left_alone(void **state)
{
    struct small_store *small = *state;
    struct store_options options = small->options;
    char path[128], text[64] = "";
    struct err err = {0};

    (void)snprintf(path, sizeof path, "%s/notes.txt", small->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        (void)fputs("my notes, which I need\n", file);
    (void)fclose(file);
    options.path = path;
    assert_null(store_open(&options, &err));
    assert_non_null(strstr(err.text, "no database"));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    assert_string_equal(text, "my notes, which I need\n");
    (void)fclose(file);
}

/* A crash between the renames. */
static void an_exchange_goes_on_after_a_crash(void **state)
{
    struct small_store *small = *state;
    const int64_t first = fill(small);
    char salvaged[128];

    small_close(small);
    (void)snprintf(salvaged, sizeof salvaged, "%s.salvaged", small->path);
    assert_int_equal(rename(small->path, salvaged), 0);
    small_open(small);
    assert_int_equal(read_rows(small, first), ROWS);
    assert_int_equal(files_like(small, "store.db.salvag"), 0);
}

/* ---- kill -9 ---- */

enum { ROUNDS = 25, EACH = 7 };

/* Puts and drops until it is killed; says on `out` what was answered: n for put, -n for dropped. */
static void be_killed(const struct small_store *small, int out)
{
    struct small_store mine = *small;

    log_setup(LOG_TEXT, LOG_ERROR);
    small_open(&mine);
    for (;;) {
        const int64_t first = store_numbers(mine.store, EACH);
        struct store_row rows[EACH];
        char texts[EACH][24];
        int64_t said[EACH];
        struct waited put = {.job = {.work = STORE_PUT, .count = EACH, .rows = rows}};

        for (int i = 0; i < EACH; i++) {
            (void)snprintf(texts[i], sizeof texts[i], "%lld", (long long)first + i);
            rows[i] =
                (struct store_row){.number = first + i, .queue = mine.queue, .record = span_of(texts[i])};
            said[i] = first + i;
        }
        if (small_do(&mine, &put) != STORE_DONE || write(out, said, sizeof said) != (ssize_t)sizeof said)
            _exit(1);
        const int64_t gone[] = {first, first + 3};
        struct waited drop = {.job = {.work = STORE_DROP, .count = 2, .numbers = gone}};
        struct waited more = {.job = {.work = STORE_DROP, .count = 0}};
        small_post(&mine, &drop);
        small_post(&mine, &more);
        if (first % 3 == 0 && small_wait(&mine, &drop) == STORE_DONE) {
            const int64_t dropped[] = {-first, -(first + 3)};

            if (write(out, dropped, sizeof dropped) != (ssize_t)sizeof dropped)
                _exit(1);
        }
        (void)small_wait(&mine, &drop);
        (void)small_wait(&mine, &more);
    }
}

static void wait_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void check_life(struct small_store *small, const int64_t *said, size_t count)
{
    struct waited got = {.job = {.work = STORE_READ,
                                 .count = 1,
                                 .queues = &small->queue,
                                 .most_rows = 1000000,
                                 .most_bytes = SIZE_MAX}};
    int64_t *there;

    small_open(small);
    assert_int_equal(small_do(small, &got), STORE_DONE);
    there = calloc(got.job.result.count + 1, sizeof *there);
    assert_non_null(there);
    for (size_t i = 0; i < got.job.result.count; i++)
        there[i] = got.job.result.rows[i].number;
    for (size_t i = 0; i < count; i++) {
        const int64_t number = said[i] < 0 ? -said[i] : said[i];
        const int64_t place = (number & ((INT64_C(1) << 40) - 1)) % EACH; /* in its job */
        const bool found = bsearch(&number, there, got.job.result.count, sizeof number, compare);

        if (said[i] < 0)
            assert_false(found);
        else
            assert_true(found || place == 0 ||
                        place == 3); /* those may be dropped, and the kill came first */
    }
    const bool dropped = small_drop(small, there, got.job.result.count) == STORE_DONE;
    assert_true(dropped);
    free(there);
    free(got.job.result.rows);
    small_close(small);
}

static void a_killed_process_loses_nothing_that_was_answered(void **state)
{
    struct small_store *small = *state;
    static int64_t said[1 << 20];
    uint64_t random = 1;

    small_close(small);
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        size_t bytes = 0;
        ssize_t got;

        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            be_killed(small, ends[1]);
        }
        (void)close(ends[1]);
        while (bytes == 0 && (got = read(ends[0], said, sizeof said)) > 0)
            bytes += (size_t)got;
        random = random * 6364136223846793005u + 1442695040888963407u;
        wait_ms((long)((random >> 33) % 60));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (bytes < sizeof said && (got = read(ends[0], (char *)said + bytes, sizeof said - bytes)) > 0)
            bytes += (size_t)got;
        (void)close(ends[0]);
        assert_true(bytes > 0);
        check_life(small, said, bytes / sizeof *said);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_killed_process_loses_nothing_that_was_answered),
        TEST(a_damaged_page_costs_its_rows_alone),
        TEST(damage_is_found_while_it_runs),
        TEST(a_table_that_is_gone_is_an_error),
        TEST(damage_that_only_the_start_meets_loses_no_start),
        TEST(a_lost_header_loses_no_start),
        TEST(a_file_of_somebody_else_is_left_alone),
        TEST(an_exchange_goes_on_after_a_crash),
    };

    log_setup(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests_name("store damage", tests, NULL, NULL);
}
