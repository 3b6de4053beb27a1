/* program.c - text -> program: the phases in a row, and what a program tells about itself. */
#include "program.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMPILE_MEMORY = 64 << 20 };

static const struct {
    const char *name;
    enum sql_version version;
} versions[] = {
    {"2015-10-08", SQL_2015_10_08},
    {"2016-03-23", SQL_2016_03_23},
    {"beta", SQL_2016_03_23},
};

bool sql_version_parse(struct span text, enum sql_version *version)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        if (span_is(text, versions[i].name)) {
            *version = versions[i].version;
            return true;
        }
    }
    return false;
}

const char *sql_version_name(enum sql_version version)
{
    return versions[version].name;
}

/* ---- one compilation ---- */

int compile_error(struct compile *compile, enum err_code code, struct place place, const char *format, ...)
{
    char text[sizeof compile->err->text];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)err_set(compile->err, code, "%s", text);
    err_mark(compile->err, compile->text, place.at, place.size);
    return -1;
}

void compile_warn(struct compile *compile, struct place place, const char *format, ...)
{
    struct err warning = {.code = ERR_VALUE};
    va_list args;

    if (!compile->report)
        return;
    va_start(args, format);
    (void)vsnprintf(warning.text, sizeof warning.text, format, args);
    va_end(args);
    err_mark(&warning, compile->text, place.at, place.size);
    report_add(compile->report, SEVERITY_WARNING, &warning);
}

void *compile_alloc(struct compile *compile, size_t size)
{
    void *memory = arena_alloc(&compile->arena, size ? size : 1);

    if (memory)
        memset(memory, 0, size);
    else
        (void)err_memory(compile->err);
    return memory;
}

int compile_init(struct compile *compile, struct span text, enum sql_version version, struct report *report,
                 struct err *err)
{
    size_t valid = utf8_valid(text);
    const char *nul = text.size ? memchr(text.data, '\0', text.size) : NULL;

    *compile = (struct compile){.text = text, .version = version, .report = report, .err = err};
    arena_init(&compile->arena, COMPILE_MEMORY);
    if (text.size > TREE_TEXT)
        return compile_error(compile, ERR_LIMIT, (struct place){0, 0},
                             "this text has %zu bytes; at most %d are taken", text.size, TREE_TEXT);
    if (valid < text.size)
        return compile_error(compile, ERR_SYNTAX, (struct place){(uint32_t)valid, 1},
                             "this byte is not UTF-8");
    if (nul)
        return compile_error(compile, ERR_SYNTAX, (struct place){(uint32_t)(nul - text.data), 1},
                             "the character NUL has no place in a rule");
    return 0;
}

void compile_done(struct compile *compile)
{
    sql_scope_free(compile->folder);
    arena_done(&compile->arena);
}

/* ---- programs ---- */

/* Everything a program consists of, behind it. `program` is NULL when the size is wanted. */
static void pack_program(struct pack *pack, const struct compile *compile, const struct statement *statement,
                         const struct code *set, const struct code *body, struct sql_program *program)
{
    struct sql_program made = {.version = compile->version, .variable_count = compile->variable_count};

    pack_room(pack, sizeof made);
    made.text = pack_text(pack, compile->text);
    made.filter = pack_span(pack, statement->filter);
    made.set = pack_code(pack, set);
    made.body = pack_code(pack, body);
    for (unsigned i = 0; i < compile->variable_count; i++)
        made.variables[i] = pack_bytes(pack, compile->variables[i], strlen(compile->variables[i]) + 1);
    if (program)
        *program = made;
}

struct sql_program *sql_compile(struct span text, enum sql_version version, struct report *report,
                                struct err *err)
{
    struct compile compile;
    struct statement statement = {0};
    struct code set, body;
    struct pack pack = {0};
    struct sql_program *program = NULL;

    if (compile_init(&compile, text, version, report, err) == 0 &&
        parse_statement(&compile, &statement) == 0 && check_statement(&compile, &statement) == 0 &&
        emit_statement(&compile, &statement, &set, &body) == 0) {
        pack_program(&pack, &compile, &statement, &set, &body, NULL);
        program = malloc(pack.used);
        if (program) {
            pack = (struct pack){.base = (char *)program};
            pack_program(&pack, &compile, &statement, &set, &body, program);
        } else {
            err_memory(err);
        }
    }
    compile_done(&compile);
    return program;
}

void sql_program_free(struct sql_program *program)
{
    free(program);
}

struct span sql_program_filter(const struct sql_program *program)
{
    return program->filter;
}

enum sql_version sql_program_version(const struct sql_program *program)
{
    return program->version;
}

bool sql_program_computes_secrets(const struct sql_program *program)
{
    return code_computes_secrets(&program->set) || code_computes_secrets(&program->body);
}

bool sql_program_calls(const struct sql_program *program, const char *name)
{
    return code_calls(&program->set, name) || code_calls(&program->body, name);
}

void sql_program_secrets(const struct sql_program *program, sql_secret_seen *seen, void *context)
{
    code_secrets(&program->set, seen, context);
    code_secrets(&program->body, seen, context);
}

void sql_program_explain(const struct sql_program *program, struct buf *out)
{
    if (program->filter.data)
        buf_format(out, "FROM " SPAN_FMT "\n", SPAN_ARG(program->filter));
    if (program->set.count) {
        buf_text(out, "SET\n");
        code_explain(&program->set, program, program->version, out);
    }
    buf_text(out, "SELECT\n");
    code_explain(&program->body, program, program->version, out);
}
