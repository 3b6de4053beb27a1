/* Secrets while the Nth allocation fails: refused, no leak, no crash, and nothing of the value in the words.
 */
#include "failing_malloc.h"

#include "secrets/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "hunter2canary"

static char folder[] = "/tmp/topicrule-secrets-XXXXXX", file[64];

static int make_store(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(file, sizeof file, "%s/s.json", folder);
    FILE *out = fopen(file, "w");
    if (!out)
        return -1;
    (void)fputs("{\"password\": \"" CANARY "\", \"n\": [1, 2]}\n", out);
    (void)fclose(out);
    return chmod(file, 0600);
}

static int remove_store(void **state)
{
    (void)state;
    return unlink(file) | rmdir(folder);
}

static void every_allocation_may_fail(void **state)
{
    static const char *const keys[] = {NULL, "password", "n"};
    const struct option_pair path = {"path", folder, {3, 5}};
    const struct option_group backend = {"files", "directory", &path, 1, {2, 1}};
    const struct secrets_config config = {
        .default_backend = "files", .backends = &backend, .backend_count = 1};

    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        bool met = true;

        for (uint64_t after = 0; met; after++) {
            struct secret_query query = {.id = SPAN("s"), .key = span_of(keys[k])};
            struct err err = {0};
            struct wiped *value = NULL;

            failing_begin(after, false);
            struct secrets *secrets = secrets_new(&config, &err);
            if (secrets)
                value = secrets_get(secrets, &query, &err);
            met = failing_end();
            if (!met)
                assert_non_null(value);
            if (!value)
                assert_true(err.code == ERR_MEMORY || err.code == ERR_SECRET);
            assert_null(strstr(err.text, CANARY));
            wiped_free(value);
            secrets_free(secrets);
        }
    }
}

static void open_with_every_allocation_failing(const struct secrets_config *config)
{
    bool met = true;

    for (uint64_t after = 0; met; after++) {
        struct err err = {0};

        failing_begin(after, false);
        struct secrets *secrets = secrets_new(config, &err);
        met = failing_end();
        if (!met)
            assert_non_null(secrets);
        assert_true(secrets || err.code == ERR_MEMORY);
        secrets_free(secrets);
    }
}

static void opening_vault_with_every_allocation_failing(void **state)
{
    const struct option_pair options[] = {{"address", "https://vault:8200/", {1, 1}},
                                          {"namespace", "team", {1, 1}},
                                          {"ca_file", "ca.pem", {1, 1}},
                                          {"auth.method", "approle", {1, 1}},
                                          {"auth.role_id", "r", {1, 1}},
                                          {"auth.secret_id", CANARY, {1, 1}}};
    const struct option_group backend = {"vault", "vault", options, sizeof options / sizeof *options, {2, 1}};
    const struct secrets_config config = {.base_directory = "/etc", .backends = &backend, .backend_count = 1};

    (void)state;
    open_with_every_allocation_failing(&config);
}

static void opening_aws_with_every_allocation_failing(void **state)
{
    const struct option_pair options[] = {
        {"region", "eu-west-1", {1, 1}},   {"ca_file", "ca.pem", {1, 1}},   {"access_key_id", "AKIA", {1, 1}},
        {"secret_key_file", file, {1, 1}}, {"assume_role", "true", {1, 1}}, {"external_id", "x", {1, 1}}};
    const struct option_group backend = {"aws", "aws", options, sizeof options / sizeof *options, {2, 1}};
    const struct secrets_config config = {.base_directory = "/etc", .backends = &backend, .backend_count = 1};

    (void)state;
    open_with_every_allocation_failing(&config);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail),
                                              cmocka_unit_test(opening_vault_with_every_allocation_failing),
                                              cmocka_unit_test(opening_aws_with_every_allocation_failing)};

    return cmocka_run_group_tests_name("secrets and failing allocations", tests, make_store, remove_store);
}
