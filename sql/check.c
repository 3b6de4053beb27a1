/* check.c - a tree whose names mean something: functions, variables, attributes, aliases, versions. */
#include "tree.h"

#include "base/nearest.h"
#include "base/utf8.h"
#include "parse.h"

#include <ctype.h>

enum { ALIAS_SEGMENTS = 32 };

struct checker {
    struct compile *compile;
    const struct assignment *assignments;  /* all of them, to tell "too early" from "never" */
    struct span aliases[TREE_QUERIES + 1]; /* of the nested queries around, [1] the outermost */
    unsigned level;
};

static int check_expr(struct checker *checker, struct expr *expr);
static int check_select(struct checker *checker, struct select *select);

static bool is_bare_star(const struct expr *expr)
{
    return expr->kind == EXPR_STAR && !expr->path;
}

/* What an operator works on: a value, neither the payload as such nor a list of members. */
static int check_operand(struct checker *checker, struct expr *expr)
{
    if (is_bare_star(expr))
        return compile_error(checker->compile, ERR_SYNTAX, expr->place,
                             "`*` stands for the whole payload as an item, as an argument and before a dot "
                             "alone");
    return check_expr(checker, expr);
}

static int check_version(struct checker *checker, struct place place, const char *what)
{
    if (checker->compile->version != SQL_2015_10_08)
        return 0;
    return compile_error(
        checker->compile, ERR_UNSUPPORTED, place,
        "%s need SQL version 2016-03-23; this rule has 2015-10-08, which is what a rule without "
        "awsIotSqlVersion gets",
        what);
}

/* ---- names ---- */

static const char *variable_name(const void *context, size_t index)
{
    const struct compile *compile = context;

    return index < compile->variable_count ? compile->variables[index] : NULL;
}

static int check_variable(struct checker *checker, struct expr *expr)
{
    struct compile *compile = checker->compile;
    struct span name = expr->variable.text;

    for (unsigned i = 0; i < compile->variable_count; i++) {
        if (span_is(name, compile->variables[i])) {
            expr->index = i;
            return 0;
        }
    }
    for (const struct assignment *a = checker->assignments; a; a = a->next)
        if (span_equal(a->variable.text, name))
            return compile_error(compile, ERR_NAME, expr->variable.place,
                                 "@" SPAN_FMT " is used before SET assigns it", SPAN_ARG(name));

    const char *near = nearest(name, variable_name, compile);

    if (near)
        return compile_error(compile, ERR_NAME, expr->variable.place,
                             "@" SPAN_FMT " is not assigned; did you mean @%s?", SPAN_ARG(name), near);
    return compile_error(compile, ERR_NAME, expr->variable.place,
                         "@" SPAN_FMT " is not assigned: the statement would start with SET @" SPAN_FMT
                         " = value",
                         SPAN_ARG(name), SPAN_ARG(name));
}

/* The innermost nested query whose AS name is the path's first segment; 0: none, a plain attribute. */
static void check_attribute(const struct checker *checker, struct expr *expr)
{
    expr->level = checker->level;
    expr->bound = 0;
    for (unsigned level = checker->level; level > 0 && !expr->bound && expr->path; level--)
        if (span_equal(checker->aliases[level], expr->path->text))
            expr->bound = level;
}

static int unknown_function(struct checker *checker, const struct name *name)
{
    struct compile *compile = checker->compile;
    const char *advice = foreign_function(name->text);
    const char *near = advice ? NULL : nearest(name->text, sql_func_name, NULL);

    if (advice)
        return compile_error(compile, ERR_NAME, name->place, "there is no function `" SPAN_FMT "`: %s",
                             SPAN_ARG(name->text), advice);
    if (near)
        return compile_error(compile, ERR_NAME, name->place,
                             "there is no function `" SPAN_FMT "`; did you mean `%s`?", SPAN_ARG(name->text),
                             near);
    return compile_error(compile, ERR_NAME, name->place,
                         "there is no function `" SPAN_FMT "`; `topicrule functions` lists them",
                         SPAN_ARG(name->text));
}

static bool is_text(const struct expr *expr, const char *text)
{
    return expr && expr->kind == EXPR_LITERAL && expr->literal.type == VALUE_STRING &&
           span_is(expr->literal.text, text);
}

/* A pattern, zone or mode that is written out and can never work deserves a word before the first message. */
static void warn_of_doubt(struct compile *compile, const struct expr *expr)
{
    enum { LOOKED_AT = 3 };
    const struct value *args[LOOKED_AT] = {NULL};
    unsigned argc = 0;
    char why[240];

    for (const struct expr *arg = expr->args; arg && argc < LOOKED_AT; arg = arg->next)
        args[argc++] = arg->kind == EXPR_LITERAL ? &arg->literal : NULL;
    if (sql_func_doubt(expr->func, args, argc, why, sizeof why))
        compile_warn(compile, expr->place, "%s(): %s; this is always Undefined", expr->func->name, why);
}

static bool arguments_fit(const struct sql_func *func, unsigned count)
{
    return (int)count >= func->least && (func->most < 0 || (int)count <= func->most);
}

/* AWS loads such a rule, and so do we (A41). */
static void warn_arguments(struct compile *compile, const struct sql_func *func, const struct expr *call)
{
    bool few = (int)call->argc < func->least;
    int wanted = few ? func->least : func->most;

    compile_warn(compile, call->place, "%s() takes %s%d argument%s, not %u: this is always Undefined",
                 func->name,
                 func->least == func->most ? ""
                 : few                     ? "at least "
                                           : "at most ",
                 wanted, wanted == 1 ? "" : "s", call->argc);
}

static int check_call(struct checker *checker, struct expr *expr)
{
    struct compile *compile = checker->compile;
    const struct sql_func *func = sql_func_find(expr->function.text);

    if (!func)
        return unknown_function(checker, &expr->function);
    if (func->flags & FUNC_REFUSED)
        return compile_error(compile, ERR_UNSUPPORTED, expr->function.place, "%s() %s", func->name,
                             func->help);
    if (strcmp(func->name, "decode") == 0 && expr->args && is_text(expr->args->next, "proto"))
        return compile_error(
            compile, ERR_UNSUPPORTED, expr->place,
            "decode() from 'proto' is not supported, because the descriptor lies in S3; decode "
            "Protocol Buffers behind Kafka: encode(*, 'base64') passes the bytes on");
    if (func->flags & FUNC_V2 && compile->version == SQL_2015_10_08)
        return compile_error(
            compile, ERR_UNSUPPORTED, expr->function.place,
            "%s() needs SQL version 2016-03-23; this rule has 2015-10-08, which is what a rule "
            "without awsIotSqlVersion gets",
            func->name);
    for (struct expr *arg = expr->args; arg; arg = arg->next)
        if (check_expr(checker, arg) < 0)
            return -1;
    if (!arguments_fit(func, expr->argc)) {
        warn_arguments(compile, func, expr);
        return 0;
    }
    expr->func = func;
    warn_of_doubt(compile, expr);
    return 0;
}

static const struct {
    const char *name;
    enum cast_type type;
    bool v2_only;
} cast_types[] = {
    {"String", CAST_STRING, false}, {"Nvarchar", CAST_STRING, false}, {"Text", CAST_STRING, false},
    {"Ntext", CAST_STRING, false},  {"Varchar", CAST_STRING, false},  {"Int", CAST_INT, false},
    {"Integer", CAST_INT, false},   {"Double", CAST_DOUBLE, false},   {"Decimal", CAST_DECIMAL, true},
    {"Bool", CAST_BOOLEAN, true},   {"Boolean", CAST_BOOLEAN, true},
};

static const char *cast_name(const void *context, size_t index)
{
    (void)context;
    return index < sizeof cast_types / sizeof *cast_types ? cast_types[index].name : NULL;
}

static int check_cast(struct checker *checker, struct expr *expr)
{
    struct span name = expr->type_name.text;
    const char *near;

    if (check_operand(checker, expr->operand) < 0)
        return -1;
    for (size_t i = 0; i < sizeof cast_types / sizeof *cast_types; i++) {
        if (!span_is_nocase(name, cast_types[i].name))
            continue;
        expr->type = cast_types[i].type;
        if (cast_types[i].v2_only && checker->compile->version == SQL_2015_10_08)
            return compile_error(
                checker->compile, ERR_UNSUPPORTED, expr->type_name.place,
                "cast to %s needs SQL version 2016-03-23; this rule has 2015-10-08, which is what "
                "a rule without awsIotSqlVersion gets",
                cast_types[i].name);
        return 0;
    }
    near = nearest(name, cast_name, NULL);
    return compile_error(checker->compile, ERR_NAME, expr->type_name.place,
                         "there is no type `" SPAN_FMT
                         "`%s%s; cast() knows String, Int, Double, Decimal and Boolean",
                         SPAN_ARG(name), near ? ", perhaps " : "", near ? near : "");
}

/* ---- expressions ---- */

static bool in_parentheses(struct span text, const struct expr *expr)
{
    size_t at = expr->place.at;

    while (at > 0 && strchr(" \t\r\n", text.data[at - 1]))
        at--;
    return at > 0 && text.data[at - 1] == '(';
}

static int check_binary(struct checker *checker, const struct expr *expr)
{
    static const char hint[] =
        "IN wants an array on its right: an attribute, or values in square brackets, [1, 2]";

    if (check_operand(checker, expr->right) < 0)
        return -1;
    if (expr->op != BINARY_IN || expr->right->kind != EXPR_LITERAL)
        return 0;
    if (in_parentheses(checker->compile->text, expr->right)) /* the list of other SQLs, with one value */
        return compile_error(checker->compile, ERR_SYNTAX, expr->right->place, "%s", hint);
    compile_warn(checker->compile, expr->right->place, "%s; this is always Undefined", hint);
    return 0;
}

/* A chain of operators leans to the left: from its first operand up, so that errors come in reading order. */
static int check_chain(struct checker *checker, struct expr *expr)
{
    struct expr *at = expr;

    while (at->kind == EXPR_BINARY)
        at = at->left;
    if (check_operand(checker, at) < 0)
        return -1;
    while (at != expr) {
        at = at->up;
        if (check_binary(checker, at) < 0)
            return -1;
    }
    return 0;
}

static int check_exprs(struct checker *checker, struct expr *list)
{
    for (struct expr *expr = list; expr; expr = expr->next)
        if (check_expr(checker, expr) < 0)
            return -1;
    return 0;
}

static int check_expr(struct checker *checker, struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_LITERAL: return 0;
    case EXPR_ATTRIBUTE: check_attribute(checker, expr); return 0;
    case EXPR_STAR: expr->level = checker->level; return 0;
    case EXPR_VARIABLE: return check_variable(checker, expr);
    case EXPR_MEMBER:
    case EXPR_NOT:
    case EXPR_MINUS: return check_operand(checker, expr->operand);
    case EXPR_SPREAD:
        return compile_error(checker->compile, ERR_SYNTAX, expr->place,
                             "`.*` stands for members that join the result, as an item of SELECT without AS");
    case EXPR_CALL: return check_call(checker, expr);
    case EXPR_CAST: return check_cast(checker, expr);
    case EXPR_BINARY: return check_chain(checker, expr);
    case EXPR_CASE:
        if (check_operand(checker, expr->subject) < 0)
            return -1;
        for (struct expr *branch = expr->branches; branch; branch = branch->next)
            if (check_operand(checker, branch) < 0)
                return -1;
        return expr->otherwise ? check_operand(checker, expr->otherwise) : 0;
    case EXPR_ARRAY:
        if (check_version(checker, expr->place, "array literals") < 0)
            return -1;
        return check_exprs(checker, expr->elements);
    case EXPR_OBJECT:
        if (check_version(checker, expr->place, "object literals") < 0)
            return -1;
        for (struct item *member = expr->members; member; member = member->next)
            if (check_expr(checker, member->value) < 0)
                return -1;
        return 0;
    case EXPR_QUERY:
        if (check_version(checker, expr->place, "nested queries") < 0)
            return -1;
        return check_select(checker, expr->query);
    }
    return 0;
}

/* ---- SELECT ---- */

static struct name *lower_name(struct checker *checker, const struct name *from)
{
    struct name *name = compile_alloc(checker->compile, sizeof *name);
    char *text = compile_alloc(checker->compile, from->text.size);

    if (!name || !text)
        return NULL;
    for (size_t i = 0; i < from->text.size; i++)
        text[i] = (char)tolower((unsigned char)from->text.data[i]);
    *name = (struct name){.text = {text, from->text.size}, .place = from->place};
    return name;
}

/* The key of an item without AS (A18): the path's last segment, or the function's name. */
static int name_item(struct checker *checker, struct item *item)
{
    const struct expr *value = item->value;
    struct name *last = value->path;

    if (is_bare_star(value) || value->kind == EXPR_SPREAD || value->kind == EXPR_OBJECT)
        return 0;
    while (last && last->next)
        last = last->next;
    if (last) {
        item->alias = last; /* ends its list, as an alias of one segment does */
        return 0;
    }
    static const struct name cast = {.text = {"cast", 4}};
    const struct name *name = value->kind == EXPR_VARIABLE ? &value->variable
                              : value->kind == EXPR_CALL   ? &value->function
                              : value->kind == EXPR_CAST   ? &cast
                                                           : NULL;
    if (!name)
        return compile_error(checker->compile, ERR_SYNTAX, value->place,
                             "this item needs a name: write AS and a name behind it");
    if (value->kind != EXPR_VARIABLE)
        item->alias = lower_name(checker, name);
    else if ((item->alias = compile_alloc(checker->compile, sizeof *item->alias)))
        *item->alias = *name;
    return item->alias ? 0 : -1;
}

static int check_item(struct checker *checker, const struct select *select, struct item *item)
{
    struct expr *value = item->value;
    unsigned segments = 0;

    if (value->kind == EXPR_SPREAD) {
        if (item->alias || select->value)
            return compile_error(
                checker->compile, ERR_SYNTAX, value->place,
                "`.*` joins members to the result: it goes without %s; leave out `.*` to have the "
                "object itself",
                item->alias ? "AS" : "VALUE");
        return check_expr(checker, value->operand);
    }
    if (check_expr(checker, value) < 0)
        return -1;
    if (select->value) {
        if (item->alias)
            return compile_error(checker->compile, ERR_SYNTAX, item->alias->place,
                                 "SELECT VALUE gives the bare value, which has no name: leave out AS");
        return 0;
    }
    for (const struct name *name = item->alias; name; name = name->next)
        if (++segments > ALIAS_SEGMENTS)
            return compile_error(checker->compile, ERR_LIMIT, name->place,
                                 "a name after AS has at most %d parts", ALIAS_SEGMENTS);
    return item->alias ? 0 : name_item(checker, item);
}

static int check_select(struct checker *checker, struct select *select)
{
    if (select->value && select->count > 1)
        return compile_error(checker->compile, ERR_SYNTAX, select->items->next->value->place,
                             "SELECT VALUE takes one item; without VALUE a SELECT takes several");
    if (select->source) { /* what it reads belongs to the query around it */
        if (check_expr(checker, select->source) < 0)
            return -1;
        checker->aliases[++checker->level] = select->alias.text;
    }
    for (struct item *item = select->items; item; item = item->next)
        if (check_item(checker, select, item) < 0)
            return -1;
    if (select->where && check_operand(checker, select->where) < 0)
        return -1;
    if (select->source)
        checker->level--;
    return 0;
}

/* ---- the whole ---- */

static int check_assignments(struct checker *checker)
{
    struct compile *compile = checker->compile;

    for (const struct assignment *a = checker->assignments; a; a = a->next) {
        for (unsigned i = 0; i < compile->variable_count; i++)
            if (span_is(a->variable.text, compile->variables[i]))
                return compile_error(compile, ERR_NAME, a->variable.place,
                                     "@" SPAN_FMT " is assigned twice: a variable keeps its value",
                                     SPAN_ARG(a->variable.text));
        if (compile->variable_count == SQL_VARIABLES)
            return compile_error(compile, ERR_LIMIT, a->variable.place,
                                 "a statement has at most %d variables", SQL_VARIABLES);
        if (check_operand(checker, a->value) < 0)
            return -1;

        char *name = arena_text(&compile->arena, a->variable.text);

        if (!name)
            return err_memory(compile->err);
        compile->variables[compile->variable_count++] = name;
    }
    return 0;
}

/* The filter's own error, marked within the statement. */
static int check_filter(struct compile *compile, const struct statement *statement)
{
    struct place place = statement->filter_place;
    struct err err;

    if (sql_filter_check(statement->filter, &err) == 0)
        return 0;
    if (err.pos.line && statement->filter.size + 2 == place.size) { /* no doubled quote shifts it */
        place.at += 1 + (uint32_t)utf8_offset(statement->filter, err.pos.column - 1);
        place.size = 1;
    }
    return compile_error(compile, err.code, place, "%s", err.text);
}

int check_statement(struct compile *compile, struct statement *statement)
{
    struct checker checker = {.compile = compile, .assignments = statement->assignments};

    if (check_assignments(&checker) < 0)
        return -1;
    if (statement->filter.data && check_filter(compile, statement) < 0)
        return -1;
    return check_select(&checker, &statement->select);
}

int check_embedded(struct compile *compile, struct expr *expr)
{
    struct checker checker = {.compile = compile};

    return check_operand(&checker, expr);
}
