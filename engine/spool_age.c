/* Refused for too long, or too much of it: the oldest rows become dead letters. */
#include "lane.h"

enum { AGE_MS = 2000 }; /* between two looks at what waits for refused topics */

static void note_size(void *context, const struct store_queue *queue)
{
    struct lane *lane = context;

    if (queue->id < lane->spool.queue_count) {
        lane->spool.queues[queue->id].bytes = queue->bytes;
        lane->spool.queues[queue->id].oldest_ms = queue->oldest_ms;
    }
}

struct refused {
    struct stream *stream;
    int64_t bytes, oldest_ms;
};

static struct refused measure(const struct lane *lane, struct stream *stream)
{
    struct refused all = {stream, 0, INT64_MAX};

    for (size_t i = 0; i < stream->spool.queue_count; i++) {
        const struct spool_queue *queue = &lane->spool.queues[stream->spool.queues[i].id];

        all.bytes += (int64_t)queue->bytes;
        if (queue->bytes > 0 && queue->oldest_ms < all.oldest_ms)
            all.oldest_ms = queue->oldest_ms;
    }
    return all;
}

/* One stream at a time: the one with the oldest rows, if they are too old; else, if there are too many, the
 * largest. */
static void age(struct lane *lane)
{
    const struct config *config = lane->options.config;
    const int64_t half =
        config->delivery.store_bytes / 2; /* refused topics must not fill the store for all */
    const int64_t most = config->delivery.refused_bytes < half ? config->delivery.refused_bytes : half;
    const int64_t before_ms = store_before(lane->options.store, config->delivery.refused_ms);
    struct refused oldest = {NULL, 0, before_ms}, largest = {0};
    int64_t bytes = 0;

    for (size_t i = 0; i < lane->spool.queue_count; i++) /* those that are empty are not shown */
        lane->spool.queues[i].bytes = 0;
    store_each_queue(lane->options.store, note_size, lane);
    for (size_t i = 0; i < lane->streams.waiting_count; i++) {
        struct stream *stream = lane->streams.waiting[i];

        if (!stream->refused || !stream->spool.on)
            continue;
        struct refused one = measure(lane, stream);
        bytes += one.bytes;
        if (stream->in_flight > 0 || stream->spool.reading || stream->spool.storing > 0)
            continue;
        if (one.oldest_ms < oldest.oldest_ms)
            oldest = one;
        if (one.bytes > largest.bytes)
            largest = one;
    }
    if (oldest.stream)
        spool_bury_old(lane, oldest.stream, before_ms, 0);
    else if (bytes > most && largest.stream)
        spool_bury_old(lane, largest.stream, 0, bytes - most);
}

void spool_age(struct lane *lane)
{
    struct spool *spool = &lane->spool;

    if (lane->now_ms < spool->age_ms || spool->ageing)
        return;
    spool->age_ms = lane->now_ms + AGE_MS;
    age(lane);
}
