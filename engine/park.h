/* park.h - messages that wait for a secret whose id they compute.
 *
 * One waits, and the lane reads no further; what the library had read already stands behind it. Nothing of
 * such a message was counted as evaluated, sent or settled: it is evaluated from the start when the secret is
 * here, or at its deadline, when the secret is an SQL error. Until then it is unsettled. */
#ifndef ENGINE_PARK_H
#define ENGINE_PARK_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

struct lane;
struct parked;

/* All zero: empty. */
struct park {
    struct parked *first, **end;
    bool
        offline; /* the connection is gone: messages of QoS 1 may come again, so they wait for the next one */
};

/* Put a copy of it behind the others. */
void park_add(struct lane *lane, const struct message *message);
/* Evaluate what need not wait any longer. Returns when to come again at the latest. */
int64_t park_work(struct lane *lane);
bool park_is_empty(const struct lane *lane);
/* Something waits that may go on without the broker. */
bool park_is_moving(const struct lane *lane);

void park_lost(struct lane *lane);
/* After lane->resent_before is set: forget those that the broker sends again. */
void park_connected(struct lane *lane);
/* All of it goes to the lane that takes over, which has none: as long as the connection is gone, nothing else
 * says that these are not safe. */
void park_move(struct lane *lane, struct lane *former);
void park_done(struct lane *lane);

#endif
