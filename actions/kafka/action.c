/* action.c - the Kafka action's row in the table of actions. */
#include "kafka/kafka.h"

#include "client.h"
#include "describe.h"
#include "examine.h"

static void report_in(struct report *report, const struct err *err, const char *field)
{
    report_error(report, NULL, field, (struct pos){0, 0}, "%s", err->text);
}

/* Fields without templates can be judged before any message. */
static void check_constants(const struct span *constants, const struct settings *settings,
                            struct report *report)
{
    struct err err;
    int32_t partition;
    int64_t timestamp;
    struct span topic = constants[FIELD_TOPIC], allowed = setting_text(settings, PROP_TOPICS_ALLOW);

    if (topic.data) {
        if (record_check_topic(topic, &err) != 0)
            report_in(report, &err, "topic");
        else if (!record_topic_is_allowed(topic, allowed))
            report_error(report, NULL, "topic", (struct pos){0, 0},
                         "topic " SPAN_FMT " is not among topics.allow", SPAN_ARG(topic));
    }
    if (constants[FIELD_PARTITION].data &&
        record_check_partition(constants[FIELD_PARTITION], &partition, &err) != 0)
        report_in(report, &err, "partition");
    if (constants[FIELD_TIMESTAMP].data &&
        record_check_timestamp(constants[FIELD_TIMESTAMP], &timestamp, &err) != 0)
        report_in(report, &err, "timestamp");
}

static void kafka_check(const struct span *constants, const struct action_settings *in, bool release,
                        struct report *report)
{
    struct settings settings;

    settings_read(&settings, in, report);
    settings_check(&settings, release, report);
    check_constants(constants, &settings, report);
    settings_done(&settings);
}

static int kafka_check_part(size_t field, struct span literal, struct err *err)
{
    switch (field) {
    case FIELD_TOPIC: return record_check_topic_part(literal, err);
    case FIELD_PARTITION: return record_check_digits(literal, "partition", err);
    case FIELD_TIMESTAMP: return record_check_digits(literal, "timestamp", err);
    default: return 0;
    }
}

static int kafka_identity(const struct action_settings *in, struct buf *out, struct err *err)
{
    struct settings settings;
    int result = settings_open(&settings, in, err);

    if (result == 0)
        result = identity(&settings, true, out, err);
    settings_done(&settings);
    return result;
}

static enum action_send kafka_inspect(const struct action_record *in, struct err *err)
{
    struct record record;

    return record_check_topic(in->fields[FIELD_TOPIC].text, err) != 0 || record_read(&record, in, err) != 0
               ? ACTION_FINAL
               : ACTION_SENT;
}

static struct span kafka_stream(const struct action_record *in)
{
    return in->fields[FIELD_TOPIC].text;
}

static int kafka_fd(const struct action_client *client)
{
    return client->fd;
}

const struct action_type kafka_action_type = {
    .name = "kafka",
    .fields = kafka_fields,
    .check = kafka_check,
    .check_part = kafka_check_part,
    .describe = describe,
    .identity = kafka_identity,
    .open = client_open,
    .fd = kafka_fd,
    .poll = client_pump,
    .inspect = kafka_inspect,
    .send = client_send,
    .stream = kafka_stream,
    .update = client_update,
    .close = client_close,
    .examine = examine,
};
