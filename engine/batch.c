/* Memory of what is on its way: arenas for firings and records, a pool for deliveries. In steady state
 * nothing here takes from the heap. */
#include "lane.h"

#include <stdlib.h>

enum {
    BATCH_LIMIT = 1 << 30,  /* bytes; only one message with a huge fan-out comes near it */
    BATCH_TURN = 256 << 10, /* an arena smaller than this is used on while QoS 0 messages of it are open */
};

static struct batch *batch_new(void)
{
    struct batch *batch = calloc(1, sizeof *batch);

    if (batch)
        arena_init(&batch->arena, BATCH_LIMIT);
    return batch;
}

static void batch_free_list(struct batch *batch)
{
    while (batch) {
        struct batch *next = batch->next;

        arena_done(&batch->arena);
        free(batch);
        batch = next;
    }
}

int batch_init(struct lane *lane)
{
    lane->batch = batch_new();
    return lane->batch ? 0 : -1;
}

void batch_done(struct lane *lane)
{
    struct delivery_chunk *chunk = lane->deliveries.chunks;

    batch_free_list(lane->batch);
    batch_free_list(lane->old);
    batch_free_list(lane->spare);
    while (chunk) {
        struct delivery_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
}

void *batch_alloc(struct lane *lane, struct batch *batch, size_t size)
{
    void *memory = arena_alloc(&batch->arena, size);

    /* Far from the limit it is the heap that has no more, and a failure for good would be acknowledged. */
    if (!memory && size < BATCH_LIMIT / 8 && batch->bytes < BATCH_LIMIT / 8)
        lane_out_of_memory();
    if (memory) {
        batch->bytes += size;
        lane->bytes += size;
    }
    return memory;
}

static void batch_reset(struct lane *lane, struct batch *batch)
{
    lane->bytes -= batch->bytes;
    batch->bytes = 0;
    arena_reset(&batch->arena);
}

void batch_release(struct lane *lane, struct batch *batch)
{
    if (--batch->open > 0 || batch == lane->batch)
        return;
    struct batch **link = &lane->old;
    while (*link != batch)
        link = &(*link)->next;
    *link = batch->next;
    batch_reset(lane, batch);
    batch->next = NULL;
    if (lane->spare) {
        batch_free_list(batch);
        return;
    }
    lane->spare = batch;
}

void batch_turn(struct lane *lane)
{
    struct batch *batch = lane->batch;

    lane->read_messages = lane->read_bytes = 0;
    if (batch->open == 0) {
        if (batch->bytes > 0)
            batch_reset(lane, batch);
        return;
    }
    if (batch->bytes < BATCH_TURN)
        return;
    struct batch *fresh = lane->spare ? lane->spare : batch_new();
    if (!fresh)
        return;
    lane->spare = NULL;
    batch->next = lane->old;
    lane->old = batch;
    lane->batch = fresh;
}

struct delivery *delivery_new(struct lane *lane)
{
    struct deliveries *pool = &lane->deliveries;

    if (!pool->free) {
        struct delivery_chunk *chunk = calloc(1, sizeof *chunk);

        if (!chunk)
            return NULL;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        for (size_t i = DELIVERY_CHUNK; i-- > 0;) {
            chunk->items[i].next = pool->free;
            pool->free = &chunk->items[i];
        }
    }
    struct delivery *delivery = pool->free;
    pool->free = delivery->next;
    pool->used++;
    *delivery = (struct delivery){.number = ++pool->number, .state = DELIVERY_WAITING};
    return delivery;
}

void delivery_free(struct lane *lane, struct delivery *delivery)
{
    delivery->state = DELIVERY_FREE;
    delivery->next = lane->deliveries.free;
    lane->deliveries.free = delivery;
    lane->deliveries.used--;
}
