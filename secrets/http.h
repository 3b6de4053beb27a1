/* http.h - requests to secret stores, over libcurl. What comes and goes is a secret: every buffer is wiped.
 *
 * A client is used by one thread at a time; http_stop alone may come from another. Redirects are not
 * followed: where a token may go is the caller's decision. */
#ifndef SECRETS_HTTP_H
#define SECRETS_HTTP_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { HTTP_BODY_MAX = 2 << 20, HTTP_HEADERS_MAX = 12 };

/* Files, NULL: none; borrowed for the life of the client. */
struct http_options {
    const char *ca_file; /* NULL: the system's authorities */
    const char *cert_file, *key_file;
    int64_t timeout_ms; /* for a whole request */
};

struct http;

/* NULL with `err`. */
struct http *http_new(const struct http_options *options, struct err *err);
void http_free(struct http *http);
/* The request under way, and all later ones, fail at once. Thread safe. */
void http_stop(struct http *http);

struct http_request {
    const char *method; /* "GET", "POST", "PUT" */
    const char *url;
    const char *headers[HTTP_HEADERS_MAX + 1]; /* "Name: value", ended by NULL */
    struct span body;                          /* data NULL: none */
    const char *sign_for;                      /* "aws:amz:REGION:SERVICE"; NULL: not signed */
    const char *sign_with;                     /* "KEY_ID:SECRET" */
    int64_t timeout_ms;                        /* 0: the client's */
    bool direct; /* never through a proxy: what is asked for is of this machine */
};

struct http_answer {
    long status;
    struct span body;     /* terminated; valid until the next call */
    int64_t retry_ms;     /* Retry-After; -1: not said */
    const char *location; /* of a redirect, whole; NULL: none. Valid until the next call */
};

/* 0 with any status, or -1 with `err`: ERR_IO, or ERR_LIMIT for an answer over HTTP_BODY_MAX. */
int http_call(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err);

/* True for https, and for http to this machine. Never with a user name in it. */
bool http_is_private(const char *url);

/* From here on libcurl wipes what it frees, in the whole process. Before threads start. */
void http_setup(void);

#endif
