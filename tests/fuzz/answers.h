/* answers.h - http.h without a network, for the fuzz targets of secret backends: any bytes are the server's
 * answers.
 *
 * Answers are separated by NUL; the first byte of each chooses its status. */
#ifndef TESTS_FUZZ_ANSWERS_H
#define TESTS_FUZZ_ANSWERS_H

#include "base/wiped.h"
#include "http.h"
#include "secrets/secrets.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

/* What the target says before the first request. */
static const long *answer_statuses;
static size_t answer_status_count;
static bool (*answer_asked)(const char *url); /* may it be asked for? */

static struct span answers;
static char *answer_body;

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
    (void)http;
    assert(answer_asked(request->url));
    if (answers.size == 0)
        return err_set(err, ERR_IO, "no more answers");
    const char *end = memchr(answers.data, '\0', answers.size);
    size_t size = end ? (size_t)(end - answers.data) : answers.size;
    *answer = (struct http_answer){.status = 200, .retry_ms = -1};
    if (size > 0) {
        answer->status = answer_statuses[(unsigned char)answers.data[0] % answer_status_count];
        free(answer_body);
        answer_body = malloc(size);
        if (!answer_body)
            return err_memory(err);
        memcpy(answer_body, answers.data + 1, size - 1);
        answer_body[size - 1] = '\0';
        answer->body = (struct span){answer_body, size - 1};
        answer->location = size % 2 ? "https://other/v1/x" : "http://other/";
    }
    answers.data += size + (end != NULL);
    answers.size -= size + (end != NULL);
    return 0;
}

/* What has to be waited for nobody needs here. */
int nanosleep(const struct timespec *requested_time, struct timespec *remaining)
{
    (void)requested_time;
    (void)remaining;
    return 0;
}

/* Ask for each with these answers: it is a value, or an error that says something; and probe the first. */
static inline void answers_meet(struct secrets *secrets, const uint8_t *data, size_t size,
                                const struct secret_query *queries, size_t count)
{
    char detail[SECRETS_DETAIL];
    struct err err = {0};

    for (size_t i = 0; i < count; i++) {
        answers = (struct span){(const char *)data, size};
        err.text[0] = '\0';
        struct wiped *value = secrets_get(secrets, &queries[i], &err);
        assert(value ? wiped_reveal(value).size > 0 || queries[i].key.data : err.text[0] != '\0');
        wiped_free(value);
    }
    answers = (struct span){(const char *)data, size};
    (void)secrets_probe(secrets, 0, detail, &err);
    free(answer_body);
    answer_body = NULL;
}

#endif
