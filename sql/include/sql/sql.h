/* sql/sql.h - the AWS IoT SQL dialect: text -> program -> outgoing payload. What the rooms above may use.
 *
 * The room is pure: no I/O, no clock, no globals that change. What depends on the world comes through
 * `struct sql_host`, what depends on the message through `struct sql_message`.
 *
 *     struct sql_program *program = sql_compile(text, SQL_2016_03_23, &report, &err);   once, at load
 *     struct sql_template *topic = sql_template_compile(text, program, &err);           once, at load
 *     struct sql_scope *scope = sql_scope_new(&host, limits, &err);                     once per thread
 *
 *     sql_scope_begin(scope, &message);                                                 for every message
 *     switch (sql_run(program, scope, &out, &err)) ...                                  for every rule of it
 *     sql_template_expand(topic, scope, &text, &err);                                   for each of its
 * templates
 *
 * Programs and templates are immutable and may be shared by threads; a scope belongs to one thread. Nothing
 * is taken from the heap per message once a scope is warm, except by OpenSSL 3.0, once for a digest.
 * The dialect: docs/sql.md. */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/report.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql_program;
struct sql_template;
struct sql_scope;

enum sql_version { SQL_2015_10_08, SQL_2016_03_23 };

/* "2015-10-08", "2016-03-23", "beta" (taken as 2016-03-23). False for any other text. */
bool sql_version_parse(struct span text, enum sql_version *version);
const char *sql_version_name(enum sql_version version);

/* ---- the world, as the engine lends it ---- */

enum sql_secret_type { SQL_SECRET_STRING, SQL_SECRET_BINARY };

struct sql_secret_query {
    struct span id;
    enum sql_secret_type type;
    struct span key; /* data NULL: the whole secret */
    struct span role_arn;
    bool computed; /* the arguments are no constants: a message may have chosen them */
};

struct sql_host {
    void *context;
    int64_t (*now_ms)(void *context);                        /* epoch milliseconds */
    void (*random)(void *context, void *bytes, size_t size); /* good randomness: uuids */
    /* The secret's text in `*out` (base64 for BINARY, as AWS gives it), valid until sql_scope_begin. Returns
     * 0, or -1 with `err` (ERR_SECRET; the id may be named, the value never). NULL: no secrets here. */
    int (*secret)(void *context, const struct sql_secret_query *query, struct span *out, struct err *err);
};

/* ---- one message ---- */

struct sql_user_property {
    struct span key, value;
};

/* All spans are borrowed until the next sql_scope_begin. data NULL means absent. */
struct sql_message {
    struct span topic;     /* as published; with Basic Ingest what follows $aws/rules/<rule>/ */
    struct span payload;   /* the bytes */
    struct span client_id; /* clientid() is "n/a" when absent */
    struct span principal, source_ip, account_id;
    struct span trace_id; /* absent: made by newuuid's way on first use, constant for the message */
    /* MQTT 5 */
    struct span content_type, response_topic, correlation_data;
    int payload_format; /* -1 absent, 0 unspecified bytes, 1 UTF-8 */
    const struct sql_user_property *user_properties;
    size_t user_property_count;
};

struct sql_limits {
    size_t memory;  /* bytes one message may take in the arena */
    size_t output;  /* bytes of one outgoing payload */
    uint64_t steps; /* evaluation steps of one statement or template */
};

#define SQL_LIMITS_DEFAULT                                                                                   \
    ((struct sql_limits){.memory = (size_t)64 << 20, .output = (size_t)8 << 20, .steps = 10000000})

/* ---- compiled once ---- */

/* Compile a statement. `report` (may be NULL) takes warnings, placed within the statement. NULL with `err`
 * (pos and mark set) when the text is refused. The text is copied. */
struct sql_program *sql_compile(struct span text, enum sql_version version, struct report *report,
                                struct err *err);
void sql_program_free(struct sql_program *program);

/* The topic filter after FROM; data NULL when there is no FROM (Basic Ingest only). Borrowed. */
struct span sql_program_filter(const struct sql_program *program);
enum sql_version sql_program_version(const struct sql_program *program);

/* Which functions the statement calls, for warnings: true if `name` (lower case) occurs. */
bool sql_program_calls(const struct sql_program *program, const char *name);

/* One step per line, for people and for the compiler's tests. */
void sql_program_explain(const struct sql_program *program, struct buf *out);

/* Compile a field with ${...} or $<...>. `program` is the rule's statement, whose version and SET variables
 * it sees; it may be NULL (no variables; `version` then counts). NULL with `err`: pos and mark are within
 * `text`. */
struct sql_template *sql_template_compile(struct span text, const struct sql_program *program,
                                          enum sql_version version, struct err *err);
void sql_template_free(struct sql_template *tmpl);

/* The text, if there is no expression in it; else data NULL. Borrowed. */
struct span sql_template_constant(const struct sql_template *tmpl);
/* The next text between its expressions, borrowed; data NULL: no more. `*at` is 0 at first. */
struct span sql_template_literal(const struct sql_template *tmpl, size_t *at);
bool sql_template_calls(const struct sql_template *tmpl, const char *name);
/* True if the result depends on nothing but constants and get_secret: such a template may stand where no
 * message is at hand (client properties, configuration). */
bool sql_template_is_settled(const struct sql_template *tmpl);
/* What is wrong with a settled one for certain, whatever the secrets are: an expression that is always
 * Undefined, a get_secret of no known type. NULL: nothing. */
const char *sql_template_flaw(const struct sql_template *tmpl);

typedef void sql_secret_seen(void *context, const struct sql_secret_query *query);
/* Every get_secret call with constant arguments, so that they can be fetched before the first message. */
void sql_template_secrets(const struct sql_template *tmpl, sql_secret_seen *seen, void *context);
void sql_program_secrets(const struct sql_program *program, sql_secret_seen *seen, void *context);
/* True if there are others, whose arguments are known only with the message. */
bool sql_template_computes_secrets(const struct sql_template *tmpl);
bool sql_program_computes_secrets(const struct sql_program *program);

/* ---- for every message ---- */

/* `host` is borrowed for the life of the scope. NULL when there is no memory. */
struct sql_scope *sql_scope_new(const struct sql_host *host, struct sql_limits limits, struct err *err);
void sql_scope_free(struct sql_scope *scope);

/* A new message: everything that came out of the scope before is void. The payload is read lazily, once for
 * all rules of the message. */
void sql_scope_begin(struct sql_scope *scope, const struct sql_message *message);

/* The arena of the current message, for what must live as long as the message. */
struct arena *sql_scope_arena(struct sql_scope *scope);

/* True if the current payload is JSON (object or array at the top). Counted as AWS's ParseError when not. */
bool sql_scope_payload_is_json(struct sql_scope *scope);

enum sql_outcome {
    SQL_MATCHED,  /* `out` is the outgoing payload, valid until sql_scope_begin; data may be NULL with size 0
                   */
    SQL_FILTERED, /* WHERE is not true */
    SQL_FAILED,   /* an SQL error: `err` says expression and reason */
};

/* Evaluate SET, WHERE and SELECT. Templates expanded next see this program's SET variables. */
enum sql_outcome sql_run(const struct sql_program *program, struct sql_scope *scope, struct span *out,
                         struct err *err);

struct sql_text {
    struct span text; /* valid until sql_scope_begin */
    bool absent;      /* the template is one single ${...} that gave Undefined or Null: `text` is empty */
    bool secret;      /* get_secret took part: treat the text as a secret; it is the scope's own to wipe */
};

/* Returns 0, or -1 with `err`. */
int sql_template_expand(const struct sql_template *tmpl, struct sql_scope *scope, struct sql_text *out,
                        struct err *err);

/* ---- topic filters (MQTT 3.1.1, 4.7, with AWS's reading of '#', semantics A16) ---- */

/* 0, or -1 with `err`: empty, wildcard inside a level, '#' not last, NUL or invalid UTF-8, over 65535 bytes.
 */
int sql_filter_check(struct span filter, struct err *err);
/* `filter` has passed the check. */
bool sql_filter_matches(struct span filter, struct span topic);
/* True if some topic is matched by both. */
bool sql_filters_overlap(struct span a, struct span b);

/* ---- the function table, for `topicrule functions` and the manual ---- */

struct sql_function_info {
    const char *name, *help;
    int least, most; /* arguments; most -1: any number */
    bool v2_only, refused;
};
/* The i-th function by name, or false past the end. */
bool sql_function_at(size_t index, struct sql_function_info *info);

#endif
