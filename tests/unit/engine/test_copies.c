/* Copies of one message for overlapping subscriptions: every rule runs once, whichever of them come. */
#include "copies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { A = 2, B, C }; /* identifiers of the filters below, in their order */
static const char *const filters[] = {"a/+", "a/#", "a/b", "other"};

static struct rule rules[4];
static struct rule *places[4];

static struct route *new_route(void)
{
    static const uint32_t ids[] = {A, B, C, 9};
    struct err err = {0};

    for (size_t i = 0; i < 4; i++) {
        rules[i] = (struct rule){.name = filters[i], .filter = span_of(filters[i])};
        places[i] = &rules[i];
    }
    struct rule_set set = {places, 4};
    struct route *route = route_new(&set, false, &err);
    assert_non_null(route);
    assert_int_equal(route_identify(route, ids, &err), 0);
    return route;
}

/* A script: "b1:23" is a message with payload 1 to a/b that came with the identifiers 2 and 3; "|" a new
 * connection. The answer has a letter for each: "t" the topic says which rules run, "i" the identifiers do,
 * "-" it is passed over. */
static const struct row {
    const char *name, *script, *answer;
} rows[] = {
    {"siblings_are_passed_over", "b1:2 b1:3 b1:4", "t--"},
    {"in_any_order", "b1:4 b1:2 b1:3", "t--"},
    {"one_copy_is_enough", "b1:2 b2:2 b3:2", "ttt"},
    {"the_same_again_is_another_message", "b1:2 b1:3 b1:4 b1:2 b1:3 b1:4", "t--t--"},
    {"equal_messages_may_mix", "b1:2 b1:2 b1:3 b1:3", "tt--"},
    {"different_ones_may_mix", "b1:2 b2:2 b1:3 b2:3 b2:4 b1:4", "tt----"},
    {"one_copy_each_of_equal_messages", "b1:2 b1:2 b1:2", "ttt"},
    {"other_topics_have_other_copies", "c1:2 c1:3 c1:4", "t-i"}, /* a/b does not take it: unknown here */
    {"nothing_is_expected_over_a_connection", "b1:2 | b1:3 b1:4", "tt-"},
    {"an_identifier_for_all_needs_no_copies", "b1:1 b1:1", "ii"},
    {"several_identifiers_are_all_there_is", "b1:23 b1:23", "ii"},
    {"none_at_all", "b1: b1:", "ii"},
    {"unknown_ones_say_nothing", "b1:7 b1:7", "ii"},
};

static void copies_row(void **state)
{
    const struct row *row = *state;
    struct route *route = new_route();
    struct copies copies;
    char answer[32] = "", topic[4], payload[2] = "";
    size_t size = 0;

    copies_init(&copies);
    for (const char *at = row->script; *at; at++) {
        struct message message = {.sql.topic = {topic, 3}, .sql.payload = {payload, 1}};

        if (*at == '|')
            copies_forget(&copies);
        if (*at == '|' || *at == ' ')
            continue;
        (void)snprintf(topic, sizeof topic, "a/%c", *at++);
        payload[0] = *at++;
        while (at[1] >= '0' && at[1] <= '9')
            message.ids[message.id_count++] = (uint32_t)(*++at - '0');
        size_t before = message.id_count;
        bool passed = copies_pass_over(&copies, route, &message);
        answer[size++] = (char)(passed ? '-' : message.id_count < before ? 't' : 'i');
    }
    assert_string_equal(answer, row->answer);
    route_free(route);
}

static void a_copy_that_comes_late_is_a_message(void **state)
{
    struct route *route = new_route();
    struct copies copies;
    struct message message = {.sql.topic = SPAN("a/b"), .sql.payload = SPAN("x")};

    (void)state;
    copies_init(&copies);
    for (size_t i = 0; i < 2; i++) {
        message.ids[0] = A;
        message.id_count = 1;
        assert_false(copies_pass_over(&copies, route, &message));
        for (size_t other = i ? COPIES_NEAR : COPIES_NEAR - 1; other > 0; other--) {
            struct message nobody = {.sql.topic = SPAN("other"), .sql.payload = SPAN("y")};

            assert_false(copies_pass_over(&copies, route, &nobody));
        }
        message.ids[0] = B;
        message.id_count = 1;
        assert_int_equal(copies_pass_over(&copies, route, &message), i == 0);
        copies_forget(&copies);
    }
    route_free(route);
}

static bool pass_over(struct copies *copies, const struct route *route, uint32_t id)
{
    struct message message = {
        .sql.topic = SPAN("other"), .sql.payload = SPAN("x"), .ids = {id}, .id_count = 1};
    const bool passed = copies_pass_over(copies, route, &message);

    assert_true(passed || message.id_count == 0 || id == 9);
    return passed;
}

/* A filter that no rule has any more may still bring copies: they are copies all the same. */
static void a_filter_that_is_gone_counts(void **state)
{
    struct route *route = new_route();
    struct copies copies;
    struct err err = {0};
    struct message message = {
        .sql.topic = SPAN("other"), .sql.payload = SPAN("x"), .ids = {9}, .id_count = 1};

    (void)state;
    copies_init(&copies);
    assert_int_equal(route_add_gone(route, "+", 20, &err), 0);
    assert_false(copies_pass_over(&copies, route, &message));
    assert_int_equal(message.id_count, 0);
    message.ids[0] = 20;
    message.id_count = 1;
    assert_true(copies_pass_over(&copies, route, &message));
    assert_false(copies_pass_over(&copies, route, &message)); /* alone: its topic has rules */
    assert_int_equal(message.id_count, 0);

    /* What comes for it before the other was heard has no copies: the next one that reads the same is a
     * message of its own, and from there on both come. */
    copies_forget(&copies);
    for (int i = 0; i < 3; i++)
        assert_false(pass_over(&copies, route, 20));
    assert_false(pass_over(&copies, route, 9));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pass_over(&copies, route, 20) + pass_over(&copies, route, 9), 1);
    /* It may have had the shared identifier, while it overlapped no other. */
    copies_forget(&copies);
    for (int i = 0; i < 3; i++)
        assert_false(pass_over(&copies, route, ROUTE_SHARED));
    assert_false(pass_over(&copies, route, 9));
    for (int i = 0; i < 3; i++)
        assert_int_equal(pass_over(&copies, route, ROUTE_SHARED) + pass_over(&copies, route, 9), 1);
    /* One that was there all the time brings its copy always. */
    copies_forget(&copies);
    route_mark_old(route, "other");
    assert_false(pass_over(&copies, route, 20));
    assert_true(pass_over(&copies, route, 9));
    route_free(route);
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0] + 2];
    size_t count = 0;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tests[count++] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = copies_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(a_copy_that_comes_late_is_a_message);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(a_filter_that_is_gone_counts);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
