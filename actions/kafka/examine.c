/* examine.c - names, connections, certificates, tickets, login, rights: each tried by itself, so that the
 * first thing that is wrong is seen as such. */
#include "examine.h"

#include "client.h"
#include "record.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT_MS = 5000, LOGIN_MS = 30000, HOSTS_MAX = 64 };

void examined(const struct examination *to, const char *what, const char *whom, enum action_finding finding,
              const char *format, ...)
{
    char text[640];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    to->step(to->context, &(struct action_step){what, whom, finding, text});
}

/* ---- hosts ---- */

struct host {
    char name[256], port[8], whom[272];
};

/* The next of "SSL://a:1, [::1]:2, b"; false at the end. */
static bool next_host(struct span *rest, const char *port, struct host *host)
{
    while (rest->size && strchr(", ", rest->data[0])) {
        rest->data++;
        rest->size--;
    }
    if (rest->size == 0)
        return false;

    size_t size = 0;
    while (size < rest->size && !strchr(", ", rest->data[size]))
        size++;
    struct span one = {rest->data, size};
    *rest = (struct span){rest->data + size, rest->size - size};

    const char *scheme = memmem(one.data, one.size, "://", 3);
    if (scheme) {
        one.size -= (size_t)(scheme + 3 - one.data);
        one.data = scheme + 3;
    }
    const char *colon = memrchr(one.data, ':', one.size), *bracket = memrchr(one.data, ']', one.size);
    (void)snprintf(host->port, sizeof host->port, "%s", port);
    if (colon && (!bracket || colon > bracket)) {
        (void)snprintf(host->port, sizeof host->port, "%.*s", (int)(one.data + one.size - colon - 1),
                       colon + 1);
        one.size = (size_t)(colon - one.data);
    }
    if (one.size >= 2 && one.data[0] == '[')
        one = (struct span){one.data + 1, one.size - 2};
    (void)snprintf(host->name, sizeof host->name, "%.*s", (int)(one.size < 255 ? one.size : 255), one.data);
    (void)snprintf(host->whom, sizeof host->whom, "%s:%s", host->name, host->port);
    return true;
}

/* How did a connection that was begun end? 0, or an errno. */
static int connected(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = 0;

    if (poll(&wait, 1, CONNECT_MS) != 1)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}) != 0 ? errno : error;
}

/* Returns a connected socket, or -1 with errno. */
static int connect_within(const struct addrinfo *address)
{
    int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    struct timeval limit = {.tv_sec = CONNECT_MS / 1000};
    int failed = 0;

    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        failed = errno == EINPROGRESS ? connected(fd) : errno;
    if (failed) {
        (void)close(fd);
        errno = failed;
        return -1;
    }
    (void)fcntl(fd, F_SETFL, 0); /* blocking from here, within limits */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

static int family_of(const struct settings *settings)
{
    struct span family = setting_text(settings, PROP_FAMILY);

    return span_is(family, "v4") ? AF_INET : span_is(family, "v6") ? AF_INET6 : AF_UNSPEC;
}

/* DNS and TCP. Returns a connected socket, or -1 when it was said why not. */
static int reach(const struct examination *to, const struct host *host, int family)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *found;
    int failed = getaddrinfo(host->name, host->port, &hints, &found), fd = -1;
    char address[64] = "", all[300] = "";

    if (failed) {
        examined(to, "DNS", host->name, ACTION_BAD, "the name does not resolve (%s)", gai_strerror(failed));
        return -1;
    }
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        size_t used = strlen(all);
        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) == 0 &&
            used + sizeof address + 3 < sizeof all)
            (void)snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", address);
    }
    examined(to, "DNS", host->name, ACTION_GOOD, "%s", all);
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = connect_within(at);
    if (fd < 0)
        examined(to, "TCP", host->whom, ACTION_BAD, "no connection: %s", strerror(errno));
    else
        examined(to, "TCP", host->whom, ACTION_GOOD, "connected");
    freeaddrinfo(found);
    return fd;
}

static void examine_hosts(const struct examination *to, const struct settings *settings,
                          const struct material *material)
{
    struct span brokers = setting_text(settings, PROP_BOOTSTRAP), kdcs = setting_text(settings, PROP_KDC);
    bool check_host = span_is(setting_text(settings, PROP_HOSTNAME), "https");
    struct host host;

    for (int i = 0; i < HOSTS_MAX && next_host(&brokers, "9092", &host); i++) {
        int fd = reach(to, &host, family_of(settings));

        if (fd >= 0 && settings->tls)
            examine_tls(to, fd, host.name, host.whom, material, check_host);
        if (fd >= 0)
            (void)close(fd);
    }
    for (int i = 0; settings->mechanism == MECHANISM_GSSAPI && i < HOSTS_MAX && next_host(&kdcs, "88", &host);
         i++) {
        int fd = reach(to, &host, AF_UNSPEC);

        if (fd >= 0)
            (void)close(fd);
    }
}

/* ---- login and rights: with a client ---- */

static void no_result(void *context, const struct action_result *result)
{
    (void)context;
    (void)result;
}

static void no_state(void *context, enum action_state state, const char *text)
{
    (void)context;
    (void)state;
    (void)text;
}

static bool log_in(const struct examination *to, struct action_client *client)
{
    int64_t end = clock_mono_ms() + LOGIN_MS;
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};

    while (client->state == ACTION_STARTING && clock_mono_ms() < end) {
        (void)poll(&wait, 1, 100);
        client_pump(client);
    }
    if (client->state == ACTION_READY)
        examined(to, "cluster", "", ACTION_GOOD, "logged in%s",
                 client->idempotent ? ", and given a producer id" : "");
    else if (client->state == ACTION_STARTING)
        examined(to, "cluster", "", ACTION_BAD, "no answer in %d s", LOGIN_MS / 1000);
    else
        examined(to, "cluster", "", ACTION_BAD, "%s", client->why);
    return client->state == ACTION_READY;
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

static void tell_topic(const struct examination *to, const char *name, rd_kafka_event_t *event)
{
    const rd_kafka_DescribeTopics_result_t *result =
        event ? rd_kafka_event_DescribeTopics_result(event) : NULL;
    const rd_kafka_TopicDescription_t **topics;
    size_t count = 0, partitions = 0;
    rd_kafka_resp_err_t error;
    char text[256];

    if (!result || rd_kafka_event_error(event)) {
        examined(to, "topic", name, ACTION_BAD, "no answer: %s",
                 event ? rd_kafka_event_error_string(event) : "time is over");
        return;
    }
    topics = rd_kafka_DescribeTopics_result_topics(result, &count);
    error =
        count ? rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[0])) : RD_KAFKA_RESP_ERR__NOENT;
    if (error) {
        examined(to, "topic", name, ACTION_BAD, "%s", verdict_text(error, name, text, sizeof text));
        return;
    }
    (void)rd_kafka_TopicDescription_partitions(topics[0], &partitions);
    if (may_write(topics[0]))
        examined(to, "topic", name, ACTION_GOOD, "%zu partitions, and we may write", partitions);
    else
        examined(to, "topic", name, ACTION_BAD, "%zu partitions, and we have no right to write; grant WRITE",
                 partitions);
}

static void examine_topic(const struct examination *to, struct action_client *client, struct span topic)
{
    char name[256], why[128];
    const char *names[] = {name};
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->producer);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(client->producer, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics;
    rd_kafka_event_t *event;

    (void)snprintf(name, sizeof name, SPAN_FMT, SPAN_ARG(topic));
    topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, CONNECT_MS, why, sizeof why);
    if (atomic_load(&client->signals.broker) >= 0)
        (void)rd_kafka_AdminOptions_set_broker(options, atomic_load(&client->signals.broker), why,
                                               sizeof why);
    rd_kafka_error_t *error = rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_DescribeTopics(client->producer, topics, options, queue);
    event = rd_kafka_queue_poll(queue, CONNECT_MS + 1000);
    tell_topic(to, name, event);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
}

static void examine_login(const struct examination *to, const struct action_settings *in, struct span topic)
{
    static const struct action_events events = {NULL, no_result, no_state};
    struct err err = {0};
    struct action_client *client = client_open(in, &events, &err);

    if (!client) {
        examined(to, "client", "", ACTION_BAD, "%s", err.text);
        return;
    }
    if (log_in(to, client)) {
        if (topic.size && record_check_topic(topic, &err) == 0)
            examine_topic(to, client, topic);
        else
            examined(to, "topic", "", ACTION_SKIPPED, "its name is known with a message");
    }
    client_close(client, 0);
}

void examine(const struct span *constants, const struct action_settings *in,
             void (*step)(void *context, const struct action_step *step), void *context)
{
    const struct examination to = {step, context};
    struct settings settings;
    struct material material = {0};
    struct err err = {0};

    if (settings_open(&settings, in, &err) != 0 || material_load(&material, &settings, &err, NULL) != 0) {
        examined(&to, "settings", "", ACTION_BAD, "%s", err.text);
    } else {
        if (material.chain && material.not_after < (int64_t)time(NULL))
            examined(&to, "certificate", "", ACTION_BAD, "our own, %s, has ended; renew ssl.keystore",
                     material.subject);
        else if (material.chain)
            examined(&to, "certificate", "", ACTION_GOOD, "our own, %s, is valid for %lld days",
                     material.subject, (long long)((material.not_after - (int64_t)time(NULL)) / 86400));
        if (!settings.slots[PROP_MOCK].set)
            examine_hosts(&to, &settings, &material);
        examine_login(&to, in, constants[FIELD_TOPIC]);
    }
    material_done(&material);
    settings_done(&settings);
}
