/* rule_set.c - a folder of rule documents -> a set, in the order of their names. */
#include "rule_set.h"
#include "file.h"
#include "reader.h"

#include "base/auto.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

struct set_box {
    struct rule_set set; /* first: a set is its box */
    atomic_uint references;
    size_t room;
};

DEFINE_DROP(rule_set, struct rule_set *, rule_set_free)
DEFINE_DROP(shared, struct shared_settings *, shared_settings_free)

struct rule_set *rule_set_ref(struct rule_set *set)
{
    if (set)
        atomic_fetch_add_explicit(&((struct set_box *)set)->references, 1, memory_order_relaxed);
    return set;
}

void rule_set_free(struct rule_set *set)
{
    struct set_box *box = (struct set_box *)set;

    if (!set || atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        rule_free(set->rules[i]);
    free(set->rules);
    free(box);
}

static bool is_rule_file(const char *name)
{
    const char *dot = strrchr(name, '.');

    return name[0] != '.' && dot && (!strcmp(dot, ".json") || !strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

/* Somebody thinks that this is a rule: "heat", which has no ending, or "heat.JSON". What has another ending
 * was put aside on purpose (heat.json.off). */
static bool is_overlooked(const char *name)
{
    const char *dot = strrchr(name, '.');

    if (name[0] == '.' || is_rule_file(name))
        return false;
    return !dot || !strcasecmp(dot, ".json") || !strcasecmp(dot, ".yaml") || !strcasecmp(dot, ".yml");
}

static int choose(const struct dirent *entry)
{
    return is_rule_file(entry->d_name) || is_overlooked(entry->d_name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void report_err(struct report *report, const char *file, struct err *err)
{
    err_in(err, file, NULL);
    report_add(report, SEVERITY_ERROR, err);
}

static struct rule *load(const char *file, const struct rule_options *options, struct shared_settings *shared,
                         struct report *report)
{
    struct span text;
    struct err err = {0};

    if (file_read(file, &text, &err) != 0) {
        report_err(report, file, &err);
        return NULL;
    }
    struct rule *rule = rule_read_shared(text, file, options, shared, report);
    free_text(text.data);
    return rule;
}

struct rule *rule_load(const char *file, const struct rule_options *options, struct report *report)
{
    AUTO(shared_drop) struct shared_settings *shared = NULL;

    if (options->defaults && !(shared = shared_settings_new(options->defaults, report)))
        return NULL;
    return load(file, options, shared, report);
}

/* True if memory ran out while the findings from `from` on were made. */
static bool met_memory(const struct report *report, size_t from)
{
    for (size_t i = from; i < report->count; i++)
        if (report->findings[i].err.code == ERR_MEMORY)
            return true;
    return report->count < report->errors + report->warnings;
}

static size_t stem(const char *name)
{
    return (size_t)(strrchr(name, '.') - name);
}

static bool is_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* The neighbour in the sorted list is not enough: "a.json", "a.x.json", "a.yaml". */
static bool is_twin(struct dirent *const *entries, int count, int index)
{
    size_t size = stem(entries[index]->d_name);

    for (int step = -1; step <= 1; step += 2) {
        for (int i = index + step; i >= 0 && i < count; i += step) {
            if (strncmp(entries[i]->d_name, entries[index]->d_name, size) != 0)
                break;
            if (is_rule_file(entries[i]->d_name) && stem(entries[i]->d_name) == size)
                return true;
        }
    }
    return false;
}

static bool has_rules(struct dirent *const *entries, int count)
{
    for (int i = 0; i < count; i++)
        if (is_rule_file(entries[i]->d_name))
            return true;
    return false;
}

/* False: memory is out (reported). */
static bool load_folder(const char *path, struct dirent **entries, int count, struct rule_set *set,
                        const struct rule_options *options, struct shared_settings *shared,
                        struct report *report)
{
    char file[4096];

    for (int i = 0; i < count; i++) {
        int size = snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        size_t found = report->count;

        if (size < 0 || (size_t)size >= sizeof file) {
            report_error(report, path, NULL, (struct pos){0, 0}, "the path of %s is too long",
                         entries[i]->d_name);
            continue;
        }
        if (is_overlooked(entries[i]->d_name)) {
            if (is_file(file))
                report_warn(report, file, NULL, (struct pos){0, 0},
                            "not read: the name of a rule's file ends in .json, .yaml or .yml");
            continue;
        }
        if (is_twin(entries, count, i)) {
            report_error(report, file, NULL, (struct pos){0, 0},
                         "two files give the rule name \"%.*s\": both are refused",
                         (int)stem(entries[i]->d_name), entries[i]->d_name);
            continue;
        }
        struct rule *rule = load(file, options, shared, report);
        if (rule)
            set->rules[set->count++] = rule;
        else if (met_memory(report, found))
            return false;
    }
    return true;
}

static struct rule_set *set_new(size_t room)
{
    struct set_box *box = calloc(1, sizeof *box);

    if (!box)
        return NULL;
    atomic_init(&box->references, 1);
    box->set.rules = calloc(room ? room : 1, sizeof *box->set.rules);
    if (!box->set.rules) {
        free(box);
        return NULL;
    }
    return &box->set;
}

struct rule_set *rule_set_load(const char *path, const struct rule_options *options, struct report *report)
{
    AUTO(shared_drop) struct shared_settings *shared = NULL;
    AUTO(rule_set_drop) struct rule_set *set = NULL;
    struct dirent **entries = NULL;
    struct stat info;
    struct err err = {0};
    int count = 0;
    bool done = true;

    if (stat(path, &info) != 0) {
        err_set(&err, ERR_IO, "cannot read the rules: %s", strerror(errno));
        report_err(report, path, &err);
        return NULL;
    }
    if (options->defaults && !(shared = shared_settings_new(options->defaults, report)))
        return NULL;
    if (S_ISDIR(info.st_mode) && (count = scandir(path, &entries, choose, by_bytes)) < 0) {
        err_set(&err, errno == ENOMEM ? ERR_MEMORY : ERR_IO, "cannot read the folder: %s", strerror(errno));
        report_err(report, path, &err);
        return NULL;
    }
    set = set_new((size_t)count + 1);
    if (!set) {
        err_memory(&err);
        report_err(report, path, &err);
        done = false;
    } else if (S_ISDIR(info.st_mode)) {
        if (!has_rules(entries, count))
            report_warn(report, path, NULL, (struct pos){0, 0},
                        "no rules here: no file ends in .json, .yaml or .yml");
        done = load_folder(path, entries, count, set, options, shared, report);
    } else {
        size_t found = report->count;
        struct rule *rule = load(path, options, shared, report);

        if (rule)
            set->rules[set->count++] = rule;
        else
            done = !met_memory(report, found);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return done ? TAKE(set) : NULL;
}
