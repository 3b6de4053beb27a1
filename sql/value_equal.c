/* `=`: pairs of containers wait in a list of our own instead of on the call stack. */
#include "value.h"

enum { FEW = 16 };

struct pair {
    struct value a, b;
    struct pair *next;
};

struct comparison {
    struct arena *arena;
    struct pair *waiting; /* containers of the same type and size, still to be looked into */
    bool equal;
};

static enum convert texts_equal(const struct value *a, const struct value *b, struct arena *arena,
                                bool *equal)
{
    struct arena_mark mark = arena_mark(arena);
    struct span text_a, text_b;

    if (a->form == b->form && span_equal(a->text, b->text)) {
        *equal = true;
        return CONVERTED;
    }
    if (!value_get_text(a, arena, &text_a) || !value_get_text(b, arena, &text_b))
        return CONVERT_LIMIT;
    *equal = span_equal(text_a, text_b);
    arena_rewind(arena, mark);
    return CONVERTED;
}

/* Sets `equal` to false when it shows now, puts containers of equal size on the list. */
static enum convert compare(struct comparison *comparison, const struct value *a, const struct value *b)
{
    if (value_is_number(a) && value_is_number(b)) {
        struct number x, y;

        if (a->form == FORM_RAW && b->form == FORM_RAW && span_equal(a->text, b->text))
            return CONVERTED;
        comparison->equal = value_get_number(a, &x) && value_get_number(b, &y) && number_compare(&x, &y) == 0;
        return CONVERTED;
    }
    comparison->equal = a->type == b->type;
    if (!comparison->equal)
        return CONVERTED;
    switch ((enum value_type)a->type) {
    case VALUE_UNDEFINED: comparison->equal = false; break; /* a number out of range, or no such member */
    case VALUE_NULL:
    case VALUE_INT:
    case VALUE_DECIMAL: break;
    case VALUE_BOOLEAN: comparison->equal = a->boolean == b->boolean; break;
    case VALUE_STRING: return texts_equal(a, b, comparison->arena, &comparison->equal);
    case VALUE_ARRAY:
    case VALUE_OBJECT: {
        size_t count = value_count(a);

        comparison->equal = count == value_count(b);
        if (count == 0 || !comparison->equal)
            break;
        if (a->form == b->form &&
            (a->form == FORM_NODE ? a->node == b->node
                                  : a->list.items == b->list.items && a->list.members == b->list.members))
            break; /* the very same one */
        struct pair *pair = arena_alloc(comparison->arena, sizeof *pair);
        if (!pair)
            return CONVERT_LIMIT;
        *pair = (struct pair){*a, *b, comparison->waiting};
        comparison->waiting = pair;
    }
    }
    return CONVERTED;
}

static bool comes_before(const struct member *a, const struct member *b)
{
    if (a->key.size != b->key.size)
        return a->key.size < b->key.size;
    return a->key.size && memcmp(a->key.data, b->key.data, a->key.size) < 0;
}

static void sift_down(struct member *members, size_t at, size_t count)
{
    struct member moving = members[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && comes_before(&members[child], &members[child + 1]))
            child++;
        if (!comes_before(&moving, &members[child]))
            break;
        members[at] = members[child];
    }
    members[at] = moving;
}

/* The members by name. Keys differ, so the order is one. NULL: limit. */
static struct member *sorted_members(const struct value *object, size_t count, struct arena *arena)
{
    struct member *members = arena_array(arena, count, sizeof *members);
    struct value_walk walk = value_walk(object);
    bool failed = false;

    if (!members)
        return NULL;
    for (size_t i = 0; value_next(&walk, arena, &members[i].key, &members[i].value, &failed); i++)
        if (i + 1 == count)
            break;
    if (failed)
        return NULL;
    for (size_t i = count / 2; i-- > 0;)
        sift_down(members, i, count);
    for (size_t last = count; last-- > 1;) {
        struct member largest = members[0];

        members[0] = members[last];
        members[last] = largest;
        sift_down(members, 0, last);
    }
    return members;
}

static enum convert compare_objects(struct comparison *comparison, const struct value *a,
                                    const struct value *b)
{
    size_t count = value_count(a);
    struct arena *arena = comparison->arena;
    enum convert done = CONVERTED;

    if (count > FEW) {
        struct member *members_a = sorted_members(a, count, arena);
        struct member *members_b = members_a ? sorted_members(b, count, arena) : NULL;

        if (!members_b)
            return CONVERT_LIMIT;
        for (size_t i = 0; i < count && done == CONVERTED && comparison->equal; i++) {
            comparison->equal = span_equal(members_a[i].key, members_b[i].key);
            if (comparison->equal)
                done = compare(comparison, &members_a[i].value, &members_b[i].value);
        }
        return done;
    }
    struct value_walk walk = value_walk(a);
    struct span key;
    struct value item;
    bool failed = false;

    while (done == CONVERTED && comparison->equal && value_next(&walk, arena, &key, &item, &failed)) {
        struct value other = value_member(b, key);

        done = compare(comparison, &item, &other);
    }
    return failed ? CONVERT_LIMIT : done;
}

static enum convert compare_arrays(struct comparison *comparison, const struct value *a,
                                   const struct value *b)
{
    struct value_walk walk_a = value_walk(a), walk_b = value_walk(b);
    struct value item_a, item_b;
    enum convert done = CONVERTED;
    bool failed = false;

    while (done == CONVERTED && comparison->equal &&
           value_next(&walk_a, comparison->arena, NULL, &item_a, &failed) &&
           value_next(&walk_b, comparison->arena, NULL, &item_b, &failed))
        done = compare(comparison, &item_a, &item_b);
    return done;
}

enum convert value_equal(const struct value *a, const struct value *b, struct arena *arena, bool *equal)
{
    struct comparison comparison = {.arena = arena, .equal = true};
    struct arena_mark mark = arena_mark(arena);
    enum convert done = compare(&comparison, a, b);

    while (done == CONVERTED && comparison.equal && comparison.waiting) {
        struct pair *pair = comparison.waiting;

        comparison.waiting = pair->next;
        done = pair->a.type == VALUE_OBJECT ? compare_objects(&comparison, &pair->a, &pair->b)
                                            : compare_arrays(&comparison, &pair->a, &pair->b);
    }
    arena_rewind(arena, mark);
    *equal = comparison.equal;
    return done;
}
