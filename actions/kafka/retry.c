/* retry.c - one bad record makes Kafka refuse its whole batch, so none of the batch is given up before it has
 * failed alone.
 *
 * The members are kept (a report still holds the record) and sent again in rounds: half of them, and half of
 * that again when a round fails, down to one, which is then known to be bad; after a success twice as many. A
 * round is sent only when nothing else of its topic is under way, so that it shares its batch with nobody;
 * meanwhile the topic takes no new records. One bad record among n costs about 2 log2(n) rounds. The order
 * per key is kept among the members; what was sent behind the batch has overtaken them, which is documented.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 50 };

struct kept {
    struct kept *next;
    void *tag;
    rd_kafka_headers_t *headers; /* NULL: none */
    int64_t timestamp_ms;
    int32_t partition;
    bool has_key;
    size_t key_size, size;
    char bytes[]; /* key, payload */
};

static void kept_free(struct kept *kept)
{
    if (kept->headers)
        rd_kafka_headers_destroy(kept->headers);
    free(kept);
}

int retry_keep(struct action_client *client, const struct ticket *ticket, rd_kafka_message_t *message)
{
    struct topic *topic = ticket->topic;
    rd_kafka_timestamp_type_t type;
    struct kept *kept = malloc(sizeof *kept + message->key_len + message->len);

    if (!kept)
        return -1;
    *kept = (struct kept){.tag = ticket->tag,
                          .partition = ticket->partition,
                          .has_key = message->key != NULL,
                          .key_size = message->key_len,
                          .size = message->len};
    kept->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    if (kept->timestamp_ms < 0)
        kept->timestamp_ms = 0;
    if (message->key_len)
        memcpy(kept->bytes, message->key, message->key_len);
    if (message->len)
        memcpy(kept->bytes + message->key_len, message->payload, message->len);
    if (rd_kafka_message_detach_headers(message, &kept->headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kept->headers = NULL;

    *topic->failed_end = kept;
    topic->failed_end = &kept->next;
    topic->failed_count++;
    client->kept++;
    if (!topic->retrying) {
        topic->retrying = true;
        topic->round = 0;
        topic->next_retry = client->retrying;
        client->retrying = topic;
    }
    return 0;
}

/* Returns false when librdkafka's queue is full. */
static bool send_kept(struct action_client *client, struct topic *topic, struct kept *kept, bool alone)
{
    struct record record = {
        .key = kept->has_key ? (struct span){kept->bytes, kept->key_size} : (struct span){NULL, 0},
        .payload = {kept->bytes + kept->key_size, kept->size},
        .partition = kept->partition,
        .timestamp_ms = kept->timestamp_ms,
    };
    struct ticket *ticket = ticket_take(client);

    if (!ticket)
        return false;
    ticket->tag = kept->tag;
    ticket->alone = alone;
    rd_kafka_resp_err_t error = produce(client, topic, &record, kept->headers, ticket);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        kept->headers = NULL; /* librdkafka's now */
    else
        ticket_give(client, ticket);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return false;
    if (error) {
        enum verdict verdict = verdict_of(error);
        report_result(client, kept->tag,
                      verdict == VERDICT_FINAL || verdict == VERDICT_ALONE       ? ACTION_FAILED
                      : verdict == VERDICT_TOPIC || verdict == VERDICT_PARTITION ? ACTION_REFUSED
                                                                                 : ACTION_WAIT,
                      error, topic->name);
    }
    return true;
}

static void next_round(struct action_client *client, struct topic *topic)
{
    size_t size;

    /* What failed goes back in front. */
    if (topic->failed) {
        *topic->failed_end = topic->waiting;
        topic->waiting = topic->failed;
        topic->waiting_count += topic->failed_count;
        topic->round = topic->round ? topic->round / 2 : topic->failed_count / 2;
        topic->failed = NULL;
        topic->failed_end = &topic->failed;
        topic->failed_count = 0;
    } else {
        topic->round *= 2;
    }
    size = topic->round = topic->round < 1                      ? 1
                          : topic->round > topic->waiting_count ? topic->waiting_count
                                                                : topic->round;
    while (topic->waiting && size-- > 0) {
        struct kept *kept = topic->waiting;

        if (!send_kept(client, topic, kept, topic->round == 1)) {
            client_wake_in(client, WAIT_MS);
            return;
        }
        topic->waiting = kept->next;
        topic->waiting_count--;
        client->kept--;
        kept_free(kept);
    }
}

void retry_step(struct action_client *client)
{
    struct topic **at = &client->retrying;

    while (*at) {
        struct topic *topic = *at;

        if (topic->open == 0 && !client->failed && (topic->failed || topic->waiting))
            next_round(client, topic);
        if (topic->open == 0 && !topic->failed && !topic->waiting) {
            topic->retrying = false;
            *at = topic->next_retry;
        } else {
            at = &topic->next_retry;
        }
    }
}

static void drop_list(struct action_client *client, const struct topic *topic, struct kept *list)
{
    while (list) {
        struct kept *next = list->next;
        void *tag = list->tag;

        kept_free(list);
        client->kept--;
        report_result(client, tag, ACTION_WAIT, RD_KAFKA_RESP_ERR__PURGE_QUEUE, topic->name);
        list = next;
    }
}

void retry_drop(struct action_client *client)
{
    while (client->retrying) {
        struct topic *topic = client->retrying;
        struct kept *failed = topic->failed, *waiting = topic->waiting;

        client->retrying = topic->next_retry;
        topic->retrying = false;
        topic->failed = topic->waiting = NULL;
        topic->failed_end = &topic->failed;
        topic->failed_count = topic->waiting_count = 0;
        drop_list(client, topic, failed);
        drop_list(client, topic, waiting);
    }
}
