/* reader.c - findings with their places, and the small checks that every part of a document needs. */
#include "reader.h"

#include "base/nearest.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

static void find(struct reader *reader, const struct doc_node *node, struct pos pos, enum severity severity,
                 enum err_code code, const char *format, va_list args) __attribute__((format(printf, 6, 0)));

static void find(struct reader *reader, const struct doc_node *node, struct pos pos, enum severity severity,
                 enum err_code code, const char *format, va_list args)
{
    struct err err = {.code = code, .pos = pos};
    char path[DOC_PATH_MAX];

    (void)vsnprintf(err.text, sizeof err.text, format, args);
    err_in(&err, reader->file, doc_path(&reader->doc, node, path));
    report_add(reader->report, severity, &err);
}

void reader_error(struct reader *reader, const struct doc_node *node, enum err_code code, const char *format,
                  ...)
{
    va_list args;

    va_start(args, format);
    find(reader, node, node->pos, SEVERITY_ERROR, code, format, args);
    va_end(args);
}

void reader_key_error(struct reader *reader, const struct doc_node *member, enum err_code code,
                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    find(reader, member->parent, member->key_pos, SEVERITY_ERROR, code, format, args);
    va_end(args);
}

void reader_warn(struct reader *reader, const struct doc_node *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    find(reader, node, node->pos, SEVERITY_WARNING, ERR_VALUE, format, args);
    va_end(args);
}

void reader_memory(struct reader *reader)
{
    struct err err;

    err_memory(&err);
    err_in(&err, reader->file, NULL);
    report_add(reader->report, SEVERITY_ERROR, &err);
}

/* The byte of `text` that stands at `pos`. */
static size_t offset_of(struct span text, struct pos pos)
{
    size_t at = 0;

    for (unsigned line = 1; line < pos.line && at < text.size; at++)
        line += text.data[at] == '\n';
    struct span rest = {text.data + at, text.size - at};
    return at + utf8_offset(rest, pos.column ? pos.column - 1 : 0);
}

void reader_inside(struct reader *reader, const struct doc_node *string, enum severity severity,
                   struct err *err)
{
    char path[DOC_PATH_MAX];

    if (err->pos.line)
        err->pos = doc_place(&reader->doc, string, offset_of(string->text, err->pos));
    else
        err->pos = string->pos;
    err_in(err, reader->file, doc_path(&reader->doc, string, path));
    report_add(reader->report, severity, err);
}

bool reader_expect(struct reader *reader, const struct doc_node *node, enum doc_type type)
{
    if (node->type == type)
        return true;
    if (type == DOC_BOOL && node->type == DOC_STRING)
        reader_error(reader, node, ERR_VALUE, "expected true or false (without quotes), found a string");
    else if (type == DOC_STRING && (node->type == DOC_NUMBER || node->type == DOC_BOOL))
        reader_error(reader, node, ERR_VALUE, "expected a string, found %s: put it in quotes",
                     doc_type_name(node->type));
    else
        reader_error(reader, node, ERR_VALUE, "expected %s, found %s", doc_type_name(type),
                     doc_type_name(node->type));
    return false;
}

static const char *name_at(const void *context, size_t index)
{
    const char *const *names = context;

    return names[index];
}

void reader_check_keys(struct reader *reader, const struct doc_node *map, const char *const *names)
{
    for (const struct doc_node *member = map->first; member; member = member->next) {
        const char *const *name = names;

        while (*name && !span_is(member->key, *name))
            name++;
        if (*name)
            continue;
        const char *near = nearest(member->key, name_at, names);
        if (near)
            reader_key_error(reader, member, ERR_NAME, "unknown key \"" SPAN_FMT "\": did you mean \"%s\"?",
                             SPAN_ARG(member->key), near);
        else
            reader_key_error(reader, member, ERR_NAME, "unknown key \"" SPAN_FMT "\"", SPAN_ARG(member->key));
    }
}

char *reader_copy(struct reader *reader, struct span text)
{
    char *copy = text.size < SIZE_MAX ? malloc(text.size + 1) : NULL;

    if (!copy) {
        reader_memory(reader);
        return NULL;
    }
    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

struct sql_template *reader_template(struct reader *reader, const struct doc_node *string)
{
    struct err err = {0};
    struct sql_template *tmpl = sql_template_compile(string->text, reader->program, reader->version, &err);

    if (tmpl)
        return tmpl;
    /* Without its statement a template may miss variables that the statement would have set. */
    if (err.code == ERR_MEMORY || reader->program || !memchr(string->text.data, '@', string->text.size))
        reader_inside(reader, string, SEVERITY_ERROR, &err);
    return NULL;
}
