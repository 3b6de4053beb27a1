/* What is said to statements that are wrong: every file of tests/golden/broken, whose README.md has the
 * format. */
#include "sql/sql.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CASES = 1000 };

static char *read_file(const char *name)
{
    char path[1024], *text = NULL;
    size_t room = 0;

    (void)snprintf(path, sizeof path, "%s/golden/broken/%s", TESTS_FOLDER, name);
    FILE *file = fopen(path, "r");

    if (!file || getdelim(&text, &room, '\0', file) < 0)
        fail_msg("%s cannot be read", path);
    (void)fclose(file);
    return text;
}

/* Takes the line `# <word>...` from the front of the text. */
static bool take_header(char **text, const char *word)
{
    size_t size = strlen(word);

    if (strncmp(*text, "# ", 2) != 0 || strncmp(*text + 2, word, size) != 0)
        return false;
    *text = strchr(*text, '\n') + 1;
    return true;
}

static void print_warnings(const struct report *report, char *out, size_t room)
{
    size_t size = 0;

    out[0] = '\0';
    for (size_t i = 0; i < report->count && size + 2 < room; i++) {
        size += err_print(&report->findings[i].err, out + size, room - size - 1);
        out[size++] = '\n';
        out[size] = '\0';
    }
}

static void broken_file(void **state)
{
    char *text = read_file(*state), *statement = text, *want, said[4096];
    enum sql_version version = SQL_2016_03_23;
    struct report report = REPORT_INIT;
    struct err err = {0};
    bool accepted, compiled;

    if (take_header(&statement, "version 2015-10-08"))
        version = SQL_2015_10_08;
    bool is_template = take_header(&statement, "template");
    accepted = take_header(&statement, "accepted");
    want = strstr(statement, "\n\n");
    assert_non_null(want);
    struct span source = {statement, (size_t)(want - statement)};

    want += 2;
    if (is_template) {
        struct sql_template *tmpl = sql_template_compile(source, NULL, version, &err);

        compiled = tmpl != NULL;
        sql_template_free(tmpl);
    } else {
        struct sql_program *program = sql_compile(source, version, &report, &err);

        compiled = program != NULL;
        sql_program_free(program);
    }
    assert_int_equal(compiled, accepted);
    if (accepted) {
        print_warnings(&report, said, sizeof said);
    } else {
        assert_true(err.pos.line > 0);
        size_t size = err_print(&err, said, sizeof said - 1);
        memcpy(said + size, "\n", 2);
    }
    if (strcmp(said, want) != 0)
        fail_msg("said:\n%swant:\n%s", said, want);
    report_done(&report);
    free(text);
}

static int is_case(const struct dirent *entry)
{
    return strstr(entry->d_name, ".txt") != NULL;
}

int main(void)
{
    static struct CMUnitTest tests[CASES];
    struct dirent **entries;
    int count = scandir(TESTS_FOLDER "/golden/broken", &entries, is_case, alphasort), failed;

    if (count < 60 || count > CASES) {
        (void)fprintf(stderr, "%d broken statements found\n", count);
        return 1;
    }
    for (int i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){
            .name = entries[i]->d_name, .test_func = broken_file, .initial_state = entries[i]->d_name};
    failed = _cmocka_run_group_tests("broken", tests, (size_t)count, NULL, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return failed;
}
