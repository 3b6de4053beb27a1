/* func.c - finding a function, and what most functions start with. */
#include "func.h"

static const struct sql_func *const tables[] = {
    sql_math_funcs,   sql_bit_funcs,   sql_string_funcs,  sql_regex_funcs, sql_time_funcs,
    sql_digest_funcs, sql_value_funcs, sql_message_funcs, sql_aws_funcs,
};

/* The i-th row of all tables, in their order; NULL past the end. */
static const struct sql_func *row_at(size_t index)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct sql_func *row = tables[i]; row->name; row++)
            if (index-- == 0)
                return row;
    return NULL;
}

const struct sql_func *sql_func_find(struct span name)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct sql_func *row = tables[i]; row->name; row++)
            if (span_is_nocase(name, row->name))
                return row;
    return NULL;
}

const char *sql_func_name(const void *context, size_t index)
{
    const struct sql_func *row = row_at(index);

    (void)context;
    return row ? row->name : NULL;
}

bool sql_function_at(size_t index, struct sql_function_info *info)
{
    const struct sql_func *row, *other;

    /* The row that has `index` smaller ones: there are about a hundred, and nobody is in a hurry. */
    for (size_t i = 0; (row = row_at(i)) != NULL; i++) {
        size_t smaller = 0;

        for (size_t j = 0; (other = row_at(j)) != NULL; j++)
            smaller += strcmp(other->name, row->name) < 0;
        if (smaller == index)
            break;
    }
    if (!row)
        return false;
    *info = (struct sql_function_info){
        .name = row->name,
        .help = row->help,
        .least = row->least,
        .most = row->most,
        .v2_only = row->flags & FUNC_V2,
        .refused = row->flags & FUNC_REFUSED,
    };
    return true;
}

static int converted(enum convert had, struct err *err)
{
    switch (had) {
    case CONVERTED: return 1;
    case NOT_CONVERTED: return 0;
    case CONVERT_LIMIT: break;
    }
    return call_full(err);
}

int arg_number(const struct call *call, unsigned i, struct number *out, struct err *err)
{
    return converted(value_to_number(&call->args[i], &call->scope->arena, out), err);
}

int arg_int(const struct call *call, unsigned i, struct number *out, struct err *err)
{
    return converted(value_to_int(&call->args[i], &call->scope->arena, out), err);
}

int arg_text(const struct call *call, unsigned i, struct span *out, struct err *err)
{
    enum { FREE = 256 }; /* short texts cost no more than the step that asks for them */
    int had = converted(value_to_text(&call->args[i], call->version, &call->scope->arena, out), err);

    /* Whoever asks for a text looks at all of it, and a nested query may ask for each element of an array. */
    if (had > 0 && out->size > FREE && !scope_charge(call->scope, out->size / 16, err))
        return -1;
    return had;
}

void *call_alloc(const struct call *call, size_t size, struct err *err)
{
    void *memory = arena_alloc(&call->scope->arena, size);

    if (!memory)
        call_full(err);
    return memory;
}
