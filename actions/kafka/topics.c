#include "topics.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits: names are short, and the bound on their number keeps a chosen collision harmless. */
static size_t bucket_of(const struct topics *topics, struct span name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32) & (topics->bucket_count - 1);
}

int topics_init(struct topics *topics, size_t most, struct err *err)
{
    size_t buckets = 16;

    while (buckets < most && buckets < 65536)
        buckets *= 2;
    *topics = (struct topics){
        .buckets = calloc(buckets, sizeof *topics->buckets), .bucket_count = buckets, .most = most};
    return topics->buckets ? 0 : err_memory(err);
}

void topics_done(struct topics *topics)
{
    for (size_t i = 0; i < topics->bucket_count; i++) {
        struct topic *next;
        for (struct topic *topic = topics->buckets ? topics->buckets[i] : NULL; topic; topic = next) {
            next = topic->next;
            rd_kafka_topic_destroy(topic->handle);
            free(topic);
        }
    }
    free(topics->buckets);
    *topics = (struct topics){0};
}

static bool is_named(const struct topic *topic, struct span name)
{
    return topic->name_size == name.size && memcmp(topic->name, name.data, name.size) == 0;
}

struct topic *topics_find(struct topics *topics, struct span name)
{
    if (topics->last && is_named(topics->last, name))
        return topics->last;
    if (name.size == 0 || !topics->buckets)
        return NULL;
    for (struct topic *topic = topics->buckets[bucket_of(topics, name)]; topic; topic = topic->next)
        if (is_named(topic, name))
            return topics->last = topic;
    return NULL;
}

struct topic *topics_add(struct topics *topics, rd_kafka_t *producer, struct span name, struct err *err)
{
    struct topic *topic;
    size_t bucket = bucket_of(topics, name);

    if (topics->count >= topics->most) {
        err_set(err, ERR_LIMIT,
                "topic " SPAN_FMT " would be the %zuth that this client writes to; topics.max allows %zu",
                SPAN_ARG(name), topics->count + 1, topics->most);
        return NULL;
    }
    topic = calloc(1, sizeof *topic + name.size + 1);
    if (!topic) {
        err_memory(err);
        return NULL;
    }
    memcpy(topic->name, name.data, name.size);
    topic->name_size = name.size;
    topic->failed_end = &topic->failed;
    topic->handle = rd_kafka_topic_new(producer, topic->name, NULL);
    if (!topic->handle) {
        err_set(err, ERR_VALUE, "topic %s: %s", topic->name, rd_kafka_err2str(rd_kafka_last_error()));
        free(topic);
        return NULL;
    }
    topic->next = topics->buckets[bucket];
    topics->buckets[bucket] = topic;
    topics->count++;
    return topics->last = topic;
}
