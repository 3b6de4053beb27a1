/* Reading: one pass, one loop, no recursion. What is open is chained through the tape itself: while a
 * container is open, its `size` holds the index of the one around it.
 *
 * Few looks at the end of the text are needed: an object or array must end with its bracket, which stops
 * every run of blanks and digits. Strings do look. */
#include "payload.h"

#include "json_scan.h"
#include "node.h"
#include "payload_keys.h"

enum { NONE = UINT32_MAX };

struct reader {
    struct span whole; /* as given, for the places of errors */
    struct span text;  /* without the blanks around it */
    struct arena *arena;
    struct err *err;
    struct node *nodes;
    size_t used, room;
    struct json_string string; /* the last one */
};

static enum payload_kind binary(const struct reader *reader, const char *at, const char *what)
{
    err_set(reader->err, ERR_SYNTAX, "the payload is not JSON: %s", what);
    err_mark(reader->err, reader->whole, (size_t)(at - reader->whole.data), 1);
    return PAYLOAD_BINARY;
}

static enum payload_kind limit(const struct reader *reader, const char *at, const char *what)
{
    err_set(reader->err, ERR_LIMIT, "the payload is refused: %s", what);
    err_mark(reader->err, reader->whole, (size_t)(at - reader->whole.data), 1);
    return PAYLOAD_LIMIT;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_blanks(const char *p, unsigned *verbatim)
{
    if ((unsigned char)*p > ' ')
        return p;
    *verbatim = 0;
    while (is_blank(*p))
        p++;
    return p;
}

static const char *scan_word(const char *p, const char *end, const char *word, size_t size)
{
    return (size_t)(end - p) >= size && memcmp(p, word, size) == 0 ? p + size : NULL;
}

/* ---- the tape ---- */

static bool grow(struct reader *reader)
{
    size_t room = reader->room * 2;
    struct node *nodes = arena_array(reader->arena, room, sizeof *nodes);

    if (!nodes)
        return false;
    memcpy(nodes, reader->nodes, reader->used * sizeof *nodes);
    reader->nodes = nodes;
    reader->room = room;
    return true;
}

/* Room for two more nodes: a key and its value. */
static inline bool make_room(struct reader *reader)
{
    return reader->used + 2 <= reader->room || grow(reader);
}

/* The innermost open container, while it is open. */
struct level {
    uint32_t open; /* its node, or NONE */
    uint32_t count;
    unsigned verbatim;
    bool object;
};

static void enter(struct reader *reader, struct level *here, const char *bracket)
{
    struct node *node = &reader->nodes[reader->used];
    bool object = *bracket == '{';

    if (here->open != NONE) {
        reader->nodes[here->open].count = NODE_COUNT(here->count);
        reader->nodes[here->open].verbatim = here->verbatim & BOTH_VERSIONS;
    }
    *node = (struct node){.at = (uint32_t)(bracket - reader->text.data),
                          .size = here->open,
                          .kind = object ? VALUE_OBJECT : VALUE_ARRAY};
    *here = (struct level){
        .open = (uint32_t)reader->used, .count = 0, .verbatim = BOTH_VERSIONS, .object = object};
    reader->used++;
}

/* `end` is behind the closing bracket. False: the arena's limit. */
static bool leave(struct reader *reader, struct level *here, const char *end)
{
    struct node *node = &reader->nodes[here->open];
    uint32_t around = node->size;

    node->size = (uint32_t)(end - reader->text.data) - node->at;
    node->next = (uint32_t)reader->used - here->open;
    node->count = NODE_COUNT(here->count);
    node->verbatim = here->verbatim & BOTH_VERSIONS;
    if (here->object && here->count > 1 &&
        !payload_unite_keys(reader->nodes, here->open, here->count, reader->text, reader->arena))
        return false;
    if (around == NONE) {
        here->open = NONE;
        return true;
    }
    const struct node *outer = &reader->nodes[around];

    *here = (struct level){.open = around,
                           .count = outer->count,
                           .verbatim = outer->verbatim & node->verbatim,
                           .object = outer->kind == VALUE_OBJECT};
    if (here->object)
        node[-1].next = node->next + 1;
    return true;
}

/* From the opening quote to behind the closing one; NULL with `err` filled. `next` is the node's. */
static inline const char *read_string(struct reader *reader, struct node *node, const char *p, uint32_t next)
{
    const char *base = reader->text.data;
    struct json_string *string = &reader->string;
    const char *close = json_string(p + 1, base + reader->text.size, string);

    if (!close) {
        (void)binary(reader, string->at, string->wrong);
        return NULL;
    }
    *node = (struct node){
        .at = (uint32_t)(p + 1 - base),
        .size = (uint32_t)(close - p - 1),
        .next = next,
        .kind = VALUE_STRING,
        .verbatim = string->verbatim ? BOTH_VERSIONS : 0,
        .escaped = string->escaped,
    };
    return close + 1;
}

/* An object or array that begins and ends with brackets. */
static enum payload_kind read_container(struct reader *reader)
{
    const char *base = reader->text.data, *p = base, *end = base + reader->text.size, *after;
    struct level here = {.open = NONE};
    unsigned depth = 0;
    struct node *node;

value:
    if (!make_room(reader))
        goto full;
    node = &reader->nodes[reader->used];
    switch (*p) {
    case '"':
        p = read_string(reader, node, p, 1);
        if (!p)
            return PAYLOAD_BINARY;
        break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        after = json_number(p, base, node);
        if (!after)
            return binary(reader, p, "a number that is not complete");
        p = after;
        break;
    case 't': after = scan_word(p, end, "true", 4); goto word;
    case 'f': after = scan_word(p, end, "false", 5); goto word;
    case 'n':
        after = scan_word(p, end, "null", 4);
        goto word;
    word:
        if (!after)
            return binary(reader, p, "expected true, false or null");
        *node = (struct node){
            .at = (uint32_t)(p - base),
            .size = (uint32_t)(after - p),
            .next = 1,
            .kind = *p == 'n' ? VALUE_NULL : VALUE_BOOLEAN,
            .verbatim = BOTH_VERSIONS,
        };
        p = after;
        break;
    case '{':
    case '[':
        if (++depth > PAYLOAD_DEPTH)
            return limit(reader, p, "more than 1000 brackets are open");
        enter(reader, &here, p);
        p = skip_blanks(p + 1, &here.verbatim);
        if (*p == (here.object ? '}' : ']'))
            goto close;
        if (here.object)
            goto key;
        goto value;
    default: return binary(reader, p, "expected a value");
    }
    here.verbatim &= node->verbatim;
    reader->used++;

next: /* behind a value, inside a container */
    here.count++;
    if (p == end)
        return binary(reader, p - 1, "a bracket is not closed");
    p = skip_blanks(p, &here.verbatim);
    if (*p == ',') {
        p = skip_blanks(p + 1, &here.verbatim);
        if (here.object)
            goto key;
        goto value;
    }
    if (*p != (here.object ? '}' : ']'))
        return binary(reader, p, here.object ? "expected , or }" : "expected , or ]");

close:
    p++;
    if (!leave(reader, &here, p))
        goto full;
    depth--;
    if (here.open != NONE)
        goto next;
    return p == end ? PAYLOAD_JSON : binary(reader, p, "something follows the value");

key:
    if (!make_room(reader))
        goto full;
    if (*p != '"')
        return binary(reader, p, "expected a name in quotes");
    node = &reader->nodes[reader->used];
    p = read_string(reader, node, p, 2); /* leave() corrects the 2 for a container */
    if (!p)
        return PAYLOAD_BINARY;
    here.verbatim &= node->verbatim;
    reader->used++;
    p = skip_blanks(p, &here.verbatim);
    if (*p != ':')
        return binary(reader, p, "expected :");
    p = skip_blanks(p + 1, &here.verbatim);
    goto value;

full:
    return limit(reader, p, "it takes more memory than a message may");
}

/* A bare string, number or word: rare, and binary to rules; but decode() gives its value. */
static enum payload_kind read_scalar(struct reader *reader, struct value *root)
{
    const char *p = reader->text.data, *end = p + reader->text.size, *rest;
    struct node node;

    switch (*p) {
    case '"':
        rest = read_string(reader, &node, p, 1);
        if (!rest)
            return PAYLOAD_BINARY;
        *root = node_value(&node, p);
        break;
    case 't':
    case 'f':
        rest = *p == 't' ? scan_word(p, end, "true", 4) : scan_word(p, end, "false", 5);
        *root = value_boolean(*p == 't');
        break;
    case 'n':
        rest = scan_word(p, end, "null", 4);
        *root = value_null();
        break;
    default: {
        /* json_number wants something behind the digits */
        char *copy = arena_text(reader->arena, reader->text);

        if (!copy)
            return limit(reader, p, "it takes more memory than a message may");
        const char *stop = json_number(copy, copy, &node);
        rest = stop ? p + (stop - copy) : NULL;
        if (rest)
            *root = node_value(&node, copy);
    }
    }
    if (!rest)
        return binary(reader, p, "it begins with no value");
    return rest == end ? PAYLOAD_SCALAR : binary(reader, rest, "something follows the value");
}

enum payload_kind payload_read(struct span text, struct arena *arena, struct value *root, struct err *err)
{
    struct reader reader = {.whole = text, .arena = arena, .err = err};

    *root = VALUE_NOTHING;
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    while (text.size && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    if (text.size == 0)
        return PAYLOAD_EMPTY;
    if (text.size >= UINT32_MAX / 2)
        return limit(&reader, text.data, "it is longer than 2 GiB");
    reader.text = text;

    char first = text.data[0], last = text.data[text.size - 1];
    if (first != '{' && first != '[')
        return read_scalar(&reader, root);
    if (last != (first == '{' ? '}' : ']')) /* the reader relies on it */
        return binary(&reader, text.data + text.size - 1,
                      first == '{' ? "it does not end with }" : "it does not end with ]");

    /* Usual payloads have a node for every six bytes or more. */
    reader.room = text.size / 6 + 16;
    reader.nodes = arena_array(arena, reader.room, sizeof *reader.nodes);
    if (!reader.nodes)
        return limit(&reader, text.data, "it takes more memory than a message may");
    enum payload_kind kind = read_container(&reader);
    if (kind == PAYLOAD_JSON)
        *root = node_value(reader.nodes, text.data);
    return kind;
}
