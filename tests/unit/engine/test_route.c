/* Routing: the trie against the plain reading of a filter, identifiers, Basic Ingest. */
#include "route.h"
#include "trie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST_RULES = 4000 };

/* A rule set of rules that have a name and a filter and nothing else. */
static struct rule rules[MOST_RULES];
static struct rule *places[MOST_RULES];
static char names[MOST_RULES][32];

static struct rule_set rule_set_of(const char *const *filters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "r%04zu", i);
        rules[i] = (struct rule){.name = names[i], .filter = span_of(filters[i])};
        places[i] = &rules[i];
    }
    return (struct rule_set){places, count};
}

static struct route *route_of(const struct rule_set *set, bool basic_ingest)
{
    struct err err = {0};
    struct route *route = route_new(set, basic_ingest, &err);

    assert_string_equal(err.text, "");
    assert_non_null(route);
    return route;
}

static const struct row {
    const char *name, *filter, *topic;
    enum trie_fit fit;
} rows[] = {
    {"words_are_equal", "a/b", "a/b", TRIE_YES},
    {"words_have_case", "a/B", "a/b", TRIE_NO},
    {"shorter_is_other", "a/b", "a", TRIE_NO},
    {"longer_is_other", "a", "a/b", TRIE_NO},
    {"plus_takes_exactly_one_level", "plant/+/temp", "plant/7/temp", TRIE_YES},
    {"plus_takes_no_two_levels", "plant/+", "plant/7/temp", TRIE_NO},
    {"plus_takes_an_empty_level", "a/+/b", "a//b", TRIE_YES},
    {"plus_at_the_end_takes_an_empty_level", "a/+", "a/", TRIE_YES},
    {"plus_needs_a_level", "a/+", "a", TRIE_NO},
    {"two_plus_take_a_slash", "+/+", "/", TRIE_YES},
    {"hash_takes_all", "#", "a/b/c", TRIE_YES},
    {"hash_takes_what_is_below", "a/#", "a/b/c", TRIE_YES},
    {"hash_takes_an_empty_level", "a/#", "a/", TRIE_YES},
    {"hash_spares_the_parent", "a/#", "a", TRIE_MQTT}, /* unlike MQTT: semantics A16 */
    {"hash_after_plus_spares_the_parent", "+/#", "a", TRIE_MQTT},
    {"hash_takes_no_dollar", "#", "$SYS/uptime", TRIE_NO},
    {"plus_takes_no_dollar", "+/uptime", "$SYS/uptime", TRIE_NO},
    {"dollar_is_taken_by_name", "$SYS/#", "$SYS/uptime", TRIE_YES},
    {"dollar_inside_is_plain", "a/+", "a/$b", TRIE_YES},
    {"leading_slash_counts", "/a", "a", TRIE_NO},
};

static void filter_row(void **state)
{
    const struct row *row = *state;
    const struct rule_set set = rule_set_of(&row->filter, 1);
    struct route *route = route_of(&set, false);
    uint32_t out[1];

    assert_int_equal(trie_fits(span_of(row->filter), span_of(row->topic)), row->fit);
    assert_int_equal(route_match(route, span_of(row->topic), NULL, 0, out).count, row->fit == TRIE_YES);
    route_free(route);
}

static unsigned seed = 1;

static unsigned pick(unsigned most)
{
    seed = seed * 1103515245 + 12345;
    return seed >> 16 & 0x7fff ? (seed >> 16 & 0x7fff) % most : 0;
}

static void random_path(char *out, bool filter)
{
    static const char *const words[] = {"a", "b", "c", "", "$d", "+", "+"};
    unsigned levels = 1 + pick(4);

    out[0] = '\0';
    for (unsigned i = 0; i < levels; i++) {
        if (i > 0)
            strcat(out, "/");
        strcat(out, words[pick(filter ? 7 : 5)]);
    }
    if (filter && pick(4) == 0)
        strcat(out, "/#");
    if (out[0] == '\0')
        strcat(out, "a");
}

static void the_trie_reads_filters_as_one_would(void **state)
{
    enum { FILTERS = 300, TOPICS = 2000 };
    static char filters[FILTERS][64];
    const char *list[FILTERS];
    uint32_t out[FILTERS];

    (void)state;
    for (size_t i = 0; i < FILTERS; i++) {
        random_path(filters[i], true);
        list[i] = filters[i];
    }
    const struct rule_set set = rule_set_of(list, FILTERS);
    struct route *route = route_of(&set, false);
    assert_in_range(route_count(route), 50, FILTERS - 1); /* equal filters are one subscription */
    for (size_t t = 0; t < TOPICS; t++) {
        char topic[64];
        size_t at = 0;

        random_path(topic, false);
        struct route_match match = route_match(route, span_of(topic), NULL, 0, out);
        for (uint32_t i = 0; i < FILTERS; i++)
            if (trie_fits(span_of(filters[i]), span_of(topic)) == TRIE_YES) {
                assert_true(at < match.count);
                assert_int_equal(out[at++], i);
            }
        assert_int_equal(at, match.count);
    }
    route_free(route);
}

static bool some_topic_fits_both(const char *a, const char *b)
{
    for (unsigned i = 0; i < 4000; i++) {
        char topic[64];

        random_path(topic, false);
        if (trie_fits(span_of(a), span_of(topic)) != TRIE_NO &&
            trie_fits(span_of(b), span_of(topic)) != TRIE_NO)
            return true;
    }
    return false;
}

static void only_filters_that_overlap_have_an_identifier_of_their_own(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        char a[64], b[64];

        random_path(a, true);
        random_path(b, true);
        const char *list[] = {a, b};
        const struct rule_set set = rule_set_of(list, 2);
        struct route *route = route_of(&set, false);
        if (route_count(route) == 2) {
            bool own = route_entry(route, 0)->id != ROUTE_SHARED;

            assert_int_equal(own, route_entry(route, 1)->id != ROUTE_SHARED);
            if (own != some_topic_fits_both(a, b))
                fail_msg("'%s' and '%s': overlap is said to be %d", a, b, own);
        }
        route_free(route);
    }
}

static const struct route_entry *entry_of(const struct route *route, const char *filter)
{
    for (size_t i = 0; i < route_count(route); i++)
        if (strcmp(route_entry(route, i)->filter, filter) == 0)
            return route_entry(route, i);
    fail_msg("no subscription '%s'", filter);
    return NULL;
}

static void each_copy_runs_the_rules_of_its_subscription(void **state)
{
    const char *list[] = {"a/#", "a/+", "x/y", "a/+"};
    const struct rule_set set = rule_set_of(list, 4);
    struct route *route = route_of(&set, false);
    const uint32_t below = entry_of(route, "a/#")->id, one = entry_of(route, "a/+")->id,
                   shared = ROUTE_SHARED;
    uint32_t out[4];

    (void)state;
    assert_int_equal(route_count(route), 3);
    assert_int_equal(entry_of(route, "x/y")->id, ROUTE_SHARED);
    assert_int_not_equal(below, one);

    assert_int_equal(route_match(route, SPAN("a/b"), &below, 1, out).count, 1);
    assert_int_equal(out[0], 0);
    assert_int_equal(route_match(route, SPAN("a/b"), &one, 1, out).count, 2);
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 3);

    const uint32_t both[] = {one, below, one}; /* a broker may send one copy with all; none counts twice */
    assert_int_equal(route_match(route, SPAN("a/b"), both, 3, out).count, 3);
    assert_int_equal(out[2], 3);

    assert_int_equal(route_match(route, SPAN("x/y"), &shared, 1, out).count, 1);
    assert_int_equal(out[0], 2);
    /* `a` is sent for `a/#` by MQTT, and is nobody's. */
    assert_int_equal(route_match(route, SPAN("a"), &below, 1, out).count, 0);
    route_free(route);
}

static void what_an_identifier_does_not_say_the_topic_does(void **state)
{
    const char *list[] = {"a/#", "a/+"};
    const struct rule_set set = rule_set_of(list, 2);
    struct route *route = route_of(&set, false);
    const uint32_t unknown = 77, one = entry_of(route, "a/+")->id, shared = ROUTE_SHARED;
    uint32_t out[2];

    (void)state;
    assert_int_equal(route_match(route, SPAN("a/b"), &unknown, 1, out).count, 2);
    assert_int_equal(route_match(route, SPAN("a/b"), NULL, 0, out).count, 2);
    /* Queued while `a/b` overlapped no other. */
    assert_int_equal(route_match(route, SPAN("a/b"), &shared, 1, out).count, 2);
    /* A stale identifier that is now another filter's. */
    assert_int_equal(route_match(route, SPAN("a/b/c"), &one, 1, out).count, 1);
    assert_int_equal(out[0], 0);
    route_free(route);
}

static void an_identifier_does_not_depend_on_the_other_rules(void **state)
{
    const char *few[] = {"a/#", "a/+"}, *many[] = {"a/+", "b", "c/#", "a/#", "+/x"};
    struct rule_set set = rule_set_of(few, 2);
    struct route *route = route_of(&set, false);
    const uint32_t below = entry_of(route, "a/#")->own_id, one = entry_of(route, "a/+")->own_id;

    (void)state;
    route_free(route);
    set = rule_set_of(many, 5);
    route = route_of(&set, false);
    assert_int_equal(entry_of(route, "a/#")->own_id, below);
    assert_int_equal(entry_of(route, "a/+")->own_id, one);
    assert_in_range(below, 2, 268435455);
    route_free(route);
}

static void basic_ingest_goes_to_one_rule(void **state)
{
    const char *list[] = {"a/b", "#", NULL};
    struct rule_set set = rule_set_of(list, 3);
    struct route *route = route_of(&set, true);
    uint32_t out[3];

    (void)state;
    struct route_match match = route_match(route, SPAN("$aws/rules/r0001/x/y"), NULL, 0, out);
    assert_int_equal(match.count, 1);
    assert_int_equal(out[0], 1);
    assert_true(span_is(match.topic, "x/y"));
    match = route_match(route, SPAN("$aws/rules/r0002/x"), NULL, 0, out); /* has no FROM */
    assert_int_equal(match.count, 1);
    /* What follows must match FROM: semantics A54. */
    assert_int_equal(route_match(route, SPAN("$aws/rules/r0000/x"), NULL, 0, out).count, 0);
    assert_int_equal(route_match(route, SPAN("$aws/rules/r0000/a/b"), NULL, 0, out).count, 1);
    match = route_match(route, SPAN("$aws/rules/r00/x"), NULL, 0, out);
    assert_int_equal(match.count, 0);
    assert_true(match.no_such_rule);
    assert_int_equal(route_match(route, SPAN("$aws/rules/r0001"), NULL, 0, out).count, 0);
    assert_non_null(entry_of(route, "$aws/rules/r0001/#"));
    route_free(route);

    rules[1].disabled = true;
    route = route_of(&set, true);
    assert_true(route_match(route, SPAN("$aws/rules/r0001/x"), NULL, 0, out).no_such_rule);
    assert_int_equal(route_match(route, SPAN("q"), NULL, 0, out).count, 0);
    route_free(route);
}

static void a_filter_of_many_levels_is_refused_by_name(void **state)
{
    char deep[2 * TRIE_LEVELS + 2] = "";
    const char *list[] = {deep};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < TRIE_LEVELS; i++)
        strcat(deep, "+/");
    const struct rule_set set = rule_set_of(list, 1);
    assert_null(route_new(&set, false, &err));
    assert_non_null(strstr(err.text, "rule r0000: "));
    deep[sizeof deep - 3] = '\0';
    struct route *route = route_of(&set, false);
    char topic[2 * TRIE_LEVELS + 2];
    uint32_t out[1];
    memset(topic, '/', sizeof topic);
    assert_int_equal(route_match(route, (struct span){topic, TRIE_LEVELS - 1}, NULL, 0, out).count, 1);
    route_free(route);
}

static void thousands_of_rules_have_one_subscription_each(void **state)
{
    static char filters[MOST_RULES][32];
    static const char *list[MOST_RULES];
    static uint32_t out[MOST_RULES];

    (void)state;
    for (size_t i = 0; i < MOST_RULES; i++) {
        (void)snprintf(filters[i], sizeof filters[i], "site/%zu/line/+", i);
        list[i] = filters[i];
    }
    const struct rule_set set = rule_set_of(list, MOST_RULES);
    struct route *route = route_of(&set, false);
    for (size_t i = 0; i < MOST_RULES; i++)
        assert_int_equal(route_entry(route, i)->id, ROUTE_SHARED);
    assert_int_equal(route_match(route, SPAN("site/3999/line/2"), NULL, 0, out).count, 1);
    assert_int_equal(out[0], 3999);
    route_free(route);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 8] = {0};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(the_trie_reads_filters_as_one_would),
        cmocka_unit_test(only_filters_that_overlap_have_an_identifier_of_their_own),
        cmocka_unit_test(each_copy_runs_the_rules_of_its_subscription),
        cmocka_unit_test(what_an_identifier_does_not_say_the_topic_does),
        cmocka_unit_test(an_identifier_does_not_depend_on_the_other_rules),
        cmocka_unit_test(basic_ingest_goes_to_one_rule),
        cmocka_unit_test(a_filter_of_many_levels_is_refused_by_name),
        cmocka_unit_test(thousands_of_rules_have_one_subscription_each),
    };

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = filter_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
