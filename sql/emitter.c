/* emitter.c - steps one after another: jumps, folding, the proof of the stack's depth. */
#include "emitter.h"

#include <assert.h>

enum {
    STEPS_MAX = 50000,
    HEIGHT_MAX = 10000, /* values at once: arguments, elements, items */
    /* What folding may take: the rest is left to the message, where it meets the limits of a message. */
    FOLD_MEMORY = 1 << 20, /* for a whole statement */
    FOLD_STEPS = 100000,   /* for one constant */
    FOLD_VALUES = 1000,    /* in one constant */
};

struct step *emit(struct emitter *emitter, enum step_op op, struct place place)
{
    if (!emitter->failed && emitter->count == STEPS_MAX) {
        emitter->failed = true;
        (void)compile_error(emitter->compile, ERR_LIMIT, place,
                            "this is too long: it would take more than %d steps", STEPS_MAX);
    }
    if (!emitter->failed && emitter->count == emitter->room) {
        size_t room = emitter->room ? emitter->room * 2 : 32;
        struct step *more = compile_alloc(emitter->compile, room * sizeof *more);

        if (more && emitter->count)
            memcpy(more, emitter->steps, emitter->count * sizeof *more);
        emitter->failed = !more;
        emitter->steps = more;
        emitter->room = room;
    }
    if (emitter->failed) {
        emitter->nowhere = (struct step){0};
        return &emitter->nowhere;
    }

    struct step *step = &emitter->steps[emitter->count++];

    *step = (struct step){.op = (uint8_t)op, .at = place.at, .size = place.size};
    return step;
}

void *emit_alloc(struct emitter *emitter, size_t size)
{
    void *memory = emitter->failed ? NULL : compile_alloc(emitter->compile, size);

    emitter->failed |= !memory;
    return memory;
}

/* ---- jumps ---- */

struct step *emit_jump(struct emitter *emitter, enum step_op op, struct place place, size_t *list)
{
    struct step *step = emit(emitter, op, place);

    step->target = *list;
    if (!emitter->failed)
        *list = emitter->count - 1;
    return step;
}

void land(struct emitter *emitter, size_t list, size_t target)
{
    if (emitter->landed < target)
        emitter->landed = target;
    while (!emitter->failed && list != NO_JUMP) {
        size_t before = emitter->steps[list].target;

        emitter->steps[list].target = target;
        list = before;
    }
}

/* ---- folding ---- */

/* May it be kept in the program? What stands on the tape of a payload (a decoded constant) may not. */
static bool is_kept(const struct value *value)
{
    if (value->form == FORM_NODE || value->secret)
        return false;
    if (value->form != FORM_LIST)
        return true;
    for (size_t i = 0; i < value->list.count; i++)
        if (!is_kept(value->type == VALUE_ARRAY ? &value->list.items[i] : &value->list.members[i].value))
            return false;
    return true;
}

/* The scope that constants are evaluated in; it has no message and no host. NULL: no memory. */
static struct sql_scope *folder(struct compile *compile)
{
    static const struct sql_host nobody;

    if (!compile->folder)
        compile->folder = sql_scope_new(
            &nobody, (struct sql_limits){.memory = FOLD_MEMORY, .output = FOLD_MEMORY, .steps = FOLD_STEPS},
            compile->err);
    return compile->folder;
}

/* Run the steps from `first` on. False when they fail, or give what cannot be kept. */
static bool evaluate(struct emitter *emitter, size_t first, struct value *out)
{
    struct run run = {.scope = folder(emitter->compile), .version = emitter->compile->version};
    struct code code = {.height = (uint16_t)(emitter->count - first)};
    enum sql_outcome outcome;
    struct err ignored;
    size_t failed;

    emitter->failed |= !run.scope;
    (void)emit(emitter, STEP_RETURN, (struct place){0, 0});
    if (emitter->failed)
        return false;
    code.steps = emitter->steps + first;
    code.count = (uint32_t)(emitter->count - first);
    run.scope->steps = FOLD_STEPS;
    outcome = eval(&code, &run, &failed, &ignored);
    emitter->count--;
    *out = run.result;
    return outcome == SQL_MATCHED && is_kept(out);
}

void fold(struct emitter *emitter, size_t pops)
{
    size_t first = emitter->count - 1 - pops;
    struct value *constant;

    if (emitter->failed || emitter->count <= pops || first < emitter->landed || pops > FOLD_VALUES)
        return;
    for (size_t i = first; i < emitter->count - 1; i++)
        if (emitter->steps[i].op != STEP_CONST)
            return;
    constant = emit_alloc(emitter, sizeof *constant);
    if (!constant || !evaluate(emitter, first, constant))
        return;

    const struct step *last = &emitter->steps[emitter->count - 1];
    struct place place = {last->at, last->size};

    emitter->count = first;
    emit(emitter, STEP_CONST, place)->constant = constant;
}

/* ---- the proof ---- */

/* The stack's height before each step, along every way that leads there: all must agree, and nothing may be
 * popped that is not there. False would be a mistake of this file. */
static bool find_heights(const struct emitter *emitter, int *heights, int *highest)
{
    for (size_t i = 0; i < emitter->count; i++) {
        const struct step *step = &emitter->steps[i];
        const struct step_effect *effect = &step_effects[step->op];
        int rest = heights[i] - (effect->pops == MANY ? (int)step->count : effect->pops);
        struct {
            size_t step;
            int height;
        } ways[2];
        size_t count = 0;

        if (rest < 0)
            return false;
        if (step_jumps(step)) {
            ways[count].step = step->target;
            ways[count++].height = rest + (effect->jumps > 0 ? effect->jumps : 0);
        }
        if (effect->jumps != ALWAYS && effect->jumps != ENDS) {
            ways[count].step = i + 1;
            ways[count++].height = rest + effect->pushes;
        }
        while (count-- > 0) {
            if (ways[count].step >= emitter->count ||
                (heights[ways[count].step] >= 0 && heights[ways[count].step] != ways[count].height))
                return false;
            heights[ways[count].step] = ways[count].height;
            *highest = ways[count].height > *highest ? ways[count].height : *highest;
        }
    }
    return true;
}

static int prove(struct emitter *emitter, struct code *out)
{
    size_t count = emitter->count;
    int *heights = emit_alloc(emitter, count * sizeof *heights), highest = 0;

    if (!heights)
        return -1;
    for (size_t i = 1; i < count; i++)
        heights[i] = -1;
    bool balanced = find_heights(emitter, heights, &highest);

    assert(balanced);
    if (!balanced)
        return compile_error(emitter->compile, ERR_UNSUPPORTED, (struct place){0, 0},
                             "this statement meets a defect of the compiler; please report it");
    if (highest > HEIGHT_MAX)
        return compile_error(emitter->compile, ERR_LIMIT, (struct place){0, 0},
                             "this is too wide: it would hold more than %d values at once", HEIGHT_MAX);
    for (size_t i = 0; i < count; i++)
        if (emitter->steps[i].op == STEP_TRY)
            emitter->steps[i].count = (uint32_t)heights[i];
    *out = (struct code){.steps = emitter->steps,
                         .count = (uint32_t)count,
                         .height = (uint16_t)highest,
                         .levels = (uint16_t)emitter->levels};
    return 0;
}

int emit_finish(struct emitter *emitter, struct code *out)
{
    if (emitter->failed)
        return -1;
    code_mark_secrets(emitter->steps, (uint32_t)emitter->count);
    return prove(emitter, out);
}
