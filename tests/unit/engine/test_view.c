/* What is told of a moment: metrics and JSON, as text. */
#include "json.h"
#include "small_lane.h"
#include "small_store.h"
#include "view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "canary-4711"

static const char *const texts[] = {
    "{\"sql\": \"SELECT n FROM 'a/#' WHERE n > 1\", \"awsIotSqlVersion\": \"2016-03-23\", \"description\": "
    "\"tab\\tand \\\"quote\\\"\","
    " \"actions\": [{\"kafka\": {\"topic\": \"t\", \"key\": \"${get_secret('files:k', 'SecretString', "
    "'')}\", \"clientProperties\": {\"a\": "
    "\"${get_secret('door', 'SecretString', 'key', '')}\"}}}]}",
    "{\"sql\": \"SELECT get_secret('door', 'SecretString', '') AS x FROM 'b'\", \"ruleDisabled\": true, "
    "\"awsIotSqlVersion\": \"2016-03-23\", "
    "\"actions\": [{\"kafka\": {\"topic\": \"t\", \"clientProperties\": {}}}]}",
    "{\"sql\": \"SELECT n FROM 'c'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "
    "{\"topic\": \"t\", "
    "\"clientProperties\": {}}}], \"errorAction\": {\"kafka\": {\"topic\": \"e\", \"key\": "
    "\"${get_secret('files:k', "
    "'SecretString', '')}\", \"clientProperties\": {}}}}"};
enum { TEXTS = sizeof texts / sizeof *texts };

static char folder[] = "/tmp/topicrule-view-XXXXXX";
static atomic_bool stopping;

static int make_folder(void **state)
{
    char path[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/k", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(CANARY, file);
    (void)fclose(file);
    return chmod(path, 0600);
}

static int remove_folder(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/k", folder);
    return unlink(path) || rmdir(folder);
}

static struct secrets *open_secrets(void)
{
    const struct option_pair path = {"path", folder, {0, 0}};
    const struct option_group backend = {"files", "directory", &path, 1, {0, 0}};
    const struct secrets_config config = {
        .base_directory = "/", .default_backend = "files", .backends = &backend, .backend_count = 1};
    struct err err;
    struct secrets *secrets = secrets_new(&config, &err);

    assert_non_null(secrets);
    return secrets;
}

static struct subject subject_of(const struct small_lane *small, struct secrets *secrets)
{
    return (struct subject){.config = small->config,
                            .rules = &small->set,
                            .lane = small->lane,
                            .secrets = secrets,
                            .stopping = &stopping,
                            .version = "1.2.3",
                            .started_ms = clock_wall_ms()};
}

static struct buf text_of(const struct subject *subject, void (*tell)(const struct view *, struct buf *))
{
    struct buf out = BUF_INIT;
    struct view view;

    assert_int_equal(view_take(&view, subject), 0);
    tell(&view, &out);
    view_done(&view);
    assert_false(out.failed);
    return out;
}

static void has(const struct buf *text, const char *piece)
{
    if (!strstr(text->data, piece))
        fail_msg("lacks %s in\n%s", piece, text->data);
}

static void counters_reach_the_page_of_all_and_of_each_rule(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    const struct subject subject = subject_of(small, NULL);

    (void)state;
    for (int i = 0; i < 3; i++)
        small_publish(small, "c", SPAN("{\"n\":1}"), 1);
    small_publish(small, "a/1", SPAN("{\"n\":1}"), 1);
    small_publish(small, "nobody", SPAN("{\"n\":1}"), 1);
    scripted_command("deliver 0");
    small_turn(small, 10);

    struct buf text = text_of(&subject, metrics_text);
    has(&text, "\ntopicrule_build_info{version=\"1.2.3\"} 1\n");
    has(&text, "\ntopicrule_ready 0\n");
    has(&text, "\ntopicrule_rules 2\n");
    has(&text, "\ntopicrule_mqtt_messages_total 5\n");
    has(&text, "\ntopicrule_mqtt_unmatched_total 1\n");
    has(&text, "\ntopicrule_evaluations_total 4\n");
    has(&text, "\ntopicrule_evaluation_results_total{result=\"matched\"} 3\n");
    has(&text, "\ntopicrule_evaluation_results_total{result=\"filtered\"} 1\n");
    has(&text, "\ntopicrule_actions_begun_total 3\n");
    has(&text, "\ntopicrule_rule_evaluation_results_total{rule=\"r2\",result=\"matched\"} 3\n");
    has(&text, "\ntopicrule_rule_evaluation_results_total{rule=\"r0\",result=\"filtered\"} 1\n");
    has(&text, "\ntopicrule_rule_actions_begun_total{rule=\"r2\"} 3\n");
    has(&text, "\ntopicrule_rule_actions_begun_total{rule=\"r0\"} 0\n");
    has(&text, "\ntopicrule_rule_actions_total{rule=\"r2\",outcome=\"delivered\"} 3\n");
    buf_done(&text);

    text = text_of(&subject, rules_json);
    has(&text, "[{\"name\":\"r0\",\"file\":\"r0.json\",\"description\":\"tab\\tand "
               "\\\"quote\\\"\",\"disabled\":false,\"filter\":\"a/#\"");
    has(&text,
        "\"name\":\"r1\",\"file\":\"r1.json\",\"description\":null,\"disabled\":true,\"filter\":\"b\"");
    has(&text,
        "\"error_action\":\"kafka\",\"counters\":{\"matched\":3,\"filtered\":0,\"failed\":0,\"begun\":3,");
    buf_done(&text);

    text = text_of(&subject, status_json);
    has(&text, "{\"version\":\"1.2.3\",\"ready\":false,\"problem\":\"");
    has(&text, "\"rules\":{\"enabled\":2,\"disabled\":1}");
    has(&text, "\"evaluated\":4,\"matched\":3,\"filtered\":1,\"failed\":0,\"begun\":3");
    buf_done(&text);
    small_lane_free(small);
}

/* A counter that is added and not told would make sums that do not close. */
static void every_counter_is_told(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    const struct subject subject = subject_of(small, NULL);

    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        atomic_store(&small->lane->counters.value[i], 7000000 + i);
    for (size_t i = 0; i < RULE_COUNTER_COUNT; i++)
        atomic_store(&small->lane->rules[0].counters.value[i], 8000000 + i);
    struct buf text = text_of(&subject, metrics_text);
    for (size_t i = 0; i < (size_t)COUNTER_COUNT + RULE_COUNTER_COUNT; i++) {
        char value[32];

        (void)snprintf(value, sizeof value, " %zu\n",
                       i < COUNTER_COUNT ? 7000000 + i : 8000000 + i - COUNTER_COUNT);
        has(&text, value);
    }
    buf_done(&text);
    small_lane_free(small);
}

static void labels_are_escaped(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    const struct subject subject = subject_of(small, NULL);
    struct rule odd = *small->set.rules[0], *kept = small->set.rules[0];

    (void)state;
    odd.name = "a\"b\\c\nd";
    small->set.rules[0] = &odd;
    struct buf text = text_of(&subject, metrics_text);
    has(&text, "topicrule_rule_actions_begun_total{rule=\"a\\\"b\\\\c\\nd\"} 0\n");
    buf_done(&text);
    small->set.rules[0] = kept;
    small_lane_free(small);
}

static void secrets_are_told_with_their_users_and_never_a_value(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    struct secrets *secrets = open_secrets();
    const struct subject subject = subject_of(small, secrets);
    const struct secret_query here = {.id = SPAN("k")}, missing = {.id = SPAN("door")};
    struct err err;

    (void)state;
    struct wiped *value = secrets_get(secrets, &here, &err);
    assert_non_null(value);
    wiped_free(value);
    assert_null(secrets_get(secrets, &missing, &err));

    struct buf text = text_of(&subject, secrets_json);
    has(&text, "{\"backends\":[{\"name\":\"files\",\"type\":\"directory\",\"away\":false}]");
    has(&text, "{\"backend\":\"files\",\"id\":\"door\",\"role_arn\":null,\"version\":null,\"age_s\":null,"
               "\"stale\":false");
    has(&text, "\"problem\":\"there is neither");
    has(&text,
        "\"users\":[{\"rule\":\"r0\",\"field\":\"actions[0].kafka.clientProperties.a\"}],\"user_count\":1}");
    has(&text, "\"users\":[{\"rule\":\"r0\",\"field\":\"actions[0].kafka.key\"},{\"rule\":\"r2\",\"field\":"
               "\"errorAction.kafka.key\"}],\"user_count\":2}");
    assert_null(strstr(text.data, CANARY));
    buf_done(&text);

    text = text_of(&subject, metrics_text);
    has(&text, "\ntopicrule_secrets_kept{backend=\"files\",type=\"directory\"} 1\n");
    has(&text, "\ntopicrule_secrets_missing{backend=\"files\",type=\"directory\"} 1\n");
    has(&text, "\ntopicrule_secrets_backend_away{backend=\"files\",type=\"directory\"} 0\n");
    assert_null(strstr(text.data, CANARY));
    assert_null(strstr(text.data, "door"));
    buf_done(&text);
    secrets_free(secrets);
    small_lane_free(small);
}

static void put_row(struct small_store *stored, const char *rule, int action, const char *stream)
{
    const struct store_name name = {span_of(rule), SPAN("kafka"), span_of(stream), action};
    const struct store_row row = {.number = store_numbers(stored->store, 1),
                                  .queue = store_queue(stored->store, &name),
                                  .at_ms = clock_wall_ms() - 5000,
                                  .record = SPAN(CANARY)};
    struct waited put = {.job = {.work = STORE_PUT, .count = 1, .rows = &row}};

    assert_int_equal(small_do(stored, &put), STORE_DONE);
}

/* r1 is disabled, r9 was never there, r0 has one action and no error action. */
static void what_waits_on_disk_is_told_and_whose_rule_is_gone(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    struct small_store *stored = small_new();
    struct subject subject = subject_of(small, NULL);

    (void)state;
    subject.store = stored->store;
    put_row(stored, "r0", 0, "t");
    put_row(stored, "r0", 0, "t");
    put_row(stored, "r2", STORE_ERROR_ACTION, "e");
    put_row(stored, "r0", STORE_ERROR_ACTION, "e");
    put_row(stored, "r0", 1, "t");
    put_row(stored, "r1", 0, "t");
    put_row(stored, "r9", 0, "t");

    struct buf text = text_of(&subject, metrics_text);
    has(&text, "\ntopicrule_store_rows 7\n");
    has(&text, "\ntopicrule_store_gone_rows 4\n");
    has(&text, "\ntopicrule_store_healthy 1\n");
    has(&text, "\ntopicrule_store_oldest_seconds ");
    has(&text, "\ntopicrule_dead_letters 0\n");
    assert_null(strstr(text.data, CANARY));
    buf_done(&text);
    text = text_of(&subject, status_json);
    has(&text, "\"store\":{\"state\":\"fine\",\"rows\":7,");
    has(&text, "\"gone_rows\":4,");
    has(&text, "\"queues\":[{\"rule\":\"r0\",\"type\":\"kafka\",\"stream\":\"t\",\"action\":0,\"rows\":2,");
    has(&text, "{\"rule\":\"r2\",\"type\":\"kafka\",\"stream\":\"e\",\"action\":\"errorAction\",\"rows\":1,");
    has(&text, "\"queues_left_out\":0");
    assert_null(strstr(text.data, CANARY));
    buf_done(&text);
    small_free(stored);
    small_lane_free(small);
}

static void readiness_has_a_reason(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    const struct subject subject = subject_of(small, NULL);

    (void)state;
    assert_non_null(strstr(view_problem(&subject), "subscription"));
    atomic_store(&stopping, true);
    assert_non_null(strstr(view_problem(&subject), "stopping"));
    atomic_store(&stopping, false);
    assert_false(view_is_hung(&subject));
    atomic_store(&small->lane->heartbeat_ms, clock_mono_ms() - 31000);
    assert_true(view_is_hung(&subject));
    atomic_store(&small->lane->heartbeat_ms, INT64_MAX); /* a name is being resolved */
    assert_false(view_is_hung(&subject));
    small_lane_free(small);
}

static void before_there_is_a_lane_it_is_said_that_it_starts(void **state)
{
    struct small_lane *small = small_lane_new(texts, TEXTS, NULL);
    struct subject subject = subject_of(small, NULL);

    (void)state;
    subject.lane = NULL;
    assert_non_null(strstr(view_problem(&subject), "starting"));
    assert_false(view_is_hung(&subject));
    struct buf text = text_of(&subject, status_json);
    has(&text, "\"ready\":false");
    has(&text, "\"clients\":[]");
    buf_done(&text);
    text = text_of(&subject, metrics_text);
    has(&text, "\ntopicrule_rule_actions_begun_total{rule=\"r0\"} 0\n");
    buf_done(&text);
    small_lane_free(small);
}

static void json_needs_no_thought_of_commas(void **state)
{
    struct buf out = BUF_INIT;
    struct json json = {.out = &out};

    (void)state;
    json_open(&json, NULL, '{');
    json_open(&json, "a", '[');
    json_close(&json, ']');
    json_open(&json, "b", '[');
    json_count(&json, NULL, 18446744073709551615u);
    json_text(&json, NULL, "x\"\n");
    json_open(&json, NULL, '{');
    json_close(&json, '}');
    json_close(&json, ']');
    json_text(&json, "c", NULL);
    json_span(&json, "d", (struct span){"", 0});
    json_seconds(&json, "e", 1050);
    json_seconds(&json, "f", -1);
    json_bool(&json, "g", true);
    json_close(&json, '}');
    assert_string_equal(out.data,
                        "{\"a\":[],\"b\":[18446744073709551615,\"x\\\"\\n\",{}],\"c\":null,\"d\":\"\","
                        "\"e\":1.050,\"f\":null,\"g\":true}");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_reach_the_page_of_all_and_of_each_rule),
        cmocka_unit_test(every_counter_is_told),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(secrets_are_told_with_their_users_and_never_a_value),
        cmocka_unit_test(what_waits_on_disk_is_told_and_whose_rule_is_gone),
        cmocka_unit_test(readiness_has_a_reason),
        cmocka_unit_test(before_there_is_a_lane_it_is_said_that_it_starts),
        cmocka_unit_test(json_needs_no_thought_of_commas),
    };

    return cmocka_run_group_tests_name("view", tests, make_folder, remove_folder);
}
