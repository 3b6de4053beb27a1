/* renewal.h - secrets while the daemon runs: what changes reaches the lane. On the engine's thread. */
#ifndef ENGINE_RENEWAL_H
#define ENGINE_RENEWAL_H

#include "plan.h"

struct renewal {
    struct secrets *secrets;   /* NULL: none configured */
    struct plan *plan;         /* and with it rules; NULL before renewal_begin */
    struct lane *_Atomic lane; /* the same; other threads look whether it is there */
    bool missing;              /* one that a statement or template asks for */
    atomic_bool changed;
    int64_t retry_ms, doubt_ms;
};

/* Secrets are kept fresh from here on. `secrets` may be NULL. 0, or -1 with `err`. */
int renewal_start(struct renewal *renewal, struct secrets *secrets, struct err *err);
/* There is a lane that is not running yet: give it what its rules ask for. May block. Borrows both. */
void renewal_begin(struct renewal *renewal, struct plan *plan, struct lane *lane);
/* Several times a second: give the lane what has changed, and try again for what is missing. May block. */
void renewal_turn(struct renewal *renewal, int64_t now_ms);
/* Before plan and lane go. All zero is a no-op. */
void renewal_end(struct renewal *renewal);

#endif
