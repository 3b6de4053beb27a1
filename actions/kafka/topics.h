/* topics.h - one topic handle for each topic that a producer has written to.
 *
 * librdkafka keeps a topic for as long as its producer lives, so their number is bounded: a rule that makes
 * topic names from messages must not fill memory, or the cluster. */
#ifndef KAFKA_TOPICS_H
#define KAFKA_TOPICS_H

#include "base/err.h"
#include "base/span.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

struct kept;
struct question;

struct topic {
    struct topic *next; /* in its bucket */
    rd_kafka_topic_t *handle;
    size_t open; /* records whose report is not here yet */

    /* Members of refused batches, on their way to being sent again (retry.c). */
    struct kept *failed, **failed_end; /* of the round under way, in order */
    struct kept *waiting;
    size_t failed_count, waiting_count, round;
    struct topic *next_retry;
    bool retrying;

    /* Records for a partition that may not be there (ask.c). */
    struct question *questions;
    bool asking;
    int partitions;      /* as last answered; 0 not asked */
    int64_t answered_ms; /* monotonic */

    size_t name_size;
    char name[];
};

struct topics {
    struct topic **buckets;
    size_t bucket_count, count, most;
    struct topic *last; /* the one used last: most rules write to one topic */
};

/* `most`: the bound. */
int topics_init(struct topics *topics, size_t most, struct err *err);
/* Let go of all handles; no record may be open. */
void topics_done(struct topics *topics);

/* The topic if it was used before. */
struct topic *topics_find(struct topics *topics, struct span name);
/* A new one, whose name was checked. NULL with `err` when the bound is met. */
struct topic *topics_add(struct topics *topics, rd_kafka_t *producer, struct span name, struct err *err);

#endif
