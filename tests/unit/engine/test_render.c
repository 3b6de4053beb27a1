/* Records, settings, identity, secrets and error messages, as texts. */
#include "failure.h"
#include "small_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char document[] =
    "{\"sql\": \"SET @site = topic(1) SELECT n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\","
    " \"actions\": [{\"kafka\": {\"topic\": \"t.${@site}\", \"key\": \"${k}\","
    "   \"headers\": [{\"key\": \"from\", \"value\": \"${topic()}\"}, {\"key\": \"${n}\", \"value\": "
    "\"${missing}\"}],"
    "   \"clientProperties\": {\"plain\": \"x${1+1}\", \"password\": \"${get_secret('door', 'SecretString', "
    "'key', '')}\"}}}]}";

static struct sql_scope *scope_on(const struct sql_host *host, const char *topic, const char *payload)
{
    static struct sql_message message;
    struct err err;
    struct sql_scope *scope = sql_scope_new(host, SQL_LIMITS_DEFAULT, &err);

    message =
        (struct sql_message){.topic = span_of(topic), .payload = span_of(payload), .payload_format = -1};
    sql_scope_begin(scope, &message);
    return scope;
}

#define assert_span(span, text)                                                                              \
    do {                                                                                                     \
        assert_int_equal((span).size, strlen(text));                                                         \
        assert_memory_equal((span).data ? (span).data : "", text, strlen(text));                             \
    } while (0)

static void record_has_what_the_templates_give(void **state)
{
    struct rule *rule = small_rule("r", document);
    const struct sql_host host = render_host(NULL);
    struct sql_scope *scope = scope_on(&host, "a/b", "{\"n\":5}");
    struct action_record record;
    struct span payload;
    struct err err = {0};

    (void)state;
    assert_int_equal(sql_run(rule->program, scope, &payload, &err), SQL_MATCHED);
    assert_int_equal(render_record(&rule->actions[0], scope, payload, &record, &err), 0);
    assert_span(record.payload, "{\"n\":5}");
    assert_span(record.fields[0].text, "t.a");
    assert_false(record.fields[0].absent);
    assert_true(record.fields[1].absent); /* a key that is one ${...} without a value is no key */
    assert_int_equal(record.pair_count, 2);
    assert_span(record.pairs[0].value, "a/b");
    assert_span(record.pairs[1].key, "5");
    assert_span(record.pairs[1].value, "");
    assert_true(record.fields[4].absent);
    sql_scope_free(scope);
    rule_free(rule);
}

static void failing_template_names_its_field(void **state)
{
    static const char text[] = "{\"sql\": \"SELECT n FROM 'a'\", \"awsIotSqlVersion\": \"2016-03-23\", "
                               "\"actions\": [{\"kafka\": {\"topic\": "
                               "\"t\", \"headers\": [{\"key\": \"k\", \"value\": \"${get_secret(n, "
                               "'SecretString', '')}\"}], \"clientProperties\": {}}}]}";
    struct rule *rule = small_rule("r", text);
    struct err err = {0};
    struct render_secrets *known = render_secrets_new(NULL, false, &err);
    const struct sql_host host = render_host(known);
    struct sql_scope *scope = scope_on(&host, "a", "{\"n\":\"door\"}");
    struct action_record record;
    struct span payload;

    (void)state;
    assert_int_equal(sql_run(rule->program, scope, &payload, &err), SQL_MATCHED);
    assert_int_equal(render_record(&rule->actions[0], scope, payload, &record, &err), -1);
    assert_non_null(strstr(err.text, "headers[0]: "));
    assert_non_null(strstr(err.text, "secret 'door' is named by the message"));
    sql_scope_free(scope);
    render_secrets_free(known);
    rule_free(rule);
}

/* A backend of files in a folder of the test's own. */
static struct secrets *secrets_of(const char *folder, struct err *err)
{
    const struct option_pair option = {.name = "path", .value = folder};
    const struct option_group backend = {
        .name = "files", .type = "directory", .options = &option, .option_count = 1};
    const struct secrets_config config = {
        .base_directory = "/", .default_backend = "files", .backends = &backend, .backend_count = 1};

    return secrets_new(&config, err);
}

static void write_secret(const char *folder, const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    (void)chmod(path, 0600);
}

/* What is wiped after use is never what the next one is made from: a whole secret is shared with the cache.
 */
static void a_secret_is_used_again(void **state)
{
    static const char *const twice =
        "{\"sql\": \"SELECT * FROM 'a'\", \"actions\": [{\"kafka\": {\"topic\": \"t\", \"clientProperties\": "
        "{\"one\": \"${get_secret('whole', 'SecretString', '')}\", \"two\": \"${get_secret('whole', "
        "'SecretString', '')}\"}}}]}";
    char folder[] = "/tmp/topicrule-test-XXXXXX", path[64];
    struct rule *rule = small_rule("r", twice);
    struct err err = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    struct secrets *secrets = secrets_of(folder, &err);
    assert_non_null(secrets);
    write_secret(folder, "whole", "sesame");
    for (int round = 0; round < 2; round++) {
        struct render_settings *settings = render_settings_new(&rule->actions[0], secrets, false, &err);

        assert_non_null(settings);
        assert_int_equal(settings->settings.count, 2);
        assert_span(wiped_reveal(settings->settings.items[0].secret), "sesame");
        assert_span(wiped_reveal(settings->settings.items[1].secret), "sesame");
        render_settings_free(settings);
    }
    (void)snprintf(path, sizeof path, "%s/whole", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    secrets_free(secrets);
    rule_free(rule);
}

static void settings_meet_secrets(void **state)
{
    char folder[] = "/tmp/topicrule-test-XXXXXX", path[64];
    struct rule *rule = small_rule("r", document);
    struct err err = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    struct secrets *secrets = secrets_of(folder, &err);
    assert_non_null(secrets);

    assert_null(render_settings_new(&rule->actions[0], secrets, false, &err));
    assert_int_equal(err.code, ERR_SECRET);
    assert_non_null(strstr(err.text, "password: "));
    assert_non_null(strstr(err.text, "door"));

    write_secret(folder, "door", "{\"key\":\"sesame\"}");
    struct render_settings *settings = render_settings_new(&rule->actions[0], secrets, false, &err);
    assert_non_null(settings);
    assert_int_equal(settings->settings.count, 2);
    assert_string_equal(settings->settings.items[0].name, "plain");
    assert_span(settings->settings.items[0].value, "x2");
    assert_null(settings->settings.items[0].secret);
    assert_int_equal(settings->settings.items[1].value.size, 0);
    assert_span(wiped_reveal(settings->settings.items[1].secret), "sesame");
    render_settings_free(settings);

    (void)snprintf(path, sizeof path, "%s/door", folder);
    (void)unlink(path);
    (void)rmdir(folder);
    secrets_free(secrets);
    rule_free(rule);
}

static void masked_settings_fetch_nothing(void **state)
{
    struct rule *rule = small_rule("r", document);
    struct err err = {0};
    struct render_settings *settings = render_settings_new(&rule->actions[0], NULL, true, &err);

    (void)state;
    assert_non_null(settings);
    assert_false(settings->settings.items[0].is_template);
    assert_true(settings->settings.items[1].is_template);
    assert_span(settings->settings.items[1].value, "${get_secret('door', 'SecretString', 'key', '')}");
    render_settings_free(settings);
    rule_free(rule);
}

static void rules_secrets_are_learnt_once(void **state)
{
    static const char text[] = "{\"sql\": \"SELECT get_secret('door', 'SecretBinary', '') AS s FROM 'a'\", "
                               "\"awsIotSqlVersion\": \"2016-03-23\","
                               " \"actions\": [{\"kafka\": {\"topic\": \"t\", \"clientProperties\": {}}}]}";
    char folder[] = "/tmp/topicrule-test-XXXXXX", path[64];
    struct err err = {0};
    struct rule *rule = small_rule("r", text);
    struct span payload;

    (void)state;
    assert_non_null(mkdtemp(folder));
    struct secrets *secrets = secrets_of(folder, &err);
    struct render_secrets *known = render_secrets_new(secrets, false, &err);
    const struct sql_host host = render_host(known);
    struct sql_scope *scope = scope_on(&host, "a", "{}");

    assert_int_equal(render_secrets_learn(known, rule, &err), -1);
    assert_int_equal(sql_run(rule->program, scope, &payload, &err), SQL_FAILED);
    assert_non_null(strstr(err.text, "could not be fetched"));
    write_secret(folder, "door", "sesame");
    assert_int_equal(render_secrets_learn(known, rule, &err), 0);
    (void)snprintf(path, sizeof path, "%s/door", folder);
    (void)unlink(path);
    assert_int_equal(sql_run(rule->program, scope, &payload, &err), SQL_MATCHED);
    assert_span(payload, "{\"s\":\"c2VzYW1l\"}"); /* as AWS gives binary secrets */

    sql_scope_free(scope);
    render_secrets_free(known);
    secrets_free(secrets);
    (void)rmdir(folder);
    rule_free(rule);
}

static const struct identity_row {
    const char *name, *config, *topic, *client, *principal;
} identity_rows[] = {
    {"identity_is_unknown_by_itself", "", "a/b/c", NULL, NULL},
    {"identity_from_the_first_level", "identity: {client_id: {topic_level: 1}}", "a/b/c", "a", NULL},
    {"identity_from_the_last_level", "identity: {client_id: {topic_level: 3}}", "a/b/c", "c", NULL},
    {"identity_from_an_empty_level", "identity: {client_id: {topic_level: 2}}", "a//c", "", NULL},
    {"identity_past_the_end_is_unknown", "identity: {client_id: {topic_level: 4}}", "a/b/c", NULL, NULL},
    {"identity_from_a_user_property", "identity: {principal: {user_property: who}}", "a", NULL, "me"},
    {"identity_from_a_missing_property", "identity: {principal: {user_property: nobody}}", "a", NULL, NULL},
};

static void identity_row(void **state)
{
    const struct identity_row *row = *state;
    const struct sql_user_property property = {SPAN("who"), SPAN("me")};
    struct sql_message message = {
        .topic = span_of(row->topic), .user_properties = &property, .user_property_count = 1};
    struct report report = REPORT_INIT;
    char text[200];

    (void)snprintf(text, sizeof text, "mqtt: {url: 'mqtt://h'}\nrules: r\n%s", row->config);
    struct config *config = config_read(span_of(text), "topicrule.yaml", &report);
    assert_non_null(config);
    render_identity(config, &message);
    assert_int_equal(!message.client_id.data, !row->client);
    assert_span(message.client_id, row->client ? row->client : "");
    assert_span(message.principal, row->principal ? row->principal : "");
    config_free(config);
    report_done(&report);
}

static void error_message_is_as_aws_writes_it(void **state)
{
    const struct rule_action action = {.type_name = "kafka"};
    const struct rule rule = {.name = "heat"};
    const struct sql_message message = {.topic = SPAN("a/\"b\""), .payload = SPAN("{\"n\":1}")};
    const struct failure second = {NULL, {0}, SPAN("no \x01 such"), NULL};
    const struct failure first = {&action, SPAN("readings"), SPAN("TOO_LARGE: it is"),
                                  (struct failure *)(uintptr_t)&second};
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 16);
    struct span text = failure_text(&arena, &rule, &message, SPAN("1-2-3"), &first);
    assert_span(
        text,
        "{\"ruleName\":\"heat\",\"topic\":\"a/\\\"b\\\"\",\"cloudwatchTraceId\":\"1-2-3\",\"clientId\":\"n/"
        "a\","
        "\"base64OriginalPayload\":\"eyJuIjoxfQ==\",\"failures\":[{\"failedAction\":\"KafkaAction\","
        "\"failedResource\":\"readings\",\"errorMessage\":\"TOO_LARGE: it is\"},{\"failedAction\":\"Sql\","
        "\"failedResource\":\"\",\"errorMessage\":\"no \\u0001 such\"}]}");
    arena_done(&arena);

    arena_init(&arena, 40);
    assert_null(failure_text(&arena, &rule, &message, SPAN(""), &first).data);
    arena_done(&arena);
}

int main(void)
{
    enum { ROWS = sizeof identity_rows / sizeof *identity_rows, OTHERS = 6 };
    struct CMUnitTest tests[ROWS + OTHERS] = {
        cmocka_unit_test(record_has_what_the_templates_give),
        cmocka_unit_test(failing_template_names_its_field),
        cmocka_unit_test(settings_meet_secrets),
        cmocka_unit_test(a_secret_is_used_again),
        cmocka_unit_test(masked_settings_fetch_nothing),
        cmocka_unit_test(rules_secrets_are_learnt_once),
        cmocka_unit_test(error_message_is_as_aws_writes_it),
    };

    for (size_t i = 0; i < ROWS; i++)
        tests[OTHERS + i] = (struct CMUnitTest){.name = identity_rows[i].name,
                                                .test_func = identity_row,
                                                .initial_state = (void *)(uintptr_t)&identity_rows[i]};
    return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
