/* client.h - one producer and what we know of it.
 *
 * Everything here belongs to the lane's thread but `signals`. A record in librdkafka's hands is a *ticket*:
 * it remembers the engine's tag and what is needed to judge the record's report. */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

#include "conf.h"
#include "kerberos.h"
#include "material.h"
#include "outcome.h"
#include "record.h"
#include "settings.h"
#include "signals.h"
#include "topics.h"
#include "words.h"

#include "base/buf.h"

struct ticket {
    void *tag;
    struct topic *topic;
    struct ticket *next; /* while free */
    int32_t partition;   /* as the record named it; -1: it did not */
    bool alone;          /* sent alone: a refusal is meant for it */
};

enum { TICKET_CHUNK = 1024 };
struct ticket_chunk {
    struct ticket_chunk *next;
    struct ticket tickets[TICKET_CHUNK];
};

struct action_client {
    const struct action_events *events;
    int fd, wake_fd, timer_fd; /* fd: an epoll of the other two */

    /* What the producer is made from; kept for making it again. */
    rd_kafka_conf_t *conf;
    struct buf identity;   /* of the settings without the password of the login */
    struct wiped *allowed; /* topics.allow */
    size_t topics_most;
    bool idempotent; /* false also after the cluster refused it */
    bool tls;
    bool own_certificate;
    bool hush; /* what librdkafka refuses may be part of a secret, and it shows what it refuses */
    int64_t own_certificate_ends; /* seconds since 1970 */

    struct kerberos *kerberos; /* NULL: logs in otherwise */
    rd_kafka_t *producer;      /* NULL: waits for Kerberos */
    rd_kafka_queue_t *queue;
    struct signals signals;
    struct topics topics;
    struct ticket *free_tickets;
    struct ticket_chunk *chunks;
    size_t kept; /* records held by retry.c and ask.c, in no queue of librdkafka */
    struct topic *retrying;

    enum action_state state;
    int told[8]; /* kinds of trouble told since the client was last READY */
    size_t told_count;
    unsigned answers_seen; /* of signals.answers, when the cluster went away */
    char why[320];         /* the sentence of the state, when it is not READY */
    bool failed;           /* FATAL was told */
    bool closing;
    bool was_ready;      /* ever */
    struct trouble last; /* reason behind _ALL_BROKERS_DOWN */
    char last_text[512], last_subject[128];
    size_t out;          /* tickets that are out */
    int64_t progress_ms; /* monotonic: since when records wait and none was delivered; 0 none waits */
    int64_t stuck_ms;    /* how long that may be; 0 for ever */
    int64_t wake_at_ms;  /* monotonic: what the timer is set to; 0 not set */
    struct probe *probe; /* watch.c */
};

/* producer.c: make it, and drop it with every record in it reported as WAIT, after at most `wait_ms`. */
int producer_start(struct action_client *client, struct err *err);
void producer_stop(struct action_client *client, int wait_ms);
/* Take one event from its queue and destroy it. */
void producer_event(struct action_client *client, rd_kafka_event_t *event);

/* send.c: hand a record to librdkafka, which copies it. `headers` are taken on success. Returns its error. */
rd_kafka_headers_t *headers_new(const struct action_pair *pairs, size_t count);
rd_kafka_resp_err_t produce(struct action_client *client, struct topic *topic, const struct record *record,
                            rd_kafka_headers_t *headers, struct ticket *ticket);
enum action_send client_send(struct action_client *client, const struct action_record *in, void *tag,
                             struct err *err);

/* tickets.c */
struct ticket *ticket_take(struct action_client *client); /* NULL without memory */
void ticket_give(struct action_client *client, struct ticket *ticket);
void tickets_drop(struct action_client *client); /* those still out become WAIT */
void tickets_done(struct action_client *client);

/* report.c */
void report_read(struct action_client *client, rd_kafka_message_t *message);
/* Give the outcome of a record, with librdkafka's error as its reason. */
void report_result(struct action_client *client, void *tag, enum action_outcome outcome,
                   rd_kafka_resp_err_t error, const char *topic);

/* state.c: what the client tells of itself. */
void state_set(struct action_client *client, enum action_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void state_fatal(struct action_client *client, rd_kafka_resp_err_t error, const char *text);
void state_error(struct action_client *client, rd_kafka_resp_err_t error, const char *text);
void state_look(struct action_client *client); /* at what the signals say */
void state_no_ticket(struct action_client *client, const char *why);

/* retry.c: members of a refused batch, sent again in ever smaller groups. */
int retry_keep(struct action_client *client, const struct ticket *ticket, rd_kafka_message_t *message);
void retry_step(struct action_client *client);
void retry_drop(struct action_client *client); /* all that is kept becomes WAIT */

/* ask.c: has a topic that partition? The outcome for `tag` follows. -1 without memory. */
int ask_partition(struct action_client *client, struct topic *topic, void *tag, int32_t partition);
/* What is known without asking: 1 it is there, 0 it is not, -1 not known. */
int ask_known(const struct topic *topic, int32_t partition);
void ask_answer(struct action_client *client, rd_kafka_event_t *event);
void ask_drop(struct action_client *client); /* open questions end as WAIT */

/* watch.c: is the producer stuck? */
void watch_step(struct action_client *client);
void watch_stop(struct action_client *client);

/* client.c: a client's life, as actions/action.h has it. */
struct action_client *client_open(const struct action_settings *in, const struct action_events *events,
                                  struct err *err);
void client_pump(struct action_client *client);
int client_update(struct action_client *client, const struct action_settings *in);
void client_close(struct action_client *client, int wait_ms);
/* Have poll called after `ms` at the latest. */
void client_wake_in(struct action_client *client, int ms);

#endif
