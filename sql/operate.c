/* operate.c - operators and cast (docs/sql.md, "Operators"). */
#include "eval.h"

static enum convert logic(enum step_op op, const struct run *run, const struct value *a,
                          const struct value *b, struct value *out)
{
    bool left, right;
    enum convert had = value_to_boolean(a, &run->scope->arena, &left);

    if (had == CONVERTED)
        had = value_to_boolean(b, &run->scope->arena, &right);
    if (had == CONVERTED)
        *out = value_boolean(op == STEP_AND ? left && right : left || right);
    return had;
}

static enum convert equality(bool negate, const struct run *run, const struct value *a, const struct value *b,
                             struct value *out)
{
    bool equal;
    enum convert had;

    if (a->type == VALUE_UNDEFINED || b->type == VALUE_UNDEFINED)
        return NOT_CONVERTED;
    had = value_equal(a, b, &run->scope->arena, &equal);
    if (had == CONVERTED)
        *out = value_boolean(equal != negate);
    return had;
}

static enum convert order(enum step_op op, const struct run *run, const struct value *a,
                          const struct value *b, struct value *out)
{
    struct number left, right;
    enum convert had = value_to_number(a, &run->scope->arena, &left);
    int sign;

    if (had == CONVERTED)
        had = value_to_number(b, &run->scope->arena, &right);
    if (had != CONVERTED)
        return had;
    sign = number_compare(&left, &right);
    *out = value_boolean(op == STEP_LESS         ? sign < 0
                         : op == STEP_LESS_EQUAL ? sign <= 0
                         : op == STEP_GREATER    ? sign > 0
                                                 : sign >= 0);
    return CONVERTED;
}

static enum convert contains(const struct run *run, const struct value *a, const struct value *array,
                             struct value *out)
{
    struct value_walk walk = value_walk(array);
    struct value item;
    bool equal = false, failed = false;

    if (a->type == VALUE_UNDEFINED || array->type != VALUE_ARRAY)
        return NOT_CONVERTED;
    while (!equal && value_next(&walk, &run->scope->arena, NULL, &item, &failed)) {
        if (item.type == VALUE_UNDEFINED)
            continue;
        if (value_equal(a, &item, &run->scope->arena, &equal) == CONVERT_LIMIT)
            return CONVERT_LIMIT;
    }
    *out = value_boolean(equal);
    return failed ? CONVERT_LIMIT : CONVERTED;
}

static enum convert concatenate(const struct run *run, const struct value *a, const struct value *b,
                                struct value *out)
{
    struct arena *arena = &run->scope->arena;
    struct span left, right;
    enum convert had = value_to_text(a, run->version, arena, &left);
    char *text;

    if (had == CONVERTED)
        had = value_to_text(b, run->version, arena, &right);
    if (had != CONVERTED)
        return had;
    text = left.size < SIZE_MAX - right.size ? arena_alloc(arena, left.size + right.size) : NULL;
    if (!text)
        return CONVERT_LIMIT;
    if (left.size)
        memcpy(text, left.data, left.size);
    if (right.size)
        memcpy(text + left.size, right.data, right.size);
    *out = value_string((struct span){text, left.size + right.size});
    out->secret = a->secret || b->secret;
    return CONVERTED;
}

static enum convert arithmetic(enum step_op op, const struct run *run, const struct value *a,
                               const struct value *b, struct value *out)
{
    struct number left, right, result;
    enum convert had;
    bool known = false;

    if (op == STEP_ADD) { /* + alone joins Strings instead of reading them as numbers */
        if (a->type == VALUE_STRING || b->type == VALUE_STRING)
            return concatenate(run, a, b, out);
    }
    had = value_to_number(a, &run->scope->arena, &left);
    if (had == CONVERTED)
        had = value_to_number(b, &run->scope->arena, &right);
    if (had != CONVERTED)
        return had;
    switch (op) {
    case STEP_ADD: known = number_add(&left, &right, &result); break;
    case STEP_SUBTRACT: known = number_subtract(&left, &right, &result); break;
    case STEP_MULTIPLY: known = number_multiply(&left, &right, &result); break;
    case STEP_DIVIDE: known = number_divide(&left, &right, &result); break;
    case STEP_REMAINDER: known = number_remainder(&left, &right, &result); break;
    default: break;
    }
    if (!known)
        return NOT_CONVERTED;
    *out = value_number(&result, a->type == VALUE_INT && b->type == VALUE_INT, run->version);
    return CONVERTED;
}

enum convert operate(enum step_op op, const struct run *run, const struct value *a, const struct value *b,
                     struct value *out)
{
    enum convert had = NOT_CONVERTED;

    *out = VALUE_NOTHING;
    switch (op) {
    case STEP_OR:
    case STEP_AND: had = logic(op, run, a, b, out); break;
    case STEP_EQUAL:
    case STEP_NOT_EQUAL: had = equality(op == STEP_NOT_EQUAL, run, a, b, out); break;
    case STEP_LESS:
    case STEP_LESS_EQUAL:
    case STEP_GREATER:
    case STEP_GREATER_EQUAL: had = order(op, run, a, b, out); break;
    case STEP_IN: had = contains(run, a, b, out); break;
    default: had = arithmetic(op, run, a, b, out); break;
    }
    return had == CONVERT_LIMIT ? CONVERT_LIMIT : CONVERTED;
}

enum convert operate_not(const struct run *run, const struct value *a, struct value *out)
{
    bool boolean;
    enum convert had = value_to_boolean(a, &run->scope->arena, &boolean);

    *out = had == CONVERTED ? value_boolean(!boolean) : VALUE_NOTHING;
    return had == CONVERT_LIMIT ? CONVERT_LIMIT : CONVERTED;
}

/* 2015-10-08 shows that a value is a Double: 7 becomes 7.0. */
static void show_fraction(struct number *number)
{
    const struct number ten = number_from_int(10);
    struct number shown;

    number_reduce(number);
    if (number->exponent == 0 && number_multiply(number, &ten, &shown) && shown.exponent == 0) {
        shown.exponent = -1;
        *number = shown;
    }
}

enum convert operate_cast(enum cast_type type, const struct run *run, const struct value *a,
                          struct value *out)
{
    struct arena *arena = &run->scope->arena;
    enum convert had = CONVERTED;
    struct number number;
    struct span text;
    bool boolean;

    *out = VALUE_NOTHING;
    if (type == CAST_STRING) {
        had = value_to_text(a, run->version, arena, &text);
        if (had == CONVERTED) {
            *out = value_string(text);
            out->secret = a->secret;
        }
        return had == CONVERT_LIMIT ? CONVERT_LIMIT : CONVERTED;
    }
    if (type == CAST_BOOLEAN && !value_is_number(a)) {
        had = value_to_boolean(a, arena, &boolean);
        if (had == CONVERTED)
            *out = value_boolean(boolean);
        return had == CONVERT_LIMIT ? CONVERT_LIMIT : CONVERTED;
    }
    if (a->type == VALUE_BOOLEAN)
        number = number_from_int(a->boolean);
    else
        had = type == CAST_INT ? value_to_int(a, arena, &number) : value_to_number(a, arena, &number);
    if (had != CONVERTED)
        return had == CONVERT_LIMIT ? CONVERT_LIMIT : CONVERTED;
    if (type == CAST_BOOLEAN) {
        *out = value_boolean(!number_is_zero(&number));
        return CONVERTED;
    }
    if (type == CAST_DOUBLE) {
        if (!number_from_double(number_to_double(&number), &number))
            return CONVERTED;
        if (run->version == SQL_2015_10_08)
            show_fraction(&number);
    }
    *out = value_number(&number, type == CAST_INT, run->version);
    return CONVERTED;
}
