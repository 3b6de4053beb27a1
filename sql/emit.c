/* emit.c - tree -> flat steps. */
#include "emitter.h"

#include <assert.h>
#include <stdlib.h>

static void emit_expr(struct emitter *emitter, const struct expr *expr);

/* ---- values ---- */

static void emit_constant(struct emitter *emitter, const struct value *value, struct place place)
{
    emit(emitter, STEP_CONST, place)->constant = value;
}

static void emit_undefined(struct emitter *emitter, struct place place)
{
    static const struct value undefined; /* VALUE_UNDEFINED is zero */

    emit_constant(emitter, &undefined, place);
}

/* The path's names into the last step. */
static void emit_names(struct emitter *emitter, struct step *step, const struct name *path)
{
    struct span *names;
    uint32_t count = 0;

    for (const struct name *name = path; name; name = name->next)
        count++;
    if (count == 0)
        return;
    names = emit_alloc(emitter, count * sizeof *names);
    if (!names)
        return;
    step->names = names;
    step->count = count;
    for (const struct name *name = path; name; name = name->next)
        *names++ = name->text;
}

static void emit_attribute(struct emitter *emitter, const struct expr *expr)
{
    const struct name *path = expr->path;
    enum step_op op = expr->level == 0 ? STEP_FIELD : STEP_NAME;
    struct step *step;

    if (expr->bound && expr->bound == expr->level) { /* the element itself, by the name AS gave it */
        op = STEP_ELEMENT;
        path = path->next;
    }
    step = emit(emitter, op, expr->place);
    step->level = (uint8_t)expr->level;
    step->bound = (uint8_t)expr->bound;
    emit_names(emitter, step, path);
}

static struct step *emit_star(struct emitter *emitter, const struct expr *expr)
{
    struct step *step = emit(emitter, expr->level ? STEP_ELEMENT : STEP_PAYLOAD, expr->place);

    step->level = (uint8_t)expr->level;
    emit_names(emitter, step, expr->path);
    return step;
}

static void emit_variable(struct emitter *emitter, const struct expr *expr)
{
    emit(emitter, STEP_VARIABLE, expr->place)->level = (uint8_t)expr->index;
    if (expr->path)
        emit_names(emitter, emit(emitter, STEP_MEMBER, expr->place), expr->path);
}

static void emit_chain(struct emitter *emitter, const struct expr *expr)
{
    static const enum step_op ops[] = {
        [BINARY_OR] = STEP_OR,
        [BINARY_AND] = STEP_AND,
        [BINARY_EQUAL] = STEP_EQUAL,
        [BINARY_NOT_EQUAL] = STEP_NOT_EQUAL,
        [BINARY_LESS] = STEP_LESS,
        [BINARY_LESS_EQUAL] = STEP_LESS_EQUAL,
        [BINARY_GREATER] = STEP_GREATER,
        [BINARY_GREATER_EQUAL] = STEP_GREATER_EQUAL,
        [BINARY_IN] = STEP_IN,
        [BINARY_ADD] = STEP_ADD,
        [BINARY_SUBTRACT] = STEP_SUBTRACT,
        [BINARY_MULTIPLY] = STEP_MULTIPLY,
        [BINARY_DIVIDE] = STEP_DIVIDE,
        [BINARY_REMAINDER] = STEP_REMAINDER,
    };
    const struct expr *at = expr;

    while (at->kind == EXPR_BINARY)
        at = at->left;
    emit_expr(emitter, at);
    while (at != expr) {
        at = at->up;
        emit_expr(emitter, at->right);
        emit(emitter, ops[at->op], at->place);
        fold(emitter, 2);
    }
}

/* `get_or_default(e, d)`: an error in e counts as Undefined. */
static void emit_default(struct emitter *emitter, const struct expr *expr)
{
    size_t try = NO_JUMP, end = NO_JUMP;

    emit_jump(emitter, STEP_TRY, expr->place, &try);
    emit_expr(emitter, expr->args);
    land(emitter, try, emitter->count);
    emit_jump(emitter, STEP_MISSING, expr->place, &end);
    if (expr->args->next)
        emit_expr(emitter, expr->args->next);
    else
        emit_undefined(emitter, expr->place);
    land(emitter, end, emitter->count);
}

static void emit_call(struct emitter *emitter, const struct expr *expr)
{
    const struct expr *arg = expr->args;

    if (!expr->func) {
        emit_undefined(emitter, expr->place);
        return;
    }
    if (expr->func->flags & FUNC_SPECIAL) {
        emit_default(emitter, expr);
        return;
    }
    if (expr->func->flags & FUNC_STAR && arg && arg->kind == EXPR_STAR && !arg->path) {
        emit(emitter, STEP_BYTES, arg->place);
        arg = arg->next;
    }
    for (; arg; arg = arg->next)
        emit_expr(emitter, arg);

    struct step *step = emit(emitter, STEP_CALL, expr->place);

    step->func = expr->func;
    step->count = expr->argc;
    if (expr->func->flags & FUNC_PURE)
        fold(emitter, expr->argc);
}

static void emit_case(struct emitter *emitter, const struct expr *expr)
{
    size_t end = NO_JUMP;

    emit_expr(emitter, expr->subject);
    emit_jump(emitter, STEP_CASE, expr->subject->place, &end);
    for (const struct expr *when = expr->branches; when; when = when->next->next) {
        size_t next = NO_JUMP;

        emit_expr(emitter, when);
        emit_jump(emitter, STEP_WHEN, when->place, &next);
        emit_expr(emitter, when->next);
        emit_jump(emitter, STEP_JUMP, when->next->place, &end);
        land(emitter, next, emitter->count);
    }
    emit(emitter, STEP_POP, expr->place);
    if (expr->otherwise)
        emit_expr(emitter, expr->otherwise);
    else
        emit_undefined(emitter, expr->place);
    land(emitter, end, emitter->count);
}

/* ---- Objects ---- */

static int compare_spans(const void *a, const void *b)
{
    const struct span *left = a, *right = b;

    if (left->size != right->size)
        return left->size < right->size ? -1 : 1;
    return left->size ? memcmp(left->data, right->data, left->size) : 0;
}

/* Is every item named by one name that no other has? */
static bool items_distinct(struct emitter *emitter, const struct item *items, size_t count)
{
    struct span *names = emit_alloc(emitter, (count ? count : 1) * sizeof *names);
    size_t i = 0;

    if (!names)
        return false;
    for (const struct item *item = items; item; item = item->next) {
        if (!item->alias || item->alias->next)
            return false;
        names[i++] = item->alias->text;
    }
    qsort(names, count, sizeof *names, compare_spans);
    for (i = 1; i < count; i++)
        if (span_equal(names[i - 1], names[i]))
            return false;
    return true;
}

/* All values, then one step that makes an Object of them. `outgoing`: of the outermost SELECT. */
static void emit_record(struct emitter *emitter, const struct item *items, unsigned count, struct place place,
                        bool outgoing)
{
    struct shape *shape = emit_alloc(emitter, sizeof *shape);
    struct field *fields = emit_alloc(emitter, (count ? count : 1) * sizeof *fields);
    unsigned i = 0;

    if (!fields)
        return;
    *shape = (struct shape){fields, count, items_distinct(emitter, items, count)};
    for (const struct item *item = items; item; item = item->next, i++) {
        struct step path = {0};

        if (item->value->kind == EXPR_STAR && !item->value->path)
            emit_star(emitter, item->value)->flag = outgoing && !item->alias;
        else
            emit_expr(emitter, item->value->kind == EXPR_SPREAD ? item->value->operand : item->value);
        emit_names(emitter, &path, item->alias);
        fields[i] = (struct field){path.names, path.count};
    }

    struct step *step = emit(emitter, STEP_RECORD, place);

    step->shape = shape;
    step->count = count;
    fold(emitter, count);
}

/* ---- nested queries ---- */

/* Jumps to the list `no` unless the condition is true. AND may stop early here: whether it gives false or
 * Undefined makes no difference to WHERE. */
static void emit_condition(struct emitter *emitter, const struct expr *expr, enum step_op op, size_t *no)
{
    const struct expr *at = expr;

    while (at->kind == EXPR_BINARY && at->op == BINARY_AND)
        at = at->left;
    emit_expr(emitter, at);
    emit_jump(emitter, at == expr ? op : STEP_WHERE_AND, at->place, no);
    while (at != expr) {
        at = at->up;
        emit_condition(emitter, at->right, STEP_WHERE_AND, no);
    }
}

static void emit_query(struct emitter *emitter, const struct expr *expr)
{
    const struct select *query = expr->query;
    size_t end = NO_JUMP, next = NO_JUMP, loop;
    uint8_t level = (uint8_t)(emitter->level + 1);
    struct step *step;

    emit_expr(emitter, query->source);
    step = emit_jump(emitter, STEP_QUERY, query->source->place, &end);
    step->level = level;
    step->flag = expr->exists;
    emitter->level = level;
    if (emitter->levels < level)
        emitter->levels = level;

    loop = emitter->count;
    step = emit_jump(emitter, STEP_NEXT, query->source->place, &end);
    step->level = level;
    step->flag = expr->exists;
    if (query->where)
        emit_condition(emitter, query->where, STEP_WHERE, &next);
    if (query->value || (query->count == 1 && !query->items->alias && query->items->value->kind == EXPR_STAR))
        emit_expr(emitter, query->items->value);
    else
        emit_record(emitter, query->items, query->count, query->place, false);
    if (expr->exists)
        emit_jump(emitter, STEP_FOUND, query->place, &end);
    else
        emit(emitter, STEP_COLLECT, query->place)->level = level;
    emit_jump(emitter, STEP_JUMP, query->place, &next);
    land(emitter, next, loop);
    land(emitter, end, emitter->count);
    emitter->level--;
}

static void emit_expr(struct emitter *emitter, const struct expr *expr)
{
    struct step *step;
    uint32_t count = 0;

    if (emitter->failed)
        return;
    switch (expr->kind) {
    case EXPR_LITERAL: emit_constant(emitter, &expr->literal, expr->place); break;
    case EXPR_ATTRIBUTE: emit_attribute(emitter, expr); break;
    case EXPR_STAR: emit_star(emitter, expr); break;
    case EXPR_VARIABLE: emit_variable(emitter, expr); break;
    case EXPR_MEMBER:
        emit_expr(emitter, expr->operand);
        emit_names(emitter, emit(emitter, STEP_MEMBER, expr->place), expr->path);
        fold(emitter, 1);
        break;
    case EXPR_SPREAD: break; /* emit_record takes it apart */
    case EXPR_CALL: emit_call(emitter, expr); break;
    case EXPR_CAST:
        emit_expr(emitter, expr->operand);
        emit(emitter, STEP_CAST, expr->place)->level = (uint8_t)expr->type;
        fold(emitter, 1);
        break;
    case EXPR_NOT:
        emit_expr(emitter, expr->operand);
        emit(emitter, STEP_NOT, expr->place);
        fold(emitter, 1);
        break;
    case EXPR_MINUS: {
        static const struct value zero = {.type = VALUE_INT};

        emit_constant(emitter, &zero, expr->place);
        emit_expr(emitter, expr->operand);
        emit(emitter, STEP_SUBTRACT, expr->place);
        fold(emitter, 2);
        break;
    }
    case EXPR_BINARY: emit_chain(emitter, expr); break;
    case EXPR_CASE: emit_case(emitter, expr); break;
    case EXPR_ARRAY:
        for (const struct expr *element = expr->elements; element; element = element->next, count++)
            emit_expr(emitter, element);
        step = emit(emitter, STEP_ARRAY, expr->place);
        step->count = count;
        fold(emitter, count);
        break;
    case EXPR_OBJECT: emit_record(emitter, expr->members, expr->count, expr->place, false); break;
    case EXPR_QUERY: emit_query(emitter, expr); break;
    }
}

/* ---- the outermost SELECT ---- */

/* ,"key": as it will stand in the output. */
static void emit_key(struct emitter *emitter, struct step *step, struct span name)
{
    struct buf key = buf_in(&emitter->compile->arena, SIZE_MAX - 1);

    buf_char(&key, ',');
    buf_json(&key, name);
    buf_char(&key, ':');
    if (key.failed) {
        emitter->failed = true;
        (void)err_memory(emitter->compile->err);
        return;
    }
    step->key = key.data;
    step->count = (uint32_t)key.size;
}

static void emit_select(struct emitter *emitter, const struct select *select)
{
    const struct item *first = select->items;

    if (first->value->kind == EXPR_STAR && !first->value->path && !first->alias && select->count == 1) {
        emit(emitter, STEP_PASS, first->value->place);
    } else if (select->value) {
        emit_expr(emitter, first->value);
        emit(emitter, STEP_OUTPUT, first->value->place);
    } else if (items_distinct(emitter, first, select->count)) {
        /* The usual rule: each value is printed as soon as it is there, and no Object is built. */
        emit(emitter, STEP_OPEN, select->place);
        for (const struct item *item = first; item; item = item->next) {
            assert(item->alias); /* check.c gave each a name */
            emit_expr(emitter, item->value);
            emit_key(emitter, emit(emitter, STEP_PRINT, item->value->place), item->alias->text);
        }
        emit(emitter, STEP_CLOSE, select->place);
    } else {
        emit_record(emitter, first, select->count, select->place, true);
        emit(emitter, STEP_OUTPUT, select->place);
    }
}

int emit_statement(struct compile *compile, const struct statement *statement, struct code *set,
                   struct code *body)
{
    struct emitter emitter = {.compile = compile};
    size_t no = NO_JUMP;
    uint8_t index = 0;

    *set = (struct code){0};
    for (const struct assignment *a = statement->assignments; a; a = a->next) {
        emit_expr(&emitter, a->value);
        emit(&emitter, STEP_ASSIGN, a->variable.place)->level = index++;
    }
    if (statement->assignments) {
        emit(&emitter, STEP_DONE, statement->select.place);
        if (emit_finish(&emitter, set) < 0)
            return -1;
        emitter = (struct emitter){.compile = compile};
    }
    if (statement->select.where)
        emit_condition(&emitter, statement->select.where, STEP_WHERE, &no);
    emit_select(&emitter, &statement->select);
    emit(&emitter, STEP_DONE, statement->select.place);
    if (statement->select.where) {
        land(&emitter, no, emitter.count);
        emit(&emitter, STEP_FILTERED, statement->select.where_place);
    }
    return emit_finish(&emitter, body);
}

int emit_embedded(struct compile *compile, const struct expr *expr, struct code *out)
{
    struct emitter emitter = {.compile = compile};

    emit_expr(&emitter, expr);
    emit(&emitter, STEP_RETURN, expr->place);
    return emit_finish(&emitter, out);
}
