#include "doc.h"

#include "base/utf8.h"

#include <stdio.h>

enum { DOC_MEMORY_MAX = 64 << 20 };

static bool ends_with(const char *text, const char *ending)
{
    size_t size = strlen(text), tail = strlen(ending);

    return size >= tail && strcasecmp(text + size - tail, ending) == 0;
}

enum doc_format doc_format_of(const char *file, struct span text)
{
    if (file && ends_with(file, ".json"))
        return DOC_JSON;
    if (file && (ends_with(file, ".yaml") || ends_with(file, ".yml")))
        return DOC_YAML;
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \t\r\n", text.data[i]))
            return text.data[i] == '{' ? DOC_JSON : DOC_YAML;
    return DOC_YAML;
}

int doc_read(struct doc *doc, struct span text, enum doc_format format, struct err *err)
{
    static const char bom[] = "\xef\xbb\xbf";

    *doc = (struct doc){0};
    arena_init(&doc->arena, DOC_MEMORY_MAX);
    if (span_starts_with(text, bom))
        text = (struct span){text.data + 3, text.size - 3};
    doc->source = text;
    if (text.size > DOC_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file is larger than 1 MiB");

    size_t valid = utf8_valid(text);
    if (valid < text.size) {
        struct doc_cursor cursor = DOC_CURSOR_INIT;

        return err_at(err, ERR_SYNTAX, doc_cursor_byte(&cursor, text, valid), "byte 0x%02x is not UTF-8 text",
                      (unsigned char)text.data[valid]);
    }
    if (text.size == 0)
        return err_set(err, ERR_SYNTAX, "the file is empty");
    const char *nul = memchr(text.data, '\0', text.size); /* jansson would pass over it */
    if (nul) {
        struct doc_cursor cursor = DOC_CURSOR_INIT;

        return err_at(err, ERR_SYNTAX, doc_cursor_byte(&cursor, text, (size_t)(nul - text.data)),
                      "a NUL byte: this is no text");
    }
    return format == DOC_JSON ? doc_read_json(doc, err) : doc_read_yaml(doc, err);
}

void doc_done(struct doc *doc)
{
    arena_done(&doc->arena);
    *doc = (struct doc){0};
}

struct doc_node *doc_add(struct doc *doc, struct doc_node *parent, struct pos pos, struct err *err)
{
    struct doc_node *node;
    size_t depth = 0;

    for (struct doc_node *up = parent; up; up = up->parent)
        depth++;
    if (depth > DOC_DEPTH_MAX) {
        err_at(err, ERR_LIMIT, pos, "nested more than %d levels deep", DOC_DEPTH_MAX);
        return NULL;
    }
    if (doc->nodes == DOC_NODES_MAX) {
        err_at(err, ERR_LIMIT, pos, "more than %d values in one file", DOC_NODES_MAX);
        return NULL;
    }
    if (parent && parent->type == DOC_MAP && parent->count == DOC_MEMBERS_MAX) {
        err_at(err, ERR_LIMIT, pos, "more than %d members in one object", DOC_MEMBERS_MAX);
        return NULL;
    }
    node = arena_alloc(&doc->arena, sizeof *node);
    if (!node) {
        err_memory(err);
        return NULL;
    }
    doc->nodes++;
    *node = (struct doc_node){.parent = parent, .pos = pos};
    if (!parent) {
        doc->root = node;
        return node;
    }
    node->index = parent->count++;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    return node;
}

struct doc_node *doc_get(const struct doc_node *map, const char *key)
{
    for (struct doc_node *member = map->first; member; member = member->next)
        if (member->key.data && span_is(member->key, key))
            return member;
    return NULL;
}

static bool is_plain_name(struct span key)
{
    for (size_t i = 0; i < key.size; i++)
        if (!((key.data[i] >= 'a' && key.data[i] <= 'z') || (key.data[i] >= 'A' && key.data[i] <= 'Z') ||
              (key.data[i] >= '0' && key.data[i] <= '9') || strchr("_-.", key.data[i])))
            return false;
    return key.size > 0;
}

const char *doc_path(const struct doc *doc, const struct doc_node *node, char out[DOC_PATH_MAX])
{
    const struct doc_node *way[DOC_DEPTH_MAX + 2];
    size_t depth = 0, size = 0;

    for (; node && node != doc->root && depth < DOC_DEPTH_MAX + 2; node = node->parent)
        way[depth++] = node;
    out[0] = '\0';
    while (depth > 0 && size + 1 < DOC_PATH_MAX) {
        const struct doc_node *step = way[--depth];
        int wrote;

        if (!step->key.data)
            wrote = snprintf(out + size, DOC_PATH_MAX - size, "[%zu]", step->index);
        else if (is_plain_name(step->key))
            wrote = snprintf(out + size, DOC_PATH_MAX - size, "%s" SPAN_FMT, size ? "." : "",
                             SPAN_ARG(step->key));
        else
            wrote = snprintf(out + size, DOC_PATH_MAX - size, "[\"" SPAN_FMT "\"]", SPAN_ARG(step->key));
        size += wrote > 0 ? (size_t)wrote : 0;
    }
    /* A key is the user's text: nothing in it may reach a terminal as a command. */
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return out;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Decode the escape at `raw` (a backslash first). Returns its length in the source; `*solid` is how many
 * bytes of the decoded text it makes that are no blanks. */
static size_t escape_length(struct span raw, size_t *solid)
{
    static const struct {
        char letter;
        size_t digits;
    } hex[] = {{'x', 2}, {'u', 4}, {'U', 8}};
    uint32_t code = 0;
    char out[4];

    *solid = 0;
    if (raw.size < 2)
        return raw.size;
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++) {
        if (raw.data[1] != hex[i].letter || raw.size < 2 + hex[i].digits)
            continue;
        for (size_t d = 0; d < hex[i].digits; d++) {
            char c = raw.data[2 + d];

            code = code << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        if (code >= 0xd800 && code <= 0xdfff)
            *solid = 2; /* half of a pair: four bytes for both */
        else
            *solid = code == ' ' || (code >= 9 && code <= 13) ? 0 : utf8_encode(code, out);
        return 2 + hex[i].digits;
    }
    if (!strchr(" \ttnrvf\r\n", raw.data[1]))
        *solid = strchr("NL_P", raw.data[1]) ? (raw.data[1] == 'N' || raw.data[1] == '_' ? 2 : 3) : 1;
    return 2;
}

/* How many bytes of `text` are no blanks. */
static size_t count_solid(struct span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += !is_blank(text.data[i]) && text.data[i] != '\v' && text.data[i] != '\f';
    return count;
}

struct pos doc_place(const struct doc *doc, const struct doc_node *string, size_t offset)
{
    struct doc_cursor cursor = DOC_CURSOR_INIT;
    size_t at = string->at, end = string->end;

    if (string->type != DOC_STRING || end > doc->source.size)
        return string->pos;
    if (offset > string->text.size)
        offset = string->text.size;
    while (offset > 0 && offset < string->text.size &&
           ((unsigned char)string->text.data[offset] & 0xc0) == 0x80)
        offset--; /* to the start of its character */
    size_t want = count_solid((struct span){string->text.data, offset});
    bool is_end = want == count_solid(string->text);
    if (string->style == DOC_DOUBLE || string->style == DOC_SINGLE) {
        at++;
        end--;
    } else if (string->style == DOC_BLOCK) { /* the header: "|", "|2-", "> # words" */
        while (at < end && doc->source.data[at] != '\n')
            at++;
    }

    /* Characters that are no blanks come out of any style in the order they went in. */
    for (size_t solid; at < end; want -= solid < want ? solid : want) {
        struct span raw = {doc->source.data + at, end - at};
        size_t length = 1;

        solid = !is_blank(raw.data[0]);
        if (string->style == DOC_DOUBLE && raw.data[0] == '\\')
            length = escape_length(raw, &solid);
        else if (string->style == DOC_SINGLE && raw.size > 1 && raw.data[0] == '\'')
            length = 2;
        if (want == 0 && (solid || is_end))
            break;
        at += length;
    }
    return doc_cursor_byte(&cursor, doc->source, at < end ? at : end);
}

const char *doc_type_name(enum doc_type type)
{
    switch (type) {
    case DOC_NULL: return "nothing (null)";
    case DOC_BOOL: return "true or false";
    case DOC_NUMBER: return "a number";
    case DOC_STRING: return "a string";
    case DOC_LIST: return "a list";
    case DOC_MAP: return "an object";
    }
    return "";
}

static void cursor_step(struct doc_cursor *cursor, struct span source)
{
    if (source.data[cursor->at] == '\n') {
        cursor->pos.line++;
        cursor->pos.column = 1;
        cursor->at++;
    } else {
        uint32_t code;
        size_t length = utf8_decode((struct span){source.data + cursor->at, source.size - cursor->at}, &code);

        cursor->at += length ? length : 1;
        cursor->pos.column++;
    }
    cursor->chars++;
}

struct pos doc_cursor_byte(struct doc_cursor *cursor, struct span source, size_t offset)
{
    while (cursor->at < offset && cursor->at < source.size)
        cursor_step(cursor, source);
    return cursor->pos;
}

struct pos doc_cursor_char(struct doc_cursor *cursor, struct span source, size_t index)
{
    while (cursor->chars < index && cursor->at < source.size)
        cursor_step(cursor, source);
    return cursor->pos;
}
