/* generation.h - what a reload replaces as a whole: configuration, rules, and the lane that is made from
 * them.
 *
 * Its address never changes: secrets, admin and lane keep pointers into it. On the thread of engine_run
 * alone. */
#ifndef ENGINE_GENERATION_H
#define ENGINE_GENERATION_H

#include "plan.h"

#include <pthread.h>

struct generation {
    const struct config *config;
    struct config *own_config; /* the same, if it goes with the generation; else NULL */
    struct rule_set *rules;    /* a reference */
    struct plan plan;
    struct lane *lane; /* NULL: not made yet */
    pthread_t thread;
    bool running; /* the thread of the lane */
};

/* What all generations share, borrowed. */
struct generation_frame {
    struct secrets *secrets;         /* NULL: none configured */
    struct store *store;             /* NULL: none */
    const struct generation *former; /* that it takes over from; NULL: none */
};

/* A reference of the rules and, with `own_config`, the configuration are taken over, also on failure. NULL
 * with `err`: no memory. */
struct generation *generation_new(const struct config *config, struct config *own_config,
                                  struct rule_set *rules, struct err *err);
/* Its thread must have ended. NULL is a no-op. */
void generation_free(struct generation *generation);

/* Plan and lane. Blocks on secrets and store. 0, or -1 with `err`. */
int generation_make(struct generation *generation, const struct generation_frame *frame, struct err *err);
/* The lane's thread. 0, or -1 with `err`. */
int generation_start(struct generation *generation, struct err *err);
/* Wait for the thread's end; a lane that is told to stop or to part says when it is `over`. */
void generation_join(struct generation *generation);

#endif
