/* kafka_fixture.h - settings and records in a line, an embedded cluster, and a listener that remembers. */
#ifndef KAFKA_FIXTURE_H
#define KAFKA_FIXTURE_H

#include "client.h"
#include "kafka/kafka.h"

#include "base/clock.h"

#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* "name", "value", ... , NULL -> settings in one static array. */
#define SETTINGS(...) settings_of((const char *const[]){__VA_ARGS__, NULL})
static inline struct action_settings settings_of(const char *const *pairs)
{
    static struct action_setting items[4][32];
    static size_t turn;
    struct action_settings settings = {.items = items[turn++ % 4]};

    for (; *pairs; pairs += 2)
        settings.items[settings.count++] =
            (struct action_setting){.name = pairs[0], .value = span_of(pairs[1])};
    return settings;
}

/* What a client told. */
struct told {
    struct {
        void *tag;
        enum action_outcome outcome;
        char code[64], text[320];
    } results[20000];
    size_t count, by_outcome[4];
    enum action_state state;
    char why[400];
    size_t changes;
};

static inline void hear_result(void *context, const struct action_result *result)
{
    struct told *told = context;

    if (told->count < sizeof told->results / sizeof *told->results) {
        told->results[told->count].tag = result->tag;
        told->results[told->count].outcome = result->outcome;
        (void)snprintf(told->results[told->count].code, 64, "%s", result->code);
        (void)snprintf(told->results[told->count].text, 320, "%s", result->text);
    }
    told->count++;
    told->by_outcome[result->outcome]++;
}

static inline void hear_state(void *context, enum action_state state, const char *text)
{
    struct told *told = context;

    told->state = state;
    told->changes++;
    (void)snprintf(told->why, sizeof told->why, "%s", text);
}

static inline void serve(struct action_client *client, int ms)
{
    struct pollfd wait = {.fd = kafka_action_type.fd(client), .events = POLLIN};

    if (poll(&wait, 1, ms) > 0)
        kafka_action_type.poll(client);
}

/* Serve the client until `condition` holds; the bound is only there so that a broken test ends. */
#define SERVE_UNTIL(client, condition)                                                                       \
    for (int64_t end_ = clock_mono_ms() + 60000; !(condition);) {                                            \
        serve(client, 100);                                                                                  \
        if (clock_mono_ms() > end_)                                                                          \
            fail_msg("never: %s", #condition);                                                               \
    }

#define TEXT(literal) ((struct action_value){.text = {(literal), sizeof(literal) - 1}})
#define ABSENT        ((struct action_value){.absent = true})

struct row_record {
    struct action_value fields[FIELD_COUNT];
    struct action_record record;
};

/* A record for `topic`; key, partition and timestamp NULL: absent. Valid until the next call. */
static inline struct action_record *record_of(const char *topic, const char *key, const char *partition,
                                              const char *payload)
{
    static struct row_record row;

    for (size_t i = 0; i < FIELD_COUNT; i++)
        row.fields[i] = ABSENT;
    row.fields[FIELD_TOPIC] = (struct action_value){.text = span_of(topic)};
    if (key)
        row.fields[FIELD_KEY] = (struct action_value){.text = span_of(key)};
    if (partition)
        row.fields[FIELD_PARTITION] = (struct action_value){.text = span_of(partition)};
    row.record = (struct action_record){.payload = span_of(payload), .fields = row.fields};
    return &row.record;
}

static inline struct action_client *client_of(const struct action_events *events,
                                              struct action_settings settings)
{
    struct err err = {0};
    struct action_client *client = kafka_action_type.open(&settings, events, &err);

    if (!client)
        fail_msg("open: %s", err.text);
    return client;
}

static inline rd_kafka_mock_cluster_t *mock_of(struct action_client *client)
{
    return rd_kafka_handle_mock_cluster(client->producer);
}

#endif
