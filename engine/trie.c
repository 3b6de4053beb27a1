/* A flat array of nodes and one hash table for all edges: 40 bytes a level, and no pointer chasing in a
 * node's children however many there are. */
#include "trie.h"

#include <stdbool.h>
#include <stdlib.h>

enum { ROOT = 0 };

static uint64_t hash_bytes(uint64_t hash, struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

uint64_t trie_hash(struct span text)
{
    return hash_bytes(0xcbf29ce484222325u, text);
}

uint32_t trie_identifier(uint64_t *hash)
{
    const uint64_t now = *hash;

    *hash = now * 0x9e3779b97f4a7c15u + 1;
    return (uint32_t)((now ^ now >> 28 ^ now >> 56) & 0xfffffff);
}

static uint64_t hash_edge(uint32_t parent, struct span level)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325u ^ ((uint64_t)parent << 32 | parent), level);

    return hash ^ hash >> 29;
}

struct span trie_level(struct span *rest)
{
    const char *slash = memchr(rest->data, '/', rest->size);

    if (!slash) {
        struct span level = *rest;
        *rest = (struct span){0};
        return level;
    }
    struct span level = {rest->data, (size_t)(slash - rest->data)};
    *rest = (struct span){slash + 1, rest->size - level.size - 1};
    return level;
}

static bool starts_dollar(struct span level)
{
    return level.size > 0 && level.data[0] == '$';
}

static uint32_t find_child(const struct trie *trie, uint32_t parent, struct span level)
{
    if (trie->edge_room == 0)
        return 0;
    for (size_t at = hash_edge(parent, level) & (trie->edge_room - 1);;
         at = (at + 1) & (trie->edge_room - 1)) {
        uint32_t child = trie->edges[at];

        if (child == 0)
            return 0;
        if (trie->nodes[child].parent == parent && span_equal(trie->nodes[child].level, level))
            return child;
    }
}

static void put_edge(struct trie *trie, uint32_t child)
{
    size_t at = hash_edge(trie->nodes[child].parent, trie->nodes[child].level) & (trie->edge_room - 1);

    while (trie->edges[at] != 0)
        at = (at + 1) & (trie->edge_room - 1);
    trie->edges[at] = child;
}

static int grow_edges(struct trie *trie, struct err *err)
{
    size_t room = trie->edge_room ? trie->edge_room * 2 : 64;
    uint32_t *edges = calloc(room, sizeof *edges);

    if (!edges)
        return err_memory(err);
    free(trie->edges);
    trie->edges = edges;
    trie->edge_room = room;
    for (uint32_t i = 1; i < trie->node_count; i++)
        if (trie->nodes[i].level.data)
            put_edge(trie, i);
    return 0;
}

/* A new node, or 0 with `err`. */
static uint32_t add_node(struct trie *trie, uint32_t parent, struct span level, struct err *err)
{
    if (trie->node_count == trie->node_room) {
        size_t room = trie->node_room ? trie->node_room * 2 : 64;
        struct trie_node *nodes = room < UINT32_MAX ? realloc(trie->nodes, room * sizeof *nodes) : NULL;

        if (!nodes) {
            err_memory(err);
            return 0;
        }
        trie->nodes = nodes;
        trie->node_room = room;
    }
    uint32_t index = (uint32_t)trie->node_count++;
    trie->nodes[index] = (struct trie_node){.parent = parent, .level = level};
    return index;
}

static uint32_t add_child(struct trie *trie, uint32_t parent, struct span level, struct err *err)
{
    uint32_t child = find_child(trie, parent, level);

    if (child)
        return child;
    if (trie->node_count * 2 >= trie->edge_room && grow_edges(trie, err) != 0)
        return 0;
    child = add_node(trie, parent, level, err);
    if (!child)
        return 0;
    trie->nodes[child].sibling = trie->nodes[parent].child;
    trie->nodes[parent].child = child;
    put_edge(trie, child);
    return child;
}

uint32_t *trie_add(struct trie *trie, struct span filter, struct err *err)
{
    uint32_t node = ROOT;
    size_t levels = 0;

    for (struct span rest = filter; rest.data;) {
        struct span level = trie_level(&rest);

        if (++levels > TRIE_LEVELS) {
            err_set(err, ERR_LIMIT, "a topic filter has more than %d levels", TRIE_LEVELS);
            return NULL;
        }
        if (span_is(level, "#"))
            return &trie->nodes[node].many;

        uint32_t next = span_is(level, "+") ? trie->nodes[node].plus : add_child(trie, node, level, err);
        if (!next && span_is(level, "+")) {
            next = add_node(trie, node, (struct span){0}, err);
            trie->nodes[node].plus = next;
        }
        if (!next)
            return NULL;
        node = next;
    }
    return &trie->nodes[node].here;
}

uint32_t trie_find(const struct trie *trie, struct span filter)
{
    uint32_t node = ROOT;

    for (struct span rest = filter; rest.data;) {
        struct span level = trie_level(&rest);

        if (span_is(level, "#"))
            return trie->nodes[node].many;
        node = span_is(level, "+") ? trie->nodes[node].plus : find_child(trie, node, level);
        if (node == 0)
            return 0;
    }
    return trie->nodes[node].here;
}

int trie_init(struct trie *trie, struct err *err)
{
    *trie = (struct trie){0};
    (void)add_node(trie, ROOT, (struct span){0}, err); /* node 0, which is also what failure gives */
    return trie->nodes ? 0 : -1;
}

void trie_done(struct trie *trie)
{
    free(trie->nodes);
    free(trie->edges);
    *trie = (struct trie){0};
}

/* Is there a filter at `node` or below it, other than the one that is 1 + entry `self`? `#` was read there.
 */
static bool others_below(const struct trie *trie, uint32_t node, uint32_t self)
{
    const struct trie_node *n = &trie->nodes[node];

    if ((n->here && n->here != self) || n->plus || (n->many && n->many != self))
        return true;
    for (uint32_t child = n->child; child; child = trie->nodes[child].sibling)
        if (node != ROOT || !starts_dollar(trie->nodes[child].level))
            return true;
    return false;
}

bool trie_overlaps(const struct trie *trie, struct span filter, uint32_t self, struct trie_visit *stack)
{
    size_t depth = 0, steps = 0;

    stack[depth++] = (struct trie_visit){ROOT, filter};
    while (depth > 0) {
        struct trie_visit at = stack[--depth];
        const struct trie_node *node = &trie->nodes[at.node];
        bool below_root = at.node != ROOT;

        if (++steps > TRIE_STEPS)
            return true;
        if (!at.rest.data) {
            if ((node->here && node->here != self) || (node->many && node->many != self))
                return true;
            continue;
        }
        struct span level = trie_level(&at.rest);
        if (node->many && node->many != self && (below_root || !starts_dollar(level)))
            return true;
        if (span_is(level, "#")) {
            if (others_below(trie, at.node, self))
                return true;
            continue;
        }
        if (depth + 2 > TRIE_STACK)
            return true;
        if (node->plus && (below_root || !starts_dollar(level)))
            stack[depth++] = (struct trie_visit){node->plus, at.rest};
        if (!span_is(level, "+")) {
            uint32_t child = find_child(trie, at.node, level);

            if (child)
                stack[depth++] = (struct trie_visit){child, at.rest};
            continue;
        }
        for (uint32_t child = node->child; child; child = trie->nodes[child].sibling) {
            if (!below_root && starts_dollar(trie->nodes[child].level))
                continue;
            if (depth == TRIE_STACK)
                return true;
            stack[depth++] = (struct trie_visit){child, at.rest};
        }
    }
    return false;
}

/* Walks all ways through the trie that fit. At most one way waits for each level, so the stack is as deep as
 * the longest filter. */
void trie_match(const struct trie *trie, struct span topic, trie_found *found, void *context)
{
    struct trie_visit stack[TRIE_LEVELS + 2];
    size_t depth = 0;

    stack[depth++] = (struct trie_visit){ROOT, topic};
    while (depth > 0) {
        struct trie_visit at = stack[--depth];
        const struct trie_node *node = &trie->nodes[at.node];

        if (!at.rest.data) {
            if (node->here)
                found(context, node->here);
            continue;
        }
        struct span level = trie_level(&at.rest);
        bool wild = at.node != ROOT || !starts_dollar(level);

        if (node->many && wild)
            found(context, node->many);
        if (node->plus && wild)
            stack[depth++] = (struct trie_visit){node->plus, at.rest};
        uint32_t child = find_child(trie, at.node, level);
        if (child)
            stack[depth++] = (struct trie_visit){child, at.rest};
    }
}

enum trie_fit trie_fits(struct span filter, struct span topic)
{
    if (starts_dollar(topic) && filter.size > 0 && (filter.data[0] == '#' || filter.data[0] == '+'))
        return TRIE_NO;
    while (filter.data) {
        struct span want = trie_level(&filter);

        if (span_is(want, "#"))
            return topic.data ? TRIE_YES : TRIE_MQTT;
        if (!topic.data)
            return TRIE_NO;
        struct span have = trie_level(&topic);
        if (!span_is(want, "+") && !span_equal(want, have))
            return TRIE_NO;
    }
    return topic.data ? TRIE_NO : TRIE_YES;
}
