/* Which certificate is good for which host: one rule, wherever it is asked. */
#include "examine.h"
#include "peer.h"
#include "signals.h"
#include "store.h"
#include "tls_fixture.h"

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

static void hear(void *context, const struct action_step *step)
{
    (void)context;
    finding = step->finding;
}

static void doctor_judges(void **state)
{
    const struct row *row = *state;
    struct identity identity = identity_new(row->names, 0, 90 * 86400);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    struct tls_server server;
    const struct examination to = {hear, NULL};

    (void)sk_X509_push(trusted, identity.certificate);
    struct material material = {.trust = store_certificates_pem(trusted)};
    tls_server_start(&server, &identity);
    examine_tls(&to, server.ours, row->host, row->host, &material, true);
    assert_int_equal(finding, row->good ? ACTION_GOOD : ACTION_BAD);
    tls_server_end(&server);
    material_done(&material);
    sk_X509_free(trusted);
    identity_done(&identity);
}

int main(void)
{
    struct CMUnitTest tests[2 * ROWS];
    char names[2 * ROWS][80];

    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < 2 * ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s: %s", i < ROWS ? "client" : "doctor",
                       rows[i % ROWS].name);
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = i < ROWS ? the_client_judges : doctor_judges,
                                       .initial_state = (void *)(uintptr_t)&rows[i % ROWS]};
    }
    return cmocka_run_group_tests_name("broker's certificate", tests, NULL, NULL);
}
