/* signals.h - what librdkafka's own threads tell us beside its event queue.
 *
 * Its events name errors; that a cluster answers again, that the producer id is there, and why a certificate
 * was refused it tells only through callbacks on its threads. They note it here and wake the lane. */
#ifndef KAFKA_SIGNALS_H
#define KAFKA_SIGNALS_H

#include "base/err.h"
#include "base/span.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct signals {
    const char *kerberos_cache; /* name of the ticket cache for logins; NULL: none */
    int wake_fd;                /* an eventfd; not owned */
    bool check_host;            /* a broker's certificate must be for its host */
    atomic_uint answers;        /* to requests that only a client that was let in may make */
    atomic_int broker;          /* id of one that answered; -1 none yet */
    atomic_uint producer_ids;   /* how often the request for one was answered */

    atomic_bool withheld; /* our certificate is from no authority that a broker names: not sent */

    pthread_mutex_t lock; /* for the rest */
    int x509_error;       /* of the last refused certificate; 0: none ever */
    char x509_subject[128];
    char log_text[320]; /* the last failure that was logged */
};

void signals_init(struct signals *signals, int wake_fd);
void signals_done(struct signals *signals);

/* Have `conf` tell `signals`, which must outlive the client made from it. With `tls`, certificates too. */
int signals_attach(struct signals *signals, rd_kafka_conf_t *conf, bool tls, struct err *err);

/* Is this certificate of a broker ("host:port") good enough? `x509_error` is what OpenSSL made of it, and
 * what we do; when it is not 0 the answer is no, and noted, and `why` says it. On any thread. */
bool signals_trust(struct signals *signals, const char *broker, int *x509_error, int depth, struct span der,
                   char *why, size_t room);

/* Copy the notes about certificates and logs, and forget what was logged. (A certificate is refused in every
 * attempt, but not every attempt makes an event; so the reason stays.) */
void signals_take(struct signals *signals, int *x509_error, char *subject, size_t subject_room,
                  char *log_text, size_t log_room);

#endif
