#include "redelivery.h"

#include "base/auto.h"

#include <stdlib.h>
#include <sys/random.h>

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
    uint64_t key[2];
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
    /* Without randomness the key is the place in memory: a device then needs to know that, too. */
    if (getrandom(redelivery->key, sizeof redelivery->key, GRND_NONBLOCK) != sizeof redelivery->key) {
        redelivery->key[0] = (uint64_t)(uintptr_t)redelivery;
        redelivery->key[1] = (uint64_t)(uintptr_t)redelivery->present;
    }
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

/* ---- the hash ---- */

/* A polynomial over the prime 2^61 - 1 at a secret point: two different texts of n words meet with a chance
 * of n / 2^61, whoever chose them, because the point is known to nobody. Lengths go in first, so that texts
 * that differ in their parts alone are different. */
#define PRIME ((UINT64_C(1) << 61) - 1)

static uint64_t step(uint64_t hash, uint64_t point, uint64_t word)
{
    const unsigned __int128 product = (unsigned __int128)hash * point + word;
    const uint64_t folded = (uint64_t)(product & PRIME) + (uint64_t)(product >> 61);

    return folded >= PRIME ? folded - PRIME : folded;
}

/* 7 bytes a word, so that a word is below the prime. */
static uint64_t add_span(uint64_t hash, uint64_t point, struct span text)
{
    const char *at = text.data;
    size_t left = text.size;
    uint64_t word;

    hash = step(hash, point, text.size);
    for (; left >= 8; at += 7, left -= 7) {
        memcpy(&word, at, 8); /* one load; the eighth byte comes again */
        hash = step(hash, point, word & UINT64_C(0xffffffffffffff));
    }
    while (left > 0) {
        const size_t size = left < 7 ? left : 7;

        word = 0;
        memcpy(&word, at, size);
        hash = step(hash, point, word);
        at += size;
        left -= size;
    }
    return hash;
}

/* What decides what rules make of it, and what does not change on the way: a message's expiry does, and is
 * left out. */
static uint64_t hash_message(const struct redelivery *redelivery, const struct message *message)
{
    const struct sql_message *sql = &message->sql;
    const uint64_t point = redelivery->key[0] % PRIME;
    uint64_t hash = redelivery->key[1] % PRIME;

    hash = add_span(hash, point, sql->topic);
    hash = add_span(hash, point, sql->payload);
    hash = add_span(hash, point, sql->content_type);
    hash = add_span(hash, point, sql->response_topic);
    hash = add_span(hash, point, sql->correlation_data);
    hash = step(hash, point, (uint64_t)sql->payload_format + 1);
    hash = step(hash, point, message->retained);
    for (size_t i = 0; i < message->id_count; i++)
        hash = step(hash, point, message->ids[i]);
    for (size_t i = 0; i < sql->user_property_count; i++) {
        hash = add_span(hash, point, sql->user_properties[i].key);
        hash = add_span(hash, point, sql->user_properties[i].value);
    }
    return hash;
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
    const uint64_t hash = hash_message(redelivery, message);
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
