/* message_hash.h - is it the same message? Two that differ have one hash with a chance that nobody can raise,
 * because the key is known to nobody. */
#ifndef ENGINE_MESSAGE_HASH_H
#define ENGINE_MESSAGE_HASH_H

#include "message.h"

struct message_key {
    uint64_t words[2];
};

void message_key_init(struct message_key *key);

/* Of what decides what rules make of it, and what does not change on the way: a message's expiry does, and is
 * left out. Its subscription identifiers are in it or not. */
uint64_t message_hash(const struct message_key *key, const struct message *message, bool with_ids);

#endif
