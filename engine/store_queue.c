/* Queues: by the name that callers give, by the number that we give, by their row in the database. */
#include "store_state.h"

#include <stdlib.h>

enum { ROOM = 64 };

struct queue *queues_at(const struct queues *queues, uint32_t id)
{
    if (id == 0 || id > QUEUE_BLOCK * QUEUE_BLOCKS || !queues->blocks[(id - 1) / QUEUE_BLOCK])
        return NULL;
    return queues->blocks[(id - 1) / QUEUE_BLOCK][(id - 1) % QUEUE_BLOCK];
}

void queues_done(struct queues *queues)
{
    for (uint32_t id = 1; id <= queues->count; id++)
        free(queues_at(queues, id));
    for (size_t i = 0; i < QUEUE_BLOCKS; i++)
        free(queues->blocks[i]);
    free(queues->by_name);
    free(queues->by_key);
    free(queues->touched);
    *queues = (struct queues){0};
}

/* ---- hashing: FNV-1a is good enough for names that our own rules make ---- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_name(const struct store_name *name)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, name->rule.data, name->rule.size);

    hash = hash_bytes(hash, &name->action, sizeof name->action);
    hash = hash_bytes(hash, name->type.data, name->type.size);
    hash = hash_bytes(hash, "", 1);
    hash = hash_bytes(hash, name->stream.data, name->stream.size);
    return hash ^ hash >> 32;
}

static uint64_t hash_key(int64_t key)
{
    return (uint64_t)key * 0x9e3779b97f4a7c15u >> 20;
}

static bool same_name(const struct store_name *a, const struct store_name *b)
{
    return a->action == b->action && span_equal(a->stream, b->stream) && span_equal(a->rule, b->rule) &&
           span_equal(a->type, b->type);
}

static void place(uint32_t *table, size_t room, uint64_t hash, uint32_t id)
{
    size_t at = hash & (room - 1);

    while (table[at])
        at = (at + 1) & (room - 1);
    table[at] = id;
}

/* Never more than half full. */
static int grow_names(struct queues *queues)
{
    const size_t room = queues->name_room ? queues->name_room * 2 : ROOM;

    if ((size_t)queues->count * 2 < queues->name_room)
        return 0;
    uint32_t *table = calloc(room, sizeof *table);
    if (!table)
        return -1;
    for (uint32_t id = 1; id <= queues->count; id++)
        place(table, room, hash_name(&queues_at(queues, id)->name), id);
    free(queues->by_name);
    queues->by_name = table;
    queues->name_room = room;
    return 0;
}

int queues_rekey(struct queues *queues)
{
    size_t room = queues->key_room ? queues->key_room : ROOM;

    while (room / 2 <= queues->count)
        room *= 2;
    uint32_t *table = calloc(room, sizeof *table);
    if (!table)
        return SQLITE_NOMEM;
    for (uint32_t id = 1; id <= queues->count; id++)
        if (queues_at(queues, id)->key)
            place(table, room, hash_key(queues_at(queues, id)->key), id);
    free(queues->by_key);
    queues->by_key = table;
    queues->key_room = room;
    return SQLITE_OK;
}

/* ---- by name ---- */

static struct queue *make(uint32_t id, const struct store_name *name)
{
    struct queue *queue =
        calloc(1, sizeof *queue + name->rule.size + name->type.size + name->stream.size + 1);
    char *at = queue ? (char *)(queue + 1) : NULL;

    if (!queue)
        return NULL;
    queue->id = id;
    queue->name = *name;
    struct span *const texts[] = {&queue->name.rule, &queue->name.type, &queue->name.stream};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i]->size > 0)
            memcpy(at, texts[i]->data, texts[i]->size);
        texts[i]->data = at;
        at += texts[i]->size;
    }
    return queue;
}

static struct queue *find(const struct queues *queues, const struct store_name *name, uint64_t hash)
{
    if (queues->name_room == 0)
        return NULL;
    for (size_t at = hash & (queues->name_room - 1); queues->by_name[at];
         at = (at + 1) & (queues->name_room - 1)) {
        struct queue *queue = queues_at(queues, queues->by_name[at]);

        if (same_name(&queue->name, name))
            return queue;
    }
    return NULL;
}

struct queue *queues_known(const struct queues *queues, const struct store_name *name)
{
    return find(queues, name, hash_name(name));
}

struct queue *queues_of_name(struct queues *queues, const struct store_name *name)
{
    const uint64_t hash = hash_name(name);
    struct queue *known = find(queues, name, hash);

    if (known)
        return known;
    if (grow_names(queues) != 0)
        return NULL;
    const uint32_t id = queues->count + 1;
    struct queue ***block = &queues->blocks[queues->count / QUEUE_BLOCK];
    if (id > QUEUE_BLOCK * QUEUE_BLOCKS || (!*block && !(*block = calloc(QUEUE_BLOCK, sizeof **block))))
        return NULL;
    struct queue *queue = make(id, name);
    if (!queue)
        return NULL;
    (*block)[queues->count % QUEUE_BLOCK] = queue;
    queues->count = id;
    place(queues->by_name, queues->name_room, hash, id);
    return queue;
}

/* ---- by key ---- */

struct queue *queues_of_key(const struct queues *queues, int64_t key)
{
    if (queues->key_room == 0)
        return NULL;
    for (size_t at = hash_key(key) & (queues->key_room - 1); queues->by_key[at];
         at = (at + 1) & (queues->key_room - 1)) {
        struct queue *queue = queues_at(queues, queues->by_key[at]);

        if (queue->key == key)
            return queue;
    }
    return NULL;
}

int queues_set_key(struct queues *queues, struct queue *queue, int64_t key)
{
    if (queue->key == key)
        return SQLITE_OK;
    if (queues->key_room / 2 <= queues->count && queues_rekey(queues) != SQLITE_OK)
        return SQLITE_NOMEM;
    queue->key = key;
    place(queues->by_key, queues->key_room, hash_key(key), queue->id);
    return SQLITE_OK;
}

int queues_touch(struct queues *queues, struct queue *queue)
{
    if (queue->touched)
        return SQLITE_OK;
    if (queues->touched_count == queues->touched_room) {
        const size_t room = queues->touched_room ? queues->touched_room * 2 : ROOM;
        struct queue **touched = reallocarray(queues->touched, room, sizeof *touched);

        if (!touched)
            return SQLITE_NOMEM;
        queues->touched = touched;
        queues->touched_room = room;
    }
    queues->touched[queues->touched_count++] = queue;
    queue->touched = true;
    return SQLITE_OK;
}
