/* http_trouble.h - why a server cannot be talked to, in words that say what to do. */
#ifndef SECRETS_HTTP_TROUBLE_H
#define SECRETS_HTTP_TROUBLE_H

#include "base/span.h"

#include <curl/curl.h>
#include <stdbool.h>

struct http_trouble {
    CURLcode code;
    const char *why;      /* libcurl's words */
    long x509_error;      /* of OpenSSL's verification of the server; 0: none */
    bool over_tls;        /* https was spoken */
    bool has_authority;   /* ca_file is set */
    bool has_certificate; /* cert_file is set */
};

/* NULL: libcurl's words have to do. */
const char *http_trouble_words(const struct http_trouble *trouble);

/* Does this answer to plain HTTP say that the port is one for TLS? */
bool http_wants_tls(long status, struct span body);

#endif
