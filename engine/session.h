/* session.h - one MQTT session: connects, subscribes, reads, and writes only when it may.
 *
 * libmosquitto with mosquitto_threaded_set(true) only queues what it wants to send. It queues a PUBACK for
 * every QoS 1 message before we are shown it, and mosquitto_loop_write sends all that is queued:
 * session_flush is the one place that calls it, and hold.h says when that is legal. While a message is held,
 * reading is off, our own PINGREQ bytes keep the connection, and a broker that goes away is noticed by
 * EPOLLRDHUP.
 *
 * All calls on the lane's thread. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "counters.h"
#include "glance.h"
#include "hold.h"
#include "login.h"
#include "message.h"
#include "route.h"
#include "tls.h"

#include "rules/config.h"

#include <stdbool.h>

struct session_events {
    void *context;
    void (*message)(void *context, const struct message *message);
    bool (*more)(void *context); /* may another packet be read now? */
    /* The broker let us in. `resumed`: it kept our session, so what was not acknowledged comes again. */
    void (*connected)(void *context, bool resumed);
    void (*lost)(void *context); /* after hold_drop */
};

/* All borrowed for the life of the session, but the login. */
struct session_options {
    const struct config *config;
    struct session_login *login; /* a reference is taken */
    const struct route *route;
    const struct rule_set *rules; /* for messages that name a rule */
    bool wants_properties;        /* some rule looks at the properties of MQTT 5 */
    int epoll_fd;
    uint64_t epoll_data;
    struct hold *hold;
    struct counters *counters;
    struct session_events events;
};

struct session;

struct session *session_new(const struct session_options *options, struct err *err);
/* Drops the connection as it is: nothing is flushed. */
void session_free(struct session *session);

/* Go on, connection and all, for other rules: what differs is subscribed and unsubscribed. Nothing may be
 * unsettled, flushing or read meanwhile. 0, or -1 with `err`: all is as it was. There are no events of it
 * before session_go_on, so that its next thread is not called for what it does not have yet. */
int session_move(struct session *session, const struct session_options *options, struct err *err);
void session_go_on(struct session *session);

/* Another login, from the next connection on; a reference is taken over. Any thread. */
void session_give_login(struct session *session, struct session_login *login);

/* epoll reported `events` for the socket. */
void session_event(struct session *session, uint32_t events, int64_t now_ms);

/* Do what is due: connect, ping, give up on a dead peer. Returns when to come again. Call after every round
 * of events, too. */
int64_t session_tick(struct session *session, int64_t now_ms);

/* Take messages from now on, or leave them in the socket. */
void session_read(struct session *session, bool on);

/* A record of a message read on connection `epoch` was given up, because the broker sends the message again;
 * `place` is the message's. */
void session_given_up(struct session *session, uint32_t epoch, uint32_t place);

/* Is there anything to send, PUBACKs or other? */
bool session_wants_flush(const struct session *session);

/* Send all that is queued. Aborts the process if a message is unsettled: a crash is redelivered, a wrong
 * acknowledgement is not. Returns false while the socket takes no more; the rest goes by itself, and until
 * then nothing is read. */
bool session_flush(struct session *session);

/* The end: after a last flush, close our side, read and discard until the broker closes its own, so that no
 * reset eats the PUBACKs. Returns false until that is over; call again after events. */
bool session_finish(struct session *session, int64_t now_ms);

/* What is held can be settled only by what comes next: see redelivery.h, in doubt. */
bool session_must_read_on(const struct session *session);
bool session_is_up(const struct session *session);
bool session_is_flushing(const struct session *session);
/* Connected, and every subscription answered. Any thread. */
bool session_is_ready(const struct session *session);
/* The broker has refused us, and has not let us in since. Any thread. */
bool session_is_in_doubt(const struct session *session);
/* How many of the route's filters that are gone the broker has unsubscribed, in their order. Any thread. */
size_t session_unsubscribed(const struct session *session);
bool session_is_v5(const struct session *session);
/* How it stands with the broker, one sentence in `out` (GLANCE_TEXT bytes). Any thread. */
void session_look(const struct session *session, char *out);

#endif
