/* cluster - librdkafka's mock cluster in a process of its own, so that its work is nobody's CPU time.
 *
 *     cluster TOPIC PARTITIONS        prints the bootstrap servers; then a command a line on standard input:
 *     count                           how many records the topic has had, printed as a number
 *     rtt MILLISECONDS                answer later
 *     refuse CODE                     answer the next Produce request with that error of the Kafka protocol
 *     forget                          answer the next Produce request in an hour
 *
 * Ends with standard input. It keeps the last 5 MiB of a partition, and counts all. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { API_PRODUCE = 0 }; /* of the Kafka protocol */

/* The mock cluster leaves Nagle's algorithm on, which with delayed acknowledgements costs 40 ms whenever two
 * small requests are in flight. It is linked statically, so it calls this one. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's names are reserved */
int accept(int fd, struct sockaddr *address, socklen_t *size)
{
    int got = accept4(fd, address, size, 0), on = 1;

    if (got >= 0)
        (void)setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return got;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *servers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, NULL);
    if (servers)
        (void)rd_kafka_conf_set(conf, "bootstrap.servers", servers, text, sizeof text);
    rd_kafka_t *handle = rd_kafka_new(type, conf, text, sizeof text);
    if (!handle) {
        (void)fprintf(stderr, "cluster: %s\n", text);
        exit(2);
    }
    return handle;
}

static long long count(rd_kafka_t *consumer, const char *topic, int partitions)
{
    long long sum = 0;

    for (int i = 0; i < partitions; i++) {
        int64_t low = 0, high = 0;

        if (rd_kafka_query_watermark_offsets(consumer, topic, i, &low, &high, 5000) ==
            RD_KAFKA_RESP_ERR_NO_ERROR)
            sum += high;
    }
    return sum;
}

int main(int argc, char **argv)
{
    char line[64];
    int partitions = argc == 3 ? atoi(argv[2]) : 0, number;

    if (partitions <= 0) {
        (void)fprintf(stderr, "usage: cluster TOPIC PARTITIONS\n");
        return 2;
    }
    rd_kafka_t *host = client(RD_KAFKA_PRODUCER, NULL);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 1);
    (void)rd_kafka_mock_topic_create(cluster, argv[1], partitions, 1);
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, rd_kafka_mock_cluster_bootstraps(cluster));

    (void)printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "count\n") == 0)
            (void)printf("%lld\n", count(consumer, argv[1], partitions));
        else if (sscanf(line, "rtt %d", &number) == 1)
            (void)rd_kafka_mock_broker_set_rtt(cluster, -1, number);
        else if (sscanf(line, "refuse %d", &number) == 1)
            rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 1, (rd_kafka_resp_err_t)number);
        else if (strcmp(line, "forget\n") == 0)
            (void)rd_kafka_mock_broker_push_request_error_rtts(cluster, 1, API_PRODUCE, 1,
                                                               RD_KAFKA_RESP_ERR_NO_ERROR, 3600000);
        (void)fflush(stdout);
    }
    rd_kafka_destroy(consumer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
    return 0;
}
