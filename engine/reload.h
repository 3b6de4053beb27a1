/* reload.h - configuration and rules are read anew, and take the place of those that run.
 *
 * All or nothing: as long as anything is wrong with the new ones, the former run on. What they are is
 * checked, their secrets are fetched and their connections made before the lane in use is asked to part
 * (lane.h, lane_part); then messages wait in the socket for the moment of the change, as in any hold. What
 * waits in the store goes to the rule of its name, so a corrected rule corrects what waits. */
#ifndef ENGINE_RELOAD_H
#define ENGINE_RELOAD_H

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;

struct reload {
    int wake_fd;            /* of engine_run's thread; borrowed */
    _Atomic uint64_t asked; /* how often */
    pthread_mutex_t lock;   /* around the rest, which engine_run's thread writes */
    uint64_t done;          /* of those asked */
    bool refused;           /* the last one */
    struct buf said;        /* about it: a line for each finding, the outcome last */
};

void reload_init(struct reload *reload, int wake_fd);
void reload_done(struct reload *reload);
/* Read them anew soon. Which request it is. Async-signal-safe; any thread. */
uint64_t reload_ask(struct reload *reload);
/* JSON: how many were asked for and done, and what came of the last. Any thread. */
void reload_json(struct reload *reload, struct buf *out);

/* Do it if it was asked for. On the thread of engine_run; keeps systemd's watchdog fed. */
void reload_turn(struct engine *engine);

#endif
