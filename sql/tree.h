/* tree.h - a parsed statement, and the phases that make, check and use it.
 *
 * parse.c builds the tree, check.c resolves its names, emit.c turns it into steps. It lives in the arena of
 * one compilation. No phase recurses deeper than TREE_DEPTH: the parser counts what nests, and a chain of
 * binary operators (which leans to the left and may be long) is walked along `up` instead. */
#ifndef SQL_TREE_H
#define SQL_TREE_H

#include "base/arena.h"
#include "base/report.h"
#include "func.h"
#include "sql/sql.h"

enum {
    TREE_DEPTH = 256,      /* brackets, calls, CASE, NOT inside each other */
    TREE_QUERIES = 16,     /* nested queries inside each other */
    TREE_TEXT = 128 << 10, /* bytes of a statement or template; AWS takes no more for a whole rule */
};

/* Where something stands in the source. */
struct place {
    uint32_t at, size;
};

/* A name in a list: a path's segment, an alias' segment. */
struct name {
    struct span text;
    struct name *next;
    struct place place;
};

enum expr_kind {
    EXPR_LITERAL,
    EXPR_ATTRIBUTE, /* a.b.c */
    EXPR_VARIABLE,  /* @v.b.c */
    EXPR_STAR,      /* *, *.b.c: the payload, or the element of the nested query around it */
    EXPR_MEMBER,    /* (expression).b.c */
    EXPR_SPREAD,    /* expression.*: in a SELECT list alone */
    EXPR_CALL,
    EXPR_CAST,
    EXPR_NOT,
    EXPR_MINUS, /* 0 - e (docs/sql.md, A48) */
    EXPR_BINARY,
    EXPR_CASE,
    EXPR_ARRAY,
    EXPR_OBJECT,
    EXPR_QUERY, /* (SELECT ...), EXISTS (SELECT ...) */
};

enum binary_op {
    BINARY_OR,
    BINARY_AND,
    BINARY_EQUAL,
    BINARY_NOT_EQUAL,
    BINARY_LESS,
    BINARY_LESS_EQUAL,
    BINARY_GREATER,
    BINARY_GREATER_EQUAL,
    BINARY_IN,
    BINARY_ADD,
    BINARY_SUBTRACT,
    BINARY_MULTIPLY,
    BINARY_DIVIDE,
    BINARY_REMAINDER,
};

enum cast_type { CAST_STRING, CAST_INT, CAST_DOUBLE, CAST_DECIMAL, CAST_BOOLEAN };

struct expr {
    enum expr_kind kind;
    struct place place;
    struct expr *next; /* in a list of arguments, elements, members, CASE branches */
    struct expr *up;   /* of a BINARY's left operand: that BINARY */
    /* ATTRIBUTE: all segments. VARIABLE, STAR, MEMBER: those after the first dot. */
    struct name *path;
    union {
        struct value literal;
        struct {            /* ATTRIBUTE, STAR: set by check.c */
            unsigned level; /* the nested query that it is in, 0: none */
            unsigned bound; /* ATTRIBUTE: the query whose AS name is its first segment, 0: none */
        };
        struct { /* VARIABLE */
            struct name variable;
            unsigned index; /* set by check.c */
        };
        struct { /* CALL */
            struct name function;
            const struct sql_func *func; /* set by check.c; NULL: wrong number of arguments, so Undefined */
            struct expr *args;
            unsigned argc;
        };
        struct { /* CAST, NOT, MINUS, MEMBER, SPREAD */
            struct expr *operand;
            struct name type_name; /* CAST */
            enum cast_type type;   /* CAST: set by check.c */
        };
        struct { /* BINARY */
            enum binary_op op;
            struct expr *left, *right;
        };
        struct { /* CASE: `branches` is WHEN, THEN, WHEN, THEN ... */
            struct expr *subject, *branches, *otherwise;
        };
        struct { /* ARRAY: elements. OBJECT: members */
            struct expr *elements;
            struct item *members;
            unsigned count;
        };
        struct { /* QUERY */
            struct select *query;
            bool exists;
        };
    };
};

/* One entry of a SELECT list, or one member of an object literal (its key is then the alias). */
struct item {
    struct expr *value;
    struct name *alias; /* after AS, or from check.c; NULL: `*`, SPREAD, OBJECT, whose members join */
    struct item *next;
};

struct select {
    struct place place; /* of SELECT */
    bool value;         /* SELECT VALUE */
    struct item *items;
    unsigned count;
    struct expr *source; /* nested: after FROM */
    struct name alias;   /* nested: after AS; text.data NULL: none */
    struct expr *where;  /* or NULL */
    struct place where_place;
};

struct assignment {
    struct name variable;
    struct expr *value;
    struct assignment *next;
};

struct statement {
    struct assignment *assignments;
    struct select select;
    struct span filter; /* data NULL: no FROM */
    struct place filter_place;
};

/* What one compilation shares between its phases. */
struct compile {
    struct span text; /* the caller's, which outlives the compilation */
    enum sql_version version;
    struct report *report; /* or NULL */
    struct err *err;
    struct arena arena;       /* the tree, the steps */
    struct sql_scope *folder; /* evaluates what is constant, and holds the results; NULL until needed */

    const char *variables[SQL_VARIABLES]; /* SET variables known so far */
    unsigned variable_count;
};

/* Fill `err`, marked at `place`, and return -1. */
int compile_error(struct compile *compile, enum err_code code, struct place place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void compile_warn(struct compile *compile, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Memory of the compilation, zeroed; NULL with `err`. */
void *compile_alloc(struct compile *compile, size_t size);

/* A compilation of `text`, checked for what no phase can cope with: length, UTF-8, NUL. 0, or -1 with `err`.
 * compile_done frees all that it took. */
int compile_init(struct compile *compile, struct span text, enum sql_version version, struct report *report,
                 struct err *err);
void compile_done(struct compile *compile);

/* ---- the phases: 0, or -1 with compile->err ---- */

int parse_statement(struct compile *compile, struct statement *out);
/* The expression that starts at `*at`, up to `closing`; `*at` is then behind that. `start` is the place of
 * `${`. */
int parse_embedded(struct compile *compile, size_t *at, char closing, struct place start, struct expr **out);

int check_statement(struct compile *compile, struct statement *statement);
int check_embedded(struct compile *compile, struct expr *expr);

#endif
