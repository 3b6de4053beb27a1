/* Devices seldom name a member twice, so the question is answered cheaply first: by digests for a few
 * members, by a hash table with a budget for many. When that cannot say "all differ", the keys are sorted,
 * which takes n log n whatever a hostile payload holds; there is no hash whose collisions could be aimed at.
 */
#include "payload_keys.h"

#include "json_scan.h"

enum { FEW = 24, TABLE_ON_STACK = 512 };

static uint64_t eight_bytes(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* Equal keys have equal digests. Looks at both ends of the key, and at its length. */
static uint64_t digest(struct span key, const char *end)
{
    uint64_t first, last = key.size;

    if (key.size >= 8) {
        first = eight_bytes(key.data);
        last += eight_bytes(key.data + key.size - 8);
    } else if (end - key.data >= 8) {
        first = eight_bytes(key.data);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        first = __builtin_bswap64(first);
#endif
        first &= ((uint64_t)1 << (8 * key.size)) - 1;
    } else {
        first = 0;
        for (size_t i = 0; i < key.size; i++)
            first |= (uint64_t)(unsigned char)key.data[i] << (8 * i);
    }
    return (first ^ (last << 32 | last >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- few members: a filter of 256 bits, and a look at all digests when it has seen the bit before ---- */

static bool few_differ(const struct node *key, uint32_t count, struct span text)
{
    uint64_t seen[FEW], filter[4] = {0};

    for (uint32_t i = 0; i < count; i++, key += key->next) {
        if (key->escaped)
            return false;
        uint64_t mine = digest(node_text(key, text.data), text.data + text.size);
        uint64_t *word = &filter[mine >> 62], bit = (uint64_t)1 << (mine >> 56 & 63);

        if (*word & bit)
            for (uint32_t k = 0; k < i; k++)
                if (seen[k] == mine)
                    return false;
        *word |= bit;
        seen[i] = mine;
    }
    return true;
}

/* ---- many members: a hash table of key nodes ---- */

static bool many_differ(const struct node *first, uint32_t count, struct span text, struct arena *arena)
{
    uint32_t on_stack[TABLE_ON_STACK], *table = on_stack;
    struct arena_mark mark = arena_mark(arena);
    unsigned bits = 5;
    size_t budget = (size_t)count * 4;
    const struct node *key = first;
    bool differ = false;

    while ((uint32_t)1 << bits < count * 2)
        bits++;
    size_t size = (size_t)1 << bits;
    if (size > TABLE_ON_STACK) {
        table = arena_array(arena, size, sizeof *table);
        if (!table)
            return false; /* sorting takes as much, and will say so */
    }
    memset(table, 0, size * sizeof *table);

    for (uint32_t i = 0; i < count; i++, key += key->next) {
        struct span name = node_text(key, text.data);
        size_t slot = digest(name, text.data + text.size) >> (64 - bits);

        if (key->escaped)
            goto out;
        for (; table[slot]; slot = (slot + 1) & (size - 1))
            if (budget-- == 0 || span_equal(node_text(first + table[slot] - 1, text.data), name))
                goto out;
        table[slot] = (uint32_t)(key - first) + 1;
    }
    differ = true;
out:
    arena_rewind(arena, mark);
    return differ;
}

/* ---- for certain ---- */

struct key {
    struct span name; /* unescaped */
    struct node *node;
};

/* By name; of equal names the earlier one first. */
static bool comes_before(const struct key *a, const struct key *b)
{
    if (a->name.size != b->name.size)
        return a->name.size < b->name.size;
    int order = a->name.size ? memcmp(a->name.data, b->name.data, a->name.size) : 0;
    return order ? order < 0 : a->node < b->node;
}

static void sift_down(struct key *keys, size_t at, size_t count)
{
    struct key moving = keys[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && comes_before(&keys[child], &keys[child + 1]))
            child++;
        if (!comes_before(&moving, &keys[child]))
            break;
        keys[at] = keys[child];
    }
    keys[at] = moving;
}

static void sort(struct key *keys, size_t count) /* heap sort: no worst case, no further memory */
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(keys, i, count);
    for (size_t last = count; last-- > 1;) {
        struct key largest = keys[0];

        keys[0] = keys[last];
        keys[last] = largest;
        sift_down(keys, 0, last);
    }
}

static bool unite(struct node *object, uint32_t count, struct span text, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    struct key *keys = arena_array(arena, count, sizeof *keys);
    struct node *node = object + 1;

    if (!keys)
        return false;
    for (uint32_t i = 0; i < count; i++, node += node->next) {
        keys[i] = (struct key){node_text(node, text.data), node};
        if (node->escaped) {
            char *plain = arena_alloc(arena, node->size);

            if (!plain)
                return false;
            keys[i].name.size = json_unescape(keys[i].name, plain);
            keys[i].name.data = plain;
        }
    }
    sort(keys, count);

    uint32_t left = count;
    for (uint32_t first = 0, last; first < count; first = last + 1) {
        for (last = first; last + 1 < count && span_equal(keys[first].name, keys[last + 1].name); last++)
            keys[last + 1].node->dropped = true;
        if (last > first) {
            struct node *stale = keys[first].node + 1;

            stale->kind = NODE_MOVED;
            stale->at = (uint32_t)(keys[last].node + 1 - stale);
            left -= last - first;
        }
    }
    if (left < count) {
        object->count = NODE_COUNT(left);
        object->verbatim = 0;
    }
    arena_rewind(arena, mark);
    return true;
}

bool payload_unite_keys(struct node *nodes, uint32_t object, uint32_t count, struct span text,
                        struct arena *arena)
{
    const struct node *first = nodes + object + 1;
    bool differ = count <= FEW ? few_differ(first, count, text) : many_differ(first, count, text, arena);

    return differ || unite(nodes + object, count, text, arena);
}
