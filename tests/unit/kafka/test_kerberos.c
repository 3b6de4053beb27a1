/* Kerberos without a KDC: keytabs, principals, and the configuration in memory. */
#include "kafka/kafka.h"
#include "kerberos.h"
#include "keytab.h"
#include "realms.h"
#include "store.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct wiped *keytab(const char *name)
{
    char path[512];
    struct err err = {0};

    (void)snprintf(path, sizeof path, TEST_SUPPORT "/kafka/stores/%s.keytab", name);
    struct wiped *bytes = store_file(path, &err);
    if (!bytes)
        fail_msg("%s", err.text);
    return bytes;
}

static void a_keytab_gives_its_keys(void **state)
{
    struct wiped *bytes = keytab("service");
    struct keytab_reader reader;
    struct keytab_entry entry;
    struct err err = {0};
    size_t count = 0;

    (void)state;
    assert_int_equal(keytab_begin(&reader, wiped_reveal(bytes), &err), 0);
    while (keytab_next(&reader, &entry, &err) > 0) {
        assert_string_equal(entry.name, "kafka/localhost@TESTBED.LOCAL");
        assert_int_equal(entry.version, 2);
        assert_true((entry.type == 18 && entry.key.size == 32) || (entry.type == 17 && entry.key.size == 16));
        count++;
    }
    assert_int_equal(count, 2);
    wiped_free(bytes);
}

static void holes_are_skipped_and_names_escaped(void **state)
{
    /* A hole of 4 bytes; then a/b (a name with a slash) @ R, version 1, extended to 300. */
    static const char bytes[] =
        "\x05\x02"
        "\xff\xff\xff\xfc....\x00\x00\x00\x1d\x00\x01\x00\x01R\x00\x03"
        "a/b\x00\x00\x00\x01\x00\x00\x00\x00\x01\x00\x12\x00\x02kk\x00\x00\x01\x2c\x00\x00\x00\x00";
    struct keytab_reader reader;
    struct keytab_entry entry;
    struct err err = {0};

    (void)state;
    assert_int_equal(keytab_begin(&reader, (struct span){bytes, sizeof bytes - 1}, &err), 0);
    assert_int_equal(keytab_next(&reader, &entry, &err), 1);
    assert_string_equal(entry.name, "a\\/b@R");
    assert_int_equal(entry.version, 300);
    assert_int_equal(keytab_next(&reader, &entry, &err), 0);
}

static void what_is_no_keytab_is_named(void **state)
{
    struct wiped *bytes = keytab("alice");
    struct keytab_reader reader;
    struct keytab_entry entry;
    struct err err = {0};

    (void)state;
    assert_int_equal(keytab_begin(&reader, SPAN("hello"), &err), -1);
    assert_string_equal(err.text, "this is no keytab");
    assert_int_equal(keytab_begin(&reader, SPAN("\x05\x01"), &err), -1);
    for (size_t cut = 3; cut < wiped_reveal(bytes).size; cut++) {
        int more = keytab_begin(&reader, (struct span){wiped_reveal(bytes).data, cut}, &err);
        for (more = 1; more > 0;)
            more = keytab_next(&reader, &entry, &err);
        if (more < 0)
            assert_string_equal(err.text, "the keytab is cut off or damaged");
    }
    wiped_free(bytes);
}

static void the_principal_must_be_in_the_keytab(void **state)
{
    struct wiped *bytes = keytab("alice");
    struct err err = {0};
    char name[64];

    (void)state;
    assert_int_equal(kerberos_full_name(SPAN("alice"), SPAN("TESTBED.LOCAL"), name, sizeof name), 0);
    assert_string_equal(name, "alice@TESTBED.LOCAL");
    assert_int_equal(kerberos_check_keytab(wiped_reveal(bytes), name, &err), 0);
    assert_int_equal(kerberos_full_name(SPAN("bob@X"), SPAN("TESTBED.LOCAL"), name, sizeof name), 0);
    assert_string_equal(name, "bob@X");
    assert_int_equal(kerberos_check_keytab(wiped_reveal(bytes), name, &err), -1);
    assert_string_equal(err.text, "the keytab has no key for bob@X; it has alice@TESTBED.LOCAL");
    assert_int_equal(kerberos_full_name(SPAN("alice"), SPAN("TESTBED.LOCAL"), name, 12), -1);
    wiped_free(bytes);
}

static void configuration_is(const char *want)
{
    char path[256], got[2048];
    const char *named = getenv("KRB5_CONFIG");

    assert_non_null(named);
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(named, ":"), named);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    got[fread(got, 1, sizeof got - 1, file)] = '\0';
    (void)fclose(file);
    const char *realms = strstr(got, "udp_preference_limit = 1\n");
    assert_non_null(realms);
    assert_string_equal(realms + strlen("udp_preference_limit = 1\n"), want);
}

static void realms_in_use_are_in_the_configuration(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(setenv("KRB5_CONFIG", "/etc/theirs.conf", 1), 0);
    assert_int_equal(kafka_process_init(&err), 0);
    assert_int_equal(kafka_process_init(&err), 0);
    assert_non_null(strstr(getenv("KRB5_CONFIG"), ":/etc/theirs.conf"));
    configuration_is("[realms]\n");
    assert_int_equal(realms_add(SPAN("A.COM"), SPAN("k1:88, k2"), &err), 0);
    assert_int_equal(realms_add(SPAN("B.COM"), SPAN("k3"), &err), 0);
    assert_int_equal(realms_add(SPAN("A.COM"), SPAN("k4"), &err), 0);
    configuration_is("    default_realm = A.COM\n[realms]\n    A.COM = {\n        kdc = k4\n        kdc = "
                     "k1:88\n        kdc = "
                     "k2\n    }\n    B.COM = {\n        kdc = k3\n    }\n");
    realms_remove(SPAN("A.COM"), SPAN("k1:88, k2"));
    realms_remove(SPAN("A.COM"), SPAN("k4"));
    configuration_is("    default_realm = B.COM\n[realms]\n    B.COM = {\n        kdc = k3\n    }\n");
    realms_remove(SPAN("B.COM"), SPAN("k3"));
}

static void nothing_gets_into_the_configuration_by_a_name(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(realms_check_name(SPAN("EXAMPLE.COM"), &err), 0);
    assert_int_equal(realms_check_name(SPAN("A\n[libdefaults]"), &err), -1);
    assert_int_equal(realms_check_name(SPAN("A}"), &err), -1);
    assert_int_equal(realms_check_name(SPAN(""), &err), -1);
    assert_int_equal(realms_check_kdcs(SPAN("k1:88,[::1]:750, k2"), &err), 0);
    assert_int_equal(realms_check_kdcs(SPAN("k\n}"), &err), -1);
}

static void a_clock_that_is_set_is_noticed(void **state)
{
    const int64_t hour = 3600000, year_2026 = 1790000000000;
    int64_t offset = 0;

    (void)state;
    assert_false(kerberos_clock_was_set(&offset, 5000, 1000)); /* from nothing: 1970 */
    assert_false(kerberos_clock_was_set(&offset, 5000 + hour, 1000 + hour));
    assert_true(kerberos_clock_was_set(&offset, year_2026, 1000 + 2 * hour)); /* the network is there */
    assert_false(kerberos_clock_was_set(&offset, year_2026 + hour, 1000 + 3 * hour));
    assert_false(kerberos_clock_was_set(&offset, year_2026 + 2 * hour + 20000, 1000 + 4 * hour)); /* drift */
    assert_true(kerberos_clock_was_set(&offset, year_2026, 1000 + 5 * hour));                     /* back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_keytab_gives_its_keys),
        cmocka_unit_test(a_clock_that_is_set_is_noticed),
        cmocka_unit_test(holes_are_skipped_and_names_escaped),
        cmocka_unit_test(what_is_no_keytab_is_named),
        cmocka_unit_test(the_principal_must_be_in_the_keytab),
        cmocka_unit_test(realms_in_use_are_in_the_configuration),
        cmocka_unit_test(nothing_gets_into_the_configuration_by_a_name),
    };
    return cmocka_run_group_tests_name("kafka kerberos", tests, NULL, NULL);
}
