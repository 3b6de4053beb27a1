/* aws_open.c - the options of a backend of type aws, and its table. */
#include "aws.h"

#include "base/auto.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 10000 };

static const char *const options[] = {
    "region",
    "endpoint",
    "sts_endpoint",
    "ca_file",
    "version_stage",
    "profile",
    "credentials_file",
    "access_key_id",
    "secret_key_file",
    "session_token_file",
    "assume_role",
    "external_id",
    NULL,
};

struct opening {
    const struct secrets_config *config;
    const struct secrets_backend *from;
    struct backend *backend;
    struct err *err;
};

static void close_aws(struct backend *backend);
DEFINE_DROP(backend, struct backend *, close_aws)

static int wrong(const struct opening *o, const char *name, const char *text)
{
    const struct secrets_option *option = backend_option(o->from, name);

    return err_at(o->err, ERR_VALUE, option ? option->pos : o->from->pos, "%s: %s", name, text);
}

enum taken_as { AS_TEXT, AS_PATH };

/* A copy of the option; NULL when there is none. 0, or -1. */
static int copy(const struct opening *o, const char *name, enum taken_as as, char **out)
{
    const struct secrets_option *option = backend_option(o->from, name);

    if (!option)
        return 0;
    if (!option->value[0])
        return wrong(o, name, "is empty");
    if (strpbrk(option->value, "\r\n"))
        return wrong(o, name, "has a line break in it");
    if (as == AS_PATH) {
        *out = file_path(o->config, option->value, o->err);
        return *out ? 0 : -1;
    }
    *out = strdup(option->value);
    return *out ? 0 : err_memory(o->err);
}

static int read_region(const struct opening *o)
{
    static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    struct backend *backend = o->backend;

    if (copy(o, "region", AS_TEXT, &backend->region) != 0)
        return -1;
    for (size_t i = 0; i < 2 && !backend->region; i++) {
        const char *text = getenv(variables[i]);

        if (text && text[0] && !(backend->region = strdup(text)))
            return err_memory(o->err);
    }
    if (!backend->region)
        return err_at(o->err, ERR_VALUE, o->from->pos,
                      "region is needed, as in eu-west-1 (or AWS_REGION in the environment)");
    size_t size = strspn(backend->region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (backend->region[size] || size > 32)
        return wrong(o, "region", "expected a name like eu-west-1");
    return 0;
}

/* Where a service is: as configured, or where AWS has it in that region. */
static int read_endpoint(const struct opening *o, const char *name, const char *service, char **out)
{
    const char *region = o->backend->region;

    if (copy(o, name, AS_TEXT, out) != 0)
        return -1;
    if (!*out && asprintf(out, "https://%s.%s.amazonaws.com%s/", service, region,
                          strncmp(region, "cn-", 3) == 0 ? ".cn" : "") < 0) {
        *out = NULL;
        return err_memory(o->err);
    }
    bool is_http = strncmp(*out, "http://", 7) == 0;
    if ((!is_http && strncmp(*out, "https://", 8) != 0) || strpbrk(*out, " \t@?#"))
        return wrong(o, name, "expected https://host, without user name or query");
    if (is_http && !http_is_private(*out))
        return wrong(o, name, "http:// would send secrets readable over the network: use https://");
    return 0;
}

static int read_keys(const struct opening *o)
{
    struct backend *backend = o->backend;

    if (copy(o, "profile", AS_TEXT, &backend->profile) != 0 ||
        copy(o, "credentials_file", AS_PATH, &backend->credentials_file) != 0 ||
        copy(o, "access_key_id", AS_TEXT, &backend->access_key_id) != 0 ||
        copy(o, "secret_key_file", AS_PATH, &backend->secret_key_file) != 0 ||
        copy(o, "session_token_file", AS_PATH, &backend->session_token_file) != 0)
        return -1;
    if (!backend->access_key_id != !backend->secret_key_file)
        return wrong(o, backend->access_key_id ? "access_key_id" : "secret_key_file",
                     "a key needs both access_key_id and secret_key_file");
    if (backend->session_token_file && !backend->access_key_id)
        return wrong(o, "session_token_file", "belongs to access_key_id and secret_key_file");
    if (backend->access_key_id && (backend->profile || backend->credentials_file))
        return wrong(o, "access_key_id", "stands beside a profile: keep one");
    return 0;
}

static int read_options(const struct opening *o)
{
    struct backend *backend = o->backend;
    const struct secrets_option *assume = backend_option(o->from, "assume_role");

    if (read_region(o) != 0 || read_endpoint(o, "endpoint", "secretsmanager", &backend->endpoint) != 0 ||
        read_endpoint(o, "sts_endpoint", "sts", &backend->sts_endpoint) != 0 ||
        copy(o, "ca_file", AS_PATH, &backend->ca_file) != 0 ||
        copy(o, "version_stage", AS_TEXT, &backend->version_stage) != 0 ||
        copy(o, "external_id", AS_TEXT, &backend->external_id) != 0 || read_keys(o) != 0)
        return -1;
    if (!backend->version_stage && !(backend->version_stage = strdup("AWSCURRENT")))
        return err_memory(o->err);
    backend->assume_role = assume && strcmp(assume->value, "true") == 0;
    if (assume && !backend->assume_role && strcmp(assume->value, "false") != 0)
        return wrong(o, "assume_role", "expected true or false");
    if (backend->external_id && !backend->assume_role)
        return wrong(o, "external_id", "is for assume_role: true");
    return 0;
}

/* ---- the table ---- */

static struct backend *open_aws(const struct secrets_config *config, const struct secrets_backend *from,
                                struct err *err)
{
    AUTO(backend_drop) struct backend *backend = calloc(1, sizeof *backend);
    const struct opening opening = {config, from, backend, err};

    if (!backend) {
        err_memory(err);
        return NULL;
    }
    (void)pthread_mutex_init(&backend->lock, NULL);
    if (read_options(&opening) != 0)
        return NULL;
    const struct http_options http = {.ca_file = backend->ca_file, .timeout_ms = TIMEOUT_MS};
    backend->http = http_new(&http, err);
    return backend->http ? TAKE(backend) : NULL;
}

static void close_aws(struct backend *backend)
{
    if (!backend)
        return;
    char *texts[] = {backend->region,           backend->endpoint,
                     backend->sts_endpoint,     backend->ca_file,
                     backend->version_stage,    backend->profile,
                     backend->credentials_file, backend->access_key_id,
                     backend->secret_key_file,  backend->session_token_file,
                     backend->external_id};

    http_free(backend->http);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    aws_keys_drop(&backend->keys);
    for (size_t i = 0; i < AWS_ROLES; i++) {
        free(backend->roles[i].arn);
        aws_keys_drop(&backend->roles[i].keys);
    }
    (void)pthread_mutex_destroy(&backend->lock);
    free(backend);
}

static void stop_aws(struct backend *backend)
{
    http_stop(backend->http);
}

static int64_t tend_aws(struct backend *backend)
{
    (void)pthread_mutex_lock(&backend->lock);
    int64_t next = aws_tend(backend);
    (void)pthread_mutex_unlock(&backend->lock);
    return next;
}

const struct backend_type backend_aws = {
    .name = "aws",
    .options = options,
    .open = open_aws,
    .close = close_aws,
    .fetch = aws_fetch,
    .probe = aws_probe,
    .stop = stop_aws,
    .tend = tend_aws,
};
