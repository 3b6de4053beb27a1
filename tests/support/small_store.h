/* small_store.h - a store in a folder of its own, and jobs that a test waits for. */
#ifndef SMALL_STORE_H
#define SMALL_STORE_H

#include "store.h"

#include <assert.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct small_store {
    char folder[64], path[96];
    struct store_options options;
    struct store *store;
    struct store_port *port;
    uint32_t queue; /* rule "r", action 0, "kafka", "t" */
};

static inline struct store_name small_name(const char *rule, const char *stream)
{
    return (struct store_name){span_of(rule), SPAN("kafka"), span_of(stream), 0};
}

static inline void small_open(struct small_store *small)
{
    const struct store_name name = small_name("r", "t");
    struct err err = {0};

    small->store = store_open(&small->options, &err);
    if (!small->store)
        (void)fprintf(stderr, "%s\n", err.text);
    assert(small->store);
    small->port = store_port_new(small->store, &err);
    assert(small->port);
    small->queue = store_queue(small->store, &name);
    assert(small->queue);
}

static inline void small_close(struct small_store *small)
{
    store_port_free(small->port);
    store_close(small->store);
    small->port = NULL;
    small->store = NULL;
}

static inline void small_folder(struct small_store *small)
{
    const char *base = getenv("TMPDIR");

    *small = (struct small_store){.options = {.max_bytes = 1 << 30, .dead_max_bytes = 1 << 30}};
    (void)snprintf(small->folder, sizeof small->folder, "%s/store.XXXXXX",
                   base && strlen(base) < 40 ? base : "/tmp");
    assert(mkdtemp(small->folder));
    (void)snprintf(small->path, sizeof small->path, "%s/store.db", small->folder);
    small->options.path = small->path;
}

/* As if somebody had deleted it; only while it is closed. */
static inline void small_remove(const struct small_store *small)
{
    char path[sizeof small->path + 4];

    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end; end++) {
        (void)snprintf(path, sizeof path, "%s%s", small->path, *end);
        (void)remove(path);
    }
}

static inline struct small_store *small_new(void)
{
    struct small_store *small = malloc(sizeof *small);

    assert(small);
    small_folder(small);
    small_open(small);
    return small;
}

static inline int small_unlink(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
    (void)info;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void small_free(struct small_store *small)
{
    if (small->store)
        small_close(small);
    (void)nftw(small->folder, small_unlink, 8, FTW_DEPTH | FTW_PHYS);
    free(small);
}

/* ---- jobs ---- */

struct waited {
    struct store_job job;
    bool done;
};

static inline void waited_done(struct store_job *job)
{
    struct waited *waited = (struct waited *)job;

    waited->done = true;
}

static inline void small_post(struct small_store *small, struct waited *waited)
{
    waited->done = false;
    waited->job.done = waited_done;
    store_post(small->port, &waited->job);
}

static inline enum store_answer small_wait(struct small_store *small, struct waited *waited)
{
    while (!waited->done) {
        struct pollfd event = {.fd = store_port_fd(small->port), .events = POLLIN};

        (void)poll(&event, 1, -1);
        store_port_poll(small->port);
    }
    return waited->job.answer;
}

static inline enum store_answer small_do(struct small_store *small, struct waited *waited)
{
    small_post(small, waited);
    return small_wait(small, waited);
}

static inline enum store_answer small_put(struct small_store *small, uint32_t queue, int64_t number,
                                          const char *text)
{
    const struct store_row row = {.number = number, .queue = queue, .at_ms = 1000, .record = span_of(text)};
    struct waited put = {.job = {.work = STORE_PUT, .count = 1, .rows = &row}};

    return small_do(small, &put);
}

static inline enum store_answer small_drop(struct small_store *small, const int64_t *numbers, size_t count)
{
    struct waited drop = {.job = {.work = STORE_DROP, .count = count, .numbers = numbers}};

    return small_do(small, &drop);
}

#endif
