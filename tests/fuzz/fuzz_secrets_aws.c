/* Any bytes as the answers of AWS: Secrets Manager, its token service, an agent of credentials: a secret, or
 * an error that says something. Answers are separated by NUL; the first byte of each chooses its status. */
#include "base/wiped.h"
#include "http.h"
#include "secrets/secrets.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- http.h, without a network ---- */

static struct span answers;
static char *body;

struct http {
    int unused;
};

struct http *http_new(const struct http_options *options, struct err *err)
{
    static struct http one;

    (void)options;
    (void)err;
    return &one;
}

void http_free(struct http *http)
{
    (void)http;
}

void http_stop(struct http *http)
{
    (void)http;
}

void http_setup(void)
{
}

bool http_is_private(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

int http_call(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err)
{
    static const long statuses[] = {200, 200, 200, 204, 307, 400, 403, 404, 429, 500};

    (void)http;
    assert(strncmp(request->url, "https://", 8) == 0);
    if (answers.size == 0)
        return err_set(err, ERR_IO, "no more answers");
    const char *end = memchr(answers.data, '\0', answers.size);
    size_t size = end ? (size_t)(end - answers.data) : answers.size;
    *answer = (struct http_answer){.status = 200, .retry_ms = -1};
    if (size > 0) {
        answer->status = statuses[(unsigned char)answers.data[0] % (sizeof statuses / sizeof *statuses)];
        free(body);
        body = malloc(size);
        assert(body);
        memcpy(body, answers.data + 1, size - 1);
        body[size - 1] = '\0';
        answer->body = (struct span){body, size - 1};
    }
    answers.data += size + (end != NULL);
    answers.size -= size + (end != NULL);
    return 0;
}

/* A limit is waited for, which nobody needs here. */
int nanosleep(const struct timespec *requested_time, struct timespec *remaining)
{
    (void)requested_time;
    (void)remaining;
    return 0;
}

/* ---- the test ---- */

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
    struct err err = {0};
    char detail[SECRETS_DETAIL];

    for (int i = 0; i < 2; i++) { /* given credentials, then those of an agent */
        (void)(i ? unsetenv("AWS_ACCESS_KEY_ID") : setenv("AWS_ACCESS_KEY_ID", "AKIA", 1));
        (void)(i ? unsetenv("AWS_SECRET_ACCESS_KEY") : setenv("AWS_SECRET_ACCESS_KEY", "s", 1));
        (void)setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://agent/", 1);
        (void)unsetenv("HOME");
        struct secrets *secrets = secrets_new(&config, &err);
        assert(secrets);
        for (size_t k = 0; k < sizeof queries / sizeof *queries; k++) {
            answers = (struct span){(const char *)data, size};
            err.text[0] = '\0';
            struct wiped *value = secrets_get(secrets, &queries[k], &err);
            assert(value ? wiped_reveal(value).size > 0 || queries[k].key.data : err.text[0] != '\0');
            wiped_free(value);
        }
        answers = (struct span){(const char *)data, size};
        (void)secrets_probe(secrets, 0, detail, &err);
        secrets_free(secrets);
    }
    free(body);
    body = NULL;
    return 0;
}
