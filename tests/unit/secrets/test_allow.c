/* Which ids the patterns of secrets.allow let messages compute. */
#include "secrets/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct row {
    const char *name, *pattern, *id;
    bool allowed;
} rows[] = {
    {"a_star_is_one_step", "device/*", "device/7", true},
    {"a_star_is_no_two_steps", "device/*", "device/7/key", false},
    {"a_star_is_not_nothing", "device/*", "device/", false},
    {"the_rest_is_literal", "device/*", "Device/7", false},
    {"more_in_front", "device/*", "my-device/7", false},
    {"more_behind", "device/*/key", "device/7/key2", false},
    {"less_behind", "device/*/key", "device/7/ke", false},
    {"in_the_midst", "device/*/key", "device/7/key", true},
    {"part_of_a_step", "device-*-key", "device-7-key", true},
    {"two_in_one_step", "a*b*c", "axxbbxxbc", true},
    {"two_that_do_not_fit", "a*b*c", "axbc", false},
    {"two_that_must_not_share", "*-*", "-", false},
    {"earliest_is_not_last", "*-b", "a-b-b", true},
    {"two_steps", "*/*", "a/b", true},
    {"two_steps_and_three", "*/*", "a/b/c", false},
    {"no_star", "kafka", "kafka", true},
    {"no_star_and_more", "kafka", "kafka2", false},
    {"not_another_backend", "*", "vault:kafka", false},
    {"a_backend_that_is_named", "vault:*", "vault:kafka", true},
    {"no_arn_by_a_star", "*", "arn:aws:secretsmanager:eu-west-1:1:secret:x", false},
    {"climbing", "device/*", "device/../kafka", false},
    {"dots_alone_are_for_the_backend_to_refuse", "device/*", "device/..", true},
    {"a_line_break", "device/*", "device/a\nb", false},
    {"nothing", "device/*", "", false},
    {"a_star_in_the_id", "device/*", "device/*", true},
    {"much_to_go_back", "*a*a*a*a*a*b",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
};

static void row_runs(void **state)
{
    const struct row *row = *state;
    const char *const patterns[] = {"never", row->pattern};

    assert_int_equal(secrets_allowed(patterns, 2, span_of(row->id)), row->allowed);
    assert_false(secrets_allowed(patterns, 0, span_of(row->id)));
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = row_runs, .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("ids that messages may compute", tests, NULL, NULL);
}
