/* Vault and AWS while the Nth allocation of a fetch fails: refused, no leak, no crash, and nothing of the
 * value in the words. */
#include "failing_malloc.h"

#include "../../fuzz/answers.h"
#include "wiping.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CANARY "hunter2canary"
#define SECRET "x{\"data\":{\"data\":{\"v\":\"" CANARY "\"},\"metadata\":{\"version\":1}}}"

static const long statuses[] = {200};

static bool any(const char *url)
{
    return url[0] != '\0';
}

/* Two fetches from `backend`, whose server first says `login`, then `secret`, then that again. */
static void fetch_with_failures(const struct option_group *backend, struct span login, struct span secret)
{
    const struct secrets_config config = {
        .default_backend = backend->name, .backends = backend, .backend_count = 1};
    const struct secret_query queries[] = {{.id = SPAN("a")}, {.id = SPAN("a"), .key = SPAN("v")}};
    bool met = true;

    answer_statuses = statuses;
    answer_status_count = 1;
    answer_asked = any;
    for (uint64_t after = 0; met; after++) {
        struct err err = {0};
        struct secrets *secrets = secrets_new(&config, &err);

        assert_non_null(secrets);
        json_set_alloc_funcs(REAL(malloc),
                             wiping_free); /* Jansson 2.14 does not survive every failure of its own */
        met = false;
        for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
            err = (struct err){0};
            answers = i == 0 && login.size ? login : secret;
            failing_begin(after, false);
            struct wiped *value = secrets_get(secrets, &queries[i], &err);
            met |= failing_end();
            if (!value && !met)
                fail_msg("%s", err.text);
            if (!value)
                assert_true(err.text[0] && !strstr(err.text, CANARY));
            wiped_free(value);
        }
        secrets_free(secrets);
    }
    free(answer_body);
    answer_body = NULL;
}

static void vault_with_every_allocation_failing(void **state)
{
    static const struct option_pair options[] = {{"address", "https://vault:8200", {1, 1}},
                                                 {"auth.method", "approle", {1, 1}},
                                                 {"auth.role_id", "r", {1, 1}},
                                                 {"auth.secret_id", CANARY, {1, 1}}};
    static const struct option_group backend = {"vault", "vault", options, 4, {1, 1}};
    static const char text[] = "x{\"auth\":{\"client_token\":\"" CANARY "\",\"lease_duration\":60}}\0" SECRET;

    (void)state;
    fetch_with_failures(&backend, (struct span){text, sizeof text - 1}, SPAN(SECRET));
}

static void aws_with_every_allocation_failing(void **state)
{
    static const struct option_pair options[] = {{"region", "eu-west-1", {1, 1}}};
    static const struct option_group backend = {"aws", "aws", options, 1, {1, 1}};
    static const char text[] = "x{\"SecretString\":\"{\\\"v\\\":\\\"" CANARY "\\\"}\",\"VersionId\":\"1\"}";

    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "AKIA", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", CANARY, 1);
    fetch_with_failures(&backend, (struct span){NULL, 0}, span_of(text));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(vault_with_every_allocation_failing),
                                              cmocka_unit_test(aws_with_every_allocation_failing)};

    return cmocka_run_group_tests_name("fetches and failing allocations", tests, NULL, NULL);
}
