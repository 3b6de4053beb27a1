/* sql/scope.h - what one thread needs to evaluate: the arena, the current message, the caches. */
#ifndef SQL_SCOPE_H
#define SQL_SCOPE_H

#include "payload.h"
#include "sql/sql.h"
#include "value.h"

enum { SQL_VARIABLES = 10 }; /* SET variables in one statement, AWS's limit */

struct pattern_cache; /* func_regex.c: compiled regular expressions by text, bounded, kept over messages */
struct time_cache;    /* func_time.c: formatters by pattern and zone, bounded */
struct digest_cache;  /* func_digest.c: OpenSSL's contexts */

/* Where the field of a large object was found: queries over an array look for the same one again and again.
 */
struct field_seen {
    const struct node *object;
    struct span name; /* of the program, so that its address tells it */
    struct value found;
};

enum { FIELDS_SEEN = 16 };

struct sql_scope {
    const struct sql_host *host; /* borrowed */
    struct sql_limits limits;
    struct arena arena; /* reset by sql_scope_begin */

    struct sql_message message; /* a shallow copy; spans borrowed */
    bool payload_is_read;
    enum payload_kind payload_kind;
    struct value payload;    /* root, when JSON or scalar */
    struct err *payload_err; /* in the arena, or NULL */

    const struct sql_program *variables_of; /* whose SET variables these are */
    struct value variables[SQL_VARIABLES];
    size_t variables_room; /* bytes that further ones may take */

    bool any_field_seen;
    struct field_seen fields_seen[FIELDS_SEEN];

    uint64_t steps; /* left for the current statement or template */

    struct pattern_cache *patterns; /* made on first use; freed by pattern_cache_free */
    struct time_cache *times;
    struct digest_cache *digests;
};

/* Read the payload if that has not been done for this message. */
enum payload_kind scope_payload(struct sql_scope *scope);

/* Charge `steps` of work, as loops over long data should. False, with `err`, when the budget is used up. */
bool scope_charge(struct sql_scope *scope, uint64_t steps, struct err *err);

/* value_member for data of any size: what must be searched is charged for. Return 0, or -1 with `err`.
 * scope_field is for names that live as long as the message, as those of a program do: it remembers. */
int scope_field(struct sql_scope *scope, const struct value *object, struct span name, struct value *out,
                struct err *err);
int scope_member(struct sql_scope *scope, const struct value *object, struct span name, struct value *out,
                 struct err *err);

void pattern_cache_free(struct pattern_cache *cache); /* NULL is a no-op */
void time_cache_free(struct time_cache *cache);
void digest_cache_free(struct digest_cache *cache);

#endif
