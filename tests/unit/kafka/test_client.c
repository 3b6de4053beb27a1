/* A client against librdkafka's embedded cluster: delivery, refusals, partitions, batches, a failed producer.
 */
#include "kafka_fixture.h"

enum { API_PRODUCE = 0, API_INIT_PRODUCER_ID = 22 };

static struct told told;
static const struct action_events events = {&told, hear_result, hear_state};

#define MOCK                                                                                                 \
    "test.mock.num.brokers", "1", "security.protocol", "PLAINTEXT", "linger.ms", "2", "retry.backoff.ms", "20"

static struct action_client *open_mock(void)
{
    told = (struct told){0};
    struct action_client *client = client_of(&events, SETTINGS(MOCK));
    assert_int_equal(rd_kafka_mock_topic_create(mock_of(client), "t", 2, 1), 0);
    return client;
}

static void give(struct action_client *client, const struct action_record *record, size_t tag,
                 enum action_send want)
{
    struct err err = {0};
    enum action_send got = kafka_action_type.send(client, record, (void *)tag, &err);

    if (got != want)
        fail_msg("send gives %d, not %d: %s", (int)got, (int)want, err.text);
}

static void delivers_and_tells_the_tag(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    for (size_t i = 1; i <= 3000; i++)
        give(client, record_of("t", i % 2 ? "k" : NULL, NULL, "{}"), i, ACTION_SENT);
    SERVE_UNTIL(client, told.count == 3000);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], 3000);
    size_t sum = 0;
    for (size_t i = 0; i < told.count; i++)
        sum += (size_t)told.results[i].tag;
    assert_int_equal(sum, 3000u * 3001 / 2);
    kafka_action_type.close(client, 1000);
}

static void is_ready_only_with_a_producer_id(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    rd_kafka_mock_push_request_errors(mock_of(client), API_INIT_PRODUCER_ID, 0);
    SERVE_UNTIL(client, told.state == ACTION_READY);
    assert_true(atomic_load(&client->signals.producer_ids) > 0);
    assert_int_equal(told.changes, 1);
    kafka_action_type.close(client, 0);
}

static void without_right_for_a_producer_id_it_goes_on_without(void **state)
{
    struct action_client *client;

    (void)state;
    told = (struct told){0};
    client = client_of(&events, SETTINGS(MOCK));
    rd_kafka_mock_push_request_errors(mock_of(client), API_INIT_PRODUCER_ID, 2,
                                      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    give(client, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    SERVE_UNTIL(client, !client->idempotent && told.state == ACTION_READY);
    assert_int_equal(told.by_outcome[ACTION_WAIT], 1);
    give(client, record_of("t", NULL, NULL, "{}"), 2, ACTION_SENT);
    SERVE_UNTIL(client, told.count == 2);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], 1);
    kafka_action_type.close(client, 1000);
}

static void one_bad_record_fails_alone(void **state)
{
    struct action_client *client = open_mock();
    enum { RECORDS = 64 };

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    /* The batch of all is refused, then its first half, a quarter, ... until one record alone is. */
    rd_kafka_mock_push_request_errors(mock_of(client), API_PRODUCE, 7, RD_KAFKA_RESP_ERR_INVALID_RECORD,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_RECORD,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_RECORD,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    for (size_t i = 1; i <= RECORDS; i++)
        give(client, record_of("t", "k", NULL, "{}"), i, ACTION_SENT);
    SERVE_UNTIL(client, told.count == RECORDS);
    assert_int_equal(told.by_outcome[ACTION_FAILED], 1);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], RECORDS - 1);
    for (size_t i = 0; i < told.count; i++) {
        if (told.results[i].outcome == ACTION_FAILED) {
            assert_int_equal((size_t)told.results[i].tag, 1);
            assert_string_equal(told.results[i].code, "INVALID_RECORD");
        }
    }
    assert_int_equal(client->kept, 0);
    assert_null(client->retrying);
    kafka_action_type.close(client, 1000);
}

static void a_refused_batch_makes_its_topic_busy(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_push_request_errors(mock_of(client), API_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    give(client, record_of("t", "k", NULL, "{}"), 1, ACTION_SENT);
    give(client, record_of("t", "k", NULL, "{}"), 2, ACTION_SENT);
    SERVE_UNTIL(client, client->retrying != NULL);
    give(client, record_of("t", "k", NULL, "{}"), 3, ACTION_BUSY);
    SERVE_UNTIL(client, told.count == 2);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], 2);
    give(client, record_of("t", "k", NULL, "{}"), 3, ACTION_SENT);
    kafka_action_type.close(client, 1000);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], 3);
}

static void a_partition_that_is_not_there_is_final(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    give(client, record_of("t", NULL, "1", "{}"), 1, ACTION_SENT);
    SERVE_UNTIL(client, told.count == 1);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], 1);
    give(client, record_of("t", NULL, "7", "{}"), 2, ACTION_SENT);
    SERVE_UNTIL(client, told.count == 2);
    assert_int_equal(told.results[1].outcome, ACTION_FAILED);
    assert_string_equal(told.results[1].code, "_UNKNOWN_PARTITION");
    give(client, record_of("t", NULL, "7", "{}"), 3, ACTION_FINAL); /* the answer still holds */
    kafka_action_type.close(client, 0);
}

static void a_topic_without_right_is_refused_alone(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_push_request_errors(mock_of(client), API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    give(client, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    SERVE_UNTIL(client, told.count == 1);
    assert_int_equal(told.results[0].outcome, ACTION_REFUSED);
    assert_string_equal(told.results[0].code, "TOPIC_AUTHORIZATION_FAILED");
    assert_int_equal(told.state, ACTION_READY);
    kafka_action_type.close(client, 0);
}

static void a_failed_producer_is_dead_and_gives_its_records_back(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_broker_set_down(mock_of(client), 1);
    for (size_t i = 1; i <= 5; i++)
        give(client, record_of("t", NULL, NULL, "{}"), i, ACTION_SENT);
    assert_int_equal(
        rd_kafka_test_fatal_error(client->producer, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "test"),
        0);
    SERVE_UNTIL(client, told.state == ACTION_DEAD);
    give(client, record_of("t", NULL, NULL, "{}"), 6, ACTION_NOT_YET);
    kafka_action_type.close(client, 1000);
    assert_int_equal(told.count, 5);
    assert_int_equal(told.by_outcome[ACTION_WAIT], 5);
}

static void a_stuck_producer_is_given_up(void **state)
{
    struct action_client *client;

    (void)state;
    told = (struct told){0};
    client = client_of(&events, SETTINGS(MOCK, "stuck.after.ms", "1500"));
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_broker_set_rtt(mock_of(client), 1, 100000); /* answers never come; a fresh cluster's do */
    give(client, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    SERVE_UNTIL(client, told.state == ACTION_DEAD);
    assert_non_null(strstr(told.why, "nothing was delivered for 1 s although the cluster answers"));
    kafka_action_type.close(client, 0);
    assert_int_equal(told.by_outcome[ACTION_WAIT], 1);
}

static void a_cluster_that_is_away_is_waited_for(void **state)
{
    struct action_client *client;

    (void)state;
    told = (struct told){0};
    client = client_of(&events, SETTINGS("bootstrap.servers", "127.0.0.1:1", "security.protocol", "PLAINTEXT",
                                         "stuck.after.ms", "300"));
    give(client, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    SERVE_UNTIL(client, client->probe != NULL);
    for (int i = 0; i < 20; i++)
        serve(client, 50);
    assert_int_equal(told.state, ACTION_AWAY);
    kafka_action_type.close(client, 0);
    assert_int_equal(told.by_outcome[ACTION_WAIT], 1);
}

static void an_outage_is_told_once_and_its_end(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_broker_set_down(mock_of(client), 1);
    give(client, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    SERVE_UNTIL(client, told.state == ACTION_AWAY);
    for (int i = 0; i < 30; i++)
        serve(client, 50);
    assert_true(told.changes <= 4); /* one for each kind of trouble, not one for each event */
    rd_kafka_mock_broker_set_up(mock_of(client), 1);
    SERVE_UNTIL(client, told.state == ACTION_READY && told.count == 1);
    assert_int_equal(told.by_outcome[ACTION_DELIVERED], 1);
    kafka_action_type.close(client, 0);
}

static void what_delivers_is_not_away(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    give(client, record_of("t", NULL, "0", "{}"), 1,
         ACTION_SENT); /* nothing about the topic is asked again */
    SERVE_UNTIL(client, told.count == 1);
    client->answers_seen = atomic_load(&client->signals.answers);
    state_set(client, ACTION_AWAY, "its connections were lost");
    give(client, record_of("t", NULL, "0", "{}"), 2, ACTION_SENT);
    SERVE_UNTIL(client, told.count == 2);
    assert_int_equal(told.state, ACTION_READY);
    kafka_action_type.close(client, 0);
}

static void a_record_larger_than_the_queue_is_final(void **state)
{
    struct action_client *client;
    char *large = calloc(1, 70000);

    (void)state;
    memset(large, 'x', 69999);
    told = (struct told){0};
    client = client_of(&events, SETTINGS(MOCK, "buffer.memory", "65536"));
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_broker_set_down(mock_of(client), 1);
    give(client, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    give(client, record_of("t", NULL, NULL, large), 2, ACTION_BUSY); /* what is before it may be in the way */
    rd_kafka_mock_broker_set_up(mock_of(client), 1);
    SERVE_UNTIL(client, told.count == 1 && rd_kafka_outq_len(client->producer) == 0);
    give(client, record_of("t", NULL, NULL, large), 2, ACTION_FINAL);
    kafka_action_type.close(client, 0);
    free(large);
}

static struct action_client *asking;

/* The first record that comes back is one that needs a question. */
static void hear_and_ask(void *context, const struct action_result *result)
{
    hear_result(context, result);
    if (told.count == 1)
        assert_int_equal(ask_partition(asking, topics_find(&asking->topics, SPAN("t")), (void *)99, 7), 0);
}

static void a_question_asked_at_the_end_is_given_back(void **state)
{
    static const struct action_events curious = {&told, hear_and_ask, hear_state};

    (void)state;
    told = (struct told){0};
    asking = client_of(&curious, SETTINGS(MOCK));
    SERVE_UNTIL(asking, told.state == ACTION_READY);
    rd_kafka_mock_broker_set_down(mock_of(asking), 1);
    give(asking, record_of("t", NULL, NULL, "{}"), 1, ACTION_SENT);
    kafka_action_type.close(asking, 0);
    assert_int_equal(told.count, 2);
    assert_int_equal((size_t)told.results[1].tag, 99);
    assert_int_equal(told.results[1].outcome, ACTION_WAIT);
}

static void closing_gives_every_open_record_back(void **state)
{
    struct action_client *client = open_mock();

    (void)state;
    SERVE_UNTIL(client, told.state == ACTION_READY);
    rd_kafka_mock_broker_set_down(mock_of(client), 1);
    for (size_t i = 1; i <= 2000; i++)
        give(client, record_of(i % 2 ? "t" : "u", NULL, NULL, "{}"), i, ACTION_SENT);
    kafka_action_type.close(client, 100);
    assert_int_equal(told.count, 2000);
    assert_int_equal(told.by_outcome[ACTION_WAIT], 2000);
}

static void too_large_and_too_many_topics_are_final(void **state)
{
    struct action_client *client;
    char *large = calloc(1, 6000);

    (void)state;
    memset(large, 'x', 5999);
    told = (struct told){0};
    client = client_of(
        &events, SETTINGS(MOCK, "message.max.bytes", "5000", "topics.max", "2", "topics.allow", "a*, b"));
    give(client, record_of("a", NULL, NULL, large), 1, ACTION_FINAL);
    give(client, record_of("aa", NULL, NULL, "{}"), 2, ACTION_SENT);
    give(client, record_of("b", NULL, NULL, "{}"), 3, ACTION_FINAL);   /* the third topic */
    give(client, record_of("c", NULL, NULL, "{}"), 4, ACTION_FINAL);   /* not allowed */
    give(client, record_of("a/b", NULL, NULL, "{}"), 5, ACTION_FINAL); /* no name */
    kafka_action_type.close(client, 2000);
    assert_int_equal(told.count, 1);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivers_and_tells_the_tag),
        cmocka_unit_test(is_ready_only_with_a_producer_id),
        cmocka_unit_test(without_right_for_a_producer_id_it_goes_on_without),
        cmocka_unit_test(one_bad_record_fails_alone),
        cmocka_unit_test(a_refused_batch_makes_its_topic_busy),
        cmocka_unit_test(a_partition_that_is_not_there_is_final),
        cmocka_unit_test(a_topic_without_right_is_refused_alone),
        cmocka_unit_test(a_failed_producer_is_dead_and_gives_its_records_back),
        cmocka_unit_test(a_stuck_producer_is_given_up),
        cmocka_unit_test(a_cluster_that_is_away_is_waited_for),
        cmocka_unit_test(an_outage_is_told_once_and_its_end),
        cmocka_unit_test(what_delivers_is_not_away),
        cmocka_unit_test(a_record_larger_than_the_queue_is_final),
        cmocka_unit_test(a_question_asked_at_the_end_is_given_back),
        cmocka_unit_test(closing_gives_every_open_record_back),
        cmocka_unit_test(too_large_and_too_many_topics_are_final),
    };
    return cmocka_run_group_tests_name("kafka client", tests, NULL, NULL);
}
