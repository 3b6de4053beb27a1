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
    arena_done(&scope->arena);
    free(scope);
}

void sql_scope_begin(struct sql_scope *scope, const struct sql_message *message)
{
    arena_reset(&scope->arena);
    scope->message = *message;
    scope->payload_is_read = false;
    scope->variables_of = NULL;
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
