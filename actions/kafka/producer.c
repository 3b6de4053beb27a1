#include "client.h"

#include "base/clock.h"

#include <stdio.h>

static const char *const dont_know = "librdkafka gives no reason";

int producer_start(struct action_client *client, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(client->conf);
    char why[512] = "";

    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    if (signals_attach(&client->signals, conf, client->tls, err) != 0)
        goto fail;
    if (topics_init(&client->topics, client->topics_most, err) != 0)
        goto fail;
    client->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!client->producer) {
        err_set(err, ERR_VALUE, "librdkafka makes no producer of this: %s",
                client->hush ? "one of the TLS settings that are secrets is wrong"
                : why[0]     ? why
                             : dont_know);
        topics_done(&client->topics);
        goto fail;
    }
    client->queue = rd_kafka_queue_get_main(client->producer);
    rd_kafka_queue_io_event_enable(client->queue, client->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    client->failed = false;
    client->answers_seen = 0;
    client->last = (struct trouble){0};
    client->told_count = 0;
    return 0;
fail:
    rd_kafka_conf_destroy(conf);
    return -1;
}

void producer_event(struct action_client *client, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;

    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
        while ((message = rd_kafka_event_message_next(event)))
            report_read(client, (rd_kafka_message_t *)(uintptr_t)message); /* its headers may be taken over */
        break;
    case RD_KAFKA_EVENT_ERROR:
        if (rd_kafka_event_error_is_fatal(event))
            state_fatal(client, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
        else
            state_error(client, rd_kafka_event_error(event), rd_kafka_event_error_string(event));
        break;
    case RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT: ask_answer(client, event); break;
    default: break;
    }
    rd_kafka_event_destroy(event);
}

/* Take reports until nothing is open or the time is over. */
static void drain(struct action_client *client, int wait_ms)
{
    int64_t end = clock_mono_ms() + wait_ms;

    while (rd_kafka_outq_len(client->producer) > 0 || client->kept > 0) {
        int64_t left = end - clock_mono_ms();
        rd_kafka_event_t *event =
            rd_kafka_queue_poll(client->queue, left > 0 ? (int)(left < 50 ? left : 50) : 0);

        if (event)
            producer_event(client, event);
        else if (left <= 0)
            return;
        retry_step(client);
    }
}

void producer_stop(struct action_client *client, int wait_ms)
{
    enum { PURGE_MS = 2000 };

    if (!client->producer)
        return;
    if (!client->failed && wait_ms > 0)
        drain(client, wait_ms);
    retry_drop(client);
    ask_drop(client);
    (void)rd_kafka_purge(client->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    drain(client, PURGE_MS); /* in practice at once */
    retry_drop(client);
    ask_drop(client); /* a report that came last may have asked */
    rd_kafka_queue_io_event_enable(client->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(client->queue);
    topics_done(&client->topics);
    rd_kafka_destroy(client->producer);
    client->producer = NULL;
    client->queue = NULL;
    tickets_drop(client);
}
