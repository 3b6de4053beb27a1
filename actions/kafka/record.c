#include "record.h"

enum { TOPIC_MAX = 249, HEADERS_MAX = 100 };

const struct action_field kafka_fields[] = {
    [FIELD_DESTINATION] = {"destinationArn", ACTION_TEXT, false, false, false, 0,
                           "AWS's name of the way to the cluster; may choose settings in kafka.destinations"},
    [FIELD_TOPIC] = {"topic", ACTION_TEMPLATE, true, false, false, 0, "topic to write to"},
    [FIELD_KEY] = {"key", ACTION_TEMPLATE, false, true, false, 0,
                   "record key; without one records are spread over the partitions"},
    [FIELD_PARTITION] = {"partition", ACTION_TEMPLATE, false, true, true, 0,
                         "number of the partition; without one the key decides"},
    [FIELD_HEADERS] = {"headers", ACTION_PAIRS, false, false, false, HEADERS_MAX,
                       "headers of the record, in this order; a key may come again"},
    [FIELD_TIMESTAMP] = {"timestamp", ACTION_TEMPLATE, false, true, true, 0,
                         "time of the record in milliseconds since 1970 (not in AWS); without one it is now"},
    [FIELD_CLIENT_PROPERTIES] = {"clientProperties", ACTION_SETTINGS, true, false, false, 0,
                                 "how to reach the cluster, log in, and send"},
    {0},
};

static bool topic_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

int record_check_topic(struct span topic, struct err *err)
{
    if (topic.size == 0)
        return err_set(err, ERR_VALUE, "the Kafka topic is empty");
    if (topic.size > TOPIC_MAX)
        return err_set(err, ERR_VALUE, "the Kafka topic has %zu bytes; %d is the most", topic.size,
                       TOPIC_MAX);
    for (size_t i = 0; i < topic.size; i++) {
        if (!topic_byte((unsigned char)topic.data[i]))
            return err_set(err, ERR_VALUE,
                           "'" SPAN_FMT
                           "' is no Kafka topic: letters, digits, '.', '_' and '-' are allowed%s",
                           SPAN_ARG(topic), memchr(topic.data, '/', topic.size) ? ", '/' is not" : "");
    }
    if (span_is(topic, ".") || span_is(topic, ".."))
        return err_set(err, ERR_VALUE, "'" SPAN_FMT "' is no Kafka topic", SPAN_ARG(topic));
    return 0;
}

int record_check_topic_part(struct span part, struct err *err)
{
    for (size_t i = 0; i < part.size; i++)
        if (!topic_byte((unsigned char)part.data[i]))
            return err_set(
                err, ERR_VALUE,
                "'%.*s' cannot stand in a Kafka topic: letters, digits, '.', '_' and '-' are allowed",
                (int)(part.size < 40 ? part.size : 40), part.data);
    if (part.size > TOPIC_MAX)
        return err_set(err, ERR_VALUE, "%zu bytes and more in a Kafka topic; %d is the most", part.size,
                       TOPIC_MAX);
    return 0;
}

int record_check_digits(struct span part, const char *what, struct err *err)
{
    for (size_t i = 0; i < part.size; i++)
        if (part.data[i] < '0' || part.data[i] > '9')
            return err_set(err, ERR_VALUE, "'%.*s' cannot stand in a %s: digits alone can",
                           (int)(part.size < 40 ? part.size : 40), part.data, what);
    return 0;
}

/* Digits alone: no sign, no blanks, no fraction. */
static bool read_digits(struct span text, int64_t most, int64_t *number)
{
    int64_t value = 0;

    if (text.size == 0 || text.size > 19)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

int record_check_partition(struct span text, int32_t *partition, struct err *err)
{
    int64_t number;

    if (!read_digits(text, INT32_MAX, &number))
        return err_set(err, ERR_VALUE, "'%.*s' is no partition: a whole number from 0 is",
                       (int)(text.size < 40 ? text.size : 40), text.data ? text.data : "");
    *partition = (int32_t)number;
    return 0;
}

int record_check_timestamp(struct span text, int64_t *timestamp_ms, struct err *err)
{
    int64_t number;

    if (!read_digits(text, INT64_MAX, &number))
        return err_set(err, ERR_VALUE, "'%.*s' is no timestamp: milliseconds since 1970 are",
                       (int)(text.size < 40 ? text.size : 40), text.data ? text.data : "");
    *timestamp_ms = number;
    return 0;
}

/* One pattern against all of the text; `*` backs up to the last star alone, so time is bounded by the
 * product. */
static bool matches(struct span text, struct span pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, back = 0;

    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            back = t;
        } else if (p < pattern.size && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}

bool record_topic_is_allowed(struct span topic, struct span patterns)
{
    if (patterns.size == 0)
        return true;
    for (;;) {
        const char *comma = memchr(patterns.data, ',', patterns.size);
        struct span one = {patterns.data, comma ? (size_t)(comma - patterns.data) : patterns.size};

        while (one.size && one.data[0] == ' ') {
            one.data++;
            one.size--;
        }
        while (one.size && one.data[one.size - 1] == ' ')
            one.size--;
        if (matches(topic, one))
            return true;
        if (!comma)
            return false;
        patterns = (struct span){comma + 1, (size_t)(patterns.data + patterns.size - comma - 1)};
    }
}

int record_read(struct record *record, const struct action_record *in, struct err *err)
{
    const struct action_value *fields = in->fields;

    /* Without an address librdkafka writes a null value, which deletes the key on a compacted topic. */
    *record = (struct record){.topic = fields[FIELD_TOPIC].text,
                              .payload = in->payload.data ? in->payload : SPAN(""),
                              .partition = -1,
                              .headers = in->pairs,
                              .header_count = in->pair_count};
    if (!fields[FIELD_KEY].absent)
        record->key = fields[FIELD_KEY].text.data ? fields[FIELD_KEY].text : SPAN("");
    if (!fields[FIELD_PARTITION].absent &&
        record_check_partition(fields[FIELD_PARTITION].text, &record->partition, err) != 0)
        return -1;
    if (!fields[FIELD_TIMESTAMP].absent &&
        record_check_timestamp(fields[FIELD_TIMESTAMP].text, &record->timestamp_ms, err) != 0)
        return -1;
    if (in->pair_count > HEADERS_MAX)
        return err_set(err, ERR_LIMIT, "%zu headers; %d is the most", in->pair_count, HEADERS_MAX);
    return 0;
}
