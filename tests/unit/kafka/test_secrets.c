/* Whatever property a secret is given for, by any of its names, and whatever is wrong with it: no text shows
 * it. */
#include "describe.h"
#include "kafka/kafka.h"
#include "props.h"
#include "record.h"
#include "settings.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CANARY "canary7f3a"

/* librdkafka forgets the interceptors of a producer that it refuses to make: a hundred bytes for a rule that
 * cannot start. */
const char *__lsan_default_suppressions(void); /* NOLINT: the leak checker's name for it */
const char *__lsan_default_suppressions(void)  /* NOLINT */
{
    return "leak:rd_kafka_interceptor_method_new\nleak:rd_list_grow\n";
}

static bool shows(const char *text)
{
    return strcasestr(text, CANARY) != NULL;
}

static void no_result(void *context, const struct action_result *result)
{
    (void)context;
    if (shows(result->text))
        fail_msg("a result shows it: %s", result->text);
}

/* What librdkafka says of a host is shown, and the name of a host is no secret once it is one. */
static void no_state(void *context, enum action_state state, const char *text)
{
    (void)context, (void)state, (void)text;
}

/* Everything that speaks of settings, with the canary as the value of `name`. */
static void look(const char *name, const char *value, const char *mechanism, bool open)
{
    static const struct action_events events = {NULL, no_result, no_state};
    struct wiped *canary = wiped_new(span_of(value));
    struct action_setting items[] = {
        {.name = "bootstrap.servers", .value = SPAN("127.0.0.1:1")},
        {.name = "security.protocol", .value = SPAN("SASL_SSL")},
        {.name = "sasl.mechanism", .value = span_of(mechanism)},
        {.name = "sasl.username", .value = SPAN("u")},
        {.name = "sasl.password", .value = SPAN("p")},
        {.name = name, .secret = canary},
    };
    struct action_settings settings = {items, sizeof items / sizeof *items};
    const struct span constants[FIELD_COUNT] = {[FIELD_TOPIC] = SPAN("t")};
    struct report report = REPORT_INIT;
    struct buf out = BUF_INIT;
    struct err err = {0};

    kafka_action_type.check(constants, &settings, true, &report);
    for (size_t i = 0; i < report.count; i++)
        if (shows(report.findings[i].err.text))
            fail_msg("check of %s: %s", name, report.findings[i].err.text);
    kafka_action_type.describe(&settings, &out);
    if (shows(out.data))
        fail_msg("describe of %s: %s", name, out.data);
    buf_done(&out);
    out = BUF_INIT;
    if (kafka_action_type.identity(&settings, &out, &err) != 0 ? shows(err.text) : shows(out.data))
        fail_msg("identity of %s: %s", name, err.text);
    if (open) {
        struct action_client *client = kafka_action_type.open(&settings, &events, &err);

        if (client)
            kafka_action_type.close(client, 0);
        else if (shows(err.text))
            fail_msg("open of %s: %s", name, err.text);
    }
    buf_done(&out);
    report_done(&report);
    wiped_free(canary);
}

static void by_any_name(void **state)
{
    static const char *const values[] = {
        CANARY,
        "/" CANARY "/" CANARY,
        "127.0.0.1:1," CANARY ":" CANARY,
        "PlainLoginModule required username=u password=" CANARY " " CANARY "=x " CANARY ";",
        "TLSv1.2," CANARY,
        "-----BEGIN PRIVATE KEY-----\n" CANARY "\n-----END PRIVATE KEY-----\n",
        "\x05\x02" CANARY CANARY CANARY,
    };
    const char *name;

    (void)state;
    for (size_t i = 0; (name = prop_spelling(i, NULL)); i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            look(name, values[k], "PLAIN", k == 0);
            look(name, values[k], "GSSAPI", false);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_any_name)};

    return cmocka_run_group_tests_name("secrets of kafka", tests, NULL, NULL);
}
