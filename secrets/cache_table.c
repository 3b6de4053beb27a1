#include "cache_table.h"

#include <stdlib.h>

static uint32_t hash_of(const struct place *place, struct span id, struct span role_arn)
{
    const struct span parts[] = {id, role_arn};
    uint32_t hash = 0x811c9dc5u ^ (uint32_t)(uintptr_t)place;

    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < parts[p].size; i++)
            hash = (hash ^ (unsigned char)parts[p].data[i]) * 0x01000193u;
    return hash ^ hash >> 16;
}

struct entry *table_find(const struct table *table, const struct place *place, struct span id,
                         struct span role_arn)
{
    const uint32_t hash = hash_of(place, id, role_arn);

    for (struct entry *entry = table->buckets[hash % TABLE_BUCKETS]; entry; entry = entry->chain)
        if (entry->hash == hash && entry->place == place && span_equal(entry->id, id) &&
            span_equal(entry->role_arn, role_arn))
            return entry;
    return NULL;
}

void table_drop(struct table *table, struct entry *entry)
{
    struct entry **link = &table->buckets[entry->hash % TABLE_BUCKETS];

    while (*link != entry)
        link = &(*link)->chain;
    *link = entry->chain;
    *(entry->previous ? &entry->previous->next : &table->first) = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    wiped_free(entry->stored.bytes);
    free(entry);
}

/* Some of the entries, and which of them was not used for longest and may go. */
struct some {
    size_t count;
    struct entry *oldest;
};

static void count_in(struct some *some, struct entry *entry)
{
    some->count++;
    if (entry->users == 0 && !entry->fetching && (!some->oldest || entry->used_ms < some->oldest->used_ms))
        some->oldest = entry;
}

/* Whether one more of that kind may come; something may have gone for it. */
static bool make_room(struct table *table, bool computed)
{
    struct some all = {0}, empty = {0};

    for (struct entry *entry = table->first; entry; entry = entry->next) {
        if (entry->computed != computed)
            continue;
        count_in(&all, entry);
        if (computed && !entry->stored.bytes)
            count_in(&empty, entry);
    }
    struct some *full = empty.count >= TABLE_EMPTY_MAX                                   ? &empty
                        : all.count >= (computed ? TABLE_COMPUTED_MAX : TABLE_NAMED_MAX) ? &all
                                                                                         : NULL;
    if (full && full->oldest)
        table_drop(table, full->oldest);
    return !full || full->oldest;
}

struct entry *table_add(struct table *table, struct place *place, struct span id, struct span role_arn,
                        bool computed)
{
    struct entry *entry =
        make_room(table, computed) ? calloc(1, sizeof *entry + id.size + role_arn.size + 1) : NULL;

    if (!entry)
        return NULL;
    entry->place = place;
    entry->computed = computed;
    entry->hash = hash_of(place, id, role_arn);
    entry->id = (struct span){entry->text, id.size};
    entry->role_arn = (struct span){entry->text + id.size, role_arn.size};
    if (id.size)
        memcpy(entry->text, id.data, id.size);
    if (role_arn.size)
        memcpy(entry->text + id.size, role_arn.data, role_arn.size);
    entry->chain = table->buckets[entry->hash % TABLE_BUCKETS];
    table->buckets[entry->hash % TABLE_BUCKETS] = entry;
    entry->next = table->first;
    if (entry->next)
        entry->next->previous = entry;
    return table->first = entry;
}
