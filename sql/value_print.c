/* Compact JSON. What an expression built is walked with frames of our own, what the payload holds is walked
 * along its tape; neither recurses. Text of the payload that is compact and normal already is copied in one
 * piece. Equal values print equally: numbers as number_print, strings as buf_json has them. */
#include "json_scan.h"
#include "node.h"
#include "payload.h"

static void print_number(const struct number *value, enum sql_version version, struct buf *out)
{
    struct number number = *value;
    char text[NUMBER_TEXT];

    if (version == SQL_2016_03_23)
        number_reduce(&number);
    buf_add(out, text, number_print(&number, text));
}

static void print_raw_number(struct span text, enum sql_version version, struct buf *out)
{
    struct number number;

    if (number_from_json(text, &number))
        print_number(&number, version, out);
}

static void print_verbatim(const struct node *node, const char *base, struct buf *out)
{
    if (node->kind == VALUE_STRING) /* with its quotes */
        buf_add(out, base + node->at - 1, (size_t)node->size + 2);
    else
        buf_add(out, base + node->at, node->size);
}

static void print_string(const struct node *node, const char *base, struct buf *out)
{
    if (node->verbatim)
        print_verbatim(node, base, out);
    else
        json_rewrite(node_text(node, base), out);
}

/* The next thing to print in a container of the tape: an element or a key. NULL at the end. */
static const struct node *printable(const struct node *node, const struct node *container)
{
    const struct node *end = container + container->next;
    bool object = container->kind == VALUE_OBJECT;

    while (node < end && (node->dropped || (object ? node_of_key(node) : node)->kind == VALUE_UNDEFINED))
        node += node->next;
    return node < end ? node : NULL;
}

/* An array or object of the tape. */
static void print_node(const struct node *node, const char *base, enum sql_version version, struct buf *out)
{
    struct {
        const struct node *container, *next;
    } stack[PAYLOAD_DEPTH];
    size_t depth = 0;
    bool first = true; /* in its container: no comma */

    for (;;) {
        bool opened = false;

        if (node->verbatim >> version & 1) {
            print_verbatim(node, base, out);
        } else if (node->kind == VALUE_ARRAY || node->kind == VALUE_OBJECT) {
            stack[depth].container = node;
            stack[depth++].next = node + 1;
            buf_char(out, node->kind == VALUE_OBJECT ? '{' : '[');
            opened = true;
        } else if (node->kind == VALUE_STRING) {
            print_string(node, base, out);
        } else {
            print_raw_number(node_text(node, base), version, out);
        }
        first = opened;

        /* On to the next node to print, closing what ends. */
        for (node = NULL; !node;) {
            if (depth == 0 || out->failed)
                return;
            const struct node *container = stack[depth - 1].container;
            bool object = container->kind == VALUE_OBJECT;

            node = printable(stack[depth - 1].next, container);
            if (!node) {
                buf_char(out, object ? '}' : ']');
                first = false;
                depth--;
                continue;
            }
            stack[depth - 1].next = node + node->next;
            if (!first)
                buf_char(out, ',');
            if (object) {
                print_string(node, base, out);
                buf_char(out, ':');
                node = node_of_key(node);
            }
        }
    }
}

/* Anything but a list. */
static void print_leaf(const struct value *value, enum sql_version version, struct buf *out)
{
    switch ((enum value_type)value->type) {
    case VALUE_UNDEFINED: break;
    case VALUE_NULL: buf_add(out, "null", 4); break;
    case VALUE_BOOLEAN: buf_text(out, value->boolean ? "true" : "false"); break;
    case VALUE_INT:
    case VALUE_DECIMAL:
        if (value->form == FORM_PLAIN)
            print_number(&value->number, version, out);
        else if (value->verbatim >> version & 1)
            buf_span(out, value->text);
        else
            print_raw_number(value->text, version, out);
        break;
    case VALUE_STRING:
        if (value->form == FORM_PLAIN) {
            buf_json(out, value->text);
        } else if (value->verbatim) {
            buf_char(out, '"');
            buf_span(out, value->text);
            buf_char(out, '"');
        } else {
            json_rewrite(value->text, out);
        }
        break;
    case VALUE_ARRAY:
    case VALUE_OBJECT:
        if (value->node->verbatim >> version & 1)
            print_verbatim(value->node, value->base, out);
        else
            print_node(value->node, value->base, version, out);
        break;
    }
}

struct frame {
    const struct value *list;
    size_t index;
};

void value_print(const struct value *value, enum sql_version version, struct arena *arena, struct buf *out)
{
    struct frame few[16], *frames = few;
    size_t depth = 0, room = sizeof few / sizeof *few;
    bool first = true;

    for (;;) {
        if (value->form == FORM_LIST) {
            if (depth == room) {
                struct frame *more = arena_array(arena, room * 2, sizeof *more);

                if (!more) {
                    out->failed = true;
                    return;
                }
                memcpy(more, frames, depth * sizeof *frames);
                frames = more;
                room *= 2;
            }
            frames[depth++] = (struct frame){value, 0};
            buf_char(out, value->type == VALUE_OBJECT ? '{' : '[');
            first = true;
        } else {
            print_leaf(value, version, out);
            first = false;
        }

        for (;;) {
            if (depth == 0 || out->failed)
                return;
            struct frame *frame = &frames[depth - 1];
            const struct value *list = frame->list;
            bool object = list->type == VALUE_OBJECT;

            if (frame->index == list->list.count) {
                buf_char(out, object ? '}' : ']');
                first = false;
                depth--;
                continue;
            }
            size_t index = frame->index++;
            const struct value *item = object ? &list->list.members[index].value : &list->list.items[index];

            if (item->type == VALUE_UNDEFINED)
                continue;
            if (!first)
                buf_char(out, ',');
            if (object) {
                buf_json(out, list->list.members[index].key);
                buf_char(out, ':');
            }
            value = item;
            break;
        }
    }
}
