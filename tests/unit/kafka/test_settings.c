/* Client properties: names, values, dependencies, JAAS; what `check` says of each, and what is in force then.
 */
#include "describe.h"
#include "jaas.h"
#include "kafka/kafka.h"
#include "record.h"
#include "settings.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STORES TEST_SUPPORT "/kafka/stores/"

enum { ITEMS_MAX = 16 };

/* "name=value" lines -> settings; a value of ${...} is a template. Borrows from a static copy. */
static struct action_settings parse(const char *lines)
{
    static char copy[4096];
    static struct action_setting items[ITEMS_MAX];
    struct action_settings settings = {.items = items};

    (void)snprintf(copy, sizeof copy, "%s", lines);
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        char *equals = strchr(line, '=');

        assert_non_null(equals);
        *equals = '\0';
        items[settings.count++] = (struct action_setting){
            .name = line, .value = span_of(equals + 1), .is_template = strncmp(equals + 1, "${", 2) == 0};
    }
    return settings;
}

static void check(const char *lines, bool release, struct report *report)
{
    const struct span constants[FIELD_COUNT] = {[FIELD_TOPIC] = SPAN("t")};
    struct action_settings settings = parse(lines);

    kafka_action_type.check(constants, &settings, release, report);
}

static const char *const fine =
    "bootstrap.servers=k:9092\nsecurity.protocol=SSL\nssl.truststore.location=" STORES "root.pem\n";

/* One finding that must be among those for these lines; "" : nothing but warnings. */
static const struct row {
    const char *name, *lines, *finding;
} rows[] = {
    {"aws_example_passes",
     "bootstrap.servers=kafka.com:9092\nsecurity.protocol=SASL_SSL\nssl.truststore=${get_secret('t','"
     "SecretBinary','r')}\n"
     "ssl.truststore.password=kafka password\nsasl.mechanism=GSSAPI\nsasl.kerberos.service.name=kafka\n"
     "sasl.kerberos.krb5.kdc=kerberosdns.com\nsasl.kerberos.keytab=${get_secret('k','SecretBinary','r')}\n"
     "sasl.kerberos.krb5.realm=KERBEROSREALM\nsasl.kerberos.principal=kafka-keytab/kafka-keytab.com",
     ""},
    {"unknown_name_has_the_nearest", "bootstrap.server=k:1",
     "error: there is no client property 'bootstrap.server'; did you mean 'bootstrap.servers'?"},
    {"unknown_name_without_a_near_one", "zzzzzzzz=1", "error: there is no client property 'zzzzzzzz'"},
    {"refused_name_says_why", "transactional.id=x",
     "error: transactional.id is refused: transactions are not used"},
    {"ignored_name_warns", "client.rack=r1",
     "warning: client.rack has no effect here: it concerns consumers"},
    {"brokers_are_needed", "acks=all", "error: bootstrap.servers is missing"},
    {"brokers_have_good_ports", "bootstrap.servers=a:9092, b:99999",
     "error: expected host:port in bootstrap.servers, found 'b:99999'"},
    {"brokers_stand_between_commas", "bootstrap.servers=a:9092;b:9092",
     "error: expected host:port in bootstrap.servers, found 'a:9092;b:9092'"},
    {"brokers_have_one_port", "bootstrap.servers=a:9092:9093",
     "error: expected host:port in bootstrap.servers, found 'a:9092:9093'"},
    {"brokers_by_ipv6_are_fine", "bootstrap.servers=[::1]:9092,SSL://h:1\nsecurity.protocol=PLAINTEXT", ""},
    {"acks_is_a_choice", "acks=2", "error: expected all, 1 or 0 for acks, found '2'"},
    {"acks_0_warns", "acks=0", "warning: acks is 0: records are lost"},
    {"acks_1_warns", "acks=1", "warning: acks is 1"},
    {"numbers_have_a_range", "linger.ms=9999999",
     "error: expected a number from 0 to 900000 for linger.ms, found '9999999'"},
    {"numbers_are_numbers", "linger.ms=5s",
     "error: expected a number from 0 to 900000 for linger.ms, found '5s'"},
    {"booleans_are_booleans", "enable.idempotence=maybe",
     "error: expected true or false for enable.idempotence, found 'maybe'"},
    {"idempotence_needs_acks", "acks=1\nenable.idempotence=true",
     "error: enable.idempotence needs acks to be all"},
    {"idempotence_bounds_flight", "enable.idempotence=true\nmax.in.flight=9",
     "error: enable.idempotence needs max.in.flight to be 5 at most"},
    {"serializer_is_checked", "key.serializer=IntegerSerializer",
     "error: expected StringSerializer for key.serializer"},
    {"serializer_by_java_class",
     "bootstrap.servers=k:1\nsecurity.protocol=PLAINTEXT\nvalue.serializer=org.apache.kafka.common."
     "serialization.ByteBufferSerializer",
     ""},
    {"plaintext_warns", "security.protocol=PLAINTEXT",
     "warning: security.protocol is PLAINTEXT: records cross the network readable"},
    {"sasl_needs_a_mechanism", "security.protocol=SASL_SSL",
     "error: sasl.mechanism is missing: security.protocol SASL_SSL needs it"},
    {"plain_needs_its_password", "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.plain.username=u",
     "error: sasl.plain.password is missing: sasl.mechanism PLAIN needs it"},
    {"scram_needs_its_user",
     "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nsasl.scram.password=p",
     "error: sasl.scram.username is missing"},
    {"gssapi_needs_its_kdc", "security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI",
     "error: sasl.kerberos.krb5.kdc is missing: sasl.mechanism GSSAPI needs it"},
    {"other_mechanism_warns", "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.scram.username=u",
     "warning: sasl.scram.username has no effect: sasl.mechanism is PLAIN"},
    {"scram_with_an_underscore",
     "bootstrap.servers=k:1\nsecurity.protocol=SASL_SSL\nsasl.saslMechanism=SCRAM_SHA-256\nsasl.username="
     "u\nsasl.password=p",
     ""},
    {"login_without_sasl_warns", "security.protocol=SSL\nsasl.mechanism=PLAIN",
     "warning: sasl.mechanism has no effect: security.protocol is SSL"},
    {"password_in_the_file_warns", "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.plain.password=p",
     "warning: sasl.plain.password is written in plain text"},
    {"verification_stays_on", "enable.ssl.certificate.verification=false",
     "error: enable.ssl.certificate.verification is refused"},
    {"dapr_skip_verify_is_refused", "skipVerify=true", "error: skipVerify is refused"},
    {"host_name_check_off_warns", "ssl_config.check_hostname=false",
     "warning: the broker's host name is not compared"},
    {"old_tls_is_refused", "ssl.enabled.protocols=TLSv1.2,TLSv1.1",
     "error: TLSv1.2 and TLSv1.3 are spoken, 'TLSv1.1' is not"},
    {"paths_are_absolute", "ssl.ca.location=ca.pem",
     "error: ssl.ca.location needs an absolute path, found 'ca.pem'"},
    {"missing_file_is_named", "bootstrap.servers=k:1\nssl.ca.location=/nonexistent/ca.pem",
     "error: ssl.ca.location: cannot read /nonexistent/ca.pem: No such file or directory"},
    {"store_that_is_none", "bootstrap.servers=k:1\nssl.truststore=hello world!",
     "error: ssl.truststore: neither base64 nor a store"},
    {"key_without_chain", "ssl.key.location=" STORES "client.key",
     "error: ssl.key.location is given without ssl.keystore.certificate.chain"},
    {"two_keys_are_one_too_many", "ssl.keystore.location=/a\nssl.key.location=/b",
     "error: ssl.keystore.location and ssl.key.location are both given"},
    {"keystore_without_password", "bootstrap.servers=k:1\nssl.keystore.location=" STORES "client.jks",
     "error: ssl.keystore.location: the store needs its password: give ssl.keystore.password"},
    {"type_is_held_against_content",
     "bootstrap.servers=k:1\nssl.truststore.type=PEM\nssl.truststore.location=" STORES "trust.jks",
     "error: ssl.truststore.location: ssl.truststore.type says PEM, but it is JKS"},
    {"system_trust_is_named", "bootstrap.servers=k:1",
     "warning: no ssl.truststore: the broker must be trusted by /"},
    {"two_names_for_one_thing", "batch_size=1\nbatch.num.messages=2",
     "warning: batch_size and batch.num.messages say the same thing"},
    {"mage_timeout_is_explained", "timeout_ms=500",
     "warning: timeout_ms: in Mage it is how long a batch waits"},
    {"jaas_option_that_is_none", "sasl.jaas.config=PlainLoginModule required username=a password=b part=c;",
     "warning: sasl.jaas.config: option 3 of PlainLoginModule is not known here, and has no effect"},
    {"jaas_option_without_value", "sasl.jaas.config=PlainLoginModule required username;",
     "error: sasl.jaas.config is not of the form"},
    {"jaas_of_another_mechanism",
     "sasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=PlainLoginModule required username=a password=b;",
     "error: sasl.jaas.config is for PLAIN (PlainLoginModule), but sasl.mechanism is SCRAM-SHA-512"},
    {"jaas_of_scram_for_plain",
     "sasl.mechanism=PLAIN\nsasl.jaas.config=ScramLoginModule required username=a password=b;",
     "error: sasl.jaas.config is for SCRAM (ScramLoginModule), but sasl.mechanism is PLAIN"},
    {"truststore_password_alone", "bootstrap.servers=k:1\nssl.truststore.password=x",
     "warning: ssl.truststore.password has no effect: there is no ssl.truststore"},
    {"keystore_password_alone", "ssl.keyStore.password=x",
     "warning: ssl.keyStore.password has no effect: there is no ssl.keystore"},
    {"key_password_alone", "ssl.key.password=x",
     "warning: ssl.key.password has no effect: there is no ssl.keystore and no ssl.keystore.key"},
    {"password_without_tls", "security.protocol=PLAINTEXT\nssl.key.password=x",
     "warning: ssl.key.password has no effect: security.protocol is PLAINTEXT"},
    {"type_none_beside_a_store", "ssl.trustStore.type=NONE\nssl.truststore.location=" STORES "root.pem",
     "warning: ssl.trustStore.type is NONE, but there is ssl.truststore.location, which is used all the "
     "same"},
    {"type_by_the_name_that_was_written",
     "bootstrap.servers=k:1\nssl.trustStore.type=JKS\nssl.truststore.location=" STORES "root.pem",
     "error: ssl.truststore.location: ssl.trustStore.type says JKS, but it is PEM"},
    {"oauth_without_a_source", "security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER",
     "error: sasl.oauthbearer.token.endpoint.url (or sasl.oauthbearer.token) is missing"},
    {"oauth_endpoint_without_a_secret",
     "security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\noidcTokenEndpoint=https://x\noidcClientID=i",
     "error: sasl.oauthbearer.client.secret is missing"},
    {"msk_iam_without_tls", "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=AWS_MSK_IAM",
     "error: sasl.mechanism AWS_MSK_IAM needs security.protocol to be SASL_SSL"},
    {"unknown_that_begins_a_name", "ssl.ca=x",
     "error: there is no client property 'ssl.ca'; did you mean 'ssl.ca.location'?"},
    {"unknown_that_ends_like_a_name", "sasl.kerberos.realm=x",
     "error: there is no client property 'sasl.kerberos.realm'; did you mean 'sasl.kerberos.krb5.realm'?"},
    {"gravitee_attribute_of_today", "gravitee.attribute.kafka.producer.topics=x",
     "error: gravitee.attribute.kafka.producer.topics is refused: the action's own field `topic`"},
    {"jaas_of_no_known_module", "sasl.jaas.config=com.example.Login required a=b;",
     "error: sasl.jaas.config starts with no login module that is known here"},
    {"jaas_without_its_end", "sasl.jaas.config=PlainLoginModule required username=a",
     "error: sasl.jaas.config is not of the form"},
    {"jaas_of_two_modules",
     "sasl.jaas.config=PlainLoginModule required username=a; PlainLoginModule required;",
     "error: sasl.jaas.config: a client takes one login module"},
    {"jaas_option_without_effect", "sasl.jaas.config=PlainLoginModule required serviceName=a;",
     "warning: sasl.jaas.config: the option 'serviceName' of PlainLoginModule has no effect here"},
    {"topic_in_the_wrong_place", "publishTopic=t",
     "error: publishTopic is refused: the action's own field `topic`"},
};

static void settings_row(void **state)
{
    const struct row *row = *state;
    struct report report = REPORT_INIT;
    bool found = row->finding[0] == '\0' && report.errors == 0;

    check(row->lines, false, &report);
    if (row->finding[0] == '\0')
        found = report.errors == 0;
    for (size_t i = 0; i < report.count && !found && row->finding[0]; i++) {
        char line[512];

        (void)snprintf(line, sizeof line, "%s: %s",
                       report.findings[i].severity == SEVERITY_ERROR ? "error" : "warning",
                       report.findings[i].err.text);
        found = strncmp(line, row->finding, strlen(row->finding)) == 0;
    }
    if (!found) {
        report_print(&report, stderr);
        fail_msg("not there: %s", row->finding);
    }
    report_done(&report);
}

/* ---- what is in force ---- */

static const char *value(const struct settings *settings, enum prop_id id)
{
    static char text[8][256];
    static size_t turn;
    char *out = text[turn++ % 8];

    (void)snprintf(out, 256, SPAN_FMT, SPAN_ARG(setting_text(settings, id)));
    return out;
}

static void jaas_becomes_fields(void **state)
{
    struct report report = REPORT_INIT;
    struct settings settings;
    struct action_settings in = parse("security.protocol=SASL_SSL\nsasl.jaas.config=org.apache.kafka.common."
                                      "security.plain.PlainLoginModule "
                                      "required username=\"a b\" password='x\\\"\\101;=y';");

    (void)state;
    settings_read(&settings, &in, &report);
    assert_int_equal(report.errors, 0);
    assert_int_equal(settings.mechanism, MECHANISM_PLAIN);
    assert_true(span_is(settings.username, "a b"));
    assert_true(span_is(settings.password, "x\"A;=y"));
    settings_done(&settings);

    in = parse(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=GSSAPI\nsasl.jaas.config=com.sun.security.auth."
        "module."
        "Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\"/etc/k.keytab\" principal=\"a@R\" "
        "serviceName=kafka;");
    settings_read(&settings, &in, &report);
    assert_int_equal(report.errors, 0);
    assert_string_equal(value(&settings, PROP_KEYTAB), "/etc/k.keytab");
    assert_int_equal(settings.slots[PROP_KEYTAB].form, FORM_FILE);
    assert_string_equal(value(&settings, PROP_PRINCIPAL), "a@R");
    assert_string_equal(value(&settings, PROP_SERVICE), "kafka");
    settings_done(&settings);
    report_done(&report);
}

static void dapr_says_protocol_and_mechanism_at_once(void **state)
{
    static const struct {
        const char *lines;
        enum protocol protocol;
        enum mechanism mechanism;
    } cases[] = {
        {"authType=none", PROTOCOL_SSL, MECHANISM_NONE},
        {"authType=none\ndisableTls=true", PROTOCOL_PLAINTEXT, MECHANISM_NONE},
        {"authType=password", PROTOCOL_SASL_SSL, MECHANISM_PLAIN},
        {"authType=password\nsaslMechanism=SHA-512", PROTOCOL_SASL_SSL, MECHANISM_SCRAM_SHA_512},
        {"authType=password\nsaslMechanism=PLAINTEXT\ndisableTls=true", PROTOCOL_SASL_PLAINTEXT,
         MECHANISM_PLAIN},
        {"authType=mtls", PROTOCOL_SSL, MECHANISM_NONE},
        {"authType=oidc", PROTOCOL_SASL_SSL, MECHANISM_OAUTHBEARER},
        {"authType=password\nsecurity.protocol=PLAINTEXT", PROTOCOL_PLAINTEXT, MECHANISM_NONE},
    };
    struct report report = REPORT_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings settings;
        struct action_settings in = parse(cases[i].lines);

        settings_read(&settings, &in, &report);
        assert_int_equal(settings.protocol, cases[i].protocol);
        assert_int_equal(settings.mechanism, cases[i].mechanism);
        settings_done(&settings);
    }
    report_done(&report);
}

static void later_settings_win_and_values_are_made_alike(void **state)
{
    struct report report = REPORT_INIT;
    struct settings settings;
    struct action_settings in =
        parse("linger.ms=5\nacks=-1\ncompression.type=LZ4\nbuffer.memory=1048576\nsend.buffer.bytes=-1\n"
              "queue.buffering.max.ms=20\nssl_config.check_hostname=true\nclientID=me");

    (void)state;
    settings_read(&settings, &in, &report);
    assert_int_equal(report.errors, 0);
    assert_string_equal(value(&settings, PROP_LINGER), "20");
    assert_string_equal(value(&settings, PROP_ACKS), "all");
    assert_string_equal(value(&settings, PROP_COMPRESSION), "lz4");
    assert_string_equal(value(&settings, PROP_QUEUE_KBYTES), "1024");
    assert_string_equal(value(&settings, PROP_SEND_BUFFER), "0");
    assert_string_equal(value(&settings, PROP_HOSTNAME), "https");
    assert_string_equal(value(&settings, PROP_CLIENT_ID), "me");
    assert_string_equal(value(&settings, PROP_PARTITIONER), "murmur2_random");
    assert_true(settings.idempotent);
    assert_int_equal(settings.protocol, PROTOCOL_SSL);
    settings_done(&settings);
    report_done(&report);
}

/* A mistake is told by itself, and not what follows from it as well. */
static void one_mistake_is_one_error(void **state)
{
    static const char *const mistakes[] = {
        "security.protocol=TLS",
        "security.protocol=SASL_SSL\nsasl.mechanism=KERBEROS",
        "authType=kerberos",
        "security.protocol=SASL_SSL\nsasl.jaas.config=x y z;",
        "security.protocol=SASL_SSL\nsasl.jaas.config=PlainLoginModule required username=a",
        "bootstrap.servers=k:99999"};

    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct report report = REPORT_INIT;
        char lines[512];

        (void)snprintf(lines, sizeof lines,
                       "bootstrap.servers=k:9092\nssl.truststore.location=" STORES "root.pem\n%s",
                       mistakes[i]);
        check(lines, false, &report);
        if (report.errors != 1)
            fail_msg("%s: %zu errors", mistakes[i], report.errors);
        report_done(&report);
    }
}

/* What a JAAS line says is told of the line, once. */
static void a_jaas_line_is_warned_of_once(void **state)
{
    struct report report = REPORT_INIT;
    size_t plain = 0;

    (void)state;
    check("bootstrap.servers=k:1\nsecurity.protocol=SASL_SSL\n"
          "sasl.jaas.config=PlainLoginModule required username=a password=b;",
          false, &report);
    for (size_t i = 0; i < report.count; i++)
        plain += strstr(report.findings[i].err.text, "written in plain text") != NULL;
    assert_int_equal(plain, 1);
    report_done(&report);
}

static void run_refuses_what_check_only_warns_of(void **state)
{
    struct report check_report = REPORT_INIT, run_report = REPORT_INIT;
    char lines[512];

    (void)state;
    (void)snprintf(lines, sizeof lines,
                   "%ssecurity.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token=t\n",
                   fine);
    check(lines, false, &check_report);
    check(lines, true, &run_report);
    assert_int_equal(check_report.errors, 0);
    assert_int_equal(run_report.errors, 1);
    report_done(&check_report);
    report_done(&run_report);
}

/* ---- secrets ---- */

static void secrets_are_shown_nowhere(void **state)
{
    struct wiped *canary = wiped_new(SPAN("canary-7f3a"));
    struct action_setting items[] = {
        {.name = "bootstrap.servers", .value = SPAN("k:1")},
        {.name = "security.protocol", .value = SPAN("SASL_SSL")},
        {.name = "sasl.mechanism", .secret = canary},
        {.name = "sasl.plain.username", .secret = canary},
        {.name = "sasl.plain.password", .value = SPAN("canary-7f3a")},
        {.name = "linger.ms", .secret = canary},
        {.name = "acks", .secret = canary},
        {.name = "enable.idempotence", .secret = canary},
        {.name = "ssl.truststore", .secret = canary},
        {.name = "ssl.ca.location", .secret = canary},
        {.name = "sasl.jaas.config", .secret = canary},
        {.name = "ssl.key.password", .value = SPAN("canary-7f3a")},
        {.name = "ssl.keystore.key", .value = SPAN("canary-7f3a")},
    };
    struct action_settings settings = {items, sizeof items / sizeof *items};
    const struct span constants[FIELD_COUNT] = {[FIELD_TOPIC] = SPAN("t")};
    struct report report = REPORT_INIT;
    struct buf out = BUF_INIT;
    struct err err = {0};

    (void)state;
    kafka_action_type.check(constants, &settings, true, &report);
    assert_true(report.errors >= 5);
    for (size_t i = 0; i < report.count; i++)
        if (strstr(report.findings[i].err.text, "canary"))
            fail_msg("%s", report.findings[i].err.text);
    kafka_action_type.describe(&settings, &out);
    assert_false(out.failed);
    assert_null(strstr(out.data, "canary"));
    assert_non_null(strstr(out.data, "\"sasl.plain.password\":\"****\""));
    assert_int_equal(kafka_action_type.identity(&settings, &out, &err), -1);
    assert_null(strstr(err.text, "canary"));
    buf_done(&out);
    report_done(&report);
    wiped_free(canary);
}

static char *identity_of(const char *lines)
{
    struct buf out = BUF_INIT;
    struct err err = {0};
    struct action_settings in = parse(lines);

    if (kafka_action_type.identity(&in, &out, &err) != 0)
        fail_msg("%s", err.text);
    return out.data;
}

static void equal_settings_have_one_identity(void **state)
{
    char *a = identity_of("bootstrap.servers=k:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
                          "sasl.plain.username=u\nsasl.plain.password=pass");
    char *b = identity_of("security_protocol=sasl_plaintext\nsasl.jaas.config=PlainLoginModule required "
                          "username=u password=pass;\nbrokers=k:1\nsasl.mechanism=plain\nlinger.ms=5");
    char *c = identity_of("bootstrap.servers=k:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
                          "sasl.plain.username=u\nsasl.plain.password=other");

    (void)state;
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_null(strstr(a, "pass"));
    free(a);
    free(b);
    free(c);
}

/* ---- every line of the table ---- */

static void the_table_is_sound(void **state)
{
    const char *name;
    enum prop_id id;

    (void)state;
    for (size_t i = 0; (name = prop_spelling(i, &id)); i++) {
        struct prop_match match = prop_find(span_of(name));

        assert_int_equal(match.fate, PROP_KNOWN);
        if (match.id != id)
            fail_msg("%s is in the table twice", name);
    }
    for (size_t p = 0; p < PROP_COUNT; p++) {
        long long number;
        struct span fallback = span_of(props[p].fallback);

        if (fallback.size && props[p].kind == KIND_NUMBER && !prop_number(&props[p], fallback, &number))
            fail_msg("%s: its default is out of its range", props[p].name);
        if (fallback.size && props[p].kind == KIND_CHOICE &&
            !span_equal(prop_choice(&props[p], fallback), fallback))
            fail_msg("%s: its default is no choice", props[p].name);
    }
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(jaas_becomes_fields),
        cmocka_unit_test(dapr_says_protocol_and_mechanism_at_once),
        cmocka_unit_test(later_settings_win_and_values_are_made_alike),
        cmocka_unit_test(one_mistake_is_one_error),
        cmocka_unit_test(a_jaas_line_is_warned_of_once),
        cmocka_unit_test(run_refuses_what_check_only_warns_of),
        cmocka_unit_test(secrets_are_shown_nowhere),
        cmocka_unit_test(equal_settings_have_one_identity),
        cmocka_unit_test(the_table_is_sound),
    };
    struct CMUnitTest tests[ROWS + sizeof others / sizeof *others];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = settings_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests_name("kafka settings", tests, NULL, NULL);
}
