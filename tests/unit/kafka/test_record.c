/* Records: topic names, partitions, timestamps, keys; verdicts on errors; words for troubles. */
#include "kafka/kafka.h"
#include "outcome.h"
#include "record.h"
#include "words.h"

#include <openssl/x509_vfy.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct topic_row {
    const char *name, *topic;
    bool good;
} topics[] = {
    {"topic_letters", "Plant.7_temp-C", true},
    {"topic_empty", "", false},
    {"topic_dot", ".", false},
    {"topic_two_dots", "..", false},
    {"topic_three_dots", "...", true},
    {"topic_slash", "a/b", false},
    {"topic_blank", "a b", false},
    {"topic_not_ascii", "größe", false},
};

static void topic_row(void **state)
{
    const struct topic_row *row = *state;
    struct err err = {0};

    assert_int_equal(record_check_topic(span_of(row->topic), &err) == 0, row->good);
}

/* A part of a template may be what a whole name may not: a dot, or nothing. */
static void topic_part_row(void **state)
{
    const struct topic_row *row = *state;
    struct err err = {0};
    bool is_fine_in_part = row->good || row->topic[0] == '\0' || row->topic[0] == '.';

    assert_int_equal(record_check_topic_part(span_of(row->topic), &err) == 0, is_fine_in_part);
}

static void topic_of_249_bytes_is_the_longest(void **state)
{
    char name[251];
    struct err err = {0};

    (void)state;
    memset(name, 'a', sizeof name);
    assert_int_equal(record_check_topic((struct span){name, 249}, &err), 0);
    assert_int_equal(record_check_topic((struct span){name, 250}, &err), -1);
}

static const struct number_row {
    const char *name, *text;
    long long want; /* -1: refused */
} numbers[] = {
    {"partition_0", "0", 0},
    {"partition_12", "12", 12},
    {"partition_leading_zero", "007", 7},
    {"partition_largest", "2147483647", INT32_MAX},
    {"partition_too_large", "2147483648", -1},
    {"partition_negative", "-1", -1},
    {"partition_plus", "+1", -1},
    {"partition_fraction", "1.0", -1},
    {"partition_empty", "", -1},
    {"partition_word", "one", -1},
    {"partition_blank", " 1", -1},
    {"partition_far_too_large", "99999999999999999999", -1},
};

static void number_row(void **state)
{
    const struct number_row *row = *state;
    struct err err = {0};
    int32_t partition = -1;
    int64_t timestamp = -1;

    assert_int_equal(record_check_partition(span_of(row->text), &partition, &err) == 0, row->want >= 0);
    if (row->want >= 0) {
        assert_int_equal(partition, row->want);
        assert_int_equal(record_check_timestamp(span_of(row->text), &timestamp, &err), 0);
        assert_int_equal(timestamp, row->want);
    }
}

static void absent_and_empty_keys_differ(void **state)
{
    struct action_value fields[FIELD_COUNT] = {[FIELD_TOPIC] = {.text = SPAN("t")},
                                               [FIELD_PARTITION] = {.absent = true},
                                               [FIELD_TIMESTAMP] = {.absent = true}};
    const struct action_record in = {.fields = fields, .payload = SPAN("{}")};
    struct record record;
    struct err err = {0};

    (void)state;
    fields[FIELD_KEY].absent = true;
    assert_int_equal(record_read(&record, &in, &err), 0);
    assert_null(record.key.data);
    fields[FIELD_KEY] = (struct action_value){.text = {NULL, 0}};
    assert_int_equal(record_read(&record, &in, &err), 0);
    assert_non_null(record.key.data);
    assert_int_equal(record.key.size, 0);
    assert_int_equal(record.partition, -1);
    assert_int_equal(kafka_action_type.inspect(&in, &err), ACTION_SENT);
    fields[FIELD_TOPIC].text = SPAN("a/b");
    assert_int_equal(kafka_action_type.inspect(&in, &err), ACTION_FINAL);
}

static void empty_payload_is_an_empty_value(void **state)
{
    const struct action_value fields[FIELD_COUNT] = {[FIELD_TOPIC] = {.text = SPAN("t")},
                                                     [FIELD_KEY] = {.absent = true},
                                                     [FIELD_PARTITION] = {.absent = true},
                                                     [FIELD_TIMESTAMP] = {.absent = true}};
    const struct action_record in = {.fields = fields};
    struct record record;
    struct err err = {0};

    (void)state;
    assert_int_equal(record_read(&record, &in, &err), 0);
    assert_non_null(record.payload.data); /* NULL would be a tombstone */
    assert_int_equal(record.payload.size, 0);
}

static const struct allow_row {
    const char *name, *topic, *patterns;
    bool allowed;
} allows[] = {
    {"allow_nothing_said", "t", "", true},
    {"allow_exact", "t", "a, t", true},
    {"allow_not_a_part", "tt", "t", false},
    {"allow_star", "plant.7.temp", "plant.*", true},
    {"allow_star_between", "plant.7.temp", "plant.*.temp", true},
    {"allow_star_of_nothing", "plant..temp", "plant.*.temp", true},
    {"allow_star_ends", "plant.7.temp.x", "plant.*.temp", false},
    {"allow_two_stars", "a.b.c.d", "a*c*", true},
    {"allow_none_matches", "x", "a,b*,*c", false},
};

static void allow_row(void **state)
{
    const struct allow_row *row = *state;

    assert_int_equal(record_topic_is_allowed(span_of(row->topic), span_of(row->patterns)), row->allowed);
}

static void an_error_nobody_knows_is_waited_for(void **state)
{
    char text[200];

    (void)state;
    assert_int_equal(verdict_of((rd_kafka_resp_err_t)12345), VERDICT_WAIT);
    assert_int_equal(verdict_of(RD_KAFKA_RESP_ERR__DESTROY), VERDICT_WAIT);
    assert_int_equal(verdict_of(RD_KAFKA_RESP_ERR_INVALID_RECORD), VERDICT_ALONE);
    assert_int_equal(verdict_of(RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE), VERDICT_ALONE);
    assert_int_equal(verdict_of(RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION), VERDICT_FINAL);
    assert_int_equal(verdict_of(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), VERDICT_TOPIC);
    assert_string_equal(verdict_text(RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "a b", text, sizeof text),
                        "topic a b: the topic's name is not valid");
}

/* Texts as librdkafka 2.14 writes them against a real broker. */
static const struct words_row {
    const char *name;
    struct trouble trouble;
    const char *words;
} words[] = {
    {"wrong_password",
     {.error = RD_KAFKA_RESP_ERR__AUTHENTICATION,
      .text = "sasl_ssl://localhost:9093/bootstrap: SASL authentication error: Authentication failed: "
              "Invalid username "
              "or password (after 21ms in state AUTH_REQ)"},
     "localhost:9093: the broker refuses the user name or the password; correct sasl.plain.username"},
    {"certificate_of_another_host",
     {.error = RD_KAFKA_RESP_ERR__SSL,
      .text = "ssl://localhost:9093/bootstrap: SSL handshake failed: certificate verify failed",
      .x509_error = X509_V_ERR_HOSTNAME_MISMATCH,
      .x509_subject = "CN=otherhost"},
     "localhost:9093: the broker's certificate is for another host name"},
    {"certificate_refused_on_the_way",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .text = "ssl://localhost:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed (after "
              "21ms in state SSL_HANDSHAKE)",
      .x509_error = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      .x509_subject = "CN=ca"},
     "localhost:9093: the broker's certificate is from an authority that we do not trust; give that "
     "authority "
     "as ssl.truststore (CN=ca)"},
    {"certificate_refused_before",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .text = "ssl://localhost:9093/bootstrap: Connect to ipv4#127.0.0.1:9093 failed: Connection refused "
              "(after 0ms in state CONNECT)",
      .x509_error = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      .x509_subject = "CN=ca"},
     "localhost:9093: nothing listens there"},
    {"own_certificate_withheld",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .own_certificate = true,
      .withheld = true,
      .text = "ssl://localhost:9093/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad "
              "certificate: SSL alert number 42 (after 0ms in state APIVERSION_QUERY)"},
     "localhost:9093: the broker names authorities for client certificates, and ours is from none of them"},
    {"no_tls_there_either",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .at_first = true,
      .text =
          "ssl://localhost:9092/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state "
          "SSL_HANDSHAKE)"},
     "localhost:9092: the broker's listener speaks no TLS"},
    {"certificate_demanded",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .text = "ssl://localhost:9093/bootstrap: Receive failed: error:0A00045C:SSL routines::tlsv13 alert "
              "certificate "
              "required: SSL alert number 116 (after 3ms in state APIVERSION_QUERY)"},
     "localhost:9093: the broker demands a client certificate; give ssl.keystore"},
    {"own_certificate_refused",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .own_certificate = true,
      .own_certificate_ended = true,
      .text = "ssl://localhost:9093/bootstrap: Receive failed: sslv3 alert certificate unknown: SSL alert "
              "number 46"},
     "localhost:9093: the broker refuses our certificate, which has ended"},
    {"no_tls_there",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .at_first = true,
      .text = "ssl://localhost:9092/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by "
              "peer: "
              "connecting to a PLAINTEXT broker listener? (after 5ms in state SSL_HANDSHAKE)"},
     "localhost:9092: the broker's listener speaks no TLS"},
    {"login_wanted",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .at_first = true,
      .text = "[thrd:ssl://localhost:9093/bootstrap]: ssl://localhost:9093/bootstrap: Disconnected: SSL "
              "connection closed by "
              "peer (after 2ms in state UP)"},
     "localhost:9093: the broker hangs up on our first request: its listener wants a login"},
    {"tls_wanted",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .at_first = true,
      .text = "[thrd:localhost:9093/bootstrap]: localhost:9093/bootstrap: Disconnected: connection closed by "
              "peer: receive 0 "
              "after POLLIN (after 0ms in state APIVERSION_QUERY)"},
     "localhost:9093: the broker hangs up before a word is said: its listener speaks TLS"},
    {"broker_went_away",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .text = "localhost:9093/1: Disconnected: connection closed by peer: receive 0 after POLLIN (after "
              "9000ms in state UP)"},
     "localhost:9093: the broker closed the connection"},
    {"unheard_of",
     {.error = RD_KAFKA_RESP_ERR__TRANSPORT,
      .text = "ssl://localhost:9093/bootstrap: Something new (after 3ms in state CONNECT, 2 identical "
              "error(s) suppressed)"},
     "localhost:9093: Something new"},
};

static void words_row(void **state)
{
    const struct words_row *row = *state;
    char out[400];

    assert_true(trouble_words(&row->trouble, out, sizeof out) != 0);
    if (strncmp(out, row->words, strlen(row->words)) != 0)
        fail_msg("%s", out);
    if (strcmp(row->name, "unheard_of") == 0)
        assert_string_equal(out, row->words);
}

int main(void)
{
    enum { ROOM = 64 };
    struct CMUnitTest tests[ROOM] = {
        cmocka_unit_test(topic_of_249_bytes_is_the_longest),
        cmocka_unit_test(absent_and_empty_keys_differ),
        cmocka_unit_test(empty_payload_is_an_empty_value),
        cmocka_unit_test(an_error_nobody_knows_is_waited_for),
    };
    size_t count = 4;

#define ROWS(table, function)                                                                                \
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)                                                \
    tests[count++] = (struct CMUnitTest){                                                                    \
        .name = table[i].name, .test_func = function, .initial_state = (void *)(uintptr_t)&table[i]}
    ROWS(topics, topic_row);
    ROWS(topics, topic_part_row);
    ROWS(numbers, number_row);
    ROWS(allows, allow_row);
    ROWS(words, words_row);
    return _cmocka_run_group_tests("kafka records", tests, count, NULL, NULL);
}
