/* program.h - a compiled statement or template: flat arrays of steps, immutable.
 *
 * A program is one block of memory behind its copy of the text; steps point into both. Their stack's depth is
 * proved when they are emitted, so the evaluator never checks it. */
#ifndef SQL_PROGRAM_H
#define SQL_PROGRAM_H

#include "scope.h"
#include "tree.h"

enum step_op {
#define STEP(name, pops, pushes, jumps) STEP_##name,
#include "steps.def"
#undef STEP
    STEP_OPS
};

/* What a step does to the stack, in steps.def's words. */
enum { MANY = -1, NEVER = -1, ALWAYS = -2, ENDS = -3 };

struct step_effect {
    int pops, pushes, jumps;
};

extern const struct step_effect step_effects[STEP_OPS]; /* inspect.c */

/* How an Object is made of the values of its fields, in order. */
struct field {
    const struct span *path; /* an alias; depth 0: the value's members join the Object */
    unsigned depth;
};

struct shape {
    const struct field *fields;
    unsigned count;
    bool distinct; /* one name each, all different: nothing to look up */
};

struct step {
    uint8_t op;    /* enum step_op */
    uint8_t level; /* the nested query it is about; ASSIGN, VARIABLE: the variable's number; CAST: the type */
    uint8_t bound; /* NAME: stop at this query's element, which the first name is bound to; 0: none */
    uint8_t flag; /* PAYLOAD: an item of the outgoing payload, so bytes that are no JSON are an error; CALL: a
                     get_secret whose arguments are known only with the message */
    uint32_t at, size; /* where its expression stands in the text */
    uint32_t count;    /* names of a path; values popped; bytes of a key; TRY: the stack's height */
    union {
        const struct value *constant;
        const struct span *names;
        const struct sql_func *func;
        const struct shape *shape;
        const char *key; /* PRINT: ,"name": */
        size_t target;
    };
};

/* Has it a target? */
bool step_jumps(const struct step *step);

struct code {
    const struct step *steps;
    uint32_t count;
    uint16_t height; /* of the stack */
    uint16_t levels; /* nested queries inside each other */
};

/* Both are one block: the struct, then what it points to. */
struct sql_program {
    struct span text; /* a copy */
    enum sql_version version;
    struct span filter; /* data NULL: none */
    struct code set;    /* count 0: no SET */
    struct code body;
    const char *variables[SQL_VARIABLES];
    unsigned variable_count;
};

/* A text as it stands, or an expression. */
struct part {
    struct span literal; /* data NULL: an expression */
    struct code code;
};

struct sql_template {
    struct span text;
    enum sql_version version;
    const struct sql_program *program; /* borrowed, or NULL */
    const struct part *parts;
    unsigned count;
    bool secret; /* get_secret takes part, here or in a variable */
};

/* ---- pack.c ----
 *
 * What a compilation left in its arena is copied into one block that is just large enough: thousands of rules
 * stay loaded. Run twice, first with `base` NULL to learn the size. */

struct pack {
    char *base;
    size_t used;
    struct span from, to; /* the source and its copy: what points into the one will point into the other */
};

void *pack_room(struct pack *pack, size_t size); /* to be filled by the caller; NULL when only measured */
void *pack_bytes(struct pack *pack, const void *bytes, size_t size);
struct span pack_text(struct pack *pack, struct span text); /* the source; before all that points into it */
struct span pack_span(struct pack *pack, struct span span);
struct code pack_code(struct pack *pack, const struct code *code);

/* ---- emit.c ---- */

/* Steps in the compilation's arena. 0, or -1 with compile->err. */
int emit_statement(struct compile *compile, const struct statement *statement, struct code *set,
                   struct code *body);
int emit_embedded(struct compile *compile, const struct expr *expr, struct code *out);

/* ---- eval.c ---- */

struct run {
    struct sql_scope *scope;
    enum sql_version version;
    struct buf *out;     /* of OPEN, PRINT ...; NULL where there are none */
    struct value result; /* of RETURN */
};

/* SQL_MATCHED: DONE or RETURN was met. SQL_FAILED: `err` has the reason, and `*failed` is the step. */
enum sql_outcome eval(const struct code *code, struct run *run, size_t *failed, struct err *err);

/* ---- run.c ---- */

/* Assign the program's SET variables, unless the scope has them already. 0, or -1 with `err`. */
int run_variables(const struct sql_program *program, struct sql_scope *scope, struct err *err);
/* Say in `err` which expression of `text` failed. */
void run_blame(struct err *err, struct span text, const struct code *code, size_t failed,
               const struct sql_program *program);

/* ---- inspect.c ---- */

/* One line a step. `program` names the variables; it may be NULL. */
void code_explain(const struct code *code, const struct sql_program *program, enum sql_version version,
                  struct buf *out);
bool code_calls(const struct code *code, const char *name);
/* Set the flag of every get_secret: are its arguments known only with the message? */
void code_mark_secrets(struct step *steps, uint32_t count);
bool code_computes_secrets(const struct code *code);
void code_secrets(const struct code *code, sql_secret_seen *seen, void *context);
/* Does the result depend on constants and get_secret alone? */
bool code_is_settled(const struct code *code);
const char *code_flaw(const struct code *code);

#endif
