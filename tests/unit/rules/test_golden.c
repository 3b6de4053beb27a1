/* Whole documents: tests/golden/rules/<case>/ holds a rule or a configuration (or both: then the rule is read
 * with that configuration) and exactly what is said about it: want.err when it is refused, want.txt when it
 * is accepted. Words in the file `options`: release, basic_ingest. A new case needs no C.
 *
 * With UPDATE_GOLDEN=1 in the environment the wanted texts are written anew: read the difference before
 * believing it. */
#include "fake_action.h"
#include "rules/config.h"
#include "rules/rule.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef GOLDEN_DIR
#error "GOLDEN_DIR is where the cases are"
#endif

struct input {
    char rule[256], config[256];
};

static void find_inputs(const char *folder, struct input *input)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (name[0] == '.' || strncmp(name, "want.", 5) == 0 || strcmp(name, "options") == 0)
            continue;
        char *to = strncmp(name, "config", 6) == 0 ? input->config : input->rule;
        assert_int_equal(to[0], '\0'); /* one of each */
        (void)snprintf(to, 256, "%s", name);
    }
    (void)closedir(dir);
    assert_true(input->rule[0] || input->config[0]);
}

static char *text_of(const char *file)
{
    static char text[65536];
    FILE *in = fopen(file, "r");

    if (!in)
        return NULL;
    size_t size = fread(text, 1, sizeof text - 1, in);
    text[size] = '\0';
    (void)fclose(in);
    return text;
}

static void one_case(void **state)
{
    const char *folder = *state;
    struct report report = REPORT_INIT;
    struct input input = {{0}, {0}};
    struct config *config = NULL;
    struct rule *rule = NULL;
    char *said = NULL;
    size_t size = 0;

    assert_int_equal(chdir(GOLDEN_DIR), 0);
    find_inputs(folder, &input);
    assert_int_equal(chdir(folder), 0);
    const char *words = text_of("options");
    struct rule_options options = {.types = fake_types,
                                   .release = words && strstr(words, "release"),
                                   .basic_ingest = words && strstr(words, "basic_ingest")};
    if (input.config[0])
        config = config_load(input.config, &report);
    if (config) {
        options.defaults = &config->kafka;
        options.skip_unsupported = config->skip_unsupported;
    }
    if (input.rule[0])
        rule = rule_load(input.rule, &options, &report);
    bool fine = (!input.rule[0] || rule) && (!input.config[0] || config);
    assert_int_equal(fine, report.errors == 0);

    FILE *out = open_memstream(&said, &size);
    report_print(&report, out);
    (void)fclose(out);
    const char *want_file = fine ? "want.txt" : "want.err";
    if (getenv("UPDATE_GOLDEN")) {
        (void)unlink(fine ? "want.err" : "want.txt");
        FILE *want = fopen(want_file, "w");
        assert_non_null(want);
        (void)fputs(said, want);
        (void)fclose(want);
    }
    const char *want = text_of(want_file);
    if (!want)
        fail_msg("%s/%s is missing; said:\n%s", folder, want_file, said);
    assert_string_equal(said, want);
    free(said);
    rule_free(rule);
    config_free(config);
    report_done(&report);
}

static int by_name(const void *a, const void *b)
{
    const struct CMUnitTest *first = a, *second = b;

    return strcmp(first->name, second->name);
}

int main(void)
{
    static struct CMUnitTest tests[1024];
    static char names[1024][256];
    size_t count = 0;
    DIR *dir = opendir(GOLDEN_DIR);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) && count < 1024) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(names[count], sizeof names[count], "%s", entry->d_name);
        tests[count] =
            (struct CMUnitTest){.name = names[count], .test_func = one_case, .initial_state = names[count]};
        count++;
    }
    if (dir)
        (void)closedir(dir);
    if (count < 40) {
        (void)fprintf(stderr, "%s: only %zu cases found\n", GOLDEN_DIR, count);
        return 1;
    }
    qsort(tests, count, sizeof *tests, by_name);
    return _cmocka_run_group_tests("rule documents and configurations", tests, count, NULL, NULL);
}
