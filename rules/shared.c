/* shared.c - settings that the configuration gives to every rule, or to every rule of a destination. Ten
 * thousand rules share one copy. */
#include "reader.h"

#include "base/auto.h"

#include <stdatomic.h>

struct shared_settings {
    atomic_uint references;
    char *file;
    struct entry {
        struct rule_setting setting;
        char *arn;
    } * entries;
    size_t count;
};

DEFINE_DROP(shared, struct shared_settings *, shared_settings_free)

struct shared_settings *shared_settings_ref(struct shared_settings *shared)
{
    if (shared)
        atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void shared_settings_free(struct shared_settings *shared)
{
    if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < shared->count; i++) {
        struct rule_setting *setting = &shared->entries[i].setting;

        sql_template_free(setting->value);
        free_text(setting->name);
        free_text(setting->text);
        free_text(setting->path);
        free(shared->entries[i].arn);
    }
    free(shared->entries);
    free(shared->file);
    free(shared);
}

size_t shared_settings_count(const struct shared_settings *shared)
{
    return shared ? shared->count : 0;
}

const struct rule_setting *shared_settings_at(const struct shared_settings *shared, size_t index,
                                              const char **arn)
{
    *arn = shared->entries[index].arn;
    return &shared->entries[index].setting;
}

/* Returns 0, or -1 with `err`. */
static int compile(struct entry *entry, const struct rule_default *from, const char *file, struct err *err)
{
    *entry = (struct entry){.setting = {.name = strdup(from->name),
                                        .text = strdup(from->value),
                                        .path = strdup(from->path ? from->path : ""),
                                        .pos = from->pos,
                                        .origin = file},
                            .arn = from->destination_arn ? strdup(from->destination_arn) : NULL};
    if (!entry->setting.name || !entry->setting.text || !entry->setting.path ||
        (from->destination_arn && !entry->arn))
        return err_memory(err);
    entry->setting.value = sql_template_compile(span_of(from->value), NULL, SQL_2016_03_23, err);
    return entry->setting.value ? 0 : -1;
}

struct shared_settings *shared_settings_new(const struct rule_defaults *defaults, struct report *report)
{
    AUTO(shared_drop) struct shared_settings *shared = calloc(1, sizeof *shared);
    struct err err = {0};

    if (!shared)
        goto memory;
    atomic_init(&shared->references, 1);
    shared->file = strdup(defaults->file ? defaults->file : "");
    shared->entries = calloc(defaults->count + 1, sizeof *shared->entries);
    if (!shared->file || !shared->entries)
        goto memory;
    for (size_t i = 0; i < defaults->count; i++) {
        const struct rule_default *from = &defaults->items[i];

        shared->count++;
        if (compile(&shared->entries[i], from, shared->file, &err) != 0) {
            err.mark[0] = '\0'; /* it may be a password */
            err.pos = from->pos;
            err_in(&err, defaults->file, from->path);
            report_add(report, SEVERITY_ERROR, &err);
            return NULL;
        }
    }
    return TAKE(shared);
memory:
    err_memory(&err);
    report_add(report, SEVERITY_ERROR, &err);
    return NULL;
}
