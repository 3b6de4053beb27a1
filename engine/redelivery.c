#include "redelivery.h"

#include "message_hash.h"

#include "base/auto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_NONE = UINT32_MAX };

struct entry {
    uint64_t hash;
    uint16_t mid;
    bool given_up;
    bool unread; /* only its identifier is known */
};

/* Messages in the order in which they were read. */
struct list {
    struct entry *entries; /* REDELIVERY_MOST */
    uint32_t count;
};

/* The same, and the newest push out the oldest. */
enum { RING = 65536 };
struct ring {
    struct entry *entries; /* RING */
    uint32_t first, count;
};

/* How the broker has numbered its messages, over all connections of this session. */
struct numbering {
    uint16_t last;  /* 0: none on this connection yet */
    uint32_t steps; /* identifiers that were one more than the one before, since one that was not */
    bool turned;    /* and the highest was among them */
};

/* So many steps, to take a broker for one that counts; and of what it gave last, so much is told apart. */
enum { STEPS = 4096, TURN = 65535, COUNTED = 49152 };

struct redelivery {
    struct list read;    /* on this connection, since the last flush */
    struct ring flushed; /* on this connection, before */
    uint16_t unread;     /* identifier of what follows these and may not have been read; 0: not known */
    struct list again;   /* `read` of the last one: expected from `next` on */
    uint32_t next;
    struct ring perhaps;   /* `flushed` of the last one: may come before `again` */
    uint32_t in_doubt;     /* how far it has come there; 0: nothing is in doubt */
    uint32_t doubt_begins; /* in `read` */
    uint32_t epoch;        /* of `again` */
    size_t broker;         /* that sent `read`, and that must send `again` */
    bool resumed;          /* this connection: `again` may be believed */
    bool counted;          /* `perhaps` may be believed though `again` is empty; until something else came */
    bool v5;               /* it was told how much may be unacknowledged */
    struct numbering numbering;
    uint64_t *present; /* bits: the identifiers in `again` */
    uint64_t *later;   /* bits, for one look */
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
    redelivery->flushed.entries = calloc(RING, sizeof(struct entry));
    redelivery->perhaps.entries = calloc(RING, sizeof(struct entry));
    redelivery->present = calloc(PRESENT_WORDS, sizeof *redelivery->present);
    redelivery->later = calloc(PRESENT_WORDS, sizeof *redelivery->later);
    if (!redelivery->read.entries || !redelivery->again.entries || !redelivery->flushed.entries ||
        !redelivery->perhaps.entries || !redelivery->present || !redelivery->later)
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
    free(redelivery->flushed.entries);
    free(redelivery->perhaps.entries);
    free(redelivery->present);
    free(redelivery->later);
    free(redelivery);
}

static struct entry *ring_at(const struct ring *ring, uint32_t place)
{
    return &ring->entries[(ring->first + place) % RING];
}

static void ring_add(struct ring *ring, const struct entry *entry)
{
    if (ring->count == RING) {
        ring->first = (ring->first + 1) % RING;
        ring->count--;
    }
    *ring_at(ring, ring->count++) = *entry;
}

static void ring_skip(struct ring *ring, uint32_t count)
{
    ring->first = (ring->first + count) % RING;
    ring->count -= count;
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
    redelivery->perhaps.count = 0;
    redelivery->in_doubt = 0;
    redelivery->counted = false;
}

bool redelivery_expects(const struct redelivery *redelivery)
{
    return redelivery->resumed && (redelivery->next < redelivery->again.count || redelivery->counted);
}

bool redelivery_in_doubt(const struct redelivery *redelivery)
{
    return redelivery->in_doubt > 0;
}

/* The first of `again` has come, so what came before it is older, and was safe when it was flushed. */
static void prove(struct redelivery *redelivery)
{
    for (uint32_t i = redelivery->doubt_begins; redelivery->in_doubt > 0 && i < redelivery->read.count; i++)
        redelivery->read.entries[i].given_up = false;
    redelivery->in_doubt = 0;
    redelivery->perhaps.count = 0; /* none of them comes any more */
}

void redelivery_forget_doubt(struct redelivery *redelivery)
{
    forget_again(redelivery);
}

static bool is(const struct entry *entry, uint64_t hash, uint16_t mid)
{
    return entry->mid == mid && (entry->unread || entry->hash == hash);
}

/* What is known by its identifier alone is believed less: all that was flushed has come before it, or none.
 */
static bool is_expected(const struct redelivery *redelivery, uint64_t hash, uint16_t mid)
{
    const struct entry *expected = &redelivery->again.entries[redelivery->next];

    return is(expected, hash, mid) && (!expected->unread || redelivery->in_doubt == 0 ||
                                       redelivery->in_doubt == redelivery->perhaps.count);
}

/* Is it one whose PUBACK may have arrived or not? The first may be anywhere, the others follow it. */
static bool is_perhaps(struct redelivery *redelivery, uint64_t hash, uint16_t mid)
{
    const struct ring *perhaps = &redelivery->perhaps;
    uint32_t place = redelivery->in_doubt;

    if (redelivery->next > 0)
        return false;
    while (redelivery->in_doubt == 0 && place < perhaps->count && !is(ring_at(perhaps, place), hash, mid))
        place++;
    if (place >= perhaps->count || !is(ring_at(perhaps, place), hash, mid))
        return false;
    if (redelivery->in_doubt == 0)
        redelivery->doubt_begins = redelivery->read.count;
    redelivery->in_doubt = place + 1;
    return true;
}

/* The same where nothing follows, and the broker counts: what it sent next has another identifier. */
static enum redelivery_verdict judge_counted(struct redelivery *redelivery, uint64_t hash, uint16_t mid,
                                             bool dup)
{
    if (dup && is_perhaps(redelivery, hash, mid)) {
        if (redelivery->in_doubt == redelivery->perhaps.count) {
            prove(redelivery);
            redelivery->counted = false;
        }
        return REDELIVERY_PASS_OVER;
    }
    const bool broken = redelivery->in_doubt > 0;

    forget_again(redelivery);
    return broken ? REDELIVERY_BROKEN : REDELIVERY_EVALUATE;
}

static enum redelivery_verdict judge(struct redelivery *redelivery, uint64_t hash, uint16_t mid, bool dup)
{
    const struct entry *expected = &redelivery->again.entries[redelivery->next];

    if (!redelivery_expects(redelivery))
        return REDELIVERY_EVALUATE;
    if (redelivery->counted)
        return judge_counted(redelivery, hash, mid, dup);
    if (dup && is_expected(redelivery, hash, mid)) {
        redelivery->next++;
        prove(redelivery);
        return expected->given_up ? REDELIVERY_EVALUATE : REDELIVERY_PASS_OVER;
    }
    if (dup && is_perhaps(redelivery, hash, mid))
        return REDELIVERY_PASS_OVER;
    if (redelivery->in_doubt > 0) {
        forget_again(redelivery);
        return REDELIVERY_BROKEN;
    }
    /* A new one: the broker has no more of the old. Or one of ours out of order, or another in its place. */
    if (!dup || is_present(redelivery, mid))
        forget_again(redelivery);
    return REDELIVERY_EVALUATE;
}

/* ---- does it count? ---- */

static void look_at_number(struct numbering *numbering, uint16_t mid)
{
    if (numbering->last != 0 && mid == numbering->last % TURN + 1) {
        numbering->steps += numbering->steps < STEPS;
        numbering->turned |= mid == TURN;
    } else if (numbering->last != 0) {
        *numbering = (struct numbering){0};
    }
    numbering->last = mid;
}

static bool counts(const struct numbering *numbering)
{
    return numbering->turned && numbering->steps == STEPS;
}

enum redelivery_verdict redelivery_read(struct redelivery *redelivery, const struct message *message,
                                        uint16_t mid, bool dup, uint32_t *place)
{
    const uint64_t hash = message_hash(&redelivery->key, message, true);
    const enum redelivery_verdict verdict = judge(redelivery, hash, mid, dup);
    struct list *read = &redelivery->read;

    look_at_number(&redelivery->numbering, mid);
    *place = PLACE_NONE;
    if (read->count < REDELIVERY_MOST) {
        *place = read->count++;
        /* What is in doubt was not evaluated: if the connection goes now, it must be. */
        read->entries[*place] = (struct entry){
            .hash = hash, .mid = mid, .given_up = verdict == REDELIVERY_BROKEN || redelivery->in_doubt > 0};
    }
    return verdict;
}

void redelivery_left(struct redelivery *redelivery, const struct message *message, uint16_t mid, bool dup)
{
    uint32_t place;

    if (redelivery_read(redelivery, message, mid, dup, &place) != REDELIVERY_PASS_OVER && place != PLACE_NONE)
        redelivery->read.entries[place].given_up = true;
}

/* ---- connections ---- */

void redelivery_flushing(struct redelivery *redelivery, uint16_t unread)
{
    assert(redelivery->in_doubt == 0);
    for (uint32_t i = 0; i < redelivery->read.count; i++)
        ring_add(&redelivery->flushed, &redelivery->read.entries[i]);
    redelivery->read.count = 0;
    redelivery->unread = unread;
}

/* An identifier that was used again had been acknowledged, and so had all that came before it. */
static void forget_acknowledged(struct redelivery *redelivery)
{
    struct ring *perhaps = &redelivery->perhaps;
    uint32_t left = perhaps->count;

    memcpy(redelivery->later, redelivery->present, PRESENT_WORDS * sizeof *redelivery->later);
    for (; left > 0; left--) {
        const uint16_t mid = ring_at(perhaps, left - 1)->mid;
        const uint64_t bit = UINT64_C(1) << mid % 64;

        if (redelivery->later[mid / 64] & bit)
            break;
        redelivery->later[mid / 64] |= bit;
    }
    ring_skip(perhaps, left);
}

void redelivery_given_up(struct redelivery *redelivery, uint32_t epoch, uint32_t place)
{
    if (epoch == redelivery->epoch && place < redelivery->again.count)
        redelivery->again.entries[place].given_up = true;
}

void redelivery_lost(struct redelivery *redelivery, enum redelivery_end how, uint32_t epoch)
{
    redelivery->resumed = false;
    if (how == REDELIVERY_UNASKED)
        return;
    redelivery->numbering.last = 0; /* what comes again is numbered as it was */
    /* No PUBACK has left on this one, so the next begins as it did. */
    if (how == REDELIVERY_LOST && redelivery->in_doubt > 0 && redelivery->flushed.count == 0) {
        redelivery->in_doubt = redelivery->read.count = 0;
        redelivery->unread = 0;
        return;
    }
    if (redelivery->unread && redelivery->read.count == 0)
        redelivery->read.entries[redelivery->read.count++] =
            (struct entry){.mid = redelivery->unread, .given_up = true, .unread = true};
    redelivery->unread = 0;

    const struct list read = redelivery->read;
    const struct ring flushed = redelivery->flushed;
    forget_again(redelivery);
    redelivery->read = redelivery->again;
    redelivery->again = read;
    redelivery->flushed = redelivery->perhaps;
    redelivery->perhaps = flushed;
    redelivery->epoch = epoch;
    set_present(redelivery, true);
    forget_acknowledged(redelivery);
    if (how == REDELIVERY_TAKEN) {
        forget_again(redelivery);
        redelivery->numbering = (struct numbering){0};
    }
    if (redelivery->again.count == 0 && redelivery->perhaps.count > 0 && counts(&redelivery->numbering)) {
        redelivery->counted = true;
        if (redelivery->perhaps.count > COUNTED)
            ring_skip(&redelivery->perhaps, redelivery->perhaps.count - COUNTED);
    }
}

void redelivery_connected(struct redelivery *redelivery, bool resumed, size_t broker, bool v5)
{
    if (!resumed || broker != redelivery->broker) {
        forget_again(redelivery);
        redelivery->numbering = (struct numbering){0};
    }
    if (!v5 && redelivery->counted)
        forget_again(redelivery);
    if (!v5 || !redelivery->v5)
        redelivery->numbering = (struct numbering){0};
    redelivery->v5 = v5;
    redelivery->broker = broker;
    redelivery->resumed = resumed;
}
