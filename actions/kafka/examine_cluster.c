/* examine_cluster.c - what the cluster says of itself: its brokers and the addresses that they give out, and
 * of each topic its partitions, replicas, limits, and whether we may write there. */
#include "examine.h"

#include "client.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MS = 5000, ADVERTISED_MS = 15000 };

/* ---- asking ---- */

struct asking {
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
};

static struct asking ask(const struct action_client *client, rd_kafka_admin_op_t what)
{
    struct asking asking = {rd_kafka_queue_new(client->producer),
                            rd_kafka_AdminOptions_new(client->producer, what)};
    const int broker = atomic_load(&client->signals.broker);
    char why[128];

    (void)rd_kafka_AdminOptions_set_request_timeout(asking.options, ANSWER_MS, why, sizeof why);
    if (broker >= 0) /* any will do; the controller, librdkafka's own choice, may be away */
        (void)rd_kafka_AdminOptions_set_broker(asking.options, broker, why, sizeof why);
    if (what != RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS) {
        rd_kafka_error_t *error = rd_kafka_AdminOptions_set_include_authorized_operations(asking.options, 1);
        if (error)
            rd_kafka_error_destroy(error);
    }
    return asking;
}

/* The answer, for rd_kafka_event_destroy; NULL when the time is over. */
static rd_kafka_event_t *answer(struct asking *asking)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(asking->queue, ANSWER_MS + 1000);

    rd_kafka_AdminOptions_destroy(asking->options);
    rd_kafka_queue_destroy(asking->queue);
    return event;
}

static void drop(rd_kafka_event_t *event)
{
    if (event)
        rd_kafka_event_destroy(event);
}

static const char *why_not(rd_kafka_event_t *event)
{
    return event ? rd_kafka_event_error_string(event) : "time is over";
}

/* ---- the brokers ---- */

static void look_at_advertised(struct examination *to, const rd_kafka_Node_t **nodes, size_t count)
{
    const int64_t end_ms = clock_mono_ms() + ADVERTISED_MS;

    for (size_t i = 0; i < count && clock_mono_ms() < end_ms; i++)
        examine_advertised(to, rd_kafka_Node_id(nodes[i]), rd_kafka_Node_host(nodes[i]),
                           rd_kafka_Node_port(nodes[i]),
                           clock_mono_ms() + (end_ms - clock_mono_ms()) / (int64_t)(count - i));
}

/* Returns how many brokers there are, 0 unknown. */
static size_t look_at_brokers(struct examination *to, struct action_client *client)
{
    struct asking asking = ask(client, RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER);
    size_t count = 0;

    examining(to, "cluster", "");
    rd_kafka_DescribeCluster(client->producer, asking.options, asking.queue);
    rd_kafka_event_t *event = answer(&asking);
    const rd_kafka_DescribeCluster_result_t *result =
        event && !rd_kafka_event_error(event) ? rd_kafka_event_DescribeCluster_result(event) : NULL;
    if (result) {
        const rd_kafka_Node_t **nodes = rd_kafka_DescribeCluster_result_nodes(result, &count);
        const char *id = rd_kafka_DescribeCluster_result_cluster_id(result);

        examined(to, "cluster", "", count > 0 ? ACTION_GOOD : ACTION_BAD, "%zu broker%s, cluster id %s",
                 count, count == 1 ? "" : "s", id ? id : "not told");
        if (!to->settings->slots[PROP_MOCK].set)
            look_at_advertised(to, nodes, count);
    } else {
        examined(to, "cluster", "", ACTION_BAD, "it does not tell its brokers: %s", why_not(event));
    }
    drop(event);
    return count;
}

/* ---- topics ---- */

struct limits {
    long long in_step, largest; /* min.insync.replicas, max.message.bytes; -1: not told */
};

static void read_limits(const rd_kafka_ConfigResource_t *resource, struct limits *limits)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConfigEntry_name(entries[i]),
                   *value = rd_kafka_ConfigEntry_value(entries[i]);

        if (value && strcmp(name, "min.insync.replicas") == 0)
            limits->in_step = strtoll(value, NULL, 10);
        if (value && strcmp(name, "max.message.bytes") == 0)
            limits->largest = strtoll(value, NULL, 10);
    }
}

/* Needs the right DESCRIBE_CONFIGS, which many clients lack: then nothing is said. `go_on`: false once no
 * answer came, and then nobody is asked any more. */
static struct limits limits_of(struct action_client *client, const char *topic, bool *go_on)
{
    if (!*go_on)
        return (struct limits){-1, -1};

    struct asking asking = ask(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_ConfigResource_t *wanted = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    struct limits limits = {-1, -1};
    size_t count = 0;

    rd_kafka_DescribeConfigs(client->producer, &wanted, 1, asking.options, asking.queue);
    rd_kafka_event_t *event = answer(&asking);
    *go_on = event && !rd_kafka_event_error(event);
    if (*go_on) {
        const rd_kafka_ConfigResource_t **found =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);

        if (count == 1 && !rd_kafka_ConfigResource_error(found[0]))
            read_limits(found[0], &limits);
    }
    rd_kafka_ConfigResource_destroy(wanted);
    drop(event);
    return limits;
}

static bool may_write(const rd_kafka_TopicDescription_t *topic)
{
    size_t count = 0;
    const rd_kafka_AclOperation_t *operations =
        rd_kafka_TopicDescription_authorized_operations(topic, &count);

    for (size_t i = 0; i < count; i++)
        if (operations[i] == RD_KAFKA_ACL_OPERATION_WRITE || operations[i] == RD_KAFKA_ACL_OPERATION_ALL)
            return true;
    return false;
}

struct partitions {
    size_t count, least_replicas, least_in_step; /* of the partition that has the fewest */
    int without_leader, behind;                  /* number of a partition; -1: none */
};

static struct partitions partitions_of(const rd_kafka_TopicDescription_t *topic)
{
    struct partitions seen = {
        .least_replicas = SIZE_MAX, .least_in_step = SIZE_MAX, .without_leader = -1, .behind = -1};
    const rd_kafka_TopicPartitionInfo_t **list = rd_kafka_TopicDescription_partitions(topic, &seen.count);

    for (size_t i = 0; i < seen.count; i++) {
        size_t replicas = 0, in_step = 0;

        (void)rd_kafka_TopicPartitionInfo_replicas(list[i], &replicas);
        (void)rd_kafka_TopicPartitionInfo_isr(list[i], &in_step);
        if (!rd_kafka_TopicPartitionInfo_leader(list[i]) && seen.without_leader < 0)
            seen.without_leader = rd_kafka_TopicPartitionInfo_partition(list[i]);
        if (replicas < seen.least_replicas)
            seen.least_replicas = replicas;
        if (in_step < seen.least_in_step) {
            seen.least_in_step = in_step;
            seen.behind = rd_kafka_TopicPartitionInfo_partition(list[i]);
        }
    }
    return seen;
}

/* What is right today and may lose or refuse a record tomorrow; "" nothing. */
static const char *doubt_of(const struct examination *to, const struct partitions *seen,
                            const struct limits *limits, size_t brokers, char *out, size_t room)
{
    const bool all = span_is(setting_text(to->settings, PROP_ACKS), "all");
    const long long ours = setting_number(to->settings, PROP_MAX_RECORD);

    out[0] = '\0';
    if (seen->least_replicas == 1 && brokers > 1)
        (void)snprintf(out, room, "; one replica: a disk that is lost loses its records, so add replicas");
    else if (all && seen->least_replicas > 1 && limits->in_step == 1)
        (void)snprintf(out, room,
                       "; while the other replicas are behind, one broker alone confirms a record, and may "
                       "lose it: set min.insync.replicas to 2");
    else if (limits->largest >= 0 && limits->largest < ours)
        (void)snprintf(out, room,
                       "; it takes records of %lld bytes (max.message.bytes), and we send up to %lld: larger "
                       "ones fail for good",
                       limits->largest, ours);
    return out;
}

static void tell_topic(const struct examination *to, const char *name,
                       const rd_kafka_TopicDescription_t *topic, const struct limits *limits, size_t brokers)
{
    const struct partitions seen = partitions_of(topic);
    const bool all = span_is(setting_text(to->settings, PROP_ACKS), "all");
    char doubt[256], in_step[64] = "";

    if (limits->in_step >= 0)
        (void)snprintf(in_step, sizeof in_step, ", %lld must be in step", limits->in_step);
    if (!may_write(topic))
        examined(to, "topic", name, ACTION_BAD, "%zu partitions, and we have no right to write; grant WRITE",
                 seen.count);
    else if (seen.without_leader >= 0)
        examined(to, "topic", name, ACTION_BAD,
                 "partition %d has no leader: its records wait until a broker that has it is back",
                 seen.without_leader);
    else if (all && limits->in_step > (long long)seen.least_in_step)
        examined(to, "topic", name, ACTION_BAD,
                 "partition %d has %zu replica%s in step, and min.insync.replicas is %lld: its records wait",
                 seen.behind, seen.least_in_step, seen.least_in_step == 1 ? "" : "s", limits->in_step);
    else
        examined(to, "topic", name,
                 doubt_of(to, &seen, limits, brokers, doubt, sizeof doubt)[0] ? ACTION_DOUBT : ACTION_GOOD,
                 "%zu partition%s of %zu replica%s%s, and we may write%s", seen.count,
                 seen.count == 1 ? "" : "s", seen.least_replicas, seen.least_replicas == 1 ? "" : "s",
                 in_step, doubt);
}

static void look_at_topics(const struct examination *to, struct action_client *client,
                           const char *const *names, size_t count, size_t brokers)
{
    struct asking asking = ask(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *wanted =
        rd_kafka_TopicCollection_of_topic_names((const char **)(uintptr_t)names, count);
    const rd_kafka_TopicDescription_t **topics = NULL;
    size_t found = 0;
    char text[256];
    bool go_on = true;

    examining(to, "topic", count == 1 ? names[0] : "");
    rd_kafka_DescribeTopics(client->producer, wanted, asking.options, asking.queue);
    rd_kafka_event_t *event = answer(&asking);
    if (event && !rd_kafka_event_error(event))
        topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &found);
    for (size_t i = 0; i < found; i++) {
        const char *name = rd_kafka_TopicDescription_name(topics[i]);
        rd_kafka_resp_err_t error = rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[i]));
        struct limits limits;

        examining(to, "topic", name);
        if (error) {
            examined(to, "topic", name, ACTION_BAD, "%s", verdict_text(error, name, text, sizeof text));
            continue;
        }
        limits = limits_of(client, name, &go_on);
        tell_topic(to, name, topics[i], &limits, brokers);
    }
    if (found == 0)
        examined(to, "topic", "", ACTION_BAD, "no answer: %s", why_not(event));
    rd_kafka_TopicCollection_destroy(wanted);
    drop(event);
}

void examine_cluster(struct examination *to, struct action_client *client, const char *const *topics,
                     size_t count)
{
    size_t brokers = look_at_brokers(to, client);

    if (count > 0)
        look_at_topics(to, client, topics, count, brokers);
}
