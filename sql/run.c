/* run.c - a program meets a message. */
#include "program.h"

#include <stdio.h>

/* The clause that the failed step is part of: the first step behind it that ends one. */
static void name_clause(const struct code *code, size_t failed, const struct sql_program *program, char *out,
                        size_t room)
{
    for (size_t i = failed; i < code->count; i++) {
        const struct step *step = &code->steps[i];

        switch ((enum step_op)step->op) {
        case STEP_ASSIGN:
            (void)snprintf(out, room, "SET @%s", program ? program->variables[step->level] : "");
            return;
        case STEP_WHERE:
        case STEP_WHERE_AND:
            if (code->steps[step->target].op != STEP_FILTERED)
                break; /* of a nested query, which is part of something */
            (void)snprintf(out, room, "WHERE");
            return;
        case STEP_PRINT:
            (void)snprintf(out, room, "SELECT item %.*s", (int)step->count - 2, step->key + 1);
            return;
        case STEP_RETURN: (void)snprintf(out, room, "template"); return;
        default: break;
        }
    }
    (void)snprintf(out, room, "SELECT");
}

void run_blame(struct err *err, struct span text, const struct code *code, size_t failed,
               const struct sql_program *program)
{
    const struct step *step = &code->steps[failed];
    char clause[96];

    name_clause(code, failed, program, clause, sizeof clause);
    err_prefix(err, "%s", clause);
    err_mark(err, text, step->at, step->size);
}

int run_variables(const struct sql_program *program, struct sql_scope *scope, struct err *err)
{
    struct run run = {.scope = scope, .version = program->version};
    size_t failed;

    if (program->set.count == 0 || scope->variables_of == program)
        return 0;
    scope->variables_of = NULL;
    if (eval(&program->set, &run, &failed, err) == SQL_FAILED) {
        run_blame(err, program->text, &program->set, failed, program);
        return -1;
    }
    scope->variables_of = program;
    return 0;
}

enum sql_outcome sql_run(const struct sql_program *program, struct sql_scope *scope, struct span *out,
                         struct err *err)
{
    struct buf text = buf_in(&scope->arena, scope->limits.output);
    struct run run = {.scope = scope, .version = program->version, .out = &text};
    enum sql_outcome outcome;
    size_t failed;

    *out = (struct span){NULL, 0};
    scope->steps = scope->limits.steps;
    if (run_variables(program, scope, err) < 0)
        return SQL_FAILED;
    outcome = eval(&program->body, &run, &failed, err);
    if (outcome == SQL_MATCHED)
        *out = buf_view(&text);
    else if (outcome == SQL_FAILED)
        run_blame(err, program->text, &program->body, failed, program);
    return outcome;
}
