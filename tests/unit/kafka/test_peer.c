/* Which certificate is good for which host: one rule, wherever it is asked. */
#include "examine.h"
#include "peer.h"
#include "signals.h"
#include "store.h"
#include "tls_fixture.h"

#include "base/clock.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct row {
    const char *name, *names, *host;
    bool good;
} rows[] = {
    {"a_name_that_is_there", "DNS:kafka1.example.test", "kafka1.example.test", true},
    {"letters_of_any_case", "DNS:Kafka1.example.test", "kafka1.EXAMPLE.test", true},
    {"another_name", "DNS:kafka1.example.test", "kafka2.example.test", false},
    {"a_star_for_a_label", "DNS:*.example.test", "kafka1.example.test", true},
    {"a_star_is_one_label", "DNS:*.example.test", "a.b.example.test", false},
    {"a_star_at_the_end_of_a_label", "DNS:kaf*.example.test", "kafka1.example.test", false},
    {"a_star_at_its_beginning", "DNS:*1.example.test", "kafka1.example.test", false},
    {"a_star_within_it", "DNS:k*1.example.test", "kafka1.example.test", false},
    {"an_address", "IP:127.0.0.1", "127.0.0.1", true},
    {"an_address_of_version_6", "IP:::1", "::1", true},
    {"an_address_as_a_name_is_none", "DNS:127.0.0.1", "127.0.0.1", false},
    {"another_address", "IP:127.0.0.2", "127.0.0.1", false},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void the_client_judges(void **state)
{
    const struct row *row = *state;
    struct identity identity = identity_new(row->names, 0, 1000);
    struct signals signals;
    unsigned char *der = NULL;
    int size = i2d_X509(identity.certificate, &der), error = X509_V_OK;
    char broker[128], why[128];
    struct span bytes = {(char *)der, (size_t)size};

    (void)snprintf(broker, sizeof broker, strchr(row->host, ':') ? "[%s]:9093" : "%s:9093", row->host);
    signals_init(&signals, -1);
    signals.check_host = true;
    assert_int_equal(signals_trust(&signals, broker, &error, 0, bytes, why, sizeof why), row->good);
    assert_int_equal(error, row->good ? X509_V_OK : X509_V_ERR_HOSTNAME_MISMATCH);
    error = X509_V_OK; /* an authority's certificate names no host */
    assert_true(signals_trust(&signals, broker, &error, 1, bytes, why, sizeof why));
    signals.check_host = false;
    assert_true(signals_trust(&signals, broker, &error, 0, bytes, why, sizeof why));
    error = X509_V_ERR_CERT_HAS_EXPIRED; /* what OpenSSL refuses stays refused */
    assert_false(signals_trust(&signals, broker, &error, 0, bytes, why, sizeof why));
    assert_int_equal(error, X509_V_ERR_CERT_HAS_EXPIRED);
    signals_done(&signals);
    OPENSSL_free(der);
    identity_done(&identity);
}

static enum action_finding finding;
static char said[600];

static void hear(void *context, const struct action_step *step)
{
    (void)context;
    finding = step->finding;
    (void)snprintf(said, sizeof said, "%s", step->text);
}

/* What doctor says of a certificate that it trusts. */
static bool doctor_says(const char *names, const char *host, long begin_s, long end_s)
{
    struct identity identity = identity_new(names, begin_s, end_s);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    struct tls_server server;
    static const struct settings settings; /* as they are when a rule says nothing */
    bool is_plain;

    (void)sk_X509_push(trusted, identity.certificate);
    struct material material = {.trust = store_certificates_pem(trusted)};
    const struct examination to = {
        .step = hear, .settings = &settings, .material = &material, .trust = "the test"};
    tls_server_start(&server, &identity);
    bool good = examine_tls(&to, server.ours, host, host, clock_mono_ms() + 60000, &is_plain);
    assert_false(is_plain);
    tls_server_end(&server);
    material_done(&material);
    sk_X509_free(trusted);
    identity_done(&identity);
    return good;
}

static void doctor_judges(void **state)
{
    const struct row *row = *state;

    assert_int_equal(doctor_says(row->names, row->host, 0, 90 * 86400), row->good);
    assert_int_equal(finding, row->good ? ACTION_GOOD : ACTION_BAD);
    assert_non_null(strstr(said, "CN=unit test by CN=unit test"));
    assert_non_null(strstr(said, "the test"));
}

static void doctor_warns_before_the_end(void **state)
{
    (void)state;
    assert_true(doctor_says("DNS:a.test", "a.test", 0, 31 * 86400 + 60));
    assert_int_equal(finding, ACTION_GOOD);
    assert_true(doctor_says("DNS:a.test", "a.test", 0, 29 * 86400 + 60));
    assert_int_equal(finding, ACTION_DOUBT);
    assert_non_null(strstr(said, "(29 days: it must be renewed there)"));
    assert_false(doctor_says("DNS:a.test", "a.test", -86400, -60));
    assert_non_null(strstr(said, "has ended"));
    assert_false(doctor_says("DNS:a.test", "a.test", 86400, 2 * 86400));
    assert_non_null(strstr(said, "not valid yet"));
}

int main(void)
{
    struct CMUnitTest tests[2 * ROWS + 1];
    char names[2 * ROWS][80];

    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < 2 * ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s: %s", i < ROWS ? "client" : "doctor",
                       rows[i % ROWS].name);
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = i < ROWS ? the_client_judges : doctor_judges,
                                       .initial_state = (void *)(uintptr_t)&rows[i % ROWS]};
    }
    tests[2 * ROWS] = (struct CMUnitTest)cmocka_unit_test(doctor_warns_before_the_end);
    return cmocka_run_group_tests_name("broker's certificate", tests, NULL, NULL);
}
