#include "redelivery.h"

#include "message_hash.h"

#include "base/auto.h"

#include <stdlib.h>

enum { PLACE_NONE = UINT32_MAX };

struct entry {
    uint64_t hash;
    uint16_t mid;
    bool given_up;
};

/* Messages in the order in which they were read. */
struct list {
    struct entry *entries; /* REDELIVERY_MOST */
    uint32_t count;
};

struct redelivery {
    struct list read;  /* on this connection, since the last flush */
    struct list again; /* on the last one: expected from `next` on */
    uint32_t next;
    uint32_t epoch;    /* of `again` */
    size_t broker;     /* that sent `read`, and that must send `again` */
    bool resumed;      /* this connection: `again` may be believed */
    uint64_t *present; /* bits: the identifiers in `again` */
    struct message_key key;
};

enum { PRESENT_WORDS = 65536 / 64 };

DEFINE_DROP(redelivery, struct redelivery *, redelivery_free)

struct redelivery *redelivery_new(void)
{
    AUTO(redelivery_drop) struct redelivery *redelivery = calloc(1, sizeof *redelivery);

    if (!redelivery)
        return NULL;
    redelivery->read.entries = calloc(REDELIVERY_MOST, sizeof(struct entry));
    redelivery->again.entries = calloc(REDELIVERY_MOST, sizeof(struct entry));
    redelivery->present = calloc(PRESENT_WORDS, sizeof *redelivery->present);
    if (!redelivery->read.entries || !redelivery->again.entries || !redelivery->present)
        return NULL;
    message_key_init(&redelivery->key);
    return TAKE(redelivery);
}

void redelivery_free(struct redelivery *redelivery)
{
    if (!redelivery)
        return;
    free(redelivery->read.entries);
    free(redelivery->again.entries);
    free(redelivery->present);
    free(redelivery);
}

/* ---- what comes again ---- */

static bool is_present(const struct redelivery *redelivery, uint16_t mid)
{
    return redelivery->present[mid / 64] >> mid % 64 & 1;
}

static void set_present(struct redelivery *redelivery, bool on)
{
    const struct list *again = &redelivery->again;

    for (uint32_t i = 0; i < again->count; i++) {
        const uint16_t mid = again->entries[i].mid;
        const uint64_t bit = UINT64_C(1) << mid % 64;

        redelivery->present[mid / 64] =
            on ? redelivery->present[mid / 64] | bit : redelivery->present[mid / 64] & ~bit;
    }
}

static void forget_again(struct redelivery *redelivery)
{
    set_present(redelivery, false);
    redelivery->again.count = redelivery->next = 0;
}

bool redelivery_expects(const struct redelivery *redelivery)
{
    return redelivery->resumed && redelivery->next < redelivery->again.count;
}

/* Is it the one that is next, and safe? */
static bool is_safe(struct redelivery *redelivery, uint64_t hash, uint16_t mid, bool dup)
{
    const struct entry *expected = &redelivery->again.entries[redelivery->next];

    if (!redelivery_expects(redelivery))
        return false;
    if (dup && mid == expected->mid && hash == expected->hash) {
        redelivery->next++;
        return !expected->given_up;
    }
    /* A new one: the broker has no more of the old. Or one of ours out of order, or another in its place. */
    if (!dup || is_present(redelivery, mid))
        forget_again(redelivery);
    return false;
}

bool redelivery_read(struct redelivery *redelivery, const struct message *message, uint16_t mid, bool dup,
                     uint32_t *place)
{
    const uint64_t hash = message_hash(&redelivery->key, message, true);
    const bool safe = is_safe(redelivery, hash, mid, dup);
    struct list *read = &redelivery->read;

    *place = PLACE_NONE;
    if (read->count < REDELIVERY_MOST) {
        *place = read->count++;
        read->entries[*place] = (struct entry){.hash = hash, .mid = mid};
    }
    return safe;
}

/* ---- connections ---- */

void redelivery_flushing(struct redelivery *redelivery)
{
    redelivery->read.count = 0;
}

void redelivery_given_up(struct redelivery *redelivery, uint32_t epoch, uint32_t place)
{
    if (epoch == redelivery->epoch && place < redelivery->again.count)
        redelivery->again.entries[place].given_up = true;
}

void redelivery_lost(struct redelivery *redelivery, enum redelivery_end how, uint32_t epoch)
{
    const struct list read = redelivery->read;

    redelivery->resumed = false;
    if (how == REDELIVERY_UNASKED)
        return;
    forget_again(redelivery);
    redelivery->read = redelivery->again;
    redelivery->again = read;
    redelivery->epoch = epoch;
    set_present(redelivery, true);
    if (how == REDELIVERY_TAKEN)
        forget_again(redelivery);
}

void redelivery_connected(struct redelivery *redelivery, bool resumed, size_t broker)
{
    if (!resumed || broker != redelivery->broker)
        forget_again(redelivery);
    redelivery->broker = broker;
    redelivery->resumed = resumed;
}
