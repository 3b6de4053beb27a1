/* parse.h - what the two halves of the parser share: statements (parse.c), expressions (parse_expr.c). */
#ifndef SQL_PARSE_H
#define SQL_PARSE_H

#include "lex.h"
#include "tree.h"

struct parser {
    struct compile *compile;
    struct lexer lexer;
    struct token token; /* the one to look at */
    struct place last;  /* the one before */
    unsigned depth, queries;
};

void parser_start(struct parser *parser, struct compile *compile, size_t at, char closing);
void parser_next(struct parser *parser);
/* Take the token if it is of this type. */
bool parser_take(struct parser *parser, enum token_type type);
/* Take a token of this type, or fail: "expected `)`, found ...". */
bool parser_expect(struct parser *parser, enum token_type type);

/* "expected <expected>, found <token>", with advice where the token comes from another SQL. Always NULL. */
void *parser_fail(struct parser *parser, const char *expected);
/* An error of its own wording, at the current token. Always NULL. */
void *parser_refuse(struct parser *parser, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct expr *parse_expression(struct parser *parser);
/* `parser->token` is SELECT. A nested one ends at its `)`. */
bool parse_select(struct parser *parser, bool nested, struct select *out);

/* Can an expression start with the current token? */
bool parser_at_expression(const struct parser *parser);
/* Does the current token end what is before it, so that there is no expression at all? */
bool parser_at_end(const struct parser *parser);
/* Takes the name, if the current token may be one after a dot or AS; `next` is NULL. Keywords may. */
struct name *parse_name(struct parser *parser);
/* The characters of a STRING token, doubled quotes undone. False: no memory. */
bool parser_string(struct parser *parser, const struct token *token, struct span *out);

static inline struct place token_place(const struct token *token)
{
    return (struct place){(uint32_t)token->at, (uint32_t)token->size};
}

/* foreign.c: what to write instead of a word that other SQLs have, or NULL. */
const char *foreign_word(struct span word);
/* The same for a function of another SQL. */
const char *foreign_function(struct span name);

#endif
