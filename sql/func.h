/* sql/func.h - what a function of the language looks like from inside.
 *
 * Adding one: a C function, a row in its file's table, a golden case, a line in docs/sql.md. */
#ifndef SQL_FUNC_H
#define SQL_FUNC_H

#include "scope.h"
#include "value.h"

struct call {
    struct sql_scope *scope;  /* arena, host, message, caches */
    const struct value *args; /* FORM_RAW values among them: use value.h's getters */
    unsigned argc;            /* within the row's bounds: any other number gave Undefined already */
    enum sql_version version;
    bool computed; /* get_secret: its arguments are no constants */
};

/* 0 with the result in `out` (preset to Undefined), or -1 with `err`: limits and secrets alone fail a
 * statement (docs/sql.md); a wrong type gives Undefined. */
typedef int sql_func_run(const struct call *call, struct value *out, struct err *err);

enum func_flags {
    FUNC_PURE = 1,    /* the same arguments give the same result: folded at load when all are constant */
    FUNC_V2 = 2,      /* unknown to 2015-10-08 */
    FUNC_REFUSED = 4, /* recognised, refused at load; `help` says why and what to do */
    FUNC_SPECIAL = 8, /* compiled by the parser itself (cast, get_or_default): `run` is NULL */
    FUNC_STAR = 16,   /* the first argument may be `*`: the raw payload (encode), or the payload as a value */
};

struct sql_func {
    const char *name;  /* lower case */
    short least, most; /* arguments; most -1: any number */
    unsigned flags;
    sql_func_run *run;
    const char *help; /* one line */
};

/* The tables, one per file, each ended by a row with a NULL name; func.c lists them. */
extern const struct sql_func sql_math_funcs[];   /* func_math.c */
extern const struct sql_func sql_bit_funcs[];    /* func_math.c */
extern const struct sql_func sql_string_funcs[]; /* func_string.c */
extern const struct sql_func sql_regex_funcs[];  /* func_regex.c */
extern const struct sql_func sql_time_funcs[];   /* func_time.c */
extern const struct sql_func sql_digest_funcs[]; /* func_digest.c: md2..sha512, encode, decode */
extern const struct sql_func sql_value_funcs[];  /* func_value.c: get, isnull, concat, nanvl, transform ... */
extern const struct sql_func
    sql_message_funcs[];                      /* func_message.c: topic, clientid, timestamp, properties ... */
extern const struct sql_func sql_aws_funcs[]; /* func_aws.c: refused ones, and get_secret */

const struct sql_func *sql_func_find(struct span name); /* any case; NULL if unknown */
/* For "did you mean": i-th name, NULL past the end; the context is not used. */
const char *sql_func_name(const void *context, size_t index);

/* ---- what is known at load ---- */

/* Why a call with these constant arguments can never give a value, for a warning; `args[i]` is NULL where the
 * argument is not a literal. False: no doubt. */
bool sql_func_doubt(const struct sql_func *func, const struct value *const args[], unsigned argc, char *why,
                    size_t room);

/* For func_doubt.c: why a pattern is no good, as a constant text (`at`: the byte where), or NULL. */
const char *sql_regex_doubt(struct span pattern, size_t *at);
/* `reads`: for time_to_epoch, else for parse_time. */
const char *sql_time_doubt(struct span pattern, bool reads);
bool sql_zone_is_known(struct span id);

/* ---- helpers that most functions start with ---- */

/* Standard conversion of argument `i`. 1: converted; 0: the result is Undefined, return 0 at once; -1: error,
 * `err` is filled, return -1. */
int arg_number(const struct call *call, unsigned i, struct number *out, struct err *err);
int arg_int(const struct call *call, unsigned i, struct number *out, struct err *err);
int arg_text(const struct call *call, unsigned i, struct span *out, struct err *err);
/* Bytes in the message arena; NULL with `err` (ERR_LIMIT) when that is full. */
void *call_alloc(const struct call *call, size_t size, struct err *err);
/* "The arena is full", in the one wording used everywhere. Returns -1. */
static inline int call_full(struct err *err)
{
    return err_set(err, ERR_LIMIT, "the result does not fit in the memory that one message may take");
}

#endif
