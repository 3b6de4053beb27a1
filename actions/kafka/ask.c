/* ask.c - "no such partition" is final only when the cluster says so now.
 *
 * What librdkafka remembers may be half a minute old, and a topic may just be growing, or be gone. So the
 * cluster is asked, once for all records of a topic that wait for the answer. */
#include "client.h"

#include "base/clock.h"

#include <stdlib.h>

enum { ANSWER_HOLDS_MS = 2000, ANSWER_WITHIN_MS = 10000 };

struct question {
    struct question *next;
    void *tag;
    int32_t partition;
};

int ask_known(const struct topic *topic, int32_t partition)
{
    if (!topic->partitions || clock_mono_ms() - topic->answered_ms > ANSWER_HOLDS_MS)
        return -1;
    return partition < topic->partitions;
}

static void ask(struct action_client *client, struct topic *topic)
{
    const char *name = topic->name;
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client->producer, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    char why[128];

    (void)rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_WITHIN_MS, why, sizeof why);
    if (atomic_load(&client->signals.broker) >=
        0) /* any will do; the controller, its own choice, may be away */
        (void)rd_kafka_AdminOptions_set_broker(options, atomic_load(&client->signals.broker), why,
                                               sizeof why);
    rd_kafka_AdminOptions_set_opaque(options, topic);
    rd_kafka_DescribeTopics(client->producer, topics, options, client->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(topics);
    topic->asking = true;
}

int ask_partition(struct action_client *client, struct topic *topic, void *tag, int32_t partition)
{
    struct question *question = malloc(sizeof *question);

    if (!question)
        return -1;
    *question = (struct question){.next = topic->questions, .tag = tag, .partition = partition};
    topic->questions = question;
    client->kept++;
    if (!topic->asking)
        ask(client, topic);
    return 0;
}

/* `partitions` 0: nobody knows. */
static void settle(struct action_client *client, struct topic *topic, int partitions)
{
    struct question *list = topic->questions, *ordered = NULL, *next;

    topic->questions = NULL;
    for (; list; list = next) { /* the last asked is first in the list */
        next = list->next;
        list->next = ordered;
        ordered = list;
    }
    for (; ordered; ordered = next) {
        bool none = partitions > 0 && ordered->partition >= partitions;
        void *tag = ordered->tag;

        next = ordered->next;
        free(ordered);
        client->kept--;
        report_result(client, tag,
                      none              ? ACTION_FAILED
                      : client->closing ? ACTION_WAIT
                                        : ACTION_REFUSED,
                      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, topic->name);
    }
}

void ask_answer(struct action_client *client, rd_kafka_event_t *event)
{
    struct topic *topic = rd_kafka_event_opaque(event);
    const rd_kafka_DescribeTopics_result_t *result = rd_kafka_event_DescribeTopics_result(event);
    size_t count = 0, partitions = 0;
    const rd_kafka_TopicDescription_t **topics;

    topic->asking = false;
    if (!rd_kafka_event_error(event) && result) {
        topics = rd_kafka_DescribeTopics_result_topics(result, &count);
        if (count == 1 && !rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[0])))
            (void)rd_kafka_TopicDescription_partitions(topics[0], &partitions);
    }
    topic->partitions = (int)partitions;
    topic->answered_ms = clock_mono_ms();
    settle(client, topic, topic->partitions);
}

void ask_drop(struct action_client *client)
{
    for (size_t i = 0; i < client->topics.bucket_count; i++)
        for (struct topic *topic = client->topics.buckets[i]; topic; topic = topic->next)
            if (topic->questions)
                settle(client, topic, 0);
}
