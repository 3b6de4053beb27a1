#include "outcome.h"

#include <stdio.h>

/* Measured with librdkafka 2.14 against Kafka 4.3. What is not listed may pass: a record is never given up
 * for a reason that nobody has looked at. */
static const struct row {
    rd_kafka_resp_err_t error;
    enum verdict verdict;
    const char *text;
} rows[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, VERDICT_DELIVERED, "delivered"},

    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, VERDICT_TOPIC,
     "the topic does not exist; create it, or allow the cluster to create topics"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, VERDICT_TOPIC,
     "the topic does not exist; create it, or allow the cluster to create topics"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, VERDICT_TOPIC,
     "we have no right to write to the topic; grant WRITE and DESCRIBE on it"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, VERDICT_PARTITION, "the topic has no such partition"},

    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, VERDICT_ALONE,
     "the record is larger than the topic's max.message.bytes or our message.max.bytes"},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, VERDICT_ALONE,
     "the cluster refused the record as invalid; a compacted topic, for one, needs a key"},
    {RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD, VERDICT_ALONE, "another record of its batch was refused"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, VERDICT_ALONE,
     "the record is larger than a segment of the topic (segment.bytes)"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, VERDICT_ALONE, "a policy of the cluster refused the record"},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, VERDICT_ALONE,
     "the record's timestamp is too far from the broker's clock"},

    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, VERDICT_FINAL, "the topic's name is not valid"},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, VERDICT_FINAL, "librdkafka refused the record as malformed"},

    {RD_KAFKA_RESP_ERR__FATAL, VERDICT_WAIT, "the producer has failed and is replaced"},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, VERDICT_WAIT, "not sent: the client was closed first"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, VERDICT_WAIT,
     "sent, and the client was closed before an answer came; it may arrive twice"},
    {RD_KAFKA_RESP_ERR__DESTROY, VERDICT_WAIT, "its partition went away while it was being sent"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, VERDICT_WAIT, "message.timeout.ms passed"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, VERDICT_WAIT,
     "too few replicas of the partition are in step (min.insync.replicas)"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, VERDICT_WAIT,
     "too few replicas of the partition are in step (min.insync.replicas)"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, VERDICT_WAIT,
     "we have no right on the cluster; grant IDEMPOTENT_WRITE, or set enable.idempotence to false"},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, VERDICT_WAIT, "another producer took our id"},
};

static const struct row *find(rd_kafka_resp_err_t error)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].error == error)
            return &rows[i];
    return NULL;
}

enum verdict verdict_of(rd_kafka_resp_err_t error)
{
    const struct row *row;

    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return VERDICT_DELIVERED;
    row = find(error);
    return row ? row->verdict : VERDICT_WAIT;
}

const char *verdict_text(rd_kafka_resp_err_t error, const char *topic, char *out, size_t room)
{
    const struct row *row = find(error);

    (void)snprintf(out, room, "topic %s: %s", topic, row ? row->text : rd_kafka_err2str(error));
    return out;
}
