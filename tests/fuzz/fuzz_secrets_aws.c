/* Any bytes as the answers of AWS: Secrets Manager, its token service, an agent of credentials: a secret, or
 * an error that says something. */
#include "answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_https(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct option_pair options[] = {{"region", "eu-west-1", {1, 1}},
                                                 {"assume_role", "true", {1, 1}}};
    static const struct option_group backend = {"aws", "aws", options, 2, {1, 1}};
    static const struct secret_query queries[] = {
        {.id = {"a", 1}, .form = SECRET_STRING},
        {.id = {"a", 1}, .form = SECRET_STRING, .key = {"v", 1}},
        {.id = {"a", 1}, .form = SECRET_BINARY},
        {.id = {"a", 1}, .form = SECRET_STRING, .role_arn = {"arn:aws:iam::1:role/r", 21}}};
    const struct secrets_config config = {.default_backend = "aws", .backends = &backend, .backend_count = 1};
    static const long statuses[] = {200, 200, 200, 204, 307, 400, 403, 404, 429, 500};
    struct err err = {0};

    answer_statuses = statuses;
    answer_status_count = sizeof statuses / sizeof *statuses;
    answer_asked = is_https;
    (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://agent/", 1);
    (void)unsetenv("HOME");
    for (int i = 0; i < 2; i++) { /* given credentials, then those of an agent */
        (void)(i ? unsetenv("AWS_ACCESS_KEY_ID") : setenv("AWS_ACCESS_KEY_ID", "AKIA", 1));
        (void)(i ? unsetenv("AWS_SECRET_ACCESS_KEY") : setenv("AWS_SECRET_ACCESS_KEY", "s", 1));
        struct secrets *secrets = secrets_new(&config, &err);
        assert(secrets);
        answers_meet(secrets, data, size, queries, sizeof queries / sizeof *queries);
        secrets_free(secrets);
    }
    return 0;
}
