/* reader.h - what the files of this room share while a rule document becomes a rule. */
#ifndef RULES_READER_H
#define RULES_READER_H

#include "doc.h"
#include "rules/rule.h"

#include <stdint.h>
#include <stdlib.h>

/* kafka.defaults and kafka.destinations, compiled once for a whole set; rules share them. Reference counted.
 */
struct shared_settings;
struct shared_settings *shared_settings_new(const struct rule_defaults *defaults, struct report *report);
struct shared_settings *shared_settings_ref(struct shared_settings *shared);
void shared_settings_free(struct shared_settings *shared);
size_t shared_settings_count(const struct shared_settings *shared);
/* The i-th; `*arn` is the destination it belongs to, NULL: every rule. Borrowed. */
const struct rule_setting *shared_settings_at(const struct shared_settings *shared, size_t index,
                                              const char **arn);

struct reader {
    struct doc doc;
    const char *file;
    const struct rule_options *options;
    struct shared_settings *shared; /* NULL: none */
    struct report *report;
    enum sql_version version;
    struct sql_program *program; /* NULL: missing or refused */
    bool failed;                 /* refused for a reason that an earlier rule has reported already */
};

/* Findings about a node: file, path and place are filled in. */
void reader_error(struct reader *reader, const struct doc_node *node, enum err_code code, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
void reader_warn(struct reader *reader, const struct doc_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* About the node's key rather than its value. */
void reader_key_error(struct reader *reader, const struct doc_node *member, enum err_code code,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void reader_memory(struct reader *reader);

/* A finding made inside a string (a statement, a template): `err->pos` counts within it and becomes the
 * file's. */
void reader_inside(struct reader *reader, const struct doc_node *string, enum severity severity,
                   struct err *err);

/* True if the node is of that type; else an error that says what was expected. */
bool reader_expect(struct reader *reader, const struct doc_node *node, enum doc_type type);

/* Refuse members whose key is none of `names` (ended by NULL). */
void reader_check_keys(struct reader *reader, const struct doc_node *map, const char *const *names);

/* A copy on the heap, terminated; NULL (reported) when memory is out. */
char *reader_copy(struct reader *reader, struct span text);

/* Free what we own and show to others as const. */
static inline void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

/* Compile the string as a template. NULL: reported. */
struct sql_template *reader_template(struct reader *reader, const struct doc_node *string);

/* Fill `action` from {"kafka": {...}}. `index` is its place, SIZE_MAX for the error action. False when the
 * rule cannot be accepted (reported); what was filled in is freed by rule_action_done in any case. */
bool rule_action_read(struct reader *reader, const struct doc_node *object, size_t index,
                      struct rule_action *action);
void rule_action_done(struct rule_action *action);

/* True for the name of an action that AWS has. */
bool aws_action_known(struct span name);
const char *aws_action_name(const void *context, size_t index); /* for nearest() */

#endif
