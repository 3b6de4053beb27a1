#include "message_hash.h"

#include <string.h>
#include <sys/random.h>

void message_key_init(struct message_key *key)
{
    /* Without randomness the key is the place in memory: a device then needs to know that, too. */
    if (getrandom(key->words, sizeof key->words, GRND_NONBLOCK) != sizeof key->words)
        *key = (struct message_key){{(uint64_t)(uintptr_t)key, (uint64_t)(uintptr_t)&key->words[1] * 3}};
}

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

uint64_t message_hash(const struct message_key *key, const struct message *message, bool with_ids)
{
    const struct sql_message *sql = &message->sql;
    const uint64_t point = key->words[0] % PRIME;
    uint64_t hash = key->words[1] % PRIME;

    hash = add_span(hash, point, sql->topic);
    hash = add_span(hash, point, sql->payload);
    hash = add_span(hash, point, sql->content_type);
    hash = add_span(hash, point, sql->response_topic);
    hash = add_span(hash, point, sql->correlation_data);
    hash = step(hash, point, (uint64_t)sql->payload_format + 1);
    hash = step(hash, point, message->retained);
    for (size_t i = 0; with_ids && i < message->id_count; i++)
        hash = step(hash, point, message->ids[i]);
    for (size_t i = 0; i < sql->user_property_count; i++) {
        hash = add_span(hash, point, sql->user_properties[i].key);
        hash = add_span(hash, point, sql->user_properties[i].value);
    }
    return hash;
}
