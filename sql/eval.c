/* eval.c - the loop that runs for every message. */
#include "eval.h"

#include <assert.h>

/* A nested query while it runs. */
struct frame {
    struct value source, element;
    struct value_walk walk;
    bool single; /* the source is an Object, and stands for an array of itself */
    struct value *results;
    size_t count, room;
};

/* What one run of the loop works on. */
struct machine {
    struct run *run;
    struct value *stack;
    struct frame *frames; /* [level - 1] */
    struct err *err;
};

/* Long values are work: a nested query may look at them again and again. Operators look at all of a
 * container, functions at its top at most (or they charge for it themselves). */
static inline int charge(const struct machine *machine, const struct value *values, size_t count, bool deep)
{
    enum { ELEMENTS_A_STEP = 16 };
    size_t weight = 0;

    for (size_t i = 0; i < count; i++)
        if (values[i].type == VALUE_STRING || (deep && values[i].type > VALUE_STRING))
            weight += value_weight(&values[i]);
        else if (values[i].type > VALUE_STRING)
            weight += value_count(&values[i]) / ELEMENTS_A_STEP;
    return weight == 0 || scope_charge(machine->run->scope, weight, machine->err) ? 0 : -1;
}

/* *value becomes what stands below it under the names. */
static int walk_names(const struct machine *machine, struct value *value, const struct span *names,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (scope_field(machine->run->scope, value, names[i], value, machine->err) < 0)
            return -1;
    return 0;
}

/* The payload, if it is an object or array. 0 and Undefined if it is not, -1 if it cannot be read. */
static int get_payload(const struct machine *machine, struct value *out)
{
    struct sql_scope *scope = machine->run->scope;

    *out = VALUE_NOTHING;
    switch (scope_payload(scope)) {
    case PAYLOAD_JSON: *out = scope->payload; return 0;
    case PAYLOAD_LIMIT:
        if (!scope->payload_err)
            return call_full(machine->err);
        *machine->err = *scope->payload_err;
        return -1;
    case PAYLOAD_SCALAR:
    case PAYLOAD_EMPTY:
    case PAYLOAD_BINARY: break;
    }
    return 0;
}

static int run_payload(const struct machine *machine, const struct step *step, struct value *out)
{
    const struct sql_scope *scope = machine->run->scope;

    if (get_payload(machine, out) < 0)
        return -1;
    if (step->flag && (scope->payload_kind == PAYLOAD_BINARY || scope->payload_kind == PAYLOAD_SCALAR))
        return err_set(machine->err, ERR_VALUE,
                       "nothing can be added to a payload that is no JSON object: %s",
                       scope->payload_kind == PAYLOAD_BINARY && scope->payload_err ? scope->payload_err->text
                                                                                   : "it is a bare value");
    return walk_names(machine, out, step->names, step->count);
}

/* The nested query of that level, counted from 1. */
static struct frame *frame_of(const struct machine *machine, unsigned level)
{
    assert(machine->frames && level > 0);
    return &machine->frames[level - 1];
}

/* The nearest element that has the name, from the inside out; the payload last. */
static int run_name(const struct machine *machine, const struct step *step, struct value *out)
{
    for (unsigned level = step->level; level > step->bound; level--) {
        if (scope_field(machine->run->scope, &frame_of(machine, level)->element, step->names[0], out,
                        machine->err) < 0)
            return -1;
        if (out->type != VALUE_UNDEFINED)
            return walk_names(machine, out, step->names + 1, step->count - 1);
    }
    if (step->bound) {
        *out = frame_of(machine, step->bound)->element;
        return walk_names(machine, out, step->names + 1, step->count - 1);
    }
    if (get_payload(machine, out) < 0)
        return -1;
    return walk_names(machine, out, step->names, step->count);
}

static int run_array(const struct machine *machine, const struct value *values, size_t count,
                     struct value *out)
{
    struct value *items = arena_array(&machine->run->scope->arena, count + 1, sizeof *items);
    size_t kept = 0;

    if (!items)
        return call_full(machine->err);
    for (size_t i = 0; i < count; i++)
        if (values[i].type != VALUE_UNDEFINED) /* A21 */
            items[kept++] = values[i];
    *out = (struct value){.type = VALUE_ARRAY, .form = FORM_LIST};
    out->list.items = items;
    out->list.count = kept;
    return 0;
}

static int run_call(const struct machine *machine, const struct step *step, const struct value *args,
                    struct value *out)
{
    const struct call call = {.scope = machine->run->scope,
                              .args = args,
                              .argc = step->count,
                              .version = machine->run->version,
                              .computed = step->flag};

    *out = VALUE_NOTHING;
    if (charge(machine, args, step->count, false) < 0)
        return -1;
    return step->func->run(&call, out, machine->err);
}

/* ---- nested queries ---- */

/* False: there is nothing to read. */
static bool query_open(struct frame *frame, const struct value *source)
{
    *frame = (struct frame){.source = *source, .single = source->type == VALUE_OBJECT};
    if (source->type != VALUE_ARRAY && source->type != VALUE_OBJECT)
        return false;
    if (!frame->single)
        frame->walk = value_walk(&frame->source);
    return true;
}

/* 1: there is an element; 0: none; -1: limit. */
static int query_next(const struct machine *machine, const struct step *step, size_t body)
{
    struct frame *frame = frame_of(machine, step->level);
    struct sql_scope *scope = machine->run->scope;
    bool failed = false;

    if (!scope_charge(scope, body, machine->err))
        return -1;
    if (frame->single) {
        frame->element = frame->source;
        frame->single = false;
        return 1;
    }
    if (frame->source.type == VALUE_ARRAY &&
        value_next(&frame->walk, &scope->arena, NULL, &frame->element, &failed))
        return 1;
    return failed ? call_full(machine->err) : 0;
}

static int query_collect(const struct machine *machine, struct frame *frame, const struct value *value)
{
    if (value->type == VALUE_UNDEFINED)
        return 0;
    if (frame->count == frame->room) {
        size_t room = frame->room ? frame->room * 2 : 8;
        struct value *more = arena_array(&machine->run->scope->arena, room, sizeof *more);

        if (!more)
            return call_full(machine->err);
        if (frame->count)
            memcpy(more, frame->results, frame->count * sizeof *more);
        frame->results = more;
        frame->room = room;
    }
    frame->results[frame->count++] = *value;
    return 0;
}

static struct value query_results(const struct frame *frame)
{
    struct value array = {.type = VALUE_ARRAY, .form = FORM_LIST};

    array.list.items = frame->results;
    array.list.count = frame->count;
    return array;
}

/* ---- results ---- */

enum { VARIABLES_ROOM = 128 << 10 }; /* bytes of JSON that all SET variables may take together */

/* How many bytes the value takes as JSON; more than `most` is all that is told beyond that. */
static size_t printed_size(const struct machine *machine, const struct value *value, size_t most)
{
    struct arena *arena = &machine->run->scope->arena;
    struct arena_mark mark;
    struct buf buf;
    size_t size;

    if (value->type == VALUE_UNDEFINED)
        return 0;
    if (value->type == VALUE_STRING && value->text.size <= most / 6)
        return value->text.size + 2;
    if (value->type != VALUE_STRING && value->type != VALUE_ARRAY && value->type != VALUE_OBJECT)
        return NUMBER_TEXT / 2;
    mark = arena_mark(arena);
    buf = buf_in(arena, most);
    value_print(value, machine->run->version, arena, &buf);
    size = buf.failed ? most + 1 : buf.size;
    arena_rewind(arena, mark);
    return size;
}

static int run_assign(const struct machine *machine, const struct step *step, const struct value *value)
{
    struct sql_scope *scope = machine->run->scope;
    size_t left = step->level == 0 ? VARIABLES_ROOM : scope->variables_room;
    size_t size = printed_size(machine, value, left);

    if (size > left)
        return err_set(machine->err, ERR_LIMIT, "the variables of a statement take more than %d KiB as JSON",
                       VARIABLES_ROOM >> 10);
    scope->variables_room = left - size;
    scope->variables[step->level] = *value;
    return 0;
}

/* SELECT *: JSON is printed anew, anything else goes on as it came. */
static int run_pass(const struct machine *machine)
{
    struct value payload;

    if (get_payload(machine, &payload) < 0)
        return -1;
    if (payload.type == VALUE_UNDEFINED)
        buf_span(machine->run->out, machine->run->scope->message.payload);
    else
        value_print(&payload, machine->run->version, &machine->run->scope->arena, machine->run->out);
    return 0;
}

static void run_print(const struct machine *machine, const struct step *step, const struct value *value)
{
    struct buf *out = machine->run->out;
    size_t comma = out->size == 1; /* the first member has none */

    if (value->type == VALUE_UNDEFINED)
        return;
    buf_add(out, step->key + comma, step->count - comma);
    value_print(value, machine->run->version, &machine->run->scope->arena, out);
}

static int run_done(const struct machine *machine)
{
    const struct sql_limits *limits = &machine->run->scope->limits;

    if (!machine->run->out || !machine->run->out->failed)
        return 0;
    return err_set(
        machine->err, ERR_LIMIT,
        "the outgoing payload is larger than %zu bytes, or takes more than the %zu bytes of memory "
        "that one message may take",
        limits->output, limits->memory);
}

/* ---- the loop ---- */

/* The nearest get_or_default around a step that failed; its end, and the stack's height there. Limits are
 * never caught: what is used up stays used up. */
static bool caught(const struct code *code, size_t at, const struct err *err, size_t *target, size_t *height)
{
    if (err->code == ERR_LIMIT || err->code == ERR_MEMORY)
        return false;
    for (size_t i = at; i-- > 0;) {
        if (code->steps[i].op == STEP_TRY && code->steps[i].target > at) {
            *target = code->steps[i].target;
            *height = code->steps[i].count;
            return true;
        }
    }
    return false;
}

enum sql_outcome eval(const struct code *code, struct run *run, size_t *failed, struct err *err)
{
    struct sql_scope *scope = run->scope;
    struct machine machine = {
        .run = run,
        .stack = arena_array(&scope->arena, code->height + 1u, sizeof *machine.stack),
        .frames = code->levels ? arena_array(&scope->arena, code->levels, sizeof *machine.frames) : NULL,
        .err = err,
    };
    struct value *stack = machine.stack;
    const struct step *steps = code->steps, *s = steps;
    struct value result;
    size_t n = 0, pc = 0;
    bool boolean;

    *failed = 0;
    if (!machine.stack || (code->levels && !machine.frames)) {
        call_full(err);
        return SQL_FAILED;
    }
    if (!scope_charge(scope, code->count, err))
        return SQL_FAILED;
    for (;;) {
        s = &steps[pc++];
        switch ((enum step_op)s->op) {
        case STEP_CONST: stack[n++] = *s->constant; break;
        case STEP_FIELD:
            if (get_payload(&machine, &stack[n]) < 0)
                goto fail;
            if (walk_names(&machine, &stack[n], s->names, s->count) < 0)
                goto fail;
            n++;
            break;
        case STEP_NAME:
            if (run_name(&machine, s, &stack[n]) < 0)
                goto fail;
            n++;
            break;
        case STEP_ELEMENT:
            stack[n] = frame_of(&machine, s->level)->element;
            if (walk_names(&machine, &stack[n], s->names, s->count) < 0)
                goto fail;
            n++;
            break;
        case STEP_PAYLOAD:
            if (run_payload(&machine, s, &stack[n]) < 0)
                goto fail;
            n++;
            break;
        case STEP_BYTES:
            stack[n++] =
                value_string((struct span){scope->message.payload.data, scope->message.payload.size});
            break;
        case STEP_VARIABLE: stack[n++] = scope->variables[s->level]; break;
        case STEP_MEMBER:
            if (walk_names(&machine, &stack[n - 1], s->names, s->count) < 0)
                goto fail;
            break;

        case STEP_OR:
        case STEP_AND:
        case STEP_EQUAL:
        case STEP_NOT_EQUAL:
        case STEP_LESS:
        case STEP_LESS_EQUAL:
        case STEP_GREATER:
        case STEP_GREATER_EQUAL:
        case STEP_IN:
        case STEP_ADD:
        case STEP_SUBTRACT:
        case STEP_MULTIPLY:
        case STEP_DIVIDE:
        case STEP_REMAINDER:
            if (charge(&machine, &stack[n - 2], 2, true) < 0)
                goto fail;
            if (operate((enum step_op)s->op, run, &stack[n - 2], &stack[n - 1], &result) != CONVERTED)
                goto full;
            stack[--n - 1] = result;
            break;
        case STEP_NOT:
            if (operate_not(run, &stack[n - 1], &result) != CONVERTED)
                goto full;
            stack[n - 1] = result;
            break;
        case STEP_CAST:
            if (operate_cast((enum cast_type)s->level, run, &stack[n - 1], &result) != CONVERTED)
                goto full;
            stack[n - 1] = result;
            break;
        case STEP_CALL:
            if (run_call(&machine, s, &stack[n - s->count], &result) < 0)
                goto fail;
            n -= s->count;
            stack[n++] = result;
            break;
        case STEP_ARRAY:
            n -= s->count;
            if (run_array(&machine, &stack[n], s->count, &stack[n]) < 0)
                goto fail;
            n++;
            break;
        case STEP_RECORD:
            n -= s->count;
            if (record_build(s->shape, run, &stack[n], &result, err) < 0)
                goto fail;
            stack[n++] = result;
            break;

        case STEP_JUMP: pc = s->target; break;
        case STEP_CASE:
            if (stack[n - 1].type == VALUE_UNDEFINED)
                pc = s->target;
            break;
        case STEP_WHEN:
            if (charge(&machine, &stack[n - 2], 2, true) < 0)
                goto fail;
            if (operate(STEP_EQUAL, run, &stack[n - 2], &stack[n - 1], &result) != CONVERTED)
                goto full;
            n--;
            if (result.type == VALUE_BOOLEAN && result.boolean)
                n--;
            else
                pc = s->target;
            break;
        case STEP_POP: n--; break;
        case STEP_TRY: break;
        case STEP_MISSING:
            if (stack[n - 1].type == VALUE_UNDEFINED || stack[n - 1].type == VALUE_NULL)
                n--;
            else
                pc = s->target;
            break;
        case STEP_WHERE:
            n--;
            if (stack[n].type != VALUE_BOOLEAN || !stack[n].boolean)
                pc = s->target;
            break;
        case STEP_WHERE_AND:
            n--;
            switch (value_to_boolean(&stack[n], &scope->arena, &boolean)) {
            case CONVERTED: break;
            case NOT_CONVERTED: boolean = false; break;
            case CONVERT_LIMIT: goto full;
            }
            if (!boolean)
                pc = s->target;
            break;

        case STEP_QUERY:
            if (query_open(frame_of(&machine, s->level), &stack[--n]))
                break;
            stack[n++] = s->flag ? value_boolean(false) : VALUE_NOTHING;
            pc = s->target;
            break;
        case STEP_NEXT: {
            int more = query_next(&machine, s, s->target - pc + 1);

            if (more < 0)
                goto fail;
            if (more == 0) {
                stack[n++] = s->flag ? value_boolean(false) : query_results(frame_of(&machine, s->level));
                pc = s->target;
            }
            break;
        }
        case STEP_COLLECT:
            if (query_collect(&machine, frame_of(&machine, s->level), &stack[--n]) < 0)
                goto fail;
            break;
        case STEP_FOUND:
            if (stack[--n].type != VALUE_UNDEFINED) {
                stack[n++] = value_boolean(true);
                pc = s->target;
            }
            break;

        case STEP_ASSIGN:
            if (run_assign(&machine, s, &stack[--n]) < 0)
                goto fail;
            break;
        case STEP_PASS:
            if (run_pass(&machine) < 0)
                goto fail;
            break;
        case STEP_OPEN: buf_char(run->out, '{'); break;
        case STEP_PRINT: run_print(&machine, s, &stack[--n]); break;
        case STEP_CLOSE: buf_char(run->out, '}'); break;
        case STEP_OUTPUT:
            n--;
            if (run->version != SQL_2015_10_08 || stack[n].type != VALUE_ARRAY)
                value_print(&stack[n], run->version, &scope->arena, run->out);
            break;
        case STEP_RETURN: run->result = stack[n - 1]; return SQL_MATCHED;
        case STEP_DONE:
            if (run_done(&machine) < 0)
                goto fail;
            return SQL_MATCHED;
        case STEP_FILTERED: return SQL_FILTERED;
        case STEP_OPS: break;
        }
        continue;

    full:
        call_full(err);
    fail:
        if (!caught(code, pc - 1, err, &pc, &n)) {
            *failed = (size_t)(s - steps);
            return SQL_FAILED;
        }
        stack[n++] = VALUE_NOTHING;
    }
}
