#include "copies.h"

void copies_init(struct copies *copies)
{
    *copies = (struct copies){0};
    message_key_init(&copies->key);
}

void copies_forget(struct copies *copies)
{
    for (size_t i = 0; i < COPIES_KEPT; i++)
        copies->kept[i].count = 0;
}

/* Was this one missing? Then it is no longer. */
static bool take(struct copies *copies, uint64_t hash, uint32_t id)
{
    for (size_t i = 0; i < COPIES_KEPT; i++) {
        struct kept_copy *kept = &copies->kept[i];

        if (kept->count == 0 || kept->hash != hash || copies->seen - kept->seen > COPIES_NEAR)
            continue;
        for (size_t k = 0; k < kept->count; k++)
            if (kept->missing[k] == id) {
                kept->missing[k] = kept->missing[--kept->count];
                return true;
            }
    }
    return false;
}

bool copies_pass_over(struct copies *copies, const struct route *route, struct message *message)
{
    uint32_t others[COPIES_IDS];

    copies->seen++;
    if (message->id_count != 1 || message->ids[0] == ROUTE_SHARED)
        return false;
    size_t count = route_others(route, message->sql.topic, message->ids[0], others, COPIES_IDS);
    if (count == 0 || count > COPIES_IDS)
        return false;

    const uint64_t hash = message_hash(&copies->key, message, false);
    if (take(copies, hash, message->ids[0]))
        return true;
    struct kept_copy *kept = &copies->kept[copies->next++ % COPIES_KEPT];
    *kept = (struct kept_copy){.hash = hash, .seen = copies->seen, .count = count};
    memcpy(kept->missing, others, count * sizeof *others);
    message->id_count = 0;
    return false;
}
