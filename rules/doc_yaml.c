/* doc_yaml.c - YAML 1.2 (core schema), read from libyaml's events.
 *
 * What has no use in a rule or a configuration and is a way to surprise or to attack is refused with a
 * sentence: aliases and anchors, tags, several documents, keys that are no scalars, duplicate keys. */
#include "doc.h"

#include <stdio.h>
#include <yaml.h>

struct reader {
    struct doc *doc;
    struct doc_cursor cursor; /* events come in the order of the text */
    struct doc_node *parent;
    struct span key; /* of the value to come; data NULL: a key is due in a map */
    struct pos key_pos;
};

static int broken(const struct doc *doc, const yaml_parser_t *parser, struct err *err)
{
    struct doc_cursor cursor = DOC_CURSOR_INIT;
    struct pos pos = doc_cursor_char(&cursor, doc->source, parser->problem_mark.index);
    const char *problem = parser->problem ? parser->problem : "cannot be read";

    if (parser->error == YAML_MEMORY_ERROR)
        return err_memory(err);
    if (parser->error == YAML_READER_ERROR) {
        /* Counted in bytes, unlike everything else. */
        struct doc_cursor at = DOC_CURSOR_INIT;
        return err_at(err, ERR_SYNTAX, doc_cursor_byte(&at, doc->source, parser->problem_offset),
                      "not valid YAML: %s (character U+%04X)", problem, (unsigned)parser->problem_value);
    }
    if (cursor.at < doc->source.size && doc->source.data[cursor.at] == '\t')
        return err_at(err, ERR_SYNTAX, pos, "a tab: YAML indents with blanks");
    if (cursor.at > 0 && cursor.at < doc->source.size && doc->source.data[cursor.at] == '{' &&
        doc->source.data[cursor.at - 1] == '$')
        return err_at(err, ERR_SYNTAX, pos, "inside { } or [ ] a value that holds ${...} stands in quotes");
    if (strstr(problem, "mapping values are not allowed"))
        return err_at(
            err, ERR_SYNTAX, pos,
            "not valid YAML: a second ':' on this line, or a wrong indentation (a value that holds ': ' "
            "stands in quotes)");
    if (parser->context)
        return err_at(err, ERR_SYNTAX, pos, "not valid YAML: %s %s (which starts in line %zu)", problem,
                      parser->context, parser->context_mark.line + 1);
    return err_at(err, ERR_SYNTAX, pos, "not valid YAML: %s", problem);
}

static bool is_one_of(struct span text, const char *const *words)
{
    for (; *words; words++)
        if (span_is(text, *words))
            return true;
    return false;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?, which is JSON's. YAML's own hexadecimal, octal, +1, .5,
 * .inf stay text: here they would be a mistake in either reading. */
static bool is_number(struct span text)
{
    size_t i = 0, from;

#define DIGITS                                                                                               \
    for (from = i; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {                       \
    }                                                                                                        \
    if (i == from)                                                                                           \
        return false;
    if (i < text.size && text.data[i] == '-')
        i++;
    DIGITS
    if (i - from > 1 && text.data[from] == '0')
        return false;
    if (i < text.size && text.data[i] == '.') {
        i++;
        DIGITS
    }
    if (i < text.size && (text.data[i] == 'e' || text.data[i] == 'E')) {
        i++;
        if (i < text.size && (text.data[i] == '-' || text.data[i] == '+'))
            i++;
        DIGITS
    }
#undef DIGITS
    return i == text.size;
}

static void type_plain(struct doc_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};

    node->on = is_one_of(node->text, trues);
    if (is_one_of(node->text, nulls))
        node->type = DOC_NULL;
    else if (node->on || is_one_of(node->text, falses))
        node->type = DOC_BOOL;
    else if (is_number(node->text))
        node->type = DOC_NUMBER;
}

/* The node that an event begins, hung where it belongs. NULL with `err`, or, with `*is_key`, when the scalar
 * was a key. */
static struct doc_node *begin(struct reader *reader, const yaml_event_t *event, struct pos pos,
                              struct err *err)
{
    struct doc_node *node = doc_add(reader->doc, reader->parent, pos, err);

    if (!node)
        return NULL;
    node->at = reader->cursor.at;
    (void)doc_cursor_char(&reader->cursor, reader->doc->source, event->end_mark.index);
    node->end = reader->cursor.at;
    node->key = reader->key;
    node->key_pos = reader->key_pos;
    reader->key = (struct span){NULL, 0};
    return node;
}

static int take_key(struct reader *reader, struct span text, struct pos pos, struct err *err)
{
    for (struct doc_node *member = reader->parent->first; member; member = member->next)
        if (span_equal(member->key, text))
            return err_at(err, ERR_SYNTAX, pos, "this key is there twice (the first is in line %u)",
                          member->key_pos.line);
    reader->key = text;
    reader->key_pos = pos;
    return 0;
}

static int take_scalar(struct reader *reader, const yaml_event_t *event, struct pos pos, struct err *err)
{
    struct span value = {(const char *)event->data.scalar.value, event->data.scalar.length};

    if (value.size && memchr(value.data, '\0', value.size))
        return err_at(err, ERR_SYNTAX, pos, "the character \\0 has no place in a rule or a configuration");
    struct span text = {arena_text(&reader->doc->arena, value), value.size};
    if (!text.data)
        return err_memory(err);
    if (reader->parent && reader->parent->type == DOC_MAP && !reader->key.data)
        return take_key(reader, text, pos, err);

    struct doc_node *node = begin(reader, event, pos, err);
    if (!node)
        return -1;
    node->type = DOC_STRING;
    node->text = text;
    switch (event->data.scalar.style) {
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE: node->style = DOC_DOUBLE; break;
    case YAML_SINGLE_QUOTED_SCALAR_STYLE: node->style = DOC_SINGLE; break;
    case YAML_LITERAL_SCALAR_STYLE:
    case YAML_FOLDED_SCALAR_STYLE: node->style = DOC_BLOCK; break;
    default:
        node->style = DOC_PLAIN;
        type_plain(node);
        break;
    }
    return 0;
}

static int take_collection(struct reader *reader, const yaml_event_t *event, enum doc_type type,
                           struct pos pos, struct err *err)
{
    if (reader->parent && reader->parent->type == DOC_MAP && !reader->key.data)
        return err_at(err, ERR_SYNTAX, pos, "a key is %s: keys are names here%s", doc_type_name(type),
                      type == DOC_MAP ? " (a value that starts with ${ stands in quotes)" : "");
    struct doc_node *node = begin(reader, event, pos, err);
    if (!node)
        return -1;
    node->type = type;
    reader->parent = node;
    return 0;
}

static const unsigned char *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return event->data.mapping_start.anchor;
    default: return NULL;
    }
}

static const unsigned char *tag_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT: return event->data.mapping_start.tag;
    default: return NULL;
    }
}

static int take(struct reader *reader, const yaml_event_t *event, struct err *err)
{
    struct pos pos = doc_cursor_char(&reader->cursor, reader->doc->source, event->start_mark.index);

    if (event->type == YAML_ALIAS_EVENT || anchor_of(event))
        return err_at(
            err, ERR_UNSUPPORTED, pos,
            "anchors (&name) and aliases (*name) are not read: write the value out, or in quotes if it is "
            "text");
    if (tag_of(event))
        return err_at(err, ERR_UNSUPPORTED, pos,
                      "tags (!name) are not read: leave it away, or put the value in quotes if it is text");
    switch (event->type) {
    case YAML_SCALAR_EVENT: return take_scalar(reader, event, pos, err);
    case YAML_SEQUENCE_START_EVENT: return take_collection(reader, event, DOC_LIST, pos, err);
    case YAML_MAPPING_START_EVENT: return take_collection(reader, event, DOC_MAP, pos, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->parent->end = reader->cursor.at;
        reader->parent = reader->parent->parent;
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (reader->doc->root)
            return err_at(err, ERR_UNSUPPORTED, pos, "a second document (after ---): one file holds one");
        return 0;
    default: return 0;
    }
}

int doc_read_yaml(struct doc *doc, struct err *err)
{
    struct reader reader = {.doc = doc, .cursor = DOC_CURSOR_INIT};
    yaml_parser_t parser;
    int result = 0;

    if (!yaml_parser_initialize(&parser))
        return err_memory(err);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)doc->source.data, doc->source.size);
    for (bool more = true; more && result == 0;) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            result = broken(doc, &parser, err);
            break;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        result = take(&reader, &event, err);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (result == 0 && (!doc->root || doc->root->type == DOC_NULL))
        return err_set(err, ERR_SYNTAX, "the file is empty");
    return result;
}
