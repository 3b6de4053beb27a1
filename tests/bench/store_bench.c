/* What the store costs: puts, reads and drops of records, with the CPU of the whole process and its memory.
 *
 *     bench_store FOLDER [ROWS [BATCH [SIZE [JOBS]]]]     1,000,000 rows, 1,000 a job, 200 bytes, 4 jobs open
 */
#include "store.h"

#include "base/clock.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { JOBS_MOST = 64 };

static struct store *store;
static struct store_port *port;
static size_t batch, open_jobs;
static bool busy[JOBS_MOST + 1];

struct slot {
    struct store_job job;
    struct store_row *rows;
    int64_t *numbers;
    size_t index;
};

static double cpu(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void on_done(struct store_job *job)
{
    assert(job->answer == STORE_DONE);
    busy[((struct slot *)job)->index] = false;
    open_jobs--;
}

static void wait_some(void)
{
    struct pollfd event = {.fd = store_port_fd(port), .events = POLLIN};

    (void)poll(&event, 1, -1);
    store_port_poll(port);
}

static struct slot *free_slot(struct slot *slots, size_t count)
{
    for (;;) {
        for (size_t i = 0; i < count; i++)
            if (!busy[slots[i].index])
                return &slots[i];
        wait_some();
    }
}

static void post(struct slot *slot)
{
    busy[slot->index] = true;
    open_jobs++;
    slot->job.done = on_done;
    store_post(port, &slot->job);
}

static void report(const char *what, size_t rows, int64_t began_ns, double cpu_before)
{
    const double seconds = (double)(clock_mono_ns() - began_ns) / 1e9;
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("%-6s %9.0f rows/s  %5.2f us of CPU a row  %ld KiB at most\n", what, (double)rows / seconds,
                 (cpu() - cpu_before) / (double)rows * 1e6, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
    const size_t rows = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    const size_t size = argc > 4 ? strtoul(argv[4], NULL, 10) : 200;
    const size_t jobs = argc > 5 ? strtoul(argv[5], NULL, 10) : 4;
    const struct store_name name = {SPAN("rule"), SPAN("kafka"), SPAN("topic"), 0};
    static struct slot slots[JOBS_MOST + 1];
    struct err err = {0};
    char path[4096];

    batch = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
    if (argc < 2 || jobs > JOBS_MOST - 1)
        return 2;
    (void)snprintf(path, sizeof path, "%s/store.db", argv[1]);
    const struct store_options options = {path, INT64_MAX, INT64_MAX};
    store = store_open(&options, &err);
    if (!store) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    port = store_port_new(store, &err);
    const uint32_t queue = store_queue(store, &name);
    char *record = calloc(1, size);
    for (size_t i = 0; i <= jobs; i++) {
        slots[i] = (struct slot){.index = i,
                                 .rows = calloc(batch, sizeof *slots[i].rows),
                                 .numbers = calloc(batch, sizeof *slots[i].numbers)};
        assert(slots[i].rows && slots[i].numbers);
    }

    int64_t began = clock_mono_ns();
    double before = cpu();
    for (size_t done = 0; done < rows; done += batch) {
        struct slot *slot = free_slot(slots, jobs);
        const int64_t first = store_numbers(store, batch);

        for (size_t i = 0; i < batch; i++)
            slot->rows[i] = (struct store_row){
                .number = first + (int64_t)i, .queue = queue, .at_ms = 1, .record = {record, size}};
        slot->job = (struct store_job){.work = STORE_PUT, .count = batch, .rows = slot->rows};
        post(slot);
    }
    while (open_jobs > 0)
        wait_some();
    report("put", rows, began, before);

    began = clock_mono_ns();
    before = cpu();
    int64_t after = 0;
    for (size_t done = 0; done < rows;) {
        struct slot *slot = &slots[0];

        slot->job = (struct store_job){.work = STORE_READ,
                                       .count = 1,
                                       .queues = &queue,
                                       .after = after,
                                       .most_rows = batch,
                                       .most_bytes = 64 << 20};
        post(slot);
        while (busy[0])
            wait_some();
        struct slot *drop = free_slot(slots + 1, jobs);
        const size_t count = slot->job.result.count;
        for (size_t i = 0; i < count; i++)
            drop->numbers[i] = slot->job.result.rows[i].number;
        after = drop->numbers[count - 1];
        free(slot->job.result.rows);
        drop->job = (struct store_job){.work = STORE_DROP, .count = count, .numbers = drop->numbers};
        post(drop);
        done += count;
    }
    while (open_jobs > 0)
        wait_some();
    report("drain", rows, began, before);
    store_port_free(port);
    store_close(store);
    return 0;
}
