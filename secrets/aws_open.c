/* aws_open.c - the options of a backend of type aws, and its table. */
#include "aws.h"
#include "options.h"

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
    "config_file",
    "access_key_id",
    "secret_key_file",
    "session_token_file",
    "assume_role",
    "external_id",
    NULL,
};

static void close_aws(struct backend *backend);
DEFINE_DROP(backend, struct backend *, close_aws)

static int read_region(const struct opening *o, struct backend *backend)
{
    static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};

    if (opening_copy(o, "region", NULL, &backend->region) != 0)
        return -1;
    for (size_t i = 0; i < 2 && !backend->region; i++) {
        const char *text = aws_variable(variables[i]);

        if (text && !(backend->region = strdup(text)))
            return err_memory(o->err);
    }
    if (!backend->region && aws_profile_region(backend, &backend->region, o->err) != 0) {
        o->err->pos = o->from->pos;
        return -1;
    }
    if (!backend->region)
        return err_at(
            o->err, ERR_VALUE, o->from->pos,
            "region is needed, as in eu-west-1 (or AWS_REGION in the environment, or a profile's region)");
    size_t size = strspn(backend->region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (backend->region[size] || size > 32)
        return opening_wrong(o, "region", "expected a name like eu-west-1");
    return 0;
}

/* Where a service is: as configured, or where AWS has it in that region. */
static int read_endpoint(const struct opening *o, const char *name, const char *service, const char *region,
                         char **out)
{
    if (opening_copy(o, name, NULL, out) != 0)
        return -1;
    if (!*out && asprintf(out, "https://%s.%s.amazonaws.com%s/", service, region,
                          strncmp(region, "cn-", 3) == 0 ? ".cn" : "") < 0) {
        *out = NULL;
        return err_memory(o->err);
    }
    return opening_address(o, name, NULL, *out);
}

static int read_keys(const struct opening *o, struct backend *backend)
{
    if (opening_copy(o, "profile", NULL, &backend->profile) != 0 ||
        opening_path(o, "credentials_file", NULL, &backend->credentials_file) != 0 ||
        opening_path(o, "config_file", NULL, &backend->config_file) != 0 ||
        opening_copy(o, "access_key_id", NULL, &backend->access_key_id) != 0 ||
        opening_path(o, "secret_key_file", NULL, &backend->secret_key_file) != 0 ||
        opening_path(o, "session_token_file", NULL, &backend->session_token_file) != 0)
        return -1;
    if (!backend->access_key_id != !backend->secret_key_file)
        return opening_wrong(o, backend->access_key_id ? "access_key_id" : "secret_key_file",
                             "a key needs both access_key_id and secret_key_file");
    if (backend->session_token_file && !backend->access_key_id)
        return opening_wrong(o, "session_token_file", "belongs to access_key_id and secret_key_file");
    if (backend->access_key_id && (backend->profile || backend->credentials_file || backend->config_file))
        return opening_wrong(o, "access_key_id", "stands beside a profile: keep one");
    return 0;
}

static int read_options(const struct opening *o, struct backend *backend)
{
    if (read_keys(o, backend) != 0 || read_region(o, backend) != 0 ||
        read_endpoint(o, "endpoint", "secretsmanager", backend->region, &backend->endpoint) != 0 ||
        read_endpoint(o, "sts_endpoint", "sts", backend->region, &backend->sts_endpoint) != 0 ||
        opening_path(o, "ca_file", NULL, &backend->ca_file) != 0 ||
        opening_copy(o, "version_stage", NULL, &backend->version_stage) != 0 ||
        opening_copy(o, "external_id", NULL, &backend->external_id) != 0 ||
        opening_switch(o, "assume_role", &backend->assume_role) != 0)
        return -1;
    if (!backend->version_stage && !(backend->version_stage = strdup("AWSCURRENT")))
        return err_memory(o->err);
    if (backend->external_id && !backend->assume_role)
        return opening_wrong(o, "external_id", "is for assume_role: true");
    return 0;
}

/* ---- the table ---- */

static struct backend *open_aws(const struct secrets_config *config, const struct option_group *from,
                                struct err *err)
{
    AUTO(backend_drop) struct backend *backend = calloc(1, sizeof *backend);
    const struct opening opening = {config, from, err};

    if (!backend) {
        err_memory(err);
        return NULL;
    }
    (void)pthread_mutex_init(&backend->lock, NULL);
    if (read_options(&opening, backend) != 0)
        return NULL;
    const struct http_options http = {.ca_file = backend->ca_file, .timeout_ms = TIMEOUT_MS};
    backend->http = http_new(&http, err);
    return backend->http ? TAKE(backend) : NULL;
}

static void close_aws(struct backend *backend)
{
    if (!backend)
        return;
    char *texts[] = {backend->region,           backend->endpoint,           backend->sts_endpoint,
                     backend->ca_file,          backend->version_stage,      backend->profile,
                     backend->credentials_file, backend->config_file,        backend->access_key_id,
                     backend->secret_key_file,  backend->session_token_file, backend->external_id};

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

const struct backend_type backend_aws = {
    .name = "aws",
    .options = options,
    .open = open_aws,
    .close = close_aws,
    .fetch = aws_fetch,
    .probe = aws_probe,
    .stop = stop_aws,
    .tend = aws_tend,
};
