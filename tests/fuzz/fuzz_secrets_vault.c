/* Any bytes as the answers of a Vault server: a secret, or an error that says something. */
#include "answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_vault(const char *url)
{
    return strncmp(url, "https://vault:8200/v1/", 22) == 0 || strncmp(url, "https://other/", 14) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct option_pair approle[] = {{"address", "https://vault:8200", {1, 1}},
                                                 {"auth.method", "approle", {1, 1}},
                                                 {"auth.role_id", "r", {1, 1}},
                                                 {"auth.secret_id", "s", {1, 1}},
                                                 {"auth.secret_id_wrapped", "true", {1, 1}}};
    static const struct option_pair token[] = {{"address", "https://vault:8200", {1, 1}},
                                               {"auth.method", "token", {1, 1}},
                                               {"auth.token", "t", {1, 1}}};
    static const struct option_group backends[] = {{"token", "vault", token, 3, {1, 1}},
                                                   {"approle", "vault", approle, 5, {1, 1}}};
    static const struct secret_query queries[] = {
        {.id = {"token:a", 7}, .form = SECRET_STRING},
        {.id = {"token:a", 7}, .form = SECRET_STRING, .key = {"v", 1}},
        {.id = {"approle:a", 9}, .form = SECRET_BINARY}};
    const struct secrets_config config = {.backends = backends, .backend_count = 2};
    static const long statuses[] = {200, 200, 200, 204, 307, 400, 403, 404, 412, 429, 473, 500, 503};
    struct err err = {0};

    answer_statuses = statuses;
    answer_status_count = sizeof statuses / sizeof *statuses;
    answer_asked = is_vault;
    struct secrets *secrets = secrets_new(&config, &err);
    assert(secrets);
    answers_meet(secrets, data, size, queries, sizeof queries / sizeof *queries);
    secrets_free(secrets);
    return 0;
}
