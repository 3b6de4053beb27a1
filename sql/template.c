/* template.c - texts with ${...} or $<...> in them: a list of literals and expressions. */
#include "program.h"

#include <stdlib.h>

enum { TEMPLATE_PARTS = 1000 };

/* While it is compiled: parts in a list, of a length that is not known yet. */
struct draft {
    struct part part;
    struct draft *next;
};

static int add_part(struct compile *compile, struct draft ***end, struct part part)
{
    struct draft *draft = compile_alloc(compile, sizeof *draft);

    if (!draft)
        return -1;
    draft->part = part;
    **end = draft;
    *end = &draft->next;
    return 0;
}

/* Where the next expression begins, or the end of the text. */
static size_t find_expression(struct span text, size_t at)
{
    while (at + 1 < text.size &&
           !(text.data[at] == '$' && (text.data[at + 1] == '{' || text.data[at + 1] == '<')))
        at++;
    return at + 1 < text.size ? at : text.size;
}

static int compile_parts(struct compile *compile, struct draft **drafts, unsigned *count)
{
    struct span text = compile->text;
    struct draft **end = drafts;
    size_t at = 0;

    while (at < text.size) {
        size_t found = find_expression(text, at);
        struct part part = {.literal = {text.data + at, found - at}};

        if (++*count > TEMPLATE_PARTS)
            return compile_error(compile, ERR_LIMIT, (struct place){(uint32_t)at, 1},
                                 "a template has at most %d parts", TEMPLATE_PARTS);
        if (found == at) {
            struct expr *expr;
            size_t after = found + 2;

            part.literal = (struct span){NULL, 0};
            if (parse_embedded(compile, &after, text.data[found + 1] == '{' ? '}' : '>',
                               (struct place){(uint32_t)found, 2}, &expr) < 0 ||
                check_embedded(compile, expr) < 0 || emit_embedded(compile, expr, &part.code) < 0)
                return -1;
            found = after;
        }
        if (add_part(compile, &end, part) < 0)
            return -1;
        at = found;
    }
    return 0;
}

static bool has_secret(const struct draft *drafts, const struct sql_program *program)
{
    for (const struct draft *draft = drafts; draft; draft = draft->next) {
        const struct code *code = &draft->part.code;

        if (code_calls(code, "get_secret"))
            return true;
        for (size_t i = 0; program && i < code->count; i++)
            if (code->steps[i].op == STEP_VARIABLE && code_calls(&program->set, "get_secret"))
                return true;
    }
    return false;
}

/* Everything a template consists of, behind it. `tmpl` is NULL when the size is wanted. */
static void pack_template(struct pack *pack, const struct compile *compile, const struct draft *drafts,
                          const struct sql_program *program, unsigned count, struct sql_template *tmpl)
{
    struct sql_template made = {.version = compile->version, .program = program, .count = count};
    struct part *parts;
    unsigned i = 0;

    pack_room(pack, sizeof made);
    made.text = pack_text(pack, compile->text);
    made.parts = parts = pack_room(pack, count * sizeof *parts);
    made.secret = has_secret(drafts, program);
    for (const struct draft *draft = drafts; draft; draft = draft->next, i++) {
        struct part part = {pack_span(pack, draft->part.literal), pack_code(pack, &draft->part.code)};

        if (parts)
            parts[i] = part;
    }
    if (tmpl)
        *tmpl = made;
}

struct sql_template *sql_template_compile(struct span text, const struct sql_program *program,
                                          enum sql_version version, struct err *err)
{
    struct compile compile;
    struct draft *drafts = NULL;
    struct pack pack = {0};
    struct sql_template *tmpl = NULL;
    unsigned count = 0;

    if (compile_init(&compile, text, program ? program->version : version, NULL, err) == 0) {
        for (unsigned i = 0; program && i < program->variable_count; i++)
            compile.variables[compile.variable_count++] = program->variables[i];
        if (compile_parts(&compile, &drafts, &count) == 0) {
            pack_template(&pack, &compile, drafts, program, count, NULL);
            tmpl = malloc(pack.used);
            pack = (struct pack){.base = (char *)tmpl};
            if (tmpl)
                pack_template(&pack, &compile, drafts, program, count, tmpl);
            else
                err_memory(err);
        }
    }
    compile_done(&compile);
    return tmpl;
}

void sql_template_free(struct sql_template *tmpl)
{
    free(tmpl);
}

struct span sql_template_constant(const struct sql_template *tmpl)
{
    if (tmpl->count == 0)
        return (struct span){"", 0};
    if (tmpl->count == 1)
        return tmpl->parts[0].literal;
    return (struct span){NULL, 0};
}

struct span sql_template_literal(const struct sql_template *tmpl, size_t *at)
{
    while (*at < tmpl->count) {
        const struct part *part = &tmpl->parts[(*at)++];

        if (part->literal.data)
            return part->literal;
    }
    return (struct span){NULL, 0};
}

bool sql_template_computes_secrets(const struct sql_template *tmpl)
{
    for (size_t i = 0; i < tmpl->count; i++)
        if (code_computes_secrets(&tmpl->parts[i].code))
            return true;
    return false;
}

bool sql_template_calls(const struct sql_template *tmpl, const char *name)
{
    for (unsigned i = 0; i < tmpl->count; i++)
        if (code_calls(&tmpl->parts[i].code, name))
            return true;
    return false;
}

bool sql_template_is_settled(const struct sql_template *tmpl)
{
    for (unsigned i = 0; i < tmpl->count; i++)
        if (!code_is_settled(&tmpl->parts[i].code))
            return false;
    return true;
}

const char *sql_template_flaw(const struct sql_template *tmpl)
{
    const char *flaw = NULL;

    for (unsigned i = 0; i < tmpl->count && !flaw; i++)
        flaw = code_flaw(&tmpl->parts[i].code);
    return flaw;
}

void sql_template_secrets(const struct sql_template *tmpl, sql_secret_seen *seen, void *context)
{
    for (unsigned i = 0; i < tmpl->count; i++)
        code_secrets(&tmpl->parts[i].code, seen, context);
}

/* The expression's text; `*absent` when it is Undefined or Null. */
static int expand_part(const struct sql_template *tmpl, const struct part *part, struct sql_scope *scope,
                       struct span *text, bool *absent, struct err *err)
{
    struct run run = {.scope = scope, .version = tmpl->version};
    size_t failed;

    *text = (struct span){"", 0};
    if (eval(&part->code, &run, &failed, err) == SQL_FAILED) {
        run_blame(err, tmpl->text, &part->code, failed, tmpl->program);
        return -1;
    }
    *absent = run.result.type == VALUE_UNDEFINED || run.result.type == VALUE_NULL;
    if (value_to_text(&run.result, tmpl->version, &scope->arena, text) == CONVERT_LIMIT)
        return call_full(err);
    return 0;
}

/* A caller wipes a secret's text after use, which must not be the host's bytes or a literal of the program.
 */
static int own(struct span *text, struct arena *arena, struct err *err)
{
    text->data = arena_text(arena, *text);
    return text->data ? 0 : call_full(err);
}

int sql_template_expand(const struct sql_template *tmpl, struct sql_scope *scope, struct sql_text *out,
                        struct err *err)
{
    struct buf all = buf_in(&scope->arena, scope->limits.output);
    bool absent = false;

    *out = (struct sql_text){.text = sql_template_constant(tmpl)};
    if (out->text.data)
        return 0;
    out->secret = tmpl->secret;
    scope->steps = scope->limits.steps;
    if (tmpl->program && run_variables(tmpl->program, scope, err) < 0)
        return -1;
    if (tmpl->count == 1) {
        if (expand_part(tmpl, &tmpl->parts[0], scope, &out->text, &out->absent, err) < 0)
            return -1;
        return out->secret ? own(&out->text, &scope->arena, err) : 0;
    }
    for (unsigned i = 0; i < tmpl->count; i++) {
        struct span text = tmpl->parts[i].literal;

        if (!text.data && expand_part(tmpl, &tmpl->parts[i], scope, &text, &absent, err) < 0)
            return -1;
        buf_span(&all, text);
    }
    if (all.failed)
        return err_set(err, ERR_LIMIT, "the template's text is larger than %zu bytes", scope->limits.output);
    out->text = all.data ? buf_view(&all) : (struct span){"", 0};
    return 0;
}
