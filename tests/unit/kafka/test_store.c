/* Stores of every format, read from files that openssl and keytool made (tests/support/kafka/make-stores). */
#include "material.h"
#include "store.h"

#include "base/buf.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#ifndef STORES
#define STORES TEST_SUPPORT "/kafka/stores/"
#endif

static struct wiped *file(const char *name)
{
    char path[512];
    struct err err = {0};

    (void)snprintf(path, sizeof path, STORES "%s", name);
    struct wiped *bytes = store_file(path, &err);
    if (!bytes)
        fail_msg("%s", err.text);
    return bytes;
}

static struct span text(const char *literal)
{
    return span_of(literal);
}

/* What reading a file must give: a chain of that length with a key, so many other certificates, or an error.
 */
static const struct row {
    const char *name, *file, *password, *key_password;
    bool want_key;
    int chain, trusted;
    const char *error; /* part of it; NULL: none */
} rows[] = {
    {"pem_certificate", "root.pem", "", "", false, 0, 1, NULL},
    {"der_certificate", "root.der", "", "", false, 0, 1, NULL},
    {"pem_key_alone", "client.key", "", "", true, 0, 0, NULL},
    {"pem_key_encrypted", "client-encrypted.key", "", "key", true, 0, 0, NULL},
    {"pem_key_encrypted_without_password", "client-encrypted.key", "", "", true, 0, 0,
     "ssl.key.password is not given"},
    {"pem_key_encrypted_wrong_password", "client-encrypted.key", "", "wrong", true, 0, 0,
     "ssl.key.password right"},
    {"pkcs12_modern", "modern.p12", "store", "", true, 2, 3, NULL},
    {"pkcs12_3des_and_rc2", "legacy.p12", "store", "", true, 2, 3, NULL},
    {"pkcs12_rc2_for_all", "rc2.p12", "store", "", true, 2, 3, NULL},
    {"pkcs12_empty_password", "nopassword.p12", "", "", true, 2, 3, NULL},
    {"pkcs12_certificates_only", "certificates.p12", "store", "", false, 0, 1, NULL},
    {"pkcs12_of_keytool", "trust.pkcs12", "storestore", "", false, 0, 2, NULL},
    {"pkcs12_wrong_password", "modern.p12", "wrong", "", true, 0, 0, "password of the store is wrong"},
    {"pkcs12_no_password", "modern.p12", "", "", true, 0, 0, "needs its password"},
    {"pkcs12_wrong_key_password", "modern.p12", "store", "wrong", true, 0, 0, "ssl.key.password right"},
    {"jks_trust", "trust.jks", "storestore", "", false, 0, 2, NULL},
    {"jks_trust_without_password", "trust.jks", "", "", false, 0, 2, NULL},
    {"jks_two_passwords", "client.jks", "storestore", "keykey", true, 2, 3, NULL},
    {"jks_wrong_password", "client.jks", "wrong", "keykey", true, 0, 0, "password of the store is wrong"},
    {"jks_wrong_key_password", "client.jks", "storestore", "", true, 0, 0, "ssl.key.password right"},
    {"jks_key_not_wanted", "client.jks", "storestore", "", false, 0, 3, NULL},
    {"jks_password_in_utf16", "unicode.jks", "größe€𝄞", "store", true, 2, 3, NULL},
    {"jceks_is_named", "client.jceks", "storestore", "", true, 0, 0, "JCEKS"},
};

static void store_row(void **state)
{
    const struct row *row = *state;
    struct wiped *bytes = file(row->file);
    struct store store = {0};
    struct err err = {0};
    int result = store_read(&store, wiped_reveal(bytes), text(row->password), text(row->key_password),
                            row->want_key, &err);

    if (row->error) {
        assert_int_equal(result, -1);
        if (!strstr(err.text, row->error))
            fail_msg("'%s' lacks '%s'", err.text, row->error);
    } else {
        if (result != 0)
            fail_msg("%s", err.text);
        assert_int_equal(sk_X509_num(store.chain), row->chain);
        assert_int_equal(sk_X509_num(store.trusted), row->trusted);
        assert_true((store.key != NULL) == row->want_key);
    }
    store_done(&store);
    wiped_free(bytes);
}

/* Cut off at any byte, or with any byte changed, a store is refused or read, and nothing worse. */
static void broken_stores_are_survived(void **state)
{
    static const char *const names[] = {"trust.jks", "client.jks", "modern.p12", "mixed-chain.pem",
                                        "root.der"};

    (void)state;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct wiped *bytes = file(names[n]);
        struct span whole = wiped_reveal(bytes);
        char *copy = malloc(whole.size);

        for (size_t i = 0; i < whole.size; i += n == 2 ? 97 : 7) {
            struct store store = {0};
            struct err err = {0};

            if (store_read(&store, (struct span){whole.data, i}, text(""), text(""), true, &err) != 0)
                assert_true(err.text[0] != '\0');
            store_done(&store);
            memcpy(copy, whole.data, whole.size);
            copy[i] = (char)(copy[i] ^ 0x5a);
            if (store_read(&store, (struct span){copy, whole.size}, text("store"), text(""), true, &err) != 0)
                assert_true(err.text[0] != '\0');
            store_done(&store);
        }
        free(copy);
        wiped_free(bytes);
    }
}

static void base64_gives_the_bytes(void **state)
{
    struct err err = {0};
    struct wiped *bytes = store_bytes(SPAN("BQIA\n AAB+_-8="), &err);

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(wiped_reveal(bytes).size, 8);
    assert_memory_equal(wiped_reveal(bytes).data, "\x05\x02\x00\x00\x00\x7e\xff\xef", 8);
    wiped_free(bytes);
    bytes = store_bytes(SPAN("BQI"), &err); /* without its padding */
    assert_int_equal(wiped_reveal(bytes).size, 2);
    wiped_free(bytes);
    assert_null(store_bytes(SPAN("B"), &err));
    assert_null(store_bytes(SPAN("BQI=="), &err));
    assert_null(store_bytes(SPAN("kafka password!"), &err));
}

/* ---- the chain that a client sends, from all forms ---- */

static struct settings settings_for(const struct action_setting *items, size_t count, struct report *report)
{
    static struct settings settings;

    settings_read(&settings, &(struct action_settings){(struct action_setting *)(uintptr_t)items, count},
                  report);
    return settings;
}

static void chain_is(const char *store, const char *password, const char *key_password)
{
    const struct action_setting items[] = {
        {.name = "ssl.keystore.location", .value = span_of(store)},
        {.name = "ssl.keystore.password", .value = span_of(password)},
        {.name = "ssl.key.password", .value = span_of(key_password)},
    };
    struct report report = REPORT_INIT;
    struct settings settings = settings_for(items, 3, &report);
    struct material material;
    struct err err = {0};

    if (material_load(&material, &settings, &err, NULL) != 0)
        fail_msg("%s", err.text);
    struct wiped *own = file("client.pem"), *authority = file("authority.pem");
    char want[4096];
    (void)snprintf(want, sizeof want, "%s%s", wiped_reveal(own).data, wiped_reveal(authority).data);
    assert_string_equal(wiped_reveal(material.chain).data, want);
    assert_string_equal(material.subject, "CN=test client");
    assert_non_null(strstr(wiped_reveal(material.key).data, "-----BEGIN PRIVATE KEY-----"));
    wiped_free(own);
    wiped_free(authority);
    material_done(&material);
    settings_done(&settings);
    report_done(&report);
}

static void the_full_chain_comes_leaf_first_without_its_root(void **state)
{
    (void)state;
    chain_is(STORES "modern.p12", "store", "");
    chain_is(STORES "legacy.p12", "store", "");
    chain_is(STORES "client.jks", "storestore", "keykey");
}

static void key_and_chain_may_stand_apart(void **state)
{
    const struct action_setting items[] = {
        {.name = "ssl.certificate.location", .value = SPAN(STORES "mixed-chain.pem")},
        {.name = "ssl.key.location", .value = SPAN(STORES "client-encrypted.key")},
        {.name = "ssl.key.password", .value = SPAN("key")},
        {.name = "ssl.ca.location", .value = SPAN(STORES "root.pem")},
    };
    struct report report = REPORT_INIT;
    struct settings settings = settings_for(items, 4, &report);
    struct material material;
    struct err err = {0};

    (void)state;
    assert_int_equal(material_load(&material, &settings, &err, NULL), 0);
    assert_string_equal(material.subject, "CN=test client");
    assert_null(material.system_trust);
    material_done(&material);
    settings_done(&settings);
    report_done(&report);
}

static void a_key_of_another_certificate_is_named(void **state)
{
    const struct action_setting items[] = {
        {.name = "ssl.certificate.location", .value = SPAN(STORES "client.pem")},
        {.name = "ssl.key.location", .value = SPAN(STORES "other.key")},
    };
    struct report report = REPORT_INIT;
    struct settings settings = settings_for(items, 2, &report);
    struct material material;
    struct err err = {0};

    (void)state;
    assert_int_equal(material_load(&material, &settings, &err, NULL), -1);
    assert_string_equal(err.text, "ssl.certificate.location: no certificate belongs to the private key");
    material_done(&material);
    settings_done(&settings);
    report_done(&report);
}

/* ---- stores made to keep us busy ---- */

/* A store of one part for each of `parts`, each encrypted with `rounds`; without a MAC. */
static struct wiped *store_of_parts(int parts, int rounds)
{
    STACK_OF(PKCS7) *safes = sk_PKCS7_new_null();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    unsigned char *der = NULL;

    for (int i = 0; i < parts; i++) {
        STACK_OF(PKCS12_SAFEBAG) *bags = NULL;

        (void)PKCS12_add_key(&bags, key, 0, 1, -1, NULL);
        (void)PKCS12_add_safe(&safes, bags, NID_aes_256_cbc, rounds, "store");
        sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    }
    PKCS12 *pkcs12 = PKCS12_add_safes(safes, 0);
    int size = i2d_PKCS12(pkcs12, &der);
    struct wiped *bytes = wiped_new((struct span){(char *)der, (size_t)size});

    OPENSSL_free(der);
    PKCS12_free(pkcs12);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    EVP_PKEY_free(key);
    return bytes;
}

static void a_store_may_not_ask_for_minutes_in_small_parts(void **state)
{
    struct wiped *few = store_of_parts(2, 100000), *many = store_of_parts(60, 100000);
    struct store store;
    struct err err = {0};

    (void)state;
    (void)store_read(&store, wiped_reveal(few), text("store"), text(""), false, &err);
    assert_int_not_equal(err.code, ERR_LIMIT);
    store_done(&store);
    assert_int_equal(store_read(&store, wiped_reveal(many), text("store"), text(""), false, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    store_done(&store);
    wiped_free(few);
    wiped_free(many);
}

/* An encrypted key of 65,535 rounds, whose number is then made 8,388,607. */
static struct wiped *key_of_many_rounds(void)
{
    static const unsigned char few[] = {0x02, 0x03, 0x00, 0xff, 0xff};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    PKCS8_PRIV_KEY_INFO *clear = EVP_PKEY2PKCS8(key);
    X509_SIG *sealed = PKCS8_encrypt(-1, EVP_aes_256_cbc(), "key", 3, NULL, 0, 65535, clear);
    unsigned char *der = NULL;
    int size = i2d_X509_SIG(sealed, &der);
    unsigned char *at = memmem(der, (size_t)size, few, sizeof few);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;

    assert_non_null(at);
    at[2] = 0x7f;
    (void)PEM_write_bio(bio, PEM_STRING_PKCS8, "", der, size);
    long length = BIO_get_mem_data(bio, &pem);
    struct wiped *bytes = wiped_new((struct span){pem, (size_t)length});
    BIO_free(bio);
    OPENSSL_free(der);
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(clear);
    EVP_PKEY_free(key);
    return bytes;
}

static void a_key_may_not_ask_for_minutes(void **state)
{
    struct wiped *bytes = key_of_many_rounds();
    struct store store;
    struct err err = {0};

    (void)state;
    assert_int_equal(store_read(&store, wiped_reveal(bytes), text(""), text("key"), true, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    store_done(&store);
    wiped_free(bytes);
}

/* ---- odd ones ---- */

static void a_byte_order_mark_is_passed_over(void **state)
{
    struct wiped *pem = file("root.pem");
    struct buf marked = BUF_INIT;
    struct store store;
    struct err err = {0};

    (void)state;
    buf_text(&marked, "\xef\xbb\xbf");
    buf_span(&marked, wiped_reveal(pem));
    assert_int_equal(store_read(&store, buf_view(&marked), text(""), text(""), false, &err), 0);
    assert_int_equal(sk_X509_num(store.trusted), 1);
    store_done(&store);
    buf_done(&marked);
    wiped_free(pem);
}

/* The same certificate over and over, in each format that can hold it: refused, and soon. */
static void ten_thousand_certificates_are_too_many(void **state)
{
    struct wiped *pem = file("root.pem");
    struct buf many = BUF_INIT;
    struct store store;
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 10000; i++)
        buf_span(&many, wiped_reveal(pem));
    assert_int_equal(store_read(&store, buf_view(&many), text(""), text(""), false, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_null(store_bytes(buf_view(&many), &err)); /* as the value of a property it is too large already */
    store_done(&store);
    buf_done(&many);
    wiped_free(pem);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(broken_stores_are_survived),
        cmocka_unit_test(base64_gives_the_bytes),
        cmocka_unit_test(the_full_chain_comes_leaf_first_without_its_root),
        cmocka_unit_test(key_and_chain_may_stand_apart),
        cmocka_unit_test(a_key_of_another_certificate_is_named),
        cmocka_unit_test(a_store_may_not_ask_for_minutes_in_small_parts),
        cmocka_unit_test(a_key_may_not_ask_for_minutes),
        cmocka_unit_test(a_byte_order_mark_is_passed_over),
        cmocka_unit_test(ten_thousand_certificates_are_too_many),
    };
    struct CMUnitTest tests[ROWS + sizeof others / sizeof *others];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = store_row, .initial_state = (void *)(uintptr_t)&rows[i]};
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests_name("kafka stores", tests, NULL, NULL);
}
