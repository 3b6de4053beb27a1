/* Subscription identifiers from a store: each filter keeps its own through changes of the rules and restarts,
 * and what was queued for a filter that no rule has any more runs nothing. */
#include "plan.h"
#include "small_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 1200 };

/* Rules that have a name and a filter and nothing else, as the plan's route sees them. */
struct small_plan {
    struct rule rules[MOST];
    struct rule *places[MOST];
    struct rule_set set;
    struct plan plan;
};

static struct small_plan *plan_of(struct store *store, const char *const *filters, size_t count)
{
    struct small_plan *small = calloc(1, sizeof *small);
    static char name[] = "r";
    struct err err = {0};

    assert_non_null(small);
    for (size_t i = 0; i < count; i++) {
        small->rules[i] = (struct rule){.name = name, .filter = span_of(filters[i])};
        small->places[i] = &small->rules[i];
    }
    small->set = (struct rule_set){small->places, count};
    small->plan.route = route_new(&small->set, false, &err);
    assert_non_null(small->plan.route);
    assert_int_equal(plan_identify(&small->plan, store, &err), 0);
    return small;
}

static void plan_free(struct small_plan *small)
{
    route_free(small->plan.route);
    free(small);
}

static uint32_t id_of(const struct small_plan *small, const char *filter)
{
    for (size_t i = 0; i < route_count(small->plan.route); i++)
        if (strcmp(route_entry(small->plan.route, i)->filter, filter) == 0)
            return route_entry(small->plan.route, i)->own_id;
    return 0;
}

static size_t matches(const struct small_plan *small, const char *topic, uint32_t id)
{
    uint32_t out[MOST];

    return route_match(small->plan.route, span_of(topic), &id, id != 0, out).count;
}

static void a_filter_keeps_its_identifier(void **state)
{
    struct small_store *store = small_new();
    struct small_plan *first = plan_of(store->store, (const char *[]){"a/#", "a/+", "z"}, 3);
    const uint32_t all = id_of(first, "a/#"), one = id_of(first, "a/+"), alone = id_of(first, "z");

    (void)state;
    assert_true(all >= STORE_FIRST_ID && one >= STORE_FIRST_ID && alone >= STORE_FIRST_ID);
    assert_true(all != one && one != alone && alone != all);
    assert_int_equal(route_gone_count(first->plan.route), 0);
    plan_free(first);
    small_close(store);
    small_open(store);
    /* Other rules, in another order; z overlaps now. */
    struct small_plan *second = plan_of(store->store, (const char *[]){"+", "z", "a/b", "a/#"}, 4);
    assert_int_equal(id_of(second, "a/#"), all);
    assert_int_equal(id_of(second, "z"), alone);
    assert_true(id_of(second, "+") != one && id_of(second, "a/b") != one);
    assert_int_equal(matches(second, "a/b", all), 1);
    assert_int_equal(matches(second, "z", alone), 1);
    plan_free(second);
    small_free(store);
}

static void what_is_gone_matches_nothing(void **state)
{
    struct small_store *store = small_new();
    struct small_plan *first = plan_of(store->store, (const char *[]){"a/#", "a/+", "a/b"}, 3);
    const uint32_t one = id_of(first, "a/+");
    struct err err;

    (void)state;
    plan_free(first);
    struct small_plan *second = plan_of(store->store, (const char *[]){"a/#", "a/b"}, 2);
    assert_int_equal(route_count(second->plan.route), 2);
    assert_int_equal(route_gone_count(second->plan.route), 1);
    assert_string_equal(route_gone(second->plan.route, 0), "a/+");
    assert_int_equal(matches(second, "a/b", one), 0); /* the others have copies of their own */
    assert_int_equal(matches(second, "a/b", 0), 2);
    assert_int_equal(matches(second, "b", one), 0);
    assert_int_equal(matches(second, "a/b", 1000000), 2); /* never given: by the topic */
    plan_free(second);
    /* Unsubscribed, and asked for again: the same identifier. */
    assert_int_equal(store_forget_filters(store->store, &(const char *){"a/+"}, 1, &err), 0);
    second = plan_of(store->store, (const char *[]){"a/#"}, 1);
    assert_int_equal(route_gone_count(second->plan.route), 1); /* a/b */
    plan_free(second);
    second = plan_of(store->store, (const char *[]){"a/+"}, 1);
    assert_int_equal(id_of(second, "a/+"), one);
    plan_free(second);
    small_free(store);
}

static uint64_t commits_of(const struct store *store)
{
    struct store_figures now;

    store_figures(store, &now);
    return now.commits;
}

static void all_rules_may_change_at_once(void **state)
{
    struct small_store *store = small_new();
    static char filters[2][MOST][24];
    static const char *lists[2][MOST];

    (void)state;
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < MOST; i++) {
            (void)snprintf(filters[round][i], sizeof filters[round][i], "%zu/%zu/+", round, i);
            lists[round][i] = filters[round][i];
        }
    struct small_plan *first = plan_of(store->store, lists[0], MOST);
    const uint32_t some = id_of(first, "0/700/+");
    plan_free(first);
    struct small_plan *second = plan_of(store->store, lists[1], MOST);
    assert_int_equal(route_gone_count(second->plan.route), MOST);
    assert_int_equal(matches(second, "0/700/x", some), 0);
    assert_int_equal(matches(second, "1/700/x", id_of(second, "1/700/+")), 1);
    plan_free(second);
    /* Each transaction waits for the disk, and so does who forgets them. */
    const uint64_t before = commits_of(store->store);
    struct err err;
    assert_int_equal(store_forget_filters(store->store, lists[0], MOST, &err), 0);
    assert_true(commits_of(store->store) - before <= 2);
    second = plan_of(store->store, lists[1], MOST);
    assert_int_equal(route_gone_count(second->plan.route), 0);
    plan_free(second);
    small_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_keeps_its_identifier),
        cmocka_unit_test(what_is_gone_matches_nothing),
        cmocka_unit_test(all_rules_may_change_at_once),
    };

    return cmocka_run_group_tests_name("plan filter", tests, NULL, NULL);
}
