#include "value.h"

#include "json_scan.h"
#include "node.h"

struct value value_number(const struct number *number, bool is_int, enum sql_version version)
{
    struct value value = {.type = VALUE_DECIMAL, .number = *number};

    if (is_int || version == SQL_2016_03_23) {
        struct number whole = *number;

        number_reduce(&whole);
        if (whole.exponent == 0) { /* whole, and within 34 digits */
            value.type = VALUE_INT;
            value.number = whole;
        } else if (version == SQL_2016_03_23) {
            value.number = whole;
        }
    }
    return value;
}

bool value_get_number(const struct value *value, struct number *out)
{
    if (value->form == FORM_RAW)
        return number_from_json(value->text, out);
    *out = value->number;
    return true;
}

bool value_get_text(const struct value *value, struct arena *arena, struct span *out)
{
    if (value->form != FORM_RAW) {
        *out = value->text;
        return true;
    }
    char *plain = arena_alloc(arena, value->text.size);

    if (!plain)
        return false;
    *out = (struct span){plain, json_unescape(value->text, plain)};
    return true;
}

/* ---- containers ---- */

struct value node_value(const struct node *node, const char *base)
{
    struct value value = {.type = (unsigned char)node->kind};

    switch ((enum value_type)node->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL: break;
    case VALUE_BOOLEAN: value.boolean = node->size == sizeof "true" - 1; break;
    case VALUE_INT:
    case VALUE_DECIMAL:
        value.form = FORM_RAW;
        value.verbatim = node->verbatim;
        value.text = node_text(node, base);
        break;
    case VALUE_STRING:
        value.form = node->escaped ? FORM_RAW : FORM_PLAIN;
        value.verbatim = node->verbatim;
        value.text = node_text(node, base);
        break;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        value.form = FORM_NODE;
        value.node = node;
        value.base = base;
        break;
    }
    return value;
}

static bool is_container(const struct value *value)
{
    return value->type == VALUE_ARRAY || value->type == VALUE_OBJECT;
}

size_t value_count(const struct value *container)
{
    if (!is_container(container))
        return 0;
    if (container->form == FORM_LIST)
        return container->list.count;
    if (container->node->count < NODE_COUNT_MOST)
        return container->node->count;

    const struct node *node = container->node + 1, *end = container->node + container->node->next;
    size_t count = 0;

    for (; node < end; node += node->next)
        count += !node->dropped;
    return count;
}

size_t value_weight(const struct value *value)
{
    enum { BYTES_A_STEP = 64 };

    if (value->type == VALUE_STRING)
        return value->text.size / BYTES_A_STEP;
    if (!is_container(value))
        return 0;
    return value->form == FORM_LIST ? value->list.count : value->node->next;
}

/* Does this key, as written, spell `name`? */
static bool spells(const struct node *key, const char *base, struct span name)
{
    if (!key->escaped)
        return span_equal(node_text(key, base), name);

    /* Undo the escapes piecemeal: a key may be as long as the payload. */
    struct span raw = node_text(key, base);
    size_t matched = 0;

    while (raw.size) {
        char plain[4];
        size_t step = 1, size;

        if (raw.data[0] == '\\') {
            step = raw.data[1] != 'u' ? 2 : 6;
            if (step == 6 && (raw.data[2] | 0x20) == 'd' && raw.data[3] >= '8')
                step = 12; /* a surrogate pair */
        }
        size = json_unescape((struct span){raw.data, step}, plain);
        if (size > name.size - matched || memcmp(name.data + matched, plain, size) != 0)
            return false;
        matched += size;
        raw.data += step;
        raw.size -= step;
    }
    return matched == name.size;
}

struct value value_member(const struct value *object, struct span key)
{
    if (object->type != VALUE_OBJECT)
        return VALUE_NOTHING;
    if (object->form == FORM_LIST) {
        for (size_t i = 0; i < object->list.count; i++)
            if (span_equal(object->list.members[i].key, key))
                return object->list.members[i].value;
        return VALUE_NOTHING;
    }
    const struct node *node = object->node + 1, *end = object->node + object->node->next;

    for (; node < end; node += node->next)
        if (spells(node, object->base, key) && !node->dropped)
            return node_value(node_of_key(node), object->base);
    return VALUE_NOTHING;
}

struct value value_element(const struct value *array, size_t index)
{
    if (array->type != VALUE_ARRAY)
        return VALUE_NOTHING;
    if (array->form == FORM_LIST)
        return index < array->list.count ? array->list.items[index] : VALUE_NOTHING;

    const struct node *node = array->node + 1, *end = array->node + array->node->next;

    if (index >= (size_t)(end - node))
        return VALUE_NOTHING;
    if (array->node->count == (size_t)(end - node)) /* scalars alone: a node each */
        return node_value(node + index, array->base);
    for (; node < end; node += node->next)
        if (index-- == 0)
            return node_value(node, array->base);
    return VALUE_NOTHING;
}

struct value_walk value_walk(const struct value *container)
{
    struct value_walk walk = {.container = container};

    if (is_container(container) && container->form == FORM_NODE)
        walk.node = container->node + 1;
    return walk;
}

bool value_next(struct value_walk *walk, struct arena *arena, struct span *key, struct value *item,
                bool *failed)
{
    const struct value *container = walk->container;

    if (!is_container(container))
        return false;
    if (container->form == FORM_LIST) {
        if (walk->index == container->list.count)
            return false;
        if (container->type == VALUE_ARRAY) {
            *item = container->list.items[walk->index];
        } else {
            if (key)
                *key = container->list.members[walk->index].key;
            *item = container->list.members[walk->index].value;
        }
        walk->index++;
        return true;
    }

    const struct node *node = walk->node, *end = container->node + container->node->next;

    while (node < end && node->dropped)
        node += node->next;
    walk->node = node;
    if (node == end)
        return false;
    if (container->type == VALUE_ARRAY) {
        *item = node_value(node, container->base);
    } else {
        if (key) {
            *key = node_text(node, container->base);
            if (node->escaped) {
                char *plain = arena_alloc(arena, node->size);

                if (!plain) {
                    *failed = true;
                    return false;
                }
                key->data = plain;
                key->size = json_unescape(node_text(node, container->base), plain);
            }
        }
        *item = node_value(node_of_key(node), container->base);
    }
    walk->node = node + node->next;
    walk->index++;
    return true;
}
