/* copies.h - one message, several subscriptions: run every rule once, however many copies come.
 *
 * A broker of MQTT 5 may send one copy for each subscription that overlaps. But not always: mosquitto 2.0.11,
 * restarted, takes a client that is not back yet for one of MQTT 3.1.1 and keeps a single copy for it, with a
 * single identifier (db__message_insert); and a broker that meets its queue limit keeps the first copies and
 * drops the others. So no rule may rely on a copy of its own. The first copy that comes runs all rules that
 * its topic has, and the others, which are expected from then on, are passed over.
 *
 * Expected is a copy of the same message (message_hash.h) with an identifier that is still missing, within
 * the next COPIES_NEAR messages: brokers send copies side by side, or nearly so. What is not recognised is
 * evaluated: at worst it is in Kafka twice. What could be lost: a message equal to another just before it,
 * when of the one the first copy and of the other all but the first are missing.
 *
 * A filter that is gone (route.h) has others in its place: first those are subscribed, then it is
 * unsubscribed. Beside its copy that of a new filter is expected once one of those has been heard: a broker
 * delivers in order, so what comes for the one that is gone before that was taken for it alone, and what
 * comes after it was taken for both. The first message of them runs twice, and no equal one is ever passed
 * over in the place of a copy that was never made.
 *
 * A copy that is passed over may be acknowledged whenever the first may: it comes later, and nothing is
 * acknowledged before all that was read is safe. Nothing is expected over a new connection. */
#ifndef ENGINE_COPIES_H
#define ENGINE_COPIES_H

#include "message_hash.h"
#include "route.h"

enum {
    COPIES_NEAR = 256, /* messages */
    COPIES_KEPT = 64,  /* messages with copies that are missing */
    COPIES_IDS = 16,   /* subscriptions that take one topic; with more each copy is on its own */
};

struct copies {
    struct message_key key;
    uint64_t seen;               /* messages */
    size_t next;                 /* in `kept`, a ring */
    uint32_t heard[COPIES_KEPT]; /* new filters for which a copy has come; a ring, 0 none */
    size_t next_heard;
    struct kept_copy {
        uint64_t hash, seen;
        uint32_t missing[COPIES_IDS];
        size_t count; /* 0: free */
    } kept[COPIES_KEPT];
};

void copies_init(struct copies *copies);
/* A new connection. */
void copies_forget(struct copies *copies);
/* Filters are subscribed anew: what a copy is certain for has to be heard again. */
void copies_unhear(struct copies *copies);

/* True: pass the message over. Else evaluate it; its identifiers are gone where its topic is to say which
 * rules run. */
bool copies_pass_over(struct copies *copies, const struct route *route, struct message *message);

#endif
