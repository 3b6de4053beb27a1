/* lex.c - text -> tokens. What other SQLs have and this one has not becomes TOKEN_BAD with advice. */
#include "lex.h"

#include "base/utf8.h"

#include <unicode/uchar.h>

enum { VARIABLE_NAME_MAX = 64 };

static const struct {
    const char *text;
    enum token_type type;
} keywords[] =
    {
#define KEYWORD(name) {#name, TOKEN_##name},
#define SYMBOL(name, text)
#include "tokens.def"
#undef KEYWORD
#undef SYMBOL
},
  symbols[] = {
#define KEYWORD(name)
#define SYMBOL(name, text) {text, TOKEN_##name},
#include "tokens.def"
#undef KEYWORD
#undef SYMBOL
};

/* Longer ones first, so that `===` is not taken for `==`. */
static const struct {
    const char *text, *problem;
} foreign[] = {
    {"===", "`===` is not part of this SQL: write `=`, which never converts types"},
    {"==", "`==` is not part of this SQL: write `=`"},
    {"=>", "`=>` is not part of this SQL: write `>=`"},
    {"=<", "`=<` is not part of this SQL: write `<=`"},
    {"||", "`||` is not part of this SQL: join texts with `+` or concat(), conditions with OR"},
    {"&&", "`&&` is not part of this SQL: write AND"},
    {"!", "`!` is not part of this SQL: write NOT"},
    {"--", "comments are not part of this SQL (write `- -` for the negative of a negative number)"},
    {"/*", "comments are not part of this SQL"},
    {"//", "comments are not part of this SQL"},
    {";", "a statement has no `;` at its end"},
    {"`", "names are not quoted: write the bare name, or get(*, 'name') for one that SQL cannot spell"},
    {"#", "`#` has a place in the topic filter alone, which stands in single quotes"},
    {"$", "`$` has no meaning here: attributes are named directly, ${...} belongs to templates"},
    {"?", "`?` is not part of this SQL: a choice is written CASE v WHEN t THEN r ELSE e END"},
    {"|", "`|` is not part of this SQL: use bitor()"},
    {"&", "`&` is not part of this SQL: use bitand()"},
    {"^", "`^` is not part of this SQL: use power() or bitxor()"},
    {"~", "`~` is not part of this SQL: use bitnot()"},
    {"\\", "a backslash has no meaning outside of strings"},
};

const char *token_name(enum token_type type)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (keywords[i].type == type)
            return keywords[i].text;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (symbols[i].type == type)
            return symbols[i].text;
    return NULL;
}

const char *keyword_name(const void *context, size_t index)
{
    (void)context;
    return index < sizeof keywords / sizeof *keywords ? keywords[index].text : NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What every name may hold; the names of attributes have any script's letters besides. */
static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The character at `at`, 0 past the end: no token needs to know the difference. */
static char peek(const struct lexer *lexer, size_t at)
{
    return at < lexer->source.size ? lexer->source.data[at] : '\0';
}

static size_t skip_digits(const struct lexer *lexer, size_t at)
{
    while (is_digit(peek(lexer, at)))
        at++;
    return at;
}

/* The size of the character at `at`, if a name may hold it; else 0. */
static size_t name_character(const struct lexer *lexer, size_t at)
{
    uint32_t code;
    size_t size;

    if (at >= lexer->source.size)
        return 0;
    if ((unsigned char)lexer->source.data[at] < 0x80)
        return is_word(lexer->source.data[at]);
    size = utf8_decode((struct span){lexer->source.data + at, lexer->source.size - at}, &code);
    if (size && (u_isalnum((UChar32)code) || U_GET_GC_MASK((UChar32)code) & U_GC_M_MASK))
        return size;
    return 0;
}

static size_t skip_name(const struct lexer *lexer, size_t at)
{
    size_t size;

    while ((size = name_character(lexer, at)) > 0)
        at += size;
    return at;
}

static struct token token_make(struct lexer *lexer, enum token_type type, size_t size)
{
    struct token token = {
        .type = type, .at = lexer->at, .size = size, .text = {lexer->source.data + lexer->at, size}};

    lexer->at += size;
    return token;
}

static struct token token_bad(struct lexer *lexer, size_t size, const char *problem)
{
    struct token token = token_make(lexer, TOKEN_BAD, size);

    token.problem = problem;
    return token;
}

static struct token lex_word(struct lexer *lexer)
{
    struct token token = token_make(lexer, TOKEN_WORD, skip_name(lexer, lexer->at) - lexer->at);

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (span_is_nocase(token.text, keywords[i].text))
            token.type = keywords[i].type;
    return token;
}

/* \d+(\.\d+)?([eE]-?\d+)?, the pattern that Strings convert by; a sign in front is an operator. */
static struct token lex_number(struct lexer *lexer)
{
    size_t end = skip_digits(lexer, lexer->at);
    const char *problem = NULL;

    if (peek(lexer, end) == '.' && is_digit(peek(lexer, end + 1)))
        end = skip_digits(lexer, end + 1);
    if (peek(lexer, end) == 'e' || peek(lexer, end) == 'E') {
        size_t digits = end + 1 + (peek(lexer, end + 1) == '-');

        if (is_digit(peek(lexer, digits)))
            end = skip_digits(lexer, digits);
        else if (peek(lexer, end + 1) == '+')
            problem = "an exponent has no `+`: write 1E3";
    }
    if (peek(lexer, end) == '.' || name_character(lexer, end)) {
        if (!problem)
            problem = "numbers are written 5, 2.745, 1E3, and names do not start with a digit (reach such an "
                      "attribute by get(*, 'name'))";
        while (peek(lexer, end) == '.' || name_character(lexer, end))
            end = peek(lexer, end) == '.' ? end + 1 : skip_name(lexer, end);
        return token_bad(lexer, end - lexer->at, problem);
    }
    return token_make(lexer, TOKEN_NUMBER, end - lexer->at);
}

/* A backslash is an ordinary character; a doubled quote is one quote (docs/sql.md A45). */
static struct token lex_string(struct lexer *lexer)
{
    struct span source = lexer->source;
    char quote = peek(lexer, lexer->at);
    size_t start = lexer->at + 1, end = start;

    for (;;) {
        const char *found = end < source.size ? memchr(source.data + end, quote, source.size - end) : NULL;

        if (!found)
            return token_bad(lexer, source.size - lexer->at,
                             quote == '\'' ? "the string that starts here has no closing '"
                                           : "the string that starts here has no closing \"");
        end = (size_t)(found - source.data);
        if (peek(lexer, end + 1) != quote)
            break;
        end += 2;
    }
    struct token token = token_make(lexer, TOKEN_STRING, end + 1 - lexer->at);

    token.text = (struct span){source.data + start, end - start};
    token.quote = quote;
    return token;
}

static struct token lex_variable(struct lexer *lexer)
{
    size_t size = 1;

    while (is_word(peek(lexer, lexer->at + size)))
        size++;

    if (size == 1)
        return token_bad(lexer, 1, "a variable is written @name, with letters, digits and underscores");
    if (size > 1 + VARIABLE_NAME_MAX)
        return token_bad(lexer, size, "the name of a variable has at most 64 characters");

    struct token token = token_make(lexer, TOKEN_VARIABLE, size);

    token.text = (struct span){token.text.data + 1, size - 1};
    return token;
}

static struct token lex_symbol(struct lexer *lexer)
{
    struct span rest = {lexer->source.data + lexer->at, lexer->source.size - lexer->at};
    size_t best = 0;
    enum token_type type = TOKEN_BAD;

    if (span_starts_with(rest, "!="))
        return token_make(lexer, TOKEN_NOT_EQUAL, 2);
    if (span_starts_with(rest, "--") && rest.size > 2 && is_digit(rest.data[2]))
        return token_make(lexer, TOKEN_MINUS, 1); /* 3--2: a negative number is taken away */
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (span_starts_with(rest, foreign[i].text))
            return token_bad(lexer, strlen(foreign[i].text), foreign[i].problem);
    if (lexer->closing == '>' && lexer->open == 0 && *rest.data == '<')
        rest.size = span_starts_with(rest, "<=") ? 2 : 1; /* the > of <> ends the expression */
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        size_t size = strlen(symbols[i].text);

        if (size > best && span_starts_with(rest, symbols[i].text)) {
            best = size;
            type = symbols[i].type;
        }
    }
    switch (type) {
    case TOKEN_PAREN_OPEN:
    case TOKEN_BRACKET_OPEN:
    case TOKEN_BRACE_OPEN: lexer->open++; break;
    case TOKEN_PAREN_CLOSE:
    case TOKEN_BRACKET_CLOSE:
    case TOKEN_BRACE_CLOSE: lexer->open -= lexer->open > 0; break;
    case TOKEN_BAD: {
        uint32_t code;
        size_t size = utf8_decode(rest, &code);

        if (size > 1)
            return token_bad(
                lexer, size,
                "names have letters, digits and underscores: reach any other attribute by get(*, "
                "'name')");
        return token_bad(lexer, 1, "this character has no meaning here");
    }
    default: break;
    }
    return token_make(lexer, type, best);
}

struct token lex(struct lexer *lexer)
{
    while (is_blank(peek(lexer, lexer->at)))
        lexer->at++;
    if (lexer->at >= lexer->source.size)
        return token_make(lexer, TOKEN_FINISH, 0);

    char c = peek(lexer, lexer->at);

    if (lexer->closing && lexer->open == 0 && c == lexer->closing)
        return token_make(lexer, TOKEN_FINISH, 1);
    if (is_digit(c))
        return lex_number(lexer);
    if (name_character(lexer, lexer->at))
        return lex_word(lexer);
    if (c == '\'' || c == '"')
        return lex_string(lexer);
    if (c == '@')
        return lex_variable(lexer);
    return lex_symbol(lexer);
}
