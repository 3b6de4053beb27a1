/* A lane takes over from another: what may not get lost between the two. */
#include "park.h"
#include "session_state.h"
#include "small_spool.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#define HEARS(filter)                                                                                        \
    "{\"sql\": \"SELECT n FROM '" filter                                                                     \
    "'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "                                  \
    "{\"topic\": \"t\", \"clientProperties\": {}}}]}"

/* As the session reads it. The verdict; place and epoch are the message's. */
static enum redelivery_verdict read_one(struct small_lane *small, struct message *message, bool dup)
{
    return redelivery_read(small->lane->session->redelivery, message, 7, dup, &message->place);
}

static struct message some_message(void)
{
    return (struct message){.sql = {.topic = SPAN("a/x"), .payload = SPAN("{\"n\":1}"), .payload_format = -1},
                            .qos = 1};
}

static void lose_connection(struct small_lane *small)
{
    struct lane *lane = small->lane;
    const struct session_events events = lane_session_events(lane);

    redelivery_lost(lane->session->redelivery, REDELIVERY_LOST, lane->hold.epoch);
    hold_drop(&lane->hold);
    events.lost(events.context);
}

static void connect_again(struct small_lane *small, bool resumed)
{
    const struct session_events events = lane_session_events(small->lane);

    redelivery_connected(small->lane->session->redelivery, resumed, 0, true);
    events.connected(events.context, resumed);
}

/* It waits for a secret that it computes when the connection is lost; the rules change before the next one.
 */
static struct small_lane *reload_with_one_put_aside(void)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);
    struct message message = some_message();

    connect_again(small, true);
    assert_int_equal(read_one(small, &message, false), REDELIVERY_EVALUATE);
    park_add(small->lane, &message);
    lose_connection(small);
    assert_int_equal(small->lane->hold.unsettled + small->lane->hold.orphans, 0);
    return small_lane_succeed(small, plain, 1, disk.store);
}

static void what_was_put_aside_is_not_taken_for_safe(void **state)
{
    struct small_lane *small = reload_with_one_put_aside();
    struct message message = some_message();

    (void)state;
    connect_again(small, true);
    assert_true(park_is_empty(small->lane));
    assert_int_equal(read_one(small, &message, true), REDELIVERY_EVALUATE);
    small_lane_free(small);
}

static void what_was_put_aside_is_run_when_the_broker_has_lost_it(void **state)
{
    struct small_lane *small = reload_with_one_put_aside();

    (void)state;
    connect_again(small, false);
    assert_int_equal(small->lane->hold.unsettled, 1);
    (void)park_work(small->lane);
    assert_string_equal(small_sent(), "x1");
    deliver_all(small);
    assert_nothing_is_left(small);
    small_lane_free(small);
}

/* The broker may close the connection at any time; who is told must have it. */
static void a_lane_hears_of_no_connection_that_it_does_not_have_yet(void **state)
{
    struct small_lane *former = small_lane_on(plain, 1, NULL, disk.store);
    struct small_lane *small = small_lane_build(plain, 1, NULL, NULL, disk.store, true);
    struct session *session = former->lane->session;
    struct epoll_event event;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    session->phase = SESSION_CONNECTING;
    session->fd = ends[0];
    assert_int_equal(close(ends[1]), 0);
    former->lane->parted = true;
    lane_succeed(small->lane, former->lane);
    assert_ptr_equal(small->lane->session, session);
    assert_int_equal(epoll_wait(small->lane->epoll_fd, &event, 1, 0), 0);
    session_go_on(session);
    assert_int_equal(epoll_wait(small->lane->epoll_fd, &event, 1, 1000), 1);
    assert_int_equal(event.data.u64, SOURCE_SESSION);
    assert_int_equal(close(ends[0]), 0);
    small_lane_free(former);
    small_lane_free(small);
}

static void sums_close(const struct small_lane *small)
{
    assert_int_equal(small_count(small, COUNT_begun) + small_count(small, COUNT_recovered),
                     small_count(small, COUNT_delivered) + small_count(small, COUNT_error_action) +
                         small_count(small, COUNT_dead) + small_count(small, COUNT_dropped) +
                         small_count(small, COUNT_abandoned) + figures().rows);
}

/* A row that fails for good, and its dead letter is not on the disk yet. */
static void what_ends_while_lanes_change_is_counted(void **state)
{
    struct small_lane *small = small_lane_on(plain, 1, NULL, disk.store);

    (void)state;
    small_publish_n(small, "a/x", 1);
    small_turn(small, 2 * HOLD);
    small_disk(small);
    assert_int_equal(figures().rows, 1);
    scripted_command("fail 1");
    for (size_t i = 0; i < small->lane->options.target_count; i++)
        client_poll(&small->lane->clients[i]);
    assert_int_equal(small->lane->spool.errands, 1);
    small = small_lane_succeed(small, plain, 1, disk.store);
    assert_int_equal(figures().rows, 0);
    assert_int_equal(small_count(small, COUNT_dead), 1);
    assert_int_equal(small->lane->rules[0].counters.value[RULE_dead], 1);
    sums_close(small);
    small_lane_free(small);
}

/* Nobody sends QoS 0 again, and nobody holds it: what Kafka has not answered by then is given up. */
static void what_is_given_up_is_counted(void **state)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    (void)state;
    small_publish(small, "a/x", SPAN("{\"n\":1}"), 0);
    small_publish(small, "a/y", SPAN("{\"n\":2}"), 0);
    scripted_command("deliver 1");
    small_turn(small, 0);
    small = small_lane_succeed(small, plain, 1, NULL);
    assert_int_equal(small_count(small, COUNT_begun), 2);
    assert_int_equal(small_count(small, COUNT_delivered), 1);
    assert_int_equal(small_count(small, COUNT_abandoned), 1);
    assert_int_equal(small->lane->rules[0].counters.value[RULE_abandoned], 1);
    /* The same for one that holds a message: then its connection goes, too. */
    small_publish_n(small, "a/x", 3);
    small = small_lane_succeed(small, plain, 1, NULL);
    assert_int_equal(small_count(small, COUNT_abandoned), 2);
    assert_int_equal(small->lane->hold.unsettled, 0);
    small_lane_free(small);
}

/* Else a message may come with the shared identifier for the one, and another for the other. */
static void a_filter_that_comes_to_overlap_is_told_apart_before_the_other_is_there(void **state)
{
    static const char *const one[] = {HEARS("a/#")}, *const both[] = {HEARS("#"), HEARS("a/#"), HEARS("a/b")};
    struct small_lane *small = small_lane_new(one, 1, NULL);
    const struct session *session = small->lane->session;

    (void)state;
    assert_int_equal(session->shared_count, 1);
    small = small_lane_succeed(small, both, 3, NULL);
    assert_int_equal(session->shared_count, 0);
    assert_int_equal(session->order_count, 3);
    assert_string_equal(route_entry(small->plan.route, session->order[0])->filter, "a/#");
    small_lane_free(small);
}

static void the_broker_keeps_our_messages_under_the_client_id_of_the_start(void **state)
{
    struct small_lane *former =
        small_lane_with(plain, 1, "mqtt: {url: 'mqtt://127.0.0.1:1', client_id: was}\n", NULL);
    struct small_lane *small =
        small_lane_build(plain, 1, "mqtt: {url: 'mqtt://127.0.0.1:1', client_id: is}\n", NULL, NULL, true);

    (void)state;
    plan_keep_client_id(&small->plan, &former->plan);
    assert_string_equal(small->plan.login->client_id, "was");
    small_lane_free(former);
    small_lane_free(small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_aside_is_not_taken_for_safe),
        TEST(what_was_put_aside_is_run_when_the_broker_has_lost_it),
        TEST(a_lane_hears_of_no_connection_that_it_does_not_have_yet),
        TEST(what_ends_while_lanes_change_is_counted),
        TEST(what_is_given_up_is_counted),
        TEST(a_filter_that_comes_to_overlap_is_told_apart_before_the_other_is_there),
        TEST(the_broker_keeps_our_messages_under_the_client_id_of_the_start),
    };

    return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
