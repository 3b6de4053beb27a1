/* send.c - from a rendered record into librdkafka's queue: the hot path. */
#include "client.h"

#include "base/clock.h"

rd_kafka_headers_t *headers_new(const struct action_pair *pairs, size_t count)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);

    for (size_t i = 0; headers && i < count; i++)
        (void)rd_kafka_header_add(headers, pairs[i].key.data ? pairs[i].key.data : "",
                                  (ssize_t)pairs[i].key.size, pairs[i].value.data ? pairs[i].value.data : "",
                                  (ssize_t)pairs[i].value.size);
    return headers;
}

/* librdkafka's interfaces take what they copy as plain pointers. */
static void *unconst(const char *bytes)
{
    return (void *)(uintptr_t)bytes;
}

static rd_kafka_resp_err_t produce_parts(struct action_client *client, const struct topic *topic,
                                         const struct record *record, rd_kafka_headers_t *headers,
                                         struct ticket *ticket)
{
    rd_kafka_vu_t parts[8] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic->handle},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unconst(record->payload.data), record->payload.size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = ticket},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(record->key.data), record->key.size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers}, /* ours until it succeeds */
    };
    rd_kafka_error_t *error = rd_kafka_produceva(client->producer, parts, headers ? 8 : 7);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;

    if (error)
        rd_kafka_error_destroy(error);
    return code;
}

rd_kafka_resp_err_t produce(struct action_client *client, struct topic *topic, const struct record *record,
                            rd_kafka_headers_t *headers, struct ticket *ticket)
{
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

    ticket->topic = topic;
    ticket->partition = record->partition;
    if (headers || record->timestamp_ms)
        error = produce_parts(client, topic, record, headers, ticket);
    else if (rd_kafka_produce(topic->handle, record->partition, RD_KAFKA_MSG_F_COPY,
                              unconst(record->payload.data), record->payload.size, record->key.data,
                              record->key.size, ticket) != 0)
        error = rd_kafka_last_error();
    if (error)
        ticket->topic = NULL;
    else
        topic->open++;
    return error;
}

static struct topic *topic_of(struct action_client *client, struct span name, struct err *err)
{
    struct topic *topic = topics_find(&client->topics, name);

    if (topic)
        return topic;
    if (record_check_topic(name, err) != 0)
        return NULL;
    if (!record_topic_is_allowed(name, wiped_reveal(client->allowed))) {
        err_set(err, ERR_VALUE, "topic " SPAN_FMT " is not among topics.allow", SPAN_ARG(name));
        return NULL;
    }
    return topics_add(&client->topics, client->producer, name, err);
}

/* librdkafka took nothing. */
static enum action_send not_taken(struct action_client *client, struct topic *topic, int32_t partition,
                                  void *tag, rd_kafka_resp_err_t error, struct err *err)
{
    char text[sizeof err->text];

    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        if (rd_kafka_outq_len(client->producer) > 0)
            return ACTION_BUSY;
        err_set(err, ERR_VALUE, "topic %s: the record is larger than the client's queue (buffer.memory)",
                topic->name);
        return ACTION_FINAL; /* the queue is empty: waiting for room would never end */
    }
    switch (verdict_of(error)) {
    case VERDICT_PARTITION:
        if (partition >= 0 && ask_known(topic, partition) != 0) {
            if (ask_partition(client, topic, tag, partition) == 0)
                return ACTION_SENT;
            err_memory(err);
            return ACTION_NOT_YET;
        }
        if (partition >= 0) {
            err_set(err, ERR_VALUE, "topic %s has no partition %d: it has %d", topic->name, partition,
                    topic->partitions);
            return ACTION_FINAL;
        }
        break;
    case VERDICT_ALONE: /* it never was in a batch */
    case VERDICT_FINAL:
        err_set(err, ERR_VALUE, "%s", verdict_text(error, topic->name, text, sizeof text));
        return ACTION_FINAL;
    case VERDICT_WAIT:
    case VERDICT_DELIVERED:
        err_set(err, ERR_IO, "%s", verdict_text(error, topic->name, text, sizeof text));
        return ACTION_NOT_YET;
    case VERDICT_TOPIC: break;
    }
    err_set(err, ERR_IO, "%s", verdict_text(error, topic->name, text, sizeof text));
    return ACTION_STREAM;
}

enum action_send client_send(struct action_client *client, const struct action_record *in, void *tag,
                             struct err *err)
{
    struct record record;
    rd_kafka_headers_t *headers = NULL;

    if (!client->producer || client->failed || client->closing) {
        err_set(err, ERR_IO, "%s", client->why);
        return ACTION_NOT_YET;
    }
    if (record_read(&record, in, err) != 0)
        return ACTION_FINAL;

    struct topic *topic = topic_of(client, record.topic, err);

    if (!topic)
        return err->code == ERR_MEMORY ? ACTION_NOT_YET : ACTION_FINAL;
    if (topic->retrying)
        return ACTION_BUSY; /* members of a refused batch go first, or they could not be sent alone */

    struct ticket *ticket = ticket_take(client);

    if (!ticket || (record.header_count && !(headers = headers_new(record.headers, record.header_count)))) {
        if (ticket)
            ticket_give(client, ticket);
        err_memory(err);
        return ACTION_NOT_YET;
    }
    ticket->tag = tag;
    ticket->alone = false;
    rd_kafka_resp_err_t error = produce(client, topic, &record, headers, ticket);
    if (!error)
        return ACTION_SENT;
    if (headers)
        rd_kafka_headers_destroy(headers);
    ticket_give(client, ticket);
    return not_taken(client, topic, record.partition, tag, error, err);
}
