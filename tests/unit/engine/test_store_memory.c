/* Room: a disk that is full, a file that becomes small again, memory that is not to be had. */
#include "failing_malloc.h"

#include "small_store.h"

#include "base/clock.h"
#include "base/log.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

enum { ROWS = 100, SIZE = 10000 };

static char record[SIZE];

static enum store_answer put_rows(struct small_store *small, int64_t first)
{
    struct store_row rows[ROWS];
    struct waited put = {.job = {.work = STORE_PUT, .count = ROWS, .rows = rows}};

    for (int i = 0; i < ROWS; i++)
        rows[i] = (struct store_row){.number = first + i, .queue = small->queue, .record = {record, SIZE}};
    return small_do(small, &put);
}

static enum store_answer drop_rows(struct small_store *small, int64_t first)
{
    int64_t numbers[ROWS];

    for (int i = 0; i < ROWS; i++)
        numbers[i] = first + i;
    return small_drop(small, numbers, ROWS);
}

static off_t size_of(const struct small_store *small)
{
    struct stat info = {0};

    (void)stat(small->path, &info);
    return info.st_size;
}

static void wait_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void a_drained_file_becomes_small(void **state)
{
    struct small_store *small = small_new();
    const int64_t until = clock_mono_ms() + 60000;
    int64_t first[30];

    (void)state;
    for (int i = 0; i < 30; i++) {
        first[i] = store_numbers(small->store, ROWS);
        assert_int_equal(put_rows(small, first[i]), STORE_DONE);
    }
    for (int i = 0; i < 30; i++)
        assert_int_equal(drop_rows(small, first[i]), STORE_DONE);
    while (size_of(small) > 15 * ROWS * SIZE && clock_mono_ms() < until)
        wait_ms(20);
    assert_true(size_of(small) <= 15 * ROWS * SIZE);
    small_free(small);
}

/* ---- a full disk: a small one in a name space of its own ---- */

enum { DISK_MIB = 32, JOBS = 64, CANNOT = 77 };

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                    \
            return 1;                                                                                        \
        }                                                                                                    \
    } while (0)

static int fill_disk(struct small_store *small)
{
    const int64_t until = clock_mono_ms() + 120000;
    int64_t first[JOBS];
    int count = 0;
    enum store_answer answer = STORE_DONE;

    small_open(small);
    while (count < JOBS && answer == STORE_DONE) {
        first[count] = store_numbers(small->store, ROWS);
        answer = put_rows(small, first[count]);
        count += answer == STORE_DONE;
    }
    MUST(answer == STORE_FULL);
    MUST(count > 8);
    MUST(put_rows(small, store_numbers(small->store, ROWS)) == STORE_FULL);
    /* What was delivered can be deleted all the same, and then there is room again. */
    for (int i = 0; i < count; i++)
        MUST(drop_rows(small, first[i]) == STORE_DONE);
    do {
        wait_ms(20);
        answer = put_rows(small, store_numbers(small->store, ROWS));
    } while (answer == STORE_FULL && clock_mono_ms() < until);
    MUST(answer == STORE_DONE);
    small_close(small);
    small_open(small);

    struct store_figures figures;
    store_figures(small->store, &figures);
    MUST(figures.rows == ROWS);
    small_close(small);
    return 0;
}

static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* A name space where we are root, and may mount. */
static bool be_alone(void)
{
    char users[48], groups[48];

    (void)snprintf(users, sizeof users, "0 %u 1", (unsigned)getuid());
    (void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getgid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

static int in_small_disk(struct small_store *small)
{
    char options[32];

    (void)snprintf(options, sizeof options, "size=%dm,mode=0777", DISK_MIB);
    if (!be_alone() || mount("none", small->folder, "tmpfs", 0, options) != 0)
        return CANNOT;
    return fill_disk(small);
}

static void a_full_disk_lets_delete_and_recovers(void **state)
{
    struct small_store small;
    int status = 0;

    (void)state;
    small_folder(&small);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        log_setup(LOG_TEXT, LOG_ERROR);
        _exit(in_small_disk(&small));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)rmdir(small.folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
        skip(); /* no name spaces for us here */
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- memory ---- */

enum { MOST = 5000 };

static void open_gives_up_cleanly(void **state)
{
    struct small_store small;
    size_t failures = 0;
    uint64_t after;

    (void)state;
    small_folder(&small);
    for (after = 0; after < MOST; after += 1 + after / 50) {
        struct err err = {0};

        failing_begin(after, false);
        struct store *store = store_open(&small.options, &err);
        const bool met = failing_end();
        if (!store) {
            failures++;
            assert_int_not_equal(err.text[0], '\0');
        }
        store_close(store);
        if (!met)
            break;
    }
    assert_true(after < MOST);
    assert_true(failures > 10);
    small_open(&small); /* and it can still be opened */
    small_close(&small);
    (void)nftw(small.folder, small_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_lets_delete_and_recovers),
        cmocka_unit_test(a_drained_file_becomes_small),
        cmocka_unit_test(open_gives_up_cleanly),
    };

    log_setup(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests_name("store room", tests, NULL, NULL);
}
