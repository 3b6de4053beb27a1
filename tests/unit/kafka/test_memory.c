/* Every allocation fails once, in turn: settings, identity, stores, keytabs. Nothing leaks, nothing crashes,
 * and a failure is told as one. (librdkafka itself ends the process when memory is out, so a client is not
 * made.) */
#include "failing_malloc.h"

#include "describe.h"
#include "kafka/kafka.h"
#include "material.h"
#include "record.h"
#include "store.h"
#include "topics.h"

#include <stdint.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STORES TEST_SUPPORT "/kafka/stores/"

/* Run `work` with the 1st, 2nd, ... allocation failing, until none does. `step` spares time where there are
 * many. */
static void with_failures(bool (*work)(void), size_t step)
{
    for (uint64_t after = 0;; after += step) {
        failing_begin(after, false);
        bool done = work();
        if (!failing_end()) {
            assert_true(done);
            return;
        }
    }
}

static const struct action_setting items[] = {
    {.name = "bootstrap.servers", .value = SPAN("k:1")},
    {.name = "security.protocol", .value = SPAN("SASL_SSL")},
    {.name = "ssl.ca.location", .value = SPAN(STORES "root.pem")},
    {.name = "sasl.mechanism", .value = SPAN("PLAIN")},
    {.name = "buffer.memory", .value = SPAN("1048576")},
    {.name = "sasl.jaas.config", .value = SPAN("PlainLoginModule required username=u password=p;")},
    {.name = "ssl.keystore.location", .value = SPAN(STORES "client.jks")},
    {.name = "ssl.keystore.password", .value = SPAN("storestore")},
    {.name = "ssl.key.password", .value = SPAN("keykey")},
};
static const struct action_settings settings = {(struct action_setting *)(uintptr_t)items,
                                                sizeof items / sizeof *items};

static bool checks(void)
{
    const struct span constants[FIELD_COUNT] = {[FIELD_TOPIC] = SPAN("t")};
    struct report report = REPORT_INIT;

    kafka_action_type.check(constants, &settings, true, &report);
    bool good = report.errors == 0;
    report_done(&report);
    return good;
}

static bool tells_who(void)
{
    struct buf text = BUF_INIT;
    struct err err = {0};
    bool good = kafka_action_type.identity(&settings, &text, &err) == 0;

    if (!good)
        assert_true(err.text[0] != '\0');
    buf_done(&text);
    return good;
}

static bool describes(void)
{
    struct buf text = BUF_INIT;

    kafka_action_type.describe(&settings, &text);
    bool good = !text.failed;
    buf_done(&text);
    return good;
}

static bool reads(const char *path, struct span password)
{
    struct store store = {0};
    struct err err = {0};
    struct wiped *bytes = store_file(path, &err);
    bool good =
        bytes && store_read(&store, wiped_reveal(bytes), password, (struct span){NULL, 0}, true, &err) == 0;

    if (!good)
        assert_true(err.text[0] != '\0');
    if (good && store.key) {
        struct wiped *pem = store_key_pem(store.key);
        good = pem != NULL;
        wiped_free(pem);
    }
    store_done(&store);
    wiped_free(bytes);
    return good;
}

static bool reads_pem(void)
{
    return reads(STORES "mixed-chain.pem", (struct span){NULL, 0});
}

static bool reads_pkcs12(void)
{
    return reads(STORES "modern.p12", SPAN("store"));
}

static bool reads_base64(void)
{
    struct err err = {0};
    struct wiped *bytes = store_bytes(SPAN("BQIAAAB+"), &err);
    bool good = bytes != NULL;

    wiped_free(bytes);
    return good;
}

static void settings_survive(void **state)
{
    (void)state;
    (void)checks(); /* OpenSSL fetches what it keeps for ever at the first use */
    with_failures(checks, 37);
    with_failures(tells_who, 37);
    with_failures(describes, 1);
}

static void stores_survive(void **state)
{
    (void)state;
    (void)reads_pem();
    (void)reads_pkcs12();
    with_failures(reads_pem, 13);
    with_failures(reads_pkcs12, 97);
    with_failures(reads_base64, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_survive),
        cmocka_unit_test(stores_survive),
    };
    return cmocka_run_group_tests_name("kafka memory", tests, NULL, NULL);
}
