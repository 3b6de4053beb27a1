/* report.c - from a delivery report to an outcome. */
#include "client.h"

void report_result(struct action_client *client, void *tag, enum action_outcome outcome,
                   rd_kafka_resp_err_t error, const char *topic)
{
    char text[512];
    struct action_result result = {
        .tag = tag,
        .outcome = outcome,
        .code = error ? rd_kafka_err2name(error) : "",
        .text = error ? verdict_text(error, topic, text, sizeof text) : "",
    };

    client->events->result(client->events->context, &result);
}

/* The ticket goes back before the engine hears of it: it may send the next record at once. Of the report only
 * the error code is used: librdkafka's texts for a record's error point into freed memory. */
void report_read(struct action_client *client, rd_kafka_message_t *message)
{
    struct ticket ticket = *(struct ticket *)message->_private;
    struct topic *topic = ticket.topic;
    rd_kafka_resp_err_t error = message->err;

    ticket_give(client, message->_private);
    topic->open--;
    switch (verdict_of(error)) {
    case VERDICT_DELIVERED:
        client->progress_ms = 0;
        if (client->state == ACTION_AWAY) /* metadata, the other sign of life, may be asked for later only */
            atomic_fetch_add(&client->signals.answers, 1);
        report_result(client, ticket.tag, ACTION_DELIVERED, error, topic->name);
        return;
    case VERDICT_ALONE:
        if (ticket.alone)
            break;
        if (!client->closing && retry_keep(client, &ticket, message) == 0)
            return;
        report_result(client, ticket.tag, ACTION_WAIT, error, topic->name);
        return;
    case VERDICT_PARTITION:
        if (ticket.partition < 0 || client->closing)
            report_result(client, ticket.tag, ACTION_REFUSED, error, topic->name);
        else if (ask_partition(client, topic, ticket.tag, ticket.partition) != 0)
            report_result(client, ticket.tag, ACTION_WAIT, error, topic->name);
        return;
    case VERDICT_TOPIC: report_result(client, ticket.tag, ACTION_REFUSED, error, topic->name); return;
    case VERDICT_WAIT: report_result(client, ticket.tag, ACTION_WAIT, error, topic->name); return;
    case VERDICT_FINAL: break;
    }
    report_result(client, ticket.tag, ACTION_FAILED, error, topic->name);
}
