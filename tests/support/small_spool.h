/* small_spool.h - a lane of small_lane.h on a store in a folder of its own, and what became of its messages.
 */
#ifndef TESTS_SMALL_SPOOL_H
#define TESTS_SMALL_SPOOL_H

#include "small_lane.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HOLD = 1000, LONG = 60000 };

#define RULE(more)                                                                                           \
    "{\"sql\": \"SELECT n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "    \
    "{\"topic\": \"${topic(2)}\", \"clientProperties\": {}}}]" more "}"

static const char *const plain[] = {RULE("")};
static const char *const reporting[] = {
    RULE(", \"errorAction\": {\"kafka\": {\"topic\": \"errors\", \"clientProperties\": {}}}")};

/* ---- a store in a folder of its own ---- */

static struct {
    char folder[64], path[80];
    struct store *store;
    int64_t max_bytes;
} disk;

static inline void open_store(void)
{
    const struct store_options options = {
        .path = disk.path, .max_bytes = disk.max_bytes, .dead_max_bytes = 1 << 30};
    struct err err = {0};

    disk.store = store_open(&options, &err);
    if (!disk.store)
        (void)fprintf(stderr, "%s\n", err.text);
    assert_non_null(disk.store);
}

static inline int set_up(void **state)
{
    (void)state;
    (void)snprintf(disk.folder, sizeof disk.folder, "/tmp/test_spool.XXXXXX");
    assert_non_null(mkdtemp(disk.folder));
    (void)snprintf(disk.path, sizeof disk.path, "%s/store.db", disk.folder);
    disk.max_bytes = 1 << 30;
    open_store();
    return 0;
}

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static inline int tear_down(void **state)
{
    (void)state;
    store_close(disk.store);
    return nftw(disk.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline struct store_figures figures(void)
{
    struct store_figures now;

    store_figures(disk.store, &now);
    return now;
}

/* ---- what became of them ---- */

static inline void assert_nothing_is_left(const struct small_lane *small)
{
    const struct lane *lane = small->lane;

    assert_int_equal(lane->hold.unsettled, 0);
    assert_int_equal(lane->hold.orphans, 0);
    assert_int_equal(lane->deliveries.used, 0);
    assert_int_equal(lane->unsafe_count, 0);
    assert_null(lane->unsafe);
    assert_int_equal(lane->batch->open, 0);
    assert_int_equal(lane->streams.waiting_count, 0);
    assert_int_equal(figures().rows, 0);
    assert_int_equal(small_count(small, COUNT_begun) + small_count(small, COUNT_recovered),
                     small_count(small, COUNT_delivered) + small_count(small, COUNT_error_action) +
                         small_count(small, COUNT_dead) + small_count(small, COUNT_dropped) +
                         small_count(small, COUNT_abandoned) + small_count(small, COUNT_withdrawn));
}

static inline bool is_something_left(const struct lane *lane)
{
    return lane->deliveries.used > 0 || lane->streams.waiting_count > 0 || lane->reports ||
           !spool_is_quiet(lane);
}

/* What waits is delivered until nothing waits any more. */
static inline void deliver_all(struct small_lane *small)
{
    for (int i = 0; i < 200 && is_something_left(small->lane); i++) {
        scripted_command("deliver 0");
        small_turn(small, LONG);
        small_disk(small);
    }
}

#endif
