/* Reading documents while the Nth allocation fails, ours or a library's: a clean refusal, no leak, no crash.
 */
#include "failing_malloc.h"

#include "fake_action.h"
#include "rules/config.h"
#include "rules/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char json_rule[] =
    "{\"topicRulePayload\": {\"sql\": \"SELECT * FROM 'a/b' WHERE a != 1\", \"description\": \"d\","
    "\"errorAction\": {\"s3\": {}}, \"actions\": [{\"kafka\": {\"destinationArn\": \"arn:x\", \"topic\": "
    "\"t\","
    "\"key\": \"${topic(1)}\", \"headers\": [{\"key\": \"a\", \"value\": \"b\"}],"
    "\"clientProperties\": {\"bootstrap.servers\": \"k:9092\", \"acks\": 0}}}]}}";
static const char yaml_rule[] =
    "sql: >\n  SELECT *\n  FROM 'a/b'\nactions:\n- kafka: {topic: t, clientProperties: "
    "{bootstrap.servers: \"${get_secret('a', 'SecretString', '')}\"}}\n";
static const char broken_json[] = "{\"sql\": \"SELECT\", \"actions\": [}";
static const char broken_yaml[] = "sql: [a, b\nactions: c";
static const char config_text[] =
    "mqtt: {url: [\"mqtt://a\", \"mqtts://b:1\"], username: u, password: \"${get_secret('a', 'SecretString', "
    "'')}\"}\n"
    "rules: rules.d\nsecrets: {backends: {files: {type: directory, path: p, a: {b: c}}}}\n"
    "kafka: {defaults: {linger.ms: 5}, destinations: {\"arn:x\": {acks: all}}}\nidentity: {account_id: "
    "\"1\"}\n";

static const struct row {
    const char *name, *file, *text;
    bool is_config, fine;
} rows[] = {
    {"a_rule_in_json", "r.json", json_rule, false, true},
    {"a_rule_in_yaml", "r.yaml", yaml_rule, false, true},
    {"a_broken_rule_in_json", "r.json", broken_json, false, false},
    {"a_broken_rule_in_yaml", "r.yaml", broken_yaml, false, false},
    {"a_configuration", "etc/c.yaml", config_text, true, true},
};

/* True if the document was accepted. */
static bool read_once(const struct row *r, uint64_t after, bool from_then, bool *met, struct report *report)
{
    static const struct rule_default items[] = {{NULL, "linger.ms", "5", {1, 1}, "kafka.defaults.linger.ms"},
                                                {"arn:x", "acks", "all", {2, 1}, "kafka.destinations.acks"}};
    static const struct rule_defaults defaults = {"c.yaml", items, 2};
    const struct rule_options options = {.types = fake_types, .defaults = &defaults};
    struct config *config = NULL;
    struct rule *rule = NULL;

    failing_begin(after, from_then);
    if (r->is_config)
        config = config_read(span_of(r->text), r->file, report);
    else
        rule = rule_read(span_of(r->text), r->file, &options, report);
    *met = failing_end();
    bool accepted = config || rule;
    if (rule)
        assert_int_equal(rule->actions[0].type ? 1 : 0, 1);
    config_free(config);
    rule_free(rule);
    return accepted;
}

static void every_allocation_may_fail(void **state)
{
    const struct row *r = *state;

    for (int from_then = 0; from_then < 2; from_then++) {
        bool met = true;

        for (uint64_t after = 0; met; after++) {
            struct report report = REPORT_INIT;
            bool accepted = read_once(r, after, from_then, &met, &report);

            assert_int_equal(accepted, report.errors == 0);
            if (!met)
                assert_int_equal(accepted, r->fine);
            report_done(&report);
        }
    }
}

static void a_folder_of_rules(void **state)
{
    const struct rule_options options = {.types = fake_types};
    char folder[] = "/tmp/topicrule-rules-XXXXXX", file[64];
    bool met = true;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/a.json", folder);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    (void)fputs(json_rule, out);
    (void)fclose(out);
    for (uint64_t after = 0; met; after++) {
        struct report report = REPORT_INIT;

        failing_begin(after, false);
        struct rule_set *set = rule_set_load(folder, &options, &report);
        met = failing_end();
        if (!met)
            assert_int_equal(set->count, 1);
        else
            assert_true(report.errors > 0 || (set && set->count == 1));
        rule_set_free(set);
        report_done(&report);
    }
    (void)unlink(file);
    (void)rmdir(folder);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 1];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = every_allocation_may_fail,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(a_folder_of_rules);
    return cmocka_run_group_tests_name("failing allocations", tests, NULL, NULL);
}
