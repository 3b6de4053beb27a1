/* Any bytes as the answers of a Vault server: a secret, or an error that says something. Answers are
 * separated by NUL; the first byte of each chooses its status. */
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
    static const long statuses[] = {200, 200, 200, 204, 307, 400, 403, 404, 412, 429, 473, 500, 503};

    (void)http;
    assert(strncmp(request->url, "https://vault:8200/v1/", 22) == 0 ||
           strncmp(request->url, "https://other/", 14) == 0);
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
        answer->location = size % 2 ? "https://other/v1/x" : "http://other/";
    }
    answers.data += size + (end != NULL);
    answers.size -= size + (end != NULL);
    return 0;
}

/* A standby that is behind is given a moment, which nobody needs here. */
int nanosleep(const struct timespec *requested_time, struct timespec *remaining)
{
    (void)requested_time;
    (void)remaining;
    return 0;
}

/* ---- the test ---- */

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
    struct err err = {0};
    struct secrets *secrets = secrets_new(&config, &err);
    char detail[SECRETS_DETAIL];

    assert(secrets);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        answers = (struct span){(const char *)data, size};
        err.text[0] = '\0';
        struct wiped *value = secrets_get(secrets, &queries[i], &err);
        assert(value ? wiped_reveal(value).size > 0 || queries[i].key.data : err.text[0] != '\0');
        wiped_free(value);
    }
    answers = (struct span){(const char *)data, size};
    (void)secrets_probe(secrets, 0, detail, &err);
    secrets_free(secrets);
    free(body);
    body = NULL;
    return 0;
}
