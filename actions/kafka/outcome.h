/* outcome.h - what librdkafka's error about a record means for that record. */
#ifndef KAFKA_OUTCOME_H
#define KAFKA_OUTCOME_H

#include "actions/action.h"

#include <librdkafka/rdkafka.h>

enum verdict {
    VERDICT_DELIVERED,
    VERDICT_WAIT,      /* may be delivered later by this client or the next */
    VERDICT_TOPIC,     /* the topic is refused: its records wait alone */
    VERDICT_FINAL,     /* never */
    VERDICT_ALONE,     /* the batch is refused: final only for a record that fails alone */
    VERDICT_PARTITION, /* no such partition: final if the record named it and the topic is known not to have
                          it */
};

enum verdict verdict_of(rd_kafka_resp_err_t error);

/* One sentence for people, in `out`. `topic` is who it is about. */
const char *verdict_text(rd_kafka_resp_err_t error, const char *topic, char *out, size_t room);

#endif
