/* Where the store lies. */
#include "engine/store_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct row {
    const char *name, *path, *state, *folder, *want;
} rows[] = {
    {"a_path_is_relative_to_the_configuration", "a/s.db", NULL, "/etc/topicrule", "/etc/topicrule/a/s.db"},
    {"an_absolute_path_is_taken_as_it_is", "/s.db", "/var/lib/topicrule", "/etc/topicrule", "/s.db"},
    {"a_path_wins_over_systemd", "s.db", "/var/lib/topicrule", "/etc/topicrule", "/etc/topicrule/s.db"},
    {"systemd_says_where_state_goes", NULL, "/var/lib/topicrule", "/etc/topicrule",
     "/var/lib/topicrule/store.db"},
    {"the_first_of_systemds_folders", NULL, "/var/lib/a:/var/lib/b", "/etc", "/var/lib/a/store.db"},
    {"an_empty_variable_is_none", NULL, "", "conf", "conf/store.db"},
    {"beside_the_configuration", NULL, NULL, "conf", "conf/store.db"},
    {"here", NULL, NULL, ".", "store.db"},
};

static void path_row(void **state)
{
    const struct row *row = *state;
    const struct config config = {.directory = row->folder, .delivery = {.store_path = row->path}};
    struct err err = {0};

    if (row->state)
        (void)setenv("STATE_DIRECTORY", row->state, 1);
    else
        (void)unsetenv("STATE_DIRECTORY");
    char *path = engine_store_path(&config, &err);
    assert_string_equal(path, row->want);
    free(path);
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof *rows];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = path_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("store path", tests, NULL, NULL);
}
