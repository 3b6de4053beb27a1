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
    copies_unhear(copies);
}

void copies_unhear(struct copies *copies)
{
    memset(copies->heard, 0, sizeof copies->heard);
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

static bool was_heard(const struct copies *copies, uint32_t id)
{
    for (size_t i = 0; i < COPIES_KEPT; i++)
        if (copies->heard[i] == id)
            return true;
    return false;
}

/* A copy for this filter has come, so from here on each message that it takes brings one. */
static void hear(struct copies *copies, uint32_t id)
{
    if (!was_heard(copies, id))
        copies->heard[copies->next_heard++ % COPIES_KEPT] = id;
}

/* Beside a copy for a filter that is gone: those of filters that were there then, too. */
static size_t keep_certain(const struct copies *copies, const struct route *route, uint32_t *others,
                           size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (!route_is_new(route, others[i]) || was_heard(copies, others[i]))
            others[kept++] = others[i];
    return kept;
}

bool copies_pass_over(struct copies *copies, const struct route *route, struct message *message)
{
    const struct span topic = message->sql.topic;
    uint32_t others[COPIES_IDS];

    copies->seen++;
    if (message->id_count != 1)
        return false;
    uint32_t id = message->ids[0];
    if (id == ROUTE_SHARED) /* then it may be that of one that is gone: what overlaps that one has its own */
        id = route_gone_for(route, topic);
    if (id == 0)
        return false;
    if (route_is_new(route, id))
        hear(copies, id);
    size_t count = route_others(route, topic, id, others, COPIES_IDS);
    if (count == 0 || count > COPIES_IDS)
        return false;

    const uint64_t hash = message_hash(&copies->key, message, false);
    if (take(copies, hash, id))
        return true;
    message->id_count = 0;
    if (route_is_gone(route, id) && (count = keep_certain(copies, route, others, count)) == 0)
        return false;
    struct kept_copy *kept = &copies->kept[copies->next++ % COPIES_KEPT];
    *kept = (struct kept_copy){.hash = hash, .seen = copies->seen, .count = count};
    memcpy(kept->missing, others, count * sizeof *others);
    return false;
}
