/* redelivery.h - which messages does the broker send again that are safe already?
 *
 * A connection that is lost takes the PUBACKs with it that were queued and never written. A broker that
 * resumes our session then sends those messages again, and by then most of them are safe: confirmed, stored,
 * or failed for good. Such a message is passed over, and only acknowledged.
 *
 * What must never happen is that a new message is passed over because it looks like an old one: the same
 * packet identifier, topic and reading. So all of this must hold:
 *
 *   - We read the message on the connection just before this one, with this identifier, and began no flush
 *     since: no byte of its PUBACK can have left. A broker may not use an identifier again before it has the
 *     PUBACK (MQTT 5.0, 2.2.1), so on that connection it named this one message.
 *   - It is safe, and none of its records was given up (see settle_abandoned).
 *   - The broker says that it has resumed our session, and it is the same one of the list.
 *   - This PUBLISH is marked DUP. The first sending of a message never is (3.3.1.1), so a broker that dropped
 *     the old message (expired, moved to another member of a share, restored from an older state) and gives
 *     its identifier to a new one is seen.
 *   - It is next in order. Messages come again in the order in which they were sent (4.6), so what we read
 *     comes first and without a gap; one that is left out was dropped, or acknowledged by somebody else with
 *     our client id, and one that we do not know should not be there. From such a one on nothing more is
 *     believed.
 *   - Topic, payload and what else rules look at have the hash that they had.
 *
 * Why only the connection just before: an identifier that became free on it, with a broker that drops
 * messages, may have been given to a new message that we did not read there, and that message comes marked
 * DUP now. So what was not met again on the next connection is forgotten with it, even if that connection
 * died before the broker let us in; only one on which no CONNECT has left does not count. What was met again
 * is entered again as it is, because its PUBACK is queued again.
 *
 * What was flushed. Any PUBACK of a flush may have arrived, and its identifier may be a new message's. But
 * brokers read slowly what they are sent fast: tens of thousands of PUBACKs may be lost with a connection. So
 * those messages are remembered apart. Order tells: what came after the flush has its PUBACK still here and
 * so comes again for certain, and what comes before it was sent before it, hence read by us, flushed, and
 * safe. So if the messages that come again begin with one of the flushed ones, and go on with all those that
 * followed it, one by one, they are passed over *in doubt*: nothing is acknowledged until the first message
 * of after the flush proves them. If anything else comes, the connection is dropped, and on the next one all
 * is evaluated. A flushed message whose identifier came once more on that connection had been acknowledged,
 * and so had those before it.
 *
 * A connection that is lost in doubt had nothing acknowledged on it, so the next one begins with the same
 * messages, and all is believed as it was before; if readings do not repeat (see below), because a broker
 * that drops messages may have sent new ones there.
 *
 * Not every broker does as MQTT says. Where all readings are the same, a heartbeat, only identifiers and
 * order are left to tell a new message, so these count:
 *
 *   - RabbitMQ 3.12 numbers afresh: the first message of each connection has identifier 1, and DUP is set if
 *     the message was sent before under whatever identifier (rabbit_mqtt_processor, msg_id_to_packet_id). So
 *     the flushed ones are not believed from 1 on. Then 1 is a stranger, and nothing more is believed; or it
 *     is the first that was read, with no flush since, and then it is what it looks like.
 *   - EMQX 4 and VerneMQ send again in the order of identifiers, which is another one where they have just
 *     gone from 65535 to 1. What is new comes before what is older then, and breaks the order.
 *
 * Three kinds of messages came after a flush: those that we read; those that were left in the socket when the
 * broker closed the connection (redelivery_left); and the one that was next in the socket when the flush
 * began, whose identifier is all that we know, as writing into a connection that is gone takes the rest with
 * it. That one is believed when all that was flushed has come before it, or nothing of it.
 *
 * Where nothing came after a flush, as at the end of a backlog, order alone proves nothing: the first that
 * comes again may be one of the flushed, or the first that the broker sent after them and that we never saw.
 * If that one can only have another identifier, they can be told apart. It has another with a broker that
 * counts: from 1 to 65535 and on from 1, whatever is free. mosquitto does (read in 2.0.11, and in parts of
 * newer ones: mosquitto__mid_generate, last_mid plus one for each message at the time when it is queued,
 * saved with the session). We take a broker for one when in thousands of messages, over all connections of a
 * session that it resumed, each identifier was one more than the one before without any exception, and 65535
 * was among them. One that gives the lowest free identifier never comes so far, because it may not send more
 * than our receive maximum unacknowledged (MQTT 5.0, 3.3.4), which is 65534 for this reason. One that drops
 * messages for want of room leaves gaps, and is not believed for a while. Then: if the very first message on
 * the next connection is one of the last 49,152 that were flushed, and those that followed it come one by
 * one, up to the last, they are passed over, in doubt until then. If anything else comes, as above. And the
 * last one must be unlike all others of them: where readings repeat, a new one looks like an old one, and
 * only its identifier would be left to tell it. What is left here: a broker that has counted so far, drops
 * 16,383 or more messages without a break, which happen to be as many as bring it round to the identifiers of
 * the flushed ones, is gone before we have read what it sent then, and this is what it had sent before,
 * reading by reading, to the end. Or one that counts only while there is something to send, or sends more
 * than it may. Otherwise, and under MQTT 3.1.1, the flushed ones are forgotten.
 *
 * - Session not resumed, another broker of the list, another client has taken our id: all is forgotten.
 * - MQTT 3.1.1: the same; identifiers, DUP and order are as old as that.
 *
 * In every doubt a message is evaluated: at worst it is in Kafka twice. What is left: two clients with one
 * client id, a broker that says nothing when one of them takes over, that gives free identifiers again at
 * once, and the same readings in the same order.
 *
 * All memory is taken at the start, and touched as far as it is used. One thread. */
#ifndef ENGINE_REDELIVERY_H
#define ENGINE_REDELIVERY_H

#include "message.h"

enum {
    REDELIVERY_MOST = 65535,            /* remembered: as many as there are identifiers */
    REDELIVERY_RECEIVE_MAXIMUM = 65534, /* to be said in CONNECT: one less, see above */
};

struct redelivery;

struct redelivery *redelivery_new(void); /* NULL: no memory */
void redelivery_free(struct redelivery *redelivery);

enum redelivery_verdict {
    REDELIVERY_EVALUATE,
    REDELIVERY_PASS_OVER, /* it is safe; while redelivery_in_doubt perhaps: nothing may be acknowledged */
    REDELIVERY_BROKEN, /* what was in doubt is not what we took it for: drop the connection, unacknowledged */
};

/* A message with QoS 1 was read: `mid` is its packet identifier, `dup` its flag. `*place` is for
 * redelivery_given_up. Only while nothing of earlier connections is open: what they read is decided. */
enum redelivery_verdict redelivery_read(struct redelivery *redelivery, const struct message *message,
                                        uint16_t mid, bool dup, uint32_t *place);

/* The same, of a message that is not going to be evaluated, because it was left in the socket when the broker
 * closed the connection. No PUBACK leaves any more, so it comes again for certain and proves what came before
 * it. One that was expected and is safe stays so. */
void redelivery_left(struct redelivery *redelivery, const struct message *message, uint16_t mid, bool dup);

bool redelivery_in_doubt(const struct redelivery *redelivery);

/* What is in doubt has been so for too long: on the next connection all is evaluated. */
void redelivery_forget_doubt(struct redelivery *redelivery);

/* The first byte of queued PUBACKs may leave from now on. Never in doubt. `unread`: the identifier of the
 * message that waits in the socket and is next to be read, 0 if none is known. Should it not be read after
 * all, it comes again for certain. */
void redelivery_flushing(struct redelivery *redelivery, uint16_t unread);

/* A record of the message read on connection `epoch` (hold.h) at that place was given up, because the
 * message comes again. */
void redelivery_given_up(struct redelivery *redelivery, uint32_t epoch, uint32_t place);

enum redelivery_end {
    REDELIVERY_UNASKED, /* nothing was said on this connection, or the broker did not let us in */
    REDELIVERY_LOST,
    REDELIVERY_TAKEN, /* another client has our session */
};

/* The connection is over. `epoch`: its number. */
void redelivery_lost(struct redelivery *redelivery, enum redelivery_end how, uint32_t epoch);

/* The broker, known by a number, has let us in. `v5`: with MQTT 5, so that it knows
 * REDELIVERY_RECEIVE_MAXIMUM. */
void redelivery_connected(struct redelivery *redelivery, bool resumed, size_t broker, bool v5);

/* May messages come that are passed over? Until then nobody needs to know the DUP flag. */
bool redelivery_expects(const struct redelivery *redelivery);

#endif
