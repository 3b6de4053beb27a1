/* record.h - a rendered record as Kafka sees it: checked names and numbers. */
#ifndef KAFKA_RECORD_H
#define KAFKA_RECORD_H

#include "actions/action.h"

/* The rows of the action's field table. */
enum field {
    FIELD_DESTINATION,
    FIELD_TOPIC,
    FIELD_KEY,
    FIELD_PARTITION,
    FIELD_HEADERS,
    FIELD_TIMESTAMP,
    FIELD_CLIENT_PROPERTIES,
    FIELD_COUNT
};

extern const struct action_field kafka_fields[];

struct record {
    struct span topic;
    struct span key; /* data NULL: no key; size 0 with data: an empty key */
    struct span payload;
    int32_t partition;    /* -1: by key, or spread */
    int64_t timestamp_ms; /* 0: now */
    const struct action_pair *headers;
    size_t header_count;
};

/* Returns 0, or -1 with `err`: a record that can never be sent. Borrows from `in`. The topic's name is not
 * looked at: that is done once for each topic, not for each record. */
int record_read(struct record *record, const struct action_record *in, struct err *err);

/* Kafka's rule: 1 to 249 of [A-Za-z0-9._-], not "." or "..". 0 or -1 with `err`. */
int record_check_topic(struct span topic, struct err *err);
/* Can this text be in a topic, beside others? And in what consists of digits: a "partition"? The same. */
int record_check_topic_part(struct span part, struct err *err);
int record_check_digits(struct span part, const char *what, struct err *err);
int record_check_partition(struct span text, int32_t *partition, struct err *err);
int record_check_timestamp(struct span text, int64_t *timestamp_ms, struct err *err);

/* Does `topic` match one of the comma separated patterns, in which * stands for any run of characters? An
 * empty list allows everything. */
bool record_topic_is_allowed(struct span topic, struct span patterns);

#endif
