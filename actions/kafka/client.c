#include "client.h"

#include "base/clock.h"
#include "describe.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int open_fds(struct action_client *client, struct err *err)
{
    client->fd = epoll_create1(EPOLL_CLOEXEC);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (client->fd < 0 || client->wake_fd < 0 || client->timer_fd < 0 ||
        watch(client->fd, client->wake_fd) != 0 || watch(client->fd, client->timer_fd) != 0)
        return err_set(err, ERR_IO, "no file descriptors for a Kafka client: %s", strerror(errno));
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void client_free(struct action_client *client)
{
    kerberos_stop(client->kerberos);
    if (client->conf)
        rd_kafka_conf_destroy(client->conf);
    tickets_done(client);
    signals_done(&client->signals);
    wiped_free(client->allowed);
    buf_done(&client->identity);
    close_fd(client->timer_fd);
    close_fd(client->wake_fd);
    close_fd(client->fd);
    free(client);
}

void client_wake_in(struct action_client *client, int ms)
{
    int64_t at = clock_mono_ms() + ms;
    struct itimerspec when = {.it_value = {ms / 1000, (long)(ms % 1000) * 1000000L + 1}};

    if (client->wake_at_ms && client->wake_at_ms <= at)
        return; /* everybody looks again then */
    client->wake_at_ms = at;
    (void)timerfd_settime(client->timer_fd, 0, &when, NULL);
}

/* Values that librdkafka looks at only when it makes a producer. */
static bool has_secret_of_tls(const struct settings *settings)
{
    static const enum prop_id late[] = {PROP_CIPHERS, PROP_CURVES, PROP_SIGALGS, PROP_CRL};

    for (size_t i = 0; i < sizeof late / sizeof *late; i++)
        if (settings->slots[late[i]].from && settings->slots[late[i]].from->secret)
            return true;
    return false;
}

/* What is kept of the settings, which are the caller's. */
static int take_settings(struct action_client *client, const struct settings *settings, struct err *err)
{
    struct material material;
    int result = material_load(&material, settings, err, NULL);

    client->tls = settings->tls;
    client->hush = has_secret_of_tls(settings);
    client->idempotent = settings->idempotent;
    client->stuck_ms = setting_number(settings, PROP_STUCK);
    client->topics_most = (size_t)setting_number(settings, PROP_TOPICS_MAX);
    client->own_certificate = material.chain != NULL;
    client->own_certificate_ends = material.not_after;
    if (result == 0 && !(client->allowed = wiped_new(setting_text(settings, PROP_TOPICS_ALLOW))))
        result = err_memory(err);
    if (result == 0)
        result = identity(settings, false, &client->identity, err);
    if (result == 0 && !(client->conf = conf_new(settings, &material, err)))
        result = -1;
    material_done(&material);
    return result;
}

static int start_kerberos(struct action_client *client, const struct settings *settings, struct err *err)
{
    struct wiped *keytab = material_bytes(settings, PROP_KEYTAB, err);
    const struct kerberos_options options = {
        .keytab = wiped_reveal(keytab),
        .principal = setting_text(settings, PROP_PRINCIPAL),
        .realm = setting_text(settings, PROP_REALM),
        .kdcs = setting_text(settings, PROP_KDC),
        .wake_fd = client->wake_fd,
    };

    if (!keytab)
        return -1;
    client->kerberos = kerberos_start(&options, err);
    wiped_free(keytab);
    if (!client->kerberos)
        return -1;
    client->signals.kerberos_cache = kerberos_cache(client->kerberos);
    (void)snprintf(client->why, sizeof client->why, "waiting for a Kerberos ticket");
    return 0;
}

struct action_client *client_open(const struct action_settings *in, const struct action_events *events,
                                  struct err *err)
{
    struct action_client *client = calloc(1, sizeof *client);
    struct settings settings;

    if (!client) {
        err_memory(err);
        return NULL;
    }
    client->events = events;
    client->identity = BUF_INIT;
    client->fd = client->wake_fd = client->timer_fd = -1;
    client->state = ACTION_STARTING;
    (void)snprintf(client->why, sizeof client->why, "connecting");
    signals_init(&client->signals, -1);
    if (settings_open(&settings, in, err) != 0 || open_fds(client, err) != 0 ||
        take_settings(client, &settings, err) != 0)
        goto fail;
    client->signals.wake_fd = client->wake_fd;
    client->signals.check_host = span_is(setting_text(&settings, PROP_HOSTNAME), "https");
    /* With Kerberos the producer is made once there are tickets, or its first logins would fail. */
    if (settings.mechanism == MECHANISM_GSSAPI ? start_kerberos(client, &settings, err) != 0
                                               : producer_start(client, err) != 0)
        goto fail;
    settings_done(&settings);
    return client;
fail:
    settings_done(&settings);
    client_free(client);
    return NULL;
}

/* The cluster refused the producer id: the records in it are given back, and a plain producer takes over. */
static void start_again(struct action_client *client)
{
    struct err err = {0};

    producer_stop(client, 0);
    atomic_store(&client->signals.answers, 0);
    if (conf_without_idempotence(client->conf, &err) != 0 || producer_start(client, &err) != 0) {
        client->failed = true;
        state_set(client, ACTION_DEAD, "%s", err.text);
    }
}

static void wait_for_tickets(struct action_client *client)
{
    char why[sizeof client->why];
    struct err err = {0};

    if (!kerberos_ready(client->kerberos, why, sizeof why)) {
        if (why[0])
            state_no_ticket(client, why);
    } else if (producer_start(client, &err) != 0) {
        client->failed = true;
        state_set(client, ACTION_DEAD, "%s", err.text);
    }
}

void client_pump(struct action_client *client)
{
    uint64_t count;
    rd_kafka_event_t *event;
    ssize_t ignored = read(client->wake_fd, &count, sizeof count);

    if (read(client->timer_fd, &count, sizeof count) > 0)
        client->wake_at_ms = 0;
    (void)ignored;
    if (!client->producer && client->kerberos && !client->failed)
        wait_for_tickets(client);
    if (!client->producer)
        return;
    while ((event = rd_kafka_queue_poll(client->queue, 0)))
        producer_event(client, event);
    state_look(client);
    retry_step(client);
    watch_step(client);
    if (client->failed && client->state == ACTION_STARTING)
        start_again(client);
}

int client_update(struct action_client *client, const struct action_settings *in)
{
    struct settings settings;
    struct buf text = BUF_INIT;
    struct err err;
    int done = 0;

    if (settings_open(&settings, in, &err) == 0 && identity(&settings, false, &text, &err) == 0 &&
        span_equal(buf_view(&text), buf_view(&client->identity)) && settings.username.size &&
        settings.password.size && client->producer && !client->failed) {
        char user[1024], password[4096];

        if (settings.username.size < sizeof user && settings.password.size < sizeof password &&
            conf_set_login(client->conf, &settings, &err) == 0) {
            (void)snprintf(user, sizeof user, SPAN_FMT, SPAN_ARG(settings.username));
            (void)snprintf(password, sizeof password, SPAN_FMT, SPAN_ARG(settings.password));
            rd_kafka_error_t *error = rd_kafka_sasl_set_credentials(client->producer, user, password);
            done = error == NULL;
            if (error)
                rd_kafka_error_destroy(error);
        }
        wipe(password, sizeof password);
        wipe(user, sizeof user);
    }
    buf_done(&text);
    settings_done(&settings);
    return done;
}

void client_close(struct action_client *client, int wait_ms)
{
    client->closing = true;
    watch_stop(client);
    producer_stop(client, wait_ms);
    client_free(client);
}
