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
    struct span text;
    struct arena *arena;
    struct err *err;
    struct node *nodes;
    size_t used, room;
};

static enum payload_kind binary(const struct reader *reader, const char *at, const char *what)
{
    size_t offset = (size_t)(at - reader->text.data);

    err_set(reader->err, ERR_SYNTAX, "the payload is not JSON: %s", what);
    err_mark(reader->err, reader->text, offset, 1);
    return PAYLOAD_BINARY;
}

static enum payload_kind limit(const struct reader *reader, const char *at, const char *what)
{
    err_set(reader->err, ERR_LIMIT, "the payload is refused: %s", what);
    err_mark(reader->err, reader->text, (size_t)(at - reader->text.data), 1);
    return PAYLOAD_LIMIT;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
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

/* An object or array that begins and ends with brackets. */
static enum payload_kind read_container(struct reader *reader)
{
    const char *base = reader->text.data, *p = base, *end = base + reader->text.size, *at, *wrong;
    uint32_t open = NONE;              /* the innermost open container */
    uint32_t count = 0, depth = 0;     /* of that */
    unsigned verbatim = BOTH_VERSIONS; /* of that */
    bool in_object = false;
    struct json_escapes escapes;
    struct node *node;

value:
    if (reader->used + 2 > reader->room && !grow(reader))
        goto full;
    node = &reader->nodes[reader->used];
    switch (*p) {
    case '"': {
        const char *close = json_string(p + 1, end, &escapes, &at, &wrong);

        if (!close)
            return binary(reader, at, wrong);
        *node = (struct node){
            .at = (uint32_t)(p + 1 - base),
            .size = (uint32_t)(close - p - 1),
            .next = 1,
            .kind = VALUE_STRING,
            .verbatim = escapes.verbatim ? BOTH_VERSIONS : 0,
            .escaped = escapes.any,
        };
        verbatim &= node->verbatim;
        p = close + 1;
        break;
    }
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
        at = json_number(p, base, node);
        if (!at)
            return binary(reader, p, "a number that is not complete");
        p = at;
        verbatim &= node->verbatim;
        break;
    case 't': at = scan_word(p, end, "true", 4); goto word;
    case 'f': at = scan_word(p, end, "false", 5); goto word;
    case 'n': at = scan_word(p, end, "null", 4); goto word;
    case '{':
    case '[':
        if (++depth > PAYLOAD_DEPTH)
            return limit(reader, p, "more than 1000 brackets are open");
        if (open != NONE) {
            reader->nodes[open].count = NODE_COUNT(count);
            reader->nodes[open].verbatim = verbatim & BOTH_VERSIONS;
        }
        in_object = *p == '{';
        *node = (struct node){
            .at = (uint32_t)(p - base), .size = open, .kind = in_object ? VALUE_OBJECT : VALUE_ARRAY};
        open = (uint32_t)reader->used++;
        count = 0;
        verbatim = BOTH_VERSIONS;
        p = skip_blanks(p + 1, &verbatim);
        if (*p == (in_object ? '}' : ']'))
            goto close;
        if (in_object)
            goto key;
        goto value;
    default:
        return binary(reader, p, p == base ? "it begins with no value" : "expected a value");
    word:
        if (!at)
            return binary(reader, p, "expected true, false or null");
        *node = (struct node){
            .at = (uint32_t)(p - base),
            .size = (uint32_t)(at - p),
            .next = 1,
            .kind = *p == 'n' ? VALUE_NULL : VALUE_BOOLEAN,
            .verbatim = BOTH_VERSIONS,
        };
        p = at;
        break;
    }
    reader->used++;

after: /* a value, inside a container */
    count++;
    if (p == end)
        return binary(reader, p - 1, "a bracket is not closed");
    p = skip_blanks(p, &verbatim);
    if (*p == ',') {
        p = skip_blanks(p + 1, &verbatim);
        if (!in_object)
            goto value;
        goto key;
    }
    if (*p != (in_object ? '}' : ']'))
        return binary(reader, p, in_object ? "expected , or }" : "expected , or ]");

close:
    p++;
    node = &reader->nodes[open];
    uint32_t around = node->size;
    node->size = (uint32_t)(p - base) - node->at;
    node->next = (uint32_t)reader->used - open;
    node->count = NODE_COUNT(count);
    node->verbatim = verbatim & BOTH_VERSIONS;
    if (in_object && count > 1 &&
        !payload_unite_keys(reader->nodes, open, count, reader->text, reader->arena))
        goto full;
    verbatim = node->verbatim;
    if (around == NONE) {
        if (p != end)
            return binary(reader, p, "something follows the value");
        return PAYLOAD_JSON;
    }
    in_object = reader->nodes[around].kind == VALUE_OBJECT;
    if (in_object)
        node[-1].next = node->next + 1;
    verbatim &= reader->nodes[around].verbatim;
    count = reader->nodes[around].count;
    open = around;
    depth--;
    goto after;

key:
    if (reader->used + 2 > reader->room && !grow(reader))
        goto full;
    if (*p != '"')
        return binary(reader, p, "expected a name in quotes");
    {
        const char *close = json_string(p + 1, end, &escapes, &at, &wrong);

        if (!close)
            return binary(reader, at, wrong);
        reader->nodes[reader->used++] = (struct node){
            .at = (uint32_t)(p + 1 - base),
            .size = (uint32_t)(close - p - 1),
            .next = 2, /* for a container, corrected when it closes */
            .kind = VALUE_STRING,
            .verbatim = escapes.verbatim ? BOTH_VERSIONS : 0,
            .escaped = escapes.any,
        };
        if (!escapes.verbatim)
            verbatim = 0;
        p = skip_blanks(close + 1, &verbatim);
        if (*p != ':')
            return binary(reader, p, "expected :");
        p = skip_blanks(p + 1, &verbatim);
        goto value;
    }

full:
    return limit(reader, p, "it takes more memory than a message may");
}

/* A bare string, number or word: rare, and binary to rules; but decode() gives its value. */
static enum payload_kind read_scalar(struct reader *reader, struct value *root)
{
    const char *p = reader->text.data, *end = p + reader->text.size, *at = p, *wrong, *rest;
    struct node node;

    switch (*p) {
    case '"': {
        struct json_escapes escapes;

        rest = json_string(p + 1, end, &escapes, &at, &wrong);
        if (!rest)
            return binary(reader, at, wrong);
        *root = value_string((struct span){p + 1, (size_t)(rest - p - 1)});
        root->form = escapes.any ? FORM_RAW : FORM_PLAIN;
        root->verbatim = escapes.verbatim ? BOTH_VERSIONS : 0;
        rest++;
        break;
    }
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
    struct reader reader = {.text = text, .arena = arena, .err = err};
    const char *from = text.data, *to = text.data + text.size;

    *root = VALUE_NOTHING;
    while (from < to && is_blank(*from))
        from++;
    while (from < to && is_blank(to[-1]))
        to--;
    if (from == to)
        return PAYLOAD_EMPTY;
    if (text.size >= UINT32_MAX / 2)
        return limit(&reader, text.data, "it is longer than 2 GiB");
    struct span trimmed = {from, (size_t)(to - from)};
    reader.text = trimmed;
    if (*from != '{' && *from != '[')
        return read_scalar(&reader, root);
    if (to[-1] != (*from == '{' ? '}' : ']')) /* the reader relies on it */
        return binary(&reader, to - 1, *from == '{' ? "it does not end with }" : "it does not end with ]");

    /* Usual payloads have a node for every six bytes or more. */
    reader.room = trimmed.size / 6 + 16;
    reader.nodes = arena_array(arena, reader.room, sizeof *reader.nodes);
    if (!reader.nodes)
        return limit(&reader, from, "it takes more memory than a message may");
    enum payload_kind kind = read_container(&reader);
    if (kind == PAYLOAD_JSON)
        *root = node_value(reader.nodes, from);
    return kind;
}
