/* session_state.h - what session.c (the life of a connection) and session_mqtt.c (what is said on it) share.
 */
#ifndef ENGINE_SESSION_STATE_H
#define ENGINE_SESSION_STATE_H

#include "copies.h"
#include "redelivery.h"
#include "session.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdatomic.h>

enum session_phase {
    SESSION_DOWN,       /* no connection; `due_ms` says when the next attempt is */
    SESSION_CONNECTING, /* TCP, TLS, until CONNACK */
    SESSION_UP,
    SESSION_FINISHING, /* our side is closed */
};

/* One SUBSCRIBE on its way: filters `first` to `first + count` of session->order. */
struct session_subscribe {
    int mid;
    uint32_t first, count;
};

struct session {
    struct session_options options;
    enum session_phase phase;
    struct session_login *login;
    struct session_login *_Atomic fresh_login; /* given by another thread, not looked at yet */
    struct dial_lookup *lookup;                /* of the broker's name, under way; NULL: none */
    struct mosquitto *mosq; /* one for each connection: a new one has no memory of the last */
    int fd;
    uint32_t armed; /* what epoll watches now */
    bool reading, flushing, tcp_up, was_up;
    bool between_packets; /* the library has stopped reading at the end of one */
    bool discarding;      /* the peer has closed: look for its reason, deliver nothing */
    bool refused, ended, tls_failed;
    bool asked; /* CONNECT has left */
    uint64_t
        packets; /* shown by a callback, ever: tells a loop_read that did something from one that did not */
    uint32_t to_acknowledge;

    size_t broker;    /* the one of config.mqtt.brokers in use */
    int family;       /* AF_INET, AF_INET6: this attempt is held to it; 0: any */
    int other_family; /* what its name resolves to as well, and the next attempt takes; 0: nothing */
    unsigned attempt; /* since the last connection that held */
    unsigned takeovers;
    unsigned silent; /* connections in a row that were closed without an answer */
    bool old_protocol, old_for_good;
    bool spoke_v5; /* a broker has let us in with MQTT 5 */
    bool taken_over;
    int64_t due_ms;      /* DOWN: next attempt; CONNECTING, FINISHING: deadline */
    int64_t patience_ms; /* DOWN: the next attempt waits for orphans until then */
    int64_t up_since_ms; /* of this connection */
    int64_t ping_ms;     /* next PINGREQ */
    int64_t heard_ms;    /* last sign of the broker */
    int64_t now_ms;
    int keepalive_s;
    size_t ping_left; /* bytes of a PINGREQ that the socket did not take */

    uint32_t *order; /* places of route entries: those that share an identifier first */
    size_t order_count, shared_count;
    struct session_subscribe *subscribes;
    size_t subscribe_count, subscribe_room;
    size_t answered, denied_count;
    bool *denied; /* for each place in `order`: the broker has refused it */
    int64_t ask_again_ms;
    bool identifiers, asking_again;

    int unsubscribe_mid; /* of the one on its way */
    size_t unsubscribe_count;
    atomic_size_t unsubscribed; /* of the route's filters that are gone, answered: the first so many */

    struct redelivery *redelivery;
    bool doubting; /* it is in doubt, and the hold knows */
    int64_t doubt_ms;
    struct copies copies;
    char *dup_line;      /* how the library's line about a PUBLISH begins, up to its DUP flag */
    bool dup_heard, dup; /* the library tells its lines; what the last one said */
    uint32_t passed_over;
    atomic_bool ready;
    atomic_bool in_doubt; /* refused: its login may be another one now */
    struct glance seen;

    struct tls_verdict verdict;
    char reason[256];  /* why this connection ended, as far as known */
    char problem[800]; /* the last one logged, and when */
    int64_t problem_ms;
    char name[300]; /* mqtts://host:port */
    struct sql_user_property properties[MESSAGE_PROPERTIES];
};

/* session_mqtt.c */
void session_set_callbacks(struct session *session);
/* The broker has answered CONNECT of MQTT 5 in the words of MQTT 3.1.1. */
void session_refused_as_old(struct session *session);

/* session_subscribe.c. The places in `order`. `former`: what the session has subscriptions for, NULL for not
 * known. Returns 0, or -1 with `err`: all is as it was. */
int session_plan(struct session *session, const struct route *route, const struct route *former,
                 struct err *err);

/* Queue SUBSCRIBEs for all, and UNSUBSCRIBEs for what is gone. */
void session_subscribe(struct session *session);
void session_on_suback(struct mosquitto *mosq, void *context, int mid, int count, const int *reasons,
                       const mosquitto_property *properties);
void session_on_unsuback(struct mosquitto *mosq, void *context, int mid,
                         const mosquitto_property *properties);

/* Queue SUBSCRIBEs for what was refused, if it is time. Only while nothing is held. */
void session_ask_again(struct session *session);

/* session_end.c: the connection must go, and what was in doubt on it is evaluated on the next. */
void session_doubt_is_broken(struct session *session);

/* session_dial.c. Returns 0 with a connection or a look-up of its name under way, or -1 with `reason`. */
int session_dial(struct session *session);
/* While there is a `lookup`: the same. */
int session_dial_on(struct session *session);

/* session_end.c */
extern const char session_closed[];
/* Without a word to the broker: mosquitto_disconnect would send the PUBACKs that are queued before it. */
void session_drop(struct session *session);
/* The reason why this connection ends; the first that is told counts. */
void session_say_why(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
