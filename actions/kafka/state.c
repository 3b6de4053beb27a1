/* state.c - STARTING, READY, AWAY, DEAD: from events and signals to a state with a sentence.
 *
 * librdkafka repeats itself: up to four events a second while a cluster is away. A state is told when it
 * changes, or when its reason is of another kind. */
#include "client.h"

#include "words.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static void say(struct action_client *client, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void say(struct action_client *client, const char *format, va_list args)
{
    (void)vsnprintf(client->why, sizeof client->why, format, args);
}

void state_set(struct action_client *client, enum action_state state, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(client, format, args);
    va_end(args);
    client->state = state;
    client->events->state(client->events->context, state, client->why);
}

static void ready(struct action_client *client)
{
    client->told_count = 0;
    client->was_ready = true;
    atomic_store(&client->signals.withheld, false);
    client->last = (struct trouble){0};
    state_set(client, ACTION_READY, client->state == ACTION_STARTING ? "connected" : "connected again");
}

/* An event names its error once; _ALL_BROKERS_DOWN follows it and says nothing. */
static void remember(struct action_client *client, rd_kafka_resp_err_t error, const char *text)
{
    char log_text[320];
    int x509_error;

    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && client->last.error)
        return; /* and what was noted meanwhile is of the next attempt */
    signals_take(&client->signals, &x509_error, client->last_subject, sizeof client->last_subject, log_text,
                 sizeof log_text);
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        if (!log_text[0])
            return;
        error = RD_KAFKA_RESP_ERR__TRANSPORT; /* some failures are in the log alone */
        text = log_text;
    }
    (void)snprintf(client->last_text, sizeof client->last_text, "%s", text);
    client->last = (struct trouble){
        .error = error,
        .text = client->last_text,
        .x509_error = x509_error,
        .x509_subject = client->last_subject,
        .at_first = !client->was_ready,
        .own_certificate = client->own_certificate,
        .withheld = atomic_load(&client->signals.withheld),
        .own_certificate_ended =
            client->own_certificate && client->own_certificate_ends < (int64_t)time(NULL),
    };
}

/* Brokers of one cluster may fail in different ways, by turns: each way is told once. */
static bool is_told(struct action_client *client, int kind)
{
    for (size_t i = 0; i < client->told_count; i++)
        if (client->told[i] == kind)
            return true;
    if (client->told_count == sizeof client->told / sizeof *client->told)
        return true;
    client->told[client->told_count++] = kind;
    return false;
}

/* A number for a sentence, apart from the kinds in words.c. */
static int kind_of_text(const char *text)
{
    unsigned hash = 5381;

    while (*text)
        hash = hash * 33 + (unsigned char)*text++;
    return -(int)(hash >> 2) - 1;
}

void state_no_ticket(struct action_client *client, const char *why)
{
    if (!is_told(client, kind_of_text(why)))
        state_set(client, ACTION_AWAY, "Kerberos: %s", why);
}

static void away(struct action_client *client)
{
    char words[300] = "no broker can be reached", ticket[256] = "";
    int kind = 0;

    if (client->kerberos && !kerberos_ready(client->kerberos, ticket, sizeof ticket) && ticket[0]) {
        (void)snprintf(words, sizeof words, "Kerberos: %.250s", ticket);
        kind = kind_of_text(ticket);
    } else if (client->last.error) {
        kind = trouble_words(&client->last, words, sizeof words);
    }
    client->last = (struct trouble){0};
    client->answers_seen = atomic_load(&client->signals.answers);
    if (!is_told(client, kind) && (kind || client->state != ACTION_AWAY))
        state_set(client, ACTION_AWAY, "%s", words);
}

void state_fatal(struct action_client *client, rd_kafka_resp_err_t error, const char *text)
{
    if (client->failed)
        return;
    client->failed = true;
    if (error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED && client->idempotent) {
        client->idempotent = false; /* client_pump makes the producer again */
        state_set(client, ACTION_STARTING,
                  "the cluster refuses a producer id (before Kafka 3.0: grant IDEMPOTENT_WRITE on the "
                  "cluster); going "
                  "on without idempotence, so a lost answer may make a record appear twice");
        return;
    }
    state_set(client, ACTION_DEAD, "the producer cannot go on (%s: %s) and is replaced",
              rd_kafka_err2name(error), text);
}

void state_error(struct action_client *client, rd_kafka_resp_err_t error, const char *text)
{
    if (client->failed)
        return;
    switch (error) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        remember(client, error, text);
        away(client);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        remember(client, error, text);
        if (client->state == ACTION_AWAY) /* the reason may have changed */
            away(client);
        break;
    default: break; /* about a topic or a record: its own reports say it */
    }
}

void state_look(struct action_client *client)
{
    unsigned answers = atomic_load(&client->signals.answers);

    if (client->failed || !client->producer)
        return;
    if ((client->state == ACTION_STARTING || client->state == ACTION_AWAY) &&
        answers != client->answers_seen &&
        (!client->idempotent || atomic_load(&client->signals.producer_ids) > 0))
        ready(client);
}
