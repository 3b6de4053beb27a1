/* config_value.c - one value of the configuration, by its kind. */
#include "config_key.h"
#include "value.h"

#include "base/nearest.h"

#include <stdio.h>

enum { DAY = 86400 };

void *config_slot(struct config *config, const struct config_key *key)
{
    return (char *)config + key->offset;
}

/* ---- memory ---- */

char *config_copy(struct config_reader *reader, struct span text)
{
    char *copy = arena_text(reader->arena, text);

    if (!copy)
        reader_memory(&reader->in);
    return copy;
}

void *config_array(struct config_reader *reader, size_t count, size_t size)
{
    void *array = arena_array(reader->arena, count ? count : 1, size);

    if (array)
        memset(array, 0, (count ? count : 1) * size);
    else
        reader_memory(&reader->in);
    return array;
}

/* ---- one value ---- */

struct sql_template *config_template(struct config_reader *reader, const struct doc_node *node)
{
    struct err err = {0};
    struct sql_template *tmpl = sql_template_compile(node->text, NULL, SQL_2016_03_23, &err);

    if (!tmpl) {
        err.mark[0] = '\0'; /* it may be a password */
        reader_inside(&reader->in, node, SEVERITY_ERROR, &err);
        return NULL;
    }
    const char *flaw =
        sql_template_is_settled(tmpl)
            ? sql_template_flaw(tmpl)
            : "there is no message here: only constants and get_secret(...) can stand in this template";
    if (!flaw)
        return tmpl;
    reader_error(&reader->in, node, ERR_VALUE, "%s", flaw);
    sql_template_free(tmpl);
    return NULL;
}

static void read_text(struct config_reader *reader, const struct doc_node *node, struct config_text *out)
{
    if (!reader_expect(&reader->in, node, DOC_STRING))
        return;
    if (node->text.size == 0) {
        reader_error(&reader->in, node, ERR_VALUE, "an empty string: leave the key away instead");
        return;
    }
    out->pos = node->pos;
    out->text = config_copy(reader, node->text);
    out->tmpl = config_template(reader, node);
}

static void read_string(struct config_reader *reader, const struct doc_node *node, const char **out)
{
    if (!reader_expect(&reader->in, node, DOC_STRING))
        return;
    if (node->text.size == 0)
        reader_error(&reader->in, node, ERR_VALUE, "an empty string: leave the key away instead");
    else if (strstr(node->text.data, "${") || strstr(node->text.data, "$<"))
        reader_error(&reader->in, node, ERR_VALUE, "no template can stand here");
    else
        *out = config_copy(reader, node->text);
}

/* The value in the unit of its kind, or false. Sizes may be bare numbers. */
static bool measure(const struct config_key *key, const struct doc_node *node, int64_t *out)
{
    if (key->kind == CONFIG_INT) {
        return node->type == DOC_NUMBER && value_size(node->text, out);
    } else if (key->kind == CONFIG_SIZE) {
        return (node->type == DOC_STRING || node->type == DOC_NUMBER) && value_size(node->text, out);
    } else if (node->type == DOC_STRING && value_duration(node->text, out)) {
        if (key->kind == CONFIG_MILLIS)
            return true;
        if (*out % 1000 != 0)
            return false;
        *out /= 1000;
        return true;
    }
    return false;
}

static void show_measure(const struct config_key *key, int64_t value, char *out, size_t room)
{
    const char *unit = "";

    if (key->kind == CONFIG_SIZE) {
        static const char *const names[] = {"", "KiB", "MiB", "GiB"};
        size_t u = 0;

        for (; u < 3 && value && value % 1024 == 0; u++)
            value /= 1024;
        unit = names[u];
    } else if (key->kind == CONFIG_MILLIS && value % 1000 != 0) {
        unit = "ms";
    } else if (key->kind != CONFIG_INT) {
        if (key->kind == CONFIG_MILLIS)
            value /= 1000;
        bool days = value && value % DAY == 0;

        unit = days ? "d" : "s";
        value /= days ? DAY : 1;
    }
    (void)snprintf(out, room, "%lld%s", (long long)value, unit);
}

static void read_measure(struct config_reader *reader, const struct config_key *key,
                         const struct doc_node *node)
{
    char least[32], most[32];
    const char *example = key->standard              ? key->standard
                          : key->kind == CONFIG_INT  ? "1"
                          : key->kind == CONFIG_SIZE ? "1MiB"
                                                     : "1s";
    int64_t value;

    if (!measure(key, node, &value)) {
        const char *form = key->kind == CONFIG_INT      ? "a whole number"
                           : key->kind == CONFIG_SIZE   ? "a size in B, KiB, MiB or GiB"
                           : key->kind == CONFIG_MILLIS ? "a duration in ms, s, m, h or d"
                                                        : "a duration in whole s, m, h or d";
        bool shown = node->type == DOC_NUMBER || (node->type == DOC_STRING && key->kind != CONFIG_INT);

        if (shown)
            reader_error(&reader->in, node, ERR_VALUE, "expected %s, as in %s; found " SPAN_FMT, form,
                         example, SPAN_ARG(node->text));
        else
            reader_error(&reader->in, node, ERR_VALUE, "expected %s, as in %s; found %s", form, example,
                         doc_type_name(node->type));
        return;
    }
    if (value < key->least || value > key->most) {
        show_measure(key, key->least, least, sizeof least);
        show_measure(key, key->most, most, sizeof most);
        reader_error(&reader->in, node, ERR_VALUE, "out of range: expected %s to %s", least, most);
        return;
    }
    if (key->kind == CONFIG_INT || key->kind == CONFIG_SECONDS)
        *(int *)config_slot(reader->config, key) = (int)value;
    else
        *(int64_t *)config_slot(reader->config, key) = value;
}

static const char *choice_name(const void *context, size_t index)
{
    const struct config_key *key = context;

    return key->choices[index];
}

static void read_choice(struct config_reader *reader, const struct config_key *key,
                        const struct doc_node *node)
{
    char known[96] = "";
    size_t size = 0;

    if (!reader_expect(&reader->in, node, DOC_STRING))
        return;
    for (int i = 0; key->choices[i]; i++) {
        if (!span_is(node->text, key->choices[i])) {
            size +=
                (size_t)snprintf(known + size, sizeof known - size, "%s%s", i ? ", " : "", key->choices[i]);
            continue;
        }
        if (key->kind == CONFIG_SWITCH)
            *(bool *)config_slot(reader->config, key) = i == 1;
        else
            *(int *)config_slot(reader->config, key) = i;
        return;
    }
    const char *near = nearest(node->text, choice_name, key);
    reader_error(&reader->in, node, ERR_VALUE, "unknown value \"" SPAN_FMT "\"%s%s%s; known: %s",
                 SPAN_ARG(node->text), near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                 known);
}

void config_read_value(struct config_reader *reader, const struct config_key *key,
                       const struct doc_node *node)
{
    switch (key->kind) {
    case CONFIG_TEXT: read_text(reader, node, config_slot(reader->config, key)); break;
    case CONFIG_STRING: read_string(reader, node, config_slot(reader->config, key)); break;
    case CONFIG_BOOL:
        if (reader_expect(&reader->in, node, DOC_BOOL))
            *(bool *)config_slot(reader->config, key) = node->on;
        break;
    case CONFIG_INT:
    case CONFIG_SECONDS:
    case CONFIG_SECONDS8:
    case CONFIG_MILLIS:
    case CONFIG_SIZE: read_measure(reader, key, node); break;
    case CONFIG_SWITCH:
    case CONFIG_CHOICE: read_choice(reader, key, node); break;
    case CONFIG_OTHER: key->read(reader, node); break;
    }
}
