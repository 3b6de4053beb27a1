/* doc.h - a JSON or YAML text as one small tree that knows where everything stands.
 *
 * jansson and libyaml decide what the text means; this tree keeps what they drop: the place of every value,
 * so that a mistake can be shown in the file the user wrote. Text with hostile shapes is refused on the way
 * in: depth, number of values, aliases, duplicate keys. */
#ifndef RULES_DOC_H
#define RULES_DOC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    DOC_DEPTH_MAX = 32,
    DOC_NODES_MAX = 50000,
    DOC_MEMBERS_MAX = 2000, /* of one object */
    DOC_SIZE_MAX = 1 << 20, /* bytes of one file */
    DOC_PATH_MAX = sizeof(((struct err *)0)->path),
};

enum doc_type { DOC_NULL, DOC_BOOL, DOC_NUMBER, DOC_STRING, DOC_LIST, DOC_MAP };

/* How a string is written, which says how its characters map to the file's. */
enum doc_style { DOC_PLAIN, DOC_DOUBLE, DOC_SINGLE, DOC_BLOCK };

struct doc_node {
    enum doc_type type;
    enum doc_style style;
    bool on;          /* BOOL */
    struct span key;  /* of a map's member; data NULL in a list and at the root */
    struct span text; /* STRING: decoded; NUMBER, BOOL, NULL: as written. Terminated, without NUL inside */
    struct pos pos, key_pos;
    size_t at, end; /* bytes of the value in the source, quotes included */
    size_t index;   /* place among the parent's children */
    size_t count;   /* LIST, MAP */
    struct doc_node *parent, *first, *last, *next;
};

struct doc {
    struct arena arena;    /* everything below */
    struct span source;    /* borrowed, without a byte order mark */
    struct doc_node *root; /* the value that counts; paths start here */
    size_t nodes;
};

enum doc_format { DOC_JSON, DOC_YAML };

/* By the ending of `file`; without one that is known, by the first character of the text. */
enum doc_format doc_format_of(const char *file, struct span text);

/* Read `text`, which must outlive `doc`. 0, or -1 with `err` (pos set where there is one). In both cases
 * doc_done. */
int doc_read(struct doc *doc, struct span text, enum doc_format format, struct err *err);
void doc_done(struct doc *doc);

/* The member, or NULL. */
struct doc_node *doc_get(const struct doc_node *map, const char *key);

/* "actions[0].kafka.topic" into `out`. The root is "". Returns `out`. */
const char *doc_path(const struct doc *doc, const struct doc_node *node, char out[DOC_PATH_MAX]);

/* Where the byte `offset` of a string's decoded text stands in the file. Blanks may be counted to the next
 * character that is none: folding and indentation leave no more certain trace. */
struct pos doc_place(const struct doc *doc, const struct doc_node *string, size_t offset);

/* "a string", "a list", for messages. */
const char *doc_type_name(enum doc_type type);

/* ---- for the two readers (doc_json.c, doc_yaml.c) */

int doc_read_json(struct doc *doc, struct err *err);
int doc_read_yaml(struct doc *doc, struct err *err);

/* A new last child of `parent` (NULL: the root). NULL with `err` when a limit is met or memory is out. `pos`
 * is for the message. */
struct doc_node *doc_add(struct doc *doc, struct doc_node *parent, struct pos pos, struct err *err);

/* A cursor that turns byte offsets of the source, asked in ascending order, into positions. */
struct doc_cursor {
    size_t at, chars;
    struct pos pos;
};
#define DOC_CURSOR_INIT ((struct doc_cursor){.pos = {1, 1}})
struct pos doc_cursor_byte(struct doc_cursor *cursor, struct span source, size_t offset);
/* The same by number of characters; afterwards `cursor->at` is the byte. */
struct pos doc_cursor_char(struct doc_cursor *cursor, struct span source, size_t index);

#endif
