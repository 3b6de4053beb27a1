/* watch.c - a producer that is stuck without saying so.
 *
 * librdkafka has ways to lose all its brokers for ever and without an error (its issues 5301 and 5605). So
 * when records wait and none is delivered for minutes, a fresh connection is made beside the producer: if the
 * cluster answers that one, the producer is given up and the engine makes another; if not, the cluster is
 * away, and there is nothing to do but wait. */
#include "client.h"

#include "base/clock.h"

#include <stdlib.h>

enum { PROBE_MS = 30000 };

struct probe {
    struct signals signals;
    rd_kafka_t *producer;
    int64_t end_ms;
};

static void probe_start(struct action_client *client)
{
    struct probe *probe = calloc(1, sizeof *probe);
    rd_kafka_conf_t *conf = probe ? rd_kafka_conf_dup(client->conf) : NULL;
    struct err ignored;
    char why[256];

    if (!probe)
        return;
    signals_init(&probe->signals, client->wake_fd);
    probe->signals.kerberos_cache = client->signals.kerberos_cache;
    probe->signals.check_host = client->signals.check_host;
    probe->end_ms = clock_mono_ms() + PROBE_MS;
    if (conf_without_idempotence(conf, &ignored) == 0 &&
        signals_attach(&probe->signals, conf, client->tls, &ignored) == 0)
        probe->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!probe->producer)
        rd_kafka_conf_destroy(conf);
    client->probe = probe;
}

void watch_stop(struct action_client *client)
{
    struct probe *probe = client->probe;

    client->probe = NULL;
    if (!probe)
        return;
    if (probe->producer)
        rd_kafka_destroy(probe->producer);
    signals_done(&probe->signals);
    free(probe);
}

static void look_at_probe(struct action_client *client, int64_t now)
{
    struct probe *probe = client->probe;
    int64_t left = probe->end_ms - now;

    if (probe->producer && atomic_load(&probe->signals.answers) > 0) {
        client->failed = true;
        state_set(client, ACTION_DEAD,
                  "nothing was delivered for %lld s although the cluster answers a fresh connection: the "
                  "producer is "
                  "replaced",
                  (long long)(client->stuck_ms / 1000));
    } else if (left > 0 && probe->producer) {
        client_wake_in(client, (int)left);
        return;
    }
    watch_stop(client);
    client->progress_ms = now; /* look again after as long */
}

void watch_step(struct action_client *client)
{
    int64_t now, left;

    if (client->out == 0 || client->failed || client->stuck_ms == 0) {
        client->progress_ms = 0;
        watch_stop(client);
        return;
    }
    now = clock_mono_ms();
    if (client->progress_ms == 0) { /* a record was delivered, or the first one waits */
        watch_stop(client);
        client->progress_ms = now;
    }
    left = client->progress_ms + client->stuck_ms - now;
    if (client->probe)
        look_at_probe(client, now);
    else if (left <= 0)
        probe_start(client);
    else
        client_wake_in(client, (int)left);
}
