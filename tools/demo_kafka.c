/* A Kafka inside the process: librdkafka's mock cluster, and a consumer of everything in it. */
#include "base/clock.h"
#include "demo.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MOST = 64, LOOK_EVERY_MS = 200 };

struct demo_kafka {
    rd_kafka_t *host; /* the mock cluster lives in it */
    rd_kafka_mock_cluster_t *cluster;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    struct {
        rd_kafka_topic_t *topic;
        int partitions;
    } topics[TOPICS_MOST];
    size_t topic_count;
    int64_t looked_ms;
};

static rd_kafka_t *client(rd_kafka_type_t type, const char *servers, struct err *err)
{
    char text[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, NULL);
    if (servers)
        (void)rd_kafka_conf_set(conf, "bootstrap.servers", servers, text, sizeof text);
    rd_kafka_t *handle = rd_kafka_new(type, conf, text, sizeof text);
    if (!handle) {
        rd_kafka_conf_destroy(conf);
        (void)err_set(err, ERR_IO, "the embedded Kafka does not start: %s", text);
    }
    return handle;
}

struct demo_kafka *demo_kafka_new(struct err *err)
{
    struct demo_kafka *kafka = calloc(1, sizeof *kafka);

    if (!kafka) {
        (void)err_memory(err);
        return NULL;
    }
    kafka->host = client(RD_KAFKA_PRODUCER, NULL, err);
    if (kafka->host)
        kafka->cluster = rd_kafka_mock_cluster_new(kafka->host, 1);
    if (kafka->cluster)
        kafka->consumer = client(RD_KAFKA_CONSUMER, demo_kafka_servers(kafka), err);
    else if (kafka->host)
        (void)err_set(err, ERR_IO, "the embedded Kafka does not start");
    if (!kafka->consumer) {
        demo_kafka_free(kafka);
        return NULL;
    }
    kafka->queue = rd_kafka_queue_new(kafka->consumer);
    return kafka;
}

void demo_kafka_free(struct demo_kafka *kafka)
{
    if (!kafka)
        return;
    for (size_t i = 0; i < kafka->topic_count; i++) {
        for (int p = 0; p < kafka->topics[i].partitions; p++)
            (void)rd_kafka_consume_stop(kafka->topics[i].topic, p);
        rd_kafka_topic_destroy(kafka->topics[i].topic);
    }
    if (kafka->queue)
        rd_kafka_queue_destroy(kafka->queue);
    if (kafka->consumer)
        rd_kafka_destroy(kafka->consumer);
    if (kafka->cluster)
        rd_kafka_mock_cluster_destroy(kafka->cluster);
    if (kafka->host)
        rd_kafka_destroy(kafka->host);
    free(kafka);
}

const char *demo_kafka_servers(const struct demo_kafka *kafka)
{
    return rd_kafka_mock_cluster_bootstraps(kafka->cluster);
}

static bool is_known(const struct demo_kafka *kafka, const char *name)
{
    for (size_t i = 0; i < kafka->topic_count; i++)
        if (strcmp(rd_kafka_topic_name(kafka->topics[i].topic), name) == 0)
            return true;
    return false;
}

/* Rules compute topics, so new ones appear while we watch. */
static void look_for_topics(struct demo_kafka *kafka)
{
    const struct rd_kafka_metadata *all;

    if (clock_mono_ms() - kafka->looked_ms < LOOK_EVERY_MS)
        return;
    if (rd_kafka_metadata(kafka->consumer, 1, NULL, &all, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (int i = 0; i < all->topic_cnt && kafka->topic_count < TOPICS_MOST; i++) {
        const struct rd_kafka_metadata_topic *found = &all->topics[i];

        if (found->err || found->partition_cnt == 0 || is_known(kafka, found->topic))
            continue;
        rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->consumer, found->topic, NULL);
        for (int p = 0; p < found->partition_cnt; p++)
            (void)rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, kafka->queue);
        kafka->topics[kafka->topic_count].topic = topic;
        kafka->topics[kafka->topic_count++].partitions = found->partition_cnt;
    }
    rd_kafka_metadata_destroy(all);
    kafka->looked_ms = clock_mono_ms();
}

bool demo_kafka_next(struct demo_kafka *kafka, int wait_ms,
                     void (*seen)(void *context, const struct demo_record *record), void *context)
{
    look_for_topics(kafka);
    rd_kafka_message_t *message = rd_kafka_consume_queue(kafka->queue, wait_ms);
    if (!message)
        return false;
    bool is_record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (is_record) {
        const struct demo_record record = {
            .topic = rd_kafka_topic_name(message->rkt),
            .key = message->key,
            .key_size = message->key_len,
            .value = message->payload,
            .value_size = message->len,
        };

        seen(context, &record);
    }
    rd_kafka_message_destroy(message);
    return is_record;
}
