/* parse.c - text -> tree: clauses, templates' expressions, and the wording of syntax errors. */
#include "parse.h"

#include "base/nearest.h"

#include <stdio.h>

void parser_next(struct parser *parser)
{
    parser->last = token_place(&parser->token);
    parser->token = lex(&parser->lexer);
}

void parser_start(struct parser *parser, struct compile *compile, size_t at, char closing)
{
    *parser = (struct parser){
        .compile = compile,
        .lexer = {.source = compile->text, .at = at, .closing = closing},
    };
    parser_next(parser);
    parser->last = (struct place){(uint32_t)at, 0};
}

bool parser_take(struct parser *parser, enum token_type type)
{
    if (parser->token.type != type)
        return false;
    parser_next(parser);
    return true;
}

bool parser_expect(struct parser *parser, enum token_type type)
{
    char expected[32];
    const char *name = token_name(type);

    if (parser_take(parser, type))
        return true;
    (void)snprintf(expected, sizeof expected, token_is_keyword(type) ? "%s" : "`%s`", name ? name : "");
    parser_fail(parser, expected);
    return false;
}

/* As many bytes of the text as an error shows, whole characters. */
static int shown_size(struct span text)
{
    enum { SHOWN = 48 };

    if (text.size <= SHOWN)
        return (int)text.size;
    size_t size = SHOWN;

    while (size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80)
        size--;
    return (int)size;
}

/* The token in the words of an error: FROM, `foo`, `)`, the string 'abc', the end of the statement. */
static void describe(const struct parser *parser, char *out, size_t room)
{
    const struct token *token = &parser->token;
    int shown = shown_size(token->text);
    const char *more = (size_t)shown < token->text.size ? "..." : "";

    switch (token->type) {
    case TOKEN_FINISH:
        (void)snprintf(out, room, "the end of the %s", parser->lexer.closing ? "expression" : "statement");
        break;
    case TOKEN_STRING:
        (void)snprintf(out, room, "the string %c%.*s%s%c", token->quote, shown, token->text.data, more,
                       token->quote);
        break;
    case TOKEN_NUMBER: (void)snprintf(out, room, "the number %.*s%s", shown, token->text.data, more); break;
    case TOKEN_VARIABLE: (void)snprintf(out, room, "@%.*s", shown, token->text.data); break;
    default:
        if (token_is_keyword(token->type))
            (void)snprintf(out, room, "%s", token_name(token->type));
        else
            (void)snprintf(out, room, "`%.*s%s`", shown, token->text.data, more);
    }
    for (char *c = out; *c; c++) /* a string may hold anything; the error is one line */
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
}

/* The keyword that a word was meant to be, if it is one of those that could stand here; else NULL. */
static const char *meant_keyword(struct span word, const char *expected)
{
    const char *near = nearest(word, keyword_name, NULL);

    if (near && (strstr(expected, near) || (strstr(expected, "operator") &&
                                            (span_is(span_of(near), "AND") || span_is(span_of(near), "OR")))))
        return near;
    return NULL;
}

/* Does a string end right before the token? Then its quote may have closed it too early. */
static bool follows_quote(const struct parser *parser)
{
    size_t at = parser->token.at;

    return at > 0 && at == parser->last.at + parser->last.size &&
           strchr("'\"", parser->compile->text.data[at - 1]);
}

void *parser_fail(struct parser *parser, const char *expected)
{
    const struct token *token = &parser->token;
    bool is_word = token->type == TOKEN_WORD;
    const char *advice = is_word ? foreign_word(token->text) : NULL;
    const char *near = is_word ? meant_keyword(token->text, expected) : NULL;
    char found[128];

    if (token->type == TOKEN_BAD)
        advice = token->problem;
    describe(parser, found, sizeof found);
    if (advice)
        compile_error(parser->compile, ERR_SYNTAX, token_place(token), "%s", advice);
    else if (near)
        compile_error(parser->compile, ERR_SYNTAX, token_place(token),
                      "expected %s, found %s; did you mean %s?", expected, found, near);
    else
        compile_error(parser->compile, ERR_SYNTAX, token_place(token), "expected %s, found %s%s", expected,
                      found, follows_quote(parser) ? "; does the quote before it belong there?" : "");
    return NULL;
}

void *parser_refuse(struct parser *parser, enum err_code code, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    compile_error(parser->compile, code, token_place(&parser->token), "%s", text);
    return NULL;
}

bool parser_string(struct parser *parser, const struct token *token, struct span *out)
{
    char *copy;

    *out = token->text;
    if (!memchr(token->text.data, token->quote, token->text.size))
        return true;
    copy = compile_alloc(parser->compile, token->text.size);
    if (!copy)
        return false;
    out->data = copy;
    out->size = 0;
    for (size_t i = 0; i < token->text.size; i++) {
        copy[out->size++] = token->text.data[i];
        if (token->text.data[i] == token->quote)
            i++;
    }
    return true;
}

/* ---- SELECT ---- */

/* Behind `value`, at a `-` or `*`: is that an operator on an attribute? Then a name or another item follows
 * its operands; `SELECT value -a FROM` has the keyword. */
static bool value_is_operand(struct parser parser)
{
    struct report *report = parser.compile->report;
    struct expr *expr;

    parser.compile->report = NULL; /* what is worth a warning will be read once more */
    expr = parse_expression(&parser);
    parser.compile->report = report;
    return expr && parser.token.type != TOKEN_FROM && parser.token.type != TOKEN_WHERE &&
           parser.token.type != TOKEN_FINISH;
}

/* VALUE is a keyword right after SELECT, unless what follows cannot be its expression: many devices send a
 * member `value`. Whoever writes VALUE in capitals means the keyword. */
static bool take_value(struct parser *parser)
{
    struct parser before = *parser;

    if (parser->token.type != TOKEN_VALUE)
        return false;
    parser_next(parser);
    if (span_is(before.token.text, "VALUE"))
        return true;
    if (parser_at_expression(parser)) {
        bool unclear = parser->token.type == TOKEN_MINUS || parser->token.type == TOKEN_STAR;

        if (!unclear || parser->queries > 0 || !value_is_operand(*parser))
            return true;
    }
    *parser = before;
    return false;
}

static struct name *parse_alias(struct parser *parser)
{
    struct name *first = NULL, **end = &first;

    do {
        if (parser->token.type == TOKEN_FROM || parser->token.type == TOKEN_WHERE)
            return parser_fail(parser, "a name after AS");
        if (parser->token.type == TOKEN_STRING)
            return parser_refuse(
                parser, ERR_SYNTAX,
                "the name after AS stands without quotes; one that SQL cannot spell is written "
                "as an object: {'my-key': value}");
        *end = parse_name(parser);
        if (!*end)
            return NULL;
        end = &(*end)->next;
    } while (parser_take(parser, TOKEN_DOT));
    return first;
}

static bool parse_items(struct parser *parser, struct select *select)
{
    struct item **end = &select->items;

    do {
        struct item *item = compile_alloc(parser->compile, sizeof *item);

        if (!item)
            return false;
        if (parser_at_end(parser)) {
            parser_fail(parser, select->count ? "another item after the comma" : "what to select");
            return false;
        }
        item->value = parse_expression(parser);
        if (!item->value)
            return false;
        if (parser_take(parser, TOKEN_AS)) {
            item->alias = parse_alias(parser);
            if (!item->alias)
                return false;
        }
        *end = item;
        end = &item->next;
        select->count++;
    } while (parser_take(parser, TOKEN_COMMA));
    return true;
}

/* A nested query reads from a path; what else it may read from, a variable holds. */
static bool parse_source(struct parser *parser, struct select *select)
{
    struct name *alias;

    if (parser->token.type == TOKEN_STRING) {
        parser_refuse(parser, ERR_SYNTAX,
                      "a nested query reads an attribute, a variable or `*`; topic filters belong to the "
                      "outermost FROM");
        return false;
    }
    if (parser_at_end(parser)) {
        parser_fail(parser, "what the nested query reads: an attribute, a variable or `*`");
        return false;
    }

    struct place place = token_place(&parser->token);

    select->source = parse_expression(parser);
    if (!select->source)
        return false;
    if (select->source->kind != EXPR_ATTRIBUTE && select->source->kind != EXPR_VARIABLE &&
        select->source->kind != EXPR_STAR) {
        compile_error(
            parser->compile, ERR_SYNTAX, place,
            "a nested query reads an attribute, a variable or `*`; assign anything else to a variable "
            "with SET first");
        return false;
    }
    if (parser_take(parser, TOKEN_AS)) {
        alias = parse_alias(parser);
        if (!alias)
            return false;
        if (alias->next) {
            compile_error(parser->compile, ERR_SYNTAX, alias->next->place,
                          "the name of an element has no dots");
            return false;
        }
        select->alias = *alias;
    }
    return true;
}

static bool parse_where(struct parser *parser, struct select *select)
{
    select->where_place = token_place(&parser->token);
    parser_next(parser);
    if (parser_at_end(parser)) {
        parser_fail(parser, "a condition after WHERE");
        return false;
    }
    select->where = parse_expression(parser);
    return select->where != NULL;
}

bool parse_select(struct parser *parser, bool nested, struct select *out)
{
    out->place = token_place(&parser->token);
    parser_next(parser);
    if (parser->token.type == TOKEN_WORD && foreign_word(parser->token.text)) {
        struct parser before = *parser;

        parser_next(parser);
        if (parser_at_expression(parser) && parser->token.type != TOKEN_PAREN_OPEN &&
            parser->token.type != TOKEN_MINUS) {
            *parser = before;
            parser_fail(parser, "what to select");
            return false;
        }
        *parser = before;
    }
    out->value = take_value(parser);
    if (!parse_items(parser, out))
        return false;
    if (!nested)
        return true;
    if (parser->token.type != TOKEN_FROM) {
        parser_fail(parser, "`,`, AS or FROM");
        return false;
    }
    parser_next(parser);
    if (!parse_source(parser, out))
        return false;
    if (parser->token.type == TOKEN_WHERE)
        return parse_where(parser, out);
    return true;
}

/* ---- the statement ---- */

static bool parse_assignments(struct parser *parser, struct statement *out)
{
    struct assignment **end = &out->assignments;

    do {
        struct assignment *assignment = compile_alloc(parser->compile, sizeof *assignment);

        if (!assignment)
            return false;
        if (parser->token.type != TOKEN_VARIABLE) {
            parser_fail(parser, "a variable: SET @name = value");
            return false;
        }
        assignment->variable.text = parser->token.text;
        assignment->variable.place = token_place(&parser->token);
        parser_next(parser);
        if (!parser_expect(parser, TOKEN_EQUAL))
            return false;
        assignment->value = parse_expression(parser);
        if (!assignment->value)
            return false;
        *end = assignment;
        end = &assignment->next;
    } while (parser_take(parser, TOKEN_COMMA));
    if (parser->token.type == TOKEN_SET) {
        parser_refuse(parser, ERR_SYNTAX, "SET stands once; further assignments follow after a comma");
        return false;
    }
    if (parser->token.type == TOKEN_SELECT)
        return true;
    parser_fail(parser, "`,` or SELECT");
    return false;
}

/* The filter as somebody forgot to quote it: up to the next blank. */
static void refuse_bare_filter(struct parser *parser)
{
    struct span rest = {parser->compile->text.data + parser->token.at,
                        parser->compile->text.size - parser->token.at};
    size_t size = 0;

    while (size < rest.size && !strchr(" \t\r\n,;", rest.data[size]))
        size++;
    compile_error(parser->compile, ERR_SYNTAX, (struct place){(uint32_t)parser->token.at, (uint32_t)size},
                  "the topic filter stands in single quotes: FROM '%.*s'",
                  shown_size((struct span){rest.data, size}), rest.data);
}

static bool parse_filter(struct parser *parser, struct statement *out)
{
    const struct token *token = &parser->token;

    if (token->type == TOKEN_WORD || token->type == TOKEN_SLASH || token->type == TOKEN_PLUS ||
        token->type == TOKEN_VALUE || (token->type == TOKEN_BAD && strchr("#$", *token->text.data))) {
        refuse_bare_filter(parser);
        return false;
    }
    if (token->type != TOKEN_STRING) {
        parser_fail(parser, "a topic filter in single quotes");
        return false;
    }
    if (token->quote == '"')
        compile_warn(parser->compile, token_place(token),
                     "the topic filter is meant to stand in single quotes");
    out->filter_place = token_place(token);
    if (!parser_string(parser, token, &out->filter))
        return false;
    parser_next(parser);
    if (parser->token.type == TOKEN_COMMA) {
        parser_refuse(parser, ERR_SYNTAX,
                      "a rule has one topic filter: write another rule for another topic");
        return false;
    }
    return true;
}

int parse_statement(struct compile *compile, struct statement *out)
{
    struct parser parser;

    parser_start(&parser, compile, 0, '\0');
    if (parser_take(&parser, TOKEN_SET) && !parse_assignments(&parser, out))
        return -1;
    if (parser.token.type != TOKEN_SELECT) {
        parser_fail(&parser, "SELECT or SET, which start a rule");
        return -1;
    }
    if (!parse_select(&parser, false, &out->select))
        return -1;
    if (parser_take(&parser, TOKEN_FROM) && !parse_filter(&parser, out))
        return -1;
    if (parser.token.type == TOKEN_WHERE && !parse_where(&parser, &out->select))
        return -1;
    if (parser.token.type == TOKEN_FINISH)
        return 0;
    if (parser.token.type == TOKEN_FROM && out->select.where)
        parser_refuse(&parser, ERR_SYNTAX, "FROM stands before WHERE");
    else if (parser.token.type == TOKEN_SET)
        parser_refuse(&parser, ERR_SYNTAX, "SET stands before SELECT");
    else if (parser.token.type == TOKEN_NOT)
        parser_refuse(&parser, ERR_SYNTAX,
                      "NOT stands before the whole condition: NOT a IN b, NOT isNull(a)");
    else if (parser.token.type == TOKEN_PAREN_CLOSE)
        parser_refuse(&parser, ERR_SYNTAX, "this `)` closes nothing");
    else
        parser_fail(&parser, out->select.where  ? "an operator or the end of the statement"
                             : out->filter.data ? "WHERE or the end of the statement"
                                                : "`,`, AS, FROM or WHERE");
    return -1;
}

int parse_embedded(struct compile *compile, size_t *at, char closing, struct place start, struct expr **out)
{
    struct parser parser;

    parser_start(&parser, compile, *at, closing);
    if (parser.token.type == TOKEN_FINISH && parser.token.size)
        return compile_error(compile, ERR_SYNTAX, start, "there is no expression between the brackets");
    if (parser.token.type == TOKEN_FINISH)
        return compile_error(compile, ERR_SYNTAX, start,
                             "the expression that starts here is never closed by `%c`", closing);
    *out = parse_expression(&parser);
    if (!*out)
        return -1;
    if (parser.token.type == TOKEN_FINISH && parser.token.size == 0)
        return compile_error(compile, ERR_SYNTAX, start,
                             "the expression that starts here is never closed by `%c`", closing);
    if (parser.token.type != TOKEN_FINISH) {
        char expected[40];

        (void)snprintf(expected, sizeof expected, "an operator or `%c`", closing);
        parser_fail(&parser, expected);
        return -1;
    }
    *at = parser.lexer.at;
    return 0;
}
