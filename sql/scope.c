/* scope.c - what one thread needs to evaluate. */
#include "scope.h"

#include "func.h"

#include <stdlib.h>

struct sql_scope *sql_scope_new(const struct sql_host *host, struct sql_limits limits, struct err *err)
{
    struct sql_scope *scope = calloc(1, sizeof *scope);

    if (!scope) {
        err_memory(err);
        return NULL;
    }
    scope->host = host;
    scope->limits = limits;
    arena_init(&scope->arena, limits.memory);
    return scope;
}

void sql_scope_free(struct sql_scope *scope)
{
    if (!scope)
        return;
    pattern_cache_free(scope->patterns);
    time_cache_free(scope->times);
    digest_cache_free(scope->digests);
    arena_done(&scope->arena);
    free(scope);
}

void sql_scope_begin(struct sql_scope *scope, const struct sql_message *message)
{
    arena_reset(&scope->arena);
    scope->message = *message;
    scope->payload_is_read = false;
    scope->variables_of = NULL;
    if (scope->any_field_seen) {
        memset(scope->fields_seen, 0, sizeof scope->fields_seen);
        scope->any_field_seen = false;
    }
}

struct arena *sql_scope_arena(struct sql_scope *scope)
{
    return &scope->arena;
}

/* The rare part of scope_payload: why the payload is no JSON is kept for the error that may need it. */
static void keep_reason(struct sql_scope *scope, const struct err *reason)
{
    scope->payload_err = arena_alloc(&scope->arena, sizeof *reason);
    if (scope->payload_err)
        *scope->payload_err = *reason;
}

enum payload_kind scope_payload(struct sql_scope *scope)
{
    struct err err;

    if (scope->payload_is_read)
        return scope->payload_kind;
    scope->payload_is_read = true;
    scope->payload_err = NULL;
    scope->payload_kind = payload_read(scope->message.payload, &scope->arena, &scope->payload, &err);
    if (scope->payload_kind == PAYLOAD_BINARY || scope->payload_kind == PAYLOAD_LIMIT)
        keep_reason(scope, &err);
    return scope->payload_kind;
}

bool sql_scope_payload_is_json(struct sql_scope *scope)
{
    return scope_payload(scope) == PAYLOAD_JSON;
}

bool scope_charge(struct sql_scope *scope, uint64_t steps, struct err *err)
{
    if (steps <= scope->steps) {
        scope->steps -= steps;
        return true;
    }
    scope->steps = 0;
    err_set(err, ERR_LIMIT, "this takes more than the %llu steps that one evaluation may take",
            (unsigned long long)scope->limits.steps);
    return false;
}

/* Members that one step pays for. Smaller objects are searched for nothing. */
enum { MEMBERS_PER_STEP = 64 };

int scope_member(struct sql_scope *scope, const struct value *object, struct span name, struct value *out,
                 struct err *err)
{
    if (object->type == VALUE_OBJECT) {
        size_t count = value_count(object);

        if (count > MEMBERS_PER_STEP && !scope_charge(scope, count / MEMBERS_PER_STEP, err))
            return -1;
    }
    *out = value_member(object, name);
    return 0;
}

int scope_field(struct sql_scope *scope, const struct value *object, struct span name, struct value *out,
                struct err *err)
{
    if (object->type != VALUE_OBJECT || object->form != FORM_NODE || value_count(object) <= MEMBERS_PER_STEP)
        return scope_member(scope, object, name, out, err);

    uintptr_t mix = (uintptr_t)object->node / 16 + (uintptr_t)name.data * 31;
    struct field_seen *seen = &scope->fields_seen[(mix ^ mix >> 8) % FIELDS_SEEN];

    if (seen->object != object->node || seen->name.data != name.data || seen->name.size != name.size) {
        *seen = (struct field_seen){.object = object->node, .name = name};
        scope->any_field_seen = true;
        if (scope_member(scope, object, name, &seen->found, err) < 0)
            return -1;
    }
    *out = seen->found;
    return 0;
}
