/* kafka/kafka.h - the Apache Kafka action: rendered records -> a Kafka cluster.
 *
 * All there is to see from outside is one row for the table of actions, and what a program must do once
 * before it starts threads. Everything else goes through the contract in actions/action.h. */
#ifndef KAFKA_KAFKA_H
#define KAFKA_KAFKA_H

#include "actions/action.h"
#include "base/err.h"

extern const struct action_type kafka_action_type;

/* Have OpenSSL wipe whatever memory it gives back, for the whole process: copies of private keys and
 * passwords would stay readable in it. Has an effect only before OpenSSL's first use, so call it first of
 * all. */
void kafka_process_wipes(void);

/* Make the process fit for Kerberos clients: point KRB5_CONFIG at a file in memory that the clients fill with
 * their realms (a file that KRB5_CONFIG named before is still read, after ours). Changes the environment, so
 * call it first in main, before any thread. Calling it again does nothing. Returns 0 or -1 with `err`; a
 * program that never calls it can do everything but GSSAPI. */
int kafka_process_init(struct err *err);

#endif
