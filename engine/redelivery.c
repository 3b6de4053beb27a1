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
enum { STEPS = 4096, TURN = 65535, COUNTED = 49152, FIRST_IDENTIFIER = 1 };

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
    uint64_t *later; /* bits for identifiers, for one look */
    struct message_key key;
};

enum { IDENTIFIER_WORDS = 65536 / 64 };

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
    redelivery->later = calloc(IDENTIFIER_WORDS, sizeof *redelivery->later);
    if (!redelivery->read.entries || !redelivery->again.entries || !redelivery->flushed.entries ||
        !redelivery->perhaps.entries || !redelivery->later)
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

static void forget_again(struct redelivery *redelivery)
{
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

/* From the first of the flushed ones that comes, all of them come, or none of them was what it looked like.
 */
static bool is_expected(const struct redelivery *redelivery, uint64_t hash, uint16_t mid)
{
    return is(&redelivery->again.entries[redelivery->next], hash, mid) &&
           (redelivery->in_doubt == 0 || redelivery->in_doubt == redelivery->perhaps.count);
}

/* Is it one whose PUBACK may have arrived or not? The first may be anywhere, the others follow it. With 1
 * begins also what a broker sends that numbers it afresh, and then 1 says nothing. */
static bool is_perhaps(struct redelivery *redelivery, uint64_t hash, uint16_t mid)
{
    const struct ring *perhaps = &redelivery->perhaps;
    uint32_t place = redelivery->in_doubt;

    if (redelivery->next > 0 || (redelivery->in_doubt == 0 && mid == FIRST_IDENTIFIER))
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

/* A new one, so the broker has no more of the old; or one of ours out of order, or another in its place. */
static enum redelivery_verdict not_again(struct redelivery *redelivery)
{
    const bool broken = redelivery->in_doubt > 0;

    forget_again(redelivery);
    return broken ? REDELIVERY_BROKEN : REDELIVERY_EVALUATE;
}

/* Where nothing follows what was flushed, and the broker counts: what it sent next has another identifier. */
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
    return not_again(redelivery);
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
    return not_again(redelivery);
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

static bool was_given_later(struct redelivery *redelivery, uint16_t mid)
{
    uint64_t *const word = &redelivery->later[mid / 64];
    const uint64_t bit = UINT64_C(1) << mid % 64;
    const bool was = *word & bit;

    *word |= bit;
    return was;
}

/* An identifier that was used again had been acknowledged, and so had all that came before it. */
static void forget_acknowledged(struct redelivery *redelivery)
{
    struct ring *perhaps = &redelivery->perhaps;
    uint32_t left = perhaps->count;

    memset(redelivery->later, 0, IDENTIFIER_WORDS * sizeof *redelivery->later);
    for (uint32_t i = 0; i < redelivery->again.count; i++)
        (void)was_given_later(redelivery, redelivery->again.entries[i].mid);
    while (left > 0 && !was_given_later(redelivery, ring_at(perhaps, left - 1)->mid))
        left--;
    ring_skip(perhaps, left);
}

/* Is the last one unlike all before it? Where readings repeat, new messages look like old ones, and nothing
 * but their identifiers would tell them apart. */
static bool last_is_unlike(const struct ring *ring)
{
    const uint64_t hash = ring_at(ring, ring->count - 1)->hash;

    for (uint32_t i = 0; i + 1 < ring->count; i++)
        if (ring_at(ring, i)->hash == hash)
            return false;
    return true;
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
    if (how == REDELIVERY_LOST && redelivery->in_doubt > 0 && redelivery->flushed.count == 0 &&
        last_is_unlike(&redelivery->perhaps)) {
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
    forget_acknowledged(redelivery);
    if (how == REDELIVERY_TAKEN) {
        forget_again(redelivery);
        redelivery->numbering = (struct numbering){0};
    }
    if (redelivery->again.count == 0 && redelivery->perhaps.count > 0 && counts(&redelivery->numbering) &&
        last_is_unlike(&redelivery->perhaps)) {
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
