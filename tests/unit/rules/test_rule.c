/* Rules and folders of rules: what a document becomes, in which order settings stand, which files are read.
 */
#include "fake_action.h"
#include "rules/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KAFKA "{\"kafka\": {\"topic\": \"t\", \"clientProperties\": {\"bootstrap.servers\": \"k\"}}}"
#define RULE  "{\"sql\": \"SELECT * FROM 'a/+'\", \"actions\": [" KAFKA "]}"

static const struct rule_default items[] = {
    {NULL, "linger.ms", "5", {1, 2}, "kafka.defaults.linger.ms"},
    {"arn:x", "acks", "all", {3, 4}, "kafka.destinations.acks"},
    {"arn:y", "acks", "0", {5, 6}, "kafka.destinations.acks"},
};
static const struct rule_defaults from_config = {"c.yaml", items, 3};

static void a_document_becomes_a_rule(void **state)
{
    static const char text[] =
        "{\"sql\": \"SELECT * FROM 'a/+'\", \"description\": \"d\", \"ruleDisabled\": true,\n"
        "\"actions\": [{\"kafka\": {\"destinationArn\": \"arn:x\", \"topic\": \"t${topic(1)}\", \"key\": "
        "\"k\",\n"
        " \"headers\": [{\"key\": \"h\", \"value\": \"v\"}],\n"
        " \"clientProperties\": {\"bootstrap.servers\": \"k:1\",\n"
        "  \"sasl.plain.password\": \"${get_secret('a', 'SecretString', '')}\"}}}],\n"
        "\"errorAction\": " KAFKA "}";
    struct report report = REPORT_INIT;
    const struct rule_options options = {.types = fake_types, .defaults = &from_config};
    struct rule *rule = rule_read(SPAN(text), "/etc/rules.d/heat.json", &options, &report);

    (void)state;
    report_print(&report, stderr);
    assert_non_null(rule);
    assert_int_equal(report.count, 0);
    assert_string_equal(rule->name, "heat");
    assert_string_equal(rule->file, "/etc/rules.d/heat.json");
    assert_string_equal(rule->description, "d");
    assert_true(rule->disabled);
    assert_true(span_is(rule->filter, "a/+"));
    assert_int_equal(rule->action_count, 1);

    const struct rule_action *action = &rule->actions[0];
    assert_ptr_equal(action->type, &fake_kafka);
    assert_string_equal(action->type_name, "kafka");
    assert_int_equal(action->index, 0);
    assert_string_equal(action->destination_arn, "arn:x");
    assert_null(action->fields[FAKE_DESTINATION]);
    assert_null(sql_template_constant(action->fields[FAKE_TOPIC]).data);
    assert_true(span_is(sql_template_constant(action->fields[FAKE_KEY]), "k"));
    assert_null(action->fields[FAKE_PARTITION]);
    assert_int_equal(action->pair_count, 1);
    assert_true(span_is(sql_template_constant(action->pairs[0].value), "v"));

    static const struct {
        const char *name, *text, *origin, *path;
        unsigned line;
    } want[] = {
        {"linger.ms", "5", "c.yaml", "kafka.defaults.linger.ms", 1},
        {"bootstrap.servers", "k:1", NULL, "actions[0].kafka.clientProperties.bootstrap.servers", 4},
        {"sasl.plain.password", "${get_secret('a', 'SecretString', '')}", NULL,
         "actions[0].kafka.clientProperties.sasl.plain.password", 5},
        {"acks", "all", "c.yaml", "kafka.destinations.acks", 3},
    };
    assert_int_equal(action->setting_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(action->settings[i].name, want[i].name);
        assert_string_equal(action->settings[i].text, want[i].text);
        assert_string_equal(action->settings[i].path, want[i].path);
        assert_int_equal(action->settings[i].pos.line, want[i].line);
        if (want[i].origin)
            assert_string_equal(action->settings[i].origin, want[i].origin);
        else
            assert_null(action->settings[i].origin);
    }
    assert_non_null(rule->error_action);
    assert_true(rule->error_action->index == SIZE_MAX);
    rule_free(rule);
    report_done(&report);
}

static void a_skipped_action_keeps_its_place(void **state)
{
    static const char text[] =
        "sql: SELECT * FROM 'a'\nactions: [{s3: {}}, " KAFKA "]\nerrorAction: {sns: {}}\n";
    struct report report = REPORT_INIT;
    const struct rule_options options = {.types = fake_types, .skip_unsupported = true};
    struct rule *rule = rule_read(SPAN(text), "r.yaml", &options, &report);

    (void)state;
    assert_non_null(rule);
    assert_int_equal(report.warnings, 2);
    assert_int_equal(rule->action_count, 2);
    assert_null(rule->actions[0].type);
    assert_string_equal(rule->actions[0].type_name, "s3");
    assert_int_equal(rule->actions[1].index, 1);
    assert_null(rule->error_action);
    rule_free(rule);
    report_done(&report);
}

static void the_version_reaches_the_statement(void **state)
{
    static const struct {
        const char *line;
        enum sql_version version;
    } rows[] = {{"", SQL_2015_10_08},
                {"awsIotSqlVersion: '2015-10-08'\n", SQL_2015_10_08},
                {"awsIotSqlVersion: '2016-03-23'\n", SQL_2016_03_23},
                {"awsIotSqlVersion: beta\n", SQL_2016_03_23}};
    const struct rule_options options = {.types = fake_types};
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct report report = REPORT_INIT;

        (void)snprintf(text, sizeof text, "%ssql: SELECT * FROM 'a'\nactions: [" KAFKA "]\n", rows[i].line);
        struct rule *rule = rule_read(span_of(text), "r.yaml", &options, &report);
        assert_non_null(rule);
        assert_int_equal(sql_program_version(rule->program), rows[i].version);
        rule_free(rule);
        report_done(&report);
    }
}

/* ---- folders ---- */

static char folder[] = "/tmp/topicrule-rules-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/topicrule-rules-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void a_folder_is_read_in_the_order_of_names(void **state)
{
    const struct rule_options options = {.types = fake_types};
    struct report report = REPORT_INIT;
    char path[256];

    (void)state;
    put("b.json", RULE);
    put("a.yaml", RULE);
    put("c.yml", RULE);
    put("broken.json", "{");
    put(".hidden.json", "{");
    put("notes.txt", "{");
    put("json", "{");
    put("d.json.bak", "{");
    (void)snprintf(path, sizeof path, "%s/e.json", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    struct rule_set *set = rule_set_load(folder, &options, &report);
    assert_non_null(set);
    assert_int_equal(set->count, 3);
    assert_string_equal(set->rules[0]->name, "a");
    assert_string_equal(set->rules[1]->name, "b");
    assert_string_equal(set->rules[2]->name, "c");
    assert_int_equal(report.errors, 2);
    assert_non_null(strstr(report.findings[0].err.file, "broken.json"));
    assert_non_null(strstr(report.findings[1].err.text, "folder, not a file"));

    struct rule_set *again = rule_set_ref(set);
    rule_set_free(set);
    assert_string_equal(again->rules[0]->name, "a"); /* still there */
    rule_set_free(again);
    report_done(&report);
}

static void two_files_of_one_name_are_both_refused(void **state)
{
    const struct rule_options options = {.types = fake_types};
    struct report report = REPORT_INIT;

    (void)state;
    put("a.json", RULE);
    put("a.x.json", RULE);
    put("a.yaml", RULE);
    put("ab.json", RULE);
    struct rule_set *set = rule_set_load(folder, &options, &report);
    assert_int_equal(set->count, 2);
    assert_string_equal(set->rules[0]->name, "a.x");
    assert_string_equal(set->rules[1]->name, "ab");
    assert_int_equal(report.errors, 2);
    rule_set_free(set);
    report_done(&report);
}

static void one_file_is_a_set(void **state)
{
    const struct rule_options options = {.types = fake_types};
    struct report report = REPORT_INIT;
    char path[256];

    (void)state;
    put("one.json", RULE);
    (void)snprintf(path, sizeof path, "%s/one.json", folder);
    struct rule_set *set = rule_set_load(path, &options, &report);
    assert_int_equal(set->count, 1);
    assert_string_equal(set->rules[0]->name, "one");
    rule_set_free(set);
    report_done(&report);
}

static void nothing_to_read_is_said(void **state)
{
    const struct rule_options options = {.types = fake_types};
    struct report report = REPORT_INIT;

    (void)state;
    struct rule_set *set = rule_set_load(folder, &options, &report);
    assert_int_equal(set->count, 0);
    assert_int_equal(report.warnings, 1);
    rule_set_free(set);
    assert_null(rule_set_load("/nonexistent/rules.d", &options, &report));
    assert_int_equal(report.errors, 1);
    assert_null(rule_load("/nonexistent/r.json", &options, &report));
    assert_int_equal(report.errors, 2);
    report_done(&report);
}

static void a_mistake_in_the_defaults_is_one_finding(void **state)
{
    static const struct rule_default wrong[] = {{NULL, "linger.sm", "5", {1, 2}, "kafka.defaults.linger.sm"}};
    static const struct rule_defaults defaults = {"c.yaml", wrong, 1};
    const struct rule_options options = {.types = fake_types, .defaults = &defaults};
    struct report report = REPORT_INIT;

    (void)state;
    put("a.json", RULE);
    put("b.json", RULE);
    struct rule_set *set = rule_set_load(folder, &options, &report);
    assert_non_null(set);
    assert_int_equal(set->count, 0); /* a rule that cannot connect is none */
    assert_int_equal(report.count, 1);
    assert_string_equal(report.findings[0].err.file, "c.yaml");
    rule_set_free(set);
    report_done(&report);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_rule),
        cmocka_unit_test(a_skipped_action_keeps_its_place),
        cmocka_unit_test(the_version_reaches_the_statement),
        IN_FOLDER(a_folder_is_read_in_the_order_of_names),
        IN_FOLDER(two_files_of_one_name_are_both_refused),
        IN_FOLDER(one_file_is_a_set),
        IN_FOLDER(nothing_to_read_is_said),
        IN_FOLDER(a_mistake_in_the_defaults_is_one_finding),
    };

    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
