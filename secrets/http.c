#include "http.h"

#include "http_trouble.h"
#include "wiping.h"

#include "base/auto.h"
#include "base/wiped.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONNECT_MS = 5000 };

struct http {
    struct http_options options;
    CURL *curl;
    char *body;
    size_t size, room;
    bool too_large, no_memory;
    atomic_bool stop;
    char why[CURL_ERROR_SIZE];
};

static void setup(void)
{
    (void)curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup, calloc);
}

void http_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, setup);
}

struct http *http_new(const struct http_options *options, struct err *err)
{
    struct http *http = calloc(1, sizeof *http);

    if (http)
        http->curl = curl_easy_init();
    if (!http || !http->curl) {
        free(http);
        err_memory(err);
        return NULL;
    }
    http->options = *options;
    atomic_init(&http->stop, false);
    return http;
}

static void drop_body(struct http *http)
{
    wiping_free(http->body);
    http->body = NULL;
    http->size = http->room = 0;
    http->too_large = http->no_memory = false;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    drop_body(http);
    free(http);
}

void http_stop(struct http *http)
{
    atomic_store(&http->stop, true);
}

static size_t take(char *data, size_t one, size_t count, void *context)
{
    struct http *http = context;
    size_t size = one * count;

    if (size > HTTP_BODY_MAX - http->size) {
        http->too_large = true;
        return 0;
    }
    if (http->size + size >= http->room) {
        size_t room = http->room ? http->room * 2 : 4096;

        while (room <= http->size + size)
            room *= 2;
        char *more = wiping_realloc(http->body, room);
        if (!more) {
            http->no_memory = true;
            return 0;
        }
        http->body = more;
        http->room = room;
    }
    memcpy(http->body + http->size, data, size);
    http->size += size;
    http->body[http->size] = '\0';
    return size;
}

static int progress(void *context, curl_off_t all_down, curl_off_t down, curl_off_t all_up, curl_off_t up)
{
    struct http *http = context;

    (void)all_down;
    (void)down;
    (void)all_up;
    (void)up;
    return atomic_load(&http->stop); /* not 0: give up */
}

static void slist_drop(struct curl_slist **list)
{
    curl_slist_free_all(*list); /* wiped: setup() */
}

/* NULL when memory is out. */
static struct curl_slist *list_of(const char *const *headers)
{
    AUTO(slist_drop) struct curl_slist *list = NULL;

    for (; *headers; headers++) {
        struct curl_slist *more = curl_slist_append(list, *headers);

        if (!more)
            return NULL;
        list = more;
    }
    return TAKE(list);
}

/* OpenSSL keeps what it has deciphered until something else comes over the connection. */
static CURLcode on_tls(CURL *curl, void *context, void *user)
{
    (void)curl;
    (void)user;
    (void)SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
    return CURLE_OK;
}

static CURLcode prepare(struct http *http, const struct http_request *request, struct curl_slist *headers)
{
    const struct http_options *options = &http->options;
    CURL *curl = http->curl;
    CURLcode bad = CURLE_OK, code;

#define SET(option, value)                                                                                   \
    if ((code = curl_easy_setopt(curl, CURLOPT_##option, value)) != CURLE_OK)                                \
        bad = code;
    curl_easy_reset(curl); /* keeps the connections */
    SET(ERRORBUFFER, http->why)
    SET(NOSIGNAL, 1L)
    SET(PROTOCOLS_STR, "http,https")
    SET(FOLLOWLOCATION, 0L)
    SET(URL, request->url)
    SET(CUSTOMREQUEST, request->method)
    SET(HTTPHEADER, headers)
    SET(USERAGENT, "topicrule")
    SET(CONNECTTIMEOUT_MS, (long)CONNECT_MS)
    SET(TIMEOUT_MS, (long)(request->timeout_ms ? request->timeout_ms : options->timeout_ms))
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2)
    SET(WRITEFUNCTION, take)
    SET(WRITEDATA, http)
    SET(XFERINFOFUNCTION, progress)
    SET(XFERINFODATA, http)
    SET(NOPROGRESS, 0L)
    SET(MAXCONNECTS, 2L)
    (void)curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_tls); /* a libcurl on another TLS has none */
    if (request->body.data) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size)
        SET(POSTFIELDS, request->body.data)
    }
    if (options->ca_file)
        SET(CAINFO, options->ca_file)
    if (options->cert_file) {
        SET(SSLCERT, options->cert_file)
        SET(SSLKEY, options->key_file)
    }
    if (request->direct)
        SET(PROXY, "")
    if (request->sign_for) {
        SET(AWS_SIGV4, request->sign_for)
        SET(USERPWD, request->sign_with)
    }
#undef SET
    return bad;
}

/* "https://host:port", of a longer address. */
static int site_of(const char *url)
{
    const char *end = strstr(url, "://");
    size_t site = end ? (size_t)(end - url) + 3 : 0;

    return (int)(site + strcspn(url + site, "/?"));
}

static int explain(const struct http *http, CURLcode code, const char *url, struct err *err)
{
    struct http_trouble trouble = {.code = code,
                                   .why = http->why[0] ? http->why : curl_easy_strerror(code),
                                   .over_tls = strncasecmp(url, "https:", 6) == 0,
                                   .has_authority = http->options.ca_file,
                                   .has_certificate = http->options.cert_file};
    char text[CURL_ERROR_SIZE + 256];
    const int site = site_of(url);

    if (http->no_memory || code == CURLE_OUT_OF_MEMORY)
        return err_memory(err);
    if (http->too_large)
        return err_set(err, ERR_LIMIT, "the answer of %.*s is larger than %d bytes", site, url,
                       HTTP_BODY_MAX);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, ERR_IO, "the program ends");
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ERR_IO, "no answer from %.*s in time", site, url);
    (void)curl_easy_getinfo(http->curl, CURLINFO_SSL_VERIFYRESULT, &trouble.x509_error);
    const char *words = http_trouble_words(&trouble);
    (void)snprintf(text, sizeof text, words ? "%s (%s)" : "%s%s", words ? words : "", trouble.why);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return err_set(err, ERR_IO, "%.*s: %s", site, url, text);
}

int http_call(struct http *http, const struct http_request *request, struct http_answer *answer,
              struct err *err)
{
    AUTO(slist_drop) struct curl_slist *headers = list_of(request->headers);
    curl_off_t retry_s = 0;
    char *location = NULL;
    CURLcode code;

    drop_body(http);
    http->why[0] = '\0';
    if (!headers && request->headers[0])
        return err_memory(err);
    code = prepare(http, request, headers);
    if (code == CURLE_OK)
        code = curl_easy_perform(http->curl);
    if (code != CURLE_OK)
        return explain(http, code, request->url, err);
    *answer = (struct http_answer){.body = {http->body ? http->body : "", http->size}, .retry_ms = -1};
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &retry_s) == CURLE_OK && retry_s > 0)
        answer->retry_ms = (retry_s < 3600 ? retry_s : 3600) * 1000;
    if (curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &location) == CURLE_OK)
        answer->location = location;
    if (http_wants_tls(answer->status, answer->body))
        return err_set(err, ERR_IO, "%.*s: it speaks TLS on that port: the address is to begin with https://",
                       site_of(request->url), request->url);
    return 0;
}

bool http_is_private(const char *url)
{
    static const char *const here[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *site = strstr(url, "://");

    if (!site || memchr(site + 3, '@', strcspn(site + 3, "/?#")))
        return false; /* what stands before an @ is no host */
    if (strncasecmp(url, "https://", 8) == 0)
        return true;
    if (strncasecmp(url, "http://", 7) != 0)
        return false;
    for (size_t i = 0; i < sizeof here / sizeof *here; i++) {
        size_t size = strlen(here[i]);

        if (strncasecmp(url + 7, here[i], size) == 0 &&
            (url[7 + size] == '\0' || strchr(":/?", url[7 + size])))
            return true;
    }
    return false;
}
