/* dropped.h - how many messages has the broker dropped? mosquitto says so under $SYS.
 *
 * The daemon asks now and then by a connection of its own, with a client id that is nobody else's and a
 * session that ends with it: a subscription of our own session would have the broker queue its figures for us
 * while we are away, in the place of messages. */
#ifndef ENGINE_DROPPED_H
#define ENGINE_DROPPED_H

#include "login.h"

enum dropped {
    DROPPED_TOLD,
    DROPPED_SECRET, /* this broker tells no such figure, or does not tell us */
    DROPPED_AWAY,   /* no broker of the list answers */
};

/* Ask the first broker of the list that answers; `count` is since its start. Blocks, `wait_ms` for each
 * broker and a name look-up at most. Any thread. */
enum dropped dropped_ask(const struct config *config, const struct session_login *login, int wait_ms,
                         uint64_t *count);

/* Asking from time to time, and a line in the log when there is reason. Belongs to one thread, which it never
 * blocks but in watch_free. */
struct watch;

struct watch *watch_new(const struct config *config); /* NULL: no memory; fine for the others */
/* What is due at that time. The login is borrowed for the call. */
void watch_turn(struct watch *watch, struct session_login *login, int64_t now_ms);
void watch_free(struct watch *watch); /* waits for an answer that is on its way */

#endif
