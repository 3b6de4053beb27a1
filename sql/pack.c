/* pack.c - a compilation's results, copied into one block. */
#include "program.h"

void *pack_room(struct pack *pack, size_t size)
{
    void *to = pack->base ? pack->base + pack->used : NULL;

    pack->used += (size + _Alignof(struct value) - 1) & ~(_Alignof(struct value) - 1);
    return to;
}

void *pack_bytes(struct pack *pack, const void *bytes, size_t size)
{
    void *to = pack_room(pack, size);

    if (to && size)
        memcpy(to, bytes, size);
    return to;
}

struct span pack_text(struct pack *pack, struct span text)
{
    pack->from = text;
    pack->to = (struct span){pack_bytes(pack, text.data, text.size), text.size};
    return pack->to;
}

struct span pack_span(struct pack *pack, struct span span)
{
    uintptr_t at = (uintptr_t)span.data, from = (uintptr_t)pack->from.data;

    if (!span.data)
        return span;
    if (at >= from && at + span.size <= from + pack->from.size)
        return (struct span){pack->to.data ? pack->to.data + (at - from) : NULL, span.size};
    return (struct span){pack_bytes(pack, span.data, span.size), span.size};
}

/* Lists nest as deep as literals do, which the parser bounds. */
static struct value pack_value(struct pack *pack, const struct value *value)
{
    struct value copy = *value;

    if (value->type == VALUE_STRING || value->form == FORM_RAW) {
        copy.text = pack_span(pack, value->text);
    } else if (value->form == FORM_LIST && value->type == VALUE_ARRAY) {
        struct value *items = pack_bytes(pack, value->list.items, value->list.count * sizeof *items);

        for (size_t i = 0; i < value->list.count; i++) {
            struct value item = pack_value(pack, &value->list.items[i]);

            if (items)
                items[i] = item;
        }
        copy.list.items = items;
    } else if (value->form == FORM_LIST) {
        struct member *members = pack_bytes(pack, value->list.members, value->list.count * sizeof *members);

        for (size_t i = 0; i < value->list.count; i++) {
            struct member member = {pack_span(pack, value->list.members[i].key),
                                    pack_value(pack, &value->list.members[i].value)};

            if (members)
                members[i] = member;
        }
        copy.list.members = members;
    }
    return copy;
}

static const struct span *pack_names(struct pack *pack, const struct span *names, size_t count)
{
    struct span *copy = pack_bytes(pack, names, count * sizeof *names);

    for (size_t i = 0; i < count; i++) {
        struct span name = pack_span(pack, names[i]);

        if (copy)
            copy[i] = name;
    }
    return copy;
}

static const struct shape *pack_shape(struct pack *pack, const struct shape *shape)
{
    struct shape *copy = pack_bytes(pack, shape, sizeof *shape);
    struct field *fields = pack_bytes(pack, shape->fields, shape->count * sizeof *fields);

    for (unsigned i = 0; i < shape->count; i++) {
        const struct span *path = pack_names(pack, shape->fields[i].path, shape->fields[i].depth);

        if (fields)
            fields[i].path = path;
    }
    if (copy)
        copy->fields = fields;
    return copy;
}

struct code pack_code(struct pack *pack, const struct code *code)
{
    struct code copy = *code;
    struct step *steps = pack_bytes(pack, code->steps, code->count * sizeof *steps);

    for (size_t i = 0; i < code->count; i++) {
        struct step step = code->steps[i];

        switch ((enum step_op)step.op) {
        case STEP_CONST: {
            struct value value = pack_value(pack, step.constant);

            step.constant = pack_bytes(pack, &value, sizeof value);
            break;
        }
        case STEP_FIELD:
        case STEP_NAME:
        case STEP_ELEMENT:
        case STEP_PAYLOAD:
        case STEP_MEMBER: step.names = pack_names(pack, step.names, step.count); break;
        case STEP_RECORD: step.shape = pack_shape(pack, step.shape); break;
        case STEP_PRINT: step.key = pack_bytes(pack, step.key, step.count); break;
        default: break;
        }
        if (steps)
            steps[i] = step;
    }
    copy.steps = steps;
    return copy;
}
