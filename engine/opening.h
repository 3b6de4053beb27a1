/* opening.h - the start waits for a store that cannot be opened yet.
 *
 * A disk that answers nothing but errors, or is not mounted yet, may hold rows that were acknowledged long
 * ago. Whatever is delivered before they are read overtakes them. So nothing is taken from the MQTT broker
 * until the store is open: what is published waits there, where our session keeps it in its order.
 *
 * A store that can be read and not written is no reason to wait: store_open succeeds, and messages are held
 * as when a disk fills up later. */
#ifndef ENGINE_OPENING_H
#define ENGINE_OPENING_H

#include "store.h"

struct opening {
    struct store_options options;
    char problem[400]; /* why the store is not open, a sentence; "": it is, or is not wanted */
};

/* Try once. 0: `*store` is open, or only time can help, and `problem` says with what; it is in the log each
 * time it is another. -1 with `err`: no time heals this.
 *
 * Saving what can be read of a large database takes minutes, and a disk may hang: so this is done beside the
 * caller, who is called back now and then. When `go_on` says no, this returns 0 at once without a store; what
 * was begun ends with the process, or by itself. */
int opening_try(struct opening *opening, bool (*go_on)(void *context), void *context, struct store **store,
                struct err *err);

#endif
