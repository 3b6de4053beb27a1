/* Topic filters: MQTT's, with AWS's reading of `#`. */
#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct match {
    const char *filter, *topic;
    bool hit;
} matches[] = {
    {"a/b", "a/b", true},     {"a/b", "A/b", false},      {"a/b", "a/b/", false},
    {"a/b", "a", false},      {"a/+", "a/b", true},       {"a/+", "a/", true},
    {"a/+", "a", false},      {"a/+", "a/b/c", false},    {"+/+", "/a", true},
    {"+", "a", true},         {"a/+/c", "a/b/c", true},   {"a/#", "a/b", true},
    {"a/#", "a/b/c", true},   {"a/#", "a/", true},        {"a/#", "a", false}, /* AWS, unlike MQTT */
    {"#", "a", true},         {"#", "/", true},           {"#", "$SYS/a", false},
    {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"$SYS/+", "$SYS/a", true},
    {"a/#", "a/$SYS", true},  {"a", "", false},           {"д/+", "д/ж", true},
};

static void filters_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++)
        if (sql_filter_matches(span_of(matches[i].filter), span_of(matches[i].topic)) != matches[i].hit)
            fail_msg("%s and %s", matches[i].filter, matches[i].topic);
}

static const struct overlap {
    const char *a, *b;
    bool both;
} overlaps[] = {
    {"a/b", "a/b", true},   {"a/b", "a/c", false},  {"a/+", "+/b", true},     {"a/+", "b/+", false},
    {"a/#", "a/+/c", true}, {"a/#", "a", false},    {"a/#", "a/+", true},     {"#", "a/b/c", true},
    {"#", "$SYS/a", false}, {"#", "$SYS/#", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/+/b", true},
    {"#", "+", true},       {"+", "+/+", false},    {"a/+/#", "a/b", false},  {"a/+/#", "a/b/c", true},
    {"a/$x", "a/+", true},  {"+/b/#", "a/#", true}, {"a/", "a/+", true},      {"/", "+/+", true},
};

static void filters_overlap_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof overlaps / sizeof *overlaps; i++) {
        struct span a = span_of(overlaps[i].a), b = span_of(overlaps[i].b);

        if (sql_filters_overlap(a, b) != overlaps[i].both || sql_filters_overlap(b, a) != overlaps[i].both)
            fail_msg("%s and %s", overlaps[i].a, overlaps[i].b);
    }
}

static const struct check {
    struct span filter;
    unsigned column; /* of the error; 0 with `says` NULL: fine */
    const char *says;
} checks[] = {
    {{"a/b", 3}, 0, NULL},
    {{"#", 1}, 0, NULL},
    {{"+/a/#", 5}, 0, NULL},
    {{"/", 1}, 0, NULL},
    {{"", 0}, 0, "the topic filter is empty"},
    {{"a/#/b", 5}, 3, "`#` in a topic filter stands at the end alone: it takes all levels that follow"},
    {{"a/b+", 4},
     4,
     "a wildcard in a topic filter takes a whole level: between two `/` stands `+` or `#` alone"},
    {{"a/\xff", 3}, 3, "the topic filter holds what no topic may hold: invalid UTF-8"},
    {{"a\0b", 3}, 2, "the topic filter holds what no topic may hold: the character NUL"},
};

static void filters_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct err err = {0};
        int result = sql_filter_check(checks[i].filter, &err);

        assert_int_equal(result, checks[i].says ? -1 : 0);
        assert_string_equal(err.text, checks[i].says ? checks[i].says : "");
        assert_int_equal(err.pos.column, checks[i].column);
    }
}

static void a_filter_has_65535_bytes_at_most(void **state)
{
    static char text[65536];
    struct err err;

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(sql_filter_check((struct span){text, 65535}, &err), 0);
    assert_int_equal(sql_filter_check((struct span){text, 65536}, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match),
        cmocka_unit_test(filters_overlap_both_ways),
        cmocka_unit_test(filters_are_checked),
        cmocka_unit_test(a_filter_has_65535_bytes_at_most),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
