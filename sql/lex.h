/* lex.h - text -> tokens, one at a time, on demand. Allocates nothing: tokens point into the text. */
#ifndef SQL_LEX_H
#define SQL_LEX_H

#include "base/span.h"

enum token_type {
    TOKEN_FINISH, /* the end of the text; in a template, the end of the expression */
    TOKEN_WORD,   /* a name that is no keyword */
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_VARIABLE, /* @name */
    TOKEN_BAD,      /* not of the language: `problem` says what to do about it */
#define KEYWORD(name)      TOKEN_##name,
#define SYMBOL(name, text) TOKEN_##name,
#include "tokens.def"
#undef KEYWORD
#undef SYMBOL
    TOKEN_TYPES
};

struct token {
    enum token_type type;
    size_t at, size;     /* where it stands in the source, quotes included */
    struct span text;    /* STRING: between the quotes. VARIABLE: after the @. Otherwise as written */
    char quote;          /* STRING: which one. A quote of this kind inside stands doubled */
    const char *problem; /* BAD alone */
};

struct lexer {
    struct span source;
    size_t at;
    /* In a template: what ends the expression, '}' or '>', when it is met outside of brackets. Else 0. */
    char closing;
    unsigned open; /* brackets that are open, counted for `closing` */
};

/* The next token; TOKEN_FINISH again and again at the end. The source must be valid UTF-8. */
struct token lex(struct lexer *lexer);

/* "SELECT", "(": as it is written. NULL for tokens that have no fixed text. */
const char *token_name(enum token_type type);

/* The i-th keyword, NULL past the last; for nearest(). */
const char *keyword_name(const void *context, size_t index);

static inline bool token_is_keyword(enum token_type type)
{
    return type >= TOKEN_SELECT && type <= TOKEN_FALSE;
}

#endif
