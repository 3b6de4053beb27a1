/* parse_expr.c - expressions, by precedence climbing (docs/sql.md).
 *
 * Recursion happens for what nests alone, and is counted; a chain of operators is a loop. */
#include "parse.h"

/* Loosest first. NOT stands between AND and the comparisons. */
enum level { LEVEL_OR = 1, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARE, LEVEL_ADD, LEVEL_MULTIPLY, LEVEL_SIGN };

static const struct {
    enum token_type token;
    enum level level;
    enum binary_op op;
} operators[] = {
    {TOKEN_OR, LEVEL_OR, BINARY_OR},
    {TOKEN_AND, LEVEL_AND, BINARY_AND},
    {TOKEN_EQUAL, LEVEL_COMPARE, BINARY_EQUAL},
    {TOKEN_NOT_EQUAL, LEVEL_COMPARE, BINARY_NOT_EQUAL},
    {TOKEN_LESS, LEVEL_COMPARE, BINARY_LESS},
    {TOKEN_LESS_EQUAL, LEVEL_COMPARE, BINARY_LESS_EQUAL},
    {TOKEN_GREATER, LEVEL_COMPARE, BINARY_GREATER},
    {TOKEN_GREATER_EQUAL, LEVEL_COMPARE, BINARY_GREATER_EQUAL},
    {TOKEN_IN, LEVEL_COMPARE, BINARY_IN},
    {TOKEN_PLUS, LEVEL_ADD, BINARY_ADD},
    {TOKEN_MINUS, LEVEL_ADD, BINARY_SUBTRACT},
    {TOKEN_STAR, LEVEL_MULTIPLY, BINARY_MULTIPLY},
    {TOKEN_SLASH, LEVEL_MULTIPLY, BINARY_DIVIDE},
    {TOKEN_PERCENT, LEVEL_MULTIPLY, BINARY_REMAINDER},
};

static struct expr *parse_binary(struct parser *parser, unsigned level);

static struct expr *expr_new(struct parser *parser, enum expr_kind kind)
{
    struct expr *expr = compile_alloc(parser->compile, sizeof *expr);

    if (expr) {
        expr->kind = kind;
        expr->place = token_place(&parser->token);
    }
    return expr;
}

/* The expr reaches to the end of the last token taken. */
static struct expr *expr_end(struct parser *parser, struct expr *expr)
{
    expr->place.size = parser->last.at + parser->last.size - expr->place.at;
    return expr;
}

/* Written as keywords usually are: then it is not meant as an attribute. */
static bool in_capitals(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] >= 'a' && text.data[i] <= 'z')
            return false;
    return true;
}

struct name *parse_name(struct parser *parser)
{
    struct name *name;

    if (parser->token.type != TOKEN_WORD && !token_is_keyword(parser->token.type)) {
        if (parser->token.type == TOKEN_NUMBER || parser->token.type == TOKEN_STRING)
            return parser_refuse(parser, ERR_SYNTAX,
                                 "a name has letters, digits and underscores, and does not start with a "
                                 "digit; reach any other attribute by get(object, 'name')");
        return parser_fail(parser, "a name");
    }
    name = compile_alloc(parser->compile, sizeof *name);
    if (!name)
        return NULL;
    name->text = parser->token.text;
    name->place = token_place(&parser->token);
    parser_next(parser);
    return name;
}

/* What follows a primary: .name, .name.name, and .* at the end. */
static struct expr *parse_path(struct parser *parser, struct expr *expr)
{
    struct name **end = &expr->path;

    while (*end)
        end = &(*end)->next;
    while (parser_take(parser, TOKEN_DOT)) {
        if (parser_take(parser, TOKEN_STAR)) {
            struct expr *spread = expr_new(parser, EXPR_SPREAD);

            if (!spread)
                return NULL;
            spread->place = expr->place;
            spread->operand = expr_end(parser, expr);
            return expr_end(parser, spread);
        }
        if (expr->kind != EXPR_ATTRIBUTE && expr->kind != EXPR_VARIABLE && expr->kind != EXPR_STAR &&
            expr->kind != EXPR_MEMBER) {
            struct expr *member = expr_new(parser, EXPR_MEMBER);

            if (!member)
                return NULL;
            member->place = expr->place;
            member->operand = expr;
            expr = member;
            end = &expr->path;
        }
        if ((parser->token.type == TOKEN_FROM || parser->token.type == TOKEN_WHERE) &&
            in_capitals(parser->token.text))
            return parser_fail(parser, "a name after the dot");
        *end = parse_name(parser);
        if (!*end)
            return NULL;
        end = &(*end)->next;
    }
    return expr_end(parser, expr);
}

static struct expr *parse_number(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_LITERAL);
    struct span text = parser->token.text;
    struct number number;

    if (!expr)
        return NULL;
    if (!number_from_string(text, &number))
        return parser_refuse(parser, ERR_VALUE,
                             "this number is too large: numbers have 34 digits and go up to 9.99E999");
    bool is_int = !memchr(text.data, '.', text.size) && !memchr(text.data, 'e', text.size) &&
                  !memchr(text.data, 'E', text.size);

    expr->literal = value_number(&number, is_int, parser->compile->version);
    parser_next(parser);
    return expr;
}

static struct expr *parse_text(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_LITERAL);
    struct span text;

    if (!expr || !parser_string(parser, &parser->token, &text))
        return NULL;
    expr->literal = value_string(text);
    parser_next(parser);
    return expr;
}

static struct expr *parse_constant(struct parser *parser, struct value value)
{
    struct expr *expr = expr_new(parser, EXPR_LITERAL);

    if (!expr)
        return NULL;
    expr->literal = value;
    parser_next(parser);
    return expr;
}

/* SELECT ... up to the `)`, which stays. */
static struct expr *parse_query(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_QUERY);
    struct select *query = expr ? compile_alloc(parser->compile, sizeof *query) : NULL;

    if (!query)
        return NULL;
    if (parser->queries == TREE_QUERIES)
        return parser_refuse(parser, ERR_LIMIT, "more than %d nested queries inside each other",
                             TREE_QUERIES);
    parser->queries++;
    expr->query = query;
    if (!parse_select(parser, true, query))
        return NULL;
    parser->queries--;
    return expr_end(parser, expr);
}

/* cast(e AS type): the `(` is taken. */
static struct expr *parse_cast(struct parser *parser, struct expr *call)
{
    struct name *type;

    call->kind = EXPR_CAST;
    if (parser->token.type == TOKEN_AS || parser->token.type == TOKEN_PAREN_CLOSE)
        return parser_fail(parser, "what to cast: cast(value AS type)");
    call->operand = parse_expression(parser);
    if (!call->operand)
        return NULL;
    if (parser->token.type != TOKEN_AS)
        return parser_fail(parser, "AS and a type: cast(value AS type)");
    parser_next(parser);
    if (parser->token.type != TOKEN_WORD)
        return parser_fail(parser, "a type: String, Int, Double, Decimal or Boolean");
    type = parse_name(parser);
    if (!type)
        return NULL;
    call->type_name = *type;
    return parser_expect(parser, TOKEN_PAREN_CLOSE) ? expr_end(parser, call) : NULL;
}

/* Arguments behind the `(`. A query that is the only argument needs no brackets of its own. */
static bool parse_arguments(struct parser *parser, struct expr *call)
{
    struct expr **end = &call->args;

    if (parser_take(parser, TOKEN_PAREN_CLOSE))
        return true;
    if (parser->token.type == TOKEN_SELECT) {
        call->argc = 1;
        call->args = parse_query(parser);
        return call->args && parser_expect(parser, TOKEN_PAREN_CLOSE);
    }
    do {
        if (parser_at_end(parser)) {
            parser_fail(parser, call->argc ? "another argument after the comma" : "an argument or `)`");
            return false;
        }
        *end = parse_expression(parser);
        if (!*end)
            return false;
        end = &(*end)->next;
        call->argc++;
    } while (parser_take(parser, TOKEN_COMMA));
    if (parser->token.type == TOKEN_PAREN_CLOSE)
        return parser_expect(parser, TOKEN_PAREN_CLOSE);
    parser_fail(parser, "`,` or `)`");
    return false;
}

/* A word: an attribute's path, or a call. */
static struct expr *parse_word(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_ATTRIBUTE);
    struct name *name = expr ? parse_name(parser) : NULL;

    if (!name)
        return NULL;
    if (!parser_take(parser, TOKEN_PAREN_OPEN)) {
        expr->path = name;
        return expr_end(parser, expr);
    }
    if (span_is_nocase(name->text, "cast"))
        return parse_cast(parser, expr);
    expr->kind = EXPR_CALL;
    expr->function = *name;
    return parse_arguments(parser, expr) ? expr_end(parser, expr) : NULL;
}

static struct expr *parse_parenthesis(struct parser *parser)
{
    struct place open = token_place(&parser->token);
    struct expr *expr;

    parser_next(parser);
    if (parser->token.type == TOKEN_SELECT)
        expr = parse_query(parser);
    else if (parser->token.type == TOKEN_PAREN_CLOSE)
        return parser_fail(parser, "an expression between the brackets");
    else
        expr = parse_expression(parser);
    if (!expr)
        return NULL;
    if (parser->token.type == TOKEN_COMMA)
        return parser_refuse(parser, ERR_SYNTAX,
                             "a list of values stands in square brackets: [1, 2]; so `IN (1, 2)` is "
                             "written IN [1, 2]");
    if (parser->token.type == TOKEN_FINISH) {
        compile_error(parser->compile, ERR_SYNTAX, open, "the bracket that opens here is never closed");
        return NULL;
    }
    if (expr->kind == EXPR_STAR && !expr->path) {
        compile_error(parser->compile, ERR_SYNTAX, expr->place, "`*` alone does not stand in brackets");
        return NULL;
    }
    if (!parser_expect(parser, TOKEN_PAREN_CLOSE))
        return NULL;
    return expr;
}

static struct expr *parse_exists(struct parser *parser)
{
    struct place place = token_place(&parser->token);
    struct expr *expr;

    parser_next(parser);
    if (!parser_take(parser, TOKEN_PAREN_OPEN) || parser->token.type != TOKEN_SELECT)
        return parser_fail(parser, "a nested query: EXISTS (SELECT ... FROM ...)");
    expr = parse_query(parser);
    if (!expr || !parser_expect(parser, TOKEN_PAREN_CLOSE))
        return NULL;
    expr->exists = true;
    expr->place = place;
    return expr_end(parser, expr);
}

static struct expr *parse_case(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_CASE), **end;

    if (!expr)
        return NULL;
    parser_next(parser);
    if (parser->token.type == TOKEN_WHEN)
        return parser_refuse(parser, ERR_SYNTAX,
                             "CASE compares a value: CASE v WHEN t THEN r END. For a condition write CASE "
                             "condition WHEN true THEN r END");
    expr->subject = parse_expression(parser);
    if (!expr->subject)
        return NULL;
    if (parser->token.type != TOKEN_WHEN)
        return parser_fail(parser, "WHEN");
    end = &expr->branches;
    while (parser_take(parser, TOKEN_WHEN)) {
        for (int half = 0; half < 2; half++) {
            if (half == 1 && !parser_expect(parser, TOKEN_THEN))
                return NULL;
            *end = parse_expression(parser);
            if (!*end)
                return NULL;
            end = &(*end)->next;
        }
    }
    if (parser_take(parser, TOKEN_ELSE)) {
        expr->otherwise = parse_expression(parser);
        if (!expr->otherwise)
            return NULL;
    }
    if (!parser_take(parser, TOKEN_END))
        return parser_fail(parser, expr->otherwise ? "END, which closes CASE"
                                                   : "WHEN, ELSE, or END, which closes CASE");
    return expr_end(parser, expr);
}

static struct expr *parse_array(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_ARRAY), **end;

    if (!expr)
        return NULL;
    parser_next(parser);
    end = &expr->elements;
    if (!parser_take(parser, TOKEN_BRACKET_CLOSE)) {
        do {
            if (parser_at_end(parser))
                return parser_fail(parser, "an element of the array");
            *end = parse_expression(parser);
            if (!*end)
                return NULL;
            end = &(*end)->next;
            expr->count++;
        } while (parser_take(parser, TOKEN_COMMA));
        if (parser->token.type != TOKEN_BRACKET_CLOSE)
            return parser_fail(parser, "`,` or `]`");
        parser_next(parser);
    }
    return expr_end(parser, expr);
}

/* A comma may stand behind the last member: AWS's own samples have it. */
static struct expr *parse_object(struct parser *parser)
{
    struct expr *expr = expr_new(parser, EXPR_OBJECT);
    struct item **end;

    if (!expr)
        return NULL;
    parser_next(parser);
    end = &expr->members;
    while (parser->token.type != TOKEN_BRACE_CLOSE) {
        struct item *member = compile_alloc(parser->compile, sizeof *member);

        if (!member || !(member->alias = compile_alloc(parser->compile, sizeof *member->alias)))
            return NULL;
        if (parser->token.type == TOKEN_WORD || token_is_keyword(parser->token.type))
            return parser_refuse(parser, ERR_SYNTAX,
                                 "the key of a member stands in quotes: {'" SPAN_FMT "': ...}",
                                 SPAN_ARG(parser->token.text));
        if (parser->token.type != TOKEN_STRING)
            return parser_fail(parser, expr->count ? "the key of another member, in quotes"
                                                   : "the key of a member, in quotes, or `}`");
        member->alias->place = token_place(&parser->token);
        if (!parser_string(parser, &parser->token, &member->alias->text))
            return NULL;
        parser_next(parser);
        if (!parser_expect(parser, TOKEN_COLON))
            return NULL;
        member->value = parse_expression(parser);
        if (!member->value)
            return NULL;
        *end = member;
        end = &member->next;
        expr->count++;
        if (!parser_take(parser, TOKEN_COMMA) && parser->token.type != TOKEN_BRACE_CLOSE)
            return parser_fail(parser, "`,` or `}`");
    }
    parser_next(parser);
    return expr_end(parser, expr);
}

bool parser_at_end(const struct parser *parser)
{
    switch (parser->token.type) {
    case TOKEN_FINISH:
    case TOKEN_COMMA:
    case TOKEN_PAREN_CLOSE:
    case TOKEN_BRACKET_CLOSE:
    case TOKEN_BRACE_CLOSE:
    case TOKEN_AND:
    case TOKEN_OR:
    case TOKEN_AS:
    case TOKEN_FROM:
    case TOKEN_WHERE: return true;
    default: return false;
    }
}

bool parser_at_expression(const struct parser *parser)
{
    switch (parser->token.type) {
    case TOKEN_WORD:
    case TOKEN_NUMBER:
    case TOKEN_STRING:
    case TOKEN_VARIABLE:
    case TOKEN_NOT:
    case TOKEN_EXISTS:
    case TOKEN_CASE:
    case TOKEN_NULL:
    case TOKEN_TRUE:
    case TOKEN_FALSE:
    case TOKEN_PAREN_OPEN:
    case TOKEN_BRACKET_OPEN:
    case TOKEN_BRACE_OPEN:
    case TOKEN_MINUS:
    case TOKEN_STAR:
    /* VALUE and SET are words of the language in one place each, elsewhere names like any other. */
    case TOKEN_VALUE:
    case TOKEN_SET: return true;
    default: return false;
    }
}

static struct expr *parse_primary(struct parser *parser)
{
    struct expr *expr;

    switch (parser->token.type) {
    case TOKEN_WORD:
    case TOKEN_VALUE:
    case TOKEN_SET: return parse_word(parser);
    case TOKEN_NUMBER: return parse_number(parser);
    case TOKEN_STRING: return parse_text(parser);
    case TOKEN_NULL: return parse_constant(parser, value_null());
    case TOKEN_TRUE: return parse_constant(parser, value_boolean(true));
    case TOKEN_FALSE: return parse_constant(parser, value_boolean(false));
    case TOKEN_PAREN_OPEN: return parse_parenthesis(parser);
    case TOKEN_BRACKET_OPEN: return parse_array(parser);
    case TOKEN_BRACE_OPEN: return parse_object(parser);
    case TOKEN_CASE: return parse_case(parser);
    case TOKEN_EXISTS: return parse_exists(parser);
    case TOKEN_VARIABLE:
        expr = expr_new(parser, EXPR_VARIABLE);
        if (!expr)
            return NULL;
        expr->variable.text = parser->token.text;
        expr->variable.place = expr->place;
        parser_next(parser);
        return expr;
    case TOKEN_STAR:
        expr = expr_new(parser, EXPR_STAR);
        if (expr)
            parser_next(parser);
        return expr;
    case TOKEN_PLUS: return parser_refuse(parser, ERR_SYNTAX, "a number has no sign `+`: write it without");
    case TOKEN_DOT:
        return parser_refuse(parser, ERR_SYNTAX,
                             "nothing stands before this `.`; a fraction is written 0.5, a path a.b");
    case TOKEN_SELECT:
        return parser_refuse(parser, ERR_SYNTAX, "a nested query stands in brackets: (SELECT ... FROM ...)");
    default:
        if (token_is_keyword(parser->token.type) && !in_capitals(parser->token.text))
            return parser_refuse(parser, ERR_SYNTAX,
                                 "%s is a word of this SQL; an attribute of that name is reached by get(*, "
                                 "'" SPAN_FMT "')",
                                 token_name(parser->token.type), SPAN_ARG(parser->token.text));
        return parser_fail(parser, "an expression");
    }
}

static struct expr *parse_prefix(struct parser *parser)
{
    struct expr *expr;

    if (parser->token.type == TOKEN_NOT || parser->token.type == TOKEN_MINUS) {
        bool is_not = parser->token.type == TOKEN_NOT;

        expr = expr_new(parser, is_not ? EXPR_NOT : EXPR_MINUS);
        if (!expr)
            return NULL;
        parser_next(parser);
        expr->operand = parse_binary(parser, is_not ? LEVEL_COMPARE : LEVEL_SIGN);
        return expr->operand ? expr_end(parser, expr) : NULL;
    }
    expr = parse_primary(parser);
    if (!expr)
        return NULL;
    if (parser->token.type == TOKEN_DOT) {
        expr = parse_path(parser, expr);
        if (!expr)
            return NULL;
    }
    if (parser->token.type == TOKEN_BRACKET_OPEN)
        return parser_refuse(parser, ERR_SYNTAX,
                             "elements are not reached by [ ]: write get(array, index), counted from 0");
    if (parser->token.type == TOKEN_PAREN_OPEN && expr->kind == EXPR_ATTRIBUTE)
        return parser_refuse(parser, ERR_SYNTAX, "this is no function: a function's name has no dots");
    return expr;
}

static struct expr *parse_binary(struct parser *parser, unsigned level)
{
    struct expr *left;

    if (parser->depth == TREE_DEPTH)
        return parser_refuse(parser, ERR_LIMIT, "the expression is nested more than %d deep", TREE_DEPTH);
    parser->depth++;
    left = parse_prefix(parser);
    while (left) {
        struct expr *expr;
        size_t i = 0;

        while (i < sizeof operators / sizeof *operators && operators[i].token != parser->token.type)
            i++;
        if (i == sizeof operators / sizeof *operators || operators[i].level < level)
            break;
        expr = expr_new(parser, EXPR_BINARY);
        if (!expr)
            return NULL;
        if (parser->token.type == TOKEN_NOT_EQUAL && *parser->token.text.data == '!')
            compile_warn(parser->compile, token_place(&parser->token), "`!=` is taken as `<>`");
        expr->place = left->place;
        expr->op = operators[i].op;
        parser_next(parser);
        expr->right = parse_binary(parser, operators[i].level + 1);
        if (!expr->right)
            return NULL;
        expr->left = left;
        left->up = expr;
        left = expr_end(parser, expr);
    }
    parser->depth--;
    return left;
}

struct expr *parse_expression(struct parser *parser)
{
    return parse_binary(parser, LEVEL_OR);
}
