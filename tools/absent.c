/* Rooms that do not stand yet: the program links, and what needs them says so. */
#include "engine/engine.h"
#include "sql/sql.h"
#include "types.h"

#define ABSENT __attribute__((weak))

ABSENT const struct action_type kafka_action_type = {.name = "kafka", .fields = &(struct action_field){0}};

ABSENT int kafka_process_init(struct err *err)
{
    (void)err;
    return 0;
}

ABSENT struct engine *engine_new(const struct engine_options *options, struct err *err)
{
    (void)options;
    (void)err_set(err, ERR_UNSUPPORTED, "the engine does not stand yet");
    return NULL;
}

ABSENT void engine_free(struct engine *engine)
{
    (void)engine;
}

ABSENT int engine_run(struct engine *engine, struct err *err)
{
    (void)engine;
    (void)err;
    return -1;
}

ABSENT void engine_stop(struct engine *engine)
{
    (void)engine;
}

#if !__has_include("../sql/run.c")
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
#define NOTHING(name)                                                                                        \
    void *name##_absent(void) __asm__(#name);                                                                \
    void *name##_absent(void)                                                                                \
    {                                                                                                        \
        return NULL;                                                                                         \
    }
NOTHING(sql_compile)
NOTHING(sql_filter_matches)
NOTHING(sql_filters_overlap)
NOTHING(sql_filter_check)
NOTHING(sql_function_at)
NOTHING(sql_program_calls)
NOTHING(sql_program_explain)
NOTHING(sql_program_filter)
NOTHING(sql_program_free)
NOTHING(sql_program_secrets)
NOTHING(sql_program_version)
NOTHING(sql_run)
NOTHING(sql_scope_arena)
NOTHING(sql_scope_begin)
NOTHING(sql_scope_free)
NOTHING(sql_scope_new)
NOTHING(sql_template_calls)
NOTHING(sql_template_compile)
NOTHING(sql_template_constant)
NOTHING(sql_template_expand)
NOTHING(sql_template_free)
NOTHING(sql_template_is_settled)
NOTHING(sql_template_secrets)
NOTHING(sql_version_name)
NOTHING(sql_version_parse)
#endif
