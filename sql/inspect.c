/* inspect.c - what steps tell about themselves: as text, for warnings, for secrets that are needed. */
#include "program.h"

static const char *const step_names[] = {
#define STEP(name, pops, pushes, jumps) [STEP_##name] = #name,
#include "steps.def"
#undef STEP
};

const struct step_effect step_effects[STEP_OPS] = {
#define STEP(name, pops, pushes, jumps) [STEP_##name] = {pops, pushes, jumps},
#include "steps.def"
#undef STEP
};

bool step_jumps(const struct step *step)
{
    int jumps = step_effects[step->op].jumps;

    return jumps >= 0 || jumps == ALWAYS;
}

bool code_calls(const struct code *code, const char *name)
{
    for (size_t i = 0; i < code->count; i++)
        if (code->steps[i].op == STEP_CALL && strcmp(code->steps[i].func->name, name) == 0)
            return true;
    return false;
}

/* get_secret(id, type[, key], role) with Strings that are known already. */
static bool secret_query(const struct code *code, size_t at, struct sql_secret_query *query)
{
    const struct step *call = &code->steps[at], *args = call - call->count;

    if (at < call->count)
        return false;
    for (size_t i = 0; i < call->count; i++)
        if (args[i].op != STEP_CONST || args[i].constant->type != VALUE_STRING)
            return false;
    for (size_t i = 0; i < at; i++) /* a jump into the midst of them: they are one of several */
        if (step_jumps(&code->steps[i]) && code->steps[i].target > at - call->count &&
            code->steps[i].target <= at)
            return false;
    *query = (struct sql_secret_query){
        .id = args[0].constant->text,
        .type = span_is(args[1].constant->text, "SecretBinary") ? SQL_SECRET_BINARY : SQL_SECRET_STRING,
        .role_arn = args[call->count - 1].constant->text,
    };
    if (call->count == 4)
        query->key = args[2].constant->text;
    return true;
}

void code_secrets(const struct code *code, sql_secret_seen *seen, void *context)
{
    struct sql_secret_query query;

    for (size_t i = 0; i < code->count; i++) {
        const struct step *step = &code->steps[i];

        if (step->op == STEP_CALL && strcmp(step->func->name, "get_secret") == 0 &&
            secret_query(code, i, &query))
            seen(context, &query);
    }
}

void code_mark_secrets(struct step *steps, uint32_t count)
{
    const struct code code = {.steps = steps, .count = count};
    struct sql_secret_query query;

    for (size_t i = 0; i < count; i++)
        if (steps[i].op == STEP_CALL && strcmp(steps[i].func->name, "get_secret") == 0)
            steps[i].flag = !secret_query(&code, i, &query);
}

bool code_computes_secrets(const struct code *code)
{
    for (size_t i = 0; i < code->count; i++)
        if (code->steps[i].op == STEP_CALL && code->steps[i].flag)
            return true;
    return false;
}

/* What is wrong for certain, before any message; NULL: nothing. */
const char *code_flaw(const struct code *code)
{
    struct sql_secret_query query;

    if (code->count > 0 && code->count <= 2 && code->steps[0].op == STEP_CONST &&
        code->steps[0].constant->type == VALUE_UNDEFINED)
        return "an expression in it is always Undefined; get_secret takes (id, type[, key], role)";
    for (size_t i = 0; i < code->count; i++) {
        const struct step *step = &code->steps[i];

        if (step->op != STEP_CALL || strcmp(step->func->name, "get_secret") != 0 ||
            !secret_query(code, i, &query))
            continue;
        if (query.type == SQL_SECRET_BINARY && step->count == 4)
            return "get_secret: a SecretBinary has no keys; leave the third argument out";
        if (query.type == SQL_SECRET_STRING &&
            !span_is(step[1 - (int)step->count].constant->text, "SecretString"))
            return "get_secret: the second argument is SecretString or SecretBinary";
    }
    return NULL;
}

bool code_is_settled(const struct code *code)
{
    for (size_t i = 0; i < code->count; i++) {
        const struct step *step = &code->steps[i];

        switch ((enum step_op)step->op) {
        case STEP_FIELD:
        case STEP_NAME:
        case STEP_PAYLOAD:
        case STEP_BYTES:
        case STEP_VARIABLE: return false;
        case STEP_CALL:
            if (!(step->func->flags & FUNC_PURE) && strcmp(step->func->name, "get_secret") != 0)
                return false;
            break;
        default: break;
        }
    }
    return true;
}

/* ---- explain ---- */

static void explain_path(const struct span *names, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(out, '.');
        buf_span(out, names[i]);
    }
}

static void explain_constant(const struct value *value, enum sql_version version, struct buf *out)
{
    struct arena arena;

    if (value->type == VALUE_UNDEFINED) {
        buf_text(out, "Undefined");
        return;
    }
    arena_init(&arena, 1 << 20);
    value_print(value, version, &arena, out);
    arena_done(&arena);
}

static void explain_operands(const struct step *step, const struct sql_program *program,
                             enum sql_version version, struct buf *out)
{
    static const char *const types[] = {
        [CAST_STRING] = "String",   [CAST_INT] = "Int",         [CAST_DOUBLE] = "Double",
        [CAST_DECIMAL] = "Decimal", [CAST_BOOLEAN] = "Boolean",
    };

    switch ((enum step_op)step->op) {
    case STEP_CONST: explain_constant(step->constant, version, out); break;
    case STEP_NAME:
    case STEP_ELEMENT:
        buf_format(out, "%u ", step->level);
        explain_path(step->names, step->count, out);
        break;
    case STEP_FIELD:
    case STEP_PAYLOAD:
    case STEP_MEMBER: explain_path(step->names, step->count, out); break;
    case STEP_VARIABLE:
    case STEP_ASSIGN: buf_format(out, "@%s", program ? program->variables[step->level] : "?"); break;
    case STEP_CAST: buf_text(out, types[step->level]); break;
    case STEP_CALL: buf_format(out, "%s %u", step->func->name, step->count); break;
    case STEP_ARRAY: buf_format(out, "%u", step->count); break;
    case STEP_RECORD:
        for (unsigned i = 0; i < step->shape->count; i++) {
            const struct field *field = &step->shape->fields[i];

            buf_text(out, i ? ", " : "");
            explain_path(field->path, field->depth, out);
            if (field->depth == 0)
                buf_char(out, '*');
        }
        break;
    case STEP_PRINT: buf_add(out, step->key + 1, step->count - 2); break;
    case STEP_JUMP:
    case STEP_CASE:
    case STEP_WHEN:
    case STEP_TRY:
    case STEP_MISSING:
    case STEP_WHERE:
    case STEP_WHERE_AND:
    case STEP_QUERY:
    case STEP_NEXT:
    case STEP_FOUND: buf_format(out, "-> %zu", step->target); break;
    default: break;
    }
}

void code_explain(const struct code *code, const struct sql_program *program, enum sql_version version,
                  struct buf *out)
{
    for (size_t i = 0; i < code->count; i++) {
        size_t from = out->size;

        buf_format(out, "%4zu  %-14s ", i, step_names[code->steps[i].op]);
        explain_operands(&code->steps[i], program, version, out);
        while (!out->failed && out->size > from && out->data[out->size - 1] == ' ')
            out->data[--out->size] = '\0';
        buf_char(out, '\n');
    }
}
