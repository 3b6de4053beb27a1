/* hold.h - what stands between the messages that were read and their acknowledgement.
 *
 * The one rule of this room: bytes may leave for the broker only while `unsettled` is 0, because libmosquitto
 * has queued a PUBACK for every message it read, and whatever is written sends all that was queued before it.
 */
#ifndef ENGINE_HOLD_H
#define ENGINE_HOLD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct hold {
    uint32_t epoch;   /* the connection, counted */
    size_t unsettled; /* what still waits of the messages with QoS > 0 read from this connection */
    size_t orphans;   /* the same of earlier connections, whose PUBACKs are gone */
};

/* Something must be safe before the messages read so far may be acknowledged. Returns the epoch, to be given
 * back. */
static inline uint32_t hold_take(struct hold *hold)
{
    hold->unsettled++;
    return hold->epoch;
}

static inline void hold_release(struct hold *hold, uint32_t epoch)
{
    size_t *waiting = epoch == hold->epoch ? &hold->unsettled : &hold->orphans;

    assert(*waiting > 0);
    (*waiting)--;
}

/* The connection is gone, and with it the PUBACKs that were queued for it. */
static inline void hold_drop(struct hold *hold)
{
    hold->orphans += hold->unsettled;
    hold->unsettled = 0;
    hold->epoch++;
}

#endif
